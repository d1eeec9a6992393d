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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_by_hand() {
        // 10 of 100, 30 of 100: the rate is 0.2, the variance 0.01 less 0.2 / 100
        let units = [(10.0, 100.0), (30.0, 100.0), (1.0, 0.0), (f64::NAN, 5.0)];
        let units = units.map(|(events, population)| Risk { events, population });
        let found = of_all(&units);
        let first = found[0].expect("a rate");
        assert!((first.weight - 0.8).abs() < 1e-12 && (first.rate - 0.12).abs() < 1e-12);
        assert!((first.z.expect("z") + 1.0).abs() < 1e-12);
        assert_eq!((found[2], found[3]), (None, None));
        // without a spread beyond chance all have the rate of all
        let alike = [
            Risk {
                events: 2.0,
                population: 10.0,
            },
            Risk {
                events: 3.0,
                population: 10.0,
            },
        ];
        assert!(
            of_all(&alike)
                .iter()
                .flatten()
                .all(|unit| (unit.rate - 0.25).abs() < 1e-12)
        );
        let none = [Risk {
            events: 0.0,
            population: 10.0,
        }; 2];
        assert!(of_all(&none).iter().flatten().all(|unit| unit.rate == 0.0));
    }

    proptest! {
        #[test]
        fn a_shrunk_rate_lies_between(units in prop::collection::vec((0..50_u32, 1..10_000_u32), 1..40)) {
            let units: Vec<Risk> = units
                .into_iter()
                .map(|(events, population)| Risk { events: f64::from(events), population: f64::from(population) })
                .collect();
            let all = units.iter().map(|unit| unit.events).sum::<f64>() / units.iter().map(|unit| unit.population).sum::<f64>();
            for shrunk in of_all(&units).into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&shrunk.weight));
                let (low, high) = (shrunk.raw.min(all), shrunk.raw.max(all));
                prop_assert!(shrunk.rate >= low - 1e-12 && shrunk.rate <= high + 1e-12);
            }
        }

        #[test]
        fn discoveries_rise_with_p_and_are_no_less(p in prop::collection::vec(prop::option::of(0.0..=1.0_f64), 0..60)) {
            let q = discovery(&p);
            let known = p.iter().flatten().count() as f64;
            for (p, q) in p.iter().zip(&q) {
                prop_assert_eq!(p.is_some(), q.is_some());
                if let (Some(p), Some(q)) = (p, q) {
                    prop_assert!(*q >= *p - 1e-15 && *q <= (p * known).min(1.0) + 1e-12);
                }
            }
            for (a, qa) in p.iter().zip(&q) {
                for (b, qb) in p.iter().zip(&q) {
                    if let (Some(a), Some(b)) = (a, b) {
                        prop_assert!(a > b || qa <= qb);
                    }
                }
            }
        }
    }
}
