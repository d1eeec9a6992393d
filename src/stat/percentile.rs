//! Exact percentiles of integers, several in one pass.
//!
//! Type 7 of Hyndman & Fan (1996): linear interpolation between closest ranks, which is
//! `percentile_cont`, numpy and R by default. It deliberately offers no sketch: an approximate
//! answer of a small group is a wrong answer.

use std::fmt;

/// Up to this many values a sort is cheaper than selecting, and simpler.
const SORT_LIMIT: usize = 32;

/// Which percentiles are wanted: shares in 0..=1, answered in the order in which they were asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    levels: Vec<f64>,
    /// Indexes of `levels`, ascending by level, so that each selection works on the tail of the one
    /// before.
    ascending: Vec<usize>,
}

impl Levels {
    /// Takes one or more levels, in any order, repetitions allowed.
    ///
    /// # Errors
    /// [`BadLevels`] for an empty list or a level outside 0..=1.
    pub fn new(levels: Vec<f64>) -> Result<Self, BadLevels> {
        if levels.is_empty() {
            return Err(BadLevels::Empty);
        }
        if let Some(wrong) = levels.iter().find(|level| !(0.0..=1.0).contains(*level)) {
            return Err(BadLevels::Outside(*wrong));
        }
        let mut ascending: Vec<usize> = (0..levels.len()).collect();
        ascending.sort_by(|a, b| levels[*a].total_cmp(&levels[*b]));
        Ok(Self { levels, ascending })
    }

    /// How many percentiles each group answers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.levels.len()
    }

    /// Writes the percentiles of `values` into `out`, in the order asked; reorders `values`.
    ///
    /// `out` has [`Levels::count`] places. Returns false, and leaves `out` alone, for no values or
    /// another length of `out`. Units are those of the values.
    pub fn of(&self, values: &mut [i64], out: &mut [f64]) -> bool {
        if values.is_empty() || out.len() != self.levels.len() {
            return false;
        }
        let sorted = values.len() <= SORT_LIMIT;
        if sorted {
            values.sort_unstable();
        }
        let last = (values.len() - 1) as f64;
        let mut settled = None; // the rank that already holds its value; smaller ones stand before it
        for &index in &self.ascending {
            let position = self.levels[index] * last;
            let rank = position as usize; // truncation is the floor of a non-negative number
            if !sorted && settled != Some(rank) {
                let start = settled.unwrap_or(0);
                values[start..].select_nth_unstable(rank - start);
                settled = Some(rank);
            }
            out[index] = between(values, rank, position - rank as f64);
        }
        true
    }
}

/// The value `fraction` of the way from the one at `rank` to the next larger; all beyond `rank` are
/// not smaller.
fn between(values: &[i64], rank: usize, fraction: f64) -> f64 {
    let lower = values[rank];
    if fraction <= 0.0 {
        return lower as f64;
    }
    // a sorted slice finds its minimum at once as well: it is at most SORT_LIMIT long
    let upper = values[rank + 1..].iter().min().copied().unwrap_or(lower);
    // the gap of two integers may not fit an i64
    lower as f64 + fraction * upper.abs_diff(lower) as f64
}

/// One exact percentile of integers; reorders `values`.
///
/// `None` for no values or a level outside 0..=1. Source and units as in [`Levels`].
///
/// ```
/// assert_eq!(fenghuo::stat::percentile::percentile(&mut [4, 1, 3, 2], 0.5), Some(2.5));
/// ```
#[must_use]
pub fn percentile(values: &mut [i64], level: f64) -> Option<f64> {
    let mut out = [0.0];
    Levels::new(vec![level]).ok()?.of(values, &mut out).then_some(out[0])
}

/// The median of the distances to the median (Hampel 1974); reorders `values`. `None` for no values.
///
/// ```
/// assert_eq!(fenghuo::stat::percentile::median_absolute_deviation(&mut [1, 2, 4, 900]), Some(1.5));
/// ```
#[must_use]
pub fn median_absolute_deviation(values: &mut [i64]) -> Option<f64> {
    let median = percentile(values, 0.5)?;
    let mut distances: Vec<f64> = values.iter().map(|value| (*value as f64 - median).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let middle = distances.len() / 2;
    Some(if distances.len() % 2 == 1 {
        distances[middle]
    } else {
        f64::midpoint(distances[middle - 1], distances[middle])
    })
}

/// Why a list of levels was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BadLevels {
    /// No level at all.
    Empty,
    /// This one is not a share.
    Outside(f64),
}

impl fmt::Display for BadLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadLevels::Empty => f.write_str("expected at least one level, found none"),
            BadLevels::Outside(level) => {
                write!(f, "expected levels between 0 and 1, found {level}")
            }
        }
    }
}

impl std::error::Error for BadLevels {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain and slow: sort everything, interpolate.
    fn slow(values: &[i64], level: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let position = level * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
        low as f64 + (position - position.floor()) * high.abs_diff(low) as f64
    }

    /// A small multiplicative generator: tests need scatter, not chance.
    fn scatter(n: usize, modulus: i64) -> Vec<i64> {
        let mut state: u64 = 88_172_645_463_325_252;
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 1).cast_signed() % modulus - modulus / 3
        };
        (0..n).map(|_| step()).collect()
    }

    #[test]
    fn many_levels_in_any_order_equal_a_full_sort() {
        let wanted = vec![0.9, 0.0, 0.5, 1.0, 0.95, 0.5, 0.999, 0.25];
        let levels = Levels::new(wanted.clone()).unwrap();
        for n in [1, 2, 3, 31, 32, 33, 34, 100, 1000, 4097] {
            for modulus in [3, 50, 1_000_000_007] {
                let values = scatter(n, modulus);
                let mut out = vec![f64::NAN; wanted.len()];
                assert!(levels.of(&mut values.clone(), &mut out));
                let expected: Vec<f64> = wanted.iter().map(|level| slow(&values, *level)).collect();
                assert_eq!(out, expected, "{n} {modulus}");
            }
        }
    }

    #[test]
    fn numpy_examples_are_met() {
        // numpy.percentile([15, 20, 35, 40, 50], 40) = 29
        assert!((percentile(&mut [50, 15, 40, 20, 35], 0.4).unwrap() - 29.0).abs() < 1e-12);
        assert_eq!(percentile(&mut [7], 0.3), Some(7.0));
    }

    #[test]
    fn the_order_of_values_does_not_change_the_answer() {
        let mut values = scatter(999, 1_000_003);
        let first = percentile(&mut values, 0.9);
        values.reverse();
        values.rotate_left(123);
        assert_eq!(percentile(&mut values, 0.9), first);
    }

    #[test]
    fn the_widest_gap_does_not_overflow() {
        assert_eq!(percentile(&mut [i64::MAX, i64::MIN], 0.5), Some(0.0));
    }

    #[test]
    fn no_values_and_no_levels_are_refused() {
        assert_eq!(percentile(&mut [], 0.5), None);
        assert_eq!(Levels::new(vec![]), Err(BadLevels::Empty));
        for wrong in [-0.1, 1.1, 50.0, f64::NAN] {
            assert!(matches!(Levels::new(vec![0.5, wrong]), Err(BadLevels::Outside(_))));
        }
        assert_eq!(
            BadLevels::Outside(90.0).to_string(),
            "expected levels between 0 and 1, found 90"
        );
    }
}
