//! `h3_cell(lon DOUBLE, lat DOUBLE, res INT) BIGINT`
//!
//! The H3 cell of a WGS-84 point. It does not convert reference systems: a GCJ-02 point lands in a neighbouring cell.
//!
//! ```sql
//! SELECT h3_cell(117.18, 34.26, 9) AS cell
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind, constant_integer};
use super::scalar::{Function, rows};
use crate::place::cell::{MAX_RESOLUTION, cell};

const FORM: Form = Form {
    name: "h3_cell",
    params: &[("lon", Kind::Double), ("lat", Kind::Double), ("res", Kind::BigInt)],
};

/// NULL off the earth; a constant resolution outside 0..=15 is a plan error, one from a column
/// gives NULL.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Int64,
    check,
    kernel,
};

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match constant_integer(arguments, 2) {
        Some(res) if !(0..=i64::from(MAX_RESOLUTION)).contains(&res) => {
            Err(FORM.error(&format!("res between 0 and {MAX_RESOLUTION}"), &res.to_string()))
        }
        _ => Ok(()),
    }
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [lon, lat, res] = take_function_args(FORM.name, arrays)?;
    let (lon, lat, res) = (as_float64_array(lon)?, as_float64_array(lat)?, as_int64_array(res)?);
    let answer: Int64Array = rows(arrays, |i| {
        cell(lon.value(i), lat.value(i), u8::try_from(res.value(i)).ok()?)
    })
    .collect();
    Ok(Arc::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Float64Array};

    #[test]
    fn rows_get_their_cell_and_missing_or_wrong_ones_null() {
        let lon: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(-122.055_323_8),
            None,
            Some(500.0),
            Some(117.0),
        ]));
        let lat: ArrayRef = Arc::new(Float64Array::from(vec![37.361_559_3, 34.0, 34.0, 34.0]));
        let res: ArrayRef = Arc::new(Int64Array::from(vec![5, 9, 9, 16]));
        let answer = kernel(&[lon, lat, res]).unwrap();
        let answer = as_int64_array(&answer).unwrap();
        assert_eq!(answer.value(0), 0x0852_8347_3fff_ffff);
        assert_eq!(answer.null_count(), 3);
    }

    #[test]
    fn a_constant_resolution_beyond_15_is_refused() {
        let res = ScalarValue::Int64(Some(16));
        assert!(check(&[None, None, Some(&res)]).is_err());
        assert!(check(&[None, None, None]).is_ok());
    }
}
