//! `indicators(value VARCHAR, levels LIST<VARCHAR>) LIST<DOUBLE>`
//!
//! A class as numbers of a model: for each level 1 where it is the value and 0 where not. Leave one level out of the list: it
//! is what the others are held against, and all are 0 for it. `indicators(day_type, ['weekend', 'holiday',
//! 'swapped_workday'])` are the day types against workdays. NULL for NULL.
//!
//! ```sql
//! SELECT indicators('holiday', ['weekend', 'holiday', 'swapped_workday']) AS day_type
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Builder, ListBuilder};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind, list_of_doubles};
use super::scalar::{Function, no_constants, rows};

const FORM: Form = Form {
    name: "indicators",
    params: &[("value", Kind::Text), ("levels", Kind::Texts)],
};

/// A list of 0 and 1.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: list_of_doubles,
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [value, levels] = take_function_args(FORM.name, arrays)?;
    let (values, levels) = (value.as_string::<i32>(), levels.as_list::<i32>());
    let row = |i: usize| {
        let (value, levels) = (values.value(i), levels.value(i));
        let levels = levels.as_string::<i32>();
        let is = |level: Option<&str>| if level == Some(value) { 1.0 } else { 0.0 };
        Some(levels.iter().map(is).collect::<Vec<f64>>())
    };
    let mut lists = ListBuilder::new(Float64Builder::new());
    for row in rows(arrays, row) {
        lists.append_option(row.map(|row| row.into_iter().map(Some)));
    }
    Ok(Arc::new(lists.finish()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, StringArray, StringBuilder};
    use datafusion::common::cast::as_float64_array;

    use super::*;

    #[test]
    fn a_class_is_one_among_zeros() {
        let value: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), Some("else"), None]));
        let mut levels = ListBuilder::new(StringBuilder::new());
        for _ in 0..3 {
            levels.append_value([Some("a"), Some("b")]);
        }
        let answer = kernel(&[value, Arc::new(levels.finish())]).unwrap();
        let numbers = |i: usize| {
            as_float64_array(&answer.as_list::<i32>().value(i))
                .unwrap()
                .values()
                .to_vec()
        };
        assert_eq!((numbers(0), numbers(1)), (vec![0.0, 1.0], vec![0.0, 0.0]));
        assert!(answer.is_null(2));
    }
}
