//! A bound that no set of sites can pass, by Lagrange's relaxation (Held, Wolfe and Crowder 1974).

use super::super::stop::{Stop, Stopped};
use super::search::Search;
use super::total;

/// Rounds of subgradients, the first step's scale, rounds without a better bound before it is halved, and the part of a
/// direction that the next one keeps.
const ROUNDS: usize = 400;
const SCALE: f64 = 2.0;
const PATIENCE: usize = 15;
const MOMENTUM: f64 = 0.8;

/// The problem without the rule that a demand point is served once: each point pays a price instead, and sites are then
/// chosen one by one. Whatever the prices, the outcome is a lower bound; subgradients look for prices that raise it.
#[derive(Debug)]
pub(super) struct Relaxed<'a> {
    search: &'a Search<'a>,
    fixed: &'a [u32],
    /// Sites beside the fixed ones at most.
    others: usize,
    /// What each site costs.
    price: f64,
    /// By demand point: what it pays, and the most it can pay.
    pays: Vec<f64>,
    caps: Vec<f64>,
}

impl<'a> Relaxed<'a> {
    pub(super) fn new(search: &'a Search<'a>, fixed: &'a [u32], others: usize, price: f64) -> Relaxed<'a> {
        let (mut pays, mut caps) = (Vec::new(), Vec::new());
        for (demand, weight) in search.weights.iter().enumerate() {
            let charge = if search.reach.served(demand) {
                search.charge
            } else {
                0.0
            };
            caps.push(weight * charge);
            // between what the nearest and the next site cost: near the prices that were found best
            pays.push(weight * (search.first[demand] + search.second[demand]) / 2.0);
        }
        Relaxed {
            search,
            fixed,
            others,
            price,
            pays,
            caps,
        }
    }

    /// A lower bound, for an objective that was found.
    pub(super) fn bound(mut self, found: f64, stop: &Stop) -> Result<f64, Stopped> {
        let (weights, rows) = (&self.search.weights, &self.search.reach.rows);
        let whole = |value: &f64| value.fract() == 0.0;
        let exact = weights.iter().all(whole) && rows.costs.iter().all(whole) && whole(&self.search.charge);
        let largest = total(self.caps.iter().copied()) + found;
        // a bound must hold in spite of rounding; of whole numbers the next one holds too
        let certain = |value: f64| match exact {
            true => (value - 1e-9 * (1.0 + value.abs())).ceil(),
            false => value - 1e-12 * largest,
        };
        // nothing is cheaper than each point at its nearest site
        let cheapest = |(demand, weight): (usize, &f64)| rows.of(demand).next().map_or(0.0, |(_, cost)| weight * cost);
        let floor = total(weights.iter().enumerate().map(cheapest));
        let (mut best, mut scale, mut stalled) = (f64::NEG_INFINITY, SCALE, 0);
        let (mut values, mut chosen) = (Vec::new(), Vec::new());
        let mut slope = vec![0.0; self.pays.len()];
        for _ in 0..ROUNDS {
            if floor.max(certain(best)) >= found {
                break;
            }
            let value = self.choose(&mut values, &mut chosen, stop)?;
            if value > best {
                (best, stalled) = (value, 0);
            } else {
                stalled += 1;
            }
            if stalled == PATIENCE {
                (scale, stalled) = (scale / 2.0, 0);
            }
            let steep = self.slope(&chosen, &mut slope);
            if steep == 0.0 {
                break;
            }
            let step = scale * (found - value).max(0.0) / steep;
            for ((pay, cap), slope) in self.pays.iter_mut().zip(&self.caps).zip(&slope) {
                *pay = (*pay + step * slope).clamp(0.0, *cap);
            }
        }
        Ok(floor.max(certain(best)))
    }

    /// The sites that are worth most at these prices, and the outcome.
    fn choose(&self, values: &mut Vec<f64>, chosen: &mut Vec<u32>, stop: &Stop) -> Result<f64, Stopped> {
        let search = self.search;
        values.clear();
        values.resize(search.open.len(), self.price);
        for (demand, pay) in self.pays.iter().enumerate() {
            stop.asked()?;
            let weight = search.weights[demand];
            let cheaper = |(_, cost): &(u32, f64)| weight * cost < *pay;
            for (site, cost) in search.reach.rows.of(demand).take_while(cheaper) {
                values[site as usize] += weight * cost - pay;
            }
        }
        let take = |site: &u32| std::mem::replace(&mut values[*site as usize], 0.0);
        let fixed = total(self.fixed.iter().map(take));
        let saving = (0..).zip(values.iter()).filter(|(_, value)| **value < 0.0);
        chosen.clear();
        chosen.extend(saving.map(|(site, _)| site));
        if chosen.len() > self.others {
            let value = |site: &u32| values[*site as usize];
            chosen.select_nth_unstable_by(self.others, |left, right| {
                value(left).total_cmp(&value(right)).then(left.cmp(right))
            });
            chosen.truncate(self.others);
        }
        let others = total(chosen.iter().map(|site| values[*site as usize]));
        chosen.extend_from_slice(self.fixed);
        Ok(total(self.pays.iter().copied()) + fixed + others)
    }

    /// Which way prices raise the outcome, in part as before, and its square.
    fn slope(&self, chosen: &[u32], slope: &mut [f64]) -> f64 {
        let search = self.search;
        let mut served = vec![0.0; slope.len()];
        for site in chosen {
            for (demand, cost) in search.reach.columns.of(*site as usize) {
                let demand = demand as usize;
                if search.weights[demand] * cost < self.pays[demand] {
                    served[demand] += 1.0;
                }
            }
        }
        let mut square = 0.0;
        for (demand, slope) in slope.iter_mut().enumerate() {
            let mut own = 1.0 - served[demand];
            let (pay, cap) = (self.pays[demand], self.caps[demand]);
            if (pay >= cap && own > 0.0) || (pay <= 0.0 && own < 0.0) {
                own = 0.0;
            }
            *slope = own + MOMENTUM * *slope;
            square += *slope * *slope;
        }
        square
    }
}
