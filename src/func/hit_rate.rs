//! `hit_rate(cell, score DOUBLE, events DOUBLE, area DOUBLE, {options}) LIST<STRUCT<share DOUBLE, cells BIGINT, captured DOUBLE,
//! hit_rate DOUBLE, lower DOUBLE, upper DOUBLE>>`
//!
//! Which share of the events lay in the cells that were advised? Rows and the option `shares` as for `pai`; `lower` and
//! `upper` are Wilson's interval at 95 %, as if events came alone, and NULL where events are no whole numbers. It says
//! nothing of the area: use `pai`. Source: Wilson 1927.
//!
//! ```sql
//! SELECT unnest(hit_rate(cell, score, events, km2, {'shares': [0.5]})) AS budget
//! FROM (VALUES (1, 9.0, 4, 0.1), (2, 7.0, 0, 0.1), (3, 5.0, 3, 0.1), (4, 1.0, 1, 0.1)) AS t (cell, score, events, km2)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::backtest::{FORMS, backtest, shares};
use super::columns::{doubles, field, integers, numbers_named};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::backtest::Caught;
use crate::stat::interval::wilson;

const LEVEL: f64 = 0.95;
/// The largest number that is a count with a number of its own beside it, 2⁵³.
const MOST: f64 = 9_007_199_254_740_992.0;

/// What is asked.
#[derive(Debug)]
pub(super) struct HitRate(Vec<f64>);

/// Wilson's interval of the share that was caught.
fn interval(caught: &Caught) -> Option<(f64, f64)> {
    let all = caught.captured / caught.hit_rate?;
    // the share is the quotient of both counts: their product is the other count but for its rounding
    let whole = |count: f64| ((count - count.round()).abs() < 1e-6 && count < MOST).then(|| count.round() as i64);
    wilson(whole(caught.captured)?, whole(all)?, LEVEL)
}

impl Set for HitRate {
    const NAME: &'static str = "hit_rate";
    const FORMS: &'static [Columns] = FORMS;
    const OPTIONS: &'static [&'static str] = &["shares"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        shares(options).map(Self)
    }

    fn fields(_: &[DataType]) -> Fields {
        let mut fields = numbers_named(&["share"]);
        fields.push(field("cells", DataType::Int64));
        fields.extend(numbers_named(&["captured", "hit_rate", "lower", "upper"]));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], _work: &Work) -> Result<Vec<ArrayRef>> {
        let backtest = backtest(Self::NAME, columns)?;
        let found: Vec<Caught> = self
            .0
            .iter()
            .map(|share| backtest.within(*share, &(0.0..=1.0)))
            .collect();
        Ok(vec![
            doubles(self.0.iter().copied().map(Some)),
            integers(found.iter().map(|caught| caught.cells as i64)),
            doubles(found.iter().map(|caught| Some(caught.captured))),
            doubles(found.iter().map(|caught| caught.hit_rate)),
            doubles(found.iter().map(|caught| interval(caught).map(|(lower, _)| lower))),
            doubles(found.iter().map(|caught| interval(caught).map(|(_, upper)| upper))),
        ])
    }
}
