//! Alarm files: one row a call in the county's dialect, with extra defective and repeated rows among them. The texts carry names,
//! telephone and identity numbers on purpose, for the contracts to drop; all of them are invented.

use std::io::{self, Write};

use super::alarm::{Call, spare_call, visit_calls};
use super::category::{CATEGORIES, HOME, PLACE_KINDS, REPORT_MODES, SHOP, STREET};
use super::dirt::{Dirt, Recall, Repeats};
use super::names::{PlaceKind, push_check_digit, push_person, push_phone};
use super::sheet::{BROKEN_BYTE, Fate, FeedCount, Fields, Sheet};
use super::site::{Site, has_caller, locate};
use super::text::{push_date, push_degrees, push_number, push_padded};
use super::{City, dialect::Dialect};
use crate::stat::random::{Stream, lane};

const PERSON: u64 = lane("caller");

/// Defective rows per real row; about 0.15 % together with those forced at the start of each file.
const DIRT_RATE: f64 = 0.0012;
const REPEAT_RATE: f64 = 0.001;
/// Share of misdialled and joke calls that have no position and no address at all.
const UNPLACED: f64 = 0.3;

const REASONS: [&str; 5] = ["ragged", "missing", "type", "range", "code"];
const REASONS_WITH_BYTES: [&str; 6] = ["undecodable", "ragged", "missing", "type", "range", "code"];

// Positions of the columns that defects touch.
const ALARM_NO: usize = 0;
const REPORTED_AT: usize = 2;
const CATEGORY: usize = 4;
const LON: usize = 8;
const LAT: usize = 9;
const ADDRESS: usize = 10;

/// Writes the number of a call: county, date, running number of the day; twenty digits.
pub fn push_alarm_no(city: &City, county: usize, day: i32, number: u32, out: &mut String) {
    out.push_str(city.gazetteer.counties[county].code);
    push_date(out, day, "");
    push_padded(out, u64::from(number), 6);
}

/// Writes a county's alarm file.
pub fn write_alarms(city: &City, county: usize, out: &mut dyn Write) -> io::Result<FeedCount> {
    let dialect = city.gazetteer.counties[county].dialect;
    let seed = city.plan.seed;
    let reasons: &[&str] = if dialect.has_broken_bytes {
        &REASONS_WITH_BYTES
    } else {
        &REASONS
    };
    let mut dirt = Dirt::of(seed, "alarm", county, DIRT_RATE, reasons);
    let mut repeats = Repeats::of(seed, "alarm", county, REPEAT_RATE);
    let mut sheet = Sheet::start(out, dialect.encoding, dialect.alarm_header());
    let mut fields = Fields::default();
    visit_calls(city, county, &mut |call| {
        fill(city, county, call, &mut fields);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
        match repeats.next() {
            Recall::Remember => sheet.remember(),
            Recall::Repeat => sheet.repeat(),
            Recall::Pass => {}
        }
        if let Some((reason, number)) = dirt.due() {
            let spare = spare_call(call, number);
            fill(city, county, &spare, &mut fields);
            spoil(&mut fields, reason, dirt.variant(6), dialect);
            fields.join(&mut sheet.row);
            sheet.end(Fate::Rejected(reason))?;
        }
        Ok(())
    })?;
    sheet.finish()
}

/// Rows of the file with forbidden columns.
const FORBIDDEN_ROWS: u32 = 20;

/// Writes twenty rows with two columns that no contract may take: a "key person" class and ethnicity.
pub fn write_forbidden(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let dialect = city.gazetteer.counties[0].dialect;
    let header = format!("{},重点人员类别,mz", dialect.alarm_header());
    let mut sheet = Sheet::start(out, dialect.encoding, &header);
    let mut fields = Fields::default();
    let pattern = Call::example(city.last_day);
    for number in 1..=FORBIDDEN_ROWS {
        let call = spare_call(&pattern, u64::from(number));
        fill(city, 0, &call, &mut fields);
        fields.push(["涉毒", "在逃", "", "涉稳"][number as usize % 4]);
        fields.push(["01", "03", "11", "05"][number as usize % 4]);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

/// Fills the sixteen fields of a call.
fn fill(city: &City, county: usize, call: &Call, fields: &mut Fields) {
    let row = &city.gazetteer.counties[county];
    let category = &CATEGORIES[call.category];
    let site = locate(city, county, call);
    let mut person = Stream::keyed(city.plan.seed, PERSON, county as u64, call.key);
    let is_placed = !(category.is_invalid() && person.chance(UNPLACED));
    fields.begin();
    push_alarm_no(city, county, call.day, call.number, fields.next());
    let main = fields.next();
    if let Some(number) = call.main_number {
        push_alarm_no(city, county, call.day, number, main);
    }
    row.dialect.push_time(fields.next(), call.moment());
    fields.push(REPORT_MODES[site.mode]);
    fields.push(category.code);
    push_number(fields.next(), u64::from(site.priority));
    fields.push(row.code);
    fields.push(&city.gazetteer.streets[filed_under(city, &site, call.day)].code);
    let (lon, lat) = if row.dialect.is_gcj02 {
        crate::place::crs::wgs84_to_gcj02(site.point.lon, site.point.lat)
    } else {
        (site.point.lon, site.point.lat)
    };
    for degrees in [lon, lat] {
        let field = fields.next();
        if is_placed {
            push_degrees(field, degrees);
        }
    }
    let address = fields.next();
    if is_placed {
        push_address(city, &site, address);
    }
    fields.push(if is_placed { PLACE_KINDS[site.kind] } else { "other" });
    fill_caller(&site, &mut person, fields);
    push_content(city, &site, category.text, &mut person, fields.next());
}

/// The street a call is filed under: its own, unless its station was merged into the neighbour.
pub fn filed_under(city: &City, site: &Site, day: i32) -> usize {
    let merged = &city.planted.merged;
    if site.street == merged.from_street && day >= merged.first_day {
        merged.into_street
    } else {
        site.street
    }
}

fn push_address(city: &City, site: &Site, out: &mut String) {
    let place = &city.gazetteer.places[site.place];
    let street = &city.gazetteer.streets[place.street];
    out.push_str(city.gazetteer.counties[street.county].name.0);
    out.push_str(&street.name.zh);
    out.push_str(&place.name.zh);
    // House numbers belong to roads; beside a landmark the address says where from the landmark it is.
    let is_road = place.kind == PlaceKind::Road;
    match site.kind {
        HOME => {
            out.push_str(if is_road { "" } else { "北侧小区" });
            push_number(out, site.house);
            out.push('号');
            push_number(out, 1 + site.house * 7 % 18);
            out.push('栋');
            push_number(out, 101 + site.house * 13 % 6 * 100 + site.house % 3);
            out.push('室');
        }
        SHOP => {
            // Few shops per place: the same public address has to return for a place to have a history.
            let shop = site.house % 12;
            out.push_str(if is_road { "" } else { "旁" });
            push_number(out, 10 + shop * 4);
            out.push('号');
            out.push_str(["便民超市", "五金店", "小吃店", "手机店"][(shop % 4) as usize]);
        }
        STREET if !is_road => out.push_str("附近"),
        STREET => {
            push_number(out, site.house);
            out.push_str("号附近");
        }
        _ => {}
    }
}

fn fill_caller(site: &Site, person: &mut Stream, fields: &mut Fields) {
    let is_known = has_caller(site);
    let name = fields.next();
    if is_known {
        push_person(person, name);
    }
    let phone = fields.next();
    if is_known {
        push_phone(person, phone);
    }
    let identity = fields.next();
    if is_known && person.chance(0.25) {
        identity.push_str("99");
        push_padded(identity, person.below(10_000), 4);
        push_padded(identity, 1_940 + person.below(65), 4);
        push_padded(identity, 1 + person.below(12), 2);
        push_padded(identity, 1 + person.below(28), 2);
        push_padded(identity, person.below(1_000), 3);
        push_check_digit(identity);
    }
}

fn push_content(city: &City, site: &Site, what: &str, person: &mut Stream, out: &mut String) {
    out.push_str("报警人称在");
    out.push_str(&city.gazetteer.places[site.place].name.zh);
    out.push('，');
    out.push_str(what);
    match person.below(40) {
        // Identifiers hide in free text, and free text holds separators and quotes: readers have to cope with both.
        0 => {
            out.push_str("，回拨电话");
            push_phone(person, out);
        }
        1 => out.push_str(", 称\"请尽快处理\", 已告知"),
        2..=14 => out.push_str("，现场有人等候"),
        _ => out.push_str("，请派人处理"),
    }
}

/// Commits one defect on an otherwise good row.
fn spoil(fields: &mut Fields, reason: &str, variant: u64, dialect: Dialect) {
    match reason {
        "ragged" if variant.is_multiple_of(2) => fields.drop_last(),
        "ragged" => fields.push("x"),
        "undecodable" => fields.field(ADDRESS).push(BROKEN_BYTE),
        "missing" if variant.is_multiple_of(2) => fields.set(ALARM_NO, ""),
        "missing" => fields.set(REPORTED_AT, ""),
        "type" if variant < 2 => {
            fields.set(
                REPORTED_AT,
                if dialect.is_pinyin {
                    "20250230100000"
                } else {
                    "2025-02-30 10:00:00"
                },
            );
        }
        "type" if variant < 4 => fields.set(REPORTED_AT, "not a time"),
        "type" => {
            fields.set(LON, "abc");
            refill_if_empty(fields, LAT, "40.300000");
        }
        "range" if variant.is_multiple_of(2) => {
            fields.set(LON, "999");
            refill_if_empty(fields, LAT, "40.300000");
        }
        "range" => {
            fields.set(LAT, "0");
            refill_if_empty(fields, LON, "101.600000");
        }
        _ => fields.set(CATEGORY, "ZZ99"),
    }
}

/// An unplaced call has neither coordinate; a defect in one of them must not leave the other one missing as well.
fn refill_if_empty(fields: &mut Fields, index: usize, text: &str) {
    if fields.field(index).is_empty() {
        fields.set(index, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_changes_one_thing() {
        let row = |reason: &str, variant| {
            let mut fields = Fields::default();
            fields.begin();
            for index in 0..16 {
                push_number(fields.next(), index);
            }
            spoil(&mut fields, reason, variant, Dialect::of("990101"));
            let mut row = String::new();
            fields.join(&mut row);
            row
        };
        assert_eq!(row("ragged", 0).split(',').count(), 15);
        assert_eq!(row("ragged", 1).split(',').count(), 17);
        assert_eq!(row("missing", 1).split(',').nth(REPORTED_AT), Some(""));
        assert_eq!(row("type", 0).split(',').nth(REPORTED_AT), Some("2025-02-30 10:00:00"));
        assert_eq!(row("code", 0).split(',').nth(CATEGORY), Some("ZZ99"));
        assert!(row("undecodable", 0).contains(BROKEN_BYTE));
    }
}
