//! `percentile(value BIGINT, level DOUBLE) DOUBLE`
//! `percentile(value BIGINT, levels LIST<DOUBLE>) LIST<DOUBLE>`
//!
//! Exact, type 7 like `percentile_cont`, all levels from one pass; the list form answers in the
//! order asked. NULL values are ignored; an empty group is NULL (the whole list, not its items).
//! Levels are constants in 0..=1. It deliberately keeps no sketch and has no DISTINCT, and it does
//! not slide: as a window function it takes frames that only grow.
//!
//! ```sql
//! SELECT percentile(seconds, [0.5, 0.9]) AS half_and_most FROM (VALUES (60), (62), (65), (70), (4000)) AS t (seconds)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, ListArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::cast::as_float64_array;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;

use super::collected;
use super::params::{Form, Kind};
use super::values::offsets;
use crate::stat::percentile::Levels;

const FORM: Form = Form {
    name: "percentile",
    params: &[("value", Kind::BigInt), ("levels", Kind::DoubleOrList)],
};

/// What is asked: the levels, and whether the answer is a list.
#[derive(Debug)]
pub(super) struct Question {
    pub levels: Levels,
    pub list: bool,
}

impl Question {
    fn from_constant(constant: &ScalarValue) -> Result<Self> {
        let (levels, list) = match constant {
            ScalarValue::Float64(Some(level)) => (vec![*level], false),
            ScalarValue::List(lists) if lists.len() == 1 && lists.is_valid(0) => {
                let items = lists.value(0);
                let items = as_float64_array(&items)?;
                if items.null_count() > 0 {
                    return Err(FORM.error("levels between 0 and 1", "NULL among them"));
                }
                (items.values().to_vec(), true)
            }
            other => return Err(FORM.error("levels as DOUBLE or LIST<DOUBLE>", &other.to_string())),
        };
        let levels = Levels::new(levels).map_err(|e| DataFusionError::Plan(format!("{}: {e}", FORM.name)))?;
        Ok(Self { levels, list })
    }
}

impl collected::Question for Question {
    const FORM: Form = FORM;

    fn of(args: &AccumulatorArgs) -> Result<Self> {
        match collected::constant(args, 1) {
            Some(levels) => Self::from_constant(&levels),
            None => Err(FORM.error(
                "levels as a constant such as 0.9 or make_array(0.5, 0.9)",
                "an expression of columns",
            )),
        }
    }

    fn returns(arg_types: &[DataType]) -> Result<DataType> {
        match FORM.coerce(arg_types)?.pop() {
            Some(levels) => Ok(levels),
            None => Err(FORM.error("levels", "none")),
        }
    }

    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef> {
        let mut row = vec![0.0; self.levels.count()];
        let (mut answers, mut known) = (Vec::new(), Vec::with_capacity(starts.len()));
        for run in starts.windows(2) {
            let some = self.levels.of(&mut values[run[0]..run[1]], &mut row);
            // a NULL list has no items, while a NULL number still has its place
            if some || !self.list {
                answers.extend_from_slice(&row);
            }
            known.push(some);
        }
        if !self.list {
            return Ok(Arc::new(Float64Array::new(
                answers.into(),
                Some(NullBuffer::from(known)),
            )));
        }
        let mut ends = vec![0];
        ends.extend(known.iter().scan(0, |end, some| {
            *end += if *some { row.len() } else { 0 };
            Some(*end)
        }));
        let item = Arc::new(Field::new_list_field(DataType::Float64, true));
        let items = Arc::new(Float64Array::from(answers));
        Ok(Arc::new(ListArray::try_new(
            item,
            offsets(&ends)?,
            items,
            Some(NullBuffer::from(known)),
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_are_no_levels_are_refused_with_the_name_of_the_function() {
        for wrong in [
            ScalarValue::Float64(Some(90.0)),
            ScalarValue::Float64(None),
            ScalarValue::Int64(Some(1)),
        ] {
            let text = Question::from_constant(&wrong).map(|_| ()).unwrap_err().to_string();
            assert!(text.contains("percentile: expected"), "{text}");
        }
    }
}
