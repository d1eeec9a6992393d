//! What aggregates over integer values share: which rows count, and the list of values as partial
//! state.
//!
//! It knows nothing of what is computed from the values.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, ListArray, StructArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, Field, FieldRef, Fields};
use datafusion::common::cast::{as_int64_array, as_list_array};
use datafusion::error::{DataFusionError, Result};

/// The values themselves, the first argument; constants that follow are the same in every row.
///
/// # Errors
/// A plan error if there is no argument, an internal one if it is not BIGINT: coercion allows
/// neither.
pub(super) fn first(arguments: &[ArrayRef]) -> Result<&Int64Array> {
    match arguments.first() {
        Some(values) => as_int64_array(values),
        None => Err(DataFusionError::Plan("expected values, found no arguments".to_owned())),
    }
}

/// The rows that count: a value there and the FILTER true; `None` if that is all of them.
pub(super) fn counted(values: &Int64Array, filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let passing = filter.map(|filter| match filter.nulls() {
        Some(known) => NullBuffer::new(filter.values() & known.inner()),
        None => NullBuffer::new(filter.values().clone()),
    });
    NullBuffer::union(values.nulls(), passing.as_ref())
}

/// The type of the partial state, `LIST<BIGINT>`.
pub(super) fn state_type() -> DataType {
    DataType::List(state_item())
}

/// The partial state: a list of values for each group, never NULL and without NULL items.
///
/// Group `g` has the values from `starts[g]` up to `starts[g + 1]`.
///
/// # Errors
/// As [`offsets`].
pub(super) fn state_of(starts: &[usize], values: Vec<i64>) -> Result<ListArray> {
    Ok(ListArray::try_new(
        state_item(),
        offsets(starts)?,
        Arc::new(Int64Array::from(values)),
        None,
    )?)
}

/// Calls `each` with every row of an array of states and its values.
///
/// # Errors
/// An internal error if the first array is not a state.
pub(super) fn each_state(states: &[ArrayRef], mut each: impl FnMut(usize, &[i64])) -> Result<()> {
    let Some(lists) = states.first() else {
        return Err(DataFusionError::Plan("expected states, found no arrays".to_owned()));
    };
    let lists = as_list_array(lists)?;
    let values = as_int64_array(lists.values())?.values();
    // whole slices of the flat values: an array for each list would cost an allocation a group
    for (row, ends) in lists.value_offsets().windows(2).enumerate() {
        if lists.is_valid(row) {
            each(row, &values[ends[0].as_usize()..ends[1].as_usize()]);
        }
    }
    Ok(())
}

/// Offsets of a list array from where each list starts, and where the last one ends.
///
/// # Errors
/// Resources exhausted beyond 2³¹ - 1 items: offsets are 32 bits wide, and a wrapped one is a wrong
/// answer.
pub(super) fn offsets(starts: &[usize]) -> Result<OffsetBuffer<i32>> {
    let narrow: std::result::Result<Vec<i32>, _> = starts.iter().map(|start| i32::try_from(*start)).collect();
    match narrow {
        Ok(narrow) => Ok(OffsetBuffer::new(ScalarBuffer::from(narrow))),
        Err(_) => Err(DataFusionError::ResourcesExhausted(format!(
            "expected at most {} list items in one batch of groups, found more",
            i32::MAX
        ))),
    }
}

/// `LIST<STRUCT<…>>`, for `unnest`.
pub(super) fn list_type(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields), true)))
}

/// A list of structs for each group, made of the columns of all of them; a group without any is NULL.
///
/// Group `g` has the rows from `starts[g]` up to `starts[g + 1]`.
///
/// # Errors
/// As [`offsets`].
pub(super) fn lists_of(fields: Fields, columns: Vec<ArrayRef>, starts: &[usize]) -> Result<ArrayRef> {
    let item = Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true));
    let rows = Arc::new(StructArray::try_new(fields, columns, None)?);
    let known: NullBuffer = starts.windows(2).map(|run| run[0] < run[1]).collect();
    Ok(Arc::new(ListArray::try_new(item, offsets(starts)?, rows, Some(known))?))
}

fn state_item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_with_a_value_and_a_true_filter_only() {
        let values = Int64Array::from(vec![Some(1), None, Some(3), Some(4)]);
        let filter = BooleanArray::from(vec![Some(true), Some(true), Some(false), None]);
        let rows = |filter| counted(&values, filter).map(|rows| rows.iter().collect::<Vec<bool>>());
        assert_eq!(rows(Some(&filter)), Some(vec![true, false, false, false]));
        assert_eq!(rows(None), Some(vec![true, false, true, true]));
        assert_eq!(counted(&Int64Array::from(vec![1, 2]), None), None);
    }

    #[test]
    fn states_return_their_values_even_as_a_slice() {
        let state = state_of(&[0, 2, 2, 3], vec![5, 6, 7]).unwrap();
        assert_eq!(state.values().len(), 3);
        let mut seen = Vec::new();
        let sliced: ArrayRef = Arc::new(state.slice(1, 2));
        each_state(&[sliced], |row, values| seen.push((row, values.to_vec()))).unwrap();
        assert_eq!(seen, vec![(0, vec![]), (1, vec![7])]);
    }
}
