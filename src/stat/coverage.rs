//! Where posts stand: the most weight within reach of p sites, the fewest sites that reach everything, the least weight
//! times cost with p sites.
//!
//! The three are one search. Demand counts at the cost of its nearest open site, or at a charge where it has none; for
//! cover all costs within reach are 0 and the charge is 1. Sites are opened by their gain, exchanged one for one while
//! that helps (Teitz and Bart 1968), and then some are drawn anew from a seed a fixed number of times. Lagrange's
//! relaxation by subgradients (Held, Wolfe and Crowder 1974) proves a bound, so that every answer says how far it may
//! be from the best. Ties go to the lower index; nothing depends on time or threads. Equally good sets are many:
//! compare objectives, not sites. Sources: Church and ReVelle 1974; Toregas et al. 1971; Hakimi 1964.

mod reach;
mod relaxed;
mod search;

use super::random::{Stream, lane};
use super::stop::{Stop, Stopped};
use reach::Reach;
use relaxed::Relaxed;
use search::Search;

/// Draws of other sites after the first exchanges.
const SHAKES: usize = 300;

/// A demand point that a site can serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index of the demand point.
    pub demand: u32,
    /// Index of the site.
    pub site: u32,
    /// Minutes, metres or what else is to be low; 0 or more.
    pub cost: f64,
}

/// What makes a problem none; the number is the index of the first of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// A weight is negative, not a number, or makes the sum of weights infinite.
    Weight(usize),
    /// A pair names a demand point or a site that is not there.
    Pair(usize),
    /// The cost of a pair is negative or not a number, or the sum of weights times it is infinite.
    Cost(usize),
    /// A fixed site is not there.
    Fixed(usize),
}

/// Demand, sites and who can serve whom. Pairs may be sparse; of pairs given twice the lowest cost counts.
#[derive(Debug, Clone)]
pub struct Problem {
    weights: Vec<f64>,
    sites: u32,
    pairs: Vec<Pair>,
    fixed: Vec<u32>,
}

impl Problem {
    /// Demand by its weights (0 or more), sites by their number, and sites that are open whatever comes; a site that is
    /// fixed twice is one. Memory grows with all of them.
    ///
    /// # Errors
    /// What makes them no problem.
    pub fn new(weights: Vec<f64>, sites: u32, pairs: Vec<Pair>, mut fixed: Vec<u32>) -> Result<Problem, Invalid> {
        let mut total = 0.0;
        for (at, weight) in weights.iter().enumerate() {
            total += weight;
            if !(*weight >= 0.0 && total < f64::INFINITY) {
                return Err(Invalid::Weight(at));
            }
        }
        for (at, pair) in pairs.iter().enumerate() {
            if pair.demand as usize >= weights.len() || pair.site >= sites {
                return Err(Invalid::Pair(at));
            }
            if !(pair.cost >= 0.0 && pair.cost < f64::INFINITY && pair.cost * total < f64::INFINITY) {
                return Err(Invalid::Cost(at));
            }
        }
        if let Some(at) = fixed.iter().position(|site| *site >= sites) {
            return Err(Invalid::Fixed(at));
        }
        fixed.sort_unstable();
        fixed.dedup();
        Ok(Problem {
            weights,
            sites,
            pairs,
            fixed,
        })
    }
}

/// A site of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opened {
    /// Index of the site.
    pub site: u32,
    /// What it adds to those before it.
    pub gain: f64,
    /// Whether it was open anyway.
    pub fixed: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The fixed sites, then the others, each group in the order of gain.
    pub opened: Vec<Opened>,
    /// What was reached, in the terms of the question.
    pub objective: f64,
    /// What no set of sites can pass: above the objective where it is to be high, below where it is to be low.
    pub bound: f64,
    /// Demand points that no open site serves, rising.
    pub unserved: Vec<u32>,
}

impl Placed {
    /// How far the objective may be from the best, as a share of the larger of objective and bound; 0 where it is
    /// proven to be the best.
    #[must_use]
    pub fn gap(&self) -> f64 {
        let larger = self.objective.max(self.bound);
        if larger > 0.0 {
            (self.objective - self.bound).abs() / larger
        } else {
            0.0
        }
    }
}

/// The most weight that `p` sites cover (MCLP): objective and gains are covered weight, the bound is an upper one. A
/// pair covers where its cost is `within` or less. The fixed sites are among the `p`, and stay where they are more;
/// fewer are opened where no other site covers anything more.
///
/// # Errors
/// [`Stopped`] where somebody said so.
pub fn mclp(problem: &Problem, p: usize, within: f64, seed: u64, stop: &Stop) -> Result<Placed, Stopped> {
    let reach = Reach::new(problem, |cost| (cost <= within).then_some(0.0), stop)?;
    let missed = median(&reach, problem, 1.0, p, seed, stop)?;
    let objective = total(missed.opened.iter().map(|opened| opened.gain));
    let bound = objective + (missed.objective - missed.bound);
    Ok(Placed {
        objective,
        bound,
        ..missed
    })
}

/// The least weight times cost with `p` sites, each demand point served by its nearest (p-median): the bound is a lower
/// one, gains are what is saved. Demand that no open site serves, although some site could, counts at the cost
/// `beyond`, or at the highest cost of a pair where that is more or `beyond` is no number; demand without any pair
/// counts nothing. Fixed sites are as in [`mclp`].
///
/// # Errors
/// [`Stopped`] where somebody said so.
pub fn p_median(problem: &Problem, p: usize, beyond: f64, seed: u64, stop: &Stop) -> Result<Placed, Stopped> {
    let reach = Reach::new(problem, Some, stop)?;
    let highest = reach.rows.costs.iter().copied().fold(0.0, f64::max);
    let finite = (beyond * total(problem.weights.iter().copied())).is_finite();
    let charge = if finite { highest.max(beyond) } else { highest };
    median(&reach, problem, charge, p, seed, stop)
}

/// The fewest sites that cover all demand that some site covers, whatever its weight (LSCP): the objective is the
/// number of sites, the fixed ones among them, gains are demand points, the bound is a lower one, and what is unserved
/// is covered by no site at all. A pair covers where its cost is `within` or less.
///
/// # Errors
/// [`Stopped`] where somebody said so.
pub fn lscp(problem: &Problem, within: f64, seed: u64, stop: &Stop) -> Result<Placed, Stopped> {
    let reach = Reach::new(problem, |cost| (cost <= within).then_some(0.0), stop)?;
    let alike = vec![1.0; problem.weights.len()];
    let mut search = Search::new(&reach, alike.clone(), 1.0, &problem.fixed, stop)?;
    search.grow(usize::MAX, stop)?;
    let greedy = search.placed(&problem.fixed, stop)?.opened;
    let free = greedy.iter().filter(|opened| !opened.fixed);
    search.open_only(free.map(|opened| opened.site).collect(), stop)?;
    search.thin(&mut Stream::keyed(seed, lane("coverage thin"), 0, 0), stop)?;
    search.weights = alike;
    let placed = search.placed(&problem.fixed, stop)?;
    let objective = as_number(placed.opened.len());
    let relaxed = Relaxed::new(&search, &problem.fixed, usize::MAX, 1.0);
    let bound = relaxed.bound(objective, stop)?.min(objective);
    Ok(Placed {
        objective,
        bound,
        ..placed
    })
}

/// Greedy, exchanges, a bound, and new draws until the bound is met or they are used up.
fn median(reach: &Reach, problem: &Problem, charge: f64, p: usize, seed: u64, stop: &Stop) -> Result<Placed, Stopped> {
    let mut search = Search::new(reach, problem.weights.clone(), charge, &problem.fixed, stop)?;
    search.grow(p, stop)?;
    let mut best = search.exchange(stop)?;
    let others = p.saturating_sub(problem.fixed.len());
    let bound = Relaxed::new(&search, &problem.fixed, others, 0.0).bound(best, stop)?;
    let mut kept = search.free.clone();
    let mut draw = Stream::keyed(seed, lane("coverage shake"), 0, 0);
    for _ in 0..SHAKES {
        if best <= bound || kept.is_empty() {
            break;
        }
        search.shake(&mut draw, stop)?;
        let found = search.exchange(stop)?;
        if found <= best {
            best = found;
            kept.clone_from(&search.free);
        } else {
            search.open_only(kept.clone(), stop)?;
        }
    }
    let placed = search.placed(&problem.fixed, stop)?;
    let bound = bound.min(placed.objective);
    Ok(Placed { bound, ..placed })
}

/// A sum that is 0 for nothing, where that of the standard library is -0.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

#[expect(clippy::cast_precision_loss, reason = "sites are counted in 32 bits")]
fn as_number(sites: usize) -> f64 {
    sites as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn pair(demand: u32, site: u32, cost: f64) -> Pair {
        Pair { demand, site, cost }
    }

    fn sites(placed: &Placed) -> Vec<u32> {
        placed.opened.iter().map(|opened| opened.site).collect()
    }

    fn gains(placed: &Placed) -> Vec<f64> {
        placed.opened.iter().map(|opened| opened.gain).collect()
    }

    /// Five demand points in a row, each covered by the site of its own index and the one before.
    fn row(fixed: Vec<u32>) -> Problem {
        let own = (0..5).map(|at| pair(at, at, 1.0));
        let before = (1..5).map(|at| pair(at, at - 1, 3.0));
        let weights = vec![1.0, 5.0, 1.0, 1.0, 2.0];
        Problem::new(weights, 6, own.chain(before).collect(), fixed).expect("a problem")
    }

    #[test]
    fn sites_come_in_the_order_of_gain_and_ties_by_index() {
        let stop = Stop::default();
        // sites 0 and 1 gain 6 each, then 3 gains 3; after 0 sites 1 and 2 gain nothing and 1
        let placed = mclp(&row(vec![]), 2, 3.0, 1, &stop).expect("an answer");
        assert_eq!((sites(&placed), gains(&placed)), (vec![0, 3], vec![6.0, 3.0]));
        assert_eq!((placed.objective, placed.bound, placed.gap()), (9.0, 9.0, 0.0));
        assert_eq!(placed.unserved, [2]);
        // a fixed site comes first and stays, even if it covers nothing
        let placed = mclp(&row(vec![5, 4, 4]), 3, 3.0, 1, &stop).expect("an answer");
        assert_eq!((sites(&placed), gains(&placed)), (vec![4, 5, 0], vec![2.0, 0.0, 6.0]));
        assert_eq!(placed.opened.iter().filter(|opened| opened.fixed).count(), 2);
        let only = mclp(&row(vec![5, 4]), 0, 3.0, 1, &stop).expect("an answer");
        assert_eq!((sites(&only), only.objective, only.bound), (vec![4, 5], 2.0, 2.0));
        // the range is a limit that is met
        assert_eq!(mclp(&row(vec![]), 1, 1.0, 1, &stop).expect("an answer").objective, 5.0);
        // no more sites than help
        assert_eq!(
            sites(&mclp(&row(vec![]), 99, 3.0, 1, &stop).expect("an answer")).len(),
            3
        );
        for within in [0.5, f64::NAN] {
            let none = mclp(&row(vec![]), 2, within, 1, &stop).expect("an answer");
            assert_eq!(
                (none.opened.len(), none.objective, none.bound, none.gap()),
                (0, 0.0, 0.0, 0.0)
            );
        }
    }

    #[test]
    fn a_cover_needs_few_sites_and_says_what_it_cannot_cover() {
        let stop = Stop::default();
        let placed = lscp(&row(vec![]), 3.0, 1, &stop).expect("an answer");
        assert_eq!((placed.objective, placed.bound, placed.opened.len()), (3.0, 3.0, 3));
        assert!(placed.unserved.is_empty());
        // a fixed site counts though it covers nothing
        let placed = lscp(&row(vec![5]), 3.0, 1, &stop).expect("an answer");
        assert_eq!((placed.objective, placed.bound), (4.0, 4.0));
        let pairs = vec![pair(0, 0, 1.0), pair(1, 0, 9.0), pair(3, 1, 1.0)];
        let problem = Problem::new(vec![0.0, 1.0, 1.0, 1.0], 2, pairs, vec![]).expect("a problem");
        let placed = lscp(&problem, 5.0, 1, &stop).expect("an answer");
        assert_eq!((sites(&placed), placed.unserved), (vec![0, 1], vec![1, 2]));
        let nothing = lscp(&problem, 0.5, 1, &stop).expect("an answer");
        assert_eq!((nothing.opened.len(), nothing.objective, nothing.gap()), (0, 0.0, 0.0));
    }

    #[test]
    fn demand_that_no_open_site_serves_is_apart_and_has_its_cost() {
        let stop = Stop::default();
        // one site near a heavy point, or one that serves two: what is better depends on the cost of none
        let pairs = vec![pair(0, 0, 1.0), pair(0, 1, 4.0), pair(1, 1, 4.0)];
        let problem = Problem::new(vec![2.0, 1.0, 7.0], 2, pairs, vec![]).expect("a problem");
        let placed = p_median(&problem, 1, f64::NAN, 1, &stop).expect("an answer");
        assert_eq!((sites(&placed), placed.objective, placed.bound), (vec![0], 6.0, 6.0));
        assert_eq!((placed.unserved, placed.opened[0].gain), (vec![1, 2], 6.0));
        let placed = p_median(&problem, 1, 20.0, 1, &stop).expect("an answer");
        assert_eq!(
            (sites(&placed), placed.objective, placed.unserved),
            (vec![1], 12.0, vec![2])
        );
        let none = p_median(&problem, 0, 20.0, 1, &stop).expect("an answer");
        assert_eq!((none.objective, none.bound, none.unserved.len()), (60.0, 60.0, 3));
    }

    #[test]
    fn what_is_no_problem_is_named() {
        let why = |weights: &[f64], pairs: &[Pair], fixed: &[u32]| {
            Problem::new(weights.to_vec(), 2, pairs.to_vec(), fixed.to_vec()).err()
        };
        let good = pair(0, 1, 0.0);
        assert_eq!(why(&[1.0], &[good], &[1]), None);
        for weight in [-1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(why(&[f64::MAX, weight], &[], &[]), Some(Invalid::Weight(1)));
        }
        for bad in [pair(1, 0, 1.0), pair(0, 2, 1.0)] {
            assert_eq!(why(&[1.0], &[good, bad], &[]), Some(Invalid::Pair(1)));
        }
        for cost in [-1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(why(&[2.0], &[good, pair(0, 0, cost)], &[]), Some(Invalid::Cost(1)));
        }
        assert_eq!(why(&[1.0], &[good], &[0, 2]), Some(Invalid::Fixed(1)));
        let empty = Problem::new(vec![], 0, vec![], vec![]).expect("a problem");
        let placed = p_median(&empty, 3, 1.0, 1, &Stop::default()).expect("an answer");
        assert_eq!((placed.opened.len(), placed.objective, placed.gap()), (0, 0.0, 0.0));
    }

    #[test]
    fn work_that_is_told_to_stop_stops() {
        let stop = Stop::default();
        stop.now();
        assert_eq!(mclp(&row(vec![]), 2, 3.0, 1, &stop), Err(Stopped));
        assert_eq!(lscp(&row(vec![]), 3.0, 1, &stop), Err(Stopped));
        assert_eq!(p_median(&row(vec![]), 2, 9.0, 1, &stop), Err(Stopped));
    }

    /// The lowest cost of each demand point by site; no number without a pair.
    fn costs(problem: &Problem) -> Vec<Vec<f64>> {
        let mut costs = vec![vec![f64::NAN; problem.sites as usize]; problem.weights.len()];
        for pair in &problem.pairs {
            let cost = &mut costs[pair.demand as usize][pair.site as usize];
            *cost = cost.min(pair.cost);
        }
        costs
    }

    /// The least weight times cost of a set of sites, as it was asked; `charge` of none means what no site serves.
    fn value(problem: &Problem, costs: &[Vec<f64>], open: impl Fn(usize) -> bool, charge: f64) -> f64 {
        let cost = |row: &Vec<f64>| {
            let served = row.iter().any(|cost| !cost.is_nan());
            let own = row.iter().enumerate().filter(|(site, _)| open(*site));
            let own = own.fold(f64::NAN, |least, (_, cost)| least.min(*cost));
            if !own.is_nan() {
                own
            } else if served {
                charge
            } else {
                0.0
            }
        };
        total(
            problem
                .weights
                .iter()
                .zip(costs)
                .map(|(weight, row)| weight * cost(row)),
        )
    }

    /// All sets of sites with the fixed ones, by bits.
    fn sets(problem: &Problem) -> impl Iterator<Item = u32> {
        let fixed = problem.fixed.iter().fold(0, |bits, site| bits | 1 << site);
        (0..1_u32 << problem.sites).filter(move |set| set & fixed == fixed)
    }

    fn least(problem: &Problem, p: usize, charge: f64) -> f64 {
        let (costs, most) = (costs(problem), p.max(problem.fixed.len()));
        let fitting = sets(problem).filter(|set| set.count_ones() as usize <= most);
        let values = fitting.map(|set| value(problem, &costs, |site| set >> site & 1 == 1, charge));
        values.fold(f64::INFINITY, f64::min)
    }

    /// The same with costs of 0 within reach.
    fn covering(problem: &Problem, within: f64) -> Problem {
        let held = problem.pairs.iter().filter(|own| own.cost <= within);
        let pairs = held.map(|own| pair(own.demand, own.site, 0.0)).collect();
        Problem {
            pairs,
            ..problem.clone()
        }
    }

    fn problem(whole: bool) -> impl Strategy<Value = Problem> {
        let weight = (0..9_u32).prop_map(move |weight| f64::from(weight) * if whole { 1.0 } else { 0.3 });
        let pairs = vec((0..12_u32, 0..9_u32, 0..7_u32), 0..50);
        (vec(weight, 1..12), 1..9_u32, pairs, vec(0..9_u32, 0..3)).prop_map(|(weights, sites, pairs, fixed)| {
            let known = |demand: u32, site: u32| (demand as usize) < weights.len() && site < sites;
            let pairs = pairs.into_iter().filter(|(demand, site, _)| known(*demand, *site));
            let pairs = pairs
                .map(|(demand, site, cost)| pair(demand, site, cost.into()))
                .collect();
            let fixed = fixed.into_iter().filter(|site| *site < sites).collect();
            Problem::new(weights, sites, pairs, fixed).expect("a problem")
        })
    }

    proptest! {
        #[test]
        fn cover_is_the_best_of_all_sets(problem in prop_oneof![problem(true), problem(false)], p in 0..5_usize) {
            let placed = mclp(&problem, p, 4.0, 7, &Stop::default()).expect("an answer");
            let covering = covering(&problem, 4.0);
            let reachable = value(&covering, &costs(&covering), |_| false, 1.0);
            let best = reachable - least(&covering, p, 1.0);
            let rounding = 1e-9;
            prop_assert!((placed.objective - best).abs() <= rounding, "{placed:?} {best}");
            prop_assert!(placed.bound >= best - rounding && placed.bound >= placed.objective, "{placed:?} {best}");
            let lost: f64 = placed.unserved.iter().map(|demand| problem.weights[*demand as usize]).sum();
            prop_assert!((placed.objective + lost - problem.weights.iter().sum::<f64>()).abs() <= rounding);
            prop_assert!(placed.opened.len() <= p.max(problem.fixed.len()));
            let others: Vec<_> = placed.opened.iter().filter(|opened| !opened.fixed).collect();
            prop_assert!(others.is_sorted_by(|left, right| left.gain >= right.gain - rounding));
        }

        #[test]
        fn exchanges_end_where_none_helps(problem in problem(true), p in 1..4_usize) {
            let stop = Stop::default();
            let reach = Reach::new(&problem, Some, &stop).expect("reach");
            let weights = problem.weights.clone();
            let mut search = Search::new(&reach, weights, 9.0, &problem.fixed, &stop).expect("a search");
            // the first sites, so that there is something to exchange
            let first = (0..problem.sites).filter(|site| !problem.fixed.contains(site)).take(p).collect();
            search.open_only(first, &stop).expect("sites");
            let found = search.exchange(&stop).expect("an objective");
            let costs = costs(&problem);
            prop_assert_eq!(found, value(&problem, &costs, |site| search.open[site], 9.0));
            for out in search.free.clone() {
                for into in (0..problem.sites).filter(|site| !search.open[*site as usize]) {
                    let open = |site: usize| site == into as usize || (search.open[site] && site != out as usize);
                    prop_assert!(value(&problem, &costs, open, 9.0) >= found, "{:?} {} {}", search.free, out, into);
                }
            }
        }

        #[test]
        fn a_bound_holds_for_a_poor_answer_too(problem in prop_oneof![problem(true), problem(false)], p in 0..5_usize) {
            let stop = Stop::default();
            let reach = Reach::new(&problem, Some, &stop).expect("reach");
            let search = Search::new(&reach, problem.weights.clone(), 6.0, &problem.fixed, &stop).expect("a search");
            let others = p.saturating_sub(problem.fixed.len());
            let bound = Relaxed::new(&search, &problem.fixed, others, 0.0).bound(search.objective(), &stop);
            let (bound, best) = (bound.expect("a bound"), least(&problem, p, 6.0));
            prop_assert!(bound <= best + 1e-9 && bound >= 0.5 * best, "{bound} {best}");
        }

        #[test]
        fn medians_are_the_best_of_all_sets(problem in problem(true), p in 0..5_usize, beyond in 0..20_u32) {
            let placed = p_median(&problem, p, beyond.into(), 7, &Stop::default()).expect("an answer");
            let highest = costs(&problem).concat().into_iter().fold(0.0, f64::max);
            let charge = f64::from(beyond).max(highest);
            let best = least(&problem, p, charge);
            prop_assert_eq!(placed.objective, best);
            prop_assert!(placed.bound <= best, "{:?} {}", placed, best);
            let open = |site: usize| sites(&placed).iter().any(|own| *own as usize == site);
            prop_assert_eq!(value(&problem, &costs(&problem), open, charge), best);
            let saved: f64 = placed.opened.iter().map(|opened| opened.gain).sum();
            prop_assert_eq!(value(&problem, &costs(&problem), |_| false, charge) - saved, best);
        }

        #[test]
        fn a_cover_is_the_smallest_of_all(problem in problem(true)) {
            let placed = lscp(&problem, 4.0, 7, &Stop::default()).expect("an answer");
            let mut covering = covering(&problem, 4.0);
            covering.weights.fill(1.0);
            let costs = costs(&covering);
            let whole = |set: &u32| value(&covering, &costs, |site| set >> site & 1 == 1, 1.0) == 0.0;
            let best = sets(&covering).filter(whole).map(u32::count_ones).min().expect("all sites");
            prop_assert_eq!(placed.objective, f64::from(best));
            prop_assert!(placed.bound <= f64::from(best), "{:?} {}", placed, best);
            prop_assert!(placed.unserved.iter().all(|demand| costs[*demand as usize].iter().all(|cost| cost.is_nan())));
        }

        #[test]
        fn the_order_of_pairs_and_dearer_ones_change_nothing(problem in problem(true), seed in any::<u64>()) {
            let mut other = problem.clone();
            let dearer: Vec<Pair> = problem.pairs.iter().map(|own| Pair { cost: own.cost + 0.5, ..*own }).collect();
            let within = |own: &Pair| own.cost <= 4.0 || problem.pairs.contains(own);
            other.pairs.extend(dearer.into_iter().filter(within));
            Stream::keyed(seed, lane("test"), 0, 0).shuffle(&mut other.pairs);
            let stop = Stop::default();
            prop_assert_eq!(mclp(&problem, 3, 4.0, seed, &stop), mclp(&other, 3, 4.0, seed, &stop));
            prop_assert_eq!(p_median(&problem, 3, 9.0, seed, &stop), p_median(&other, 3, 9.0, seed, &stop));
            prop_assert_eq!(lscp(&problem, 4.0, seed, &stop), lscp(&other, 4.0, seed, &stop));
        }
    }

    /// Points of a plane that are both demand and, each tenth of them, site.
    fn plane(seed: u64) -> Problem {
        let mut draw = Stream::keyed(seed, lane("plane"), 0, 0);
        let points: Vec<(f64, f64)> = (0..400).map(|_| draw.normal_pair()).collect();
        let pairs = (0..).zip(&points).flat_map(|(demand, at)| {
            let near = (0..).zip(points.iter().step_by(10));
            near.map(move |(site, own)| pair(demand, site, (at.0 - own.0).hypot(at.1 - own.1)))
        });
        let weights = points.iter().map(|_| draw.lognormal(20.0, 1.0)).collect();
        Problem::new(weights, 40, pairs.collect(), vec![]).expect("a problem")
    }

    #[test]
    fn each_step_of_the_search_helps() {
        let stop = Stop::default();
        let (mut greedy, mut exchanged, mut shaken) = (0.0, 0.0, 0.0);
        for seed in 0..12 {
            let problem = plane(seed);
            let reach = Reach::new(&problem, |cost| (cost <= 0.4).then_some(0.0), &stop).expect("reach");
            let mut search = Search::new(&reach, problem.weights.clone(), 1.0, &[], &stop).expect("a search");
            search.grow(10, &stop).expect("sites");
            greedy += search.objective();
            exchanged += search.exchange(&stop).expect("an objective");
            shaken += median(&reach, &problem, 1.0, 10, seed, &stop)
                .expect("an answer")
                .objective;
        }
        assert!(
            exchanged < greedy * 0.995 && shaken < exchanged * 0.999,
            "{greedy} {exchanged} {shaken}"
        );
    }

    #[test]
    fn bounds_are_close_on_a_plane() {
        let stop = Stop::default();
        for seed in 0..4 {
            let problem = plane(seed);
            let cover = mclp(&problem, 6, 0.5, seed, &stop).expect("an answer");
            // sums of fractions are not proven to the last digit
            assert!(cover.bound > cover.objective && cover.gap() < 0.02, "{}", cover.gap());
            let median = p_median(&problem, 6, f64::NAN, seed, &stop).expect("an answer");
            assert!(
                median.bound <= median.objective && median.gap() < 0.02,
                "{}",
                median.gap()
            );
            let all = lscp(&problem, 1.0, seed, &stop).expect("an answer");
            assert!(
                all.bound <= all.objective && all.objective - all.bound <= 2.0,
                "{all:?}"
            );
        }
    }
}
