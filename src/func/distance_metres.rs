//! `distance_metres(lon1, lat1, lon2, lat2) DOUBLE`
//!
//! Great-circle distance of two WGS-84 points. Not a travel distance. NULL if a point is off the earth.
//!
//! ```sql
//! SELECT round(distance_metres(117.18, 34.26, 117.20, 34.28)) AS metres
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::distance::metres;

const FORM: Form = Form {
    name: "distance_metres",
    params: &[
        ("lon1", Kind::Double),
        ("lat1", Kind::Double),
        ("lon2", Kind::Double),
        ("lat2", Kind::Double),
    ],
};

/// Metres on a sphere of the mean earth radius.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Float64,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [lon1, lat1, lon2, lat2] = take_function_args(FORM.name, arrays)?;
    let (lon1, lat1) = (as_float64_array(lon1)?, as_float64_array(lat1)?);
    let (lon2, lat2) = (as_float64_array(lon2)?, as_float64_array(lat2)?);
    let answer: Float64Array = rows(arrays, |i| {
        metres(lon1.value(i), lat1.value(i), lon2.value(i), lat2.value(i))
    })
    .collect();
    Ok(Arc::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Array;

    #[test]
    fn a_degree_of_latitude_is_111_km_and_a_missing_point_is_null() {
        let column = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
        let arrays = [
            column(vec![Some(117.0), Some(117.0)]),
            column(vec![Some(34.0), Some(34.0)]),
            column(vec![Some(117.0), None]),
            column(vec![Some(35.0), Some(35.0)]),
        ];
        let answer = kernel(&arrays).unwrap();
        let answer = as_float64_array(&answer).unwrap();
        assert!((answer.value(0) - 111_195.0).abs() < 1.0);
        assert!(answer.is_null(1));
    }
}
