//! Did the map of yesterday work? What a ranking of cells caught within a budget of area, against the best ranking.
//!
//! Cells are taken by falling score, those of equal score in the order in which they are given, while their area
//! together stays within a share of the whole. The best ranking is that by the density of the events that then came.
//! Source: Chainey, Tompson and Uhlig 2008 (PAI); White, Hunt and Green 2023 (PEI and PEI*). PEI* is published
//! in two readings, both of which are here under names of their own. No ratio stands for a division by zero: it is
//! `None`. PAI grows without bound as the area shrinks, so ratios of different budgets do not compare.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// By how much of the whole area a budget may be passed: the rounding of sums, far below a cell.
const ROUNDING: f64 = 1e-9;

/// A cell with what was said of it and what came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The score: the higher, the sooner it is taken. Infinite ones may be.
    pub score: f64,
    /// Events that came after the score was made, 0 or more; weighted ones need not be whole.
    pub events: f64,
    /// Area, above 0, in any unit; rates are by this unit.
    pub area: f64,
}

/// Why cells cannot be judged; the number is that of the first such cell, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// There is no cell.
    Empty,
    /// The score is no number.
    Score(usize),
    /// The events are negative or not finite, alone or together.
    Events(usize),
    /// The area is not above 0 or not finite, alone or together.
    Area(usize),
}

/// Cells in both orders.
#[derive(Debug, Clone)]
pub struct Backtest {
    cells: Vec<Cell>,
    ranked: Prefixes,
    best: Prefixes,
}

/// What a budget of area caught.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caught {
    /// Cells that were taken.
    pub cells: usize,
    /// Their area.
    pub area: f64,
    /// Their events.
    pub captured: f64,
    /// Their share of all events, 0 to 1; `None` where no event came.
    pub hit_rate: Option<f64>,
    /// The predictive accuracy index, the share of events by the share of area; `None` without an event or a cell.
    pub pai: Option<f64>,
    /// Cells that the best ranking takes with this budget.
    pub cells_best: usize,
    /// Their events.
    pub captured_best: f64,
    /// Their PAI.
    pub pai_best: Option<f64>,
    /// The predictive efficiency index: the events caught as a share of those that the best ranking catches.
    pub pei: Option<f64>,
    /// PEI* against the PAI of the best ranking with this same budget.
    pub pei_star_same_budget: Option<f64>,
    /// PEI* against the highest PAI of the best ranking over all budgets that are allowed.
    pub pei_star_range: Option<f64>,
    /// Events by unit of the area that was taken (search efficiency rate).
    pub events_by_area: Option<f64>,
}

impl Backtest {
    /// Puts cells into both orders.
    ///
    /// # Errors
    /// Why the cells cannot be judged.
    pub fn new(cells: &[Cell]) -> Result<Backtest, Unfit> {
        let (mut events, mut area) = (0.0, 0.0);
        for (at, cell) in cells.iter().enumerate() {
            events += cell.events;
            area += cell.area;
            if cell.score.is_nan() {
                return Err(Unfit::Score(at));
            }
            if !(cell.events >= 0.0 && events < f64::INFINITY) {
                return Err(Unfit::Events(at));
            }
            if !(cell.area > 0.0 && area < f64::INFINITY) {
                return Err(Unfit::Area(at));
            }
        }
        if cells.is_empty() {
            return Err(Unfit::Empty);
        }
        Ok(Backtest {
            ranked: Prefixes::new(cells, |cell| cell.score),
            best: Prefixes::new(cells, |cell| cell.events / cell.area),
            cells: cells.to_vec(),
        })
    }

    /// What the ranking catches with a share of the whole area; `allowed` are the shares over which the best ranking
    /// of [`Caught::pei_star_range`] may choose, such as `0.01..=0.05`. A share of 0 or less and one that is no number
    /// take nothing, one of 1 or more takes all.
    #[must_use]
    pub fn within(&self, share: f64, allowed: &RangeInclusive<f64>) -> Caught {
        let (own, best) = (self.ranked.within(share), self.best.within(share));
        let (pai, pai_best) = (self.pai(own), self.pai(best));
        let inside = |taken: &Taken| {
            let share = taken.area / self.whole().area;
            share >= allowed.start() - ROUNDING && share <= allowed.end() + ROUNDING
        };
        let highest = self.best.taken.iter().filter(|taken| inside(taken));
        let highest = highest.filter_map(|taken| self.pai(*taken)).max_by(f64::total_cmp);
        Caught {
            cells: own.cells,
            area: own.area,
            captured: own.events,
            hit_rate: ratio(own.events, self.whole().events),
            pai,
            cells_best: best.cells,
            captured_best: best.events,
            pai_best,
            pei: ratio(own.events, best.events),
            pei_star_same_budget: pai.zip(pai_best).and_then(|(pai, best)| ratio(pai, best)),
            pei_star_range: pai.zip(highest).and_then(|(pai, best)| ratio(pai, best)),
            events_by_area: ratio(own.events, own.area),
        }
    }

    /// The capture curve: shares of area and of events after each cell of the ranking, from (0, 0) to (1, 1). `None`
    /// where no event came.
    #[must_use]
    pub fn curve(&self) -> Option<Vec<(f64, f64)>> {
        let whole = self.whole();
        (whole.events > 0.0).then(|| {
            let shares = |taken: &Taken| (taken.area / whole.area, taken.events / whole.events);
            std::iter::once((0.0, 0.0))
                .chain(self.ranked.taken.iter().map(shares))
                .collect()
        })
    }

    /// The area under the capture curve by trapezoids, 0 to 1; about 0.5 for scores that say nothing. `None` where no
    /// event came.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        let curve = self.curve()?;
        let trapezoids = curve
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0);
        Some(trapezoids.sum())
    }

    /// Gini's coefficient of the capture curve, `2 · auc − 1`; `None` where no event came.
    #[must_use]
    pub fn gini(&self) -> Option<f64> {
        self.auc().map(|auc| 2.0 * auc - 1.0)
    }

    /// Spearman's correlation of scores and events over cells, -1 to 1, ties at their mean rank; `None` where scores or
    /// events are all equal.
    #[must_use]
    pub fn rank_correlation(&self) -> Option<f64> {
        let scores = ranks(&self.cells.iter().map(|cell| cell.score).collect::<Vec<_>>());
        let events = ranks(&self.cells.iter().map(|cell| cell.events).collect::<Vec<_>>());
        let product =
            |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>();
        let scatter = (product(&scores, &scores) * product(&events, &events)).sqrt();
        ratio(product(&scores, &events), scatter).map(|value| value.clamp(-1.0, 1.0))
    }

    fn whole(&self) -> Taken {
        self.ranked.taken.last().copied().unwrap_or_default()
    }

    fn pai(&self, taken: Taken) -> Option<f64> {
        let whole = self.whole();
        ratio(taken.events / whole.events, taken.area / whole.area).filter(|_| whole.events > 0.0)
    }
}

/// The first cells of a ranking together.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    cells: usize,
    area: f64,
    events: f64,
}

/// A ranking as the sums of its first 1, 2, 3 … cells.
#[derive(Debug, Clone)]
struct Prefixes {
    taken: Vec<Taken>,
}

impl Prefixes {
    fn new(cells: &[Cell], key: impl Fn(&Cell) -> f64) -> Prefixes {
        let mut order: Vec<&Cell> = cells.iter().collect();
        // a stable sort keeps cells of an equal score as they came, and an equal score is one of == (-0 and 0)
        order.sort_by(|left, right| key(right).partial_cmp(&key(left)).unwrap_or(Ordering::Equal));
        let add = |sum: &mut Taken, cell: &Cell| {
            *sum = Taken {
                cells: sum.cells + 1,
                area: sum.area + cell.area,
                events: sum.events + cell.events,
            };
            Some(*sum)
        };
        let taken = order.into_iter().scan(Taken::default(), add).collect();
        Prefixes { taken }
    }

    /// The longest prefix within a share of the area.
    fn within(&self, share: f64) -> Taken {
        let whole = self.taken.last().map_or(0.0, |last| last.area);
        let budget = (share + ROUNDING) * whole;
        let cells = self.taken.partition_point(|taken| share > 0.0 && taken.area <= budget);
        cells
            .checked_sub(1)
            .map_or_else(Taken::default, |last| self.taken[last])
    }
}

/// A quotient that is none where it would divide by zero.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Ranks less their mean, ties at the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].partial_cmp(&values[*right]).unwrap_or(Ordering::Equal));
    let mut ranks = vec![0.0; values.len()];
    let (all, mut before) = (as_number(values.len()), 0.0);
    for tied in order.chunk_by(|left, right| values[*left] == values[*right]) {
        let after = before + as_number(tied.len());
        tied.iter().for_each(|at| ranks[*at] = (before + after - all) / 2.0);
        before = after;
    }
    ranks
}

#[expect(clippy::cast_precision_loss, reason = "cells are far below 2^52")]
fn as_number(cells: usize) -> f64 {
    cells as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ALLOWED: RangeInclusive<f64> = 0.1..=0.5;

    fn cells(rows: &[(f64, f64, f64)]) -> Vec<Cell> {
        let cell = |(score, events, area): &(f64, f64, f64)| Cell {
            score: *score,
            events: *events,
            area: *area,
        };
        rows.iter().map(cell).collect()
    }

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() <= 1e-12 * right.abs().max(1.0))
    }

    #[test]
    fn a_small_case_is_as_by_hand() {
        // taken by score: the 2nd (of the tie the sooner), the 3rd, the 1st; by density: the 1st, the 2nd, the 3rd
        let test = Backtest::new(&cells(&[(1.0, 6.0, 1.0), (2.0, 3.0, 1.0), (2.0, 1.0, 2.0)])).expect("cells");
        let caught = test.within(0.25, &ALLOWED);
        assert_eq!((caught.cells, caught.cells_best), (1, 1));
        assert_eq!((caught.captured, caught.captured_best, caught.area), (3.0, 6.0, 1.0));
        assert!(close(caught.hit_rate, 0.3) && close(caught.pai, 1.2) && close(caught.pai_best, 2.4));
        assert!(close(caught.pei, 0.5) && close(caught.pei_star_same_budget, 0.5));
        assert!(close(caught.pei_star_range, 0.5) && close(caught.events_by_area, 3.0));
        // over larger budgets alone the best is 9 of 10 events in half of the area, a PAI of 1.8
        assert!(close(test.within(0.25, &(0.4..=0.6)).pei_star_range, 1.2 / 1.8));
        // with half of the area the next cell does not fit, and none behind it is tried
        let half = test.within(0.5, &ALLOWED);
        assert_eq!((half.cells, half.cells_best), (1, 2));
        assert!(close(half.pei_star_same_budget, 1.2 / 1.8) && close(half.pei, 3.0 / 9.0));
        let corners = [(0.0, 0.0), (0.25, 0.3), (0.75, 0.4), (1.0, 1.0)];
        assert_eq!(test.curve().expect("a curve"), corners);
        assert!(close(test.auc(), 0.25 * 0.15 + 0.5 * 0.35 + 0.25 * 0.7));
        assert!(close(test.gini(), 2.0 * 0.3875 - 1.0));
        // ranks 1, 2.5, 2.5 against 3, 2, 1
        assert!(close(test.rank_correlation(), -1.5 / 3.0_f64.sqrt()));
    }

    #[test]
    fn what_would_divide_by_zero_is_none() {
        let quiet = Backtest::new(&cells(&[(1.0, 0.0, 1.0), (2.0, 0.0, 1.0)])).expect("cells");
        let caught = quiet.within(0.5, &ALLOWED);
        assert_eq!(
            (caught.cells, caught.hit_rate, caught.pai, caught.pei),
            (1, None, None, None)
        );
        assert_eq!(
            (quiet.curve(), quiet.auc(), quiet.rank_correlation()),
            (None, None, None)
        );
        let test = Backtest::new(&cells(&[(1.0, 1.0, 1.0), (2.0, 0.0, 1.0)])).expect("cells");
        for share in [0.2, 0.0, -1.0, f64::NAN] {
            let caught = test.within(share, &ALLOWED);
            assert_eq!((caught.cells, caught.hit_rate, caught.pai), (0, Some(0.0), None));
            assert_eq!((caught.pei, caught.events_by_area), (None, None));
        }
        assert_eq!(test.within(f64::INFINITY, &ALLOWED).cells, 2);
        // not even a cell that is lost in the rounding is taken for nothing
        let speck = Backtest::new(&cells(&[(1.0, 1.0, 1.0), (2.0, 0.0, 1e-12)])).expect("cells");
        assert_eq!(speck.within(0.0, &ALLOWED).cells, 0);
        // no budget of the best ranking lies in the range
        assert_eq!(test.within(0.5, &(0.1..=0.2)).pei_star_range, None);
    }

    #[test]
    fn cells_that_cannot_be_judged_are_named() {
        let why = |rows: &[(f64, f64, f64)]| Backtest::new(&cells(rows)).err();
        let good = (1.0, 1.0, 1.0);
        assert_eq!(why(&[]), Some(Unfit::Empty));
        assert_eq!(why(&[good, (f64::NAN, 1.0, 1.0)]), Some(Unfit::Score(1)));
        assert_eq!(why(&[good, (1.0, -1.0, 1.0)]), Some(Unfit::Events(1)));
        assert_eq!(why(&[good, (1.0, f64::NAN, 1.0)]), Some(Unfit::Events(1)));
        assert_eq!(why(&[good, (1.0, 1.0, 0.0)]), Some(Unfit::Area(1)));
        assert_eq!(why(&[(1.0, 1.0, f64::MAX), (1.0, 1.0, f64::MAX)]), Some(Unfit::Area(1)));
        assert_eq!(why(&[(f64::NEG_INFINITY, 1.0, 1.0)]), None);
    }

    fn field() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
        let cell = (0..8_u32, 0..6_u32, 1..5_u32);
        vec(
            cell.prop_map(|(score, events, area)| (score.into(), events.into(), area.into())),
            1..40,
        )
    }

    proptest! {
        #[test]
        fn units_of_area_and_scores_do_not_matter(rows in field(), share in 0.0..1.2_f64) {
            let own = Backtest::new(&cells(&rows)).expect("cells");
            let scaled = |(score, events, area): &(f64, f64, f64)| (score.exp() - 9.0, *events, area * 1024.0);
            let other = Backtest::new(&cells(&rows.iter().map(scaled).collect::<Vec<_>>())).expect("cells");
            let (left, right) = (own.within(share, &ALLOWED), other.within(share, &ALLOWED));
            prop_assert_eq!((left.cells, left.pai, left.pei), (right.cells, right.pai, right.pei));
            prop_assert_eq!(left.pei_star_range, right.pei_star_range);
            prop_assert_eq!((own.auc(), own.rank_correlation()), (other.auc(), other.rank_correlation()));
        }

        #[test]
        fn no_budget_is_passed_and_more_catches_no_less(
            rows in field(),
            share in 0.0..1.0_f64,
            more in 0.0..1.0_f64,
        ) {
            let test = Backtest::new(&cells(&rows)).expect("cells");
            let whole: f64 = rows.iter().map(|row| row.2).sum();
            let (small, large) = (test.within(share, &ALLOWED), test.within(share + more, &ALLOWED));
            prop_assert!(small.area <= share * whole * (1.0 + 1e-9) + 1e-6, "{small:?}");
            prop_assert!(small.captured <= large.captured && small.cells <= large.cells);
            prop_assert!(small.hit_rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
        }

        #[test]
        fn the_best_ranking_is_its_own_measure(rows in field(), share in 0.0..1.0_f64) {
            let perfect: Vec<_> = rows.iter().map(|(_, events, area)| (events / area, *events, *area)).collect();
            let best = Backtest::new(&cells(&perfect)).expect("cells");
            let caught = best.within(share, &ALLOWED);
            prop_assert!(caught.pei.is_none_or(|pei| pei == 1.0));
            prop_assert!(caught.pei_star_same_budget.is_none_or(|pei| pei == 1.0));
            let own = Backtest::new(&cells(&rows)).expect("cells");
            prop_assert!(own.auc() <= best.auc().map(|auc| auc + 1e-12));
        }
    }
}
