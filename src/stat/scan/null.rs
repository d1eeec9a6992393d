//! What the best cylinder is worth where there is no cluster: replications of the null.
//!
//! Nearly all cylinders of a replication are worth less than the best one will be. So the events inside are held
//! against the smallest number that would be worth a base, and only what is above it is reckoned in full; a
//! replication whose best stays below the base is done again without one. The result is the same for any base.

use super::super::random::{Stream, cumulate, lane};
use super::super::stop::{Stop, Stopped};
use super::zones::Zones;
use super::{Data, Model, Scan, ratio};

/// Windows that are added and compared at once.
const LANES: usize = 8;
/// Replications that go over the circles of one centre together, so that its limits are fetched once.
const TOGETHER: usize = 8;
/// Replications from whose best ones the base is taken.
const PILOTS: u32 = 8;
/// The base as a part of the least of the pilots' best.
const BASE: f64 = 0.75;
const LANE: u64 = lane("scan");

/// Batches of replications by their number, with the best of each.
type Batches = Vec<(usize, Vec<f64>)>;

/// The best likelihood ratio of each replication.
pub(super) fn maxima(scan: &Scan, zones: &Zones, data: Data<'_>, stop: &Stop) -> Result<Vec<f64>, Stopped> {
    let null = Null::new(scan, zones, data);
    let pilots = scan.replications.min(PILOTS);
    let all = Limits::new(zones, scan.least_events, 0.0);
    let exactly = |limits: &Limits, range: std::ops::Range<u32>| -> Result<Vec<f64>, Stopped> {
        let mut best = null.best(limits, range.clone(), stop)?;
        for (replication, best) in range.zip(&mut best) {
            if *best <= limits.base && limits.base > 0.0 {
                *best = null.best(&all, replication..replication + 1, stop)?[0];
            }
        }
        Ok(best)
    };
    let mut limits = Limits::new(zones, scan.least_events, 0.0);
    let mut found: Vec<f64> = Vec::with_capacity(scan.replications as usize);
    for replication in 0..pilots {
        found.extend(exactly(&limits, replication..replication + 1)?);
        let least = found.iter().copied().fold(f64::INFINITY, f64::min);
        if BASE * least > limits.base {
            limits = Limits::new(zones, scan.least_events, BASE * least);
        }
    }
    let batches: Vec<std::ops::Range<u32>> = (pilots..scan.replications)
        .step_by(TOGETHER)
        .map(|first| first..scan.replications.min(first + TOGETHER as u32))
        .collect();
    let threads = scan.threads.clamp(1, batches.len().max(1));
    let mut done: Vec<Result<Batches, Stopped>> = Vec::new();
    std::thread::scope(|scope| {
        let (batches, exactly, limits) = (&batches, &exactly, &limits);
        let work = move |thread: usize| {
            let own = batches.iter().enumerate().skip(thread).step_by(threads);
            own.map(|(at, range)| Ok((at, exactly(limits, range.clone())?)))
                .collect()
        };
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        done.push(work(0));
        // a thread that broke has answered nothing, and the work counts as stopped
        done.extend(others.into_iter().map(|other| other.join().unwrap_or(Err(Stopped))));
    });
    let mut parts: Batches = Vec::with_capacity(batches.len());
    for part in done {
        parts.extend(part?);
    }
    parts.sort_unstable_by_key(|(at, _)| *at);
    found.extend(parts.into_iter().flat_map(|(_, best)| best));
    Ok(found)
}

/// The most events inside that are not worth the base, for each member and window.
struct Limits {
    base: f64,
    /// Blocks of [`LANES`] windows, each with rows for all members.
    rows: Vec<i32>,
}

impl Limits {
    fn new(zones: &Zones, least: u64, base: f64) -> Limits {
        let blocks = zones.windows.div_ceil(LANES);
        let mut rows = vec![i32::MAX; blocks * zones.members.len() * LANES];
        for centre in 0..zones.places {
            for window in 0..zones.windows {
                let mut limit = i32::try_from(least.saturating_sub(1)).unwrap_or(i32::MAX);
                for at in zones.starts[centre]..zones.starts[centre + 1] {
                    let expected = zones.expected[window] * zones.sizes[at];
                    // it grows with the circle
                    limit = limit.max(expected as i32);
                    while f64::from(limit) < zones.all && ratio(f64::from(limit) + 1.0, expected, zones.all) <= base {
                        limit += 1;
                    }
                    if zones.ends[at] {
                        let block = window / LANES * zones.members.len() + at;
                        rows[block * LANES + window % LANES] = limit;
                    }
                }
            }
        }
        Limits { base, rows }
    }
}

/// How data without a cluster are drawn.
struct Null<'a> {
    zones: &'a Zones,
    seed: u64,
    model: Model,
    /// Events of each day, the newest first.
    of_day: Vec<u32>,
    events: u64,
    /// Running sums of what is expected of each day, the newest first.
    days: Vec<f64>,
    /// The place of every event, for a permutation.
    places: Vec<u32>,
    /// Running sums of the population.
    people: Vec<f64>,
}

impl<'a> Null<'a> {
    fn new(scan: &Scan, zones: &'a Zones, data: Data<'_>) -> Null<'a> {
        let mut of_day = vec![0_u32; data.days];
        let (mut places, mut events) = (Vec::new(), 0);
        for (place, day, number) in data.events {
            events += u64::from(*number);
            of_day[data.days - 1 - *day as usize] += *number;
            if scan.model == Model::Permutation {
                places.extend(std::iter::repeat_n(*place, *number as usize));
            }
        }
        // the order in which events come must not matter
        places.sort_unstable();
        let people = match scan.model {
            Model::Permutation => Vec::new(),
            Model::Poisson | Model::PoissonByDay => cumulate(data.population.iter().copied()),
        };
        Null {
            zones,
            seed: scan.seed,
            model: scan.model,
            days: match scan.model {
                Model::PoissonByDay => cumulate(of_day.iter().map(|count| f64::from(*count))),
                Model::Permutation | Model::Poisson => cumulate(vec![1.0; data.days]),
            },
            of_day,
            events,
            places,
            people,
        }
    }

    /// Events of each place in the last day, two days, …: blocks of [`LANES`] windows with a row for each place.
    fn draw(&self, replication: u32, places: &mut [u32], counts: &mut [i32]) {
        let mut stream = Stream::keyed(self.seed, LANE, u64::from(replication), 0);
        counts.fill(0);
        let rows = self.zones.places * LANES;
        let cell = |place: u32, back: usize| back / LANES * rows + place as usize * LANES + back % LANES;
        match self.model {
            Model::Permutation => {
                places.copy_from_slice(&self.places);
                let mut drawn = 0;
                for (back, count) in self.of_day[..self.zones.windows].iter().enumerate() {
                    for _ in 0..*count {
                        let at = drawn + stream.below((places.len() - drawn) as u64) as usize;
                        places.swap(drawn, at);
                        counts[cell(places[drawn], back)] += 1;
                        drawn += 1;
                    }
                }
            }
            Model::Poisson | Model::PoissonByDay => {
                for _ in 0..self.events {
                    let back = stream.pick(&self.days);
                    if back < self.zones.windows {
                        counts[cell(stream.pick(&self.people) as u32, back)] += 1;
                    }
                }
            }
        }
        self.add_up(counts);
    }

    /// Counts of days become those of the last day, two days, ….
    fn add_up(&self, counts: &mut [i32]) {
        let rows = self.zones.places * LANES;
        for place in 0..self.zones.places {
            let mut sum = 0;
            for block in counts.chunks_exact_mut(rows) {
                for count in &mut block[place * LANES..(place + 1) * LANES] {
                    sum += *count;
                    *count = sum;
                }
            }
        }
    }

    /// The best of each of some replications, as far as it is above the base of the limits; the base else.
    fn best(&self, limits: &Limits, range: std::ops::Range<u32>, stop: &Stop) -> Result<Vec<f64>, Stopped> {
        let (zones, rows) = (self.zones, self.zones.places * LANES);
        let size = zones.windows.div_ceil(LANES) * rows;
        let mut counts = vec![0; size * range.len()];
        let mut places = vec![0; self.places.len()];
        for (replication, counts) in range.clone().zip(counts.chunks_exact_mut(size)) {
            stop.asked()?;
            self.draw(replication, &mut places, counts);
        }
        let mut best = vec![limits.base; range.len()];
        for centre in 0..zones.places {
            stop.asked()?;
            let members = zones.starts[centre]..zones.starts[centre + 1];
            for (counts, best) in counts.chunks_exact(size).zip(&mut best) {
                for (block, counts) in counts.chunks_exact(rows).enumerate() {
                    let first = block * zones.members.len();
                    let limits = &limits.rows[(first + members.start) * LANES..(first + members.end) * LANES];
                    self.best_around(members.start, block, counts, limits, best);
                }
            }
        }
        Ok(best)
    }

    /// Raises `best` to what the circles around one centre are worth in a block of windows.
    fn best_around(&self, first: usize, block: usize, counts: &[i32], limits: &[i32], best: &mut f64) {
        let (rows, _) = counts.as_chunks::<LANES>();
        let (limits, _) = limits.as_chunks::<LANES>();
        let mut inside = [0; LANES];
        for (at, limit) in (first..).zip(limits) {
            let row = &rows[self.zones.members[at] as usize];
            let mut above = 0;
            for lane in 0..LANES {
                inside[lane] += row[lane];
                above |= i32::from(inside[lane] > limit[lane]);
            }
            if above != 0 {
                self.reckon(at, block, &inside, limit, best);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn reckon(&self, at: usize, block: usize, inside: &[i32; LANES], limit: &[i32; LANES], best: &mut f64) {
        for lane in 0..LANES {
            if inside[lane] > limit[lane] {
                let (inside, window) = (f64::from(inside[lane]), block * LANES + lane);
                let expected = self.zones.expected[window] * self.zones.sizes[at];
                // the other term is none above 0
                if inside * (inside / expected).ln() > *best {
                    *best = best.max(ratio(inside, expected, self.zones.all));
                }
            }
        }
    }
}

/// The same without a base: every cylinder of every replication, one after the other.
#[cfg(test)]
pub(super) fn plainly(scan: &Scan, zones: &Zones, data: Data<'_>) -> Vec<f64> {
    let null = Null::new(scan, zones, data);
    let all = Limits::new(zones, scan.least_events, 0.0);
    let best = |replication| null.best(&all, replication..replication + 1, &Stop::default());
    (0..scan.replications)
        .flat_map(|replication| best(replication).unwrap_or_default())
        .collect()
}
