//! `median_absolute_deviation(value BIGINT) DOUBLE`
//!
//! The median of the distances to the median: how far values usually lie from the middle, whatever a few of them do. Exact;
//! times 1.4826 it is the standard deviation of normal values. NULL values are ignored; a group without a value is NULL.
//! Source: Hampel 1974.
//!
//! ```sql
//! SELECT median_absolute_deviation(seconds) AS mad FROM (VALUES (60), (62), (65), (70), (4000)) AS t (seconds)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::collected;
use super::params::{Form, Kind};
use crate::stat::percentile::median_absolute_deviation;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question;

impl collected::Question for Question {
    const FORM: Form = Form {
        name: "median_absolute_deviation",
        params: &[("value", Kind::BigInt)],
    };

    fn of(_args: &AccumulatorArgs) -> Result<Self> {
        Ok(Question)
    }

    fn returns(_arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef> {
        let run = |run: &[usize]| median_absolute_deviation(&mut values[run[0]..run[1]]);
        let answers: Float64Array = starts.windows(2).map(run).collect();
        Ok(Arc::new(answers))
    }
}
