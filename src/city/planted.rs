//! What is hidden in the city for the methods to find — surges, space-time clusters, near-repeat chains — and the decoys they must
//! not fall for. Fixed shapes, drawn from the seed only; the background never knows about them.

use super::calendar::{DayKind, classify};
use super::category::category_index;
use super::gazetteer::Gazetteer;
use super::geometry::Point;
use crate::stat::random::{Stream, lane};

const PLANT: u64 = lane("planting");

/// The kinds of planted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two days with seven to twenty extra calls each.
    Surge,
    /// Six days with two to eight extra calls each.
    Cluster,
    /// Five burglaries within two weeks and two hundred metres.
    Chain,
    /// Decoy: twenty-five calls about one accident.
    Accident,
    /// Decoy: an assembly that is reported as noise.
    Assembly,
}

/// One planted event.
#[derive(Clone, Debug)]
pub struct Planting {
    /// What it is.
    pub shape: Shape,
    /// Index of the county.
    pub county: usize,
    /// Index of the street.
    pub street: usize,
    /// Index of the place nearest to it.
    pub place: usize,
    /// Its middle.
    pub centre: Point,
    /// All its calls lie within this distance.
    pub radius_m: f64,
    /// Days and extra calls on each.
    pub days: Vec<(i32, u32)>,
    /// Index of the category the calls carry.
    pub category: usize,
    /// Second of the day of the first call and length in seconds, for events that last hours instead of days.
    pub burst: Option<(u32, u32)>,
}

impl Planting {
    /// Extra calls on a day.
    pub fn calls_on(&self, day: i32) -> u32 {
        self.days
            .iter()
            .filter(|(on, _)| *on == day)
            .map(|(_, calls)| calls)
            .sum()
    }

    /// Extra calls altogether.
    pub fn calls(&self) -> u32 {
        self.days.iter().map(|(_, calls)| calls).sum()
    }

    /// First and last day.
    pub fn span(&self) -> (i32, i32) {
        let first = self.days.iter().map(|(day, _)| *day).min().unwrap_or_default();
        (first, self.days.iter().map(|(day, _)| *day).max().unwrap_or(first))
    }

    /// Where its `index`-th call of a day happens.
    pub fn point(&self, stream: &mut Stream) -> Point {
        // The square root makes the disc uniform; 0.98 keeps rounding from pushing a call over the stated radius.
        let reach = 0.98 * self.radius_m * stream.uniform().sqrt();
        let (sine, cosine) = (stream.uniform() * std::f64::consts::TAU).sin_cos();
        self.centre.moved(reach * cosine, reach * sine).rounded()
    }
}

/// A station that was closed: from a day on, the calls of one street are filed under its neighbour.
#[derive(Clone, Debug)]
pub struct MergedStation {
    /// Index of the county.
    pub county: usize,
    /// Index of the street whose calls move.
    pub from_street: usize,
    /// Index of the street they are filed under.
    pub into_street: usize,
    /// First day.
    pub first_day: i32,
}

/// Everything planted.
#[derive(Clone, Debug)]
pub struct Planted {
    /// Events made of extra calls.
    pub plantings: Vec<Planting>,
    /// The decoy that moves calls instead of adding them.
    pub merged: MergedStation,
}

#[rustfmt::skip]
const SURGES: [(&str, i32); 8] = [
    ("0101", 1), ("0301", 20), ("0202", 44), ("0201", 70), ("0101", 97), ("0102", 125), ("0203", 152), ("0201", 180),
];
const CLUSTERS: [(&str, i32); 4] = [("0101", 0), ("0202", 52), ("0201", 108), ("0301", 163)];
/// Extra calls of a day, by turns: some stand far out, some are as good as hidden.
const SURGE_CALLS: [u32; 4] = [14, 7, 10, 20];
const CLUSTER_CALLS: [u32; 4] = [5, 3, 8, 2];
const CHAINS: [i32; 6] = [2, 30, 62, 98, 135, 170];
const ACCIDENTS: [i32; 2] = [33, 110];
const ASSEMBLY: i32 = 58;
const MERGER: i32 = 150;
/// Days before the end of a year within which all of its events are planted, in a city that is long enough.
const HORIZON: i32 = 200;
/// Days from the end of one such year to that of the next.
const YEAR: i32 = 365;

/// Chooses sites so that no street holds two planted events.
struct Planter<'a> {
    gazetteer: &'a Gazetteer,
    stream: Stream,
    seed: u64,
    taken: Vec<usize>,
    turn: usize,
    first_day: i32,
    /// The last day of the year that is planted.
    last_day: i32,
}

impl Planter<'_> {
    /// The day so many days before the last, drawn together when the city is younger than the horizon.
    fn day_before(&self, days: i32) -> i32 {
        let room = (self.last_day - self.first_day).clamp(1, HORIZON);
        self.last_day - days * room / HORIZON
    }

    /// A free street (counties in turn, so that events spread) with a place whose disc stays inside the street.
    fn site(&mut self, radius_m: f64) -> (usize, usize, Point) {
        let counties = &self.gazetteer.counties;
        let mut fallback = (0, 0, self.gazetteer.places[0].point);
        for _ in 0..400 {
            self.turn += 1;
            let county = &counties[(self.turn * 4) % counties.len()];
            let street = county.streets.start + self.stream.below(county.streets.len() as u64) as usize;
            if self.taken.contains(&street) {
                continue;
            }
            let row = &self.gazetteer.streets[street];
            for place in row.places.clone() {
                let point = self.gazetteer.places[place].point;
                fallback = (street, place, point);
                if row.ring.holds_disc(point, radius_m + 20.0) {
                    self.taken.push(street);
                    return fallback;
                }
            }
        }
        fallback
    }

    fn plant(&mut self, shape: Shape, radius_m: f64, category: &str, days: Vec<(i32, u32)>) -> Planting {
        let (street, place, centre) = self.site(radius_m);
        Planting {
            shape,
            county: self.gazetteer.streets[street].county,
            street,
            place,
            centre,
            radius_m,
            days,
            category: category_index(category),
            burst: None,
        }
    }

    /// The events of one year, those of the last days first.
    fn events(&mut self) -> Vec<Planting> {
        let mut all = Vec::new();
        // the most recent of a kind is the first of its sizes, so that the night's verdict does not hang on the seed
        let seed = (self.seed % 4) as usize;
        let turn = |number: usize| if number == 0 { 0 } else { (number + seed) % 4 };
        for (number, (category, back)) in SURGES.into_iter().enumerate() {
            let calls = SURGE_CALLS[turn(number)];
            // The most recent surge must be caught by tonight's run; the others may fall on any day of the week.
            let jitter = if back < 10 { 0 } else { self.stream.between(0, 7) as i32 };
            let first = self.day_before(back + jitter).min(self.last_day - 1);
            all.push(self.plant(Shape::Surge, 400.0, category, vec![(first, calls), (first + 1, calls)]));
        }
        for (number, (category, back)) in CLUSTERS.into_iter().enumerate() {
            let calls = CLUSTER_CALLS[turn(number)];
            let last = self.day_before(back);
            all.push(self.plant(
                Shape::Cluster,
                600.0,
                category,
                (last - 5..=last).map(|day| (day, calls)).collect(),
            ));
        }
        for back in CHAINS {
            let last = self.day_before(back);
            let mut step = || self.stream.between(0, 1) as i32;
            let gaps = [13, 11 - step(), 8 - step(), 4 - step(), step()];
            all.push(self.plant(
                Shape::Chain,
                200.0,
                "0102",
                gaps.iter().map(|gap| (last - gap, 1)).collect(),
            ));
        }
        for (turn, back) in ACCIDENTS.into_iter().enumerate() {
            let mut decoy = self.plant(Shape::Accident, 60.0, "0301", vec![(self.day_before(back), 25)]);
            decoy.burst = Some((17 * 3_600 + 600 + turn as u32 * 5_400, 2_370));
            all.push(decoy);
        }
        let mut day = self.day_before(ASSEMBLY);
        while classify(day).0 != DayKind::Workday {
            day -= 1;
        }
        let mut decoy = self.plant(Shape::Assembly, 120.0, "0203", vec![(day, 18)]);
        decoy.burst = Some((9 * 3_600 + 1_200, 10_700));
        all.push(decoy);
        all
    }

    /// Two neighbouring streets (side by side in the grid) that hold nothing else.
    fn merged(&mut self) -> MergedStation {
        let first_day = self.day_before(MERGER);
        let mut found = (0, 0, 1);
        for (county, row) in self.gazetteer.counties.iter().enumerate().filter(|(_, row)| !row.urban) {
            let free = |street: &usize| !self.taken.contains(street) && !self.taken.contains(&(street + 1));
            let touching = |street: &usize| {
                let ring = |street: usize| &self.gazetteer.streets[street].ring.corners;
                ring(*street)
                    .iter()
                    .filter(|corner| ring(street + 1).contains(corner))
                    .count()
                    == 2
            };
            if let Some(street) =
                (row.streets.start..row.streets.end - 1).find(|street| free(street) && touching(street))
            {
                found = (county, street, street + 1);
                break;
            }
        }
        MergedStation {
            county: found.0,
            from_street: found.1,
            into_street: found.2,
            first_day,
        }
    }
}

impl Planted {
    /// Plants everything into the days from `first_day` to `last_day`.
    pub fn build(seed: u64, gazetteer: &Gazetteer, first_day: i32, last_day: i32) -> Self {
        let stream = Stream::keyed(seed, PLANT, 0, 0);
        let turn = (seed % 11) as usize;
        let mut planter = Planter {
            gazetteer,
            stream,
            seed,
            taken: Vec::new(),
            turn,
            first_day,
            last_day,
        };
        let mut plantings = planter.events();
        let merged = planter.merged();
        planter.taken.extend([merged.from_street, merged.into_street]);
        // what is planted in the years before leaves what is planted in the last as it is
        let ends = (1..(last_day - first_day + 1) / YEAR).map(|year| last_day - year * YEAR);
        for end in ends {
            planter.last_day = end;
            plantings.extend(planter.events());
        }
        Self { merged, plantings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_street_and_fits_in_it() {
        for seed in 1..20 {
            let gazetteer = Gazetteer::build(seed);
            let planted = Planted::build(seed, &gazetteer, 20_088, 20_453);
            let count = |shape| {
                planted
                    .plantings
                    .iter()
                    .filter(|planting| planting.shape == shape)
                    .count()
            };
            assert_eq!([Shape::Surge, Shape::Cluster, Shape::Chain].map(count), [8, 4, 6]);
            assert_eq!([Shape::Accident, Shape::Assembly].map(count), [2, 1]);
            let mut streets: Vec<usize> = planted.plantings.iter().map(|planting| planting.street).collect();
            streets.extend([planted.merged.from_street, planted.merged.into_street]);
            streets.sort_unstable();
            let before = streets.len();
            streets.dedup();
            assert_eq!(streets.len(), before, "seed {seed}");
            for planting in &planted.plantings {
                let (first, last) = planting.span();
                assert!(first > 20_453 - 220 && last <= 20_453);
                assert!(
                    gazetteer.streets[planting.street]
                        .ring
                        .holds_disc(planting.centre, planting.radius_m)
                );
            }
            assert!(
                planted
                    .plantings
                    .iter()
                    .any(|planting| planting.shape == Shape::Surge && planting.span().1 >= 20_451)
            );
        }
    }

    #[test]
    fn every_year_has_its_events() {
        let gazetteer = Gazetteer::build(7);
        let (year, three) = (
            Planted::build(7, &gazetteer, 20_088, 20_453),
            Planted::build(7, &gazetteer, 19_358, 20_453),
        );
        let of = |planted: &Planted, back: i32| {
            let end = 20_453 - back * YEAR;
            let within = |planting: &&Planting| (end - 220..=end + 1).contains(&planting.span().1);
            planted.plantings.iter().filter(within).count()
        };
        assert_eq!([of(&three, 0), of(&three, 1), of(&three, 2)], [of(&year, 0); 3]);
        assert_eq!(year.plantings.len(), of(&year, 0));
        let merged = &three.merged;
        let in_merged = |planting: &&Planting| [merged.from_street, merged.into_street].contains(&planting.street);
        assert_eq!(three.plantings.iter().filter(in_merged).count(), 0);
    }

    #[test]
    fn a_chain_has_five_events_in_fourteen_days() {
        let gazetteer = Gazetteer::build(3);
        let planted = Planted::build(3, &gazetteer, 20_088, 20_453);
        for chain in planted
            .plantings
            .iter()
            .filter(|planting| planting.shape == Shape::Chain)
        {
            assert_eq!(chain.calls(), 5);
            let (first, last) = chain.span();
            assert!(last - first <= 13);
        }
    }
}
