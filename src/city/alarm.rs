//! The stream of calls of one county, day by day in order of time: background, duplicate calls and planted extras. Every later
//! document of a call (dispatch, feedback) is a pure function of it, so nothing is kept; where it happened is
//! drawn in site.rs, text is made in alarm_file.rs.

use std::io;

use super::City;
use super::calendar::{classify, is_festival, season};
use super::category::{CATEGORIES, EVENING, Hours};
use super::gazetteer::Gazetteer;
use super::text::Moment;
use crate::stat::random::{Stream, cumulate, lane};

const DAY: u64 = lane("alarms of a day");

/// Marks the key of a planted call; background calls count up from zero within their day.
const PLANTED_KEY: u64 = 1 << 31;
/// Marks the key of a record that exists only to be refused.
pub const DIRT_KEY: u64 = 1 << 30;

/// Noise calls on the eve and first day of Spring Festival, as a multiple of an ordinary day.
pub const FESTIVAL_NOISE: f64 = 4.0;

/// One call, before its details are drawn.
#[derive(Clone, Debug)]
pub struct Call {
    /// Identifies the call within its county.
    pub key: u64,
    /// Key whose site it shares: its own, or that of the call it repeats.
    pub site_key: u64,
    /// Day of the call.
    pub day: i32,
    /// Second of that day.
    pub second: u32,
    /// Running number of the day, from 1.
    pub number: u32,
    /// Number of the main call when this one repeats it.
    pub main_number: Option<u32>,
    /// Index of the category.
    pub category: usize,
    /// Index of the planted event it belongs to.
    pub planting: Option<usize>,
    main: Option<usize>,
}

impl Call {
    /// A call at noon of a day that stands in no file; a pattern for [`spare_call`].
    pub fn example(day: i32) -> Self {
        new_call((day as u64) << 32, day, 43_200, 0, None)
    }

    /// When the call came in.
    pub fn moment(&self) -> Moment {
        Moment::at(self.day, i64::from(self.second))
    }
}

/// Rates and running sums that hold for the whole city.
#[derive(Debug)]
pub struct AlarmRates {
    per_county: Vec<f64>,
    hours: Vec<Vec<f64>>,
    evening: Vec<f64>,
    /// Running sums of the ways each category is reported.
    pub modes: Vec<Vec<f64>>,
    /// Running sums of the kinds of place of each category.
    pub kinds: Vec<Vec<f64>>,
}

fn hour_sums(hours: &Hours) -> Vec<f64> {
    cumulate(hours.iter().copied())
}

fn day_weights(day: i32) -> Vec<f64> {
    let ((kind, _), season, festival) = (classify(day), season(day), is_festival(day));
    let weight = |category: &super::category::Category| {
        let loud = if festival && category.code == "0203" {
            FESTIVAL_NOISE
        } else {
            1.0
        };
        category.weight * category.day_factor(kind, season) * loud
    };
    CATEGORIES.iter().map(weight).collect()
}

impl AlarmRates {
    /// Scales the background so that the days together hold about `alarms` calls.
    pub fn build(gazetteer: &Gazetteer, alarms: u64, first_day: i32, last_day: i32) -> Self {
        // City-centre districts call more often than their residents alone would: people work and shop there.
        let load =
            |county: &super::gazetteer::County| f64::from(county.population) * if county.urban { 1.3 } else { 0.85 };
        let all_loads: f64 = gazetteer.counties.iter().map(load).sum();
        let all_days: f64 = (first_day..=last_day)
            .map(|day| day_weights(day).iter().sum::<f64>())
            .sum();
        let scale = alarms as f64 / (all_loads * all_days);
        Self {
            per_county: gazetteer.counties.iter().map(|county| load(county) * scale).collect(),
            hours: CATEGORIES.iter().map(|category| hour_sums(category.hours)).collect(),
            evening: hour_sums(&EVENING),
            modes: CATEGORIES.iter().map(|category| cumulate(category.modes)).collect(),
            kinds: CATEGORIES.iter().map(|category| cumulate(category.places)).collect(),
        }
    }

    /// About how many calls a county has on all days.
    pub fn expected(&self, county: usize, first_day: i32, last_day: i32) -> u64 {
        let days: f64 = (first_day..=last_day)
            .map(|day| day_weights(day).iter().sum::<f64>())
            .sum();
        (self.per_county[county] * days) as u64
    }

    fn second(&self, category: usize, festival: bool, stream: &mut Stream) -> u32 {
        let loud = festival && CATEGORIES[category].code == "0203";
        let sums = if loud { &self.evening } else { &self.hours[category] };
        stream.pick(sums) as u32 * 3_600 + stream.below(3_600) as u32
    }
}

/// Gives every call of the county to `visit`, in order of time.
pub fn visit_calls(city: &City, county: usize, visit: &mut dyn FnMut(&Call) -> io::Result<()>) -> io::Result<()> {
    let mut calls = Vec::new();
    let mut order = Vec::new();
    let mut numbers = Vec::new();
    for day in city.first_day..=city.last_day {
        calls.clear();
        add_background(city, county, day, &mut calls);
        add_planted(city, county, day, &mut calls);
        // A repeat has a higher index than its main call, so that it also follows it within the same second.
        order.clear();
        order.extend(0..calls.len());
        order.sort_unstable_by_key(|&index: &usize| (calls[index].second, index));
        numbers.clear();
        numbers.resize(calls.len(), 0u32);
        for (rank, &index) in order.iter().enumerate() {
            numbers[index] = rank as u32 + 1;
        }
        for &index in &order {
            let main = calls[index].main.map(|main: usize| numbers[main]);
            let call = &mut calls[index];
            call.number = numbers[index];
            call.main_number = main;
            visit(call)?;
        }
    }
    Ok(())
}

fn add_background(city: &City, county: usize, day: i32, calls: &mut Vec<Call>) {
    let weights = day_weights(day);
    let sums = cumulate(weights);
    let mut stream = Stream::keyed(city.plan.seed, DAY, county as u64, day as u64);
    // Weather and chance move a whole day: counts are overdispersed, as real ones are.
    let mood = (0.07 * stream.normal()).exp();
    let mean = city.rates.per_county[county] * sums.last().copied().unwrap_or(0.0) * mood;
    let festival = is_festival(day);
    for index in 0..stream.poisson(mean) {
        let key = ((day as u64) << 32) | index;
        let repeats = calls
            .last()
            .filter(|last: &&Call| last.main.is_none() && !CATEGORIES[last.category].is_invalid());
        // 5.5 % of the calls that may be repeated are: about 4 % of all.
        let repeated = repeats.filter(|_| stream.chance(0.055)).cloned();
        let call = match repeated {
            Some(main) => {
                let second = main.second + 30 + stream.exponential(360.0) as u32;
                let at = calls.len() - 1;
                Call {
                    key,
                    second: second.min(86_399),
                    main: Some(at),
                    ..main
                }
            }
            None => {
                let category = stream.pick(&sums);
                let second = city.rates.second(category, festival, &mut stream);
                new_call(key, day, second, category, None)
            }
        };
        calls.push(call);
    }
}

fn new_call(key: u64, day: i32, second: u32, category: usize, planting: Option<usize>) -> Call {
    Call {
        key,
        site_key: key,
        day,
        second,
        number: 0,
        main_number: None,
        category,
        planting,
        main: None,
    }
}

fn add_planted(city: &City, county: usize, day: i32, calls: &mut Vec<Call>) {
    let plantings = city.planted.plantings.iter().enumerate();
    for (number, planting) in plantings.filter(|(_, planting)| planting.county == county) {
        let total = planting.calls_on(day);
        let first = calls.len();
        for index in 0..total {
            let key = ((day as u64) << 32) | PLANTED_KEY | ((number as u64) << 16) | u64::from(index);
            let mut stream = Stream::keyed(city.plan.seed, DAY, county as u64, key);
            let second = match planting.burst {
                Some((start, length)) => start + length * index / total.saturating_sub(1).max(1),
                None => city.rates.second(planting.category, false, &mut stream),
            };
            let mut call = new_call(key, day, second, planting.category, Some(number));
            if planting.shape == super::planted::Shape::Accident && index > 0 {
                call.main = Some(first);
            }
            calls.push(call);
        }
    }
}

/// A call that is not part of the city: the carrier of a planted defect.
pub fn spare_call(like: &Call, number: u64) -> Call {
    let key = ((like.day as u64) << 32) | DIRT_KEY | number;
    let mut call = new_call(key, like.day, like.second, like.category, None);
    // Real numbers of a day never come near nine hundred thousand.
    call.number = 900_000 + (number % 100_000) as u32;
    call
}

#[cfg(test)]
mod tests {
    use super::super::site::locate;
    use super::super::{CityPlan, files};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn calls_come_in_order_and_point_at_earlier_ones() -> io::Result<()> {
        let city = files(&CityPlan::scaled(5, 0.004));
        let (mut last, mut repeats, mut all) = (Moment(0), 0.0, 0.0);
        visit_calls(&city, 4, &mut |call| {
            assert!(call.moment() >= last);
            last = call.moment();
            all += 1.0;
            if let Some(main) = call.main_number {
                assert!(main < call.number);
                repeats += 1.0;
            }
            let site = locate(&city, 4, call);
            assert!(city.gazetteer.streets[site.street].ring.contains(site.point));
            Ok(())
        })?;
        assert!((0.02..0.07).contains(&(repeats / all)), "{}", repeats / all);
        Ok(())
    }

    #[test]
    fn festival_noise_is_loud() -> io::Result<()> {
        let city = files(&CityPlan::scaled(5, 0.2));
        let mut noise: BTreeMap<i32, f64> = BTreeMap::new();
        for county in 0..11 {
            visit_calls(&city, county, &mut |call| {
                if CATEGORIES[call.category].code == "0203" {
                    *noise.entry(call.day).or_default() += 1.0;
                }
                Ok(())
            })?;
        }
        let eve = noise.get(&20_116).copied().unwrap_or_default();
        let week_before = noise.get(&20_109).copied().unwrap_or(1.0);
        assert!(eve / week_before > 2.5, "{eve} {week_before}");
        Ok(())
    }
}
