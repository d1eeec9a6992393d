//! EARS: is today odd against the days just before it? Source: Hutwagner et al. 2003; Fricker, Hegler and Dunfee 2008.
//!
//! With `m` and `s` the mean and the sample standard deviation of the `baseline` counts before a slot, and `s` no less
//! than the least deviation: C1 takes the counts just before it; C2 leaves out two slots, so that a slow start does not
//! enter its own baseline; C3 asks for the excess of the two slots before over one deviation. An alarm is a count above
//! the limit, strictly.

use super::quantile::normal_upper;
use super::series::{Reason, Series};

/// Slots that C2 and C3 leave out.
const GUARD: usize = 2;

/// The three methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Against the slots just before.
    C1,
    /// Against those before the last two.
    C2,
    /// With the excess of the last two slots.
    C3,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ears {
    method: Method,
    baseline: usize,
    least: f64,
    z: f64,
}

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Mean of the baseline.
    pub expected: f64,
    /// The limit.
    pub upper: f64,
    /// The count in standard deviations; of C3 the sum of the excesses of the two slots before.
    pub z: f64,
    /// Whether the count is above the limit.
    pub alarm: bool,
}

impl Ears {
    /// A method with `baseline` slots, at the one-sided level `alpha`; `least` is the least deviation. `None` for less
    /// than two slots, a level outside `(0, 1)` or a least deviation below zero.
    #[must_use]
    pub fn new(method: Method, baseline: usize, alpha: f64, least: f64) -> Option<Ears> {
        let z = normal_upper(alpha).filter(|_| alpha > 0.0)?;
        (baseline >= 2 && least.is_finite() && least >= 0.0).then_some(Ears {
            method,
            baseline,
            least,
            z,
        })
    }

    /// The verdict on a row.
    ///
    /// # Errors
    /// Why there is none.
    pub fn at(&self, series: &Series, at: usize) -> Result<Verdict, Reason> {
        let count = series.count(at)?;
        let guard = if self.method == Method::C1 { 0 } else { GUARD };
        let (expected, deviation) = self.baseline(series, at, guard)?;
        let own = (count - expected) / deviation;
        let (upper, z) = match self.method {
            Method::C1 | Method::C2 => (expected + self.z * deviation, own),
            Method::C3 => {
                let mut earlier = 0.0;
                for before in 1..=GUARD {
                    if at < before {
                        return Err(Reason::History);
                    }
                    let (mean, deviation) = self.baseline(series, at - before, GUARD)?;
                    earlier += ((series.count(at - before)? - mean) / deviation - 1.0).max(0.0);
                }
                // what the earlier excess leaves of the limit, above the count itself: so it stands in `earsC` of R's
                // surveillance, where the slot's own excess does not bear on its alarm
                ((count + deviation * (self.z - earlier)).max(0.0), earlier)
            }
        };
        Ok(Verdict {
            expected,
            upper,
            z,
            alarm: count > upper,
        })
    }

    /// Mean and deviation of the slots before a row.
    fn baseline(&self, series: &Series, at: usize, guard: usize) -> Result<(f64, f64), Reason> {
        let counts = series.before(at, guard + 1, guard + self.baseline)?;
        #[expect(clippy::cast_precision_loss, reason = "a baseline has few slots")]
        let n = counts.len() as f64;
        let mean = counts.iter().sum::<f64>() / n;
        let squares: f64 = counts.iter().map(|count| (count - mean).powi(2)).sum();
        let deviation = (squares / (n - 1.0)).sqrt().max(self.least);
        if deviation > 0.0 {
            Ok((mean, deviation))
        } else {
            Err(Reason::Flat)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ears(method: Method) -> Ears {
        Ears::new(method, 3, 0.025, 0.0).expect("a method")
    }

    #[test]
    fn each_method_begins_with_the_first_slot_that_has_its_baseline() {
        let series = Series::without_gaps(&[1.0, 3.0, 2.0, 4.0, 1.0, 5.0, 2.0, 9.0, 9.0]);
        for (method, first) in [(Method::C1, 3), (Method::C2, 5), (Method::C3, 7)] {
            for at in 0..series.len() {
                let verdict = ears(method).at(&series, at);
                assert_eq!(verdict.is_ok(), at >= first, "{method:?} at {at}: {verdict:?}");
                assert!(at >= first || verdict == Err(Reason::History));
            }
        }
    }

    #[test]
    fn limits_follow_from_the_counts_before() {
        let series = Series::without_gaps(&[1.0, 2.0, 3.0, 9.0, 9.0, 4.0]);
        let verdict = ears(Method::C1).at(&series, 3).expect("a verdict");
        assert!(
            (verdict.expected, verdict.alarm) == (2.0, true) && (verdict.upper - 3.959_963_984_540_054).abs() < 1e-12
        );
        assert!((verdict.z - 7.0).abs() < 1e-12);
        let verdict = ears(Method::C2).at(&series, 5).expect("a verdict");
        assert_eq!((verdict.expected, verdict.alarm), (2.0, true));
    }

    #[test]
    fn equal_counts_give_a_limit_only_with_a_least_deviation() {
        let flat = Series::without_gaps(&[2.0; 9]);
        for method in [Method::C1, Method::C2, Method::C3] {
            assert_eq!(ears(method).at(&flat, 8), Err(Reason::Flat));
            let verdict = Ears::new(method, 3, 0.025, 0.5).expect("a method").at(&flat, 8);
            assert!(!verdict.expect("a verdict").alarm);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (baseline, alpha, least) in [
            (1, 0.01, 0.0),
            (7, 0.0, 0.0),
            (7, 1.0, 0.0),
            (7, f64::NAN, 0.0),
            (7, 0.01, -1.0),
        ] {
            assert_eq!(Ears::new(Method::C1, baseline, alpha, least), None);
        }
    }
}
