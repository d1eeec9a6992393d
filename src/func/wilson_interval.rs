//! `wilson_interval(successes BIGINT, n BIGINT, level DOUBLE) STRUCT<lower DOUBLE, upper DOUBLE>`
//!
//! The score interval of a share. It does not correct for many comparisons. NULL for `n` below 1
//! and for successes outside `0..=n`.
//!
//! ```sql
//! SELECT wilson_interval(7, 20, 0.95) AS share
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, pair_type, pairs, rows};
use crate::stat::interval::{deviate, wilson_at};

const FORM: Form = Form {
    name: "wilson_interval",
    params: &[
        ("successes", Kind::BigInt),
        ("n", Kind::BigInt),
        ("level", Kind::Double),
    ],
};

/// A constant level not strictly between 0 and 1 is a plan error, one from a column gives NULL.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || pair_type("lower", "upper"),
    check,
    kernel,
};

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    FORM.check_level(arguments, 2)
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [successes, n, level] = take_function_args(FORM.name, arrays)?;
    let (successes, n, level) = (as_int64_array(successes)?, as_int64_array(n)?, as_float64_array(level)?);
    // the level is nearly always one constant, and its deviate the costly part
    let mut known = (f64::NAN, None);
    let limits = |i| {
        let level = level.value(i);
        if level.to_bits() != known.0.to_bits() {
            known = (level, deviate(level));
        }
        wilson_at(successes.value(i), n.value(i), known.1?)
    };
    pairs("lower", "upper", rows(arrays, limits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Float64Array, Int64Array};
    use datafusion::common::cast::as_struct_array;
    use std::sync::Arc;

    #[test]
    fn limits_follow_the_level_of_their_row_and_impossible_rows_are_null() {
        let successes: ArrayRef = Arc::new(Int64Array::from(vec![7, 7, 4, 7]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![10, 10, 3, 10]));
        let level: ArrayRef = Arc::new(Float64Array::from(vec![0.95, 0.5, 0.95, 2.0]));
        let answer = kernel(&[successes, n, level]).unwrap();
        let answer = as_struct_array(&answer).unwrap();
        let lower = as_float64_array(answer.column(0)).unwrap();
        assert!((lower.value(0) - 0.3968).abs() < 1e-4 && lower.value(1) > 0.5);
        assert!(answer.is_null(2) && answer.is_null(3));
    }
}
