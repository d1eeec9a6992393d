//! The ground of the synthetic city: eleven four-cornered counties that tile a box of uninhabited desert, each cut into a grid of
//! streets. Schematic on purpose: it resembles no real place, and it is not a geometry library (that is `crate::place`).

use crate::stat::random::{Stream, lane};

const METRES_PER_DEGREE: f64 = 111_195.08;
const MESH: u64 = lane("street mesh");

/// A position in WGS-84 degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Longitude.
    pub lon: f64,
    /// Latitude.
    pub lat: f64,
}

impl Point {
    const fn new(lon: f64, lat: f64) -> Self {
        Self { lon, lat }
    }

    /// Rounded to the six decimals that every file carries, so that truth and rows agree to the last digit.
    pub fn rounded(self) -> Self {
        Self {
            lon: (self.lon * 1e6).round() / 1e6,
            lat: (self.lat * 1e6).round() / 1e6,
        }
    }

    /// The point so many metres to the east and north.
    pub fn moved(self, east_m: f64, north_m: f64) -> Self {
        let lat = self.lat + north_m / METRES_PER_DEGREE;
        Self {
            lon: self.lon + east_m / (METRES_PER_DEGREE * self.lat.to_radians().cos()),
            lat,
        }
    }

    /// Metres to another point: flat-earth, exact enough inside one city.
    pub fn distance_m(self, other: Self) -> f64 {
        let middle = ((self.lat + other.lat) / 2.0).to_radians().cos();
        let east = (other.lon - self.lon) * METRES_PER_DEGREE * middle;
        east.hypot((other.lat - self.lat) * METRES_PER_DEGREE)
    }

    fn between(self, other: Self, share: f64) -> Self {
        Self {
            lon: self.lon + (other.lon - self.lon) * share,
            lat: self.lat + (other.lat - self.lat) * share,
        }
    }
}

/// A simple polygon, counter-clockwise, first corner not repeated.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The corners.
    pub corners: Vec<Point>,
}

impl Ring {
    /// True when the point lies inside (ray casting).
    pub fn contains(&self, point: Point) -> bool {
        let mut inside = false;
        let Some(mut before) = self.corners.last().copied() else {
            return false;
        };
        for &corner in &self.corners {
            if (corner.lat > point.lat) != (before.lat > point.lat) {
                let share = (point.lat - corner.lat) / (before.lat - corner.lat);
                if point.lon < corner.lon + share * (before.lon - corner.lon) {
                    inside = !inside;
                }
            }
            before = corner;
        }
        inside
    }

    /// True when a disc of this radius around the point stays inside.
    pub fn holds_disc(&self, centre: Point, radius_m: f64) -> bool {
        (0..16).all(|step| {
            let (sine, cosine) = (f64::from(step) * std::f64::consts::TAU / 16.0).sin_cos();
            self.contains(centre.moved(cosine * radius_m, sine * radius_m))
        })
    }

    /// The mean of the corners: inside, because every ring here is nearly convex.
    pub fn centre(&self) -> Point {
        let count = self.corners.len().max(1) as f64;
        let lon = self.corners.iter().map(|corner| corner.lon).sum::<f64>() / count;
        let lat = self.corners.iter().map(|corner| corner.lat).sum::<f64>() / count;
        Point { lon, lat }.rounded()
    }

    /// A uniform point inside.
    pub fn sample(&self, stream: &mut Stream) -> Point {
        let low = |pick: fn(&Point) -> f64| self.corners.iter().map(pick).fold(f64::INFINITY, f64::min);
        let high = |pick: fn(&Point) -> f64| self.corners.iter().map(pick).fold(f64::NEG_INFINITY, f64::max);
        let (west, east) = (low(|corner| corner.lon), high(|corner| corner.lon));
        let (south, north) = (low(|corner| corner.lat), high(|corner| corner.lat));
        // A bound instead of an endless loop: 64 misses in a quadrilateral do not happen, and the centre is a valid answer.
        for _ in 0..64 {
            let lon = west + stream.uniform() * (east - west);
            let point = Point {
                lon,
                lat: south + stream.uniform() * (north - south),
            }
            .rounded();
            if self.contains(point) {
                return point;
            }
        }
        self.centre()
    }

    /// The ring as well-known text.
    pub fn write_wkt(&self, out: &mut String) {
        use std::fmt::Write as _;
        out.push_str("POLYGON ((");
        for corner in self.corners.iter().chain(self.corners.first()) {
            if !out.ends_with('(') {
                out.push_str(", ");
            }
            let _ = write!(out, "{:.6} {:.6}", corner.lon, corner.lat);
        }
        out.push_str("))");
    }
}

// The mesh the counties hang on: two slanting lines from west to east, one from south to north, and thirds of the core's sides.
const NORTH_WEST: Point = Point::new(101.0, 40.5);
const NORTH_MIDDLE: Point = Point::new(101.64, 40.43);
const NORTH_EAST: Point = Point::new(102.25, 40.52);
const SOUTH_WEST: Point = Point::new(101.0, 40.1);
const SOUTH_MIDDLE: Point = Point::new(101.6, 40.19);
const SOUTH_EAST: Point = Point::new(102.25, 40.08);

/// The four corners of each county (south-west, south-east, north-east, north-west), in the order of the county table.
pub fn county_corners() -> [[Point; 4]; 11] {
    let core_north_west = NORTH_WEST.between(NORTH_MIDDLE, 0.77);
    let core_north_east = NORTH_MIDDLE.between(NORTH_EAST, 0.24);
    let core_south_west = SOUTH_WEST.between(SOUTH_MIDDLE, 0.80);
    let core_south_east = SOUTH_MIDDLE.between(SOUTH_EAST, 0.22);
    let west = core_south_west.between(core_north_west, 0.48);
    let middle = SOUTH_MIDDLE.between(NORTH_MIDDLE, 0.51);
    let [low_middle, high_middle] = [0.36, 0.66].map(|share| SOUTH_MIDDLE.between(NORTH_MIDDLE, share));
    let [low_east, high_east] = [0.38, 0.63].map(|share| core_south_east.between(core_north_east, share));
    let corner = Point::new;
    [
        [west, middle, NORTH_MIDDLE, core_north_west],
        [high_middle, high_east, core_north_east, NORTH_MIDDLE],
        [core_south_west, SOUTH_MIDDLE, middle, west],
        [SOUTH_MIDDLE, core_south_east, low_east, low_middle],
        [SOUTH_WEST, core_south_west, core_north_west, NORTH_WEST],
        [NORTH_WEST, NORTH_MIDDLE, corner(101.6, 40.8), corner(101.0, 40.8)],
        [NORTH_MIDDLE, NORTH_EAST, corner(102.25, 40.8), corner(101.6, 40.8)],
        [corner(101.0, 39.8), corner(101.64, 39.8), SOUTH_MIDDLE, SOUTH_WEST],
        [core_south_east, SOUTH_EAST, NORTH_EAST, core_north_east],
        [corner(101.64, 39.8), corner(102.25, 39.8), SOUTH_EAST, SOUTH_MIDDLE],
        [low_middle, low_east, high_east, high_middle],
    ]
}

/// Cuts a four-cornered county into `columns` × `rows` cells that tile it; returns the county's own ring (through every
/// cell corner on its border, so that it is exactly the union of the cells) and the cells, row by row from the south-west.
pub fn subdivide(corners: &[Point; 4], columns: usize, rows: usize, seed: u64, county: usize) -> (Ring, Vec<Ring>) {
    let mut stream = Stream::keyed(seed, MESH, county as u64, 0);
    let mut nodes = Vec::with_capacity((columns + 1) * (rows + 1));
    for row in 0..=rows {
        for column in 0..=columns {
            let mut across = column as f64 / columns as f64;
            let mut up = row as f64 / rows as f64;
            // Only inner nodes wander: a border shared with a neighbour has to stay the same straight line on both sides.
            let (shift_across, shift_up) = (stream.uniform() - 0.5, stream.uniform() - 0.5);
            if (1..columns).contains(&column) && (1..rows).contains(&row) {
                across += 0.36 * shift_across / columns as f64;
                up += 0.36 * shift_up / rows as f64;
            }
            let south = corners[0].between(corners[1], across);
            let north = corners[3].between(corners[2], across);
            nodes.push(south.between(north, up).rounded());
        }
    }
    let node = |column: usize, row: usize| nodes[row * (columns + 1) + column];
    let mut cells = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let ring = [(0, 0), (1, 0), (1, 1), (0, 1)];
            cells.push(Ring {
                corners: ring
                    .iter()
                    .map(|(east, north)| node(column + east, row + north))
                    .collect(),
            });
        }
    }
    let south = (0..columns).map(|column| node(column, 0));
    let east = (0..rows).map(|row| node(columns, row));
    let north = (1..=columns).rev().map(|column| node(column, rows));
    let west = (1..=rows).rev().map(|row| node(0, row));
    (
        Ring {
            corners: south.chain(east).chain(north).chain(west).collect(),
        },
        cells,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(ring: &Ring) -> f64 {
        let next = ring.corners.iter().cycle().skip(1);
        ring.corners
            .iter()
            .zip(next)
            .map(|(a, b)| a.lon * b.lat - b.lon * a.lat)
            .sum::<f64>()
            / 2.0
    }

    #[test]
    fn counties_and_streets_tile_the_box() {
        let mut counties = 0.0;
        for (index, corners) in county_corners().iter().enumerate() {
            let (ring, cells) = subdivide(corners, 3, 4, 1, index);
            assert!(area(&ring) > 0.0);
            assert!((cells.iter().map(area).sum::<f64>() - area(&ring)).abs() < 1e-9);
            assert!(cells.iter().all(|cell| cell.contains(cell.centre())));
            counties += area(&ring);
        }
        assert!((counties - 1.25).abs() < 1e-5, "{counties}");
    }

    #[test]
    fn a_point_lies_in_exactly_one_street() {
        let mut stream = Stream::keyed(1, lane("test"), 0, 0);
        let all: Vec<Ring> = county_corners()
            .iter()
            .enumerate()
            .flat_map(|(i, c)| subdivide(c, 4, 4, 1, i).1)
            .collect();
        for _ in 0..2_000 {
            let point = Point::new(101.0 + 1.25 * stream.uniform(), 39.8 + stream.uniform());
            assert_eq!(all.iter().filter(|ring| ring.contains(point)).count(), 1, "{point:?}");
        }
    }

    #[test]
    fn metres_are_metres() {
        let start = Point::new(101.5, 40.3);
        assert!((start.moved(300.0, 400.0).distance_m(start) - 500.0).abs() < 0.1);
    }
}
