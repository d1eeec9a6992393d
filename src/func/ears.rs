//! `ears_c1|ears_c2|ears_c3(slot, count, {options}) STRUCT<expected DOUBLE, upper DOUBLE, z DOUBLE, alarm BOOLEAN,
//! reason VARCHAR>`
//!
//! Is a day odd against the days just before it? Options: `baseline`, slots of the baseline (7); `alpha`, the one-sided
//! level (0.001, of C3 0.025); `min_sigma`, the least standard deviation (0.5), without which equal counts give no
//! limit. `reason`: history, gap, order, unknown, `no_count`, flat. There is no day of the week in it: use it on the
//! ratio to the weekday's mean, or on workdays and weekends apart. Source: Hutwagner et al. 2003; Fricker et al. 2008.
//!
//! ```sql
//! SELECT day, ears_c1(day, n, {'baseline': 3}) OVER (ORDER BY day) AS verdict
//! FROM (VALUES (1, 4), (2, 6), (3, 5), (4, 5), (5, 19)) AS t (day, n)
//! ```

use datafusion::error::Result;

use super::detector::{Detector, Number};
use super::options::Options;
use crate::stat::ears::{Ears, Method, Verdict};
use crate::stat::series::{Reason, Series};

/// More slots than anybody calls recent.
const LONGEST_BASELINE: i64 = 366;

fn ears(options: &Options, method: Method) -> Result<Ears> {
    let level = if method == Method::C3 { 0.025 } else { 0.001 };
    let within = "a level between 0 and 1";
    let alpha = options.number("alpha", level, within, |alpha| alpha > 0.0 && alpha < 1.0)?;
    let least = options.number("min_sigma", 0.5, "0 or more", |least| least.is_finite() && least >= 0.0)?;
    let baseline = options.whole("baseline", 7, 2, LONGEST_BASELINE)?;
    let ears = Ears::new(method, usize::try_from(baseline).unwrap_or(2), alpha, least);
    ears.ok_or_else(|| options.error(&format!("alpha as {within}"), &alpha.to_string()))
}

/// One of the three, by its number.
#[derive(Debug, Clone)]
pub(super) struct C<const N: u8>(Ears);

impl<const N: u8> Detector for C<N> {
    const NAME: &'static str = match N {
        1 => "ears_c1",
        2 => "ears_c2",
        _ => "ears_c3",
    };
    const OPTIONS: &'static [&'static str] = &["baseline", "alpha", "min_sigma"];
    type Verdict = Verdict;
    const NUMBERS: &'static [Number<Verdict>] = &[
        ("expected", |verdict| Some(verdict.expected)),
        ("upper", |verdict| Some(verdict.upper)),
        ("z", |verdict| Some(verdict.z)),
    ];

    fn of(options: &Options) -> Result<Self> {
        let method = match N {
            1 => Method::C1,
            2 => Method::C2,
            _ => Method::C3,
        };
        ears(options, method).map(Self)
    }

    fn at(&self, series: &Series, at: usize) -> std::result::Result<Verdict, Reason> {
        self.0.at(series, at)
    }

    fn alarm(verdict: &Verdict) -> bool {
        verdict.alarm
    }
}
