//! Boundaries of areas: polygons as WKT, judged and brought to the system that the lake stores.
//!
//! A boundary is judged in the numbers of its source and refused as a whole; nothing is repaired, for a
//! line that somebody else drew has no owner. The rules are those of the OGC's Simple Features: rings
//! are closed and touch themselves nowhere, holes lie in their shells, two rings share single points at
//! most, the parts of a multipolygon lie apart.

mod outline;

use std::fmt;

use self::outline::{Edge, edges, sound};
use super::crs::{Crs, on_earth};

/// Points of one boundary.
const MOST_POINTS: usize = 500_000;
/// Points of a ring, the first of which comes again at the end.
const LEAST_POINTS: usize = 4;
/// Numbers of a point behind its position: a height and a measure, which are dropped.
const MOST_EXTRA: usize = 2;
/// Decimals of a degree that are kept, a centimetre.
const DECIMALS: usize = 7;
/// The last decimal that is kept.
const SCALE: f64 = 1e7;

/// A place in any unit, east before north.
pub type Position = (f64, f64);
/// A line whose last point is its first.
pub type Ring = Vec<Position>;
/// A shell and its holes.
pub type Polygon = Vec<Ring>;

/// Why a text is no boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is no `POLYGON` and no `MULTIPOLYGON`.
    NotPolygon,
    /// It has more points, or lines more entangled, than is judged.
    Large,
    /// A ring does not end where it begins.
    Open,
    /// A ring has fewer than three corners that differ by a centimetre.
    Short,
    /// A point lies in no place of its reference system.
    Range,
    /// Lines cross, touch themselves or run along each other, or areas overlap.
    Crossing,
    /// A hole lies outside of its shell.
    Hole,
}

impl Fault {
    /// The code of the fault.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fault::NotPolygon => "not_polygon",
            Fault::Large => "large",
            Fault::Open => "open",
            Fault::Short => "short",
            Fault::Range => "range",
            Fault::Crossing => "crossing",
            Fault::Hole => "hole",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Fault {}

/// Reads a WKT `POLYGON` or `MULTIPOLYGON` whose numbers are of `crs`, and writes it in (lon, lat)
/// degrees of WGS-84, which are CGCS2000: seven decimals without zeros at their end, shells
/// counter-clockwise, holes clockwise (RFC 7946).
///
/// Heights are dropped. Corners that seven decimals no longer tell apart become one. With n points this
/// takes n log n steps where the lines look like a boundary, and never more than some two hundred
/// million, a second or two: what would need more is refused.
///
/// ```
/// use fenghuo::place::{crs::Crs, polygon::boundary};
/// let text = boundary("Polygon((117.2 34,117.2 34.5,117.9 34,117.2 34))", Crs::Wgs84);
/// assert_eq!(text.as_deref(), Ok("POLYGON ((117.2 34, 117.9 34, 117.2 34.5, 117.2 34))"));
/// ```
///
/// # Errors
/// The first [`Fault`] found.
pub fn boundary(text: &str, crs: Crs) -> Result<String, Fault> {
    let (several, area) = read(text)?;
    for ring in area.iter().flatten() {
        if ring.first() != ring.last() {
            return Err(Fault::Open);
        }
        if ring.len() < LEAST_POINTS {
            return Err(Fault::Short);
        }
    }
    let mut stored = Vec::with_capacity(area.len());
    for polygon in &area {
        let rings: Result<Polygon, Fault> = polygon.iter().map(|ring| converted(ring, crs)).collect();
        stored.push(rings?);
    }
    // behind the conversion, which has refused the numbers that would overflow
    sound(&area)?;
    for polygon in &mut stored {
        for (at, ring) in polygon.iter_mut().enumerate() {
            turn_about(ring, at > 0)?;
        }
    }
    Ok(wkt(several, &stored))
}

/// A point inside a WKT `POLYGON` or `MULTIPOLYGON` of any unit: in the middle of the widest stretch of a
/// line through its largest part. `None` for other texts and for areas without extent.
///
/// Takes n log n steps; the polygon is not judged.
#[must_use]
pub fn interior(text: &str) -> Option<Position> {
    let (_, area) = read(text).ok()?;
    let size = |polygon: &&Polygon| polygon.first().map_or(0.0, |shell| signed_area(shell).abs());
    let largest = area.iter().max_by(|a, b| size(a).total_cmp(&size(b)))?;
    midst(largest)
}

/// An area that is asked for many points.
#[derive(Debug, Clone)]
pub struct Area(Vec<Polygon>);

impl Area {
    /// Of a WKT `POLYGON` or `MULTIPOLYGON` in any unit; `None` for other texts. The polygon is not judged.
    #[must_use]
    pub fn read(text: &str) -> Option<Area> {
        read(text).ok().map(|(_, area)| Area(area))
    }

    /// Whether a point lies in a part and in none of its holes; no promise for one that lies on a line.
    #[must_use]
    pub fn holds(&self, point: Position) -> bool {
        let inside = |polygon: &Polygon| polygon.iter().filter(|ring| holds(ring, point)).count() % 2 == 1;
        self.0.iter().any(inside)
    }
}

/// A point inside the area between a shell and its holes; `None` where it has no extent.
#[must_use]
pub fn midst(rings: &[Ring]) -> Option<Position> {
    let heights = || rings.iter().flatten().map(|corner| corner.1);
    let lowest = heights().fold(f64::INFINITY, f64::min);
    let highest = heights().fold(f64::NEG_INFINITY, f64::max);
    let middle = f64::midpoint(lowest, highest);
    // between two heights of corners, so that the line meets no corner and no level edge
    let below = heights().filter(|y| *y <= middle).fold(f64::NEG_INFINITY, f64::max);
    let above = heights().filter(|y| *y > middle).fold(f64::INFINITY, f64::min);
    let level = f64::midpoint(below, above);
    let mut meetings: Vec<f64> = rings
        .iter()
        .flat_map(|ring| edges(ring))
        .filter(|edge| (edge.from.1 > level) != (edge.to.1 > level))
        .map(|Edge { from, to }| from.0 + (level - from.1) / (to.1 - from.1) * (to.0 - from.0))
        .collect();
    meetings.sort_by(f64::total_cmp);
    let width = |stretch: &[f64]| stretch[1] - stretch[0];
    let widest = meetings.chunks_exact(2).max_by(|a, b| width(a).total_cmp(&width(b)))?;
    let point = (f64::midpoint(widest[0], widest[1]), level);
    let around = rings.iter().filter(|ring| holds(ring, point)).count();
    (around % 2 == 1).then_some(point)
}

/// Whether a point lies inside of a ring; no promise for one that lies on it.
#[must_use]
pub fn holds(ring: &[Position], point: Position) -> bool {
    edges(ring).filter(|edge| edge.right_of(point) == Some(true)).count() % 2 == 1
}

/// The area of a ring in its own unit, squared; negative where it runs clockwise.
#[must_use]
pub fn signed_area(ring: &[Position]) -> f64 {
    let Some(&(x, y)) = ring.first() else { return 0.0 };
    // from the first corner, as metres of a grid are large beside what a village measures
    edges(ring)
        .map(|Edge { from, to }| (from.0 - x) * (to.1 - y) - (to.0 - x) * (from.1 - y))
        .sum::<f64>()
        / 2.0
}

/// The polygons of a text, and whether it is a multipolygon.
fn read(text: &str) -> Result<(bool, Vec<Polygon>), Fault> {
    let (head, body) = text.split_at(text.find('(').ok_or(Fault::NotPolygon)?);
    let mut words = head.split_whitespace();
    let kind = words.next().ok_or(Fault::NotPolygon)?;
    let dimensions = words.next().unwrap_or("Z");
    let known = ["Z", "M", "ZM"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(dimensions));
    if !known || words.next().is_some() {
        return Err(Fault::NotPolygon);
    }
    let mut text = Text { rest: body, points: 0 };
    let several = kind.eq_ignore_ascii_case("MULTIPOLYGON");
    let area = if several {
        text.list(Text::polygon)?
    } else if kind.eq_ignore_ascii_case("POLYGON") {
        vec![text.polygon()?]
    } else {
        return Err(Fault::NotPolygon);
    };
    if text.rest.trim().is_empty() {
        Ok((several, area))
    } else {
        Err(Fault::NotPolygon)
    }
}

/// What is left of a text.
struct Text<'a> {
    rest: &'a str,
    points: usize,
}

impl Text<'_> {
    fn polygon(&mut self) -> Result<Polygon, Fault> {
        self.list(|text| text.list(Text::position))
    }

    /// One or more items between brackets, with commas between them.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        if !self.takes('(') {
            return Err(Fault::NotPolygon);
        }
        let mut items = vec![item(self)?];
        while self.takes(',') {
            items.push(item(self)?);
        }
        if self.takes(')') {
            Ok(items)
        } else {
            Err(Fault::NotPolygon)
        }
    }

    fn takes(&mut self, mark: char) -> bool {
        match self.rest.trim_start().strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn position(&mut self) -> Result<Position, Fault> {
        self.points += 1;
        if self.points > MOST_POINTS {
            return Err(Fault::Large);
        }
        let end = self.rest.find([',', ')']).ok_or(Fault::NotPolygon)?;
        let (point, rest) = self.rest.split_at(end);
        self.rest = rest;
        let mut numbers = point.split_whitespace().map(|number| number.parse::<f64>().ok());
        let (Some(Some(x)), Some(Some(y))) = (numbers.next(), numbers.next()) else {
            return Err(Fault::NotPolygon);
        };
        let mut extra = 0;
        for number in numbers {
            extra += 1;
            if number.is_none() || extra > MOST_EXTRA {
                return Err(Fault::NotPolygon);
            }
        }
        if x.is_finite() && y.is_finite() {
            Ok((x, y))
        } else {
            Err(Fault::Range)
        }
    }
}

/// A ring in stored degrees, without corners that rounding made one.
fn converted(ring: &[Position], crs: Crs) -> Result<Ring, Fault> {
    // no negative zero, which would be written
    let rounded = |degrees: f64| (degrees * SCALE).round() / SCALE + 0.0;
    let mut stored: Ring = Vec::with_capacity(ring.len());
    for &(x, y) in ring {
        let (lon, lat) = crs.to_wgs84(x, y);
        if !on_earth(lon, lat) {
            return Err(Fault::Range);
        }
        let corner = (rounded(lon), rounded(lat));
        if stored.last() != Some(&corner) {
            stored.push(corner);
        }
    }
    Ok(stored)
}

/// Turns a shell counter-clockwise and a hole clockwise.
fn turn_about(ring: &mut Ring, hole: bool) -> Result<(), Fault> {
    let area = signed_area(ring);
    if ring.len() < LEAST_POINTS || area == 0.0 {
        return Err(Fault::Short);
    }
    if (area > 0.0) == hole {
        ring.reverse();
    }
    Ok(())
}

fn wkt(several: bool, area: &[Polygon]) -> String {
    let mut text = String::from(if several { "MULTIPOLYGON (" } else { "POLYGON " });
    for (at, polygon) in area.iter().enumerate() {
        text.push_str(if at > 0 { ", (" } else { "(" });
        for (at, ring) in polygon.iter().enumerate() {
            text.push_str(if at > 0 { ", (" } else { "(" });
            for (at, (lon, lat)) in ring.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                push_degrees(&mut text, *lon);
                text.push(' ');
                push_degrees(&mut text, *lat);
            }
            text.push(')');
        }
        text.push(')');
    }
    if several {
        text.push(')');
    }
    text
}

fn push_degrees(text: &mut String, degrees: f64) {
    let number = format!("{degrees:.DECIMALS$}");
    text.push_str(number.trim_end_matches('0').trim_end_matches('.'));
}

#[cfg(test)]
mod tests {
    use geo::{LineString, MultiPolygon, Validation};

    use super::*;

    fn judged(text: &str) -> Result<String, Fault> {
        boundary(text, Crs::Wgs84)
    }

    #[test]
    fn a_polygon_is_written_in_one_form() {
        let text = judged(" polygon z((117.20 34.0 5,117.2 34.50 5 , 117.9 34 5,117.2 34 5)) ");
        assert_eq!(
            text.as_deref(),
            Ok("POLYGON ((117.2 34, 117.9 34, 117.2 34.5, 117.2 34))")
        );
        let small = judged("POLYGON ((-0.00000001 0, 0.1234567891 0, 0.1 0.1, -0.00000001 0))");
        assert_eq!(small.as_deref(), Ok("POLYGON ((0 0, 0.1234568 0, 0.1 0.1, 0 0))"));
        let again = text.and_then(|text| judged(&text));
        assert_eq!(
            again.as_deref(),
            Ok("POLYGON ((117.2 34, 117.9 34, 117.2 34.5, 117.2 34))")
        );
    }

    #[test]
    fn holes_run_clockwise_and_lie_inside() {
        let text = judged("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 1))");
        assert_eq!(
            text.as_deref(),
            Ok("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 2, 2 1, 1 1))")
        );
        for (hole, fault) in [
            ("(5 5, 6 5, 6 6, 5 5)", Fault::Hole),
            ("(-1 -1, 5 -1, 5 5, -1 5, -1 -1)", Fault::Hole),
            ("(3 3, 5 3, 5 5, 3 3)", Fault::Crossing),
            ("(0 0, 4 0, 4 4, 0 4, 0 0)", Fault::Crossing),
            // out and in through corners of the shell, where no edge is crossed between its ends
            ("(3 3, 5 5, 5 -1, 3 1, 3 3)", Fault::Crossing),
        ] {
            let text = format!("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), {hole})");
            assert_eq!(judged(&text), Err(fault), "{hole}");
        }
    }

    #[test]
    fn rings_may_share_single_points() {
        for rings in [
            "(0 0, 4 0, 4 4, 0 4, 0 0), (0 2, 2 1, 2 3, 0 2)",
            "(0 0, 4 0, 4 4, 0 4, 0 0), (1 2, 2 1, 2 3, 1 2), (2 3, 3 2, 3 3.5, 2 3)",
        ] {
            assert!(judged(&format!("POLYGON ({rings})")).is_ok(), "{rings}");
        }
        let nested = "(0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 8 1, 8 8, 1 8, 1 1), (2 2, 3 2, 3 3, 2 2)";
        assert_eq!(judged(&format!("POLYGON ({nested})")), Err(Fault::Crossing));
    }

    #[test]
    fn parts_of_a_multipolygon_lie_apart_or_in_holes() {
        let apart = "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))";
        assert_eq!(judged(apart).as_deref(), Ok(apart));
        let corner = "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((1 1, 2 1, 2 2, 1 1)))";
        assert!(judged(corner).is_ok());
        let island = "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 8 1, 8 8, 1 8, 1 1)), ((2 2, 3 2, 3 3, 2 2)))";
        assert!(judged(island).is_ok());
        for wrong in [
            "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0)), ((2 2, 3 2, 3 3, 2 2)))",
            "MULTIPOLYGON (((2 2, 3 2, 3 3, 2 2)), ((0 0, 9 0, 9 9, 0 9, 0 0)))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((0 0, 1 1, 0 1, 0 0)))",
            "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((3 1, 6 1, 6 2, 3 1)))",
        ] {
            assert_eq!(judged(wrong), Err(Fault::Crossing), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_boundary_is_refused_by_its_fault() {
        for (text, fault) in [
            ("", Fault::NotPolygon),
            ("POINT (1 2)", Fault::NotPolygon),
            ("POLYGON EMPTY", Fault::NotPolygon),
            ("POLYGON ()", Fault::NotPolygon),
            ("POLYGON ((0 0, 1 1", Fault::NotPolygon),
            ("POLYGON ((0 0, x 1, 1 1, 0 0))", Fault::NotPolygon),
            ("POLYGON ((0 0, 1 1, 1 0, 0 0)) x", Fault::NotPolygon),
            ("POLYGON ((0, 1 1, 1 0, 0))", Fault::NotPolygon),
            ("POLYGON ((0 0 0 0 0, 1 1, 1 0, 0 0))", Fault::NotPolygon),
            ("POLYGON ((0 0, 1 0, 1 1, 0 1))", Fault::Open),
            ("POLYGON ((0 0, 1 1, 0 0))", Fault::Short),
            ("POLYGON ((0 0, 1 1, 1 1, 0 0))", Fault::Short),
            ("POLYGON ((0 0, 1e-9 0, 0 1e-9, 0 0))", Fault::Short),
            ("POLYGON ((0 0, nan 0, 0 1, 0 0))", Fault::Range),
            ("POLYGON ((34 117, 35 117, 35 118, 34 117))", Fault::Range),
            ("POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", Fault::Crossing),
            // a spike, and a ring that meets itself in a corner
            ("POLYGON ((0 0, 4 0, 4 4, 2 4, 2 6, 2 4, 0 4, 0 0))", Fault::Crossing),
            ("POLYGON ((0 0, 2 0, 1 1, 2 2, 0 2, 1 1, 0 0))", Fault::Crossing),
        ] {
            assert_eq!(judged(text), Err(fault), "{text}");
        }
        let many = "0 0, ".repeat(MOST_POINTS + 1);
        assert_eq!(judged(&format!("POLYGON (({many}0 0))")), Err(Fault::Large));
    }

    #[test]
    fn other_systems_become_stored_degrees() {
        let shifted = boundary(
            "POLYGON ((116.404 39.915, 116.41 39.915, 116.41 39.92, 116.404 39.915))",
            Crs::Gcj02,
        )
        .expect("a boundary");
        let corner = first_corner(&shifted);
        let expected = Crs::Gcj02.to_wgs84(116.404, 39.915);
        assert!((corner.0 - expected.0).abs() < 1e-7 && (corner.1 - expected.1).abs() < 1e-7);
        // some five hundred metres
        assert!((corner.0 - 116.404).abs() > 0.003);

        let metres =
            "POLYGON ((640412.315037 3457455.488582, 640512 3457455, 640512 3457555, 640412.315037 3457455.488582))";
        let grid = Crs::parse("EPSG:4549").expect("a grid");
        let degrees = boundary(metres, grid).expect("a boundary");
        assert!(degrees.starts_with("POLYGON ((121.4737 31.2304, 121.47"), "{degrees}");
        assert_eq!(boundary(metres, Crs::Wgs84), Err(Fault::Range));
    }

    #[test]
    fn an_area_holds_what_lies_in_it_and_not_in_its_holes() {
        let text = "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 3 6, 6 6, 6 3, 3 3)), ((20 0, 21 0, 21 1, 20 0)))";
        let area = Area::read(text).expect("an area");
        for (point, inside) in [
            ((1.0, 1.0), true),
            ((4.0, 4.0), false),
            ((20.9, 0.5), true),
            ((20.1, 0.9), false),
            ((f64::NAN, 1.0), false),
        ] {
            assert_eq!(area.holds(point), inside, "{point:?}");
        }
        assert!(Area::read("POINT (1 1)").is_none());
    }

    fn first_corner(text: &str) -> Position {
        let (_, area) = read(text).expect("a polygon");
        area[0][0][0]
    }

    #[test]
    fn a_point_inside_avoids_holes_and_small_parts() {
        let ring = "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 8 1, 8 8, 1 8, 1 1))";
        let (x, y) = interior(ring).expect("a point");
        assert!(!(1.0..=8.0).contains(&x) && (1.0..8.0).contains(&y), "{x} {y}");
        let (x, _) = interior("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((500000 0, 500900 0, 500900 900, 500000 0)))")
            .expect("a point");
        assert!(x > 500_000.0);
        assert_eq!(interior("POLYGON ((0 0, 1 0, 2 0, 0 0))"), None);
        assert_eq!(interior("POINT (1 2)"), None);
    }

    /// Numbers that look random and are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    #[test]
    fn what_is_accepted_is_valid_for_an_independent_check() {
        let (mut dice, mut accepted) = (Dice(7), 0);
        for _ in 0..20_000 {
            let mut polygons = Vec::new();
            for _ in 0..=dice.below(2) {
                let mut rings = Vec::new();
                for _ in 0..=dice.below(2) {
                    let mut corners = Vec::new();
                    for _ in 0..3 + dice.below(2) {
                        corners.push(format!("{} {}", dice.below(7), dice.below(7)));
                    }
                    corners.push(corners[0].clone());
                    rings.push(format!("({})", corners.join(", ")));
                }
                polygons.push(format!("({})", rings.join(", ")));
            }
            let text = format!("MULTIPOLYGON ({})", polygons.join(", "));
            let Ok(stored) = judged(&text) else { continue };
            accepted += 1;
            let (_, area) = read(&stored).expect("what was written");
            let geometry: Vec<geo::Polygon> = area
                .into_iter()
                .map(|mut rings| {
                    let shell = LineString::from(rings.remove(0));
                    geo::Polygon::new(shell, rings.into_iter().map(LineString::from).collect())
                })
                .collect();
            assert!(MultiPolygon::new(geometry).is_valid(), "{text}");
            assert!(interior(&stored).is_some(), "{text}");
        }
        assert!(accepted > 1_000, "{accepted}");
    }

    #[test]
    fn junk_is_refused_and_nothing_worse() {
        let mut dice = Dice(1);
        let marks: Vec<char> = "POLYGONMULTI((()),,.  0123456789-eEZ\u{4e2d}\n".chars().collect();
        let whole = "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1, 1 0.5)), ((7 7, 8 7, 8 8, 7 7)))";
        for _ in 0..20_000 {
            let mut text: Vec<char> = whole.chars().collect();
            for _ in 0..=dice.below(4) {
                let at = usize::try_from(dice.below(text.len() as u64)).expect("an index");
                let mark = usize::try_from(dice.below(marks.len() as u64)).expect("an index");
                if dice.below(4) == 0 {
                    text.truncate(at + 1);
                }
                text[at] = marks[mark];
            }
            let text: String = text.into_iter().collect();
            let _ = (judged(&text), interior(&text));
        }
        for text in ["((((", "POLYGON ((1e308 1e308, -1e308 1e308, 0 -1e308, 1e308 1e308))"] {
            assert!(judged(text).is_err());
            let _ = interior(text);
        }
    }
}
