//! `heaping(value BIGINT, base BIGINT) STRUCT<n BIGINT, multiples BIGINT, share DOUBLE, index DOUBLE, z DOUBLE>`
//!
//! Are values rounded by hand? How many are multiples of `base` (minutes of 5, ages of 10), against one in `base` that chance
//! has. `index` is Whipple's, 100 without heaping and 100 times `base` where all values are multiples; `z` is the excess in
//! standard deviations. NULL values are ignored; a group without a value is NULL. `base` is a constant from 2 on. Source:
//! Whipple 1919; United Nations 1955.
//!
//! ```sql
//! SELECT heaping(minutes, 5) AS rounded FROM (VALUES (5), (10), (12), (15), (30), (31)) AS t (minutes)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::collected;
use super::columns::{field, numbers_named};
use super::params::{Form, Kind};

const FORM: Form = Form {
    name: "heaping",
    params: &[("value", Kind::BigInt), ("base", Kind::BigInt)],
};

fn fields() -> Fields {
    let mut fields = vec![field("n", DataType::Int64), field("multiples", DataType::Int64)];
    fields.extend(numbers_named(&["share", "index", "z"]));
    fields.into()
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question(i64);

impl Question {
    fn from_constant(base: &Option<ScalarValue>) -> Result<Self> {
        match base {
            Some(ScalarValue::Int64(Some(base))) if *base >= 2 => Ok(Question(*base)),
            other => Err(FORM.wrong_constant("base as a constant from 2 on", other.as_ref())),
        }
    }
}

impl collected::Question for Question {
    const FORM: Form = FORM;

    fn of(args: &AccumulatorArgs) -> Result<Self> {
        Self::from_constant(&collected::constant(args, 1))
    }

    fn returns(_arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef> {
        let base = self.0 as f64;
        let runs: Vec<Option<(i64, i64)>> = starts
            .windows(2)
            .map(|run| {
                let values = &values[run[0]..run[1]];
                let multiples = values.iter().filter(|value| *value % self.0 == 0).count();
                (!values.is_empty()).then_some((values.len() as i64, multiples as i64))
            })
            .collect();
        let number = |of: &dyn Fn(f64, f64) -> f64| -> ArrayRef {
            let row = |run: &Option<(i64, i64)>| run.map(|(n, multiples)| of(n as f64, multiples as f64));
            Arc::new(runs.iter().map(row).collect::<Float64Array>())
        };
        let chance = 1.0 / base;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(runs.iter().map(|run| run.map(|(n, _)| n)).collect::<Int64Array>()),
            Arc::new(
                runs.iter()
                    .map(|run| run.map(|(_, multiples)| multiples))
                    .collect::<Int64Array>(),
            ),
            number(&|n, multiples| multiples / n),
            number(&|n, multiples| 100.0 * base * multiples / n),
            number(&|n, multiples| (multiples - n * chance) / (n * chance * (1.0 - chance)).sqrt()),
        ];
        let known = NullBuffer::from_iter(runs.iter().map(Option::is_some));
        Ok(Arc::new(StructArray::try_new(fields(), columns, Some(known))?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::cast::{as_float64_array, as_struct_array};

    use super::super::collected::Question as _;
    use super::*;

    #[test]
    fn multiples_are_held_against_chance() {
        let mut values = [5, 10, 12, 15, 30, 31, -5];
        let answer = Question(5).answer(&[0, 6, 6, 7], &mut values).unwrap();
        let answer = as_struct_array(&answer).unwrap();
        let number = |name: &str| as_float64_array(answer.column_by_name(name).unwrap()).unwrap();
        assert!((number("share").value(0) - 4.0 / 6.0).abs() < 1e-15);
        assert!((number("index").value(0) - 1_000.0 / 3.0).abs() < 1e-12);
        assert!((number("z").value(0) - 2.8 / 0.96_f64.sqrt()).abs() < 1e-12);
        assert!(datafusion::arrow::array::Array::is_null(answer, 1));
        assert_eq!(number("share").value(2), 1.0);
        assert!(Question::from_constant(&Some(ScalarValue::Int64(Some(1)))).is_err());
    }
}
