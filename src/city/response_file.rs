//! Dispatch and feedback files: rows re-derived from the county's calls, in the county's dialect. Call signs, officers' names and
//! details are there for the contracts to drop; no row here is kept or joined.

use std::io::{self, Write};

use super::City;
use super::alarm::{Call, spare_call, visit_calls};
use super::alarm_file::{filed_under, push_alarm_no};
use super::category::CATEGORIES;
use super::dirt::Dirt;
use super::means::{push_station, station_number};
use super::names::push_person;
use super::response::{Outcome, Response, conclude, respond};
use super::sheet::{Fate, FeedCount, Fields, Sheet};
use super::site::locate;
use super::text::{Moment, push_number, push_padded};
use crate::stat::random::{Stream, lane};

const OFFICER: u64 = lane("officer");

/// Defective dispatch rows per real row.
const DIRT_RATE: f64 = 0.0002;
const REASONS: [&str; 3] = ["type", "missing", "ragged"];
const ALARM_NO: usize = 1;
const DISPATCHED_AT: usize = 4;

/// Writes a county's dispatch file.
pub fn write_dispatches(city: &City, county: usize, out: &mut dyn Write) -> io::Result<FeedCount> {
    let dialect = city.gazetteer.counties[county].dialect;
    let mut dirt = Dirt::of(city.plan.seed, "dispatch", county, DIRT_RATE, &REASONS);
    let mut sheet = Sheet::start(out, dialect.encoding, dialect.dispatch_header());
    let mut fields = Fields::default();
    visit_calls(city, county, &mut |call| {
        for unit in 0..2 {
            let Some(response) = respond(city, county, call, unit) else {
                break;
            };
            fill_dispatch(city, county, call, unit, &response, &mut fields);
            fields.join(&mut sheet.row);
            sheet.end(Fate::Accepted)?;
            if let Some((reason, number)) = dirt.due() {
                let spare = spare_call(call, number);
                fill_dispatch(city, county, &spare, unit, &response, &mut fields);
                match reason {
                    "type" => fields.set(DISPATCHED_AT, "not a time"),
                    "missing" => fields.set(ALARM_NO, ""),
                    _ => fields.push("x"),
                }
                fields.join(&mut sheet.row);
                sheet.end(Fate::Rejected(reason))?;
            }
        }
        Ok(())
    })?;
    sheet.finish()
}

fn fill_dispatch(city: &City, county: usize, call: &Call, unit: u64, response: &Response, fields: &mut Fields) {
    let row = &city.gazetteer.counties[county];
    fields.begin();
    let number = fields.next();
    push_alarm_no(city, county, call.day, call.number, number);
    push_padded(number, unit + 1, 2);
    push_alarm_no(city, county, call.day, call.number, fields.next());
    fields.push(response.unit_kind);
    let site = locate(city, county, call);
    let number = station_number(city, county, filed_under(city, &site, call.day));
    push_station(city, county, number, fields.next());
    let mut time = |moment: Moment| row.dialect.push_time(fields.next(), moment);
    time(response.dispatched);
    time(response.acknowledged);
    time(response.enroute);
    let arrived = fields.next();
    if let Some(moment) = response.arrived {
        row.dialect.push_time(arrived, moment);
    }
    let sign = fields.next();
    sign.push('青');
    push_padded(sign, number, 2);
    sign.push('-');
    push_padded(sign, response.sign, 2);
}

/// Writes a county's feedback file.
pub fn write_feedbacks(city: &City, county: usize, out: &mut dyn Write) -> io::Result<FeedCount> {
    let dialect = city.gazetteer.counties[county].dialect;
    let mut sheet = Sheet::start(out, dialect.encoding, dialect.feedback_header());
    let mut fields = Fields::default();
    visit_calls(city, county, &mut |call| {
        let Some(response) = respond(city, county, call, 0) else {
            return Ok(());
        };
        let outcome = conclude(city, county, call, &response);
        if let Some(interim) = outcome.interim {
            fill_feedback(city, county, call, &outcome, Some(interim), &mut fields);
            fields.join(&mut sheet.row);
            sheet.end(Fate::Accepted)?;
        }
        fill_feedback(city, county, call, &outcome, None, &mut fields);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)
    })?;
    sheet.finish()
}

fn fill_feedback(
    city: &City,
    county: usize,
    call: &Call,
    outcome: &Outcome,
    interim: Option<Moment>,
    fields: &mut Fields,
) {
    let dialect = city.gazetteer.counties[county].dialect;
    let is_last = interim.is_none();
    let mut officer = Stream::keyed(city.plan.seed, OFFICER, county as u64, call.key);
    fields.begin();
    let number = fields.next();
    push_alarm_no(city, county, call.day, call.number, number);
    number.push_str(if is_last { "91" } else { "90" });
    push_alarm_no(city, county, call.day, call.number, fields.next());
    fields.push(if is_last { "1" } else { "0" });
    // Before the end only the call-taker's category is known.
    fields.push(CATEGORIES[if is_last { outcome.category } else { call.category }].code);
    let result = fields.next();
    push_padded(result, if is_last { outcome.result } else { 0 }, 2);
    dialect.push_time(fields.next(), outcome.handled);
    dialect.push_time(fields.next(), interim.unwrap_or(outcome.fed_back));
    push_person(&mut officer, fields.next());
    let detail = fields.next();
    detail.push_str("民警到场，");
    detail.push_str(["已调解", "已处理", "移交处理", "当事人离开", "已登记", "继续工作"][(officer.below(6)) as usize]);
    if officer.chance(0.05) {
        detail.push_str("，出动警力");
        push_number(detail, 2 + officer.below(4));
        detail.push('人');
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CityPlan, files};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_dispatched_call_has_one_final_feedback() -> io::Result<()> {
        let city = files(&CityPlan::scaled(3, 0.002));
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        write_dispatches(&city, 0, &mut sent)?;
        write_feedbacks(&city, 0, &mut told)?;
        let column = |bytes: &[u8], at: usize| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines()
                .skip(1)
                .map(|line| line.split(',').nth(at).unwrap_or("").to_owned())
                .collect()
        };
        let finals: Vec<String> = column(&told, 1)
            .into_iter()
            .zip(column(&told, 2))
            .filter(|(_, last)| last == "1")
            .map(|(number, _)| number)
            .collect();
        let once: BTreeSet<&String> = finals.iter().collect();
        assert_eq!(once.len(), finals.len());
        let dispatched: BTreeSet<String> = column(&sent, 1).into_iter().collect();
        assert!(finals.iter().all(|number| dispatched.contains(number)));
        Ok(())
    }
}
