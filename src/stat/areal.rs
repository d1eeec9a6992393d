//! Hot and cold places, and places unlike their neighbours: Getis and Ord's G, Moran's I, local and global.
//!
//! Permutations are conditional: a unit keeps its value, its neighbours get values of others. All units share the
//! draws of a replication, as in esda, so that a replication costs one draw and not one for each unit; the p-value of
//! each unit is that of its own permutation test. Source: Getis and Ord 1992; Ord and Getis 1995; Anselin 1995; Sokal,
//! Oden and Thomson 1998.

use std::collections::HashMap;

use super::gamma::normal_tail;
use super::random::{Stream, lane};
use super::stop::{Stop, Stopped};
use super::weights::Neighbours;

const LANE: u64 = lane("areal");
/// Values that permutations hold at most.
pub const MOST_DRAWS: usize = 200_000_000;

/// Deviations from the mean below this share of the standard deviation are none.
const ROUNDING: f64 = 1e-12;

/// The permutations that are asked for; none where `replications` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permutations {
    /// How many.
    pub replications: u32,
    /// Their seed.
    pub seed: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was told to stop.
    Stopped,
    /// More than [`MOST_DRAWS`] values: fewer neighbours or replications are needed.
    TooMany,
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Refused {
        Refused::Stopped
    }
}

/// Why a unit has no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has no neighbour.
    Island,
    /// All values are equal, or there are too few.
    Flat,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reason::Island => "island",
            Reason::Flat => "flat",
        }
    }
}

/// A unit's G.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hot {
    /// The neighbourhood's share of the sum of all values; no number where that is 0.
    pub g: f64,
    /// How far it is from what is expected, in standard deviations.
    pub z: f64,
    /// Two-sided, of the normal distribution.
    pub p: f64,
    /// Of the permutations, one-sided to the side it lies on.
    pub p_sim: Option<f64>,
}

/// A unit's I.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Local {
    /// Its value times the mean of its neighbours, both as deviations.
    pub i: f64,
    /// 1 high among high, 2 low among high, 3 low among low, 4 high among low.
    pub quadrant: u8,
    /// What is expected of I, given its value.
    pub expected: f64,
    /// The variance of I, given its value.
    pub variance: f64,
    /// How far it is from what is expected, in standard deviations; no number where nothing could move it: for a unit of just the
    /// mean, and one whose others are all equal.
    pub z: f64,
    /// Two-sided, of the normal distribution.
    pub p: f64,
    /// Of the permutations, one-sided to the side it lies on.
    pub p_sim: Option<f64>,
}

/// Moran's I of all units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Global {
    /// The autocorrelation.
    pub i: f64,
    /// What is expected of it without any.
    pub expected: f64,
    /// Its variance where values are normal.
    pub variance_normal: f64,
    /// Its variance where values are put in any order.
    pub variance_random: f64,
    /// Deviation under the latter.
    pub z: f64,
    /// Two-sided, of the normal distribution.
    pub p: f64,
    /// Of permutations of all values, one-sided to the side it lies on.
    pub p_sim: Option<f64>,
}

fn two_sided(z: f64) -> f64 {
    2.0 * normal_tail(z.abs())
}

fn sum_of(values: &[f64], neighbours: &[u32]) -> f64 {
    neighbours.iter().map(|other| values[*other as usize]).sum()
}

/// G of each unit; `with_self` for G*, which counts the unit among its neighbours. Weights are 0 or 1.
///
/// # Errors
/// [`Refused`].
pub fn hot(
    values: &[f64],
    neighbours: &Neighbours,
    with_self: bool,
    permutations: Permutations,
    stop: &Stop,
) -> Result<Vec<Result<Hot, Reason>>, Refused> {
    let n = values.len() as f64;
    let (sum, squares) = (values.iter().sum::<f64>(), sum_of_squares(values));
    let drawn = Drawn::new(values, neighbours, permutations, stop)?;
    let all_equal = all_equal(values);
    let unit = |at: usize| {
        let (own, others) = (values[at], neighbours.of(at));
        if others.is_empty() {
            return Err(Reason::Island);
        }
        let beside = sum_of(values, others);
        let (count, inside, of, total, squares) = if with_self {
            (others.len() as f64 + 1.0, beside + own, n, sum, squares)
        } else {
            (others.len() as f64, beside, n - 1.0, sum - own, squares - own * own)
        };
        let mean = total / of;
        let variance = squares / of - mean * mean;
        let spread = (of * count - count * count) / (of - 1.0);
        let deviation = (variance * spread).sqrt();
        if all_equal || deviation.is_nan() || deviation <= 0.0 {
            return Err(Reason::Flat);
        }
        let z = (inside - mean * count) / deviation;
        Ok(Hot {
            g: inside / total,
            z,
            p: two_sided(z),
            p_sim: drawn.as_ref().map(|drawn| drawn.p(at, others.len(), beside, values)),
        })
    };
    Ok((0..values.len()).map(unit).collect())
}

/// Sum of squares about 0.
fn sum_of_squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn all_equal(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0].total_cmp(&pair[1]).is_eq())
}

/// I of each unit; the weights of a unit's neighbours are equal and sum to 1.
///
/// # Errors
/// [`Refused`].
pub fn local(
    values: &[f64],
    neighbours: &Neighbours,
    permutations: Permutations,
    stop: &Stop,
) -> Result<Vec<Result<Local, Reason>>, Refused> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let drawn = Drawn::new(values, neighbours, permutations, stop)?;
    let flat = values.len() < 3 || all_equal(values) || squares.is_nan() || squares <= 0.0;
    let unit = |at: usize| {
        let others = neighbours.of(at);
        if others.is_empty() {
            return Err(Reason::Island);
        }
        if flat {
            return Err(Reason::Flat);
        }
        // the rounding of the mean is no deviation, and has no sign
        let own = Some(values[at] - mean).filter(|own| own.abs() > ROUNDING * (squares / n).sqrt());
        let (own, beside) = (own.unwrap_or(0.0), sum_of(values, others));
        let count = others.len() as f64;
        let lag = beside / count - mean;
        let moment = squares / n;
        let expected = -(own * own) / ((n - 1.0) * moment);
        // what all other units have in common moves nothing
        let others_vary = Some(moment - own * own / (n - 1.0)).filter(|left| *left > ROUNDING * moment);
        let variance =
            (own / moment).powi(2) * (n / (n - 2.0)) * (1.0 / count - 1.0 / (n - 1.0)) * others_vary.unwrap_or(0.0);
        let i = (n - 1.0) * own * lag / squares;
        let z = if variance > 0.0 {
            (i - expected) / variance.sqrt()
        } else {
            f64::NAN
        };
        Ok(Local {
            i,
            quadrant: match (own > 0.0, lag > 0.0) {
                (true, true) => 1,
                (false, true) => 2,
                (false, false) => 3,
                (true, false) => 4,
            },
            expected,
            variance,
            z,
            p: two_sided(z),
            p_sim: drawn.as_ref().map(|drawn| drawn.p(at, others.len(), beside, values)),
        })
    };
    Ok((0..values.len()).map(unit).collect())
}

/// I of all units; the weights of each unit's neighbours are equal and sum to 1, and one without any has none.
///
/// # Errors
/// [`Refused`].
pub fn global(
    values: &[f64],
    neighbours: &Neighbours,
    permutations: Permutations,
    stop: &Stop,
) -> Result<Option<Global>, Refused> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviations: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let squares = sum_of_squares(&deviations);
    if values.len() < 4 || all_equal(values) || squares.is_nan() || squares <= 0.0 {
        return Ok(None);
    }
    let weight = |unit: usize| 1.0 / neighbours.of(unit).len() as f64;
    let (mut whole, mut pairs, mut into) = (0.0, 0.0, vec![0.0; values.len()]);
    for unit in 0..values.len() {
        for other in neighbours.of(unit) {
            let back = neighbours.of(*other as usize).binary_search(&(unit as u32));
            let back = back.map_or(0.0, |_| weight(*other as usize));
            // a pair with one weight stands once in the sum over both orders, one with two stands twice
            let both = (weight(unit) + back).powi(2);
            pairs += if back > 0.0 { both } else { 2.0 * both };
            into[*other as usize] += weight(unit);
            whole += weight(unit);
        }
    }
    if whole <= 0.0 {
        return Ok(None);
    }
    let (s0, s1) = (whole, pairs / 2.0);
    let out = |unit: usize| if neighbours.of(unit).is_empty() { 0.0 } else { 1.0 };
    let s2: f64 = into
        .iter()
        .enumerate()
        .map(|(unit, into)| (into + out(unit)).powi(2))
        .sum();
    let at = |deviations: &[f64]| -> f64 {
        let unit = |unit: usize| {
            let others = neighbours.of(unit);
            (!others.is_empty()).then(|| deviations[unit] * sum_of(deviations, others) / others.len() as f64)
        };
        n / s0 * (0..deviations.len()).filter_map(unit).sum::<f64>() / squares
    };
    let (i, expected) = (at(&deviations), -1.0 / (n - 1.0));
    let s02 = s0 * s0;
    let variance_normal = (n * n * s1 - n * s2 + 3.0 * s02) / ((n * n - 1.0) * s02) - expected * expected;
    let fourth: f64 = deviations.iter().map(|value| value.powi(4)).sum();
    let kurtosis = n * fourth / (squares * squares);
    let first = n * ((n * n - 3.0 * n + 3.0) * s1 - n * s2 + 3.0 * s02);
    let second = kurtosis * ((n * n - n) * s1 - 2.0 * n * s2 + 6.0 * s02);
    let variance_random = (first - second) / ((n - 1.0) * (n - 2.0) * (n - 3.0) * s02) - expected * expected;
    let z = (i - expected) / variance_random.sqrt();
    let (mut as_large, mut as_small) = (0, 0);
    for replication in 0..permutations.replications {
        stop.asked()?;
        let mut mixed = deviations.clone();
        Stream::keyed(permutations.seed, LANE, u64::from(replication), 1).shuffle(&mut mixed);
        let drawn = at(&mixed);
        as_large += usize::from(drawn >= i);
        as_small += usize::from(drawn <= i);
    }
    Ok(Some(Global {
        i,
        expected,
        variance_normal,
        variance_random,
        z,
        p: two_sided(z),
        p_sim: (permutations.replications > 0).then(|| folded(as_large, as_small, permutations.replications as usize)),
    }))
}

/// The p-value of a permutation test, to the side that fewer replications lie on; those that are equal lie on both.
fn folded(as_large: usize, as_small: usize, replications: usize) -> f64 {
    (as_large.min(as_small) + 1) as f64 / (replications + 1) as f64
}

/// The draws of all replications: sums of the values of the first so many units that were drawn.
struct Drawn {
    replications: usize,
    /// For each number of units the sums of all replications.
    sums: Vec<Vec<f64>>,
    /// The same, sorted, for the numbers that some unit has neighbours.
    sorted: HashMap<usize, Vec<f64>>,
    /// For each unit that was drawn, when: the replication and the place in it.
    drawn: HashMap<u32, Vec<(u32, u32)>>,
}

impl Drawn {
    fn new(
        values: &[f64],
        neighbours: &Neighbours,
        permutations: Permutations,
        stop: &Stop,
    ) -> Result<Option<Drawn>, Refused> {
        let replications = permutations.replications as usize;
        let mut counts: Vec<usize> = (0..neighbours.len()).map(|unit| neighbours.of(unit).len()).collect();
        counts.sort_unstable();
        counts.dedup();
        let Some(most) = counts.last().copied().filter(|most| *most > 0 && replications > 0) else {
            return Ok(None);
        };
        // one more than is needed takes the place of the unit itself, where it was drawn
        let each = (most + 1).min(values.len());
        if each.saturating_mul(replications) > MOST_DRAWS {
            return Err(Refused::TooMany);
        }
        let mut sums = vec![vec![0.0; replications]; each + 1];
        let mut drawn: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        for replication in 0..permutations.replications {
            stop.asked()?;
            let mut stream = Stream::keyed(permutations.seed, LANE, u64::from(replication), 0);
            let (mut sum, mut swaps) = (0.0, Vec::with_capacity(each));
            for at in 0..each {
                let from = at + stream.below((order.len() - at) as u64) as usize;
                order.swap(at, from);
                swaps.push(from);
                sum += values[order[at] as usize];
                sums[at + 1][replication as usize] = sum;
                drawn.entry(order[at]).or_default().push((replication, at as u32));
            }
            // the next replication begins with the same order, whichever came before it
            for (at, from) in swaps.iter().enumerate().rev() {
                order.swap(at, *from);
            }
        }
        let sort = |count: usize| {
            let mut sorted = sums[count].clone();
            sorted.sort_unstable_by(f64::total_cmp);
            (count, sorted)
        };
        let sorted = counts.into_iter().filter(|count| *count > 0).map(sort).collect();
        Ok(Some(Drawn {
            replications,
            sums,
            sorted,
            drawn,
        }))
    }

    /// How a unit's neighbours compare with as many drawn ones that are not itself.
    fn p(&self, unit: usize, count: usize, sum: f64, values: &[f64]) -> f64 {
        let sorted = self.sorted.get(&count).map_or(&[][..], Vec::as_slice);
        let mut large = sorted.len() - sorted.partition_point(|drawn| *drawn < sum);
        let mut small = sorted.partition_point(|drawn| *drawn <= sum);
        for (replication, place) in self.drawn.get(&(unit as u32)).map_or(&[][..], Vec::as_slice) {
            if (*place as usize) < count {
                let with = self.sums[count][*replication as usize];
                let without = self.sums[count + 1][*replication as usize] - values[unit];
                large = large + usize::from(without >= sum) - usize::from(with >= sum);
                small = small + usize::from(without <= sum) - usize::from(with <= sum);
            }
        }
        folded(large, small, self.replications)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stat::weights::Touch;

    fn lists() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<i64>>)> {
        (4..14_usize).prop_flat_map(|units| {
            let value = prop_oneof![(0..9_i32).prop_map(f64::from), -50.0..50.0_f64];
            let neighbours = prop::collection::vec(prop::collection::vec(0..units as i64, 0..5), units);
            (prop::collection::vec(value, units), neighbours)
        })
    }

    fn given(lists: &[Vec<i64>]) -> Neighbours {
        let ids: Vec<i64> = (0..lists.len() as i64).collect();
        Neighbours::given(&ids, |unit| lists[unit].as_slice()).expect("neighbours")
    }

    /// G* as it is defined, by the sum over all pairs.
    fn by_definition(values: &[f64], neighbours: &Neighbours, at: usize) -> f64 {
        let n = values.len() as f64;
        let weight = |other: usize| f64::from(u8::from(other == at || neighbours.of(at).contains(&(other as u32))));
        let sum = |of: &dyn Fn(usize) -> f64| (0..values.len()).map(of).sum::<f64>();
        let mean = sum(&|other| values[other]) / n;
        let s = (sum(&|other| values[other] * values[other]) / n - mean * mean).sqrt();
        let (w, w2) = (sum(&weight), sum(&|other| weight(other) * weight(other)));
        (sum(&|other| weight(other) * values[other]) - mean * w) / (s * ((n * w2 - w * w) / (n - 1.0)).sqrt())
    }

    const NONE: Permutations = Permutations {
        replications: 0,
        seed: 0,
    };

    proptest! {
        #[test]
        fn hot_is_its_definition_and_nothing_moves_it((values, lists) in lists(), shift in -9.0..9.0_f64, scale in 0.5..4.0_f64) {
            let neighbours = given(&lists);
            let stop = Stop::default();
            let found = hot(&values, &neighbours, true, NONE, &stop).expect("an answer");
            let moved: Vec<f64> = values.iter().map(|value| value * scale + shift).collect();
            let moved = hot(&moved, &neighbours, true, NONE, &stop).expect("an answer");
            for at in 0..values.len() {
                if let Ok(hot) = found[at] {
                    let expected = by_definition(&values, &neighbours, at);
                    prop_assert!((hot.z - expected).abs() < 1e-7 * expected.abs().max(1.0), "{} {expected}", hot.z);
                    let moved = moved[at].expect("a score").z;
                    prop_assert!((hot.z - moved).abs() < 1e-5 * hot.z.abs().max(1.0));
                } else {
                    let flat = values.windows(2).all(|pair| pair[0] == pair[1]);
                    let everybody = neighbours.of(at).len() + 1 == values.len();
                    prop_assert!(flat || everybody || neighbours.of(at).is_empty());
                }
            }
        }

        #[test]
        fn autocorrelation_does_not_know_scale_nor_order((values, lists) in lists(), scale in 0.5..4.0_f64) {
            let neighbours = given(&lists);
            let stop = Stop::default();
            let found = local(&values, &neighbours, NONE, &stop).expect("an answer");
            let moved: Vec<f64> = values.iter().map(|value| 3.0 - value * scale).collect();
            for (one, other) in found.iter().zip(local(&moved, &neighbours, NONE, &stop).expect("an answer")) {
                if let (Ok(one), Ok(other)) = (one, other) {
                    prop_assert!((one.i - other.i).abs() < 1e-6 * one.i.abs().max(1.0));
                }
            }
            // the same units, last first
            let n = values.len() as i64;
            let back: Vec<f64> = values.iter().rev().copied().collect();
            let turned: Vec<Vec<i64>> = lists.iter().rev().map(|list| list.iter().map(|id| n - 1 - id).collect()).collect();
            let reversed = local(&back, &given(&turned), NONE, &stop).expect("an answer");
            for (one, other) in found.iter().zip(reversed.iter().rev()) {
                match (one, other) {
                    (Ok(one), Ok(other)) => prop_assert!(one.z.is_nan() && other.z.is_nan() || (one.z - other.z).abs() < 1e-6 * one.z.abs().max(1.0)),
                    (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
                }
            }
        }
    }

    #[test]
    fn p_values_of_permutations_are_those_of_all_permutations() {
        // 7 values, one neighbour pair each: 15 ways to draw two of the six others
        let values = [5.0, 1.0, 2.0, 2.0, 7.0, 3.0, 0.0];
        let lists: Vec<Vec<i64>> = (0..7).map(|at| vec![(at + 1) % 7, (at + 2) % 7]).collect();
        let neighbours = given(&lists);
        let permutations = Permutations {
            replications: 40_000,
            seed: 9,
        };
        let found = hot(&values, &neighbours, true, permutations, &Stop::default()).expect("an answer");
        for (at, found) in found.iter().enumerate() {
            let others: Vec<usize> = (0..7).filter(|other| *other != at).collect();
            let own = sum_of(&values, neighbours.of(at));
            let (mut large, mut small) = (0.0, 0.0);
            for (first, a) in others.iter().enumerate() {
                for b in &others[first + 1..] {
                    large += f64::from(u8::from(values[*a] + values[*b] >= own)) / 15.0;
                    small += f64::from(u8::from(values[*a] + values[*b] <= own)) / 15.0;
                }
            }
            let p = found.expect("a score").p_sim.expect("a p-value");
            assert!(
                (p - f64::min(large, small)).abs() < 0.012,
                "{at}: {p} for {large} and {small}"
            );
        }
    }

    #[test]
    fn equal_values_and_islands_have_no_score() {
        let neighbours = Neighbours::grid(&[0, 1, 2, 9], 3, Touch::Rook).expect("neighbours");
        let stop = Stop::default();
        let found = hot(&[1.0, 4.0, 2.0, 3.0], &neighbours, true, NONE, &stop).expect("an answer");
        assert_eq!(found[3], Err(Reason::Island));
        let found = local(&[2.0; 4], &neighbours, NONE, &stop).expect("an answer");
        assert_eq!(found[..3], [Err(Reason::Flat); 3]);
        assert_eq!(global(&[2.0; 4], &neighbours, NONE, &stop), Ok(None));
        stop.now();
        let permutations = Permutations {
            replications: 9,
            seed: 1,
        };
        assert_eq!(
            hot(&[1.0, 4.0, 2.0, 3.0], &neighbours, true, permutations, &stop),
            Err(Refused::Stopped)
        );
    }
}
