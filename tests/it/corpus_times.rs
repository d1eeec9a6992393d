//! The table of written times and what each states: corpus/times.csv.
//!
//! Its instants were computed with another implementation of the zone rules (Python's zoneinfo).

use chrono::DateTime;
use fenghuo::time::Calendar;
use fenghuo::time::parse::{TimeFormat, TimeRules};

const TABLE: &str = include_str!("corpus/times.csv");

#[test]
fn every_written_time_has_the_verdict_of_the_table() {
    let mut reader = csv::Reader::from_reader(TABLE.as_bytes());
    let header: Vec<&str> = reader.headers().expect("a header").iter().collect();
    assert_eq!(header, ["format", "hour24", "zone", "text", "expected"]);
    let mut wrong = Vec::new();
    let mut rows = 0;
    for record in reader.records() {
        let record = record.expect("a row");
        rows += 1;
        let [format, hour24, zone, text, expected] = [0, 1, 2, 3, 4].map(|at| record.get(at).expect("a field"));
        let found = verdict(format, hour24 == "true", zone, text);
        if found != expected {
            wrong.push(format!(
                "{format} {zone} hour24={hour24} {text:?}: {found}, not {expected}"
            ));
        }
    }
    assert!(rows >= 150, "{rows} rows");
    assert!(wrong.is_empty(), "{} of {rows}\n{}", wrong.len(), wrong.join("\n"));
}

fn verdict(formats: &str, hour24: bool, zone: &str, text: &str) -> String {
    // a format that cannot be declared is a fault of the table, no verdict on the text
    let Some(formats) = formats.split('|').map(TimeFormat::parse).collect::<Option<Vec<_>>>() else {
        return "no format".to_owned();
    };
    let calendar = Calendar::new(zone, "00:00").expect("a zone");
    TimeRules::new(formats, hour24)
        .instant(text, &calendar)
        .and_then(DateTime::from_timestamp_micros)
        .map_or_else(
            || "reject".to_owned(),
            |at| at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        )
}
