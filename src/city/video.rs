//! The clip index (which camera, when, how long, how good, an opaque reference) and fifteen-minute counts of traffic. There are no
//! pictures, no recognition and no objects anywhere in this city.

use std::io::{self, Write};

use super::City;
use super::camera::{Camera, RETENTION_DAYS};
use super::category::{COMMUTE, DAY};
use super::dialect::Encoding;
use super::dirt::{Dirt, Recall, Repeats};
use super::names::push_person;
use super::sheet::{Fate, FeedCount, Sheet};
use super::text::{Moment, push_number, push_padded};
use crate::stat::random::{Stream, lane};

const CLIPS: u64 = lane("clips");
const COUNTS: u64 = lane("counts");

const DIRT_RATE: f64 = 0.0002;
const REPEAT_RATE: f64 = 0.0005;
const REASONS: [&str; 3] = ["json", "missing", "type"];
const SHORTEST_S: u64 = 180;
const LONGEST_S: u64 = 2_400;

/// Days that the counts cover.
const COUNT_DAYS: i32 = 14;
/// Clips per counting camera: the same few cameras per thousand at every scale.
const CLIPS_PER_COUNTER: u64 = 70_000;
const CLASSES: [&str; 3] = ["motor_vehicle", "non_motor_vehicle", "pedestrian"];

/// One clip.
struct Clip<'a> {
    camera: &'a Camera,
    begin: Moment,
    end: Moment,
    order: u64,
}

/// Clips of one camera and day that the whole plan asks for, before the camera's own level.
fn clips_per_day(city: &City) -> f64 {
    let levels: f64 = city
        .cameras
        .iter()
        .filter(|camera| camera.is_networked)
        .map(|camera| camera.level)
        .sum();
    city.plan.clips as f64 / (f64::from(RETENTION_DAYS) * levels.max(1.0))
}

/// About how many clips a county has.
pub fn expected_clips(city: &City, county: usize) -> u64 {
    let own = |camera: &&Camera| camera.is_networked && camera.county == county;
    let level: f64 = city.cameras.iter().filter(own).map(|camera| camera.level).sum();
    (level * clips_per_day(city) * f64::from(RETENTION_DAYS)) as u64
}

/// Writes a county's clip index: day by day, camera by camera.
pub fn write_clips(city: &City, county: usize, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mean = clips_per_day(city);
    let mut dirt = Dirt::of(city.plan.seed, "video_index", county, DIRT_RATE, &REASONS);
    let mut repeats = Repeats::of(city.plan.seed, "video_index", county, REPEAT_RATE);
    let mut sheet = Sheet::start(out, Encoding::Utf8, "");
    for day in city.last_day - RETENTION_DAYS + 1..=city.last_day {
        let own = |(_, camera): &(usize, &Camera)| camera.is_networked && camera.county == county;
        for (index, camera) in city.cameras.iter().enumerate().filter(own) {
            let mut stream = Stream::keyed(city.plan.seed, CLIPS, index as u64, day as u64);
            // The day is cut into equal slots with one clip in each, so that clips of a camera never overlap.
            let number = stream.poisson(mean * camera.level).clamp(1, 400);
            let slot = 86_400 / number;
            for order in 0..number {
                let longest = LONGEST_S.min(slot - 10).max(SHORTEST_S);
                let length = SHORTEST_S + stream.below(longest - SHORTEST_S + 1);
                let start = order * slot + stream.below(slot - length);
                let begin = Moment::at(day, start as i64);
                let clip = Clip {
                    camera,
                    begin,
                    end: begin.plus(length as f64),
                    order,
                };
                if camera.is_down(clip.begin, clip.end) {
                    continue;
                }
                write_clip(&mut sheet, &clip, &mut stream, &mut dirt, &mut repeats)?;
            }
        }
    }
    sheet.finish()
}

fn write_clip(
    sheet: &mut Sheet<'_>,
    clip: &Clip<'_>,
    stream: &mut Stream,
    dirt: &mut Dirt,
    repeats: &mut Repeats,
) -> io::Result<()> {
    push_clip(&mut sheet.row, clip, stream, "");
    sheet.end(Fate::Accepted)?;
    match repeats.next() {
        Recall::Remember => sheet.remember(),
        Recall::Repeat => sheet.repeat(),
        Recall::Pass => {}
    }
    if let Some((defect, number)) = dirt.due() {
        // Orders of real clips stay below four hundred.
        let spare = Clip {
            order: 90_000 + number % 10_000,
            ..*clip
        };
        push_clip(&mut sheet.row, &spare, stream, defect);
        sheet.end(Fate::Rejected(defect))?;
    }
    Ok(())
}

fn push_clip(row: &mut String, clip: &Clip<'_>, stream: &mut Stream, defect: &str) {
    row.push('{');
    if defect != "missing" {
        row.push_str("\"clip_id\":\"");
        row.push_str(&clip.camera.id);
        row.push_str("02");
        clip.begin.push_compact(row);
        push_padded(row, clip.order, 5);
        row.push_str("\",");
    }
    row.push_str("\"camera_id\":\"");
    row.push_str(&clip.camera.id);
    row.push_str("\",\"begin_at\":\"");
    if defect == "type" {
        row.push_str("soon");
    } else {
        clip.begin.push_rfc3339(row);
    }
    row.push_str("\",\"end_at\":\"");
    clip.end.push_rfc3339(row);
    row.push_str("\",\"quality\":");
    let quality = [5, 5, 5, 4, 4, 4, 3, 3, 2, 1][stream.below(10) as usize];
    push_number(row, quality);
    row.push_str(",\"storage_ref\":\"");
    push_hex(row, stream.bits());
    push_hex(row, stream.bits());
    row.push_str("\",\"clerk\":\"");
    push_person(stream, row);
    row.push_str("\"}");
    if defect == "json" {
        row.truncate(row.rfind("\"storage_ref\"").unwrap_or(1));
    }
}

fn push_hex(row: &mut String, bits: u64) {
    for shift in (0..16).rev() {
        let digit = (bits >> (4 * shift)) & 15;
        row.push(char::from(b"0123456789abcdef"[digit as usize]));
    }
}

/// The counting cameras: evenly spread over the networked ones.
fn counters(city: &City) -> Vec<usize> {
    let networked: Vec<usize> = (0..city.cameras.len())
        .filter(|&index| city.cameras[index].is_networked)
        .collect();
    let wanted = ((city.plan.clips / CLIPS_PER_COUNTER) as usize).clamp(3, networked.len().max(3));
    let step = (networked.len() / wanted).max(1);
    networked.into_iter().step_by(step).take(wanted).collect()
}

/// About how many count rows there are.
pub fn expected_counts(city: &City) -> u64 {
    counters(city).len() as u64 * COUNT_DAYS as u64 * 96 * CLASSES.len() as u64
}

/// Writes the window counts, window by window.
pub fn write_counts(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let counters = counters(city);
    let mut dirt = Dirt::of(city.plan.seed, "video_count", 0, DIRT_RATE, &REASONS);
    let mut sheet = Sheet::start(out, Encoding::Utf8, "");
    for window in 0..i64::from(COUNT_DAYS) * 96 {
        let start = Moment::at(city.last_day - COUNT_DAYS + 1, window * 900);
        let hour = (window % 96 / 4) as usize;
        for &index in &counters {
            let camera = &city.cameras[index];
            if camera.is_down(start, start.plus(900.0)) {
                continue;
            }
            for (class, name) in CLASSES.into_iter().enumerate() {
                let mut stream = Stream::keyed(city.plan.seed, COUNTS, index as u64 * 4 + class as u64, window as u64);
                let shape = if class == 2 { DAY[hour] } else { COMMUTE[hour] };
                let busy = [22.0, 9.0, 6.0][class] * city.gazetteer.places[camera.place].weight.min(4.0);
                let count = stream.poisson(shape * busy);
                push_count(&mut sheet.row, &camera.id, start, name, count, "");
                sheet.end(Fate::Accepted)?;
                if let Some((defect, _)) = dirt.due() {
                    push_count(&mut sheet.row, &camera.id, start, name, count, defect);
                    sheet.end(Fate::Rejected(defect))?;
                }
            }
        }
    }
    sheet.finish()
}

fn push_count(row: &mut String, id: &str, start: Moment, class: &str, count: u64, defect: &str) {
    row.push('{');
    if defect != "missing" {
        row.push_str("\"camera_id\":\"");
        row.push_str(id);
        row.push_str("\",");
    }
    row.push_str("\"window_start\":\"");
    start.push_rfc3339(row);
    row.push_str("\",\"class\":\"");
    row.push_str(class);
    row.push_str("\",\"n\":");
    if defect == "type" {
        row.push_str("\"many\"");
    } else {
        push_number(row, count);
    }
    if defect != "json" {
        row.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CityPlan, files};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn clips_parse_have_41_digits_and_never_overlap() -> io::Result<()> {
        let city = files(&CityPlan::scaled(2, 0.004));
        let mut bytes = Vec::new();
        let count = write_clips(&city, 0, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut accepted = 0;
        let mut spans = BTreeSet::new();
        for line in text.lines() {
            let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let field = |name: &str| value[name].as_str().unwrap_or("").to_owned();
            if field("clip_id").is_empty() || field("begin_at") == "soon" {
                continue;
            }
            accepted += 1;
            assert_eq!(field("clip_id").len(), 41);
            assert!(field("begin_at") < field("end_at"));
            spans.insert((field("camera_id"), field("begin_at"), field("end_at")));
        }
        assert_eq!(spans.len() as u64, count.accepted);
        let next = spans.iter().skip(1);
        assert!(
            spans
                .iter()
                .zip(next)
                .all(|(clip, next)| clip.0 != next.0 || clip.2 <= next.1)
        );
        assert_eq!(accepted, count.accepted + count.duplicate);
        Ok(())
    }
}
