//! `nb_glm_predict(coefficients LIST<DOUBLE>, theta DOUBLE, numbers LIST<DOUBLE>, count DOUBLE, alpha DOUBLE) STRUCT<expected
//! DOUBLE, upper DOUBLE, p DOUBLE, alarm BOOLEAN>`
//!
//! Is a count odd for what the model of `nb_glm_fit` expects? `numbers` are the row's, in the order of the fit; the constant is
//! added. `upper` is the smallest count whose chance of being passed is `alpha` or less, `p` the chance of `count` or more,
//! `alarm` whether it is above `upper`; negative binomial with `theta`, Poisson where that is infinite. `alpha` is a constant
//! between 0 and 1. NULL where an argument is NULL, where there are not as many numbers as coefficients but one, and where
//! the count is none. The errors of the coefficients are not in it. Source: Hilbe 2011.
//!
//! ```sql
//! SELECT nb_glm_predict([1.5, 0.2], 4.0, [2.0], 19, 0.01) AS verdict
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::columns::{field, numbers_named};
use super::params::{Form, Kind};
use super::scalar::{Function, rows};
use crate::stat::counts::Counts;

const FORM: Form = Form {
    name: "nb_glm_predict",
    params: &[
        ("coefficients", Kind::Doubles),
        ("theta", Kind::Double),
        ("numbers", Kind::Doubles),
        ("count", Kind::Double),
        ("alpha", Kind::Double),
    ],
};

/// A verdict.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Struct(fields()),
    check,
    kernel,
};

fn fields() -> Fields {
    let mut fields = numbers_named(&["expected", "upper", "p"]);
    fields.push(field("alarm", DataType::Boolean));
    fields.into()
}

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    FORM.check_level(arguments, 4)
}

/// Expectation, limit and chance of a count.
type Judged = (f64, f64, f64);

fn judge(coefficients: &[f64], theta: f64, numbers: &[f64], count: f64, alpha: f64) -> Option<Judged> {
    let (constant, slopes) = coefficients.split_first()?;
    let sound = slopes.len() == numbers.len() && theta > 0.0 && count >= 0.0 && count.is_finite();
    if !sound || alpha.is_nan() || alpha <= 0.0 || alpha >= 1.0 {
        return None;
    }
    let eta: f64 = constant
        + slopes
            .iter()
            .zip(numbers)
            .map(|(slope, number)| slope * number)
            .sum::<f64>();
    let mean = eta.exp();
    let counts = match theta.is_finite() {
        true => Counts::NegativeBinomial { mean, size: theta },
        false => Counts::Poisson { mean },
    };
    let found = (mean, counts.upper(alpha), counts.at_least(count.ceil()));
    (found.0 > 0.0 && found.0.is_finite() && found.1.is_finite() && found.2.is_finite()).then_some(found)
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [coefficients, theta, numbers, count, alpha] = take_function_args(FORM.name, arrays)?;
    let (coefficients, numbers) = (coefficients.as_list::<i32>(), numbers.as_list::<i32>());
    let (theta, count, alpha) = (
        as_float64_array(theta)?,
        as_float64_array(count)?,
        as_float64_array(alpha)?,
    );
    let values = |list: ArrayRef| {
        let values = list.as_primitive::<Float64Type>();
        (values.null_count() == 0).then(|| values.values().to_vec())
    };
    let row = |i: usize| {
        let (coefficients, numbers) = (values(coefficients.value(i))?, values(numbers.value(i))?);
        judge(&coefficients, theta.value(i), &numbers, count.value(i), alpha.value(i))
            .map(|found| (found, count.value(i) > found.1))
    };
    let found: Vec<Option<(Judged, bool)>> = rows(arrays, row).collect();
    let number = |of: fn(&Judged) -> f64| -> ArrayRef {
        Arc::new(
            found
                .iter()
                .map(|row| row.as_ref().map(|(found, _)| of(found)))
                .collect::<Float64Array>(),
        )
    };
    let columns: Vec<ArrayRef> = vec![
        number(|found| found.0),
        number(|found| found.1),
        number(|found| found.2),
        Arc::new(BooleanArray::from_iter(
            found.iter().map(|row| row.map(|(_, alarm)| alarm)),
        )),
    ];
    let known = NullBuffer::from_iter(found.iter().map(Option::is_some));
    Ok(Arc::new(StructArray::try_new(fields(), columns, Some(known))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_judged_by_the_model() {
        // exp(1.5 + 0.2 · 2) = 6.686; scipy nbinom(4, 4 / (4 + 6.686)): ppf(0.99) = 20, sf(18) = 0.014116
        let (mean, upper, p) = judge(&[1.5, 0.2], 4.0, &[2.0], 19.0, 0.01).unwrap();
        assert!((mean - 1.9_f64.exp()).abs() < 1e-12);
        assert_eq!(upper, 20.0);
        assert!((p - 0.014_116_076_902_974).abs() < 1e-12, "{p}");
        assert_eq!(judge(&[1.5], 4.0, &[2.0], 19.0, 0.01), None);
        assert_eq!(judge(&[1.5, 0.2], -4.0, &[2.0], 19.0, 0.01), None);
        assert_eq!(judge(&[1.5, 0.2], 4.0, &[2.0], -1.0, 0.01), None);
        assert_eq!(judge(&[900.0, 0.2], 4.0, &[2.0], 1.0, 0.01), None);
        assert!(judge(&[1.5, 0.2], f64::INFINITY, &[2.0], 19.0, 0.01).unwrap().1 < upper);
    }
}
