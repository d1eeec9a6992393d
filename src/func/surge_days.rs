//! `surge_days(day BIGINT, previous BIGINT) LIST<STRUCT<day BIGINT, n BIGINT, mean DOUBLE, sd DOUBLE>>`
//!
//! One value is one event on the day it names. For every day with an event: their number, and mean and sample
//! standard deviation of the `previous` days just before it, days without an event counted as zero, also those
//! before the first of the group. Sums are exact integers, so equal days have a deviation of exactly 0.
//! Days in rising order; `unnest` makes rows of them. NULL values are ignored; a group without a value is
//! NULL, and so is `sd` where `previous` is 1. `previous` is a constant from 1 to 3660. It replaces
//! `stddev(…) OVER (… RANGE BETWEEN … PRECEDING …)`, whose sliding sums are wrong in the last digits.
//!
//! ```sql
//! SELECT unnest(surge_days(day, 7)) AS surge FROM (VALUES (1), (1), (3), (9), (9), (9)) AS t (day)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::collected;
use super::params::{Form, Kind};
use super::values::{list_type, lists_of};
use crate::stat::surge::surges;

const FORM: Form = Form {
    name: "surge_days",
    params: &[("day", Kind::BigInt), ("previous", Kind::BigInt)],
};
/// Ten years: more days than any baseline takes.
const MOST_DAYS: i64 = 3660;

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("day", DataType::Int64, false),
        Field::new("n", DataType::Int64, false),
        Field::new("mean", DataType::Float64, false),
        Field::new("sd", DataType::Float64, true),
    ])
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    previous: u32,
}

impl Question {
    fn from_constant(previous: &Option<ScalarValue>) -> Result<Self> {
        match previous {
            Some(ScalarValue::Int64(Some(previous))) if (1..=MOST_DAYS).contains(previous) => Ok(Self {
                previous: u32::try_from(*previous).unwrap_or(1),
            }),
            other => Err(FORM.wrong_constant("previous as a constant from 1 to 3660", other.as_ref())),
        }
    }
}

impl collected::Question for Question {
    const FORM: Form = FORM;

    fn of(args: &AccumulatorArgs) -> Result<Self> {
        Self::from_constant(&collected::constant(args, 1))
    }

    fn returns(_arg_types: &[DataType]) -> Result<DataType> {
        Ok(list_type(fields()))
    }

    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef> {
        let (mut ends, mut days, mut counts) = (vec![0], Vec::new(), Vec::new());
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for run in starts.windows(2) {
            surges(&mut values[run[0]..run[1]], self.previous, |surge| {
                days.push(surge.day);
                counts.push(surge.n.cast_signed());
                means.push(surge.mean);
                deviations.push(surge.sd);
            });
            ends.push(days.len());
        }
        lists_of(
            fields(),
            vec![
                Arc::new(Int64Array::from(days)),
                Arc::new(Int64Array::from(counts)),
                Arc::new(Float64Array::from(means)),
                Arc::new(Float64Array::from(deviations)),
            ],
            &ends,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_of_no_days_or_of_more_than_ten_years_is_refused() {
        for wrong in [Some(0), Some(-1), Some(4000), None] {
            let text = Question::from_constant(&Some(ScalarValue::Int64(wrong)))
                .unwrap_err()
                .to_string();
            assert!(text.contains("surge_days: expected previous"), "{text}");
        }
        assert!(
            Question::from_constant(&None)
                .unwrap_err()
                .to_string()
                .contains("an expression of columns")
        );
    }
}
