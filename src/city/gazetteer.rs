//! The counties, streets and named places of the synthetic city, built once from the seed and held in memory (a few hundred
//! rows). Codes start with 99, which no real division uses; populations only have the proportions of a real prefecture.

use super::counties::{COUNTIES, CountyRow};
use super::dialect::Dialect;
use super::geometry::{Point, Ring, county_corners, subdivide};
use super::names::{Name, PlaceKind, place_name, street_name};
use crate::stat::random::{Stream, cumulate, lane};

const STREET: u64 = lane("street");
const PLACE: u64 = lane("place");
const SITE: u64 = lane("household site");

/// A county, district or development zone.
#[derive(Debug)]
pub struct County {
    /// Six-digit code.
    pub code: &'static str,
    /// Its names.
    pub name: (&'static str, &'static str),
    /// Inhabitants of the model city; only proportions matter.
    pub population: u32,
    /// Mean household size.
    pub household_size: f64,
    /// True for the core districts and the zone.
    pub urban: bool,
    /// Boundary.
    pub ring: Ring,
    /// First and one-past-last street.
    pub streets: std::ops::Range<usize>,
    /// Running sums of its streets' weights.
    pub street_sums: Vec<f64>,
    /// How its 110 system writes files.
    pub dialect: Dialect,
}

/// A street, town or subdistrict.
#[derive(Debug)]
pub struct Street {
    /// Nine digits: county and a number.
    pub code: String,
    /// Index of its county.
    pub county: usize,
    /// Its names.
    pub name: Name,
    /// Boundary.
    pub ring: Ring,
    /// Middle.
    pub centre: Point,
    /// Share of its county's people and calls, not normalised.
    pub weight: f64,
    /// First and one-past-last named place.
    pub places: std::ops::Range<usize>,
    /// Running sums of its places' weights.
    pub place_sums: Vec<f64>,
}

/// A road or landmark.
#[derive(Debug)]
pub struct Place {
    /// What it is.
    pub kind: PlaceKind,
    /// Index of its street.
    pub street: usize,
    /// Its names.
    pub name: Name,
    /// Position (of a road: its middle).
    pub point: Point,
    /// Direction of a road in radians from east.
    pub heading: f64,
    /// Half the length of a road in metres.
    pub half_length_m: f64,
    /// How much happens here, not normalised.
    pub weight: f64,
    /// True where no camera was ever put up: coverage has to be partial.
    pub is_blind: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Gazetteer {
    /// Counties in file order.
    pub counties: Vec<County>,
    /// Streets, county by county.
    pub streets: Vec<Street>,
    /// Places, street by street.
    pub places: Vec<Place>,
}

impl Gazetteer {
    /// Draws the city.
    pub fn build(seed: u64) -> Self {
        let mut city = Self {
            counties: Vec::new(),
            streets: Vec::new(),
            places: Vec::new(),
        };
        for (index, (row, corners)) in COUNTIES.iter().zip(county_corners()).enumerate() {
            let (columns, rows) = row.grid;
            let (ring, cells) = subdivide(&corners, columns, rows, seed, index);
            let first = city.streets.len();
            // The county seat lies in the middle of the grid and holds far more people than a rural town.
            let seat = (rows / 2) * columns + columns / 2;
            for (number, cell) in cells.into_iter().enumerate() {
                city.add_street(seed, index, row, number, number == seat, cell);
            }
            let streets = first..city.streets.len();
            city.counties.push(County {
                code: row.code,
                name: row.name,
                population: row.population,
                household_size: row.household_size,
                urban: row.urban,
                ring,
                street_sums: cumulate(city.streets[streets.clone()].iter().map(|street| street.weight)),
                streets,
                dialect: Dialect::of(row.code),
            });
        }
        city
    }

    fn add_street(&mut self, seed: u64, county: usize, row: &CountyRow, number: usize, is_seat: bool, ring: Ring) {
        let index = self.streets.len();
        let mut stream = Stream::keyed(seed, STREET, index as u64, 0);
        let spread = 0.6 + 0.8 * stream.uniform();
        let weight = if row.urban || !is_seat { spread } else { 4.0 * spread };
        let centre = ring.centre();
        let first = self.places.len();
        let count = 4 + stream.below(5) as usize;
        for order in 0..count {
            let place = draw_place(seed, first + order, index, order, row, centre, &ring);
            self.places.push(place);
        }
        let places = first..self.places.len();
        self.streets.push(Street {
            code: format!("{}{:03}", row.code, number + 1),
            county,
            name: street_name(index, row.urban || is_seat),
            ring,
            centre,
            weight,
            place_sums: cumulate(self.places[places.clone()].iter().map(|place| place.weight)),
            places,
        });
    }

    /// Draws a street of the county by weight.
    pub fn pick_street(&self, county: usize, stream: &mut Stream) -> usize {
        let county = &self.counties[county];
        county.streets.start + stream.pick(&county.street_sums)
    }

    /// Draws a place of the street by weight; the first two places of every street are roads.
    pub fn pick_place(&self, street: usize, stream: &mut Stream) -> usize {
        let street = &self.streets[street];
        street.places.start + stream.pick(&street.place_sums)
    }

    /// Draws a point near (a road: along) the place, inside its street.
    pub fn scatter(&self, place: usize, spread_m: f64, stream: &mut Stream) -> Point {
        let place = &self.places[place];
        let ring = &self.streets[place.street].ring;
        for _ in 0..4 {
            let (side, along) = stream.normal_pair();
            let point = if place.kind == PlaceKind::Road {
                let run = (2.0 * stream.uniform() - 1.0) * place.half_length_m + spread_m * along;
                let (sine, cosine) = place.heading.sin_cos();
                let off = 0.3 * spread_m * side;
                place.point.moved(run * cosine - off * sine, run * sine + off * cosine)
            } else {
                place.point.moved(spread_m * side, spread_m * along)
            };
            let point = point.rounded();
            if ring.contains(point) {
                return point;
            }
        }
        place.point
    }

    /// Where a household of the county lives: near a named place, or (in the country, more often) anywhere in its street.
    pub fn home(&self, county: usize, seed: u64, key: u64) -> Point {
        let mut stream = Stream::keyed(seed, SITE, county as u64, key);
        let street = self.pick_street(county, &mut stream);
        let anywhere = if self.counties[county].urban { 0.10 } else { 0.25 };
        if stream.chance(anywhere) {
            return self.streets[street].ring.sample(&mut stream);
        }
        let place = self.pick_place(street, &mut stream);
        self.scatter(place, 350.0, &mut stream)
    }
}

fn draw_place(
    seed: u64,
    number: usize,
    street: usize,
    order: usize,
    row: &CountyRow,
    centre: Point,
    ring: &Ring,
) -> Place {
    let mut stream = Stream::keyed(seed, PLACE, number as u64, 0);
    let kind = match order {
        0 | 1 => PlaceKind::Road,
        _ => PlaceKind::ALL[stream.below(7) as usize],
    };
    // Rural streets are wide and empty: their places stay within the town instead of filling the polygon.
    let spread_m = if row.urban { 700.0 } else { 1_100.0 };
    let mut point = centre;
    for _ in 0..8 {
        let (east, north) = stream.normal_pair();
        let candidate = centre.moved(spread_m * east, spread_m * north).rounded();
        if ring.contains(candidate) {
            point = candidate;
            break;
        }
    }
    let rare = row.code == "990103" && order < 2;
    Place {
        kind,
        street,
        name: place_name(number, kind, rare),
        point,
        heading: stream.uniform() * std::f64::consts::PI,
        half_length_m: if row.urban { 350.0 } else { 600.0 },
        weight: stream.lognormal(1.0, 0.8),
        is_blind: stream.chance(0.3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_lies_in_its_street() {
        let city = Gazetteer::build(1);
        assert_eq!(city.counties.len(), 11);
        for county in &city.counties {
            assert!((6..=16).contains(&county.streets.len()));
        }
        for place in &city.places {
            assert!(city.streets[place.street].ring.contains(place.point));
        }
        for street in &city.streets {
            assert!((3..=8).contains(&street.places.len()));
        }
    }

    #[test]
    fn scattered_points_stay_in_the_street() {
        let city = Gazetteer::build(2);
        let mut stream = Stream::keyed(2, lane("test"), 0, 0);
        for place in 0..city.places.len() {
            let point = city.scatter(place, 900.0, &mut stream);
            assert!(city.streets[city.places[place].street].ring.contains(point));
        }
    }
}
