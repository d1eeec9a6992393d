//! `ewma(slot, count, {options}) STRUCT<expected DOUBLE, average DOUBLE, upper DOUBLE, z DOUBLE, alarm BOOLEAN, reason VARCHAR>`
//!
//! Does a series creep up, by less each day than one day shows? The exponentially weighted moving average of the counts
//! against its limit. The first `train` rows give mean and standard deviation. Options: `train` (56), `lambda`, the weight
//! of the newest count (0.3), `width` of the limit in standard deviations (3), `min_sigma`, the least standard deviation
//! (0.5), and `step` and `last` as of every series. `reason`: history while it trains, gap, order, unknown, no_count, flat;
//! after a gap there is nothing to go on from, so that the rest of the series has no verdict. Source: Roberts 1959; Lucas
//! and Saccucci 1990.
//!
//! ```sql
//! SELECT day, ewma(day, n, {'train': 4}) OVER (ORDER BY day) AS drift
//! FROM (VALUES (1, 4), (2, 6), (3, 5), (4, 5), (5, 9), (6, 9)) AS t (day, n)
//! ```

use datafusion::error::Result;

use super::detector::{Detector, Number};
use super::options::Options;
use crate::stat::ewma::{Ewma, Verdict};
use crate::stat::series::{Reason, Series};

/// Longer than any series is trained on.
const LONGEST_TRAINING: i64 = 100_000;

/// The option `train` (56), the rows that a series is trained on.
///
/// # Errors
/// A plan error naming function and option.
pub(super) fn training(options: &Options) -> Result<usize> {
    Ok(usize::try_from(options.whole("train", 56, 2, LONGEST_TRAINING)?).unwrap_or(56))
}

/// What judges.
#[derive(Debug, Clone)]
pub(super) struct Judge(Ewma);

impl Detector for Judge {
    const NAME: &'static str = "ewma";
    const OPTIONS: &'static [&'static str] = &["train", "lambda", "width", "min_sigma"];
    type Verdict = Verdict;
    const NUMBERS: &'static [Number<Verdict>] = &[
        ("expected", |verdict| Some(verdict.expected)),
        ("average", |verdict| Some(verdict.average)),
        ("upper", |verdict| Some(verdict.upper)),
        ("z", |verdict| Some(verdict.z)),
    ];

    fn of(options: &Options) -> Result<Self> {
        let train = training(options)?;
        let share = |weight: f64| (1e-6..=1.0).contains(&weight);
        let weight = options.number("lambda", 0.3, "a weight above 0, at most 1", share)?;
        let above = |width: f64| width.is_finite() && width > 0.0;
        let width = options.number("width", 3.0, "a number above 0", above)?;
        let least = options.number("min_sigma", 0.5, "0 or more", |least| least.is_finite() && least >= 0.0)?;
        let ewma = Ewma::new(train, weight, width, least);
        ewma.map(Judge)
            .ok_or_else(|| options.error("options within their ranges", "others"))
    }

    fn at(&self, series: &Series, at: usize) -> std::result::Result<Verdict, Reason> {
        self.0.at(series, at)
    }

    fn all(&self, series: &Series, first: usize) -> Vec<std::result::Result<Verdict, Reason>> {
        self.0.all(series).split_off(first)
    }

    fn alarm(verdict: &Verdict) -> bool {
        verdict.alarm
    }
}
