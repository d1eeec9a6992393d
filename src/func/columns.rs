//! Columns of a gathered group as slices, and slices as columns of an answer.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringArray, UInt32Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::error::Result;

use super::gathered::wrong;

/// A field that may be NULL.
pub(super) fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

/// Fields of DOUBLE.
pub(super) fn numbers_named(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| field(name, DataType::Float64)).collect()
}

/// A list of a type.
pub(super) fn list_of(kind: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(kind, true)))
}

/// Numbers, each of them there and finite.
///
/// # Errors
/// What is not, with the name of the argument.
pub(super) fn finite(name: &str, argument: &str, column: &ArrayRef) -> Result<Vec<f64>> {
    let column = column.as_primitive::<Float64Type>();
    let value = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(value) => Err(wrong(
            name,
            &format!("{argument} as a finite number"),
            &value.to_string(),
        )),
        None => Err(wrong(name, &format!("{argument} in every row"), "NULL")),
    };
    column.iter().map(value).collect()
}

/// Coordinates of a plane, each of them there: numbers that all look like degrees are refused, since in metres they would
/// put a whole city into one place.
///
/// # Errors
/// As [`finite`].
pub(super) fn metres(name: &str, x: &ArrayRef, y: &ArrayRef) -> Result<(Vec<f64>, Vec<f64>)> {
    let (x, y) = (finite(name, "x", x)?, finite(name, "y", y)?);
    let on_earth = x.iter().all(|x| x.abs() <= 180.0) && y.iter().all(|y| y.abs() <= 90.0);
    // nobody writes metres finer than millimetres, nor degrees as coarse
    let finer = |value: &f64| (value * 1e3 - (value * 1e3).round()).abs() > 1e-6;
    if on_earth && x.iter().chain(&y).any(finer) {
        let found = "numbers that look like degrees; project(lon, lat, epsg) makes metres of them";
        return Err(wrong(name, "x and y in metres", found));
    }
    Ok((x, y))
}

/// Numbers, where they are there and finite.
pub(super) fn known(column: &ArrayRef) -> Vec<Option<f64>> {
    let column = column.as_primitive::<Float64Type>();
    column
        .iter()
        .map(|value| value.filter(|value| value.is_finite()))
        .collect()
}

/// Whole numbers, each of them there.
///
/// # Errors
/// As [`finite`].
pub(super) fn whole(name: &str, argument: &str, column: &ArrayRef) -> Result<Vec<i64>> {
    match column.null_count() {
        0 => Ok(column.as_primitive::<Int64Type>().values().to_vec()),
        _ => Err(wrong(name, &format!("{argument} in every row"), "NULL")),
    }
}

/// Whether an id stands in two rows, or in none: rows come sorted by it.
///
/// # Errors
/// Which one.
pub(super) fn each_once(name: &str, argument: &str, ids: &ArrayRef) -> Result<()> {
    if ids.null_count() > 0 {
        return Err(wrong(name, &format!("{argument} in every row"), "NULL"));
    }
    let twice = match ids.as_string_opt::<i32>() {
        Some(ids) => (1..ids.len())
            .find(|at| ids.value(*at) == ids.value(at - 1))
            .map(|at| ids.value(at).to_owned()),
        None => {
            let ids = ids.as_primitive::<Int64Type>().values();
            ids.windows(2)
                .find(|pair| pair[0] == pair[1])
                .map(|pair| pair[0].to_string())
        }
    };
    match twice {
        None => Ok(()),
        Some(id) => Err(wrong(
            name,
            &format!("each {argument} in one row"),
            &format!("{argument} {id} in two"),
        )),
    }
}

/// Numbers as a column.
pub(super) fn doubles(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    Arc::new(values.into_iter().map(finite).collect::<Float64Array>())
}

/// Whole numbers as a column.
pub(super) fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Words as a column.
pub(super) fn words(values: impl IntoIterator<Item = Option<&'static str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// The ids of units.
///
/// # Errors
/// As the ids cannot be taken.
pub(super) fn named(ids: &ArrayRef, units: impl IntoIterator<Item = u32>) -> Result<ArrayRef> {
    Ok(take(ids, &UInt32Array::from_iter_values(units), None)?)
}

/// Lists of the ids of units.
///
/// # Errors
/// As the ids cannot be taken.
pub(super) fn named_lists<'a>(ids: &ArrayRef, lists: impl IntoIterator<Item = &'a [u32]>) -> Result<ArrayRef> {
    let (mut lengths, mut units) = (Vec::new(), Vec::new());
    for list in lists {
        lengths.push(list.len());
        units.extend_from_slice(list);
    }
    let item = Arc::new(Field::new_list_field(ids.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, named(ids, units)?, None)?))
}
