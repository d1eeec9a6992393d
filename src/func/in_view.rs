//! `in_view(camera_lon, camera_lat, bearing, fov, range_metres, lon, lat) BOOLEAN`
//!
//! Is a point in the sector? Degrees and metres; the opening `fov` of 360 or more is a disc. It knows no walls. NULL
//! for a point off the earth, a negative opening or a negative range.
//!
//! ```sql
//! SELECT in_view(117.18, 34.26, 45, 90, 300, 117.181, 34.261) AS seen
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::view::{self, Camera};

const FORM: Form = Form {
    name: "in_view",
    params: &[
        ("camera_lon", Kind::Double),
        ("camera_lat", Kind::Double),
        ("bearing", Kind::Double),
        ("fov", Kind::Double),
        ("range_metres", Kind::Double),
        ("lon", Kind::Double),
        ("lat", Kind::Double),
    ],
};

/// The point at the camera itself is in view.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Boolean,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [camera_lon, camera_lat, bearing, fov, range, lon, lat] = take_function_args(FORM.name, arrays)?;
    let (camera_lon, camera_lat) = (as_float64_array(camera_lon)?, as_float64_array(camera_lat)?);
    let (bearing, fov, range) = (
        as_float64_array(bearing)?,
        as_float64_array(fov)?,
        as_float64_array(range)?,
    );
    let (lon, lat) = (as_float64_array(lon)?, as_float64_array(lat)?);
    let seen = |i| {
        let camera = Camera {
            lon: camera_lon.value(i),
            lat: camera_lat.value(i),
            bearing: bearing.value(i),
            fov: fov.value(i),
            range: range.value(i),
        };
        view::in_view(&camera, lon.value(i), lat.value(i))
    };
    let answer: BooleanArray = rows(arrays, seen).collect();
    Ok(Arc::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Float64Array;
    use datafusion::common::cast::as_boolean_array;

    #[test]
    fn a_camera_looking_north_sees_the_north_and_not_the_south() {
        let column = |values: [f64; 3]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let arrays = [
            column([117.0; 3]),
            column([34.0; 3]),
            column([0.0; 3]),
            column([90.0, 90.0, -1.0]),
            column([200.0; 3]),
            column([117.0; 3]),
            column([34.001, 33.999, 34.0]),
        ];
        let answer = kernel(&arrays).unwrap();
        let expected = BooleanArray::from(vec![Some(true), Some(false), None]);
        assert_eq!(as_boolean_array(&answer).unwrap(), &expected);
    }
}
