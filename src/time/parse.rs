//! Times as the field writes them. Formats are declared in the contract, never guessed.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::time::calendar::{Calendar, days};

/// 1900-01-01 to 2200-01-01, UTC microseconds.
const MEANT: std::ops::Range<i64> = -2_208_988_800_000_000..7_258_118_400_000_000;

/// A declared way of writing times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970 UTC.
    EpochSeconds,
    /// Milliseconds since 1970 UTC.
    EpochMilliseconds,
    /// RFC 3339 with its offset.
    Rfc3339,
    /// A local time in the contract's zone, by a strftime pattern.
    Local(String),
}

impl TimeFormat {
    /// A format by its name in a contract: `epoch_s`, `epoch_ms`, `rfc3339`, or a strftime pattern.
    pub fn parse(name: &str) -> Option<TimeFormat> {
        match name {
            "epoch_s" => Some(TimeFormat::EpochSeconds),
            "epoch_ms" => Some(TimeFormat::EpochMilliseconds),
            "rfc3339" => Some(TimeFormat::Rfc3339),
            pattern if pattern.contains('%') => Some(TimeFormat::Local(pattern.to_owned())),
            _ => None,
        }
    }

    /// The instant that `text` states, in UTC microseconds; `None` where it states none, or one
    /// outside 1900–2200, which no dispatch system means.
    pub fn instant(&self, text: &str, calendar: &Calendar) -> Option<i64> {
        self.any_instant(text, calendar).filter(|at| MEANT.contains(at))
    }

    fn any_instant(&self, text: &str, calendar: &Calendar) -> Option<i64> {
        match self {
            TimeFormat::EpochSeconds => text.parse::<i64>().ok()?.checked_mul(1_000_000),
            TimeFormat::EpochMilliseconds => text.parse::<i64>().ok()?.checked_mul(1_000),
            TimeFormat::Rfc3339 => DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros()),
            TimeFormat::Local(pattern) => {
                let local = match fixed(text, pattern) {
                    Some(found) => found?,
                    None => NaiveDateTime::parse_from_str(text, pattern).ok()?,
                };
                calendar.instant(local).ok()
            }
        }
    }

    /// The date that `text` states, in days since 1970-01-01.
    pub fn day(&self, text: &str) -> Option<i32> {
        match self {
            TimeFormat::Local(pattern) => NaiveDate::parse_from_str(text, pattern).ok().map(days),
            _ => None,
        }
    }
}

/// The two commonest layouts without the cost of a pattern; outer `None` = another layout.
#[expect(clippy::option_option, reason = "another layout is not a wrong time")]
fn fixed(text: &str, pattern: &str) -> Option<Option<NaiveDateTime>> {
    let digits: [usize; 14] = match pattern {
        "%Y-%m-%d %H:%M:%S" => {
            let bytes = text.as_bytes();
            let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
            if bytes.len() != 19 || marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
                return Some(None);
            }
            [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
        }
        "%Y%m%d%H%M%S" if text.len() == 14 => std::array::from_fn(|at| at),
        "%Y%m%d%H%M%S" => return Some(None),
        _ => return None,
    };
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        digits[from..to].iter().try_fold(0u32, |sum, at| {
            let digit = bytes[*at].wrapping_sub(b'0');
            (digit < 10).then(|| sum * 10 + u32::from(digit))
        })
    };
    Some((|| {
        let year = i32::try_from(number(0, 4)?).ok()?;
        NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?.and_hms_opt(
            number(8, 10)?,
            number(10, 12)?,
            number(12, 14)?,
        )
    })())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_layouts_agree_with_the_pattern_parser() {
        for (pattern, text) in [
            ("%Y-%m-%d %H:%M:%S", "2024-02-29 23:59:59"),
            ("%Y-%m-%d %H:%M:%S", "2025-02-30 10:00:00"),
            ("%Y-%m-%d %H:%M:%S", "2025-01-01 24:00:00"),
            ("%Y-%m-%d %H:%M:%S", "2025-01-0a 10:00:00"),
            ("%Y-%m-%d %H:%M:%S", "not a time"),
            ("%Y%m%d%H%M%S", "20250304050607"),
            ("%Y%m%d%H%M%S", "20250230050607"),
        ] {
            assert_eq!(
                fixed(text, pattern),
                Some(NaiveDateTime::parse_from_str(text, pattern).ok()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_leap_second_is_no_time_of_a_dispatch_system() {
        assert_eq!(fixed("2025-06-30 23:59:60", "%Y-%m-%d %H:%M:%S"), Some(None));
    }
}
