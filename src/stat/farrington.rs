//! Farrington's algorithm in its improved form: is a slot odd given season, trend and past surges?
//!
//! Around the same slot of each of the last years lie windows of `2 w + 1` slots; what lies between them is cut into
//! blocks. A log-linear model with a level for the windows, one for each block, and a trend is fitted to them, past
//! surges are given less weight by their Anscombe residuals, and the forecast's upper limit follows. Slots are counted
//! back from the one that is judged: a year is `frequency` slots. Source: Farrington et al. 1996; Noufaily et al. 2013;
//! Salmon, Schumacher and Höhle 2016.

use super::beta::student_two_sided;
use super::counts::Counts;
use super::gamma::normal_tail;
use super::loglinear::{self, Data, Fit};
use super::quantile::normal_upper;
use super::series::{Reason, Series};

/// How the limit follows from the forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// The quantile of the negative binomial with the forecast's mean.
    Plugin,
    /// That with the upper limit of the forecast's mean (Salmon et al. 2016, "muan").
    Muan,
    /// The normal limit of a power of the count, such as 2/3.
    Power(f64),
}

/// How it is asked. The defaults are those of the improved algorithm.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Slots of a year.
    pub frequency: usize,
    /// Years back.
    pub years: usize,
    /// Slots to each side of a year's slot.
    pub half_window: usize,
    /// Windows and blocks of a year; 1 for windows alone.
    pub periods: usize,
    /// The newest slots that are left out, so that a surge that begins does not enter its own baseline.
    pub left_out: usize,
    /// Residual from which on a past count has less weight.
    pub cut: f64,
    /// The trend is kept where its p-value is below.
    pub trend_level: f64,
    /// How the limit is made.
    pub limit: Limit,
    /// The one-sided level of the limit.
    pub alpha: f64,
    /// Events that the last four slots must have for an alarm.
    pub least_events: f64,
    /// The dispersion of forecast and trend as the R package surveillance 1.20.3 has it: of prior weights where the
    /// fitted ones belong.
    pub as_in_r: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            frequency: 52,
            years: 5,
            half_window: 3,
            periods: 10,
            left_out: 26,
            cut: 2.58,
            trend_level: 1.0,
            limit: Limit::Plugin,
            alpha: 0.005,
            least_events: 5.0,
            as_in_r: false,
        }
    }
}

/// The algorithm with its options and what follows from them alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Farrington {
    options: Options,
    z: f64,
    /// The slots of the baseline, oldest first: how far back, and their group; windows have the last one.
    baseline: Vec<(usize, usize)>,
}

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The expected count.
    pub expected: f64,
    /// The limit; `None` where the last four slots have too few events.
    pub upper: Option<f64>,
    /// Whether the count is above the limit.
    pub alarm: bool,
    /// The excess as a share of the limit's distance from the expected count.
    pub exceedance: f64,
    /// The same as the R package has it, which subtracts the logarithm of the expected count where the limit is that of
    /// a negative binomial.
    pub score: f64,
    /// The chance of such a count or a higher one.
    pub p: f64,
    /// The dispersion, 1 or more.
    pub phi: f64,
    /// The trend of a slot on the logarithmic scale, where it was kept.
    pub trend: Option<f64>,
}

/// Slots that are looked at for events.
const RECENT: usize = 4;
/// Years that a trend asks for.
const TREND_YEARS: usize = 3;

impl Farrington {
    /// `None` for options that make no baseline: windows or blocks that do not fit into a year, no year, levels outside
    /// `(0, 1)`.
    #[must_use]
    pub fn new(options: Options) -> Option<Farrington> {
        let window = 2 * options.half_window + 1;
        let gap = options.frequency.checked_sub(window)?;
        let power = !matches!(options.limit, Limit::Power(power) if !(power > 0.0 && power <= 1.0));
        let fits = options.years >= 1 && options.periods >= 1 && (options.periods == 1 || gap + 1 >= options.periods);
        let level = options.alpha > 0.0 && options.cut > 0.0 && options.trend_level >= 0.0 && power;
        let z = normal_upper(options.alpha).filter(|_| fits && level)?;
        let baseline = baseline(&options, gap);
        (!baseline.is_empty()).then_some(Farrington { options, z, baseline })
    }

    /// The verdict on a row.
    ///
    /// # Errors
    /// Why there is none.
    pub fn at(&self, series: &Series, at: usize) -> Result<Verdict, Reason> {
        let count = series.count(at)?;
        let options = &self.options;
        let oldest = options.frequency * options.years + options.half_window;
        let before = series.before(at, options.left_out + 1, oldest)?;
        let recent: f64 = series.before(at, 0, RECENT - 1)?.iter().sum();
        let counts: Vec<f64> = self.baseline.iter().map(|(back, _)| before[oldest - back]).collect();
        let times: Vec<f64> = self.baseline.iter().map(|(back, _)| -as_number(*back)).collect();
        let groups: Vec<usize> = self.baseline.iter().map(|(_, group)| *group).collect();
        let data = Data {
            counts: &counts,
            times: &times,
            groups: &groups,
            number: options.periods,
        };
        let fit = self.fit(data).ok_or(Reason::Flat)?;
        self.verdict(&fit, count, recent)
    }

    /// The model with a trend where it stands, else without.
    fn fit(&self, data: Data<'_>) -> Option<Weighted> {
        let (options, highest) = (&self.options, data.counts.iter().copied().fold(0.0, f64::max));
        let kept = self.weighted(data, true).filter(|found| {
            let t = found.fit.slope.unwrap_or(0.0) / (found.dispersion * found.fit.slope_variance()).sqrt();
            let p = student_two_sided(t, found.fit.freedom);
            options.years >= TREND_YEARS && p < options.trend_level && self.eta(&found.fit).exp() <= highest
        });
        kept.or_else(|| self.weighted(data, false))
    }

    /// A fit with less weight for past surges.
    fn weighted(&self, data: Data<'_>, with_slope: bool) -> Option<Weighted> {
        let rows = data.counts.len();
        let first = loglinear::fit(data, &vec![1.0; rows], with_slope)?;
        let phi = first.dispersion.max(1.0);
        let weight = |row: usize| {
            let (count, mean) = (data.counts[row], first.means[row]);
            let residual = 1.5 * (count.powf(2.0 / 3.0) * mean.powf(-1.0 / 6.0) - mean.sqrt())
                / (phi * (1.0 - first.leverages[row])).sqrt();
            if residual > self.options.cut {
                residual.powi(-2)
            } else {
                1.0
            }
        };
        let mut weights: Vec<f64> = (0..rows).map(weight).collect();
        let all = as_number(rows) / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|weight| *weight *= all);
        let fit = loglinear::fit(data, &weights, with_slope)?;
        let in_r = |row: usize| weights[row] * ((data.counts[row] - fit.means[row]) / fit.means[row]).powi(2);
        let dispersion = match self.options.as_in_r {
            true => (0..rows).map(in_r).sum::<f64>() / fit.freedom,
            false => fit.dispersion,
        };
        Some(Weighted { fit, dispersion })
    }

    /// The forecast, on the logarithmic scale.
    fn eta(&self, fit: &Fit) -> f64 {
        fit.levels[self.options.periods - 1]
    }

    fn verdict(&self, found: &Weighted, count: f64, recent: f64) -> Result<Verdict, Reason> {
        let (options, fit) = (&self.options, &found.fit);
        let phi = fit.dispersion.max(1.0);
        let eta = self.eta(fit);
        let expected = eta.exp();
        let error = (found.dispersion * fit.level_variance(options.periods - 1)).sqrt();
        let (upper, p, predicted) = match options.limit {
            Limit::Plugin | Limit::Muan => {
                let mean = if options.limit == Limit::Muan {
                    (eta + self.z * error).exp()
                } else {
                    expected
                };
                let counts = Counts::spread(mean, phi);
                (counts.upper(options.alpha), counts.at_least(count), eta)
            }
            Limit::Power(power) => {
                let tau = phi + (expected * error).powi(2) / expected;
                // the deviation of a power of the count, by the delta method
                let deviation = power * (expected.powf(2.0 * power - 1.0) * tau).sqrt();
                let mean = expected.powf(power);
                let upper = (mean + self.z * deviation).powf(1.0 / power);
                (upper, normal_tail((count.powf(power) - mean) / deviation), expected)
            }
        };
        if !(expected.is_finite() && upper.is_finite()) {
            return Err(Reason::Flat);
        }
        let enough = recent >= options.least_events;
        Ok(Verdict {
            expected,
            upper: enough.then_some(upper),
            alarm: enough && count > 0.0 && count > upper,
            exceedance: (count - expected) / (upper - expected),
            score: (count - predicted) / (upper - predicted),
            p,
            phi,
            trend: fit.slope,
        })
    }
}

/// A fit with past surges weighted down, and the dispersion of its forecast and trend, not less than 0.
#[derive(Debug)]
struct Weighted {
    fit: Fit,
    dispersion: f64,
}

/// How far back each slot of the baseline lies, and its group.
fn baseline(options: &Options, gap: usize) -> Vec<(usize, usize)> {
    let (frequency, half, blocks) = (options.frequency, options.half_window, options.periods - 1);
    let group = |back: usize| {
        let nearest = (0..=options.years).find(|year| back.abs_diff(frequency * year) <= half);
        if nearest.is_some() {
            return Some(blocks);
        }
        // the first blocks between two windows are a slot longer where they do not come out even
        let older = back.div_ceil(frequency) * frequency;
        let into = older - back - half - 1;
        let length = gap.checked_div(blocks)?;
        let longer = gap % blocks;
        let first = longer * (length + 1);
        Some(match into < first {
            true => into / (length + 1),
            false => longer + (into - first) / length,
        })
    };
    let oldest = frequency * options.years + half;
    let slots = (options.left_out + 1..=oldest).rev();
    slots.filter_map(|back| Some((back, group(back)?))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "slots of a few years")]
fn as_number(slots: usize) -> f64 {
    slots as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_year_is_cut_into_windows_and_blocks() {
        let of = |periods, left_out| {
            let options = Options {
                frequency: 52,
                years: 2,
                half_window: 2,
                periods,
                left_out,
                ..Options::default()
            };
            baseline(&options, 47)
        };
        // the windows of two years alone, 2 slots to each side
        let windows: Vec<usize> = of(1, 10).iter().map(|(back, _)| *back).collect();
        assert_eq!(windows, [106, 105, 104, 103, 102, 54, 53, 52, 51, 50]);
        // 47 slots between windows in 5 blocks: two of ten slots first, forward in time
        let all = of(6, 2);
        assert_eq!(all.len(), 104);
        let between: Vec<usize> = all.iter().skip(5).take(47).map(|(_, group)| *group).collect();
        let sizes: Vec<usize> = (0..5)
            .map(|group| between.iter().filter(|own| **own == group).count())
            .collect();
        assert!(sizes == [10, 10, 9, 9, 9] && between.is_sorted());
        assert_eq!(all.iter().filter(|(_, group)| *group == 5).count(), 10);
    }

    #[test]
    fn options_that_make_no_baseline_are_refused() {
        let made = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            Farrington::new(options).is_some()
        };
        assert!(made(|_| {}));
        assert!(!made(|options| options.half_window = 26));
        assert!(!made(|options| options.periods = 47));
        assert!(!made(|options| options.years = 0));
        assert!(!made(|options| options.alpha = 1.0));
        assert!(!made(|options| options.left_out = 1_000));
        assert!(!made(|options| options.limit = Limit::Power(0.0)));
    }

    proptest! {
        #[test]
        fn a_verdict_is_of_one_piece_whatever_counts_come(
            counts in vec(prop_oneof![
                4 => (0..30_u32).prop_map(f64::from),
                2 => Just(0.0),
                1 => (0..1_000_000_u32).prop_map(f64::from),
            ], 170),
            quiet in 0..170_usize,
            method in prop_oneof![Just(Limit::Plugin), Just(Limit::Muan), Just(Limit::Power(2.0 / 3.0))],
            periods in prop_oneof![Just(1_usize), Just(10)],
            as_in_r in any::<bool>(),
        ) {
            let mut counts = counts;
            // long silences as well
            counts[..quiet].fill(0.0);
            let options = Options { years: 3, left_out: 12, periods, limit: method, as_in_r, ..Options::default() };
            let made = Farrington::new(options).expect("options");
            match made.at(&Series::without_gaps(&counts), 169) {
                Ok(verdict) => {
                    prop_assert!(verdict.expected.is_finite() && verdict.phi >= 1.0 && (0.0..=1.0).contains(&verdict.p), "{verdict:?}");
                    let upper = verdict.upper.unwrap_or(0.0);
                    prop_assert!(upper.is_finite() && upper >= 0.0, "{verdict:?}");
                    prop_assert_eq!(verdict.alarm, verdict.upper.is_some_and(|upper| counts[169] > upper && counts[169] > 0.0));
                }
                Err(why) => prop_assert!(why == Reason::Flat, "{why:?}"),
            }
        }
    }
}
