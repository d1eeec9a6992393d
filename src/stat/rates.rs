//! Rates of small populations: shrunk towards that of all, or of their neighbours, by how little they tell.
//!
//! Source: Marshall 1991 (both); Assunção and Reis 1999 (the standardised rate).

use super::weights::Neighbours;

/// A unit's events and population at risk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Risk {
    /// Events, 0 or more.
    pub events: f64,
    /// Population, above 0.
    pub population: f64,
}

impl Risk {
    /// The raw rate.
    #[must_use]
    pub fn rate(self) -> f64 {
        self.events / self.population
    }

    /// Whether a rate can be told from it.
    #[must_use]
    pub fn is_sound(self) -> bool {
        (0.0..f64::INFINITY).contains(&self.events) && self.population > 0.0 && self.population.is_finite()
    }
}

/// A unit's rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrunk {
    /// Events by population.
    pub raw: f64,
    /// The empirical Bayes estimate.
    pub rate: f64,
    /// The part of the raw rate in it, from 0 to 1.
    pub weight: f64,
    /// The raw rate's deviation from that of all, standardised by what its population leaves to chance.
    pub z: Option<f64>,
}

/// Rates shrunk towards the rate of all units; units that are not sound have none and count nowhere.
#[must_use]
pub fn of_all(units: &[Risk]) -> Vec<Option<Shrunk>> {
    let sound = || units.iter().copied().filter(|unit| unit.is_sound());
    let (events, people) = sound().fold((0.0, 0.0), |(events, people), unit| {
        (events + unit.events, people + unit.population)
    });
    let n = sound().count() as f64;
    let rate = events / people;
    let spread = sound()
        .map(|unit| unit.population * (unit.rate() - rate).powi(2))
        .sum::<f64>()
        / people;
    let between = spread - rate / (people / n);
    let estimate = |unit: &Risk| {
        unit.is_sound().then(|| {
            // the standardised rate keeps a variance below 0, where its own is above it
            let chance = rate / unit.population;
            let variance = if between + chance > 0.0 {
                between + chance
            } else {
                chance
            };
            let z = (unit.rate() - rate) / variance.sqrt();
            Shrunk {
                z: z.is_finite().then_some(z),
                ..shrunk(*unit, rate, between)
            }
        })
    };
    units.iter().map(estimate).collect()
}

/// Rates shrunk towards the rate of the unit and its neighbours.
#[must_use]
pub fn of_neighbours(units: &[Risk], neighbours: &Neighbours) -> Vec<Option<Shrunk>> {
    let estimate = |(at, unit): (usize, &Risk)| {
        let others = neighbours.of(at).iter().map(|other| units[*other as usize]);
        let near: Vec<Risk> = std::iter::once(*unit)
            .chain(others)
            .filter(|unit| unit.is_sound())
            .collect();
        let (events, people) = near.iter().fold((0.0, 0.0), |(events, people), unit| {
            (events + unit.events, people + unit.population)
        });
        let rate = events / people;
        let spread = near.iter().map(|unit| unit.population * (unit.rate() - rate).powi(2));
        let between = spread.sum::<f64>() / people - rate / (people / near.len() as f64);
        unit.is_sound().then(|| shrunk(*unit, rate, between))
    };
    units.iter().enumerate().map(estimate).collect()
}

/// An estimate between a unit's own rate and one that it is drawn to; a variance between units below 0 is none.
fn shrunk(unit: Risk, rate: f64, between: f64) -> Shrunk {
    let between = between.max(0.0);
    let weight = between / (between + rate / unit.population);
    // without a single event there is nothing to weigh
    let weight = if weight.is_nan() { 0.0 } else { weight };
    Shrunk {
        raw: unit.rate(),
        rate: rate + weight * (unit.rate() - rate),
        weight,
        z: None,
    }
}

/// The false discovery rate at which each test would be the last one kept (Benjamini and Hochberg 1995); tests without
/// a p-value have none and are not counted.
#[must_use]
pub fn discovery(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> = p.iter().enumerate().filter_map(|(at, p)| Some(((*p)?, at))).collect();
    order.retain(|(p, _)| (0.0..=1.0).contains(p));
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (tests, mut least) = (order.len() as f64, 1.0_f64);
    let mut found = vec![None; p.len()];
    for (rank, (p, at)) in order.iter().enumerate().rev() {
        least = least.min(p * tests / (rank + 1) as f64);
        found[*at] = Some(least);
    }
    found
}
