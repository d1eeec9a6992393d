//! `h3_ring(cell BIGINT, k INT) LIST<BIGINT>`
//!
//! All cells within `k` steps, the cell itself included, ascending. For joins use `unnest`. It does not serve wide
//! circles: beyond 100 steps a join by distance is the way.
//!
//! ```sql
//! SELECT unnest(h3_ring(h3_cell(117.18, 34.26, 9), 1)) AS near
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Builder, ListBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::cast::as_int64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind, constant_integer};
use super::scalar::{Function, rows};
use crate::place::cell::{MAX_RING, ring};

const FORM: Form = Form {
    name: "h3_ring",
    params: &[("cell", Kind::BigInt), ("k", Kind::BigInt)],
};

/// NULL for an integer that is no cell; a constant `k` outside 0..=100 is a plan error, one from a
/// column NULL.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: list_of_cells,
    check,
    kernel,
};

fn list_of_cells() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match constant_integer(arguments, 1) {
        Some(k) if !(0..=i64::from(MAX_RING)).contains(&k) => {
            Err(FORM.error(&format!("k between 0 and {MAX_RING}"), &k.to_string()))
        }
        _ => Ok(()),
    }
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [cell, k] = take_function_args(FORM.name, arrays)?;
    let (cell, k) = (as_int64_array(cell)?, as_int64_array(k)?);
    let mut lists = ListBuilder::new(Int64Builder::new());
    for cells in rows(arrays, |i| ring(cell.value(i), u32::try_from(k.value(i)).ok()?)) {
        if let Some(cells) = &cells {
            lists.values().append_slice(cells);
        }
        lists.append(cells.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Int64Array};
    use datafusion::common::cast::as_list_array;

    #[test]
    fn a_ring_of_one_has_seven_cells_and_no_cell_has_none() {
        let cell: ArrayRef = Arc::new(Int64Array::from(vec![Some(0x0852_8347_3fff_ffff), Some(1), None]));
        let k: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1]));
        let answer = kernel(&[cell, k]).unwrap();
        assert_eq!(answer.data_type(), &list_of_cells());
        let answer = as_list_array(&answer).unwrap();
        assert_eq!((answer.value(0).len(), answer.null_count()), (7, 2));
    }

    #[test]
    fn a_constant_radius_out_of_range_is_refused() {
        for wrong in [-1, 101] {
            assert!(check(&[None, Some(&ScalarValue::Int64(Some(wrong)))]).is_err());
        }
    }
}
