//! A cache of H3 cells for many points of one city: the same answers as [`cell`], several times faster.
//!
//! Finding a cell costs half a microsecond, most of it trigonometry. Points of one city fall into few
//! cells, so squares of the degree grid remember the cells met in them as six half-planes each. A
//! point strictly inside a remembered hexagon has its cell; every other point asks H3. The half-planes
//! are drawn in by a margin that is wider than what a straight edge in degrees differs from H3's own
//! edge and than what `f32` rounds, so a hit is never wrong. Pentagons and cells with extra corners
//! are not remembered.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::cell::{boundary, cell};

/// Side of a square, degrees: a few cells of resolution 9 meet in one.
const SQUARE: f64 = 0.003;
/// How far inside an edge a point must lie, degrees: about two centimetres.
const MARGIN: f32 = 2e-7;
/// Cells remembered in one square.
const PER_SQUARE: usize = 9;
/// Cells remembered in all; beyond it nothing new is remembered, so memory stays bounded.
const MOST: usize = 200_000;
/// Side of a cell, degrees, beyond which an edge bends too much for a straight line.
const WIDEST: f64 = 0.02;

/// One hexagon around its centre: inside where every `a·x + b·y < c`, in degrees from the centre.
#[derive(Debug, Clone)]
struct Hexagon {
    cell: i64,
    centre: (f64, f64),
    edges: [[f32; 3]; 6],
}

impl Hexagon {
    fn new(cell: i64) -> Option<Hexagon> {
        let corners: [(f64, f64); 6] = boundary(cell)?.try_into().ok()?;
        let centre = corners.iter().fold((0.0, 0.0), |sum, corner| {
            (sum.0 + corner.0 / 6.0, sum.1 + corner.1 / 6.0)
        });
        let mut edges = [[0f32; 3]; 6];
        for (at, edge) in edges.iter_mut().enumerate() {
            let from = (corners[at].0 - centre.0, corners[at].1 - centre.1);
            let to = (corners[(at + 1) % 6].0 - centre.0, corners[(at + 1) % 6].1 - centre.1);
            if from.0.abs() > WIDEST || from.1.abs() > WIDEST {
                return None;
            }
            // the corners run anticlockwise, so the outside lies to the right of each edge
            let (a, b) = (to.1 - from.1, from.0 - to.0);
            let length = a.hypot(b);
            let c = (a * from.0 + b * from.1) / length;
            if c <= 0.0 {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "the margin is wider than the rounding")]
            let narrowed = [(a / length) as f32, (b / length) as f32, c as f32 - MARGIN];
            *edge = narrowed;
        }
        Some(Hexagon { cell, centre, edges })
    }

    fn holds(&self, lon: f64, lat: f64) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the margin is wider than the rounding")]
        let (x, y) = ((lon - self.centre.0) as f32, (lat - self.centre.1) as f32);
        self.edges.iter().all(|[a, b, c]| a * x + b * y < *c)
    }
}

/// Squares are small integers: one multiplication spreads them.
#[derive(Debug, Default)]
struct SquareHasher(u64);

impl Hasher for SquareHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// Remembers the cells of one resolution.
#[derive(Debug)]
pub struct CellCache {
    resolution: u8,
    squares: HashMap<u64, Vec<Hexagon>, BuildHasherDefault<SquareHasher>>,
    remembered: usize,
}

impl CellCache {
    /// An empty cache of a resolution 0..=15.
    #[must_use]
    pub fn new(resolution: u8) -> CellCache {
        CellCache {
            resolution,
            squares: HashMap::default(),
            remembered: 0,
        }
    }

    /// The cell of WGS-84 (lon, lat) degrees, exactly as [`cell`] finds it.
    pub fn cell(&mut self, lon: f64, lat: f64) -> Option<i64> {
        let square = square(lon, lat)?;
        let known = self.squares.get(&square);
        if let Some(hexagon) = known.and_then(|known| known.iter().find(|hexagon| hexagon.holds(lon, lat))) {
            return Some(hexagon.cell);
        }
        let found = cell(lon, lat, self.resolution)?;
        let room = self.remembered < MOST && known.is_none_or(|known| known.len() < PER_SQUARE);
        let fresh = known.is_none_or(|known| known.iter().all(|hexagon| hexagon.cell != found));
        if room
            && fresh
            && let Some(hexagon) = Hexagon::new(found)
        {
            self.squares.entry(square).or_default().push(hexagon);
            self.remembered += 1;
        }
        Some(found)
    }
}

/// The square of a point; `None` off the earth.
fn square(lon: f64, lat: f64) -> Option<u64> {
    if !super::crs::on_earth(lon, lat) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both sums are between 0 and 120 000"
    )]
    let (x, y) = (((lon + 180.0) / SQUARE) as u64, ((lat + 90.0) / SQUARE) as u64);
    Some(x << 32 | y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points spread over a box by a counter, so that the test needs no random numbers.
    fn points(west: f64, south: f64, width: f64, count: u32) -> impl Iterator<Item = (f64, f64)> {
        (0..count).map(move |n| {
            let (x, y) = (
                (f64::from(n) * 0.754_877_666_2).fract(),
                (f64::from(n) * 0.569_840_291).fract(),
            );
            (west + x * width, south + y * width)
        })
    }

    #[test]
    fn every_answer_is_the_one_h3_gives() {
        for (west, south, width, resolution) in [
            (116.3, 33.7, 0.2, 9),
            (116.3, 33.7, 0.05, 10),
            (-98.7, 29.3, 0.3, 9),
            (-0.05, 51.45, 0.1, 8),
            (179.95, -16.9, 0.05, 9),
            (10.0, 78.0, 0.2, 9),
        ] {
            let mut cache = CellCache::new(resolution);
            for (lon, lat) in points(west, south, width, 60_000) {
                assert_eq!(cache.cell(lon, lat), cell(lon, lat, resolution), "{lon} {lat}");
            }
        }
    }

    #[test]
    fn points_beside_an_edge_and_off_the_earth_are_right_too() {
        let mut cache = CellCache::new(9);
        let home = cell(117.18, 34.26, 9).unwrap();
        for (corner, next) in boundary(home)
            .unwrap()
            .iter()
            .zip(boundary(home).unwrap().iter().cycle().skip(1))
        {
            for n in 0..=200 {
                let along = f64::from(n) / 200.0;
                for side in [-3e-7, -1e-7, -1e-8, 0.0, 1e-8, 1e-7, 3e-7] {
                    let (lon, lat) = (
                        corner.0 + (next.0 - corner.0) * along + side,
                        corner.1 + (next.1 - corner.1) * along - side,
                    );
                    assert_eq!(cache.cell(lon, lat), cell(lon, lat, 9), "{lon} {lat}");
                }
            }
        }
        assert_eq!(cache.cell(f64::NAN, 1.0), None);
        assert_eq!(cache.cell(34.0, 117.0), None);
    }

    #[test]
    fn a_pentagon_is_asked_for_each_time() {
        let mut cache = CellCache::new(9);
        let (lon, lat) = crate::place::cell::centre(super::super::cell::from_text("89080000003ffff").unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(cache.cell(lon, lat), cell(lon, lat, 9));
        }
        assert_eq!(cache.remembered, 0);
    }
}
