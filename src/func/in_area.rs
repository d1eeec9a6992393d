//! `in_area(lon DOUBLE, lat DOUBLE, boundary VARCHAR) BOOLEAN`
//!
//! Does a point lie in an area? `boundary` is WKT, POLYGON or MULTIPOLYGON, in the unit of the point; holes are outside. For
//! many points and areas join by cell first, as docs/places.md shows: this is the last step. No promise for a point on the
//! line. NULL for a text that is no area.
//!
//! ```sql
//! SELECT in_area(117.18, 34.26, 'POLYGON ((117 34, 118 34, 118 35, 117 34))') AS inside
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::polygon::Area;

const FORM: Form = Form {
    name: "in_area",
    params: &[("lon", Kind::Double), ("lat", Kind::Double), ("boundary", Kind::Text)],
};

/// Inside or not.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Boolean,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [lon, lat, boundary] = take_function_args(FORM.name, arrays)?;
    let (lon, lat, boundary) = (
        as_float64_array(lon)?,
        as_float64_array(lat)?,
        boundary.as_string::<i32>(),
    );
    // a join has one boundary in many rows
    let mut areas: HashMap<&str, Option<Area>> = HashMap::new();
    let row = |i: usize| {
        let text = boundary.value(i);
        let area = areas.entry(text).or_insert_with(|| Area::read(text)).as_ref()?;
        Some(area.holds((lon.value(i), lat.value(i))))
    };
    Ok(Arc::new(rows(arrays, row).collect::<BooleanArray>()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, StringArray};
    use datafusion::common::cast::as_boolean_array;

    use super::*;

    #[test]
    fn a_point_is_inside_outside_or_asked_of_no_area() {
        let lon: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(9.0), Some(1.0), None]));
        let lat: ArrayRef = Arc::new(Float64Array::from(vec![0.5; 4]));
        let square = "POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))";
        let boundary: ArrayRef = Arc::new(StringArray::from(vec![square, square, "LINE", square]));
        let answer = kernel(&[lon, lat, boundary]).unwrap();
        let expected = BooleanArray::from(vec![Some(true), Some(false), None, None]);
        assert_eq!(as_boolean_array(&answer).unwrap(), &expected);
    }
}
