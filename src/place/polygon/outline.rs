//! Judges the rings of a boundary: whether they touch themselves or each other, and what lies in what.
//!
//! The check of the `geo` crate compares every edge with every other, which a province with a hundred
//! thousand corners turns into minutes, and overlooks lines that cross in a corner. Here the edges stand
//! in a tree of boxes, and only edges whose boxes meet are compared, by the exact predicate of that
//! crate.

use std::collections::BTreeMap;
use std::ops::Range;

use geo::Coord;
use geo::algorithm::kernels::{Kernel, Orientation, RobustKernel};

use super::{Fault, LEAST_POINTS, Polygon, Position};

/// Steps of judging one boundary: boxes looked at. A coast of half a million points takes about a
/// tenth; only lines that run to and fro across each other take more.
const MOST_STEPS: u64 = 200_000_000;
/// Steps that a point shared by two rings counts for, as it is kept in memory.
const CONTACT_STEPS: u64 = 100;

/// A straight line between two corners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub from: Position,
    pub to: Position,
}

/// What two edges have in common.
enum Meeting {
    Nothing,
    /// One point, an end of at least one of them.
    At(Position),
    /// More than a point, or a point inside of both.
    Across,
}

impl Edge {
    fn bounds(self) -> Bounds {
        Bounds {
            low: (self.from.0.min(self.to.0), self.from.1.min(self.to.1)),
            high: (self.from.0.max(self.to.0), self.from.1.max(self.to.1)),
        }
    }

    fn side(self, point: Position) -> Orientation {
        let at = |(x, y): Position| Coord { x, y };
        RobustKernel::orient2d(at(self.from), at(self.to), at(point))
    }

    /// Whether a line from `point` to the east meets this edge; `None` where the point lies on it.
    pub fn right_of(self, point: Position) -> Option<bool> {
        if (self.from.1 > point.1) == (self.to.1 > point.1) {
            return Some(false);
        }
        let upward = self.to.1 > self.from.1;
        match self.side(point) {
            Orientation::Collinear => None,
            Orientation::CounterClockwise => Some(upward),
            Orientation::Clockwise => Some(!upward),
        }
    }

    fn meeting(self, other: Edge) -> Meeting {
        let sides = [self.side(other.from), self.side(other.to)];
        if sides == [Orientation::Collinear; 2] {
            return self.shared(other);
        }
        let back = [other.side(self.from), other.side(self.to)];
        let ends = [
            (sides[0], self, other.from),
            (sides[1], self, other.to),
            (back[0], other, self.from),
            (back[1], other, self.to),
        ];
        for (side, edge, end) in ends {
            if side == Orientation::Collinear && edge.bounds().hold(end) {
                return Meeting::At(end);
            }
        }
        if sides[0] != sides[1] && back[0] != back[1] {
            Meeting::Across
        } else {
            Meeting::Nothing
        }
    }

    /// What two edges on one straight line have in common.
    fn shared(self, other: Edge) -> Meeting {
        let (low, high) = self.ordered();
        let (other_low, other_high) = other.ordered();
        let low = if other_low > low { other_low } else { low };
        let high = if other_high < high { other_high } else { high };
        if low < high {
            Meeting::Across
        } else if low == high {
            Meeting::At(low)
        } else {
            Meeting::Nothing
        }
    }

    fn ordered(self) -> (Position, Position) {
        if self.from <= self.to {
            (self.from, self.to)
        } else {
            (self.to, self.from)
        }
    }
}

/// The edges of a ring; a point that comes twice in a row makes none.
pub(super) fn edges(ring: &[Position]) -> impl Iterator<Item = Edge> + '_ {
    ring.windows(2)
        .map(|ends| Edge {
            from: ends[0],
            to: ends[1],
        })
        .filter(|edge| edge.from != edge.to)
}

/// A box along the axes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: Position,
    high: Position,
}

impl Bounds {
    fn with(self, other: Bounds) -> Bounds {
        Bounds {
            low: (self.low.0.min(other.low.0), self.low.1.min(other.low.1)),
            high: (self.high.0.max(other.high.0), self.high.1.max(other.high.1)),
        }
    }

    fn meet(self, other: Bounds) -> bool {
        self.low.0 <= other.high.0
            && other.low.0 <= self.high.0
            && self.low.1 <= other.high.1
            && other.low.1 <= self.high.1
    }

    fn hold(self, point: Position) -> bool {
        self.meet(Bounds {
            low: point,
            high: point,
        })
    }
}

/// Steps that are left.
struct Budget(u64);

impl Budget {
    fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        self.0 = self.0.checked_sub(steps).ok_or(Fault::Large)?;
        Ok(())
    }
}

/// Boxes of things in their order, the boxes of each two of them, of each four and so on. Neighbours in
/// a line are neighbours on earth, so this order is as good as any that would have to be found.
struct Boxes {
    levels: Vec<Vec<Bounds>>,
}

impl Boxes {
    fn over(things: Vec<Bounds>) -> Boxes {
        let mut levels = vec![things];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let next = last
                .chunks(2)
                .map(|pair| pair.iter().skip(1).fold(pair[0], |whole, bounds| whole.with(*bounds)))
                .collect();
            levels.push(next);
        }
        Boxes { levels }
    }

    fn top(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    fn at(&self, level: usize, index: usize) -> Option<Bounds> {
        self.levels.get(level)?.get(index).copied()
    }

    /// Calls `met` with each two things whose boxes meet, the earlier one first.
    fn pairs(
        &self,
        budget: &mut Budget,
        mut met: impl FnMut(usize, usize, &mut Budget) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut open = vec![(self.top(), 0, 0)];
        while let Some((level, a, b)) = open.pop() {
            budget.spend(1)?;
            let (Some(box_a), Some(box_b)) = (self.at(level, a), self.at(level, b)) else {
                continue;
            };
            if !box_a.meet(box_b) {
                continue;
            }
            if level > 0 {
                let below = level - 1;
                open.push((below, 2 * a, 2 * b));
                open.push((below, 2 * a, 2 * b + 1));
                open.push((below, 2 * a + 1, 2 * b + 1));
                if a != b {
                    open.push((below, 2 * a + 1, 2 * b));
                }
            } else if a != b {
                met(a, b, budget)?;
            }
        }
        Ok(())
    }
}

/// A ring among the edges of all.
struct Part {
    /// The ring that is its shell, or itself.
    shell: usize,
    edges: Range<usize>,
    bounds: Bounds,
}

/// Points that a ring (the first) shares with another, each with its edge of the first.
type Contacts = BTreeMap<(usize, usize), Vec<(usize, Position)>>;

/// All rings of a boundary.
struct Outline {
    parts: Vec<Part>,
    edges: Vec<Edge>,
    boxes: Boxes,
    contacts: Contacts,
}

/// Judges rings that are closed and whose numbers are those of places.
///
/// # Errors
/// `Short`, `Crossing` and `Hole`; `Large` where the lines are too entangled to be judged.
pub(super) fn sound(area: &[Polygon]) -> Result<(), Fault> {
    let mut budget = Budget(MOST_STEPS);
    let outline = Outline::of(area, &mut budget)?;
    for (at, part) in outline.parts.iter().enumerate() {
        if part.shell != at && !outline.inside(at, part.shell, &mut budget)? {
            return Err(Fault::Hole);
        }
    }
    let rings = Boxes::over(outline.parts.iter().map(|part| part.bounds).collect());
    rings.pairs(&mut budget, |a, b, budget| {
        let (shell_a, shell_b) = (outline.parts[a].shell, outline.parts[b].shell);
        if a == shell_a && b == shell_b {
            outline.apart(a, b, budget)?;
            return outline.apart(b, a, budget);
        }
        let two_holes = shell_a == shell_b && a != shell_a && b != shell_b;
        if two_holes && (outline.inside(a, b, budget)? || outline.inside(b, a, budget)?) {
            return Err(Fault::Crossing);
        }
        Ok(())
    })
}

impl Outline {
    /// The rings, of which none crosses itself or another inside of an edge.
    fn of(area: &[Polygon], budget: &mut Budget) -> Result<Outline, Fault> {
        let (mut parts, mut all): (Vec<Part>, Vec<Edge>) = (Vec::new(), Vec::new());
        for polygon in area {
            let shell = parts.len();
            for ring in polygon {
                let first = all.len();
                all.extend(edges(ring));
                let own = &all[first..];
                // three edges are four points
                if own.len() + 1 < LEAST_POINTS {
                    return Err(Fault::Short);
                }
                let bounds = own
                    .iter()
                    .fold(own[0].bounds(), |whole, edge| whole.with(edge.bounds()));
                let edges = first..all.len();
                parts.push(Part { shell, edges, bounds });
            }
        }
        let boxes = Boxes::over(all.iter().map(|edge| edge.bounds()).collect());
        let mut outline = Outline {
            parts,
            edges: all,
            boxes,
            contacts: Contacts::new(),
        };
        outline.contacts = outline.meetings(budget)?;
        Ok(outline)
    }

    fn meetings(&self, budget: &mut Budget) -> Result<Contacts, Fault> {
        let mut contacts = Contacts::new();
        let owner = |edge: usize| self.parts.partition_point(|part| part.edges.end <= edge);
        self.boxes.pairs(budget, |a, b, budget| {
            let (ring_a, ring_b) = (owner(a), owner(b));
            match self.edges[a].meeting(self.edges[b]) {
                Meeting::Nothing => Ok(()),
                Meeting::Across => Err(Fault::Crossing),
                Meeting::At(_) if ring_a == ring_b => {
                    let ring = &self.parts[ring_a].edges;
                    let neighbours = b == a + 1 || (a == ring.start && b + 1 == ring.end);
                    if neighbours { Ok(()) } else { Err(Fault::Crossing) }
                }
                Meeting::At(point) => {
                    budget.spend(CONTACT_STEPS)?;
                    contacts.entry((ring_a, ring_b)).or_default().push((a, point));
                    contacts.entry((ring_b, ring_a)).or_default().push((b, point));
                    Ok(())
                }
            }
        })?;
        Ok(contacts)
    }

    /// Whether a ring lies inside of another. Rings that only share points can still change sides there,
    /// so a piece of edge on either side of each such point is asked.
    fn inside(&self, ring: usize, other: usize, budget: &mut Budget) -> Result<bool, Fault> {
        let asked = match self.contacts.get(&(ring, other)) {
            Some(touched) => self.pieces(touched),
            None => vec![self.edges[self.parts[ring].edges.start].from],
        };
        let mut found = None;
        for point in asked {
            let Some(inside) = self.around(other, point, budget)? else {
                continue;
            };
            if found.is_some_and(|known| known != inside) {
                return Err(Fault::Crossing);
            }
            found = Some(inside);
        }
        found.ok_or(Fault::Crossing)
    }

    /// The middles of the pieces into which contacts cut their edges.
    fn pieces(&self, touched: &[(usize, Position)]) -> Vec<Position> {
        let mut cuts: BTreeMap<usize, Vec<Position>> = BTreeMap::new();
        for (edge, point) in touched {
            cuts.entry(*edge).or_default().push(*point);
        }
        let mut middles = Vec::new();
        for (edge, mut points) in cuts {
            let Edge { from, to } = self.edges[edge];
            let along = |point: &Position| (point.0 - from.0) * (to.0 - from.0) + (point.1 - from.1) * (to.1 - from.1);
            points.extend([from, to]);
            points.sort_by(|a, b| along(a).total_cmp(&along(b)));
            points.dedup();
            let middle = |ends: &[Position]| (f64::midpoint(ends[0].0, ends[1].0), f64::midpoint(ends[0].1, ends[1].1));
            middles.extend(points.windows(2).map(middle));
        }
        middles
    }

    /// Whether a point lies inside of a ring; `None` where it lies on it.
    fn around(&self, ring: usize, point: Position, budget: &mut Budget) -> Result<Option<bool>, Fault> {
        let own = &self.parts[ring].edges;
        let (mut open, mut odd) = (vec![(self.boxes.top(), 0)], false);
        while let Some((level, index)) = open.pop() {
            budget.spend(1)?;
            let Some(bounds) = self.boxes.at(level, index) else {
                continue;
            };
            let of_ring = (index << level) < own.end && own.start < ((index + 1) << level);
            let ahead = bounds.low.1 <= point.1 && point.1 <= bounds.high.1 && bounds.high.0 >= point.0;
            if !of_ring || !ahead {
                continue;
            }
            if level > 0 {
                open.extend([(level - 1, 2 * index), (level - 1, 2 * index + 1)]);
                continue;
            }
            match self.edges[index].right_of(point) {
                Some(meets) => odd ^= meets,
                None => return Ok(None),
            }
        }
        Ok(Some(odd))
    }

    /// Refuses a shell that lies in another part, unless it is an island in a hole of that part.
    fn apart(&self, shell: usize, other: usize, budget: &mut Budget) -> Result<(), Fault> {
        if !self.inside(shell, other, budget)? {
            return Ok(());
        }
        let holes = (other + 1..self.parts.len()).take_while(|hole| self.parts[*hole].shell == other);
        for hole in holes {
            budget.spend(1)?;
            if self.parts[hole].bounds.meet(self.parts[shell].bounds) && self.inside(shell, hole, budget)? {
                return Ok(());
            }
        }
        Err(Fault::Crossing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_coast_takes_few_steps_and_a_tangle_is_given_up() {
        let corners = 100_000_u32;
        let mut ring = Vec::new();
        for n in 0..corners {
            let turn = f64::from(n) / f64::from(corners) * std::f64::consts::TAU;
            let reach = 1.0 + 1e-4 * (f64::from(n % 7) / 7.0);
            ring.push((110.0 + reach * turn.cos(), 30.0 + reach * turn.sin()));
        }
        ring.push(ring[0]);
        let area = vec![vec![ring]];
        assert!(Outline::of(&area, &mut Budget(MOST_STEPS / 10)).is_ok());
        assert_eq!(Outline::of(&area, &mut Budget(1_000)).err(), Some(Fault::Large));
        assert_eq!(sound(&area), Ok(()));
    }

    #[test]
    fn edges_meet_where_they_should() {
        let edge = |numbers: [f64; 4]| Edge {
            from: (numbers[0], numbers[1]),
            to: (numbers[2], numbers[3]),
        };
        let meeting = |a, b| match edge(a).meeting(edge(b)) {
            Meeting::Nothing => "nothing",
            Meeting::At(_) => "at",
            Meeting::Across => "across",
        };
        for (a, b, expected) in [
            ([0.0, 0.0, 2.0, 2.0], [0.0, 2.0, 2.0, 0.0], "across"),
            ([0.0, 0.0, 2.0, 0.0], [1.0, 0.0, 1.0, 3.0], "at"),
            ([0.0, 0.0, 2.0, 0.0], [2.0, 0.0, 3.0, 3.0], "at"),
            ([0.0, 0.0, 2.0, 0.0], [2.0, 0.0, 3.0, 0.0], "at"),
            ([0.0, 0.0, 2.0, 0.0], [3.0, 0.0, 1.0, 0.0], "across"),
            ([0.0, 0.0, 2.0, 0.0], [3.0, 0.0, 4.0, 0.0], "nothing"),
            ([0.0, 0.0, 2.0, 0.0], [3.0, 0.0, 3.0, 4.0], "nothing"),
            ([0.0, 0.0, 2.0, 0.0], [0.0, 1.0, 2.0, 1.0], "nothing"),
        ] {
            assert_eq!(meeting(a, b), expected, "{a:?} {b:?}");
            assert_eq!(meeting(b, a), expected, "{b:?} {a:?}");
        }
    }
}
