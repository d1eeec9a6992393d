//! Whether a camera can see a point: a sector on the ground.
//!
//! It deliberately knows no buildings, no height, no lens and no weather: "in view" means that the
//! picture may hold the place, never that it does. Who or what is in the picture is not a question
//! of this product.

use super::crs::on_earth;
use super::distance::{bearing, metres};

/// A camera's field of view on the ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Longitude, degrees.
    pub lon: f64,
    /// Latitude, degrees.
    pub lat: f64,
    /// Direction of the middle of the picture, degrees clockwise from north; any number of turns.
    pub bearing: f64,
    /// Opening angle, degrees; 360 or more is a full disc.
    pub fov: f64,
    /// Farthest useful distance, metres.
    pub range: f64,
}

/// Whether (lon, lat) degrees lie in the camera's sector, its edges included.
///
/// The point at the camera itself is in view. `None` if a position is off the earth, an angle is
/// not a finite number, or the opening or the range is negative.
#[must_use]
pub fn in_view(camera: &Camera, lon: f64, lat: f64) -> Option<bool> {
    let usable = camera.bearing.is_finite() && camera.fov >= 0.0 && camera.range >= 0.0;
    if !usable || !on_earth(camera.lon, camera.lat) {
        return None;
    }
    if metres(camera.lon, camera.lat, lon, lat)? > camera.range {
        return Some(false);
    }
    if camera.fov >= 360.0 {
        return Some(true);
    }
    let Some(direction) = bearing(camera.lon, camera.lat, lon, lat) else {
        return Some(true); // both points are on earth, so they are equal
    };
    let turn = (direction - camera.bearing).rem_euclid(360.0);
    Some(turn.min(360.0 - turn) <= camera.fov / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: Camera = Camera {
        lon: 117.2,
        lat: 34.3,
        bearing: 350.0,
        fov: 60.0,
        range: 150.0,
    };

    /// The point at a distance and direction from the camera, on a locally flat earth.
    fn at(distance: f64, degrees: f64) -> (f64, f64) {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let per_degree = 111_195.08;
        (
            CAMERA.lon + distance * sine / per_degree / CAMERA.lat.to_radians().cos(),
            CAMERA.lat + distance * cosine / per_degree,
        )
    }

    fn sees(camera: &Camera, distance: f64, degrees: f64) -> bool {
        let (lon, lat) = at(distance, degrees);
        in_view(camera, lon, lat).unwrap()
    }

    #[test]
    fn the_sector_runs_over_north_and_ends_at_half_the_opening() {
        for (degrees, seen) in [
            (350.0, true),
            (0.0, true),
            (19.0, true),
            (21.0, false),
            (321.0, true),
            (319.0, false),
            (170.0, false),
        ] {
            assert_eq!(sees(&CAMERA, 100.0, degrees), seen, "{degrees}");
        }
    }

    #[test]
    fn the_range_ends_the_view() {
        assert!(sees(&CAMERA, 149.9, 350.0));
        assert!(!sees(&CAMERA, 150.1, 350.0));
    }

    #[test]
    fn a_full_turn_is_a_disc() {
        let dome = Camera { fov: 360.0, ..CAMERA };
        assert!(
            [0.0, 90.0, 170.0, 270.0]
                .into_iter()
                .all(|degrees| sees(&dome, 149.0, degrees))
        );
        assert!(!sees(&dome, 151.0, 170.0));
    }

    #[test]
    fn the_point_at_the_camera_is_in_view_even_of_a_closed_one() {
        let shut = Camera {
            fov: 0.0,
            range: 0.0,
            ..CAMERA
        };
        assert_eq!(in_view(&shut, CAMERA.lon, CAMERA.lat), Some(true));
    }

    #[test]
    fn turns_of_the_bearing_do_not_matter() {
        let turned = Camera {
            bearing: CAMERA.bearing - 720.0,
            ..CAMERA
        };
        assert!(sees(&turned, 100.0, 0.0) && !sees(&turned, 100.0, 60.0));
    }

    #[test]
    fn unusable_cameras_and_points_give_none() {
        for wrong in [
            Camera { fov: -1.0, ..CAMERA },
            Camera { range: -1.0, ..CAMERA },
            Camera {
                range: f64::NAN,
                ..CAMERA
            },
            Camera {
                bearing: f64::INFINITY,
                ..CAMERA
            },
            Camera { lat: 117.0, ..CAMERA },
        ] {
            assert_eq!(in_view(&wrong, CAMERA.lon, CAMERA.lat), None);
        }
        assert_eq!(in_view(&CAMERA, f64::NAN, CAMERA.lat), None);
    }
}
