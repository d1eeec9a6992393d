//! `h3_centre(cell BIGINT) STRUCT<lon DOUBLE, lat DOUBLE>`
//!
//! The centre of a cell, WGS-84 degrees. A place for a mark on a map, not the place of anything that happened. NULL
//! for an integer that is no cell.
//!
//! ```sql
//! SELECT h3_centre(h3_cell(117.18, 34.26, 9)) AS centre
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::common::cast::as_int64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, pair_type, pairs, rows};
use crate::place::cell::centre;

const FORM: Form = Form {
    name: "h3_centre",
    params: &[("cell", Kind::BigInt)],
};

/// The fields are `lon` and `lat`.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || pair_type("lon", "lat"),
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [cell] = take_function_args(FORM.name, arrays)?;
    let cell = as_int64_array(cell)?;
    pairs("lon", "lat", rows(arrays, |i| centre(cell.value(i))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Int64Array};
    use std::sync::Arc;

    #[test]
    fn a_cell_has_a_centre_and_another_integer_has_none() {
        let cell: ArrayRef = Arc::new(Int64Array::from(vec![Some(0x0852_8347_3fff_ffff), Some(5), None]));
        let answer = kernel(&[cell]).unwrap();
        assert_eq!((answer.len(), answer.null_count()), (3, 2));
    }
}
