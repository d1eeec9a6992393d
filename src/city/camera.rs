//! The camera inventory and its failures: where cameras stand (never at blind places), which are down when, and which are silent
//! while they claim to be online. It knows no footage and no recognition; clips and counts are in video.rs.

use std::io::{self, Write};

use super::City;
use super::dialect::Encoding;
use super::dirt::Dirt;
use super::gazetteer::Gazetteer;
use super::geometry::Point;
use super::names::push_phone;
use super::sheet::{Fate, FeedCount, Sheet, push_field};
use super::text::{Moment, push_degrees, push_number, push_padded};
use crate::stat::random::{Stream, cumulate, lane};

const CAMERA: u64 = lane("camera");
const FAILURE: u64 = lane("camera failure");
const CLUSTER: u64 = lane("camera cluster");

/// Days for which clips and status events exist: the retention of footage.
pub const RETENTION_DAYS: i32 = 60;
/// Clips that one camera yields in the retention time, roughly.
const CLIPS_PER_CAMERA: u64 = 2_500;
const FAILING: f64 = 0.06;
const NETWORKED: f64 = 0.95;
const DIRT_RATE: f64 = 0.001;
const REASONS: [&str; 3] = ["json", "missing", "type"];

/// A time in which a camera yields nothing.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Begin.
    pub from: Moment,
    /// End.
    pub to: Moment,
    /// Why; empty for a silent failure, which sends no events.
    pub reason: &'static str,
    /// Number of the clustered outage it belongs to, from 1.
    pub cluster: Option<usize>,
}

impl Gap {
    /// True when nothing reports the failure.
    pub fn is_silent(&self) -> bool {
        self.reason.is_empty()
    }
}

/// One camera.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Twenty digits: centre 8, industry 2, type 3, network 1, serial 6.
    pub id: String,
    /// Index of the county.
    pub county: usize,
    /// Index of the place it watches.
    pub place: usize,
    /// Position.
    pub point: Point,
    /// False for cameras without a line to the centre: no events, no clips.
    pub is_networked: bool,
    /// How busy its recorder is, about 1.
    pub level: f64,
    /// Failures in the retention time.
    pub gaps: Vec<Gap>,
}

impl Camera {
    /// True when it yields nothing at some moment of the span.
    pub fn is_down(&self, from: Moment, to: Moment) -> bool {
        self.gaps.iter().any(|gap| gap.from < to && from < gap.to)
    }
}

/// Builds all cameras and their failures.
pub fn build_cameras(seed: u64, gazetteer: &Gazetteer, clips: u64, last_day: i32) -> Vec<Camera> {
    let number = (clips / CLIPS_PER_CAMERA).max(200);
    let load = |county: &super::gazetteer::County| f64::from(county.population) * if county.urban { 2.2 } else { 0.7 };
    let county_sums = cumulate(gazetteer.counties.iter().map(load));
    let mut cameras: Vec<Camera> = (0..number)
        .map(|serial| draw(seed, gazetteer, serial, &county_sums))
        .collect();
    let first_day = last_day - RETENTION_DAYS + 1;
    for (serial, camera) in cameras.iter_mut().enumerate().filter(|(_, camera)| camera.is_networked) {
        fail(seed, serial as u64, camera, first_day);
    }
    fail_in_clusters(seed, &mut cameras, first_day);
    fail_silently(seed, &mut cameras, first_day);
    cameras
}

fn draw(seed: u64, gazetteer: &Gazetteer, serial: u64, county_sums: &[f64]) -> Camera {
    let mut stream = Stream::keyed(seed, CAMERA, serial, 0);
    let county = stream.pick(county_sums);
    let mut place = gazetteer.counties[county].streets.start;
    // Every street has places that are not blind or the loop ends on a blind one: coverage stays partial either way.
    for _ in 0..12 {
        let street = gazetteer.pick_street(county, &mut stream);
        place = gazetteer.pick_place(street, &mut stream);
        if !gazetteer.places[place].is_blind {
            break;
        }
    }
    let mut id = String::with_capacity(20);
    id.push_str(gazetteer.counties[county].code);
    id.push_str("01001320");
    push_padded(&mut id, serial + 1, 6);
    Camera {
        id,
        county,
        place,
        point: gazetteer.scatter(place, 60.0, &mut stream),
        is_networked: stream.chance(NETWORKED),
        level: stream.lognormal(1.0, 0.25),
        gaps: Vec::new(),
    }
}

/// Ordinary failures: hours to days, once or twice.
fn fail(seed: u64, serial: u64, camera: &mut Camera, first_day: i32) {
    let mut stream = Stream::keyed(seed, FAILURE, serial, 0);
    if !stream.chance(FAILING) {
        return;
    }
    let times = 1 + i32::from(stream.chance(0.3));
    for _ in 0..times {
        let from = Moment::at(
            first_day,
            stream.between(3_600, i64::from(RETENTION_DAYS) * 86_400 - 3_600),
        );
        let to = from.plus(stream.lognormal(50_000.0, 1.1).clamp(3_600.0, 777_600.0));
        let reason = ["power", "network", "device", "maintenance"][stream.below(4) as usize];
        if !camera.is_down(from.plus(-600.0), to.plus(600.0)) {
            camera.gaps.push(Gap {
                from,
                to,
                reason,
                cluster: None,
            });
        }
    }
    camera.gaps.sort_by_key(|gap| gap.from);
}

/// Two power cuts, each taking a camera and its four nearest neighbours down within the same hour.
fn fail_in_clusters(seed: u64, cameras: &mut [Camera], first_day: i32) {
    let mut used_county = None;
    for number in 1..=2usize {
        let mut stream = Stream::keyed(seed, CLUSTER, number as u64, 0);
        let Some(members) = tightest_group(cameras, used_county) else {
            return;
        };
        let start = Moment::at(first_day + [22, 41][number - 1], 3_600 * stream.between(1, 20));
        for index in members {
            used_county = Some(cameras[index].county);
            let from = start.plus(stream.uniform() * 3_000.0);
            let to = from.plus(3_600.0 * (6.0 + 18.0 * stream.uniform()));
            cameras[index].gaps.push(Gap {
                from,
                to,
                reason: "power",
                cluster: Some(number),
            });
        }
    }
}

/// The five sound cameras that stand closest together, outside a county that already had its turn.
fn tightest_group(cameras: &[Camera], used_county: Option<usize>) -> Option<Vec<usize>> {
    let is_sound = |index: &usize| {
        let camera = &cameras[*index];
        camera.is_networked && camera.gaps.is_empty() && Some(camera.county) != used_county
    };
    let sound: Vec<usize> = (0..cameras.len()).filter(is_sound).collect();
    let mut best: Option<(f64, Vec<usize>)> = None;
    // A hundred candidates are enough for a tight group and keep this linear in the number of cameras.
    for &seed in sound.iter().take(100) {
        let near = |index: &usize| cameras[*index].county == cameras[seed].county;
        let distance = |index: usize| cameras[seed].point.distance_m(cameras[index].point);
        let mut group: Vec<(f64, usize)> = sound
            .iter()
            .filter(|index| near(index))
            .map(|&i| (distance(i), i))
            .collect();
        group.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        group.truncate(5);
        let Some(reach) = group.get(4).map(|member| member.0) else {
            continue;
        };
        if best.as_ref().is_none_or(|(least, _)| reach < *least) {
            best = Some((reach, group.into_iter().map(|(_, index)| index).collect()));
        }
    }
    best.map(|(_, members)| members)
}

/// Three cameras that stay online and yield nothing for days; the last of them is still silent.
fn fail_silently(seed: u64, cameras: &mut [Camera], first_day: i32) {
    let mut stream = Stream::keyed(seed, FAILURE, u64::MAX, 0);
    for turn in 0..3 {
        for _ in 0..1_000 {
            let index = stream.below(cameras.len() as u64) as usize;
            let camera = &mut cameras[index];
            if !camera.is_networked || !camera.gaps.is_empty() {
                continue;
            }
            let length = stream.between(5, 11) as i32;
            let from = if turn == 2 {
                RETENTION_DAYS - length
            } else {
                stream.between(8, 45) as i32
            };
            let moment = |day: i32| Moment::at(first_day + day, 0);
            camera.gaps.push(Gap {
                from: moment(from),
                to: moment(from + length),
                reason: "",
                cluster: None,
            });
            break;
        }
    }
}

/// Writes the inventory.
pub fn write_cameras(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let header = "camera_id,county,area,name,lon,lat,bearing,fov,range_m,kind,is_networked,ip_address,maintainer_phone";
    let mut sheet = Sheet::start(out, Encoding::Utf8, header);
    for (serial, camera) in city.cameras.iter().enumerate() {
        let mut stream = Stream::keyed(city.plan.seed, CAMERA, serial as u64, 1);
        let place = &city.gazetteer.places[camera.place];
        let row = &mut sheet.row;
        for text in [
            &camera.id,
            city.gazetteer.counties[camera.county].code,
            &city.gazetteer.streets[place.street].code,
        ] {
            row.push_str(text);
            row.push(',');
        }
        push_field(row, &place.name.zh);
        push_number(row, 1 + serial as u64 % 9);
        row.push_str("号机,");
        push_degrees(row, camera.point.lon);
        row.push(',');
        push_degrees(row, camera.point.lat);
        let (kind, fov) = match stream.below(10) {
            0..=5 => ("bullet", stream.between(40, 110)),
            6..=7 => ("dome", 360),
            _ => ("ptz", stream.between(60, 120)),
        };
        for number in [stream.below(360), fov as u64, stream.between(40, 150) as u64] {
            row.push(',');
            push_number(row, number);
        }
        row.push(',');
        row.push_str(kind);
        row.push_str(if camera.is_networked { ",1,10." } else { ",0,10." });
        for (part, mark) in [
            (stream.below(250), "."),
            (stream.below(250), "."),
            (1 + stream.below(250), ","),
        ] {
            push_number(row, part);
            row.push_str(mark);
        }
        push_phone(&mut stream, row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

/// Writes the status events in order of time: one "online" per networked camera at the start, then its reported failures.
pub fn write_status(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let start = Moment::at(city.last_day - RETENTION_DAYS + 1, 0);
    let end = Moment::at(city.last_day + 1, 0);
    let mut events: Vec<(Moment, usize, bool, &str)> = Vec::new();
    for (index, camera) in city
        .cameras
        .iter()
        .enumerate()
        .filter(|(_, camera)| camera.is_networked)
    {
        events.push((start.plus((index % 600) as f64), index, true, "baseline"));
        for gap in camera.gaps.iter().filter(|gap| !gap.is_silent()) {
            events.push((gap.from, index, false, gap.reason));
            events.push((gap.to, index, true, "recovered"));
        }
    }
    // A failure that is still going on has no second event yet.
    events.retain(|event| event.0 < end);
    events.sort_by_key(|event| (event.0, event.1));
    let mut dirt = Dirt::of(city.plan.seed, "camera_status", 0, DIRT_RATE, &REASONS);
    let mut sheet = Sheet::start(out, Encoding::Utf8, "");
    for (moment, index, is_online, reason) in events {
        let event = if is_online { "online" } else { "offline" };
        push_event(
            &mut sheet.row,
            &city.cameras[index].id,
            &moment.to_rfc3339(),
            event,
            reason,
        );
        sheet.end(Fate::Accepted)?;
        if let Some((defect, _)) = dirt.due() {
            let (id, at) = match defect {
                "missing" => ("", moment.to_rfc3339()),
                "type" => (city.cameras[index].id.as_str(), String::from("yesterday")),
                _ => (city.cameras[index].id.as_str(), moment.to_rfc3339()),
            };
            push_event(&mut sheet.row, id, &at, event, "noise");
            if defect == "json" {
                sheet.row.truncate(sheet.row.len() / 2);
            }
            sheet.end(Fate::Rejected(defect))?;
        }
    }
    sheet.finish()
}

/// An empty id leaves its key out.
fn push_event(row: &mut String, id: &str, at: &str, event: &str, reason: &str) {
    row.push('{');
    if !id.is_empty() {
        row.push_str("\"camera_id\":\"");
        row.push_str(id);
        row.push_str("\",");
    }
    for (mark, text) in [
        ("\"event_at\":\"", at),
        ("\",\"event\":\"", event),
        ("\",\"reason\":\"", reason),
    ] {
        row.push_str(mark);
        row.push_str(text);
    }
    row.push_str("\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_as_planted() {
        for seed in 1..6 {
            let gazetteer = Gazetteer::build(seed);
            let cameras = build_cameras(seed, &gazetteer, 1_050_000, 20_453);
            assert_eq!(cameras.len(), 420);
            assert!(cameras.iter().all(|camera| camera.id.len() == 20));
            let gaps = || cameras.iter().flat_map(|camera| &camera.gaps);
            assert_eq!(gaps().filter(|gap| gap.is_silent()).count(), 3);
            for cluster in 1..=2 {
                let starts: Vec<i64> = gaps()
                    .filter(|gap| gap.cluster == Some(cluster))
                    .map(|gap| gap.from.0 / 3_600)
                    .collect();
                assert_eq!(starts.len(), 5);
                assert!(starts.iter().all(|hour| *hour == starts[0]));
            }
        }
    }
}
