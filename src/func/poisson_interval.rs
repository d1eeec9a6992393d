//! `poisson_interval(n BIGINT, level DOUBLE) STRUCT<lower DOUBLE, upper DOUBLE>`
//!
//! Garwood's exact interval of the mean behind a count. It does not know overdispersion: counts
//! that repeat themselves need a model. NULL for a negative count.
//!
//! ```sql
//! SELECT poisson_interval(7, 0.95) AS mean
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, pair_type, pairs, rows};
use crate::stat::interval::poisson;

const FORM: Form = Form {
    name: "poisson_interval",
    params: &[("n", Kind::BigInt), ("level", Kind::Double)],
};

/// A constant level not strictly between 0 and 1 is a plan error, one from a column gives NULL.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || pair_type("lower", "upper"),
    check,
    kernel,
};

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    FORM.check_level(arguments, 1)
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [n, level] = take_function_args(FORM.name, arrays)?;
    let (n, level) = (as_int64_array(n)?, as_float64_array(level)?);
    pairs("lower", "upper", rows(arrays, |i| poisson(n.value(i), level.value(i))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Float64Array, Int64Array};
    use datafusion::common::cast::as_struct_array;
    use std::sync::Arc;

    #[test]
    fn ten_events_have_the_textbook_limits_and_minus_one_has_none() {
        let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(10), Some(-1), None]));
        let level: ArrayRef = Arc::new(Float64Array::from(vec![0.95, 0.95, 0.95]));
        let answer = kernel(&[n, level]).unwrap();
        let answer = as_struct_array(&answer).unwrap();
        let (lower, upper) = (
            as_float64_array(answer.column(0)).unwrap(),
            as_float64_array(answer.column(1)).unwrap(),
        );
        assert!((lower.value(0) - 4.795_388).abs() < 1e-5 && (upper.value(0) - 18.390_356).abs() < 1e-5);
        assert_eq!(answer.null_count(), 2);
    }
}
