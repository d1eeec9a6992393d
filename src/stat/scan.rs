//! Prospective space-time scan: where, how wide and since when is something emerging?
//!
//! Every place is the centre of circles that grow by one neighbour after the other; every circle stands on the last
//! one, two, … days. For each of these cylinders the likelihood ratio of more events inside than expected is taken, and
//! the largest is held against the largest of data without a cluster (Monte Carlo). One p-value thus covers all places,
//! sizes and durations. Source: Kulldorff 1997 and 2001; Kulldorff et al. 2005 (permutation); Abrams, Kleinman and
//! Kulldorff 2010 (Gumbel).

mod null;
mod zones;

use super::stop::{Stop, Stopped};
use zones::Zones;

/// Members of all zones together at most: what a scan holds of them is some 200 MiB.
pub const MOST_MEMBERS: usize = 4_000_000;
/// Events at most.
pub const MOST_EVENTS: u64 = 50_000_000;

/// What is expected of a place and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Its share of all events times the day's share of them. Null: days are permuted among the events.
    Permutation,
    /// Its share of the population, on each day alike. Null: events fall by population on any day.
    Poisson,
    /// Its share of the population in the events of the day. Null: events fall by what is expected of place and day,
    /// so that days have as many as by chance, as SaTScan draws them for a time trend without a form.
    PoissonByDay,
}

/// How far places are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// In a plane, in the unit of the coordinates.
    Plane,
    /// On the sphere, in metres, between longitudes and latitudes in degrees.
    Sphere,
}

/// How it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// What is expected.
    pub model: Model,
    /// How far places are from each other.
    pub metric: Metric,
    /// Days of the longest cylinder, 1 or more.
    pub most_days: usize,
    /// The largest share of all events (of the population) that a circle holds, above 0 and at most 1.
    pub most_share: f64,
    /// The largest radius of a circle.
    pub most_radius: Option<f64>,
    /// Events that a cylinder must have.
    pub least_events: u64,
    /// Replications of the null.
    pub replications: u32,
    /// Seed of the replications.
    pub seed: u64,
    /// Threads that may be used; the answer does not depend on them.
    pub threads: usize,
}

impl Default for Scan {
    fn default() -> Scan {
        Scan {
            model: Model::Permutation,
            metric: Metric::Plane,
            most_days: 7,
            most_share: 0.5,
            most_radius: None,
            least_events: 2,
            replications: 999,
            seed: 1,
            threads: 1,
        }
    }
}

/// What is scanned.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Coordinates of each place.
    pub x: &'a [f64],
    /// Coordinates of each place.
    pub y: &'a [f64],
    /// Population of each place; not read by the permutation model.
    pub population: &'a [f64],
    /// Days, the last one being the day of the analysis.
    pub days: usize,
    /// Events as (place, day, number); days are counted from 0.
    pub events: &'a [(u32, u32, u32)],
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was told to stop.
    Stopped,
    /// There are no two places, no event, no population, or no day.
    TooFew,
    /// A coordinate or population that is not finite, a population below 0, or an event outside places and days.
    Invalid,
    /// Zones of more than [`MOST_MEMBERS`] members, or more than [`MOST_EVENTS`] events: a smaller radius or share is
    /// needed.
    TooMany,
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Refused {
        Refused::Stopped
    }
}

/// A cylinder.
#[derive(Debug, Clone, PartialEq)]
pub struct Cylinder {
    /// The place at its centre.
    pub centre: u32,
    /// Its places, rising.
    pub members: Vec<u32>,
    /// Its last days.
    pub days: usize,
    /// Events inside.
    pub observed: u64,
    /// Events expected inside.
    pub expected: f64,
    /// Logarithm of the likelihood ratio.
    pub llr: f64,
}

/// A cluster: the best cylinder that shares no place with a better one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The cylinder.
    pub cylinder: Cylinder,
    /// Share of the replications, this one included, whose best cylinder is as good; none without replications.
    pub p: Option<f64>,
    /// The chance of one as good under the Gumbel distribution of the replications' best.
    pub p_gumbel: Option<f64>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The clusters, best first.
    pub clusters: Vec<Cluster>,
    /// The best likelihood ratio of each replication.
    pub null: Vec<f64>,
}

/// Logarithm of the likelihood ratio of `inside` of `all` events where `expected` are expected; 0 where there are not
/// more than expected.
pub(super) fn ratio(inside: f64, expected: f64, all: f64) -> f64 {
    if inside <= expected {
        return 0.0;
    }
    let outside = all - inside;
    let rest = if outside > 0.0 {
        outside * (outside / (all - expected)).ln()
    } else {
        0.0
    };
    inside * (inside / expected).ln() + rest
}

impl Scan {
    /// Scans; polls `stop` at least every few milliseconds.
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn scan(&self, data: Data<'_>, stop: &Stop) -> Result<Found, Refused> {
        let zones = Zones::new(self, data, stop)?;
        let mut best: Vec<Cylinder> = self.best_of(&zones, data, stop)?;
        best.retain(|cylinder| cylinder.llr > 0.0);
        let null = null::maxima(self, &zones, data, stop)?;
        let gumbel = Gumbel::of(&null);
        let mut taken = vec![false; data.x.len()];
        let mut clusters = Vec::new();
        for cylinder in best {
            if cylinder.members.iter().any(|place| taken[*place as usize]) {
                continue;
            }
            cylinder.members.iter().for_each(|place| taken[*place as usize] = true);
            let as_good = null.iter().filter(|other| **other >= cylinder.llr).count();
            let p = (!null.is_empty()).then(|| (as_good + 1) as f64 / (null.len() + 1) as f64);
            clusters.push(Cluster {
                p,
                p_gumbel: gumbel.map(|gumbel| gumbel.at_least(cylinder.llr)),
                cylinder,
            });
        }
        Ok(Found { clusters, null })
    }

    /// The best cylinder of each centre, best first and of equal ones the smallest; for a centre of equal ones that of
    /// the smaller circle and of fewer days.
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn best_of_each(&self, data: Data<'_>, stop: &Stop) -> Result<Vec<Cylinder>, Refused> {
        let zones = Zones::new(self, data, stop)?;
        self.best_of(&zones, data, stop)
    }

    fn best_of(&self, zones: &Zones, data: Data<'_>, stop: &Stop) -> Result<Vec<Cylinder>, Refused> {
        let counts = zones.observed(data);
        let mut found = Vec::with_capacity(data.x.len());
        for centre in 0..data.x.len() {
            stop.asked()?;
            found.push(zones.best(centre, &counts, self.least_events));
        }
        // of equally good ones the smallest says most
        let size = |cylinder: &Cylinder| (cylinder.members.len(), cylinder.centre);
        found.sort_by(|a, b| b.llr.total_cmp(&a.llr).then_with(|| size(a).cmp(&size(b))));
        Ok(found)
    }
}

/// The distribution of the largest of many.
#[derive(Debug, Clone, Copy)]
struct Gumbel {
    location: f64,
    scale: f64,
}

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

impl Gumbel {
    /// By moments; none where the maxima do not differ.
    fn of(maxima: &[f64]) -> Option<Gumbel> {
        let n = maxima.len() as f64;
        let mean = maxima.iter().sum::<f64>() / n;
        let squares: f64 = maxima.iter().map(|value| (value - mean).powi(2)).sum();
        let scale = (squares / (n - 1.0)).sqrt() * 6.0_f64.sqrt() / std::f64::consts::PI;
        (scale.is_finite() && scale > 0.0).then_some(Gumbel {
            location: mean - EULER * scale,
            scale,
        })
    }

    fn at_least(self, value: f64) -> f64 {
        -(-(-(value - self.location) / self.scale).exp()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::{Stream, cumulate};
    use super::*;

    type Events = Vec<(u32, u32, u32)>;

    /// Places in a square of 10 with events by population and no cluster.
    fn without_cluster(seed: u64) -> ([Vec<f64>; 3], Events) {
        let mut stream = Stream::keyed(seed, 77, 0, 0);
        let mut draw = |most: f64| -> Vec<f64> { (0..20).map(|_| stream.uniform() * most).collect() };
        let (x, y, people) = (draw(10.0), draw(10.0), draw(900.0));
        let sums = cumulate(people.iter().copied());
        let events = (0..300)
            .map(|_| (stream.pick(&sums) as u32, stream.below(30) as u32, 1))
            .collect();
        ([x, y, people], events)
    }

    /// Kolmogorov and Smirnov's distance of p-values from uniform ones.
    fn distance(mut p: Vec<f64>) -> f64 {
        p.sort_unstable_by(f64::total_cmp);
        let n = p.len() as f64;
        let ranked = p.iter().enumerate();
        ranked
            .map(|(at, p)| (p - at as f64 / n).abs().max((p - (at as f64 + 1.0) / n).abs()))
            .fold(0.0, f64::max)
    }

    #[test]
    fn p_values_are_uniform_where_there_is_no_cluster() {
        for model in [Model::Permutation, Model::Poisson] {
            let scan = Scan {
                model,
                replications: 99,
                ..Scan::default()
            };
            let p: Vec<f64> = (0..400)
                .filter_map(|seed| {
                    let ([x, y, population], events) = without_cluster(seed);
                    let data = Data {
                        x: &x,
                        y: &y,
                        population: &population,
                        days: 30,
                        events: &events,
                    };
                    let scan = Scan { seed, ..scan.clone() };
                    scan.scan(data, &Stop::default()).expect("an answer").clusters[0].p
                })
                .collect();
            // the critical distance of 400 at 0.1 %, and half a step of 1/100
            let (found, most) = (distance(p.clone()), 1.95 / 20.0 + 0.005);
            println!("{model:?}: {} p-values, distance {found:.4}", p.len());
            assert!(p.len() == 400 && found < most, "{model:?}: {found}");
        }
    }

    #[test]
    fn a_cluster_is_found_where_it_was_planted_whatever_the_threads_and_the_order() {
        let ([x, y, population], mut events) = without_cluster(3);
        events.extend([(4, 28, 9), (4, 29, 11)]);
        let data = |events: &[(u32, u32, u32)], threads: usize| {
            let scan = Scan {
                threads,
                ..Scan::default()
            };
            let data = Data {
                x: &x,
                y: &y,
                population: &population,
                days: 30,
                events,
            };
            scan.scan(data, &Stop::default()).expect("an answer")
        };
        let found = data(&events, 1);
        let first = &found.clusters[0];
        assert!(
            first.cylinder.members.contains(&4) && first.cylinder.days <= 2,
            "{first:?}"
        );
        assert_eq!(first.p, Some(0.001));
        assert!(
            found
                .clusters
                .windows(2)
                .all(|pair| pair[0].cylinder.llr >= pair[1].cylinder.llr)
        );
        for threads in [2, 3, 7] {
            assert_eq!(data(&events, threads), found);
        }
        events.reverse();
        assert_eq!(data(&events, 2), found);
        // no place is in two clusters
        let mut members: Vec<u32> = found
            .clusters
            .iter()
            .flat_map(|cluster| cluster.cylinder.members.clone())
            .collect();
        members.sort_unstable();
        assert!(members.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_null_does_not_depend_on_where_it_is_cut_off() {
        let ([x, y, population], events) = without_cluster(5);
        let data = Data {
            x: &x,
            y: &y,
            population: &population,
            days: 30,
            events: &events,
        };
        let scan = |replications: u32| Scan {
            replications,
            most_days: 12,
            ..Scan::default()
        };
        // the first replications are pilots that are reckoned in full, later ones have a base
        let few = scan(8).scan(data, &Stop::default()).expect("an answer").null;
        let many = scan(200).scan(data, &Stop::default()).expect("an answer").null;
        assert_eq!(few[..], many[..8]);
        let zones = Zones::new(&scan(200), data, &Stop::default()).expect("zones");
        let plain = null::plainly(&scan(200), &zones, data);
        assert_eq!(many, plain);
    }

    #[test]
    fn what_cannot_be_scanned_is_refused() {
        let stop = Stop::default();
        let scan = Scan::default();
        let data = |x: &'static [f64], events: &'static [(u32, u32, u32)]| Data {
            x,
            y: x,
            population: &[],
            days: 3,
            events,
        };
        let refused = |data: Data<'_>| scan.scan(data, &stop).expect_err("an answer");
        assert_eq!(refused(data(&[1.0], &[(0, 0, 5)])), Refused::TooFew);
        assert_eq!(refused(data(&[1.0, 2.0], &[(0, 0, 0)])), Refused::TooFew);
        assert_eq!(refused(data(&[1.0, f64::NAN], &[(0, 0, 5)])), Refused::Invalid);
        assert_eq!(refused(data(&[1.0, 2.0], &[(2, 0, 5)])), Refused::Invalid);
        assert_eq!(refused(data(&[1.0, 2.0], &[(0, 3, 5)])), Refused::Invalid);
        assert_eq!(refused(data(&[1.0, 2.0], &[(0, 0, u32::MAX)])), Refused::TooMany);
        stop.now();
        assert_eq!(refused(data(&[1.0, 2.0], &[(0, 0, 5)])), Refused::Stopped);
    }
}
