//! Distance and direction between two points, on a sphere.
//!
//! Good to about 0.5 % of an ellipsoidal distance, which is enough for "within 150 metres" and "to
//! the north". It deliberately knows no roads, no travel time and no height. Inputs are degrees,
//! (lon, lat) order; a point off the earth gives `None`.

use super::crs::on_earth;

/// Mean earth radius R1 of the IUGG (Moritz 2000), metres.
pub const EARTH_RADIUS_METRES: f64 = 6_371_008.8;

/// Great-circle distance in metres by the haversine formula (Sinnott 1984); `None` off the earth.
///
/// ```
/// // a degree of latitude is 111.195 km
/// let metres = fenghuo::place::distance::metres(117.0, 34.0, 117.0, 35.0);
/// assert!(metres.is_some_and(|m| (m - 111_195.0).abs() < 1.0));
/// ```
#[must_use]
pub fn metres(lon1: f64, lat1: f64, lon2: f64, lat2: f64) -> Option<f64> {
    if !on_earth(lon1, lat1) || !on_earth(lon2, lat2) {
        return None;
    }
    let half_lat = ((lat2 - lat1) / 2.0).to_radians().sin();
    let half_lon = ((lon2 - lon1) / 2.0).to_radians().sin();
    let h = half_lat * half_lat + lat1.to_radians().cos() * lat2.to_radians().cos() * half_lon * half_lon;
    // rounding may push antipodes past 1, where the arcsine ends
    Some(2.0 * EARTH_RADIUS_METRES * h.min(1.0).sqrt().asin())
}

/// Initial bearing from point 1 to point 2, degrees clockwise from north in `0.0..360.0`.
///
/// `None` off the earth and for two equal points, which have no direction.
#[must_use]
pub fn bearing(lon1: f64, lat1: f64, lon2: f64, lat2: f64) -> Option<f64> {
    if !on_earth(lon1, lat1) || !on_earth(lon2, lat2) {
        return None;
    }
    let (lat1, lat2, dlon) = (lat1.to_radians(), lat2.to_radians(), (lon2 - lon1).to_radians());
    let east = dlon.sin() * lat2.cos();
    let north = lat1.cos() * lat2.sin() - lat1.sin() * lat2.cos() * dlon.cos();
    if east == 0.0 && north == 0.0 {
        return None;
    }
    let degrees = east.atan2(north).to_degrees().rem_euclid(360.0);
    // the remainder of a tiny negative angle rounds up to 360 itself
    Some(if degrees >= 360.0 { 0.0 } else { degrees })
}

/// One of the eight points of the compass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compass {
    /// 0°, 北.
    North,
    /// 45°, 东北.
    NorthEast,
    /// 90°, 东.
    East,
    /// 135°, 东南.
    SouthEast,
    /// 180°, 南.
    South,
    /// 225°, 西南.
    SouthWest,
    /// 270°, 西.
    West,
    /// 315°, 西北.
    NorthWest,
}

impl Compass {
    /// All eight, clockwise from north.
    pub const ALL: [Compass; 8] = [
        Compass::North,
        Compass::NorthEast,
        Compass::East,
        Compass::SouthEast,
        Compass::South,
        Compass::SouthWest,
        Compass::West,
        Compass::NorthWest,
    ];

    /// The point whose 45-degree sector holds a bearing (any number of turns); `None` for a
    /// non-number.
    #[must_use]
    pub fn from_bearing(degrees: f64) -> Option<Self> {
        let sector = (degrees.rem_euclid(360.0) / 45.0).round();
        // compared as floats: a NaN equals no index and so finds nothing
        (0_u8..=8)
            .find(|index| f64::from(*index) == sector)
            .map(|index| Self::ALL[usize::from(index) % 8])
    }

    /// The Chinese word, such as 东北.
    #[must_use]
    pub fn zh(self) -> &'static str {
        match self {
            Compass::North => "北",
            Compass::NorthEast => "东北",
            Compass::East => "东",
            Compass::SouthEast => "东南",
            Compass::South => "南",
            Compass::SouthWest => "西南",
            Compass::West => "西",
            Compass::NorthWest => "西北",
        }
    }

    /// The English word, such as northeast.
    #[must_use]
    pub fn en(self) -> &'static str {
        match self {
            Compass::North => "north",
            Compass::NorthEast => "northeast",
            Compass::East => "east",
            Compass::SouthEast => "southeast",
            Compass::South => "south",
            Compass::SouthWest => "southwest",
            Compass::West => "west",
            Compass::NorthWest => "northwest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (f64, f64) = (117.184_811, 34.261_792);

    fn word(dlon: f64, dlat: f64) -> Option<Compass> {
        bearing(HERE.0, HERE.1, HERE.0 + dlon, HERE.1 + dlat).and_then(Compass::from_bearing)
    }

    #[test]
    fn known_distances_are_met() {
        let quarter = EARTH_RADIUS_METRES * std::f64::consts::FRAC_PI_2;
        assert!((metres(0.0, 0.0, 90.0, 0.0).unwrap() - quarter).abs() < 1e-6);
        assert!((metres(0.0, 0.0, 180.0, 0.0).unwrap() - 2.0 * quarter).abs() < 1e-6);
        assert!((metres(0.0, -90.0, 0.0, 90.0).unwrap() - 2.0 * quarter).abs() < 1e-6);
        assert_eq!(metres(HERE.0, HERE.1, HERE.0, HERE.1), Some(0.0));
        // over the date line is the short way
        assert!(metres(179.9, 0.0, -179.9, 0.0).unwrap() < 23_000.0);
    }

    #[test]
    fn small_distances_keep_their_digits() {
        let metre = 1.0 / 111_195.0;
        assert!((metres(HERE.0, HERE.1, HERE.0, HERE.1 + metre).unwrap() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn bearings_run_clockwise_from_north() {
        assert_eq!(bearing(117.0, 34.0, 117.0, 35.0), Some(0.0));
        assert_eq!(bearing(117.0, 34.0, 117.0, 33.0), Some(180.0));
        assert_eq!(bearing(0.0, 0.0, 1.0, 0.0), Some(90.0));
        assert_eq!(bearing(0.0, 0.0, -1.0, 0.0), Some(270.0));
        assert_eq!(bearing(117.0, 34.0, 117.0, 34.0), None);
    }

    #[test]
    fn the_eight_words_follow_the_direction() {
        let expected = [
            (0.0, 1.0),
            (1.2, 1.0),
            (1.0, 0.0),
            (1.2, -1.0),
            (0.0, -1.0),
            (-1.2, -1.0),
            (-1.0, 0.0),
            (-1.2, 1.0),
        ];
        for (compass, (dlon, dlat)) in Compass::ALL.into_iter().zip(expected) {
            assert_eq!(word(dlon * 0.01, dlat * 0.01), Some(compass));
        }
        assert_eq!((Compass::East.zh(), Compass::East.en()), ("东", "east"));
    }

    #[test]
    fn sectors_are_centred_on_their_word_and_wrap_at_north() {
        for (degrees, compass) in [
            (22.4, Compass::North),
            (22.6, Compass::NorthEast),
            (337.6, Compass::North),
            (-1.0, Compass::North),
        ] {
            assert_eq!(Compass::from_bearing(degrees), Some(compass));
        }
        assert_eq!(Compass::from_bearing(f64::NAN), None);
    }

    #[test]
    fn points_off_the_earth_have_no_distance_and_no_direction() {
        assert_eq!(metres(34.0, 117.0, 117.0, 34.0), None);
        assert_eq!(bearing(117.0, 34.0, f64::NAN, 34.0), None);
    }
}
