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

    /// The best cylinder of each centre, best first; of equal ones that of the smaller circle and of fewer days.
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
        found.sort_by(|a, b| b.llr.total_cmp(&a.llr).then(a.centre.cmp(&b.centre)));
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
