//! `h3_parent(cell BIGINT, resolution BIGINT) BIGINT`
//!
//! The coarser cell that holds a cell. A cell lies in one parent, though not wholly inside its edges. NULL for an
//! integer that is no cell, and for a resolution that is finer than the cell's own or none.
//!
//! ```sql
//! SELECT h3_text(h3_parent(h3_cell(117.18, 34.26, 9), 7)) AS coarse
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_int64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::cell::parent;

const FORM: Form = Form {
    name: "h3_parent",
    params: &[("cell", Kind::BigInt), ("resolution", Kind::BigInt)],
};

/// A cell as BIGINT.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Int64,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [cell, resolution] = take_function_args(FORM.name, arrays)?;
    let (cell, resolution) = (as_int64_array(cell)?, as_int64_array(resolution)?);
    let row = |i| parent(cell.value(i), u8::try_from(resolution.value(i)).ok()?);
    Ok(Arc::new(rows(arrays, row).collect::<Int64Array>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_coarser_and_there_is_none_the_other_way() {
        let fine = crate::place::cell::cell(117.18, 34.26, 9).unwrap();
        let cell: ArrayRef = Arc::new(Int64Array::from(vec![fine, fine, fine, 5]));
        let resolution: ArrayRef = Arc::new(Int64Array::from(vec![9, 7, 10, 7]));
        let answer = kernel(&[cell, resolution]).unwrap();
        let coarse = parent(fine, 7);
        assert_eq!(
            as_int64_array(&answer).unwrap(),
            &Int64Array::from(vec![Some(fine), coarse, None, None])
        );
        assert_eq!(coarse.and_then(crate::place::cell::resolution), Some(7));
    }
}
