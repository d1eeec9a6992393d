//! `h3_text(cell BIGINT) VARCHAR`
//!
//! The usual hexadecimal text of a cell, for outputs. Tables keep the integer; this is for people and for other tools.
//! NULL for an integer that is no cell.
//!
//! ```sql
//! SELECT h3_text(h3_cell(117.18, 34.26, 9)) AS cell
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_int64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::cell::text;

const FORM: Form = Form {
    name: "h3_text",
    params: &[("cell", Kind::BigInt)],
};

/// Lower case, without a prefix.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Utf8,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [cell] = take_function_args(FORM.name, arrays)?;
    let cell = as_int64_array(cell)?;
    let answer: StringArray = rows(arrays, |i| text(cell.value(i))).collect();
    Ok(Arc::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::common::cast::as_string_array;

    #[test]
    fn a_cell_reads_as_hexadecimal_and_another_integer_as_null() {
        let cell: ArrayRef = Arc::new(Int64Array::from(vec![Some(0x0852_8347_3fff_ffff), Some(5), None]));
        let answer = kernel(&[cell]).unwrap();
        let expected = StringArray::from(vec![Some("85283473fffffff"), None, None]);
        assert_eq!(as_string_array(&answer).unwrap(), &expected);
    }
}
