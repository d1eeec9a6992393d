//! Reference systems of Chinese map data and the ways between them.
//!
//! Handles the four longitude/latitude systems a source may declare, and the metre grids of `project`
//! by their EPSG code. It deliberately does not guess a system from the numbers, does not know Baidu's
//! metres (`bd09mc`), and does not distinguish CGCS2000 from WGS-84: they differ by centimetres, far
//! below what an address is worth.
//!
//! The formulas are in `shift`; the tests hold vectors on which independent libraries agree.

use std::fmt;
use std::str::FromStr;

use super::project::Projection;
use super::shift::{bd09_shift, gcj02_shift};

/// The inverses stop when a step moves less than this, degrees; a ten-thousandth of what is
/// promised.
const INVERSE_STEP: f64 = 1e-11;
/// Each step shrinks the error at least a hundredfold, so this is never reached on finite input.
const INVERSE_ROUNDS: usize = 20;

/// What [`Crs::parse`] takes besides names, as messages list it.
const ACCEPTED_CODES: &str = "EPSG:4326, EPSG:4490, EPSG:4491-4554 (CGCS2000 / Gauss-Krüger), \
                              EPSG:32601-32660 and EPSG:32701-32760 (WGS 84 / UTM)";

/// A reference system a source may declare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crs {
    /// GPS, EPSG:4326.
    Wgs84,
    /// The national geodetic system, EPSG:4490; what the lake stores.
    Cgcs2000,
    /// The shifted system of public Chinese maps.
    Gcj02,
    /// Baidu's second shift on top of GCJ-02.
    Bd09,
    /// A metre grid and its EPSG code.
    Projected(Projection, u32),
}

impl Crs {
    /// Every system with a name of its own, in the order in which messages list them.
    pub const ALL: [Crs; 4] = [Crs::Wgs84, Crs::Cgcs2000, Crs::Gcj02, Crs::Bd09];

    /// The name used in contracts; `epsg` for every metre grid, whose full name is its display text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Crs::Wgs84 => "wgs84",
            Crs::Cgcs2000 => "cgcs2000",
            Crs::Gcj02 => "gcj02",
            Crs::Bd09 => "bd09",
            Crs::Projected(..) => "epsg",
        }
    }

    /// The system of a code of the EPSG registry; `None` for a code that is not accepted.
    #[must_use]
    pub fn from_epsg(code: u32) -> Option<Self> {
        match code {
            4326 => Some(Crs::Wgs84),
            4490 => Some(Crs::Cgcs2000),
            _ => Projection::from_epsg(code).map(|grid| Crs::Projected(grid, code)),
        }
    }

    /// Whether positions are (easting, northing) in metres rather than (lon, lat) in degrees.
    #[must_use]
    pub fn is_projected(self) -> bool {
        matches!(self, Crs::Projected(..))
    }

    /// Reads the name used in contracts, or `EPSG:` and a code, in any letter case.
    ///
    /// ```
    /// use fenghuo::place::crs::Crs;
    /// assert_eq!(Crs::parse("epsg:4490"), Ok(Crs::Cgcs2000));
    /// assert!(Crs::parse("EPSG:4528").is_ok_and(Crs::is_projected));
    /// ```
    ///
    /// # Errors
    /// [`UnknownCrs`], whose text lists what is accepted.
    pub fn parse(name: &str) -> Result<Self, UnknownCrs> {
        let wanted = name.trim();
        Self::ALL
            .into_iter()
            .find(|crs| crs.name().eq_ignore_ascii_case(wanted))
            .or_else(|| epsg_code(wanted).and_then(Self::from_epsg))
            .ok_or_else(|| UnknownCrs(name.to_owned()))
    }

    /// What [`Crs::parse`] takes, for messages.
    #[must_use]
    pub fn accepted() -> String {
        format!("{}, {ACCEPTED_CODES}", Self::ALL.map(Crs::name).join(", "))
    }

    /// Converts a point of this system to WGS-84 (and so to CGCS2000), (lon, lat) degrees; (x, y) are
    /// (lon, lat) degrees or, for a metre grid, (easting, northing) metres.
    ///
    /// The inverses of GCJ-02 and BD-09 are within 1e-7 degree (about a centimetre) of exact, those of
    /// a grid within 1e-9. Metres that lie in no place of their grid give two NaN, which no bounds and
    /// not [`on_earth`] contain: a caller treats a result that is not finite as out of range.
    #[must_use]
    pub fn to_wgs84(self, x: f64, y: f64) -> (f64, f64) {
        match self {
            Crs::Wgs84 | Crs::Cgcs2000 => (x, y),
            Crs::Gcj02 => gcj02_to_wgs84(x, y),
            Crs::Bd09 => {
                let (lon, lat) = bd09_to_gcj02(x, y);
                gcj02_to_wgs84(lon, lat)
            }
            Crs::Projected(grid, _) => grid.inverse(x, y).unwrap_or((f64::NAN, f64::NAN)),
        }
    }
}

impl FromStr for Crs {
    type Err = UnknownCrs;

    fn from_str(name: &str) -> Result<Self, UnknownCrs> {
        Self::parse(name)
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crs::Projected(_, code) => write!(f, "EPSG:{code}"),
            named => f.write_str(named.name()),
        }
    }
}

/// The code in `EPSG:4528`.
fn epsg_code(name: &str) -> Option<u32> {
    let (registry, code) = name.split_once(':')?;
    let code = code.trim();
    // a sign would parse as well
    if registry.trim().eq_ignore_ascii_case("epsg") && code.bytes().all(|byte| byte.is_ascii_digit()) {
        code.parse().ok()
    } else {
        None
    }
}

/// A name that is no reference system; its text lists those that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCrs(pub String);

impl fmt::Display for UnknownCrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown reference system \"{}\"; accepted: {}",
            self.0,
            Crs::accepted()
        )
    }
}

impl std::error::Error for UnknownCrs {}

/// Whether (lon, lat) degrees name a point on earth: finite, within ±180 and ±90.
#[must_use]
pub fn on_earth(lon: f64, lat: f64) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}

/// Shifts WGS-84 (lon, lat) degrees to GCJ-02; points outside China's box come back unchanged.
///
/// ```
/// let (lon, lat) = fenghuo::place::crs::wgs84_to_gcj02(116.404, 39.915);
/// assert!((lon - 116.410_244_499).abs() < 1e-9 && (lat - 39.916_404_282).abs() < 1e-9);
/// ```
#[must_use]
pub fn wgs84_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    if !in_china_box(lon, lat) {
        return (lon, lat);
    }
    let (dlon, dlat) = gcj02_shift(lon, lat);
    (lon + dlon, lat + dlat)
}

/// Finds the WGS-84 point that GCJ-02 shifts to (lon, lat), within 1e-7 degree.
///
/// Fixed-point iteration, not the one-step `2p - f(p)` of many libraries, which is metres off.
/// Points outside China's box come back unchanged; within a few hundred metres of the box edge,
/// which lies in neighbouring countries or at sea, the two directions need not agree.
#[must_use]
pub fn gcj02_to_wgs84(lon: f64, lat: f64) -> (f64, f64) {
    if !in_china_box(lon, lat) {
        return (lon, lat);
    }
    fixed_point(lon, lat, gcj02_shift)
}

/// Shifts GCJ-02 (lon, lat) degrees to Baidu's BD-09; points outside China's box come back
/// unchanged.
#[must_use]
pub fn gcj02_to_bd09(lon: f64, lat: f64) -> (f64, f64) {
    if !in_china_box(lon, lat) {
        return (lon, lat);
    }
    let (dlon, dlat) = bd09_shift(lon, lat);
    (lon + dlon, lat + dlat)
}

/// Finds the GCJ-02 point that BD-09 shifts to (lon, lat), within 1e-7 degree; outside the box
/// unchanged.
#[must_use]
pub fn bd09_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    if !in_china_box(lon, lat) {
        return (lon, lat);
    }
    fixed_point(lon, lat, bd09_shift)
}

/// The customary rectangle within which the shifts apply; it also covers parts of the neighbours.
fn in_china_box(lon: f64, lat: f64) -> bool {
    (72.004..=137.8347).contains(&lon) && (0.8293..=55.8271).contains(&lat)
}

/// Solves `p + shift(p) = target` by `p ← target - shift(p)`; the shift changes slowly, so this
/// contracts.
fn fixed_point(lon: f64, lat: f64, shift: impl Fn(f64, f64) -> (f64, f64)) -> (f64, f64) {
    let mut point = (lon, lat);
    for _ in 0..INVERSE_ROUNDS {
        let (dlon, dlat) = shift(point.0, point.1);
        let next = (lon - dlon, lat - dlat);
        let step = (next.0 - point.0).abs().max((next.1 - point.1).abs());
        point = next;
        if step < INVERSE_STEP {
            break;
        }
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: (f64, f64), b: (f64, f64)) -> f64 {
        (a.0 - b.0).abs().max((a.1 - b.1).abs())
    }

    fn wgs84_to_bd09(lon: f64, lat: f64) -> (f64, f64) {
        let (lon, lat) = wgs84_to_gcj02(lon, lat);
        gcj02_to_bd09(lon, lat)
    }

    #[test]
    fn forward_shifts_equal_the_published_vectors() {
        let beijing = (116.404, 39.915);
        assert!(
            apart(
                wgs84_to_gcj02(beijing.0, beijing.1),
                (116.410_244_499_169_38, 39.916_404_281_501_64)
            ) < 1e-9
        );
        assert!(
            apart(
                gcj02_to_bd09(beijing.0, beijing.1),
                (116.410_369_493_710_29, 39.921_336_993_510_21)
            ) < 1e-9
        );
        assert!(
            apart(
                wgs84_to_bd09(beijing.0, beijing.1),
                (116.416_627_243_787_33, 39.922_699_552_216_216)
            ) < 1e-9
        );
        let north = wgs84_to_bd09(122.993_955_97, 44.998_040_71);
        assert!(apart(north, (123.006_365_160_288_85, 45.006_369_091_895_89)) < 1e-9);
        let xuzhou = (117.184_811, 34.261_792);
        assert!(
            apart(
                wgs84_to_gcj02(xuzhou.0, xuzhou.1),
                (117.190_584_398_093_68, 34.260_570_198_327_486)
            ) < 1e-9
        );
        assert!(
            apart(
                wgs84_to_bd09(xuzhou.0, xuzhou.1),
                (117.197_171_222_317_34, 34.266_271_081_182_91)
            ) < 1e-9
        );
        // this library's constants differ in the last digits, hence 1e-7
        let geotool = wgs84_to_gcj02(121.091_707_7, 30.610_777_9);
        assert!(apart(geotool, (121.096_269_355_750_27, 30.608_604_331_756_705)) < 1e-7);
    }

    #[test]
    fn the_defective_longitude_of_an_old_release_is_not_matched() {
        let (lon, _) = wgs84_to_gcj02(116.404, 39.915);
        assert!((lon - 116.410_333_922_165_08).abs() > 1e-5);
    }

    #[test]
    fn one_step_inverses_of_other_libraries_are_near_but_not_equal() {
        // the published inverse vectors are approximations: metres off, so only nearness is asked
        let gcj = gcj02_to_wgs84(116.404, 39.915);
        assert!(apart(gcj, (116.397_755_500_830_61, 39.913_595_718_498_36)) < 1e-4);
        assert!(
            apart(
                bd09_to_gcj02(116.404, 39.915),
                (116.397_627_291_193_15, 39.908_656_739_576_31)
            ) < 1e-5
        );
        let bd = Crs::Bd09.to_wgs84(116.404, 39.915);
        assert!(apart(bd, (116.391_383_699_512_5, 39.907_253_214_522_164)) < 1e-4);
    }

    #[test]
    fn inverses_return_to_the_start_within_1e_7_degree_all_over_the_box() {
        for i in 0..=120 {
            for j in 0..=100 {
                let (lon, lat) = (73.5 + 0.5 * f64::from(i) + 0.013, 2.0 + 0.5 * f64::from(j) + 0.029);
                let (gcj_lon, gcj_lat) = wgs84_to_gcj02(lon, lat);
                assert!(
                    apart(gcj02_to_wgs84(gcj_lon, gcj_lat), (lon, lat)) < 1e-7,
                    "gcj {lon} {lat}"
                );
                let (bd_lon, bd_lat) = gcj02_to_bd09(gcj_lon, gcj_lat);
                assert!(
                    apart(bd09_to_gcj02(bd_lon, bd_lat), (gcj_lon, gcj_lat)) < 1e-7,
                    "bd {lon} {lat}"
                );
                assert!(
                    apart(Crs::Bd09.to_wgs84(bd_lon, bd_lat), (lon, lat)) < 1e-7,
                    "both {lon} {lat}"
                );
            }
        }
    }

    #[test]
    fn points_outside_the_box_and_non_numbers_come_back_unchanged() {
        for point in [(2.35, 48.85), (-122.4, 37.8), (71.9, 40.0), (100.0, 0.8), (138.0, 35.0)] {
            assert_eq!(wgs84_to_gcj02(point.0, point.1), point);
            assert_eq!(Crs::Gcj02.to_wgs84(point.0, point.1), point);
            assert_eq!(Crs::Bd09.to_wgs84(point.0, point.1), point);
        }
        assert!(wgs84_to_gcj02(f64::NAN, 39.0).0.is_nan());
    }

    #[test]
    fn swapped_and_missing_coordinates_are_not_on_earth() {
        assert!(on_earth(117.2, 34.3) && on_earth(-180.0, 90.0));
        assert!(!on_earth(34.3, 117.2) && !on_earth(f64::NAN, 0.0) && !on_earth(f64::INFINITY, 0.0));
    }

    #[test]
    fn names_are_read_in_any_case_and_an_unknown_one_lists_the_accepted() {
        for crs in Crs::ALL {
            assert_eq!(crs.name().to_uppercase().parse::<Crs>(), Ok(crs));
        }
        let text = Crs::parse("wgs 84").map_err(|e| e.to_string());
        assert_eq!(
            text,
            Err(
                "unknown reference system \"wgs 84\"; accepted: wgs84, cgcs2000, gcj02, bd09, \
                 EPSG:4326, EPSG:4490, EPSG:4491-4554 (CGCS2000 / Gauss-Krüger), \
                 EPSG:32601-32660 and EPSG:32701-32760 (WGS 84 / UTM)"
                    .to_owned()
            )
        );
    }

    #[test]
    fn epsg_codes_are_read_and_written() {
        assert_eq!(Crs::parse("epsg:4326"), Ok(Crs::Wgs84));
        assert_eq!(Crs::parse(" EPSG:4490 "), Ok(Crs::Cgcs2000));
        for code in [4491, 4512, 4528, 4554, 32_650, 32_760] {
            let crs = Crs::parse(&format!("Epsg:{code}")).unwrap();
            assert!(crs.is_projected() && crs.name() == "epsg");
            assert_eq!(crs.to_string(), format!("EPSG:{code}"));
            assert_eq!(crs.to_string().parse::<Crs>(), Ok(crs));
        }
        assert!(Crs::ALL.into_iter().all(|crs| !crs.is_projected()));
        for wrong in [
            "epsg",
            "epsg:",
            "epsg:2385",
            "epsg:+4528",
            "epsg:4528.0",
            "4528",
            "esri:4528",
            "epsg:99999999999",
        ] {
            assert_eq!(Crs::parse(wrong), Err(UnknownCrs(wrong.to_owned())));
        }
    }

    #[test]
    fn metres_become_degrees_and_metres_of_nowhere_no_number() {
        let crs = Crs::parse("EPSG:4528").unwrap();
        let xuzhou = crs.to_wgs84(40_240_681.430_237, 3_796_288.935_764);
        assert!(apart(xuzhou, (117.184_811, 34.261_792)) < 1e-9);
        // swapped axes, the zone's number missing, degrees
        for (x, y) in [
            (3_796_288.935_764, 40_240_681.430_237),
            (240_681.430_237, 3_796_288.935_764),
            (117.184_811, 34.261_792),
        ] {
            let (lon, lat) = crs.to_wgs84(x, y);
            assert!(lon.is_nan() && lat.is_nan() && !on_earth(lon, lat), "{x} {y}");
        }
    }
}
