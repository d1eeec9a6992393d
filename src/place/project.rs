//! Metre grids of surveying: transverse Mercator, as Gauss-Krüger zones and as UTM.
//!
//! Handles the grids of CGCS2000 (EPSG:4491-4554) and of WGS-84 (EPSG:32601-32660 and
//! 32701-32760). Coordinates are (easting, northing) in metres, in this order, whatever order of
//! axes the registry gives; an easting of a zone with its number in front keeps that number.
//!
//! It deliberately leaves out the older grids of Xi'an 1980 and Beijing 1954: their datum shifts to
//! WGS-84 are not public, are tens of metres to about 100 m and differ from region to region, so
//! that a conversion could not state its error. Whoever owns such data holds the parameters and
//! delivers CGCS2000. It knows no heights, no Baidu metres (`bd09mc`) and no local grids of cities.
//!
//! The series are Krüger's of 1912 to the fourth power of the third flattening, as printed in
//! Karney, *Transverse Mercator with an accuracy of a few nanometers* (2011); within ten degrees of
//! the central meridian they agree with PROJ to a micrometre.

/// Farthest from the central meridian, degrees. A zone is at most six degrees wide; what lies beyond
/// this is a wrong zone, not a place.
const MAX_OFFSET: f64 = 10.0;
/// The widest latitudes, degrees: UTM ends at 84, and a zone may reach over the equator.
const POLE_SIDE: f64 = 84.0;
const EQUATOR_SIDE: f64 = 10.0;
/// Bounds in units of the earth's radius before any series is evaluated, a little wider than what
/// the degrees above allow: far outside them the hyperbolic functions overflow.
const MAX_XI: f64 = 1.5;
const MAX_ETA: f64 = 0.2;

static CGCS2000: Ellipsoid = Ellipsoid::new(6_378_137.0, 298.257_222_101);
static WGS84: Ellipsoid = Ellipsoid::new(6_378_137.0, 298.257_223_563);

/// An ellipsoid with the series that only depend on it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ellipsoid {
    eccentricity_squared: f64,
    /// Radius of the circle as long as a meridian, metres.
    radius: f64,
    /// From conformal to projected.
    forward: [f64; 4],
    /// From projected to conformal.
    inverse: [f64; 4],
    /// From conformal to geodetic latitude.
    latitude: [f64; 4],
}

impl Ellipsoid {
    const fn new(semi_major: f64, inverse_flattening: f64) -> Self {
        let flattening = 1.0 / inverse_flattening;
        let n = flattening / (2.0 - flattening);
        let n2 = n * n;
        let n3 = n2 * n;
        let n4 = n2 * n2;
        Self {
            eccentricity_squared: flattening * (2.0 - flattening),
            radius: semi_major / (1.0 + n) * (1.0 + n2 / 4.0 + n4 / 64.0),
            forward: [
                n / 2.0 - 2.0 / 3.0 * n2 + 5.0 / 16.0 * n3 + 41.0 / 180.0 * n4,
                13.0 / 48.0 * n2 - 3.0 / 5.0 * n3 + 557.0 / 1440.0 * n4,
                61.0 / 240.0 * n3 - 103.0 / 140.0 * n4,
                49_561.0 / 161_280.0 * n4,
            ],
            inverse: [
                n / 2.0 - 2.0 / 3.0 * n2 + 37.0 / 96.0 * n3 - 1.0 / 360.0 * n4,
                1.0 / 48.0 * n2 + 1.0 / 15.0 * n3 - 437.0 / 1440.0 * n4,
                17.0 / 480.0 * n3 - 37.0 / 840.0 * n4,
                4397.0 / 161_280.0 * n4,
            ],
            latitude: [
                2.0 * n - 2.0 / 3.0 * n2 - 2.0 * n3 + 116.0 / 45.0 * n4,
                7.0 / 3.0 * n2 - 8.0 / 5.0 * n3 - 227.0 / 45.0 * n4,
                56.0 / 15.0 * n3 - 136.0 / 35.0 * n4,
                4279.0 / 630.0 * n4,
            ],
        }
    }
}

/// A transverse Mercator grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    ellipsoid: &'static Ellipsoid,
    /// Degrees.
    central_meridian: f64,
    scale: f64,
    false_easting: f64,
    false_northing: f64,
}

impl Projection {
    /// The grid of a code of the EPSG registry; `None` for codes that are no grid of CGCS2000 or
    /// UTM on WGS-84.
    ///
    /// ```
    /// use fenghuo::place::project::Projection;
    /// assert!(Projection::from_epsg(4528).is_some());
    /// assert!(Projection::from_epsg(2385).is_none()); // Xi'an 1980
    /// ```
    #[must_use]
    pub fn from_epsg(code: u32) -> Option<Self> {
        match code {
            4491..=4501 => Some(Self::gauss_kruger(75 + 6 * (code - 4491), 13 + code - 4491)),
            4502..=4512 => Some(Self::gauss_kruger(75 + 6 * (code - 4502), 0)),
            4513..=4533 => Some(Self::gauss_kruger(75 + 3 * (code - 4513), 25 + code - 4513)),
            4534..=4554 => Some(Self::gauss_kruger(75 + 3 * (code - 4534), 0)),
            32_601..=32_660 => Some(Self::utm(code - 32_600, 0.0)),
            32_701..=32_760 => Some(Self::utm(code - 32_700, 10_000_000.0)),
            _ => None,
        }
    }

    /// A zone whose number stands before the easting; zone 0 for a grid without a number.
    fn gauss_kruger(central_meridian: u32, zone: u32) -> Self {
        Self {
            ellipsoid: &CGCS2000,
            central_meridian: f64::from(central_meridian),
            scale: 1.0,
            false_easting: f64::from(zone) * 1_000_000.0 + 500_000.0,
            false_northing: 0.0,
        }
    }

    fn utm(zone: u32, false_northing: f64) -> Self {
        Self {
            ellipsoid: &WGS84,
            central_meridian: f64::from(zone) * 6.0 - 183.0,
            scale: 0.9996,
            false_easting: 500_000.0,
            false_northing,
        }
    }

    /// The (lon, lat) degrees of (easting, northing) metres.
    ///
    /// `None` for a number that is not finite, more than 10 degrees off the central meridian, or
    /// beyond the latitudes -10..84 (on a southern UTM grid -84..10): such numbers belong to another
    /// zone, have their axes swapped, or are no metres.
    #[must_use]
    pub fn inverse(&self, easting: f64, northing: f64) -> Option<(f64, f64)> {
        let radius = self.scale * self.ellipsoid.radius;
        let xi = (northing - self.false_northing) / radius;
        let eta = (easting - self.false_easting) / radius;
        if !(-MAX_XI..=MAX_XI).contains(&xi) || !(-MAX_ETA..=MAX_ETA).contains(&eta) {
            return None;
        }
        let (north, east) = series(&self.ellipsoid.inverse, xi, eta);
        let (xi, eta) = (xi - north, eta - east);
        let offset = eta.sinh().atan2(xi.cos()).to_degrees();
        let conformal = xi.sin().atan2(eta.sinh().hypot(xi.cos()));
        let lat = (conformal + series(&self.ellipsoid.latitude, conformal, 0.0).0).to_degrees();
        self.holds(offset, lat)
            .then(|| (wrapped(self.central_meridian + offset), lat))
    }

    /// The (easting, northing) metres of (lon, lat) degrees; `None` where [`inverse`](Self::inverse)
    /// would give none.
    #[must_use]
    pub fn forward(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        let offset = wrapped(lon - self.central_meridian);
        if !self.holds(offset, lat) {
            return None;
        }
        let (sine, cosine) = offset.to_radians().sin_cos();
        let eccentricity = self.ellipsoid.eccentricity_squared.sqrt();
        let height = lat.to_radians().sin();
        let tangent = (height.atanh() - eccentricity * (eccentricity * height).atanh()).sinh();
        let xi = tangent.atan2(cosine);
        let eta = (sine / tangent.hypot(cosine)).asinh();
        let (north, east) = series(&self.ellipsoid.forward, xi, eta);
        let radius = self.scale * self.ellipsoid.radius;
        Some((
            self.false_easting + radius * (eta + east),
            self.false_northing + radius * (xi + north),
        ))
    }

    fn holds(&self, offset: f64, lat: f64) -> bool {
        let latitudes = if self.false_northing > 0.0 {
            -POLE_SIDE..=EQUATOR_SIDE
        } else {
            -EQUATOR_SIDE..=POLE_SIDE
        };
        (-MAX_OFFSET..=MAX_OFFSET).contains(&offset) && latitudes.contains(&lat)
    }
}

/// The sums of `c_j sin 2jξ cosh 2jη` and `c_j cos 2jξ sinh 2jη`.
fn series(coefficients: &[f64; 4], xi: f64, eta: f64) -> (f64, f64) {
    (1_u8..).zip(coefficients).fold((0.0, 0.0), |(north, east), (j, c)| {
        let twice = 2.0 * f64::from(j);
        (
            north + c * (twice * xi).sin() * (twice * eta).cosh(),
            east + c * (twice * xi).cos() * (twice * eta).sinh(),
        )
    })
}

/// A difference of longitudes the short way round: UTM zones 1 and 60 reach over the date line.
fn wrapped(degrees: f64) -> f64 {
    if degrees > 180.0 {
        degrees - 360.0
    } else if degrees < -180.0 {
        degrees + 360.0
    } else {
        degrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, lon, lat, easting, northing; from pyproj 3.7.2 with PROJ 9.5.1.
    const VECTORS: [(u32, f64, f64, f64, f64); 29] = [
        (4491, 74.2, 39.47, 13_431_159.258_34, 4_370_988.886_22),
        (4498, 117.184_811, 34.261_792, 20_517_021.180_046, 3_792_716.109_562),
        (4501, 134.1, 48.3, 23_433_227.807_351, 5_352_177.140_095),
        (4502, 75.99, 38.5, 586_361.415_91, 4_263_463.115_986),
        (4509, 117.184_811, 34.261_792, 517_021.180_046, 3_792_716.109_562),
        (4509, 119.9, 31.25, 776_292.051_106, 3_462_321.520_235),
        (4512, 131.0, 47.1, 196_361.988_607, 5_226_134.500_469),
        (4513, 75.0, 37.2, 25_500_000.0, 4_118_706.878_272),
        (4526, 112.6, 28.2, 38_362_540.847_815, 3_121_399.654_883),
        (4527, 117.184_811, 34.261_792, 39_517_021.180_046, 3_792_716.109_562),
        (4528, 117.184_811, 34.261_792, 40_240_681.430_237, 3_796_288.935_764),
        (4528, 120.155, 30.274, 40_514_914.127_39, 3_350_497.770_995),
        (4533, 134.76, 48.36, 45_482_214.880_624, 5_358_485.209_064),
        (4534, 76.2, 43.9, 596_409.223_045, 4_863_411.350_536),
        (4543, 101.3, 25.04, 429_356.696_212, 2_770_667.750_231),
        (4547, 114.057_9, 22.543_1, 505_955.846_174, 2_493_941.245_741),
        (4548, 117.184_811, 34.261_792, 517_021.180_046, 3_792_716.109_562),
        (4549, 121.473_7, 31.230_4, 640_412.315_037, 3_457_455.488_582),
        (4550, 123.431_5, 41.805_7, 535_858.690_753, 4_630_145.718_107),
        (4554, 135.0, 53.5, 500_000.0, 5_930_265.860_263),
        (32_601, -179.5, 65.0, 382_132.391_819, 7_210_785.629_516),
        (32_648, 106.55, 29.56, 650_158.451_19, 3_271_033.575_496),
        (32_650, 117.184_811, 34.261_792, 517_014.371_574, 3_791_199.023_222),
        (32_650, 126.5, 50.0, 1_180_285.328_445, 5_582_016.189_198),
        (32_660, -179.9, -9.5, 840_410.723_845, -1_051_652.578_277),
        (32_649, 111.0, 83.9, 500_000.0, 9_316_930.154_067),
        (32_701, 179.9, -16.5, 169_027.145_535, 8_173_211.345_484),
        (32_756, 151.209_3, -33.868_8, 334_368.633_648, 6_250_948.345_385),
        (32_733, 15.0, -83.5, 500_000.0, 727_724.128_981),
    ];

    fn grid(code: u32) -> Projection {
        Projection::from_epsg(code).unwrap()
    }

    #[test]
    fn both_directions_equal_those_of_proj() {
        for (code, lon, lat, easting, northing) in VECTORS {
            let (x, y) = grid(code).forward(lon, lat).unwrap();
            assert!(
                (x - easting).abs() < 1e-3 && (y - northing).abs() < 1e-3,
                "EPSG:{code} forward {lon} {lat}: {x} {y}"
            );
            let (x, y) = grid(code).inverse(easting, northing).unwrap();
            assert!(
                (x - lon).abs() < 1e-9 && (y - lat).abs() < 1e-9,
                "EPSG:{code} inverse {easting} {northing}: {x} {y}"
            );
        }
    }

    #[test]
    fn every_code_returns_to_the_start() {
        let codes = (4491..=4554).chain(32_601..=32_660).chain(32_701..=32_760);
        for code in codes {
            let grid = grid(code);
            let sign = if code > 32_700 { -1.0 } else { 1.0 };
            for (offset, lat) in [(-9.9, 0.5), (-3.0, 18.25), (0.0, 34.26), (1.5, 53.5), (9.9, 83.9)] {
                let lon = wrapped(grid.central_meridian + offset);
                let (easting, northing) = grid.forward(lon, lat * sign).unwrap();
                let (x, y) = grid.inverse(easting, northing).unwrap();
                assert!(
                    wrapped(x - lon).abs() < 1e-9 && (y - lat * sign).abs() < 1e-9,
                    "EPSG:{code} {lon} {lat}"
                );
            }
        }
    }

    #[test]
    fn the_numbered_zone_is_the_same_grid_with_its_number_in_front() {
        for zone in 0..21 {
            let (numbered, plain) = (grid(4513 + zone), grid(4534 + zone));
            let front = f64::from(25 + zone) * 1_000_000.0;
            assert_eq!(numbered.central_meridian, plain.central_meridian);
            assert_eq!(numbered.false_easting, plain.false_easting + front);
        }
        for zone in 0..11 {
            let (numbered, plain) = (grid(4491 + zone), grid(4502 + zone));
            let front = f64::from(13 + zone) * 1_000_000.0;
            assert_eq!(numbered.central_meridian, plain.central_meridian);
            assert_eq!(numbered.false_easting, plain.false_easting + front);
        }
        assert_eq!(
            (grid(4554).central_meridian, grid(4512).central_meridian),
            (135.0, 135.0)
        );
        assert_eq!(
            (grid(32_601).central_meridian, grid(32_660).central_meridian),
            (-177.0, 177.0)
        );
    }

    #[test]
    fn codes_of_other_datums_and_kinds_are_no_grid() {
        for code in [
            0, 2334, 2385, 2401, 2442, 3857, 4326, 4490, 4555, 21_413, 21_480, 32_600, 32_661, 32_700, 32_761,
        ] {
            assert_eq!(Projection::from_epsg(code), None, "{code}");
        }
    }

    #[test]
    fn numbers_of_another_zone_swapped_axes_and_degrees_give_none() {
        let zone = grid(4528);
        let (easting, northing) = zone.forward(117.184_811, 34.261_792).unwrap();
        assert!(zone.inverse(easting, northing).is_some());
        for (x, y) in [
            (northing, easting),
            (easting - 40_000_000.0, northing), // without the number of the zone
            (easting - 1_000_000.0, northing),  // with the number of the next zone
            (117.184_811, 34.261_792),
            (0.0, 0.0),
            (easting, 9_600_000.0),
            (easting, -2_000_000.0),
            (41_700_000.0, northing),
            (f64::NAN, northing),
            (easting, f64::INFINITY),
            (1e300, 1e300),
        ] {
            assert_eq!(zone.inverse(x, y), None, "{x} {y}");
        }
        for (lon, lat) in [
            (109.9, 30.0),
            (130.1, 30.0),
            (120.0, -10.1),
            (120.0, 84.1),
            (f64::NAN, 30.0),
            (120.0, f64::NAN),
        ] {
            assert_eq!(zone.forward(lon, lat), None, "{lon} {lat}");
        }
    }

    #[test]
    fn a_southern_grid_holds_the_southern_latitudes() {
        let south = grid(32_756);
        assert!(south.inverse(500_000.0, 11_000_000.0).is_some());
        assert_eq!(south.inverse(500_000.0, 11_200_000.0), None);
        assert_eq!(south.inverse(500_000.0, 600_000.0), None);
        assert_eq!(south.forward(153.0, 34.0), None);
    }
}
