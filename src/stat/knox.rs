//! Knox's test: are pairs of events near in space more often near in time than chance has it? Source: Knox 1964;
//! Mantel 1967; Johnson et al. 2007.
//!
//! Pairs are counted in bands of distance and of lag, `[lo, hi)` each. Against them stand the expectation and the
//! variance over all ways to deal the days out to the places (Barton and David 1966), which are exact, and a number of
//! such deals drawn at random. Pairs near in space are listed once; a deal then costs one look at each of them.
//!
//! Nothing depends on the order of the events or on the number of threads, the drawn deals included: places and days
//! are sorted first, and each deal has a stream of its own. It deliberately knows places and days alone, and says
//! nothing of a single event.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::random::{Stream, lane};
use super::stop::{Stop, Stopped};

/// Bands of distance or lag at most.
pub const MOST_BANDS: usize = 64;
/// Pairs that a gigabyte holds with ease, the usual limit.
pub const MOST_PAIRS: usize = 200_000_000;
/// The longest lag: a table has its band by lag.
const LONGEST_LAG: i64 = 1 << 24;
/// Columns and rows of cells at most; the cells grow beyond.
const CELLS: f64 = 1_099_511_627_776.0;
/// By how much a cell is wider than the farthest pair, so that rounding never puts a cell between the two.
const MARGIN: f64 = 1.0 + 1.0 / 1024.0;
/// Pairs that are looked at before anybody is asked whether to stop: some milliseconds.
const PATIENCE: usize = 1 << 20;
/// A variance below this share of the expectation is rounding.
const NO_VARIANCE: f64 = 1e-12;

/// How distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// In a straight line.
    Euclidean,
    /// Along streets at right angles: the sum of both differences.
    Manhattan,
}

/// How it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Edges of the bands of distance, in metres, rising from 0 or more.
    pub space: Vec<f64>,
    /// Edges of the bands of lag, in days or whatever a day stands for, rising from 0 or more, to 2²⁴ at most.
    pub time: Vec<i64>,
    /// How distance is measured.
    pub metric: Metric,
    /// Deals that are drawn; with 0 there is no p-value.
    pub replications: u32,
    /// What the deals are drawn by.
    pub seed: u64,
    /// Pairs near in space that may be listed, four bytes each; see [`MOST_PAIRS`].
    pub most_pairs: usize,
}

/// The test with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Knox(Options);

/// Events: as many coordinates, in metres, as days.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// To the east.
    pub x: &'a [f64],
    /// To the north.
    pub y: &'a [f64],
    /// When.
    pub days: &'a [i64],
}

/// What is said of a band of distance and lag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Distances, from the first and below the second.
    pub space: (f64, f64),
    /// Lags, from the first and below the second.
    pub time: (i64, i64),
    /// Pairs in it.
    pub observed: u64,
    /// Pairs expected, over all deals.
    pub expected: f64,
    /// Their variance, over all deals, 0 or more.
    pub variance: f64,
    /// The excess in standard deviations; `None` where every deal has as many pairs.
    pub z: Option<f64>,
    /// Observed over expected; `None` where none are expected.
    pub ratio: Option<f64>,
    /// The share of deals with as many pairs or more, the observed one among them; `None` without any drawn.
    pub p: Option<f64>,
}

/// Why there is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Coordinates and days are not as many.
    Shape,
    /// A coordinate of this event is not finite: the first such one, from 0.
    NotFinite(usize),
    /// More than 2³² events, or days that reach further than 2³² even without their empty stretches.
    TooMany,
    /// More pairs are near in space than may be listed.
    TooManyPairs,
    /// Somebody said so.
    Stopped,
}

impl From<Stopped> for Error {
    fn from(_: Stopped) -> Error {
        Error::Stopped
    }
}

impl Knox {
    /// `None` for edges that do not rise, or not from 0 or more, are not finite, or make no band or more than
    /// [`MOST_BANDS`].
    #[must_use]
    pub fn new(options: Options) -> Option<Knox> {
        let (space, time) = (&options.space, &options.time);
        let number = |edges: usize| (2..=MOST_BANDS + 1).contains(&edges);
        let distances = space.is_sorted_by(|low, high| low < high) && space.iter().all(|edge| edge.is_finite());
        let lags = time.is_sorted_by(|low, high| low < high) && time.iter().all(|lag| (0..=LONGEST_LAG).contains(lag));
        let fits = number(space.len()) && number(time.len()) && distances && lags;
        (fits && space[0] >= 0.0).then_some(Knox(options))
    }

    /// The bands, by distance and then by lag, for events in any order; `threads`, 1 or more, share the deals.
    ///
    /// Fewer than two events have no pairs: all bands are empty.
    ///
    /// # Errors
    /// Why there is none.
    pub fn bands(&self, points: Points<'_>, threads: usize, stop: &Stop) -> Result<Vec<Band>, Error> {
        let Points { x, y, days } = points;
        if x.len() != days.len() || y.len() != days.len() {
            return Err(Error::Shape);
        }
        if let Some(at) = x.iter().zip(y).position(|(x, y)| !(x.is_finite() && y.is_finite())) {
            return Err(Error::NotFinite(at));
        }
        if u32::try_from(days.len()).is_err() {
            return Err(Error::TooMany);
        }
        let places = places(points, self.0.space[self.0.space.len() - 1]);
        let pairs = Pairs {
            near: self.near(&places, stop)?,
            days: self.days(&places, days).ok_or(Error::TooMany)?,
        };
        let observed = pairs.counted(&pairs.days.own, stop)?;
        let reached = self.reached(&pairs, &observed, threads, stop)?;
        Ok(self.table(&pairs, &observed, &reached, stop)?)
    }

    /// Pairs near in space, in each band of distance.
    fn near(&self, places: &[Place], stop: &Stop) -> Result<Vec<Near>, Error> {
        let edges = &self.0.space;
        let farthest = edges[edges.len() - 1];
        let mut near = vec![Near::default(); edges.len() - 1];
        let (mut beside, mut above, mut beyond, mut patience) = (0, 0, 0, Patience(stop, 0));
        for (at, place) in places.iter().enumerate() {
            let (row, column) = place.cell;
            let passed =
                |from: usize, cell: (u64, u64)| from + places[from..].partition_point(|other| other.cell < cell);
            // a new cell: the rest of its own row's cells, then three cells of the next row, which lie together
            if at == 0 || places[at - 1].cell != place.cell {
                beside = passed(at, (row, column + 2));
                above = passed(beside, (row + 1, column.saturating_sub(1)));
                beyond = passed(above, (row + 1, column + 2));
            }
            for other in (at + 1..beside).chain(above..beyond) {
                let distance = self.distance(place, &places[other]);
                if distance < farthest
                    && let Some(band) = edges.iter().rposition(|edge| *edge <= distance)
                {
                    near[band].others.push(number(other));
                }
            }
            for near in &mut near {
                near.ends.push(near.others.len());
            }
            if near.iter().map(|near| near.others.len()).sum::<usize>() > self.0.most_pairs {
                return Err(Error::TooManyPairs);
            }
            patience.spend(beside - at + beyond - above)?;
        }
        Ok(near)
    }

    fn distance(&self, one: &Place, other: &Place) -> f64 {
        let (x, y) = (one.x - other.x, one.y - other.y);
        match self.0.metric {
            Metric::Euclidean => (x * x + y * y).sqrt(),
            Metric::Manhattan => x.abs() + y.abs(),
        }
    }

    /// The days of the places. Stretches without any event are cut to the longest lag, which leaves every band as it
    /// is; `None` where they reach too far all the same.
    fn days(&self, places: &[Place], days: &[i64]) -> Option<Days> {
        let edges = &self.0.time;
        let longest = edges[edges.len() - 1].unsigned_abs();
        let mut order: Vec<u32> = (0..).take(places.len()).collect();
        let day = |place: u32| days[places[place as usize].at as usize];
        order.sort_unstable_by_key(|place| day(*place));
        let (mut own, mut sorted) = (vec![0; places.len()], Vec::with_capacity(places.len()));
        let (mut before, mut now) = (order.first().map_or(0, |first| day(*first)), 0_u64);
        for place in order {
            now += day(place).abs_diff(before).min(longest);
            before = day(place);
            let short = u32::try_from(now).ok()?;
            own[place as usize] = short;
            sorted.push(short);
        }
        let band = |lag: i64| edges.iter().rposition(|edge| *edge <= lag).unwrap_or(edges.len() - 1);
        let bands = (0..=edges[edges.len() - 1]).map(|lag| u8::try_from(band(lag)).unwrap_or(u8::MAX));
        Some(Days {
            own,
            sorted,
            bands: bands.collect(),
        })
    }

    /// How many deals reach what was observed, by distance and lag.
    fn reached(&self, pairs: &Pairs, observed: &[u64], threads: usize, stop: &Stop) -> Result<Vec<u64>, Stopped> {
        let reached: Vec<AtomicU64> = observed.iter().map(|_| AtomicU64::new(0)).collect();
        let next = AtomicU64::new(0);
        let deals = u64::from(self.0.replications);
        let share = || -> Result<(), Stopped> {
            let mut dealt = pairs.days.sorted.clone();
            loop {
                let deal = next.fetch_add(1, Ordering::Relaxed);
                if deal >= deals {
                    return Ok(());
                }
                stop.asked()?;
                dealt.copy_from_slice(&pairs.days.sorted);
                Stream::keyed(self.0.seed, lane("knox"), deal, 0).shuffle(&mut dealt);
                let counted = pairs.counted(&dealt, stop)?;
                for ((reached, counted), observed) in reached.iter().zip(&counted).zip(observed) {
                    reached.fetch_add(u64::from(counted >= observed), Ordering::Relaxed);
                }
            }
        };
        let helpers = (threads.max(1) as u64).min(deals).saturating_sub(1);
        thread::scope(|scope| {
            for _ in 0..helpers {
                // whatever share a refused thread would have had, the others take
                if thread::Builder::new().spawn_scoped(scope, share).is_err() {
                    break;
                }
            }
            share()
        })?;
        // another thread may have stopped after this one was done
        stop.asked()?;
        Ok(reached.into_iter().map(AtomicU64::into_inner).collect())
    }

    fn table(&self, pairs: &Pairs, observed: &[u64], reached: &[u64], stop: &Stop) -> Result<Vec<Band>, Stopped> {
        let (edges, lags, events) = (&self.0.space, &self.0.time, pairs.days.sorted.len());
        let times: Vec<Sums> = lags.windows(2).map(|lags| pairs.days.sums(lags[0], lags[1])).collect();
        let deals = f64::from(self.0.replications);
        let mut counted = observed.iter().zip(reached);
        let mut bands = Vec::with_capacity(observed.len());
        for (near, edges) in pairs.near.iter().zip(edges.windows(2)) {
            let space = near.sums(events, stop)?;
            for ((time, lags), (observed, reached)) in times.iter().zip(lags.windows(2)).zip(&mut counted) {
                let (expected, variance) = moments(float(events as u128), space, *time);
                let pairs = float(u128::from(*observed));
                bands.push(Band {
                    space: (edges[0], edges[1]),
                    time: (lags[0], lags[1]),
                    observed: *observed,
                    expected,
                    variance,
                    z: (variance > 0.0).then(|| (pairs - expected) / variance.sqrt()),
                    ratio: (expected > 0.0).then(|| pairs / expected),
                    p: (deals > 0.0).then(|| (1.0 + float(u128::from(*reached))) / (deals + 1.0)),
                });
            }
        }
        Ok(bands)
    }
}

/// Pairs near in space, in each band of distance, and the days of their places.
#[derive(Debug)]
struct Pairs {
    near: Vec<Near>,
    days: Days,
}

impl Pairs {
    /// Counts them by distance and lag, where the places have the days that were dealt.
    fn counted(&self, dealt: &[u32], stop: &Stop) -> Result<Vec<u64>, Stopped> {
        let mut all = Vec::new();
        for near in &self.near {
            let counted = near.by_lag(dealt, &self.days.bands, stop)?;
            // the last lag is in no band
            let lags = self.days.bands.last().map_or(0, |none| usize::from(*none));
            all.extend(&counted[..lags]);
        }
        Ok(all)
    }
}

/// Who may stop the work, and the pairs looked at since that was asked.
#[derive(Debug)]
struct Patience<'a>(&'a Stop, usize);

impl Patience<'_> {
    fn spend(&mut self, pairs: usize) -> Result<(), Stopped> {
        self.1 += pairs;
        if self.1 > PATIENCE {
            self.0.asked()?;
            self.1 = 0;
        }
        Ok(())
    }
}

/// An event's place, and its number among the events.
#[derive(Debug)]
struct Place {
    /// Row and column.
    cell: (u64, u64),
    x: f64,
    y: f64,
    at: u32,
}

/// The places in rows of cells, none narrower than `reach`. Places in a cell are sorted as well, so that no order of
/// the events shows.
fn places(points: Points<'_>, reach: f64) -> Vec<Place> {
    // halves, whose differences are finite
    let ends = |numbers: &[f64]| {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        numbers.iter().fold(ends, |(low, high), number| {
            (low.min(number / 2.0), high.max(number / 2.0))
        })
    };
    let ((west, east), (south, north)) = (ends(points.x), ends(points.y));
    let span = (east - west).max(north - south).max(0.0);
    let side = (reach / 2.0 * MARGIN).max(span / CELLS).max(f64::MIN_POSITIVE);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 2^40: numbers no less than the lowest"
    )]
    let cell = |number: f64, lowest: f64| ((number / 2.0 - lowest) / side) as u64;
    let coordinates = points.x.iter().zip(points.y).zip(0..);
    let mut places: Vec<Place> = coordinates
        .map(|((x, y), at)| Place {
            cell: (cell(*y, south), cell(*x, west)),
            x: *x,
            y: *y,
            at,
        })
        .collect();
    let order = |one: &Place, other: &Place| {
        let cells = one.cell.cmp(&other.cell);
        cells.then(one.x.total_cmp(&other.x)).then(one.y.total_cmp(&other.y))
    };
    places.sort_unstable_by(order);
    places
}

/// Pairs in a band of distance: of each place the later ones that are in it.
#[derive(Debug, Clone, Default)]
struct Near {
    others: Vec<u32>,
    /// Where the others of each place end.
    ends: Vec<usize>,
}

impl Near {
    /// The places, each with its others.
    fn lists(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(place, end)| {
            let others = &self.others[start..*end];
            start = *end;
            (place, others)
        })
    }

    /// Counts the pairs by the band of their lag.
    fn by_lag(&self, days: &[u32], bands: &[u8], stop: &Stop) -> Result<[u64; 256], Stopped> {
        let longest = number(bands.len() - 1);
        // four tables, since a pair often adds to the same number as the one before it and would wait for that
        let mut tables = [[0_u64; 256]; 4];
        let mut patience = Patience(stop, 0);
        for (place, others) in self.lists() {
            let own = days[place];
            let band = |other: u32| usize::from(bands[own.abs_diff(days[other as usize]).min(longest) as usize]);
            let (fours, rest) = others.as_chunks::<4>();
            for four in fours {
                for (table, other) in tables.iter_mut().zip(four) {
                    table[band(*other)] += 1;
                }
            }
            for other in rest {
                tables[0][band(*other)] += 1;
            }
            patience.spend(others.len())?;
        }
        let [mut all, rest @ ..] = tables;
        for table in rest {
            all.iter_mut().zip(table).for_each(|(all, own)| *all += own);
        }
        Ok(all)
    }

    fn sums(&self, events: usize, stop: &Stop) -> Result<Sums, Stopped> {
        let (mut degrees, mut patience) = (vec![0_u64; events], Patience(stop, 0));
        for (place, others) in self.lists() {
            degrees[place] += others.len() as u64;
            for other in others {
                degrees[*other as usize] += 1;
            }
            patience.spend(others.len())?;
        }
        Ok(Sums::of(degrees.into_iter().map(|degree| (degree, 1))))
    }
}

/// Days, from 0, without empty stretches.
#[derive(Debug)]
struct Days {
    /// Of each place.
    own: Vec<u32>,
    sorted: Vec<u32>,
    /// The band of each lag; the last one is none, as is any longer lag.
    bands: Vec<u8>,
}

impl Days {
    /// Of the pairs whose lag is in a band.
    fn sums(&self, low: i64, high: i64) -> Sums {
        let below = |end: i64| self.sorted.partition_point(|day| i64::from(*day) < end);
        let runs = self.sorted.chunk_by(|one, other| one == other);
        Sums::of(runs.map(|run| {
            let day = i64::from(run[0]);
            let others = match low {
                // all about it but itself
                0 => below(day + high) - below(day - high + 1) - 1,
                _ => below(day + high) - below(day + low) + below(day - low + 1) - below(day - high + 1),
            };
            (others as u64, run.len() as u64)
        }))
    }
}

/// Pairs, and ordered pairs of them that share an event.
#[derive(Debug, Clone, Copy)]
struct Sums {
    pairs: f64,
    paths: f64,
}

impl Sums {
    /// From how many pairs an event is in, and how many such events there are.
    fn of(degrees: impl Iterator<Item = (u64, u64)>) -> Sums {
        let (mut ends, mut paths) = (0_u128, 0_u128);
        for (degree, events) in degrees {
            let (degree, events) = (u128::from(degree), u128::from(events));
            ends += degree * events;
            paths += degree * degree.saturating_sub(1) * events;
        }
        Sums {
            pairs: float(ends) / 2.0,
            paths: float(paths),
        }
    }
}

/// Mean and variance of the pairs in both bands, over all ways to deal the days out.
///
/// Two pairs are one, share an event or have none in common; the variance is the covariance, over these three, of how
/// often pairs of such kinds are in either band. Written about the means it keeps the digits that the published sum of
/// squares loses.
fn moments(events: f64, space: Sums, time: Sums) -> (f64, f64) {
    let all = events * (events - 1.0) / 2.0;
    if all < 1.0 {
        return (0.0, 0.0);
    }
    let (sharing, apart) = (2.0 * (events - 2.0), (events - 2.0) * (events - 3.0) / 2.0);
    let centred = |sums: Sums| {
        let one = sums.pairs * ((all - sums.pairs) / all);
        (one, sums.paths - sharing * sums.pairs * (sums.pairs / all))
    };
    let ((one, paths), (other, others)) = (centred(space), centred(time));
    let share = |product: f64, kinds: f64| if kinds > 0.0 { product / kinds } else { 0.0 };
    let sum = one * other + share(paths * others, sharing) + share((one + paths) * (other + others), apart);
    let (expected, variance) = (space.pairs * (time.pairs / all), sum / all);
    (
        expected,
        if variance > NO_VARIANCE * expected {
            variance
        } else {
            0.0
        },
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer events and lags than 2^32"
)]
fn number(at: usize) -> u32 {
    at as u32
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums beyond 2^53 need their leading digits alone"
)]
fn float(sum: u128) -> f64 {
    sum as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SPACE: [f64; 4] = [0.0, 1.0, 20.0, 50.0];
    const TIME: [i64; 4] = [0, 1, 4, 9];

    fn options() -> Options {
        Options {
            space: SPACE.to_vec(),
            time: TIME.to_vec(),
            metric: Metric::Euclidean,
            replications: 0,
            seed: 1,
            most_pairs: MOST_PAIRS,
        }
    }

    type Event = (f64, f64, i64);

    fn bands(options: Options, events: &[Event], threads: usize) -> Result<Vec<Band>, Error> {
        let x: Vec<f64> = events.iter().map(|event| event.0).collect();
        let y: Vec<f64> = events.iter().map(|event| event.1).collect();
        let days: Vec<i64> = events.iter().map(|event| event.2).collect();
        let points = Points {
            x: &x,
            y: &y,
            days: &days,
        };
        Knox::new(options)
            .expect("options")
            .bands(points, threads, &Stop::default())
    }

    fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
        let event = (0..300_i32, 0..200_i32, 0..40_i64);
        vec(event.prop_map(|(x, y, day)| (f64::from(x), f64::from(y), day)), 0..most)
    }

    /// A band by looking at all pairs.
    fn pairs(events: &[Event], within: impl Fn(f64, f64, i64) -> bool) -> u64 {
        let later = |at: usize| events[at + 1..].iter().map(move |other| (at, other));
        let all = (0..events.len()).flat_map(later);
        let inside = |(at, other): (usize, &Event)| {
            let one = events[at];
            within(one.0 - other.0, one.1 - other.1, (one.2 - other.2).abs())
        };
        all.filter(|pair| inside(*pair)).count() as u64
    }

    #[test]
    fn bands_are_half_open_and_each_metric_has_its_own() {
        let events = [(0.0, 0.0, 10), (0.0, 0.0, 10), (12.0, 16.0, 14), (0.0, 50.0, 10)];
        let found = bands(options(), &events, 1).expect("a table");
        let observed: Vec<u64> = found.iter().map(|band| band.observed).collect();
        // the same place and day; twice a distance of 20 and a lag of 4; then 36 apart; 50 is too far
        assert_eq!(observed, [1, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!((found[8].space, found[8].time), ((20.0, 50.0), (4, 9)));
        let manhattan = Options {
            metric: Metric::Manhattan,
            ..options()
        };
        let found = bands(manhattan, &events, 1).expect("a table");
        assert_eq!(
            found.iter().map(|band| band.observed).collect::<Vec<_>>(),
            [1, 0, 0, 0, 0, 0, 0, 0, 3]
        );
        // 12 + 9 metres along the streets, 15 across
        let near = [(0.0, 0.0, 0), (12.0, 9.0, 0)];
        assert_eq!(bands(options(), &near, 1).expect("a table")[3].observed, 1);
        let manhattan = Options {
            metric: Metric::Manhattan,
            ..options()
        };
        assert_eq!(bands(manhattan, &near, 1).expect("a table")[6].observed, 1);
    }

    #[test]
    fn expectation_and_variance_are_those_of_all_deals() {
        // 5 events, all 120 ways to deal their days out
        let places = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0), (40.0, 0.0), (41.0, 30.0)];
        let days = [1, 1, 3, 5, 11];
        let mut deals = vec![vec![]];
        for _ in days {
            let longer = |deal: Vec<usize>| {
                let rest: Vec<usize> = (0..5).filter(|at| !deal.contains(at)).collect();
                rest.into_iter().map(move |at| [deal.clone(), vec![at]].concat())
            };
            deals = deals.into_iter().flat_map(longer).collect();
        }
        let tables: Vec<Vec<Band>> = deals
            .iter()
            .map(|deal| {
                let events: Vec<Event> = places
                    .iter()
                    .zip(deal)
                    .map(|((x, y), at)| (*x, *y, days[*at]))
                    .collect();
                bands(options(), &events, 1).expect("a table")
            })
            .collect();
        assert_eq!(tables.len(), 120);
        for (at, band) in tables[0].iter().enumerate() {
            let observed: Vec<f64> = tables.iter().map(|table| table[at].observed as f64).collect();
            let mean = observed.iter().sum::<f64>() / 120.0;
            let variance = observed.iter().map(|observed| (observed - mean).powi(2)).sum::<f64>() / 120.0;
            assert!(
                (band.expected - mean).abs() < 1e-12 && (band.variance - variance).abs() < 1e-12,
                "{band:?}"
            );
            assert_eq!(band.z.is_some(), variance > 1e-9);
        }
    }

    #[test]
    fn days_that_follow_places_are_seen_and_chance_is_not() {
        let replications = 199;
        let mut stream = Stream::keyed(4, 0, 0, 0);
        let mut event = |follows: bool| {
            let (x, y) = (stream.between(0, 2_000), stream.between(0, 2_000));
            let day = if follows { x / 100 } else { stream.between(0, 20) };
            (x as f64, y as f64, day)
        };
        let seen: Vec<Event> = (0..400).map(|_| event(true)).collect();
        let chance: Vec<Event> = (0..400).map(|_| event(false)).collect();
        let of = |events: &[Event]| {
            let asked = Options {
                space: vec![0.0, 100.0],
                time: vec![0, 2],
                replications,
                ..options()
            };
            bands(asked, events, 2).expect("a table")[0]
        };
        let (seen, chance) = (of(&seen), of(&chance));
        assert!(
            seen.p == Some(1.0 / 200.0) && seen.z > Some(10.0) && seen.ratio > Some(3.0),
            "{seen:?}"
        );
        assert!(
            chance.p > Some(0.02) && chance.z.is_some_and(|z| z.abs() < 3.0),
            "{chance:?}"
        );
    }

    #[test]
    fn what_gives_no_table_has_its_reason() {
        let points = |x, y, days| Points { x, y, days };
        let of = |most_pairs, points| {
            let asked = Options {
                most_pairs,
                replications: 19,
                ..options()
            };
            Knox::new(asked).expect("options").bands(points, 0, &Stop::default())
        };
        assert_eq!(of(9, points(&[0.0], &[0.0, 1.0], &[1])), Err(Error::Shape));
        assert_eq!(
            of(9, points(&[0.0, 1.0], &[0.0, f64::NAN], &[1, 1])),
            Err(Error::NotFinite(1))
        );
        let same = points(&[0.0; 3], &[0.0; 3], &[1; 3]);
        assert_eq!(of(2, same), Err(Error::TooManyPairs));
        // every pair in one band: every deal reaches what was observed
        let table = of(3, same).expect("a table");
        assert_eq!((table[0].observed, table[0].expected, table[0].variance), (3, 3.0, 0.0));
        assert_eq!(
            (table[0].z, table[0].ratio, table[0].p, table[8].ratio),
            (None, Some(1.0), Some(1.0), None)
        );
        let stop = Stop::default();
        stop.now();
        let asked = Options {
            replications: 9,
            ..options()
        };
        assert_eq!(
            Knox::new(asked).expect("options").bands(same, 2, &stop),
            Err(Error::Stopped)
        );
        for number in 0..2 {
            let table = of(
                9,
                points(&[1.0; 2][..number], &[1.0; 2][..number], &[i64::MIN, 2][..number]),
            )
            .expect("a table");
            assert!(
                table.len() == 9 && table.iter().all(|band| band.observed == 0 && band.z.is_none()),
                "{table:?}"
            );
        }
        // the ends of the numbers are places and days as well
        let far = points(
            &[f64::MAX, f64::MIN, 0.0],
            &[f64::MIN, f64::MAX, 0.0],
            &[i64::MIN, i64::MAX, 0],
        );
        assert!(of(9, far).expect("a table").iter().all(|band| band.observed == 0));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let made = |change: fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            Knox::new(options).is_some()
        };
        assert!(made(|_| {}));
        assert!(!made(|options| options.space = vec![]));
        assert!(!made(|options| options.space = vec![0.0]));
        assert!(!made(|options| options.space = vec![0.0, 5.0, 5.0]));
        assert!(!made(|options| options.space = vec![-1.0, 5.0]));
        assert!(!made(|options| options.space = vec![0.0, f64::INFINITY]));
        assert!(!made(|options| options.space = vec![f64::NAN, 1.0]));
        assert!(!made(|options| options.time = vec![4, 1]));
        assert!(!made(|options| options.time = vec![-1, 1]));
        assert!(!made(|options| options.time = vec![0, i64::MAX]));
        assert!(!made(|options| options.time = (0..66).collect()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_pair_in_reach_is_in_one_band(events in events(80), manhattan in any::<bool>()) {
            let metric = if manhattan { Metric::Manhattan } else { Metric::Euclidean };
            let found = bands(Options { metric, ..options() }, &events, 1).expect("a table");
            let distance = |x: f64, y: f64| if manhattan { x.abs() + y.abs() } else { (x * x + y * y).sqrt() };
            for band in &found {
                let within = |x, y, lag| {
                    let distance = distance(x, y);
                    distance >= band.space.0 && distance < band.space.1 && lag >= band.time.0 && lag < band.time.1
                };
                prop_assert_eq!(band.observed, pairs(&events, within));
            }
            let all: u64 = found.iter().map(|band| band.observed).sum();
            prop_assert_eq!(all, pairs(&events, |x, y, lag| distance(x, y) < 50.0 && lag < 9));
            // what is expected of all bands is the product of their margins
            let reach = |x: f64, y: f64| distance(x, y) < 50.0;
            let (near, soon) = (pairs(&events, |x, y, _| reach(x, y)), pairs(&events, |_, _, lag| lag < 9));
            let expected: f64 = found.iter().map(|band| band.expected).sum();
            let of_all = pairs(&events, |_, _, _| true).max(1);
            prop_assert!((expected - (near * soon) as f64 / of_all as f64).abs() < 1e-9 * (1.0 + expected));
        }

        #[test]
        fn neither_order_nor_origin_nor_threads_nor_silence_changes_a_table(
            events in events(60),
            seed in any::<u64>(),
            (east, north, later) in (-1_000_000..1_000_000_i32, -1_000_000..1_000_000_i32, -1_000_000..1_000_000_i64),
            silence in 9..1_000_000_i64,
        ) {
            let asked = || Options { replications: 19, seed, ..options() };
            let own = bands(asked(), &events, 1).expect("a table");
            let mut other: Vec<Event> = events.iter().map(|event| {
                (event.0 + f64::from(east), event.1 + f64::from(north), event.2 + later)
            }).collect();
            Stream::keyed(seed, 1, 0, 0).shuffle(&mut other);
            for threads in 1..=3 {
                let moved = bands(asked(), &other, threads).expect("a table");
                for (own, moved) in own.iter().zip(&moved) {
                    prop_assert_eq!(own.observed, moved.observed);
                    prop_assert_eq!(own.expected.to_bits(), moved.expected.to_bits());
                    prop_assert_eq!(own.variance.to_bits(), moved.variance.to_bits());
                    prop_assert_eq!(own.p.map(f64::to_bits), moved.p.map(f64::to_bits));
                }
            }
            // days that are the longest lag apart may as well be years apart
            let apart = |between: i64| -> Vec<Event> {
                let later = |day: i64| if day > 20 { day + between } else { day };
                events.iter().map(|event| (event.0, event.1, later(event.2))).collect()
            };
            prop_assert_eq!(bands(asked(), &apart(9), 2), bands(asked(), &apart(silence), 2));
        }

        #[test]
        fn places_far_from_all_others_are_no_trouble(
            events in events(40),
            far in prop_oneof![Just(1e18), Just(-1e300), Just(1e9)],
        ) {
            let own = bands(options(), &events, 1).expect("a table");
            let mut more = events.clone();
            more.push((far, far, 3));
            let found = bands(options(), &more, 1).expect("a table");
            for (own, found) in own.iter().zip(&found) {
                prop_assert_eq!(own.observed, found.observed);
            }
        }
    }
}
