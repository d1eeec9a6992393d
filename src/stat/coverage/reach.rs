//! Who can serve whom, in both directions.

use super::super::stop::{Stop, Stopped};
use super::Problem;

/// Lists of neighbours with costs, one after the other.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) starts: Vec<usize>,
    others: Vec<u32>,
    pub(super) costs: Vec<f64>,
}

impl Lists {
    /// Sorts (owner, other, cost) by owner; those of an owner keep their order.
    fn new(owners: usize, pairs: impl Iterator<Item = (u32, u32, f64)> + Clone) -> Lists {
        let mut starts = vec![0; owners + 1];
        for (owner, _, _) in pairs.clone() {
            starts[owner as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut others, mut costs) = (vec![0; starts[owners]], vec![0.0; starts[owners]]);
        let mut next = starts.clone();
        for (owner, other, cost) in pairs {
            let at = &mut next[owner as usize];
            (others[*at], costs[*at]) = (other, cost);
            *at += 1;
        }
        Lists { starts, others, costs }
    }

    pub(super) fn of(&self, owner: usize) -> impl Iterator<Item = (u32, f64)> {
        let held = self.starts[owner]..self.starts[owner + 1];
        let others = self.others[held.clone()].iter().copied();
        others.zip(self.costs[held].iter().copied())
    }
}

/// Who can serve whom: by demand point with the nearest site first, and by site.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) rows: Lists,
    pub(super) columns: Lists,
}

impl Reach {
    pub(super) fn new(
        problem: &Problem,
        cost: impl Fn(f64) -> Option<f64> + Copy,
        stop: &Stop,
    ) -> Result<Reach, Stopped> {
        let pairs = problem.pairs.iter();
        let pairs = pairs.filter_map(move |pair| Some((pair.demand, pair.site, cost(pair.cost)?)));
        let raw = Lists::new(problem.weights.len(), pairs);
        let mut sorted = Vec::with_capacity(raw.others.len());
        let mut row: Vec<(u32, f64)> = Vec::new();
        for demand in (0..).take(problem.weights.len()) {
            stop.asked()?;
            row.clear();
            row.extend(raw.of(demand as usize));
            row.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
            row.dedup_by_key(|pair| pair.0);
            row.sort_by(|left, right| left.1.total_cmp(&right.1));
            sorted.extend(row.iter().map(|(site, cost)| (demand, *site, *cost)));
        }
        let by_site = sorted.iter().map(|(demand, site, cost)| (*site, *demand, *cost));
        Ok(Reach {
            columns: Lists::new(problem.sites as usize, by_site),
            rows: Lists::new(problem.weights.len(), sorted.iter().copied()),
        })
    }

    pub(super) fn served(&self, demand: usize) -> bool {
        self.rows.starts[demand] < self.rows.starts[demand + 1]
    }
}
