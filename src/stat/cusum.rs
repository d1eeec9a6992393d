//! CUSUM: has the level of a series risen, a little but for good? Source: Page 1954; Rossi, Lampugnani and Marchi 1999.
//!
//! The first `train` counts of a series are its training, `m` is their mean. From then on
//! `c = max(0, c + g(count) - k)`, which begins with 0; `g` turns a count of mean `m` into about a standard normal
//! value. An alarm is a sum that reaches `h`; it does not reset the sum, as in `algo.cusum` of R's surveillance.
//!
//! A sum is made of all slots since the training. So the first slot that is missing, is not known or is no count ends a
//! series: it and all rows after it have no verdict. Rows before the first count are no part of the training.

use super::series::{Reason, Series, follow, mean};

/// How a count `y` of mean `m` is made about standard normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// `(y - m) / √m`
    Standard,
    /// `(y - 3 m + 2 √(m y)) / (2 √m)` (Rossi et al. 1999)
    Rossi,
    /// `1.5 · (y^(2/3) - m^(2/3)) / m^(1/6)`, Anscombe's residual
    Anscombe,
}

impl Transform {
    /// The value of a count, 0 or more, whose mean is above 0.
    fn of(self, count: f64, mean: f64) -> f64 {
        match self {
            Transform::Standard => (count - mean) / mean.sqrt(),
            Transform::Rossi => (count - 3.0 * mean + 2.0 * mean.sqrt() * count.sqrt()) / (2.0 * mean.sqrt()),
            Transform::Anscombe => 1.5 * (count.powf(2.0 / 3.0) - mean.powf(2.0 / 3.0)) / mean.powf(1.0 / 6.0),
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cusum {
    transform: Transform,
    train: usize,
    allowance: f64,
    limit: f64,
}

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Mean of the training, in counts.
    pub expected: f64,
    /// The count, about standard normal.
    pub z: f64,
    /// The sum, 0 or more.
    pub sum: f64,
    /// Whether the sum reaches the limit.
    pub alarm: bool,
}

/// The sum on its way.
#[derive(Debug)]
struct State {
    mean: f64,
    sum: f64,
}

impl Cusum {
    /// Trained with `train` slots, 1 or more; `allowance`, the `k` that each slot takes from the sum, 0 or more;
    /// `limit`, the `h` of the sum, above 0. `None` for anything else. Usual are 1.04 and 2.26.
    #[must_use]
    pub fn new(transform: Transform, train: usize, allowance: f64, limit: f64) -> Option<Cusum> {
        let fits = train >= 1 && allowance >= 0.0 && allowance.is_finite() && limit > 0.0 && limit.is_finite();
        fits.then_some(Cusum {
            transform,
            train,
            allowance,
            limit,
        })
    }

    /// The verdicts on all rows, in their order, in one pass.
    ///
    /// In place of a verdict stands why there is none: [`Reason::History`] within the training, [`Reason::Flat`] where
    /// all its counts are 0, else what ended the series.
    #[must_use]
    pub fn all(&self, series: &Series) -> Vec<Result<Verdict, Reason>> {
        self.first(series, series.len())
    }

    /// The verdict on a row, from all rows up to it: for every row of a series ask [`Cusum::all`].
    ///
    /// # Errors
    /// Why there is none, as in [`Cusum::all`]; [`Reason::History`] for a row that the series does not have.
    pub fn at(&self, series: &Series, at: usize) -> Result<Verdict, Reason> {
        if at >= series.len() {
            return Err(Reason::History);
        }
        self.first(series, at + 1).pop().unwrap_or(Err(Reason::History))
    }

    fn first(&self, series: &Series, rows: usize) -> Vec<Result<Verdict, Reason>> {
        let begin = |training: &[f64]| {
            let mean = mean(training);
            // every transformation divides by a power of it
            if mean > 0.0 {
                Ok(State { mean, sum: 0.0 })
            } else {
                Err(Reason::Flat)
            }
        };
        follow(series, rows, self.train, begin, |state, count| self.step(state, count))
    }

    fn step(&self, state: &mut State, count: f64) -> Verdict {
        let z = self.transform.of(count, state.mean);
        state.sum = (state.sum + z - self.allowance).max(0.0);
        Verdict {
            expected: state.mean,
            z,
            sum: state.sum,
            alarm: state.sum >= self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const EACH: [Transform; 3] = [Transform::Standard, Transform::Rossi, Transform::Anscombe];

    fn cusum(transform: Transform, train: usize) -> Cusum {
        Cusum::new(transform, train, 0.5, 2.0).expect("a method")
    }

    #[test]
    fn sums_follow_from_the_counts_and_are_not_reset() {
        let series = Series::without_gaps(&[3.0, 5.0, 4.0, 7.0, 8.0, 4.0, 0.0]);
        let verdicts = cusum(Transform::Standard, 3).all(&series);
        assert_eq!(verdicts[..3], [Err(Reason::History); 3]);
        // mean 4: excess 1.5, 2, 0 and -2, less 0.5 each
        let expected = [
            (1.5, 1.0, false),
            (2.0, 2.5, true),
            (0.0, 2.0, true),
            (-2.0, 0.0, false),
        ];
        for (verdict, (z, sum, alarm)) in verdicts[3..].iter().zip(expected) {
            let expected = 4.0;
            assert_eq!(
                *verdict,
                Ok(Verdict {
                    expected,
                    z,
                    sum,
                    alarm
                })
            );
        }
    }

    #[test]
    fn a_count_at_its_mean_is_nothing_and_each_transformation_has_its_own_curve() {
        for transform in EACH {
            assert!(transform.of(4.0, 4.0).abs() < 1e-12, "{transform:?}");
        }
        // mean 1, count 8
        let found = EACH.map(|transform| transform.of(8.0, 1.0));
        let expected = [7.0, 2.5 + 8.0_f64.sqrt(), 4.5];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn what_gives_no_sum_has_its_reason() {
        for transform in EACH {
            let verdicts = cusum(transform, 2).all(&Series::without_gaps(&[0.0, 0.0, 5.0, 5.0]));
            assert_eq!(verdicts[2..], [Err(Reason::Flat); 2]);
            let counts = [1.0, 2.0, 3.0, f64::NAN, 3.0].map(Some);
            let verdicts = cusum(transform, 2).all(&Series::new(&[1, 2, 3, 4, 5], &counts, 1));
            assert!(verdicts[2].is_ok());
            assert_eq!(verdicts[3..], [Err(Reason::NoCount); 2]);
            assert_eq!(
                cusum(transform, 2).at(&Series::without_gaps(&[]), 0),
                Err(Reason::History)
            );
        }
        for (train, allowance, limit) in [(0, 1.04, 2.26), (56, -0.1, 2.26), (56, f64::NAN, 2.26), (56, 1.04, 0.0)] {
            assert_eq!(Cusum::new(Transform::Rossi, train, allowance, limit), None);
        }
    }

    proptest! {
        #[test]
        fn sums_are_numbers_and_a_higher_count_never_lowers_them(
            counts in vec(prop_oneof![9 => 0..40_u32, 1 => 0..1_000_000_u32], 8..60),
            at in 4..60_usize,
            more in 1..50_u32,
        ) {
            let of = |counts: &[u32], transform| {
                let counts: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
                cusum(transform, 4).all(&Series::without_gaps(&counts))
            };
            let mut raised = counts.clone();
            if let Some(count) = raised.get_mut(at) {
                *count += more;
            }
            for transform in EACH {
                for (own, raised) in of(&counts, transform).iter().zip(&of(&raised, transform)) {
                    match (own, raised) {
                        (Ok(own), Ok(raised)) => {
                            prop_assert!(own.sum.is_finite() && own.z.is_finite() && own.sum >= 0.0, "{own:?}");
                            prop_assert!(raised.sum >= own.sum && own.alarm <= raised.alarm, "{own:?} {raised:?}");
                        }
                        (own, raised) => prop_assert_eq!(own, raised),
                    }
                }
            }
        }
    }
}
