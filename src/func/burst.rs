//! `burst(at BIGINT, k BIGINT, within BIGINT) LIST<STRUCT<at BIGINT, n BIGINT>>`
//!
//! The moments at which at least `k` values of the group lie in `at - within ..= at`, each with their number,
//! in rising order; `unnest` makes rows of them. Any integer clock serves (days, seconds), as long as `within`
//! counts the same. NULL values are ignored; a group without a burst is NULL. `k` and `within` are constants,
//! `k` from 1 and `within` from 0 on. It replaces `count(*) OVER (… RANGE BETWEEN INTERVAL … PRECEDING …)`.
//!
//! ```sql
//! SELECT k, unnest(burst(day, 3, 5)) AS burst
//! FROM (VALUES ('a', 1), ('a', 3), ('a', 4), ('b', 9)) AS t (k, day) GROUP BY k
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::collected;
use super::params::{Form, Kind};
use super::values::{list_type, lists_of};
use crate::stat::burst::bursts;

const FORM: Form = Form {
    name: "burst",
    params: &[("at", Kind::BigInt), ("k", Kind::BigInt), ("within", Kind::BigInt)],
};

fn fields() -> Fields {
    let field = |name: &str| Field::new(name, DataType::Int64, false);
    Fields::from(vec![field("at"), field("n")])
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    k: u64,
    within: i64,
}

impl Question {
    fn from_constants(k: &Option<ScalarValue>, within: &Option<ScalarValue>) -> Result<Self> {
        let k = match k {
            Some(ScalarValue::Int64(Some(k))) if *k >= 1 => k.unsigned_abs(),
            other => return Err(FORM.wrong_constant("k as a constant from 1 on", other.as_ref())),
        };
        match within {
            Some(ScalarValue::Int64(Some(within))) if *within >= 0 => Ok(Self { k, within: *within }),
            other => Err(FORM.wrong_constant("within as a constant from 0 on", other.as_ref())),
        }
    }
}

impl collected::Question for Question {
    const FORM: Form = FORM;

    fn of(args: &AccumulatorArgs) -> Result<Self> {
        Self::from_constants(&collected::constant(args, 1), &collected::constant(args, 2))
    }

    fn returns(_arg_types: &[DataType]) -> Result<DataType> {
        Ok(list_type(fields()))
    }

    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef> {
        let (mut ends, mut moments, mut held) = (vec![0], Vec::new(), Vec::new());
        for run in starts.windows(2) {
            bursts(&mut values[run[0]..run[1]], self.k, self.within, |at, n| {
                moments.push(at);
                held.push(n.cast_signed());
            });
            ends.push(moments.len());
        }
        lists_of(
            fields(),
            vec![Arc::new(Int64Array::from(moments)), Arc::new(Int64Array::from(held))],
            &ends,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_mean_nothing_are_refused_with_the_name_of_the_argument() {
        let number = |number| Some(ScalarValue::Int64(Some(number)));
        for (k, within, word) in [
            (number(0), number(3), "burst: expected k"),
            (None, number(3), "burst: expected k"),
            (number(2), number(-1), "burst: expected within"),
            (number(2), Some(ScalarValue::Int64(None)), "burst: expected within"),
        ] {
            let text = Question::from_constants(&k, &within).unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        }
    }
}
