//! Who is whose neighbour: lists of units, from a grid, hexagonal cells, distances, or as they are given.

use std::collections::HashMap;

use crate::place::cell;

/// Neighbours of all units together at most.
pub const MOST_NEIGHBOURS: usize = 200_000_000;
/// A table by id has at most so many places for each unit.
const DENSE: i64 = 16;
/// Coordinates beyond are none: squares of distances keep their digits below.
const FARTHEST: f64 = 1e12;
/// An id that no unit has.
const NOBODY: u32 = u32::MAX;

/// Cells of a grid that touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// At a side or a corner.
    Queen,
    /// At a side.
    Rook,
}

/// Why there are no neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// An id below 0, or one that is no cell of H3.
    NoCell,
    /// A coordinate that is not finite, or beyond 10¹².
    NoPlace,
    /// More than [`MOST_NEIGHBOURS`].
    TooMany,
}

/// The neighbours of each unit; nobody is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours {
    /// Where those of each unit begin, one longer than the units.
    starts: Vec<usize>,
    list: Vec<u32>,
}

impl Neighbours {
    /// Units.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no unit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The neighbours of a unit, rising.
    #[must_use]
    pub fn of(&self, unit: usize) -> &[u32] {
        &self.list[self.starts[unit]..self.starts[unit + 1]]
    }

    /// Lists as `each` gives them, units twice and the unit itself left out.
    fn collect(units: usize, mut each: impl FnMut(usize, &mut Vec<u32>)) -> Result<Neighbours, Refused> {
        let mut neighbours = Neighbours {
            starts: Vec::with_capacity(units + 1),
            list: Vec::new(),
        };
        neighbours.starts.push(0);
        let mut own = Vec::new();
        for unit in 0..units {
            own.clear();
            each(unit, &mut own);
            own.retain(|other| *other as usize != unit && *other != NOBODY);
            if !own.is_sorted_by(|a, b| a < b) {
                own.sort_unstable();
                own.dedup();
            }
            neighbours.list.extend_from_slice(&own);
            neighbours.starts.push(neighbours.list.len());
            if neighbours.list.len() > MOST_NEIGHBOURS {
                return Err(Refused::TooMany);
            }
        }
        Ok(neighbours)
    }

    /// As they are given, by ids; those that no unit has are left out.
    ///
    /// # Errors
    /// [`Refused::TooMany`].
    pub fn given<'a>(ids: &[i64], lists: impl Fn(usize) -> &'a [i64]) -> Result<Neighbours, Refused> {
        let units = Units::new(ids);
        Neighbours::collect(ids.len(), |unit, own| {
            own.extend(lists(unit).iter().map(|id| units.of(*id)));
        })
    }

    /// Cells of a grid that touch: the id of a cell is `row * columns + column`.
    ///
    /// # Errors
    /// [`Refused::NoCell`] for an id below 0.
    pub fn grid(ids: &[i64], columns: i64, touch: Touch) -> Result<Neighbours, Refused> {
        if columns < 1 || ids.iter().any(|id| *id < 0) {
            return Err(Refused::NoCell);
        }
        let units = Units::new(ids);
        Neighbours::collect(ids.len(), |unit, own| {
            let (row, column) = (ids[unit] / columns, ids[unit] % columns);
            for (down, right) in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)] {
                let beside = column + right;
                let touches = touch == Touch::Queen || down == 0 || right == 0;
                if touches && (0..columns).contains(&beside) {
                    let id = row.checked_add(down).and_then(|row| row.checked_mul(columns));
                    let id = id.and_then(|id| id.checked_add(beside));
                    own.push(id.map_or(NOBODY, |id| units.of(id)));
                }
            }
        })
    }

    /// Hexagonal cells (H3) that touch.
    ///
    /// # Errors
    /// [`Refused::NoCell`] for an id that is none.
    pub fn cells(ids: &[i64]) -> Result<Neighbours, Refused> {
        if ids.iter().any(|id| !cell::valid(*id)) {
            return Err(Refused::NoCell);
        }
        let units = Units::new(ids);
        Neighbours::collect(ids.len(), |unit, own| {
            let ring = cell::ring(ids[unit], 1).unwrap_or_default();
            own.extend(ring.iter().map(|id| units.of(*id)));
        })
    }

    /// All that are no further than `most`, in the unit of the coordinates.
    ///
    /// # Errors
    /// [`Refused::NoPlace`] and [`Refused::TooMany`].
    pub fn within(x: &[f64], y: &[f64], most: f64) -> Result<Neighbours, Refused> {
        let grid = Grid::new(x, y, most)?;
        let mut held = 0;
        Neighbours::collect(x.len(), |unit, own| {
            if held > MOST_NEIGHBOURS {
                return;
            }
            grid.around(unit, 1, |other| {
                if (x[unit] - x[other as usize]).hypot(y[unit] - y[other as usize]) <= most {
                    own.push(other);
                }
            });
            held += own.len();
        })
    }

    /// The `k` nearest; of equally near ones those that come first.
    ///
    /// # Errors
    /// [`Refused::NoPlace`] and [`Refused::TooMany`].
    pub fn nearest(x: &[f64], y: &[f64], k: usize) -> Result<Neighbours, Refused> {
        if k.saturating_mul(x.len()) > MOST_NEIGHBOURS {
            return Err(Refused::TooMany);
        }
        let (wide, high) = (extent(x).1, extent(y).1);
        let side = (wide * high / (x.len().max(1) as f64)).sqrt() * 2.0;
        let grid = Grid::new(x, y, if side > 0.0 { side } else { wide.max(high).max(1.0) })?;
        let mut found: Vec<(f64, u32)> = Vec::new();
        Neighbours::collect(x.len(), |unit, own| {
            let mut rings = 1;
            loop {
                found.clear();
                grid.around(unit, rings, |other| {
                    let far = (x[unit] - x[other as usize]).hypot(y[unit] - y[other as usize]);
                    if other as usize != unit {
                        found.push((far, other));
                    }
                });
                found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                // what lies in no ring yet is further than all rings reach
                let sure = found
                    .get(k.wrapping_sub(1))
                    .is_some_and(|(far, _)| *far < grid.side * rings as f64);
                if sure || rings as i64 > grid.columns.max(grid.rows) {
                    break;
                }
                rings *= 2;
            }
            own.extend(found.iter().take(k).map(|(_, other)| *other));
        })
    }
}

/// From ids to units.
enum Units {
    /// A table from the least id on.
    Dense(i64, Vec<u32>),
    /// A map where ids lie far apart.
    Sparse(HashMap<i64, u32>),
}

impl Units {
    /// Of ids that are twice the first counts.
    fn new(ids: &[i64]) -> Units {
        let least = ids.iter().copied().min().unwrap_or(0);
        let most = ids.iter().copied().max().unwrap_or(0);
        let numbered = ids.iter().enumerate().rev();
        match most.checked_sub(least) {
            Some(span) if span < DENSE.saturating_mul(ids.len() as i64) => {
                let mut table = vec![NOBODY; span as usize + 1];
                for (unit, id) in numbered {
                    table[(id - least) as usize] = unit as u32;
                }
                Units::Dense(least, table)
            }
            _ => Units::Sparse(numbered.map(|(unit, id)| (*id, unit as u32)).collect()),
        }
    }

    fn of(&self, id: i64) -> u32 {
        match self {
            Units::Dense(least, table) => {
                let at = id.checked_sub(*least).and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| table.get(at).copied()).unwrap_or(NOBODY)
            }
            Units::Sparse(map) => map.get(&id).copied().unwrap_or(NOBODY),
        }
    }
}

/// The least of some values and how far the largest is from it.
fn extent(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, (most - least).max(0.0))
}

/// Points in squares.
struct Grid {
    side: f64,
    columns: i64,
    rows: i64,
    /// The square of each point.
    square: Vec<(i64, i64)>,
    /// Points by square.
    order: Vec<u32>,
    starts: Vec<u32>,
}

/// Squares at most for each point.
const SQUARES: f64 = 4.0;

impl Grid {
    fn new(x: &[f64], y: &[f64], side: f64) -> Result<Grid, Refused> {
        let near = |value: &f64| value.abs() <= FARTHEST;
        if x.len() != y.len() || !x.iter().chain(y).all(near) || x.len() >= NOBODY as usize {
            return Err(Refused::NoPlace);
        }
        let ((left, wide), (low, high)) = (extent(x), extent(y));
        // few points far apart need no more squares than there are points
        let least = (wide / (SQUARES * x.len().max(1) as f64))
            .max(high / (SQUARES * x.len().max(1) as f64))
            .max((wide * high / (SQUARES * x.len().max(1) as f64)).sqrt());
        let side = side.max(least);
        let side = if side > 0.0 && side.is_finite() { side } else { 1.0 };
        let (columns, rows) = ((wide / side) as i64 + 1, (high / side) as i64 + 1);
        let square: Vec<(i64, i64)> = x
            .iter()
            .zip(y)
            .map(|(x, y)| (((x - left) / side) as i64, ((y - low) / side) as i64))
            .collect();
        let at = |(column, row): &(i64, i64)| (row * columns + column) as usize;
        let mut starts = vec![0; (columns * rows) as usize + 1];
        square.iter().for_each(|place| starts[at(place) + 1] += 1);
        for square in 1..starts.len() {
            starts[square] += starts[square - 1];
        }
        let (mut next, mut order) = (starts.clone(), vec![0; x.len()]);
        for (place, unit) in square.iter().zip(0..) {
            let next = &mut next[at(place)];
            order[*next as usize] = unit;
            *next += 1;
        }
        Ok(Grid {
            side,
            columns,
            rows,
            square,
            order,
            starts,
        })
    }

    /// The points in the squares around that of a point, itself among them.
    fn around(&self, unit: usize, rings: usize, mut take: impl FnMut(u32)) {
        let ((column, row), rings) = (self.square[unit], rings as i64);
        for row in (row - rings).max(0)..=(row + rings).min(self.rows - 1) {
            let first = row * self.columns + (column - rings).max(0);
            let last = row * self.columns + (column + rings).min(self.columns - 1);
            let points = self.starts[first as usize]..self.starts[last as usize + 1];
            self.order[points.start as usize..points.end as usize]
                .iter()
                .for_each(|other| take(*other));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_of_a_grid_touch_at_sides_and_corners_and_not_around_the_edge() {
        // 3 columns; the middle of the upper row is missing
        let ids = [0, 2, 3, 4, 5];
        let queen = Neighbours::grid(&ids, 3, Touch::Queen).expect("neighbours");
        assert_eq!(queen.of(0), [2, 3]);
        assert_eq!(queen.of(1), [3, 4]);
        assert_eq!(queen.of(3), [0, 1, 2, 4]);
        let rook = Neighbours::grid(&ids, 3, Touch::Rook).expect("neighbours");
        assert_eq!((rook.of(0), rook.of(1), rook.of(3)), (&[2][..], &[4][..], &[2, 4][..]));
        assert_eq!(Neighbours::grid(&[-1], 3, Touch::Rook), Err(Refused::NoCell));
        assert_eq!(Neighbours::grid(&[1], 0, Touch::Rook), Err(Refused::NoCell));
        let last = Neighbours::grid(&[i64::MAX, i64::MAX - 1], 3, Touch::Queen).expect("neighbours");
        assert_eq!(last.of(0), [1]);
        let far = Neighbours::grid(&[0, i64::MAX], 1, Touch::Rook).expect("neighbours");
        assert_eq!((far.of(0).len(), far.of(1).len()), (0, 0));
    }

    #[test]
    fn lists_are_cleaned_of_themselves_doubles_and_strangers() {
        let ids = [7, -9_000_000_000, 3];
        let lists: [&[i64]; 3] = [&[7, 3, 3, 12], &[], &[7]];
        let given = Neighbours::given(&ids, |unit| lists[unit]).expect("neighbours");
        assert_eq!((given.of(0), given.of(1), given.of(2)), (&[2][..], &[][..], &[0][..]));
    }

    #[test]
    fn places_that_are_none_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::MAX, -1e13] {
            let x = [0.0, value, 5.0];
            assert_eq!(Neighbours::within(&x, &[0.0; 3], 1.0), Err(Refused::NoPlace));
            assert_eq!(Neighbours::nearest(&[0.0; 3], &x, 2), Err(Refused::NoPlace));
        }
        let far = Neighbours::nearest(&[-1e12, 1e12, 1e12], &[1e12, -1e12, 1e-300], 1).expect("neighbours");
        assert_eq!((far.of(0), far.of(1), far.of(2)), (&[2][..], &[2][..], &[1][..]));
        assert_eq!(
            Neighbours::within(&[0.0; 3], &[0.0; 3], f64::MIN_POSITIVE)
                .expect("neighbours")
                .of(0),
            [1, 2]
        );
    }

    #[test]
    fn a_hexagon_has_six() {
        let centre = cell::cell(117.2, 34.3, 8).expect("a cell");
        let ids = cell::ring(centre, 1).expect("a ring");
        let cells = Neighbours::cells(&ids).expect("neighbours");
        let at = ids.iter().position(|id| *id == centre).expect("the centre");
        assert_eq!(cells.of(at).len(), 6);
        assert_eq!(Neighbours::cells(&[5]), Err(Refused::NoCell));
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let coordinate = prop_oneof![(-50..50_i32).prop_map(f64::from), -1e6..1e6_f64, Just(0.0)];
        prop::collection::vec((coordinate.clone(), coordinate), 0..60)
    }

    proptest! {
        #[test]
        fn squares_lose_nobody(points in points(), most in 0.0..200.0_f64, k in 1..8_usize) {
            let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
            let far = |a: usize, b: usize| (x[a] - x[b]).hypot(y[a] - y[b]);
            let within = Neighbours::within(&x, &y, most).expect("neighbours");
            let nearest = Neighbours::nearest(&x, &y, k).expect("neighbours");
            for unit in 0..x.len() {
                let others: Vec<u32> = (0..x.len()).filter(|other| *other != unit).map(|other| other as u32).collect();
                let near: Vec<u32> = others.iter().copied().filter(|other| far(unit, *other as usize) <= most).collect();
                prop_assert_eq!(within.of(unit), near);
                let mut by_distance = others;
                by_distance.sort_by(|a, b| far(unit, *a as usize).total_cmp(&far(unit, *b as usize)).then(a.cmp(b)));
                by_distance.truncate(k);
                by_distance.sort_unstable();
                prop_assert_eq!(nearest.of(unit), by_distance);
            }
        }
    }
}
