//! `cusum(slot, count, {options}) STRUCT<expected DOUBLE, z DOUBLE, sum DOUBLE, alarm BOOLEAN, reason VARCHAR>`
//!
//! Does a series run above its level, a little each day? The sum of the excesses above an allowance, never below 0. The
//! first `train` rows give the mean; `z` is the count's standardised excess. Options: `train` (56), `transform` 'standard',
//! 'rossi' or 'anscombe' (rossi, for small counts), `k`, the allowance (1.04), `h`, the sum from which on there is an alarm
//! (2.26), and `step` and `last` as of every series. The sum does not begin anew after an alarm. `reason` as for `ewma`;
//! flat where the mean is 0. Source: Page 1954; Rossi, Lampugnani and Marchi 1999.
//!
//! ```sql
//! SELECT day, cusum(day, n, {'train': 4}) OVER (ORDER BY day) AS drift
//! FROM (VALUES (1, 4), (2, 6), (3, 5), (4, 5), (5, 9), (6, 9)) AS t (day, n)
//! ```

use datafusion::error::Result;

use super::detector::{Detector, Number};
use super::ewma::training;
use super::options::Options;
use crate::stat::cusum::{Cusum, Transform, Verdict};
use crate::stat::series::{Reason, Series};

/// What judges.
#[derive(Debug, Clone)]
pub(super) struct Judge(Cusum);

impl Detector for Judge {
    const NAME: &'static str = "cusum";
    const OPTIONS: &'static [&'static str] = &["train", "transform", "k", "h"];
    type Verdict = Verdict;
    const NUMBERS: &'static [Number<Verdict>] = &[
        ("expected", |verdict| Some(verdict.expected)),
        ("z", |verdict| Some(verdict.z)),
        ("sum", |verdict| Some(verdict.sum)),
    ];

    fn of(options: &Options) -> Result<Self> {
        let train = training(options)?;
        let transform = match options
            .word("transform", "rossi", &["standard", "rossi", "anscombe"])?
            .as_str()
        {
            "standard" => Transform::Standard,
            "anscombe" => Transform::Anscombe,
            _ => Transform::Rossi,
        };
        let finite = |number: f64| number.is_finite() && number >= 0.0;
        let k = options.number("k", 1.04, "0 or more", finite)?;
        let h = options.number("h", 2.26, "a number above 0", |h| h.is_finite() && h > 0.0)?;
        Cusum::new(transform, train, k, h)
            .map(Judge)
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
