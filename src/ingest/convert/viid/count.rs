//! Counts of cameras and windows, all that stays of what was counted.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use super::kind::Class;
use crate::ingest::convert::Out;

/// Counts of one file, about 100 bytes each: 3,500 cameras, a day of windows, three classes.
const COUNTS: usize = 1_000_000;
/// Minutes of a window.
const WINDOW_MINUTES: u64 = 15;

/// The window of a local time of 14 digits, or of 17 with milliseconds: the digits of its start.
pub(super) fn window(time: &str) -> Option<u64> {
    if !matches!(time.len(), 14 | 17) || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<u32>().ok();
    let year = i32::try_from(part(0, 4)?).ok()?;
    chrono::NaiveDate::from_ymd_opt(year, part(4, 6)?, part(6, 8)?)?;
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    // 60 is the leap second, which belongs to the minute before
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let date = u64::from(part(0, 8)?);
    let minute = u64::from(minute) / WINDOW_MINUTES * WINDOW_MINUTES;
    Some((date * 100 + u64::from(hour)) * 10_000 + minute * 100)
}

/// Who counted. A camera's own count comes first, so that it is the one that a key keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The camera, in a cycle of this length.
    Flow(u64),
    /// We did.
    Objects,
}

/// One window of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// 14 digits of local time, as a number.
    pub start: u64,
    /// What was counted.
    pub class: Class,
    /// Who counted.
    pub source: Source,
}

/// All that is kept of what was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    cameras: BTreeMap<String, BTreeMap<Slot, u64>>,
    size: usize,
}

/// A count as it comes out.
#[derive(serde::Serialize)]
struct Count<'a> {
    camera_id: &'a str,
    window_start: String,
    class: &'static str,
    n: u64,
    source: &'static str,
}

impl Counts {
    /// Adds to a count.
    ///
    /// # Errors
    /// `InvalidData` where the file holds more than [`COUNTS`].
    pub fn add(&mut self, camera: String, slot: Slot, n: u64) -> io::Result<()> {
        let slots = self.cameras.entry(camera).or_default();
        let before = slots.len();
        let count = slots.entry(slot).or_insert(0);
        *count = count.saturating_add(n);
        self.size += slots.len() - before;
        if self.size > COUNTS {
            let words = format!("more than {COUNTS} counts of cameras and windows in one file");
            return Err(io::Error::new(ErrorKind::InvalidData, words));
        }
        Ok(())
    }

    /// Writes the counts in the order of cameras, windows and classes.
    ///
    /// # Errors
    /// As [`Out::object`].
    pub fn write(&self, out: &mut Out) -> io::Result<()> {
        for (camera_id, slots) in &self.cameras {
            for (slot, n) in slots {
                out.object(&Count {
                    camera_id,
                    window_start: format!("{:014}", slot.start),
                    class: match slot.class {
                        Class::MotorVehicle => "motor_vehicle",
                        Class::NonMotorVehicle => "non_motor_vehicle",
                        Class::Pedestrian => "pedestrian",
                    },
                    n: *n,
                    source: match slot.source {
                        Source::Flow(_) => "flow",
                        Source::Objects => "objects",
                    },
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_past_the_limit_is_an_error_and_a_known_one_is_none() {
        let slot = |start| Slot {
            start,
            class: Class::Pedestrian,
            source: Source::Objects,
        };
        let mut counts = Counts::default();
        counts.add("1".to_owned(), slot(1), 1).expect("the first");
        counts.size = COUNTS;
        counts.add("1".to_owned(), slot(1), 1).expect("the same");
        let error = counts.add("1".to_owned(), slot(2), 1).expect_err("one too many");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn only_times_of_the_calendar_have_a_window() {
        assert_eq!(window("20260228235959"), Some(20_260_228_234_500));
        assert_eq!(window("20260101000000123"), Some(20_260_101_000_000));
        assert_eq!(window("20161231235960"), Some(20_161_231_234_500));
        for text in [
            "",
            "20260229000000",
            "20260101240000",
            "2026-01-01 00:00",
            "202601010000",
        ] {
            assert_eq!(window(text), None, "{text}");
        }
    }
}
