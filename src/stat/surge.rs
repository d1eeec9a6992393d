//! A day against the days before it, with exact integer sums.
//!
//! A sliding variance in floating point loses what it must hold: where all days are equal its residue is a
//! tiny number, below zero at times. Here sums stay integers and one root is taken at the end.

/// A day with at least one value, and the days before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surge {
    /// The day.
    pub day: i64,
    /// Values on it.
    pub n: u64,
    /// Mean of the previous days, days without a value counted as zero.
    pub mean: f64,
    /// Sample standard deviation of the previous days; `None` for fewer than two.
    pub sd: Option<f64>,
}

/// Calls `take` with every day in rising order, each compared with the `previous` days just before it. One
/// value is one event on the day it names. Sorts `days`.
pub fn surges(days: &mut [i64], previous: u32, mut take: impl FnMut(Surge)) {
    days.sort_unstable();
    let counted: Vec<(i64, u64)> = days
        .chunk_by(|left, right| left == right)
        .map(|run| (run[0], run.len() as u64))
        .collect();
    let (mut from, mut sum, mut squares) = (0, 0u64, 0u128);
    let span = u64::from(previous);
    for (at, (day, n)) in counted.iter().enumerate() {
        while from < at && counted[from].0 < day.saturating_sub(i64::from(previous)) {
            let gone = counted[from].1;
            sum -= gone;
            squares -= u128::from(gone) * u128::from(gone);
            from += 1;
        }
        take(Surge {
            day: *day,
            n: *n,
            mean: sum as f64 / span.max(1) as f64,
            sd: deviation(span, sum, squares),
        });
        sum += n;
        squares += u128::from(*n) * u128::from(*n);
    }
}

/// The sample standard deviation of `count` numbers from their sum and the sum of their squares.
fn deviation(count: u64, sum: u64, squares: u128) -> Option<f64> {
    if count < 2 {
        return None;
    }
    let spread = u128::from(count) * squares - u128::from(sum) * u128::from(sum);
    Some((spread as f64 / (count as f64 * (count - 1) as f64)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_counted_by_hand(days in proptest::collection::vec(-30i64..30, 0..120), previous in 1u32..15) {
            let (mut sorted, mut found) = (days.clone(), Vec::new());
            surges(&mut sorted, previous, |surge| found.push(surge));
            let distinct: std::collections::BTreeSet<i64> = days.iter().copied().collect();
            prop_assert_eq!(found.len(), distinct.len());
            for (surge, day) in found.iter().zip(distinct) {
                let on = |day: i64| days.iter().filter(|other| **other == day).count() as f64;
                let before: Vec<f64> = (1..=i64::from(previous)).map(|back| on(day - back)).collect();
                let mean = before.iter().sum::<f64>() / before.len() as f64;
                prop_assert_eq!((surge.day, surge.n as f64), (day, on(day)));
                prop_assert!((surge.mean - mean).abs() < 1e-12);
                let squares: f64 = before.iter().map(|n| (n - mean) * (n - mean)).sum();
                match surge.sd {
                    Some(sd) => prop_assert!((sd - (squares / (before.len() as f64 - 1.0)).sqrt()).abs() < 1e-9),
                    None => prop_assert_eq!(before.len(), 1),
                }
            }
        }
    }

    #[test]
    fn equal_days_have_a_deviation_of_exactly_zero() {
        let mut days: Vec<i64> = (0..60).flat_map(|day| [day; 7]).collect();
        let mut found = Vec::new();
        surges(&mut days, 28, |surge| found.push(surge));
        assert!(
            found[28..]
                .iter()
                .all(|surge| surge.sd == Some(0.0) && surge.mean == 7.0)
        );
    }
}
