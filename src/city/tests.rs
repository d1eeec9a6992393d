//! Tests of the city as a whole: the same bytes for a seed in any order, rows that match the truth under an independent simple
//! reader, and planted events that are really in the files. Kernels are tested at the foot of their own files.

use std::collections::{BTreeMap, BTreeSet};

use super::geometry::Point;
use super::*;

/// FNV-1a over everything written, so that a file can be compared without keeping it.
struct Digest(u64);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn digests(plan: &CityPlan, is_backwards: bool) -> io::Result<BTreeMap<String, u64>> {
    let city = files(plan);
    let mut all = city.files();
    if is_backwards {
        all.reverse();
    }
    let mut digests = BTreeMap::new();
    for file in all {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        city.write(&file, &mut digest)?;
        digests.insert(file.path, digest.0);
    }
    Ok(digests)
}

fn tiny(seed: u64) -> CityPlan {
    CityPlan {
        alarms: 3_000,
        clips: 12_000,
        residents: 3_000,
        ..CityPlan::small(seed)
    }
}

/// Decodes a file of any county; broken bytes become U+FFFD.
fn read(city: &City, file: &CityFile) -> io::Result<(String, FileTruth)> {
    let mut bytes = Vec::new();
    let truth = city.write(file, &mut bytes)?;
    let is_document = matches!(file.feed, Feed::Alarm(_) | Feed::Dispatch(_) | Feed::Feedback(_));
    let text = if truth.county == Some("990103") && is_document {
        encoding_rs::GB18030.decode_without_bom_handling(&bytes).0.into_owned()
    } else {
        String::from_utf8_lossy(&bytes)
            .trim_start_matches('\u{feff}')
            .to_owned()
    };
    Ok((text, truth))
}

/// Splits a row at commas outside quotes.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for sign in line.chars() {
        match sign {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(sign)),
        }
    }
    fields
}

/// Rejects an alarm row as a contract would; `None` for a good one.
fn judge(fields: &[String]) -> Option<&'static str> {
    if fields.len() != 16 {
        return Some("ragged");
    }
    if fields.iter().any(|field| field.contains('\u{fffd}')) {
        return Some("undecodable");
    }
    if fields[0].is_empty() || fields[2].is_empty() {
        return Some("missing");
    }
    let is_time = ["%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"]
        .iter()
        .any(|format| chrono::NaiveDateTime::parse_from_str(&fields[2], format).is_ok());
    let degrees: Vec<Option<f64>> = fields[8..10].iter().map(|field| field.parse().ok()).collect();
    let is_empty = fields[8].is_empty() && fields[9].is_empty();
    if !is_time || (!is_empty && degrees.contains(&None)) {
        return Some("type");
    }
    let inside = |value: Option<f64>, low: f64, high: f64| value.is_none_or(|value| (low..high).contains(&value));
    if !inside(degrees[0], 100.9, 102.3) || !inside(degrees[1], 39.7, 40.9) {
        return Some("range");
    }
    (fields[4] == "ZZ99").then_some("code")
}

#[test]
fn a_seed_means_its_bytes_in_any_order() -> io::Result<()> {
    let first = digests(&tiny(1), false)?;
    assert_eq!(first, digests(&tiny(1), true)?);
    let other = digests(&tiny(2), false)?;
    assert_eq!(first.len(), 11 + 5 * 11 + 2);
    for (path, digest) in &first {
        // Two cities may have merged the same stations.
        if path.contains("change_log") {
            continue;
        }
        // The calendar is the same for every city.
        assert_eq!(other.get(path) == Some(digest), path.contains("calendar"), "{path}");
    }
    Ok(())
}

#[test]
fn an_independent_reader_counts_what_the_truth_says() -> io::Result<()> {
    let city = files(&CityPlan::scaled(4, 0.02));
    for file in city.files().iter().filter(|file| matches!(file.feed, Feed::Alarm(_))) {
        let (text, truth) = read(&city, file)?;
        let mut count = FeedCount::default();
        let mut seen = BTreeSet::new();
        for line in text.lines().skip(1) {
            let fields = split(line);
            count.read += 1;
            match judge(&fields) {
                Some(reason) => *count.rejected.entry(reason).or_default() += 1,
                None if seen.insert(line.to_owned()) => count.accepted += 1,
                None => count.duplicate += 1,
            }
        }
        assert_eq!(count, truth.count, "{}", file.path);
        assert!(count.rejected.len() >= 5);
    }
    Ok(())
}

#[test]
fn documents_join_and_every_feed_adds_up() -> io::Result<()> {
    let city = files(&CityPlan::scaled(6, 0.01));
    let mut truths = Vec::new();
    let mut alarms = BTreeSet::new();
    for file in city.files() {
        let (text, truth) = read(&city, &file)?;
        let rejected: u64 = truth.count.rejected.values().sum();
        assert_eq!(
            truth.count.read,
            truth.count.accepted + truth.count.duplicate + rejected
        );
        let beside = match file.feed {
            _ if file.path.ends_with(".ndjson") => 0,
            // a SELECT around its rows
            Feed::ChangeLog => 6,
            _ => 1,
        };
        assert_eq!(text.lines().count() as u64, truth.count.read + beside, "{}", file.path);
        let rows = text.lines().skip(1).map(split);
        match file.feed {
            Feed::Alarm(_) => alarms.extend(rows.filter_map(|row| row.first().cloned())),
            Feed::Dispatch(_) | Feed::Feedback(_) => {
                let orphans = rows.filter(|row| row.len() == 9 && !alarms.contains(&row[1])).count() as u64;
                assert!(orphans <= rejected, "{}", file.path);
            }
            _ => {}
        }
        truths.push(truth);
    }
    let truth = city.truth(&truths);
    assert_eq!(truth.residents.values().sum::<u64>(), city.plan.residents);
    assert_eq!(
        truth.feeds.get("alarm").map(|feed| feed.accepted),
        Some(truth.alarms_by_county.values().sum())
    );
    assert!(serde_json::to_string(&truth).is_ok());
    Ok(())
}

#[test]
fn planted_events_are_in_the_files() -> io::Result<()> {
    let city = files(&tiny(8));
    let mut rows: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    for file in city.files().iter().filter(|file| matches!(file.feed, Feed::Alarm(_))) {
        let (text, truth) = read(&city, file)?;
        let good = text.lines().skip(1).map(split).filter(|row| judge(row).is_none());
        rows.insert(truth.county.unwrap_or_default(), good.collect());
    }
    let truth = city.truth(&[]);
    for event in truth
        .surges
        .iter()
        .chain(&truth.clusters)
        .chain(&truth.near_repeat_chains)
    {
        let centre = if event.county == "990108" {
            let (lon, lat) = crate::place::crs::wgs84_to_gcj02(event.lon, event.lat);
            Point { lon, lat }
        } else {
            Point {
                lon: event.lon,
                lat: event.lat,
            }
        };
        let [first, last] = [&event.first_day, &event.last_day].map(|day| day.replace('-', ""));
        let belongs = |row: &&Vec<String>| {
            let day: String = row[2].replace('-', "").chars().take(8).collect();
            let (Ok(lon), Ok(lat)) = (row[8].parse(), row[9].parse()) else {
                return false;
            };
            row[7] == event.area
                && row[4] == event.category
                && row[3] == "0101"
                && row[1].is_empty()
                && (&first..=&last).contains(&&day)
                && Point { lon, lat }.distance_m(centre) <= event.radius_m * 1.001
        };
        let found = rows
            .get(event.county)
            .map_or(0, |rows| rows.iter().filter(belongs).collect::<BTreeSet<_>>().len());
        assert!(found >= event.extra_calls as usize, "{event:?}: {found}");
    }
    Ok(())
}

#[test]
fn decoys_are_in_the_files() -> io::Result<()> {
    let city = files(&tiny(8));
    let mut repeats: BTreeMap<String, u32> = BTreeMap::new();
    let mut assemblies = 0;
    for file in city.files() {
        match file.feed {
            Feed::Alarm(_) => {
                for row in read(&city, &file)?
                    .0
                    .lines()
                    .skip(1)
                    .map(split)
                    .filter(|row| judge(row).is_none())
                {
                    *repeats.entry(row[1].clone()).or_default() += u32::from(!row[1].is_empty());
                }
            }
            Feed::Feedback(_) => {
                let (text, _) = read(&city, &file)?;
                assemblies += text
                    .lines()
                    .map(split)
                    .filter(|row| row[3] == "0901" && row[2] == "1")
                    .count();
            }
            _ => {}
        }
    }
    assert_eq!(repeats.values().filter(|count| **count >= 24).count(), 2);
    assert!(assemblies >= 18);
    Ok(())
}
