//! `calendar_baseline(slot, count, {options}) STRUCT<expected DOUBLE, variance DOUBLE, size DOUBLE, upper DOUBLE, p
//! DOUBLE, alarm BOOLEAN, reason VARCHAR>`
//!
//! Is an hour odd for this hour of the week? Options: `period`, slots after which the calendar repeats (168, the hours of
//! a week; 7 for days); `k`, the periods back (12); `alpha`, the one-sided level (0.001); `floor`, the least mean (0.05).
//! `size` is that of the negative binomial, NULL where the counts vary no more than a Poisson. `reason`: history, gap,
//! order, unknown, `no_count`. Holidays and shifted working days are another calendar: mask them or judge them apart.
//!
//! ```sql
//! SELECT hour, calendar_baseline(hour, n, {'period': 2, 'k': 3}) OVER (ORDER BY hour) AS verdict
//! FROM (VALUES (1, 4), (2, 9), (3, 5), (4, 8), (5, 6), (6, 7), (7, 20)) AS t (hour, n)
//! ```

use datafusion::error::Result;

use super::detector::{Detector, Number};
use super::options::Options;
use crate::stat::calendar::{Calendar, Verdict};
use crate::stat::series::{Reason, Series};

/// The hours of a year: no calendar repeats later.
const LONGEST_PERIOD: i64 = 8_784;

/// The detector.
#[derive(Debug, Clone)]
pub(super) struct Judge(Calendar);

impl Detector for Judge {
    const NAME: &'static str = "calendar_baseline";
    const OPTIONS: &'static [&'static str] = &["period", "k", "alpha", "floor"];

    type Verdict = Verdict;
    const NUMBERS: &'static [Number<Verdict>] = &[
        ("expected", |verdict| Some(verdict.expected)),
        ("variance", |verdict| Some(verdict.variance)),
        ("size", |verdict| verdict.size),
        ("upper", |verdict| Some(verdict.upper)),
        ("p", |verdict| Some(verdict.p)),
    ];

    fn of(options: &Options) -> Result<Self> {
        let period = options.whole("period", 168, 1, LONGEST_PERIOD)?;
        let periods = options.whole("k", 12, 2, 520)?;
        let level = |alpha: f64| alpha > 0.0 && alpha < 1.0;
        let alpha = options.number("alpha", 0.001, "a level between 0 and 1", level)?;
        let floor = options.number("floor", 0.05, "a number above 0", |floor| {
            floor > 0.0 && floor.is_finite()
        })?;
        let slots = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let made = Calendar::new(slots(period), slots(periods), alpha, floor);
        made.map(Self)
            .ok_or_else(|| options.error("alpha as a level between 0 and 1", &alpha.to_string()))
    }

    fn at(&self, series: &Series, at: usize) -> std::result::Result<Verdict, Reason> {
        self.0.at(series, at)
    }

    fn alarm(verdict: &Verdict) -> bool {
        verdict.alarm
    }
}
