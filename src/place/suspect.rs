//! Whether the positions of a batch, as a whole, are what its contract declares.
//!
//! One position cannot show a wrong reference system: every number inside the city is a place. A
//! batch can. [`Suspect`] counts swapped, zero and outside positions and compares a sample with the
//! places of earlier batches, read as each of the three systems that are mistaken for one another.
//! [`degrees`] reads the spellings of one coordinate. Nothing here corrects a position or chooses a
//! system: the findings are for a person, and the contract declares.

use std::collections::HashSet;
use std::sync::Arc;

use super::cell::cell;
use super::crs::Crs;

/// Resolution of the cells a reference holds.
///
/// The mistaken systems lie 490 to 1300 m apart around Xuzhou, several cells of this resolution (130 m
/// from centre to centre), so a shifted point is never in its own cell and is in a known one only by
/// chance. At resolution 9 that chance is too high in a dense town.
pub const REFERENCE_RESOLUTION: u8 = 10;

/// A position nearer to 0, 0 than this on both axes is a missing one. Not only exact zeros: a system
/// upstream that "converts" 0, 0 to BD-09 writes 0.0065, 0.006.
const NULL_ISLAND: f64 = 0.01;

/// Points compared with the reference without a gap, and the step from then on.
const SAMPLE_ALL: u64 = 2000;
const SAMPLE_STEP: u64 = 50;

/// A clean source has a few unlocated rows; more than one in a hundred is a fault of the export.
const SWAPPED_SHARE: f64 = 0.01;
const ZERO_SHARE: f64 = 0.01;
/// Calls from beyond the city border are real, a fifth of a batch is not.
const OUTSIDE_SHARE: f64 = 0.2;

/// With fewer compared points the standard error of a share of one half exceeds 0.035.
const MIN_SAMPLED: u64 = 200;
/// Read as the true system, half of the compared points or more must lie in known cells.
const KNOWN_SHARE: f64 = 0.5;
/// And twice as many as read as the declared system.
///
/// Why this separates: in a model of one city and five county towns (32 000 addresses on streets,
/// demand as 1/rank, 10 m of noise) the shares in known cells, read rightly and read wrongly, are
///
/// | reference made of | rightly | wrongly | res 9 rightly | res 9 wrongly |
/// |-------------------|---------|---------|---------------|---------------|
/// | 2 000 positions   | 0.42    | 0.03    | 0.52          | 0.18          |
/// | 10 000            | 0.66    | 0.10    | 0.81          | 0.52          |
/// | 50 000            | 0.86    | 0.27    | 0.96          | 0.79          |
/// | 200 000           | 0.96    | 0.45    | 0.99          | 0.87          |
///
/// A wrong reading hits by chance, as often as the reference covers the town; a right one hits
/// because places repeat. In a clean batch the declared reading is the right one, so another reaches
/// half of it at most and twice of it never. In a shifted batch the true reading is 2.1 to 14 times
/// the declared one, least where the reference covers the whole town; a window of some ten thousand
/// positions serves better than all history. Where the reference is too thin or too dense the rule
/// stays silent. It errs where the reference itself was shifted, so that must come from checked
/// batches.
const FACTOR: f64 = 2.0;

/// The readings compared; CGCS2000 is WGS-84 here.
const READINGS: [Crs; 3] = [Crs::Wgs84, Crs::Gcj02, Crs::Bd09];

/// What is wrong with the positions of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// Positions that lie inside the bounds once their axes are exchanged.
    Swapped {
        /// Of all positions.
        share: f64,
    },
    /// Positions at or next to 0, 0: missing ones.
    Zero {
        /// Of all positions.
        share: f64,
    },
    /// Positions outside the bounds, neither swapped nor zero.
    Outside {
        /// Of all positions.
        share: f64,
    },
    /// Positions that meet the places of earlier batches when read as another system.
    Shifted {
        /// The system that fits.
        towards: Crs,
        /// In known cells as declared, of the compared positions.
        share_declared: f64,
        /// In known cells as the system that fits.
        share_other: f64,
    },
}

impl Finding {
    /// The finding as tables hold it: its kind and shares.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Finding::Swapped { share } => format!("swapped {share:.3}"),
            Finding::Zero { share } => format!("zero {share:.3}"),
            Finding::Outside { share } => format!("outside {share:.3}"),
            Finding::Shifted {
                towards,
                share_declared,
                share_other,
            } => format!("shifted {towards} {share_declared:.3} {share_other:.3}"),
        }
    }
}

/// What the positions of a batch look like; grows point by point, and workers' parts are merged.
#[derive(Debug, Clone)]
pub struct Suspect {
    bounds: [f64; 4],
    declared: Crs,
    reference: Option<Arc<HashSet<i64>>>,
    total: u64,
    zero: u64,
    swapped: u64,
    outside: u64,
    inside: u64,
    /// Neither zero nor swapped: what the sample is drawn from.
    candidates: u64,
    sampled: u64,
    /// Of the sampled, in known cells as declared, and as each of the readings.
    known_declared: u64,
    known: [u64; 3],
}

impl Suspect {
    /// An empty accumulator.
    ///
    /// `bounds` are west, south, east, north in WGS-84 degrees, without them the whole earth;
    /// `reference` are cells of [`REFERENCE_RESOLUTION`] known from earlier batches, without which
    /// no shift is sought.
    #[must_use]
    pub fn new(bounds: Option<[f64; 4]>, declared: Crs, reference: Option<Arc<HashSet<i64>>>) -> Self {
        Self {
            bounds: bounds.unwrap_or([-180.0, -90.0, 180.0, 90.0]),
            declared,
            reference,
            total: 0,
            zero: 0,
            swapped: 0,
            outside: 0,
            inside: 0,
            candidates: 0,
            sampled: 0,
            known_declared: 0,
            known: [0; 3],
        }
    }

    /// Counts one position as delivered, in the units of the declared system.
    pub fn see(&mut self, x: f64, y: f64) {
        self.total += 1;
        if x.abs() < NULL_ISLAND && y.abs() < NULL_ISLAND {
            self.zero += 1;
            return;
        }
        let place = self.declared.to_wgs84(x, y);
        if self.contains(place) {
            self.inside += 1;
        } else if self.contains(self.declared.to_wgs84(y, x)) {
            // exchanged axes say nothing about the datum
            self.swapped += 1;
            return;
        } else {
            self.outside += 1;
        }
        self.candidates += 1;
        if self.candidates <= SAMPLE_ALL || self.candidates.is_multiple_of(SAMPLE_STEP) {
            self.compare(x, y, place);
        }
    }

    /// Adds what another worker saw of the same batch; the order of merging does not matter.
    ///
    /// Each worker samples its own part, so more points are compared with more workers. Both must
    /// have been made with the same bounds, system and reference.
    pub fn merge(&mut self, other: &Suspect) {
        self.total += other.total;
        self.zero += other.zero;
        self.swapped += other.swapped;
        self.outside += other.outside;
        self.inside += other.inside;
        self.candidates += other.candidates;
        self.sampled += other.sampled;
        self.known_declared += other.known_declared;
        for (known, more) in self.known.iter_mut().zip(other.known) {
            *known += more;
        }
    }

    /// What is wrong, most certain first; empty for a batch without a finding.
    #[must_use]
    pub fn verdict(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let swapped = share(self.swapped, self.total);
        if swapped > SWAPPED_SHARE {
            findings.push(Finding::Swapped { share: swapped });
        }
        let zero = share(self.zero, self.total);
        if zero > ZERO_SHARE {
            findings.push(Finding::Zero { share: zero });
        }
        let outside = share(self.outside, self.total);
        if outside > OUTSIDE_SHARE {
            findings.push(Finding::Outside { share: outside });
        }
        findings.extend(self.shifted());
        findings
    }

    fn shifted(&self) -> Option<Finding> {
        if self.sampled < MIN_SAMPLED {
            return None;
        }
        let (towards, known) = READINGS
            .into_iter()
            .zip(self.known)
            .filter(|(reading, _)| *reading != self.declared)
            .max_by_key(|(_, known)| *known)?;
        let share_declared = share(self.known_declared, self.sampled);
        let share_other = share(known, self.sampled);
        (share_other >= KNOWN_SHARE && share_other >= FACTOR * share_declared).then_some(Finding::Shifted {
            towards,
            share_declared,
            share_other,
        })
    }

    /// Looks a point up under every reading; one that no reading puts inside the bounds is no
    /// evidence for any of them.
    fn compare(&mut self, x: f64, y: f64, declared: (f64, f64)) {
        let Some(reference) = self.reference.as_deref() else {
            return;
        };
        let readings = READINGS.map(|crs| crs.to_wgs84(x, y));
        if !self.contains(declared) && !readings.iter().any(|place| self.contains(*place)) {
            return;
        }
        let known =
            |(lon, lat): (f64, f64)| cell(lon, lat, REFERENCE_RESOLUTION).is_some_and(|cell| reference.contains(&cell));
        self.sampled += 1;
        self.known_declared += u64::from(known(declared));
        for (count, place) in self.known.iter_mut().zip(readings) {
            *count += u64::from(known(place));
        }
    }

    fn contains(&self, (lon, lat): (f64, f64)) -> bool {
        let [west, south, east, north] = self.bounds;
        (west..=east).contains(&lon) && (south..=north).contains(&lat)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Longer texts are no coordinate, but a sentence with numbers.
const LONGEST: usize = 64;

/// The degrees a text states: a plain decimal, or degrees, minutes and seconds as the field writes
/// them.
///
/// Hemispheres are a letter or 东经, 西经, 南纬, 北纬, before or after; south and west are negative.
/// Full-width forms are read. `None` for minutes or seconds of 60 or more, a fraction before the
/// last part, a sign beside a hemisphere, a dash alone, and two bare numbers, which may be a pair.
/// Whether the degrees are on earth is the caller's question.
///
/// ```
/// use fenghuo::place::suspect::degrees;
/// assert_eq!(degrees("117.1848"), Some(117.1848));
/// assert_eq!(degrees("东经117度30分"), Some(117.5));
/// assert_eq!(degrees("34°61′"), None);
/// ```
#[must_use]
pub fn degrees(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.parse::<f64>() {
        // "nan" and "inf" parse, but no source means them
        Ok(number) => number.is_finite().then_some(number),
        Err(_) if text.len() <= LONGEST => written(text),
        Err(_) => None,
    }
}

fn written(text: &str) -> Option<f64> {
    let text: Vec<char> = text.chars().map(plain).collect();
    let mut angle = Angle::default();
    let mut rest = text.as_slice();
    while let [first, after @ ..] = rest {
        let length = match (*first, after.first()) {
            ('0'..='9' | '.', _) => angle.number(rest)?,
            ('°' | 'º' | '˚' | '度' | 'd' | 'D', _) => angle.mark(0, 1)?,
            ('\'', Some('\'')) => angle.mark(2, 2)?,
            ('\'' | '分', _) => angle.mark(1, 1)?,
            ('"' | '秒', _) => angle.mark(2, 1)?,
            ('东', Some('经')) | ('北', Some('纬')) => angle.side(1.0, 2)?,
            ('西', Some('经')) | ('南', Some('纬')) => angle.side(-1.0, 2)?,
            ('E' | 'e' | 'N' | 'n' | '东' | '北', _) => angle.side(1.0, 1)?,
            ('W' | 'w' | 'S' | 's' | '西' | '南', _) => angle.side(-1.0, 1)?,
            ('-', _) => angle.sign(-1.0)?,
            ('+', _) => angle.sign(1.0)?,
            (':', _) => 1,
            (blank, _) if blank.is_whitespace() => 1,
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    angle.value()
}

/// The ordinary form of a full-width character, and one form of every minus and quotation mark.
fn plain(c: char) -> char {
    match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '−' => '-',
        '′' | '’' | '‘' | '´' | 'ʹ' => '\'',
        '″' | '”' | '“' | 'ʺ' | '〞' => '"',
        other => other,
    }
}

/// The parts of an angle read so far. Its methods give the characters consumed, `None` where the
/// part cannot stand here.
#[derive(Default)]
struct Angle {
    parts: [f64; 3],
    count: usize,
    marked: [bool; 3],
    /// A number with a fraction is the last one.
    fraction: bool,
    /// A hemisphere behind a number ends the text.
    closed: bool,
    sign: Option<f64>,
    side: Option<f64>,
}

impl Angle {
    fn number(&mut self, rest: &[char]) -> Option<usize> {
        let digits: String = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        if self.fraction || self.closed {
            return None;
        }
        *self.parts.get_mut(self.count)? = digits.parse().ok()?;
        self.count += 1;
        self.fraction = digits.contains('.');
        Some(digits.len())
    }

    /// A mark belongs to the number before it.
    fn mark(&mut self, part: usize, length: usize) -> Option<usize> {
        let marked = self.marked.get_mut(part)?;
        if self.count != part + 1 || *marked || self.closed {
            return None;
        }
        *marked = true;
        Some(length)
    }

    fn side(&mut self, side: f64, length: usize) -> Option<usize> {
        if self.side.is_some() || self.sign.is_some() {
            return None;
        }
        self.side = Some(side);
        self.closed = self.count > 0;
        Some(length)
    }

    fn sign(&mut self, sign: f64) -> Option<usize> {
        if self.count > 0 || self.side.is_some() || self.sign.is_some() {
            return None;
        }
        self.sign = Some(sign);
        Some(1)
    }

    fn value(&self) -> Option<f64> {
        let [degrees, minutes, seconds] = self.parts;
        let pair = self.count == 2 && self.side.is_none() && self.marked == [false; 3];
        if self.count == 0 || pair || minutes >= 60.0 || seconds >= 60.0 {
            return None;
        }
        let size = degrees + minutes / 60.0 + seconds / 3600.0;
        Some(size * self.side.or(self.sign).unwrap_or(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::crs::{gcj02_to_bd09, wgs84_to_gcj02};
    use super::super::project::Projection;
    use super::*;

    const BOUNDS: [f64; 4] = [116.3, 33.7, 118.7, 35.0];
    const NOTHING: [Finding; 0] = [];

    /// Points all over Xuzhou without a pattern that a cell could follow.
    fn places(count: u32) -> Vec<(f64, f64)> {
        (0..count)
            .map(|i| {
                let i = f64::from(i);
                (
                    116.5 + 2.0 * (i * 0.618_033_988_75).fract(),
                    33.8 + (i * 0.754_877_666_25).fract(),
                )
            })
            .collect()
    }

    fn reference(places: &[(f64, f64)]) -> Option<Arc<HashSet<i64>>> {
        let cells = places
            .iter()
            .map(|(lon, lat)| cell(*lon, *lat, REFERENCE_RESOLUTION).unwrap())
            .collect();
        Some(Arc::new(cells))
    }

    fn wgs84_to_bd09((lon, lat): (f64, f64)) -> (f64, f64) {
        let (lon, lat) = wgs84_to_gcj02(lon, lat);
        gcj02_to_bd09(lon, lat)
    }

    fn seen(mut suspect: Suspect, points: impl IntoIterator<Item = (f64, f64)>) -> Suspect {
        for (x, y) in points {
            suspect.see(x, y);
        }
        suspect
    }

    fn plain_batch(points: impl IntoIterator<Item = (f64, f64)>) -> Suspect {
        seen(Suspect::new(Some(BOUNDS), Crs::Wgs84, None), points)
    }

    #[test]
    fn a_clean_batch_has_no_finding_in_any_system() {
        let places = places(1000);
        for (declared, points) in [
            (Crs::Wgs84, places.clone()),
            (Crs::Cgcs2000, places.clone()),
            (Crs::Gcj02, places.iter().map(|p| wgs84_to_gcj02(p.0, p.1)).collect()),
            (Crs::Bd09, places.iter().map(|p| wgs84_to_bd09(*p)).collect()),
        ] {
            let suspect = seen(Suspect::new(Some(BOUNDS), declared, reference(&places)), points);
            assert_eq!(suspect.verdict(), NOTHING, "{declared}");
            assert_eq!((suspect.inside, suspect.sampled), (1000, 1000), "{declared}");
            assert!(suspect.known_declared > 980, "{declared}");
        }
        assert_eq!(Suspect::new(None, Crs::Wgs84, None).verdict(), NOTHING);
    }

    #[test]
    fn every_swapped_point_of_xuzhou_is_found() {
        let suspect = plain_batch(places(1000).into_iter().map(|(lon, lat)| (lat, lon)));
        assert_eq!(suspect.verdict(), [Finding::Swapped { share: 1.0 }]);
        // without bounds a latitude of 117 is enough
        let points = places(100).into_iter().map(|(lon, lat)| (lat, lon));
        let suspect = seen(Suspect::new(None, Crs::Bd09, None), points);
        assert_eq!(suspect.verdict(), [Finding::Swapped { share: 1.0 }]);
    }

    #[test]
    fn swapped_metres_are_found() {
        for code in [4527, 4548] {
            let grid = Projection::from_epsg(code).unwrap();
            let points = places(100).into_iter().enumerate().map(|(i, (lon, lat))| {
                let (easting, northing) = grid.forward(lon, lat).unwrap();
                if i % 4 == 0 {
                    (northing, easting)
                } else {
                    (easting, northing)
                }
            });
            let suspect = seen(Suspect::new(Some(BOUNDS), Crs::Projected(grid, code), None), points);
            assert_eq!(suspect.verdict(), [Finding::Swapped { share: 0.25 }]);
            assert_eq!(suspect.inside, 75);
        }
    }

    #[test]
    fn zeros_and_what_conversions_make_of_them_are_missing_positions() {
        let mut points = places(96);
        points.extend([(0.0, 0.0), (-0.0, 1e-9), (0.0065, 0.006), (-0.0099, 0.0099)]);
        assert_eq!(plain_batch(points).verdict(), [Finding::Zero { share: 0.04 }]);
    }

    #[test]
    fn round_numbers_inside_the_city_are_positions() {
        let points = (0..50).map(|i| (117.0 + f64::from(i % 10) / 10.0, 34.0 + f64::from(i / 10) / 5.0));
        assert_eq!(plain_batch(points).verdict(), NOTHING);
        assert_eq!(plain_batch([(117.0, 34.0), (117.0, 0.0)]).outside, 1);
    }

    #[test]
    fn shares_at_the_thresholds_are_no_finding_and_beyond_them_are() {
        let batch = |wrong: (f64, f64), count: usize| {
            let good = places(100).into_iter().skip(count);
            plain_batch(good.chain(std::iter::repeat_n(wrong, count))).verdict()
        };
        assert_eq!(batch((0.0, 0.0), 1), NOTHING);
        assert_eq!(batch((0.0, 0.0), 2), [Finding::Zero { share: 0.02 }]);
        assert_eq!(batch((34.26, 117.18), 1), NOTHING);
        assert_eq!(batch((34.26, 117.18), 2), [Finding::Swapped { share: 0.02 }]);
        assert_eq!(batch((121.47, 31.23), 20), NOTHING);
        assert_eq!(batch((121.47, 31.23), 21), [Finding::Outside { share: 0.21 }]);
        assert_eq!(batch((f64::NAN, 34.0), 21), [Finding::Outside { share: 0.21 }]);
        assert_eq!(batch((517_021.2, 3_792_716.1), 21), [Finding::Outside { share: 0.21 }]);
    }

    #[test]
    fn numbers_of_another_system_are_found_against_the_reference() {
        let places = places(1000);
        let gcj02: Vec<_> = places.iter().map(|p| wgs84_to_gcj02(p.0, p.1)).collect();
        let bd09: Vec<_> = places.iter().map(|p| wgs84_to_bd09(*p)).collect();
        for (declared, truth, points) in [
            (Crs::Wgs84, Crs::Gcj02, &gcj02),
            (Crs::Cgcs2000, Crs::Bd09, &bd09),
            (Crs::Gcj02, Crs::Bd09, &bd09),
            (Crs::Gcj02, Crs::Wgs84, &places),
            (Crs::Bd09, Crs::Gcj02, &gcj02),
        ] {
            let suspect = seen(
                Suspect::new(Some(BOUNDS), declared, reference(&places)),
                points.iter().copied(),
            );
            let verdict = suspect.verdict();
            let [
                Finding::Shifted {
                    towards,
                    share_declared,
                    share_other,
                },
            ] = verdict.as_slice()
            else {
                panic!("{declared}: {verdict:?}");
            };
            assert_eq!(*towards, truth, "{declared}");
            assert!(*share_other > 0.98 && *share_declared < 0.05, "{declared}: {verdict:?}");
        }
    }

    #[test]
    fn degrees_under_a_metre_grid_point_to_the_system_they_are_in() {
        let places = places(300);
        let crs = Crs::from_epsg(4528).unwrap();
        let suspect = seen(Suspect::new(Some(BOUNDS), crs, reference(&places)), places);
        let verdict = suspect.verdict();
        assert_eq!(verdict.first(), Some(&Finding::Outside { share: 1.0 }));
        assert_eq!(
            verdict.last(),
            Some(&Finding::Shifted {
                towards: Crs::Wgs84,
                share_declared: 0.0,
                share_other: 1.0
            })
        );
    }

    #[test]
    fn few_points_or_few_known_places_are_no_evidence_of_a_shift() {
        let places = places(1000);
        let gcj02: Vec<_> = places.iter().map(|p| wgs84_to_gcj02(p.0, p.1)).collect();
        let declared = |reference| Suspect::new(Some(BOUNDS), Crs::Wgs84, reference);
        let few = seen(declared(reference(&places)), gcj02.iter().copied().take(199));
        assert_eq!((few.verdict(), few.sampled), (vec![], 199));
        let thin = seen(declared(reference(&places[..450])), gcj02.iter().copied());
        assert_eq!(thin.verdict(), NOTHING);
        assert_eq!(seen(declared(None), gcj02).verdict(), NOTHING);
    }

    #[test]
    fn the_sample_is_bounded_and_starts_without_a_gap() {
        let places = places(100);
        let points = places.iter().copied().cycle().take(12_000);
        let suspect = seen(Suspect::new(Some(BOUNDS), Crs::Wgs84, reference(&places)), points);
        assert_eq!((suspect.total, suspect.sampled), (12_000, 2200));
    }

    #[test]
    fn the_order_of_merging_does_not_matter() {
        let places = places(900);
        let empty = || Suspect::new(Some(BOUNDS), Crs::Wgs84, reference(&places));
        let parts = [
            seen(empty(), places[..300].iter().map(|p| wgs84_to_gcj02(p.0, p.1))),
            seen(empty(), places[300..600].iter().map(|p| (p.1, p.0))),
            seen(empty(), std::iter::repeat_n((0.0, 0.0), 300)),
        ];
        let [a, b, c] = &parts;
        let mut left = a.clone();
        left.merge(b);
        left.merge(c);
        let mut tail = c.clone();
        tail.merge(b);
        let mut right = empty();
        right.merge(&tail);
        right.merge(a);
        assert_eq!(left.verdict(), right.verdict());
        assert_eq!(left.verdict().len(), 3);
        assert_eq!((left.total, left.inside, left.swapped, left.zero), (900, 300, 300, 300));
    }

    fn near(text: &str, expected: f64) {
        let found = degrees(text);
        assert!(
            found.is_some_and(|found| (found - expected).abs() < 1e-9),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn decimals_are_read_as_they_are() {
        for (text, expected) in [
            ("117.184811", 117.184_811),
            (" 117 ", 117.0),
            ("-34.5", -34.5),
            ("+34.5", 34.5),
            ("117.", 117.0),
            ("0", 0.0),
            ("１１７．１８４８", 117.1848),
            ("－３４．５", -34.5),
            ("−34.5", -34.5),
            ("117.18°", 117.18),
            ("E117.18", 117.18),
            ("34.26°N", 34.26),
            ("南纬33.87度", -33.87),
            ("150.5 w", -150.5),
        ] {
            near(text, expected);
        }
    }

    #[test]
    fn degrees_minutes_and_seconds_are_read_as_the_field_writes_them() {
        let angle = 117.0 + 11.0 / 60.0 + 5.0 / 3600.0;
        for text in [
            "117°11′5″",
            "117°11'05\"",
            "117°11'05''E",
            "117° 11' 5.0\" E",
            "117 11 05 E",
            "117 11 05",
            "117:11:05",
            "E117°11′05″",
            "东经117度11分5秒",
            "117度11分5秒东",
            "东经 117°11’05”",
            "１１７°１１′０５″",
            "１１７度１１分５秒",
            "117d11'05\"E",
        ] {
            near(text, angle);
        }
        near("117°11'05.3\"E", 117.0 + 11.0 / 60.0 + 5.3 / 3600.0);
        near("117°11.5′", 117.0 + 11.5 / 60.0);
        near("34°15′N", 34.25);
        near("E 117 30", 117.5);
        near("-33°30′", -33.5);
        near("33°30′S", -33.5);
        near("南纬33度30分", -33.5);
        near("西经70度30分36秒", -70.51);
        near("117°59′59.99″", 117.0 + 59.0 / 60.0 + 59.99 / 3600.0);
        near("-0°30′", -0.5);
    }

    #[test]
    fn what_is_no_angle_gives_none() {
        for text in [
            "",
            " ",
            "-",
            "—",
            "——",
            "+",
            ".",
            "null",
            "nan",
            "inf",
            "-inf",
            "无",
            "°",
            "E",
            "东经",
            "117°60′",
            "117°61′00″",
            "117°11′60″",
            "117°11′5″E E",
            "E117°11′5″E",
            "-117°11′5″E",
            "117-11-05",
            "117.5°11′",
            "117°11.5′05″",
            "117°11′05″30",
            "117 11 05 30",
            "117°5″",
            "117′",
            "117°°",
            "117 E 11",
            "117E°",
            "东纬117",
            "117.18 34.26",
            "117 34",
            "117.18,34.26",
            "1.2.3",
            "徐州市117号",
            "--117",
        ] {
            assert_eq!(degrees(text), None, "{text}");
        }
        let long = format!("117{}°", " ".repeat(80));
        assert_eq!(degrees(&long), None);
    }
}
