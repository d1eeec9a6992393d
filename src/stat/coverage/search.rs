//! A set of open sites that is grown, exchanged and shaken, with what each change saves or loses.

use super::super::random::Stream;
use super::super::stop::{Stop, Stopped};
use super::reach::Reach;
use super::{Opened, Placed, total};

/// Exchanges that look for a cover with one site less.
const STEPS: usize = 30_000;

/// Open sites, and what follows from them.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) reach: &'a Reach,
    pub(super) weights: Vec<f64>,
    /// The cost of demand that no open site serves.
    pub(super) charge: f64,
    pub(super) open: Vec<bool>,
    /// Open sites that may be closed.
    pub(super) free: Vec<u32>,
    /// By demand point: its open site, the cost of it, and that of the next open one.
    nearest: Vec<Option<u32>>,
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    /// By site: what would be saved if it opened too.
    gains: Vec<f64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        reach: &'a Reach,
        weights: Vec<f64>,
        charge: f64,
        fixed: &[u32],
        stop: &Stop,
    ) -> Result<Search<'a>, Stopped> {
        // what no site can serve counts nothing
        let cost = |demand| if reach.served(demand) { charge } else { 0.0 };
        let costs: Vec<f64> = (0..weights.len()).map(cost).collect();
        let sites = reach.columns.starts.len() - 1;
        let mut search = Search {
            open: vec![false; sites],
            free: Vec::new(),
            nearest: vec![None; weights.len()],
            first: costs.clone(),
            second: costs,
            gains: vec![0.0; sites],
            reach,
            weights,
            charge,
        };
        search.measure(stop)?;
        for site in fixed {
            stop.asked()?;
            search.set(*site, true);
        }
        Ok(search)
    }

    /// Sums the gains anew, without the rounding of many small changes.
    fn measure(&mut self, stop: &Stop) -> Result<(), Stopped> {
        self.gains.fill(0.0);
        for (demand, first) in self.first.iter().enumerate() {
            stop.asked()?;
            for (site, cost) in self.reach.rows.of(demand).take_while(|(_, cost)| cost < first) {
                self.gains[site as usize] += self.weights[demand] * (first - cost);
            }
        }
        Ok(())
    }

    pub(super) fn objective(&self) -> f64 {
        total(self.weights.iter().zip(&self.first).map(|(weight, cost)| weight * cost))
    }

    /// Opens or closes a site.
    fn set(&mut self, site: u32, open: bool) {
        self.open[site as usize] = open;
        for (demand, cost) in self.reach.columns.of(site as usize) {
            let demand = demand as usize;
            let second = self.second[demand];
            if cost > second || (open && cost == second && self.nearest[demand].is_some()) {
                continue;
            }
            let before = self.first[demand];
            let mut held = self.reach.rows.of(demand).filter(|(site, _)| self.open[*site as usize]);
            let (nearest, next) = (held.next(), held.next());
            let after = nearest.map_or(self.charge, |(_, cost)| cost);
            self.nearest[demand] = nearest.map(|(site, _)| site);
            self.first[demand] = after;
            self.second[demand] = next.map_or(self.charge, |(_, cost)| cost);
            if before == after {
                continue;
            }
            let (weight, higher) = (self.weights[demand], before.max(after));
            for (site, cost) in self.reach.rows.of(demand).take_while(|(_, cost)| *cost < higher) {
                self.gains[site as usize] += weight * ((after - cost).max(0.0) - (before - cost).max(0.0));
            }
        }
    }

    /// Closes the free sites but for those that are named, and opens these.
    pub(super) fn open_only(&mut self, sites: Vec<u32>, stop: &Stop) -> Result<(), Stopped> {
        let mut named = vec![false; self.open.len()];
        sites.iter().for_each(|site| named[*site as usize] = true);
        for site in std::mem::replace(&mut self.free, sites) {
            stop.asked()?;
            if !std::mem::replace(&mut named[site as usize], false) {
                self.set(site, false);
            }
        }
        // what is still named was closed
        for (site, _) in (0..).zip(named).filter(|(_, named)| *named) {
            stop.asked()?;
            self.set(site, true);
        }
        Ok(())
    }

    /// The closed site that saves most, and what it saves.
    fn top(&self, gains: &[f64]) -> Option<(u32, f64)> {
        let mut top: Option<(u32, f64)> = None;
        for ((site, open), gain) in (0..).zip(&self.open).zip(gains) {
            if !open && top.is_none_or(|(_, most)| *gain > most) {
                top = Some((site, *gain));
            }
        }
        top
    }

    /// What a closed site saves, summed anew.
    fn saved(&self, site: u32) -> f64 {
        let saved = |(demand, cost): (u32, f64)| {
            let demand = demand as usize;
            self.weights[demand] * (self.first[demand] - cost).max(0.0)
        };
        total(self.reach.columns.of(site as usize).map(saved))
    }

    /// Opens the site that saves most until `p` are open or none saves anything.
    pub(super) fn grow(&mut self, p: usize, stop: &Stop) -> Result<(), Stopped> {
        let open = self.open.iter().filter(|open| **open).count();
        for _ in open..p {
            stop.asked()?;
            match self.top(&self.gains) {
                Some((site, _)) if self.saved(site) > 0.0 => {
                    self.set(site, true);
                    self.free.push(site);
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Exchanges one site for another while that helps, and tells the objective.
    pub(super) fn exchange(&mut self, stop: &Stop) -> Result<f64, Stopped> {
        self.measure(stop)?;
        let mut objective = self.objective();
        let (mut at, mut idle, mut scratch) = (0, 0, Vec::new());
        while idle < self.free.len() {
            stop.asked()?;
            idle += 1;
            let out = self.free[at];
            scratch.clone_from(&self.gains);
            let lost = self.close(out, &mut scratch);
            if let Some((site, _)) = self.top(&scratch).filter(|(_, gain)| *gain > lost) {
                self.set(out, false);
                self.set(site, true);
                let now = self.objective();
                // sums are made alike each time, so that no set of sites can come twice and this ends
                if now < objective {
                    (objective, idle) = (now, 0);
                    self.free[at] = site;
                } else {
                    self.set(site, false);
                    self.set(out, true);
                }
            }
            at = (at + 1) % self.free.len();
        }
        Ok(objective)
    }

    /// What closing a site loses; adds to gains what the others would save more then.
    fn close(&self, out: u32, gains: &mut [f64]) -> f64 {
        let mut lost = 0.0;
        for (demand, _) in self.reach.columns.of(out as usize) {
            let demand = demand as usize;
            if self.nearest[demand] != Some(out) {
                continue;
            }
            let (weight, first, second) = (self.weights[demand], self.first[demand], self.second[demand]);
            lost += weight * (second - first);
            for (site, cost) in self.reach.rows.of(demand).take_while(|(_, cost)| *cost < second) {
                gains[site as usize] += weight * (second - cost.max(first));
            }
        }
        lost
    }

    /// Closes two to four sites and opens as many others, all by the draw.
    pub(super) fn shake(&mut self, draw: &mut Stream, stop: &Stop) -> Result<(), Stopped> {
        for _ in 0..draw.between(2, 4) {
            stop.asked()?;
            let at = index(draw, self.free.len());
            let site = index(draw, self.open.len());
            if !self.open[site] {
                self.set(self.free[at], false);
                #[expect(clippy::cast_possible_truncation, reason = "sites are counted in 32 bits")]
                let site = site as u32;
                self.set(site, true);
                self.free[at] = site;
            }
        }
        Ok(())
    }

    /// Closes one site after the other and covers what is then missing by exchanges, in which demand that is often
    /// missed weighs ever more (Gao et al. 2015); the last cover of all demand stays.
    pub(super) fn thin(&mut self, draw: &mut Stream, stop: &Stop) -> Result<(), Stopped> {
        let mut kept = self.free.clone();
        let mut changed = vec![0; self.open.len()];
        for step in 1..=STEPS {
            stop.asked()?;
            let whole = self.missed().next().is_none();
            if whole {
                kept.clone_from(&self.free);
            }
            // the newest site stays, or it would come and go
            let Some(out) = self.close_least(if whole { 1 } else { 2 }) else {
                break;
            };
            changed[out as usize] = step;
            let missed: Vec<usize> = self.missed().collect();
            let Some(demand) = missed.get(index(draw, missed.len())).filter(|_| !whole) else {
                continue;
            };
            let row = self.reach.rows.of(*demand).map(|(site, _)| site);
            let ahead = |left: u32, right: u32| {
                let (more, less) = (self.gains[left as usize], self.gains[right as usize]);
                more > less || (more == less && changed[left as usize] < changed[right as usize])
            };
            let others = row.filter(|site| *site != out);
            let into = others.reduce(|best, site| if ahead(site, best) { site } else { best });
            let into = into.unwrap_or(out);
            changed[into as usize] = step;
            self.set(into, true);
            self.free.push(into);
            for demand in missed {
                if self.first[demand] > 0.0 {
                    self.weights[demand] += 1.0;
                    for (site, _) in self.reach.rows.of(demand) {
                        self.gains[site as usize] += 1.0;
                    }
                }
            }
        }
        self.open_only(kept, stop)
    }

    /// Demand that a site could serve and none does; for costs of 0.
    fn missed(&self) -> impl Iterator<Item = usize> {
        let costs = self.first.iter().enumerate();
        costs.filter(|(_, cost)| **cost > 0.0).map(|(demand, _)| demand)
    }

    /// Closes the free site that loses least but for the newest ones, the oldest of those that lose alike.
    fn close_least(&mut self, newest: usize) -> Option<u32> {
        let mut least: Option<(usize, f64)> = None;
        for at in 0..=self.free.len().saturating_sub(newest) {
            let site = *self.free.get(at)?;
            let alone = |(demand, _): &(u32, f64)| self.nearest[*demand as usize] == Some(site);
            let alone = self.reach.columns.of(site as usize).filter(alone);
            let lost = total(alone.map(|(demand, _)| self.weights[demand as usize] * self.second[demand as usize]));
            if least.is_none_or(|(_, least)| lost < least) {
                least = Some((at, lost));
            }
        }
        let site = self.free.remove(least?.0);
        self.set(site, false);
        Some(site)
    }

    /// The answer, its sites by what they save after those before them; those that save nothing are left out.
    pub(super) fn placed(&self, fixed: &[u32], stop: &Stop) -> Result<Placed, Stopped> {
        let mut anew = Search::new(self.reach, self.weights.clone(), self.charge, &[], stop)?;
        let mut opened = Vec::new();
        for (mut group, fixed) in [(fixed.to_vec(), true), (self.free.clone(), false)] {
            group.sort_unstable();
            while let Some(first) = group.first() {
                stop.asked()?;
                let ahead = |site: u32, top: u32| anew.gains[site as usize] > anew.gains[top as usize];
                let top = group
                    .iter()
                    .fold(*first, |top, site| if ahead(*site, top) { *site } else { top });
                group.retain(|site| *site != top);
                let gain = anew.saved(top);
                if fixed || gain > 0.0 {
                    anew.set(top, true);
                    opened.push(Opened { site: top, gain, fixed });
                }
            }
        }
        let unserved = (0..).zip(&anew.nearest).filter(|(_, site)| site.is_none());
        Ok(Placed {
            opened,
            objective: anew.objective(),
            bound: 0.0,
            unserved: unserved.map(|(demand, _)| demand).collect(),
        })
    }
}

/// A place in a list, by the draw; 0 for an empty one.
#[expect(clippy::cast_possible_truncation, reason = "below the length of a list")]
fn index(draw: &mut Stream, length: usize) -> usize {
    draw.below(length as u64) as usize
}
