//! EWMA: has the level of a series risen, a little but for a while? Source: Roberts 1959; Montgomery 2009, §9.2.
//!
//! The first `train` counts of a series are its training; `m` and `s` are their mean and sample standard deviation, `s`
//! no less than the least deviation. From then on `e = w · count + (1 - w) · e`, which begins with `m`, and its limit
//! after `k` slots is `m + width · s · √(w / (2 - w) · (1 - (1 - w)^(2 k)))`. An alarm is an average above the limit,
//! strictly; it does not reset the average.
//!
//! An average is made of all slots since the training. So the first slot that is missing, is not known or is no count
//! ends a series: it and all rows after it have no verdict. Rows before the first count are no part of the training.

use super::series::{Reason, Series, follow, mean};

/// The least weight: with a smaller one the average would not leave the mean in a lifetime of slots.
const LEAST_WEIGHT: f64 = 1e-6;
/// No deviation of counts; its share in an average is still a number to divide by.
const LEAST_DEVIATION: f64 = 1e-150;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ewma {
    train: usize,
    weight: f64,
    width: f64,
    least: f64,
}

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Mean of the training, in counts.
    pub expected: f64,
    /// The weighted average of the slot and those before it, in counts.
    pub average: f64,
    /// The limit of the average, in counts.
    pub upper: f64,
    /// The average less the mean, in standard deviations of the average.
    pub z: f64,
    /// Whether the average is above the limit.
    pub alarm: bool,
}

/// The average on its way.
#[derive(Debug)]
struct State {
    mean: f64,
    deviation: f64,
    average: f64,
    slots: f64,
}

impl Ewma {
    /// Trained with `train` slots, 2 or more; `weight` of the newest slot, 1e-6 to 1; `width` of the limit in standard
    /// deviations, above 0; `least` is the least deviation of a count, 0 or more. `None` for anything else.
    #[must_use]
    pub fn new(train: usize, weight: f64, width: f64, least: f64) -> Option<Ewma> {
        let fits = train >= 2 && (LEAST_WEIGHT..=1.0).contains(&weight) && least >= 0.0 && width > 0.0;
        (fits && least.is_finite() && width.is_finite()).then_some(Ewma {
            train,
            weight,
            width,
            least,
        })
    }

    /// The verdicts on all rows, in their order, in one pass.
    ///
    /// In place of a verdict stands why there is none: [`Reason::History`] within the training, [`Reason::Flat`] where
    /// the training has no deviation, else what ended the series.
    #[must_use]
    pub fn all(&self, series: &Series) -> Vec<Result<Verdict, Reason>> {
        self.first(series, series.len())
    }

    /// The verdict on a row, from all rows up to it: for every row of a series ask [`Ewma::all`].
    ///
    /// # Errors
    /// Why there is none, as in [`Ewma::all`]; [`Reason::History`] for a row that the series does not have.
    pub fn at(&self, series: &Series, at: usize) -> Result<Verdict, Reason> {
        if at >= series.len() {
            return Err(Reason::History);
        }
        self.first(series, at + 1).pop().unwrap_or(Err(Reason::History))
    }

    fn first(&self, series: &Series, rows: usize) -> Vec<Result<Verdict, Reason>> {
        let begin = |training: &[f64]| self.begin(training);
        follow(series, rows, self.train, begin, |state, count| self.step(state, count))
    }

    fn begin(&self, training: &[f64]) -> Result<State, Reason> {
        let mean = mean(training);
        let squares: f64 = training.iter().map(|count| (count - mean).powi(2)).sum();
        let deviation = (squares / (as_number(training.len()) - 1.0)).sqrt().max(self.least);
        // equal counts have one as well where their mean is rounded
        if deviation > (mean * f64::EPSILON * 16.0).max(LEAST_DEVIATION) {
            Ok(State {
                mean,
                deviation,
                average: mean,
                slots: 0.0,
            })
        } else {
            Err(Reason::Flat)
        }
    }

    fn step(&self, state: &mut State, count: f64) -> Verdict {
        state.slots += 1.0;
        state.average = self.weight * count + (1.0 - self.weight) * state.average;
        // 1 - (1 - w)^(2 k), which keeps its digits where the weight is small
        let settled = -(2.0 * state.slots * (-self.weight).ln_1p()).exp_m1();
        let deviation = state.deviation * (self.weight / (2.0 - self.weight) * settled).sqrt();
        let upper = state.mean + self.width * deviation;
        Verdict {
            expected: state.mean,
            average: state.average,
            upper,
            z: (state.average - state.mean) / deviation,
            alarm: state.average > upper,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "slots are far below 2^53")]
fn as_number(slots: usize) -> f64 {
    slots as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn ewma(train: usize) -> Ewma {
        Ewma::new(train, 0.5, 3.0, 0.0).expect("a method")
    }

    #[test]
    fn averages_and_limits_follow_from_the_counts() {
        let series = Series::without_gaps(&[1.0, 2.0, 3.0, 4.0, 9.0, 2.0]);
        let verdicts = ewma(3).all(&series);
        assert_eq!(verdicts[..3], [Err(Reason::History); 3]);
        // mean 2, deviation 1: halves of 4, 9 and 2 with what was before; variance 1/3 · (1 - 4^-k)
        let shares = [0.25_f64, 0.3125, 0.328_125];
        for (at, (average, share)) in [3.0, 6.0, 4.0].into_iter().zip(shares).enumerate() {
            let verdict = verdicts[3 + at].expect("a verdict");
            assert_eq!((verdict.expected, verdict.average), (2.0, average));
            assert!(
                (verdict.upper - (2.0 + 3.0 * share.sqrt())).abs() < 1e-12,
                "{verdict:?}"
            );
            assert!(
                (verdict.z - (average - 2.0) / share.sqrt()).abs() < 1e-12,
                "{verdict:?}"
            );
            assert_eq!(verdict.alarm, [false, true, true][at]);
        }
    }

    #[test]
    fn what_is_missing_ends_a_series_but_not_before_its_training() {
        let slots = [1, 2, 5, 6, 7, 8, 9, 12, 13];
        let known = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0].map(Some);
        let counts: Vec<Option<f64>> = [None, Some(-1.0)].into_iter().chain(known).collect();
        let verdicts = ewma(3).all(&Series::new(&slots, &counts, 1));
        assert_eq!(verdicts[0], Err(Reason::Unknown));
        assert_eq!(verdicts[1], Err(Reason::NoCount));
        assert_eq!(verdicts[2..5], [Err(Reason::History); 3]);
        assert!(verdicts[5].is_ok() && verdicts[6].is_ok());
        assert_eq!(verdicts[7..], [Err(Reason::Gap); 2]);
        // within the training as well, and what comes later changes nothing of it
        let counts = [Some(1.0), None, Some(2.0), Some(-3.0), Some(2.0)];
        let verdicts = ewma(2).all(&Series::new(&[1, 2, 3, 4, 4], &counts, 1));
        assert_eq!(verdicts[0], Err(Reason::History));
        assert_eq!(verdicts[1..], [Err(Reason::Unknown); 4]);
    }

    #[test]
    fn an_even_training_gives_a_limit_only_with_a_least_deviation() {
        for even in [0.0, 2.0, 0.1] {
            let series = Series::without_gaps(&[even, even, even, 5.0]);
            assert_eq!(ewma(3).at(&series, 3), Err(Reason::Flat));
            let verdict = Ewma::new(3, 0.5, 3.0, 0.5)
                .expect("a method")
                .at(&series, 3)
                .expect("a verdict");
            assert!(verdict.alarm && verdict.z.is_finite());
        }
        assert_eq!(ewma(3).at(&Series::without_gaps(&[]), 0), Err(Reason::History));
        assert!(ewma(3).all(&Series::without_gaps(&[])).is_empty());
        assert_eq!(ewma(3).at(&Series::without_gaps(&[1.0]), 7), Err(Reason::History));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (train, weight, width, least) in [
            (1, 0.3, 3.0, 0.0),
            (56, 0.0, 3.0, 0.0),
            (56, 1.1, 3.0, 0.0),
            (56, f64::NAN, 3.0, 0.0),
            (56, 0.3, 0.0, 0.0),
            (56, 0.3, f64::INFINITY, 0.0),
            (56, 0.3, 3.0, -1.0),
            (56, 0.3, 3.0, f64::NAN),
        ] {
            assert_eq!(Ewma::new(train, weight, width, least), None);
        }
        assert!(
            Ewma::new(usize::MAX, 1.0, 3.0, 0.0)
                .is_some_and(|made| { made.all(&Series::without_gaps(&[1.0, 2.0])) == [Err(Reason::History); 2] })
        );
    }

    proptest! {
        #[test]
        fn a_row_is_judged_alike_alone_and_with_all_others(
            counts in vec(option::weighted(0.97, prop_oneof![
                6 => (0..30_u32).prop_map(f64::from),
                1 => any::<f64>(),
            ]), 1..60),
            jump in 0..60_i64,
            train in 2..8_usize,
            weight in 0.01..1.0_f64,
        ) {
            let slot = |at: i64| at + i64::from(at > jump);
            let slots: Vec<i64> = (0..).map(slot).take(counts.len()).collect();
            let series = Series::new(&slots, &counts, 1);
            let method = Ewma::new(train, weight, 3.0, 0.0).expect("a method");
            let verdicts = method.all(&series);
            prop_assert_eq!(verdicts.len(), counts.len());
            for (at, verdict) in verdicts.iter().enumerate() {
                prop_assert_eq!(verdict, &method.at(&series, at));
                if let Ok(verdict) = verdict {
                    let numbers = [verdict.expected, verdict.average, verdict.upper, verdict.z];
                    prop_assert!(numbers.iter().all(|number| number.is_finite()), "{verdict:?}");
                    prop_assert!(verdict.upper >= verdict.expected && verdict.average >= 0.0, "{verdict:?}");
                }
            }
        }

        #[test]
        fn a_greater_unit_changes_neither_alarm_nor_z(counts in vec(0..200_u32, 12..40), times in 2..9_u32) {
            let of = |unit: u32| {
                let counts: Vec<f64> = counts.iter().map(|count| f64::from(count * unit)).collect();
                ewma(6).all(&Series::without_gaps(&counts))
            };
            for (one, many) in of(1).iter().zip(&of(times)) {
                match (one, many) {
                    (Ok(one), Ok(many)) => prop_assert!((one.z - many.z).abs() < 1e-9 * (1.0 + one.z.abs())),
                    (one, many) => prop_assert_eq!(one.err(), many.err()),
                }
            }
        }
    }
}
