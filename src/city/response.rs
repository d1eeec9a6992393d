//! What happened after a call: whether a unit was sent, when it acknowledged, left and arrived, and when the result was fed back.
//! Pure functions of the call, because the dispatch and the feedback file are written apart and have to agree. Writes no text.

use super::City;
use super::alarm::Call;
use super::category::CATEGORIES;
use super::planted::Shape;
use super::text::Moment;
use crate::stat::random::{Stream, lane};

const UNIT: u64 = lane("dispatch");
const RESULT: u64 = lane("feedback");

/// Chance that a dispatched call gets a second unit.
const SECOND_UNIT: f64 = 0.08;
/// Share of dispatches whose arrival was never entered.
const ARRIVAL_MISSING: f64 = 0.06;
/// Share of dispatches whose arrival is entered before the dispatch.
const ARRIVAL_REVERSED: f64 = 0.005;
/// Share of calls whose category the feedback corrects.
const CORRECTED: f64 = 0.06;
/// Share of fed-back calls with an interim feedback before the final one.
const INTERIM: f64 = 0.03;

/// One unit sent to one call.
#[derive(Clone, Debug)]
pub struct Response {
    /// When it was sent.
    pub dispatched: Moment,
    /// When it acknowledged.
    pub acknowledged: Moment,
    /// When it left.
    pub enroute: Moment,
    /// When it says it arrived.
    pub arrived: Option<Moment>,
    /// Kind of unit.
    pub unit_kind: &'static str,
    /// Number on the call sign.
    pub sign: u64,
}

/// The outcome of a dispatched call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the work was done.
    pub handled: Moment,
    /// When the final feedback was entered.
    pub fed_back: Moment,
    /// When an interim feedback was entered before it.
    pub interim: Option<Moment>,
    /// Index of the final category.
    pub category: usize,
    /// Result code.
    pub result: u64,
}

/// The `unit`-th unit (0 or 1) sent to a call.
pub fn respond(city: &City, county: usize, call: &Call, unit: u64) -> Option<Response> {
    let category = &CATEGORIES[call.category];
    let mut first = Stream::keyed(city.plan.seed, UNIT, county as u64, call.key);
    let is_assembly = planted_shape(city, call) == Some(Shape::Assembly);
    // A repeated call rides on the unit that was sent to the main one.
    let likely = if call.main_number.is_some() {
        0.02
    } else {
        category.dispatched
    };
    if !first.chance(likely) && !is_assembly {
        return None;
    }
    if unit > 0 && !first.chance(SECOND_UNIT) {
        return None;
    }
    let mut stream = Stream::keyed(city.plan.seed, UNIT ^ (unit + 1), county as u64, call.key);
    let urgency = 0.7 + 0.2 * f64::from(category.priority);
    let dispatched = call
        .moment()
        .plus(6.0 + stream.exponential(34.0 * urgency) + 30.0 * unit as f64);
    let acknowledged = dispatched.plus(2.0 + stream.exponential(18.0));
    let enroute = acknowledged.plus(5.0 + stream.exponential(55.0));
    let arrived = arrival(city, county, call, dispatched, enroute, &mut stream);
    Some(Response {
        dispatched,
        acknowledged,
        enroute,
        arrived,
        unit_kind: unit_kind(category.is_traffic(), &mut stream),
        sign: stream.below(60),
    })
}

fn unit_kind(is_traffic: bool, stream: &mut Stream) -> &'static str {
    match stream.below(20) {
        0..=13 if is_traffic => "traffic",
        0..=9 => "station",
        10..=13 => "police_post",
        _ => "patrol",
    }
}

fn arrival(
    city: &City,
    county: usize,
    call: &Call,
    dispatched: Moment,
    enroute: Moment,
    stream: &mut Stream,
) -> Option<Moment> {
    let row = &city.gazetteer.counties[county];
    if row.dialect.is_batch {
        // Entered by hand after the fact: a whole minute, never more than five after the dispatch, never missing.
        let next_minute = dispatched.0.div_euclid(60) * 60 + 60;
        return Some(Moment(next_minute + 60 * stream.between(0, 3)));
    }
    let kind = stream.uniform();
    if kind < ARRIVAL_MISSING {
        return None;
    }
    if kind < ARRIVAL_MISSING + ARRIVAL_REVERSED {
        return Some(dispatched.plus(-20.0 - stream.exponential(120.0)));
    }
    let hour = call.second / 3_600;
    let rush = if matches!(hour, 7 | 8 | 17 | 18) { 1.3 } else { 1.0 };
    let (median, sigma) = if row.urban { (270.0, 0.55) } else { (620.0, 0.65) };
    Some(enroute.plus(20.0 + stream.lognormal(median * rush, sigma).min(14_000.0)))
}

/// The outcome of a call whose first unit is `response`.
pub fn conclude(city: &City, county: usize, call: &Call, response: &Response) -> Outcome {
    let mut stream = Stream::keyed(city.plan.seed, RESULT, county as u64, call.key);
    let on_scene = response
        .arrived
        .map_or(response.enroute, |arrived| arrived.max(response.enroute));
    let handled = on_scene.plus(120.0 + stream.lognormal(1_300.0, 0.8).min(80_000.0));
    let is_batch = city.gazetteer.counties[county].dialect.is_batch;
    let delay = if is_batch {
        200.0 + 1_400.0 * stream.uniform()
    } else {
        feedback_delay(&mut stream)
    };
    let category = match planted_shape(city, call) {
        Some(Shape::Assembly) => "0901",
        // A planted event keeps its category: what is hidden must be findable by category as well.
        None if stream.chance(CORRECTED) => CATEGORIES[call.category].corrected,
        _ => CATEGORIES[call.category].code,
    };
    Outcome {
        handled,
        fed_back: handled.plus(delay),
        interim: stream.chance(INTERIM).then(|| handled.plus(delay * 0.4)),
        category: super::category::category_index(category),
        result: 1 + stream.below(6),
    }
}

/// Seconds from the end of the work to the feedback, in the steps of a published bulletin.
fn feedback_delay(stream: &mut Stream) -> f64 {
    let (from, to) = match stream.uniform() {
        draw if draw < 0.35 => (60.0, 1_800.0),
        draw if draw < 0.58 => (1_800.0, 3_600.0),
        draw if draw < 0.806 => (3_600.0, 7_200.0),
        draw if draw < 0.926 => (7_200.0, 14_400.0),
        _ => (14_400.0, 72_000.0),
    };
    from + (to - from) * stream.uniform()
}

fn planted_shape(city: &City, call: &Call) -> Option<Shape> {
    call.planting.map(|number| city.planted.plantings[number].shape)
}

#[cfg(test)]
mod tests {
    use super::super::alarm::visit_calls;
    use super::super::{CityPlan, files};
    use super::*;

    #[test]
    fn shares_and_batch_arrivals_are_as_stated() -> std::io::Result<()> {
        let city = files(&CityPlan::scaled(7, 0.03));
        for county in [4, 6] {
            let (mut calls, mut sent, mut missing, mut reversed) = (0.0, 0.0, 0.0, 0.0);
            visit_calls(&city, county, &mut |call| {
                calls += 1.0;
                let Some(response) = respond(&city, county, call, 0) else {
                    return Ok(());
                };
                sent += 1.0;
                match response.arrived {
                    None => missing += 1.0,
                    Some(arrived) if arrived < response.dispatched => reversed += 1.0,
                    Some(arrived) if county == 6 => {
                        assert_eq!(arrived.0 % 60, 0);
                        assert!((0..=300).contains(&(arrived.0 - response.dispatched.0)));
                    }
                    Some(_) => {}
                }
                let outcome = conclude(&city, county, call, &response);
                assert!(outcome.fed_back >= outcome.handled);
                Ok(())
            })?;
            assert!((0.40..0.50).contains(&(sent / calls)), "{}", sent / calls);
            let share: f64 = if county == 6 { 0.0 } else { 0.06 };
            assert!((missing / sent - share).abs() < 0.015);
            assert!(reversed / sent < 0.012);
        }
        Ok(())
    }
}
