//! How the times of a column are written: the formats that read its values, and what they leave open.

use std::collections::HashSet;

use super::guess::ratio;
use super::names::says_time;
use crate::time::Calendar;
use crate::time::parse::{TimeFormat, TimeRules};

/// Readers of a column must read this share of it; the rest is dirt that the contract rejects.
pub(super) const COVERED: f64 = 0.98;

/// Patterns, apart by `|`, in the order in which equal ones are preferred.
const PATTERNS: &str = "%Y-%m-%d %H:%M:%S|%Y-%m-%d %H:%M:%S%.f|%Y-%m-%d %H:%M|%Y-%-m-%-d %-H:%M:%S|rfc3339|%Y-%m-%dT%H:%M:%S|\
%Y-%m-%dT%H:%M:%S%.f|%Y-%m-%dT%H:%M|%Y-%m-%dT%H:%M:%S%#z|%Y-%m-%d %H:%M:%S%#z|%Y-%m-%d %H:%M:%S%.f%#z|\
%Y-%m-%d %I:%M:%S %p|%Y-%m-%d %p%I:%M:%S|%Y/%m/%d %H:%M:%S|%Y/%m/%d %H:%M|%Y/%m/%d %H:%M:%S%#z|\
%Y/%m/%d %p%I:%M:%S|%Y.%m.%d %H:%M:%S|%Y%m%d %H:%M:%S|%Y%m%d %H%M%S|%m/%d/%Y %I:%M:%S %p|%d/%m/%Y %I:%M:%S %p|\
%m/%d/%Y %I:%M %p|%d/%m/%Y %I:%M %p|%m/%d/%Y %H:%M:%S|%d/%m/%Y %H:%M:%S|%m/%d/%Y %H:%M|%d/%m/%Y %H:%M|\
%m/%d/%y %H:%M:%S|%d/%m/%y %H:%M:%S|%m/%d/%y %H:%M|%d/%m/%y %H:%M|%m-%d-%Y %H:%M:%S|%d-%m-%Y %H:%M:%S|\
%d.%m.%Y %H:%M:%S|%d.%m.%Y %H:%M|%d-%b-%Y %H:%M:%S|%d-%b-%y %H:%M:%S|%d-%b-%y %I.%M.%S%.f %p|%b %d %Y %I:%M%p|\
%Y年%m月%d日 %H时%M分%S秒|%Y年%m月%d日%H时%M分%S秒|%Y年%m月%d日 %H时%M分|%Y年%m月%d日%H时%M分|%Y年%m月%d日 %H:%M:%S|%Y年%m月%d日%H:%M:%S|\
%Y年%m月%d日 %H:%M|%Y-%m-%d|%Y/%m/%d|%Y.%m.%d|%Y年%m月%d日|%m/%d/%Y|%d/%m/%Y|%m/%d/%y|%d/%m/%y|%m-%d-%Y|%d-%m-%Y|\
%d.%m.%Y|%d-%b-%Y|%d-%b-%y|%d %b %Y|%b %d, %Y|%B %d, %Y|%H:%M:%S|%H:%M|%H:%M:%S%.f|%I:%M:%S %p|%I:%M %p|\
%H时%M分%S秒|%H时%M分";
/// Tried where none of the others reads the column: a year of two digits in front or behind dashes.
const RARE: &str = "%y/%m/%d|%y-%m-%d|%d-%m-%y|%m-%d-%y|%y-%m-%d %H:%M:%S|%y/%m/%d %H:%M:%S";

/// How the times of a column are written.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) formats: Vec<&'static str>,
    /// Formats that read every value, but not as the same times; empty where it is settled.
    pub(super) choices: Vec<&'static str>,
    pub(super) hour24: bool,
    /// Times of day without a date.
    pub(super) clock: bool,
    /// Values that no format reads.
    pub(super) unread: usize,
    /// Share of values that may have lost AM or PM.
    pub(super) half_lost: f64,
}

impl Times {
    /// Whether the times carry their zone.
    pub(super) fn is_zoned(&self) -> bool {
        let zoned = |format: &&str| format.starts_with("epoch") || *format == "rfc3339" || format.ends_with('z');
        self.formats.iter().all(zoned)
    }

    /// Whether the values are dates without a time of day.
    pub(super) fn is_date(&self) -> bool {
        let day =
            |format: &&str| format.starts_with('%') && !["%H", "%-H", "%I"].iter().any(|part| format.contains(part));
        self.formats.iter().all(day)
    }
}

/// The rules of formats by their names.
pub(super) fn rules(names: &[&'static str], hour24: bool) -> TimeRules {
    TimeRules::new(
        names.iter().filter_map(|name| TimeFormat::parse(name)).collect(),
        hour24,
    )
}

/// One time of a text: microseconds of an instant or of a day.
fn reading(rules: &TimeRules, text: &str, utc: &Calendar) -> Option<i64> {
    if rules.is_time_only() {
        rules.time_of_day(text)
    } else {
        rules.instant(text, utc)
    }
}

/// How the times among `values` are written; `None` where they are no times.
pub(super) fn times(name: &str, values: &[&str]) -> Option<Times> {
    let utc = Calendar::new("UTC", "00:00")?;
    let is_number = |value: &&&str| {
        value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && value.matches('.').count() < 2
    };
    let numbers = values.iter().filter(is_number).count();
    let names: Vec<&'static str> = if ratio(numbers, values.len()) >= 0.95 {
        packed(name, values)
    } else {
        PATTERNS.split('|').collect()
    };
    let ends_day = values
        .iter()
        .any(|value| value.contains("24:00") || value.get(8..10) == Some("24"));
    let found = best(&names, values, false, &utc);
    if ends_day && found.as_ref().is_none_or(|found| found.unread > 0) {
        return best(&names, values, true, &utc).or(found);
    }
    found.or_else(|| best(&RARE.split('|').collect::<Vec<_>>(), values, false, &utc))
}

/// Formats of plain numbers, by their length. Only a name that speaks of time makes a number a count of
/// seconds, a time of day or a spreadsheet's serial.
fn packed(name: &str, values: &[&str]) -> Vec<&'static str> {
    let share = |length: usize| {
        ratio(
            values.iter().filter(|value| value.len() == length).count(),
            values.len(),
        )
    };
    for (length, format) in [
        (14, "%Y%m%d%H%M%S"),
        (17, "%Y%m%d%H%M%S%3f"),
        (12, "%Y%m%d%H%M"),
        (8, "%Y%m%d"),
    ] {
        if share(length) >= 0.95 {
            return vec![format];
        }
    }
    if !says_time(name) {
        return Vec::new();
    }
    // 2000 to 2040
    let within = |unit: i64| {
        let meant = |value: &&&str| {
            value
                .parse::<i64>()
                .is_ok_and(|number| (946_684_800..2_208_988_800).contains(&number.div_euclid(unit)))
        };
        ratio(values.iter().filter(meant).count(), values.len()) >= 0.95
    };
    for (unit, format) in [(1, "epoch_s"), (1_000, "epoch_ms"), (1_000_000, "epoch_us")] {
        if within(unit) {
            return vec![format];
        }
    }
    for (length, format) in [(6, "%H%M%S"), (4, "%H%M")] {
        if share(length) >= 0.95 {
            return vec![format];
        }
    }
    let serial = |value: &&&str| {
        value
            .parse::<f64>()
            .is_ok_and(|number| (20_000.0..60_000.0).contains(&number))
    };
    if ratio(values.iter().filter(serial).count(), values.len()) >= 0.95 {
        return vec!["excel"];
    }
    Vec::new()
}

/// The formats that together read the values.
fn best(names: &[&'static str], values: &[&str], hour24: bool, utc: &Calendar) -> Option<Times> {
    let first = values.get(..values.len().min(200))?;
    let mut read: Vec<(&'static str, Vec<Option<i64>>)> = Vec::new();
    let mut clocks = HashSet::new();
    for name in names {
        let rules = rules(&[*name], hour24);
        if first.iter().any(|value| reading(&rules, value, utc).is_some()) {
            read.push((*name, values.iter().map(|value| reading(&rules, value, utc)).collect()));
            if rules.is_time_only() {
                clocks.insert(*name);
            }
        }
    }
    let count = |readings: &[Option<i64>]| readings.iter().flatten().count();
    let most = read.iter().map(|(_, readings)| count(readings)).max()?;
    if ratio(most, values.len()) < 0.2 {
        return None;
    }
    let mut choices: Vec<&(&'static str, Vec<Option<i64>>)> = Vec::new();
    for found in read.iter().filter(|(_, readings)| count(readings) == most) {
        if !choices.iter().any(|known| known.1 == found.1) {
            choices.push(found);
        }
    }
    let (name, readings) = *choices.first()?;
    let read_by = |formats: &[&'static str]| {
        let rules = rules(formats, hour24);
        values
            .iter()
            .filter(|value| reading(&rules, value, utc).is_some())
            .count()
    };
    let mut formats = vec![*name];
    let mut open: Vec<bool> = readings.iter().map(Option::is_none).collect();
    let mut agreed = most;
    while formats.len() < 3 && agreed < values.len() {
        let gain = |readings: &[Option<i64>]| {
            let gained = readings.iter().zip(&open).filter(|(at, open)| **open && at.is_some());
            gained.count()
        };
        let fellow = |other: &str| clocks.contains(other) == clocks.contains(name);
        let next = read
            .iter()
            .filter(|(other, readings)| fellow(other) && gain(readings) > 0)
            .max_by_key(|(_, readings)| gain(readings));
        let Some((next, readings)) = next else { break };
        formats.push(*next);
        // a format of the other order of day and month makes more texts ambiguous than it reads
        let more = read_by(&formats);
        if more <= agreed {
            formats.pop();
            break;
        }
        agreed = more;
        open = open
            .iter()
            .zip(readings)
            .map(|(open, at)| *open && at.is_none())
            .collect();
    }
    if ratio(agreed, values.len()) < COVERED {
        return None;
    }
    let clock = clocks.contains(name);
    let choices = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    Some(Times {
        choices: if choices.len() > 1 { choices } else { Vec::new() },
        hour24,
        clock,
        unread: values.len() - agreed,
        half_lost: if clock { half_lost(&formats, values, utc) } else { 0.0 },
        formats,
    })
}

/// The share of times of day without AM or PM, where none of them is before 1 or after 12 o'clock.
fn half_lost(formats: &[&'static str], values: &[&str], utc: &Calendar) -> f64 {
    let bare: Vec<&'static str> = formats
        .iter()
        .copied()
        .filter(|format| !format.contains("%p"))
        .collect();
    let rules = rules(&bare, false);
    let hours: Vec<i64> = values
        .iter()
        .filter_map(|value| reading(&rules, value, utc))
        .map(|micros| micros / 3_600_000_000)
        .collect();
    let few = hours.len() < 100;
    if few || hours.iter().any(|hour| !(1..=12).contains(hour)) {
        0.0
    } else {
        ratio(hours.len(), values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(name: &str, values: &[&str]) -> Vec<&'static str> {
        times(name, values).map(|times| times.formats).unwrap_or_default()
    }

    #[test]
    fn every_pattern_is_one_that_contracts_accept() {
        for pattern in PATTERNS.split('|').chain(RARE.split('|')) {
            assert!(TimeFormat::parse(pattern).is_some(), "{pattern}");
        }
    }

    #[test]
    fn times_of_the_field_are_recognised() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("bjsj", &["20250304050607", "20250305060708"], "%Y%m%d%H%M%S"),
            (
                "PassTime",
                &["20250304050607123", "20250305060708001"],
                "%Y%m%d%H%M%S%3f",
            ),
            ("TimeCreate", &["1/1/2022 1:07", "1/25/2022 15:56"], "%m/%d/%Y %H:%M"),
            ("d", &["25/1/2022 15:56", "1/2/2022 3:04"], "%d/%m/%Y %H:%M"),
            (
                "t",
                &["01/13/2024 11:02:03 PM", "01/02/2024 01:02:03 AM"],
                "%m/%d/%Y %I:%M:%S %p",
            ),
            (
                "timeStamp",
                &["2015-12-10 17:40:00", "2015-12-10 17:40:01"],
                "%Y-%m-%d %H:%M:%S",
            ),
            ("t", &["2024-09-24 17:45", "2024-09-24 18:00"], "%Y-%m-%d %H:%M"),
            ("date", &["2021-05-21T16:00:00Z", "2021-05-21T17:00:00Z"], "rfc3339"),
            (
                "t",
                &["2025年3月4日 13时06分07秒", "2025年12月4日 3时06分07秒"],
                "%Y年%m月%d日 %H时%M分%S秒",
            ),
            ("received", &["07:08", "23:41"], "%H:%M"),
            ("ResponseDate", &["1704090050000", "1704090145000"], "epoch_ms"),
            ("created_at", &["1704090050", "1704090145"], "epoch_s"),
            ("Date", &["45720", "45721"], "excel"),
            ("csrq", &["19900307", "19851231"], "%Y%m%d"),
        ];
        for (name, values, expected) in cases {
            assert_eq!(formats(name, values), [*expected], "{name}");
        }
    }

    #[test]
    fn numbers_are_no_times() {
        assert!(formats("case_number", &["210914012", "210914013"]).is_empty());
        assert!(
            formats("value", &["1704090050000", "1704090145000"]).is_empty(),
            "no name speaks of time"
        );
        assert!(formats("code", &["320302001", "320302002"]).is_empty());
        assert!(formats("n", &["45720", "45721"]).is_empty());
    }

    #[test]
    fn an_open_order_of_day_and_month_stays_open() {
        let open = times("Date", &["01/02/24", "03/04/24"]).expect("dates");
        assert_eq!(open.choices, ["%m/%d/%y", "%d/%m/%y"]);
        let settled = times("Date", &["01/02/24", "01/13/24"]).expect("dates");
        assert!(settled.choices.is_empty());
    }

    #[test]
    fn two_formats_in_one_column_and_a_lost_half_of_the_day() {
        let mut values = Vec::new();
        for minute in 0..60 {
            values.push(format!("1:{minute:02}:42"));
            values.push(format!("12:{minute:02}:42"));
            values.push(format!("3:{minute:02}:42 AM"));
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let found = times("Time", &values).expect("times");
        assert_eq!(found.formats, ["%H:%M:%S", "%I:%M:%S %p"]);
        assert!(found.clock && found.half_lost > 0.6);
    }

    #[test]
    fn the_end_of_a_day_is_a_declaration() {
        let found = times("t", &["2025-03-04 24:00:00", "2025-03-04 05:06:07"]);
        assert!(found.is_some_and(|times| times.hour24));
    }
}
