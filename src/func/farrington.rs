//! `farrington(slot, count, {options}) STRUCT<expected DOUBLE, upper DOUBLE, exceedance DOUBLE, score DOUBLE, p
//! DOUBLE, phi DOUBLE, trend DOUBLE, alarm BOOLEAN, reason VARCHAR>`
//!
//! Is a week odd given season, trend and past surges? Options: `freq`, slots of a year (52); `b`, years back (5); `w`,
//! slots to each side of a year's slot (3); `periods`, windows and blocks of a year (10); `left_out`, newest slots that
//! are not in the baseline (26); `cut`, the residual from which on a past count has less weight (2.58); `trend_level`,
//! the p-value below which the trend is kept (1: always, unless the forecast is above every count of the baseline);
//! `method`, 'nb_plugin' (the limit is a quantile of the negative binomial), 'muan' or 'delta' (a normal limit on the
//! scale of the power 2/3); `alpha`, the one-sided level (0.005); `least_events` of the last four slots for an alarm
//! (5), below which `upper` is NULL and `reason` `few_events`; `compat`, 'r' for the forecast error of the R package
//! surveillance. `last` makes a night cheap, since only the newest slot is new. `reason`: history, gap, order, unknown,
//! `no_count`, flat, `few_events`. Source: Noufaily et al. 2013.
//!
//! ```sql
//! SELECT week, farrington(week, n, {'freq': 4, 'b': 3, 'w': 1, 'periods': 1, 'left_out': 0, 'last': 1}) OVER (ORDER BY week) AS verdict
//! FROM (VALUES (1, 4), (2, 6), (3, 5), (4, 7), (5, 6), (6, 4), (7, 5), (8, 6), (9, 5), (10, 4), (11, 6), (12, 5), (13, 6),
//!   (14, 19)) AS t (week, n)
//! ```

use datafusion::error::Result;

use super::detector::{Detector, Number};
use super::options::Options;
use crate::stat::farrington::{Farrington, Limit, Options as Asked, Verdict};
use crate::stat::series::{Reason, Series};

/// More slots than any year has: its hours.
const LONGEST_YEAR: i64 = 8_784;

/// The detector.
#[derive(Debug, Clone)]
pub(super) struct Judge(Farrington);

impl Detector for Judge {
    const NAME: &'static str = "farrington";
    const OPTIONS: &'static [&'static str] = &[
        "freq",
        "b",
        "w",
        "periods",
        "left_out",
        "cut",
        "trend_level",
        "method",
        "alpha",
        "least_events",
        "compat",
    ];

    type Verdict = Verdict;
    const NUMBERS: &'static [Number<Verdict>] = &[
        ("expected", |verdict| Some(verdict.expected)),
        ("upper", |verdict| verdict.upper),
        ("exceedance", |verdict| Some(verdict.exceedance)),
        ("score", |verdict| Some(verdict.score)),
        ("p", |verdict| Some(verdict.p)),
        ("phi", |verdict| Some(verdict.phi)),
        ("trend", |verdict| verdict.trend),
    ];

    fn of(options: &Options) -> Result<Self> {
        let default = Asked::default();
        let slots = |key: &str, default: usize, least: i64, most: i64| -> Result<usize> {
            let number = options.whole(key, i64::try_from(default).unwrap_or(least), least, most)?;
            Ok(usize::try_from(number).unwrap_or(default))
        };
        let above = |number: f64| number.is_finite() && number > 0.0;
        let asked = Asked {
            frequency: slots("freq", default.frequency, 2, LONGEST_YEAR)?,
            years: slots("b", default.years, 1, 50)?,
            half_window: slots("w", default.half_window, 0, LONGEST_YEAR)?,
            periods: slots("periods", default.periods, 1, LONGEST_YEAR)?,
            left_out: slots("left_out", default.left_out, 0, LONGEST_YEAR)?,
            cut: options.number("cut", default.cut, "a number above 0", above)?,
            trend_level: options.number("trend_level", default.trend_level, "0 to 1", |level| {
                (0.0..=1.0).contains(&level)
            })?,
            limit: match options
                .word("method", "nb_plugin", &["nb_plugin", "muan", "delta"])?
                .as_str()
            {
                "muan" => Limit::Muan,
                "delta" => Limit::Power(2.0 / 3.0),
                _ => Limit::Plugin,
            },
            alpha: options.number("alpha", default.alpha, "a level between 0 and 1", |alpha| {
                alpha > 0.0 && alpha < 1.0
            })?,
            least_events: options.number("least_events", default.least_events, "0 or more", |least| least >= 0.0)?,
            as_in_r: options.word("compat", "corrected", &["corrected", "r"])? == "r",
        };
        let found = format!(
            "freq {}, b {}, w {}, periods {}",
            asked.frequency, asked.years, asked.half_window, asked.periods
        );
        let made = Farrington::new(asked);
        made.map(Self)
            .ok_or_else(|| options.error("windows and blocks that fit into a year (2 w + periods ≤ freq)", &found))
    }

    fn at(&self, series: &Series, at: usize) -> std::result::Result<Verdict, Reason> {
        self.0.at(series, at)
    }

    fn alarm(verdict: &Verdict) -> bool {
        verdict.alarm
    }

    fn note(verdict: &Verdict) -> Option<&'static str> {
        verdict.upper.is_none().then_some("few_events")
    }
}
