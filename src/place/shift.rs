//! The offsets of the two shifted map systems, as published by no one.
//!
//! GCJ-02 has no public standard text. The formulas are the widely reproduced ones (Krasovsky
//! ellipsoid, as in eviltransform, coordtransform and hutool). No inverse and no bounds here: `crs`
//! has them, and the vectors.

use std::f64::consts::PI;

/// Semi-major axis of the Krasovsky 1940 ellipsoid, metres.
const SEMI_MAJOR: f64 = 6_378_245.0;
/// First eccentricity squared of the same ellipsoid.
const ECCENTRICITY_SQUARED: f64 = 0.006_693_421_622_965_943;
/// BD-09 wobbles with this many radians a degree.
const BAIDU_RATE: f64 = PI * 3000.0 / 180.0;
const BAIDU_LON_SHIFT: f64 = 0.0065;
const BAIDU_LAT_SHIFT: f64 = 0.006;

/// The GCJ-02 offset at a WGS-84 point, degrees.
pub(super) fn gcj02_shift(lon: f64, lat: f64) -> (f64, f64) {
    let (x, y) = (lon - 105.0, lat - 35.0);
    let (metres_east, metres_north) = (metres_east(x, y), metres_north(x, y));
    let radians = lat / 180.0 * PI;
    let sine = radians.sin();
    let w = 1.0 - ECCENTRICITY_SQUARED * sine * sine;
    let root = w.sqrt();
    let meridian = SEMI_MAJOR * (1.0 - ECCENTRICITY_SQUARED) / (w * root);
    let parallel = SEMI_MAJOR / root * radians.cos();
    (
        metres_east * 180.0 / (parallel * PI),
        metres_north * 180.0 / (meridian * PI),
    )
}

fn metres_east(x: f64, y: f64) -> f64 {
    let polynomial = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * x.abs().sqrt();
    let waves = 20.0 * (6.0 * x * PI).sin()
        + 20.0 * (2.0 * x * PI).sin()
        + 20.0 * (x * PI).sin()
        + 40.0 * (x / 3.0 * PI).sin()
        + 150.0 * (x / 12.0 * PI).sin()
        + 300.0 * (x / 30.0 * PI).sin();
    polynomial + waves * 2.0 / 3.0
}

fn metres_north(x: f64, y: f64) -> f64 {
    let polynomial = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * x.abs().sqrt();
    let waves = 20.0 * (6.0 * x * PI).sin()
        + 20.0 * (2.0 * x * PI).sin()
        + 20.0 * (y * PI).sin()
        + 40.0 * (y / 3.0 * PI).sin()
        + 160.0 * (y / 12.0 * PI).sin()
        + 320.0 * (y / 30.0 * PI).sin();
    polynomial + waves * 2.0 / 3.0
}

/// The BD-09 offset at a GCJ-02 point, degrees.
pub(super) fn bd09_shift(lon: f64, lat: f64) -> (f64, f64) {
    let radius = lon.hypot(lat) + 0.000_02 * (lat * BAIDU_RATE).sin();
    let angle = lat.atan2(lon) + 0.000_003 * (lon * BAIDU_RATE).cos();
    (
        radius * angle.cos() + BAIDU_LON_SHIFT - lon,
        radius * angle.sin() + BAIDU_LAT_SHIFT - lat,
    )
}
