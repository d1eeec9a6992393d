//! `capture_curve(cell, score DOUBLE, events DOUBLE, area DOUBLE) LIST<STRUCT<area_share DOUBLE, event_share DOUBLE, auc DOUBLE,
//! gini DOUBLE, rank_correlation DOUBLE>>`
//!
//! How much of what came would each budget have caught? Rows as for `pai`; one struct after each cell of the ranking, from
//! (0, 0) to (1, 1). `auc` is the area under the curve by trapezoids (0.5 for scores that say nothing), `gini` 2 auc - 1,
//! `rank_correlation` Spearman's of scores and events; the three are the same in every row. Without an event there is one
//! row with NULL. Source: Swets 1988; White, Hunt and Green 2023.
//!
//! ```sql
//! SELECT unnest(capture_curve(cell, score, events, km2)) AS point
//! FROM (VALUES (1, 9.0, 4, 0.1), (2, 7.0, 0, 0.1), (3, 5.0, 3, 0.1), (4, 1.0, 1, 0.1)) AS t (cell, score, events, km2)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::backtest::{FORMS, backtest};
use super::columns::{doubles, numbers_named};
use super::gathered::{Columns, Set, Work};
use super::options::Options;

/// What is asked.
#[derive(Debug)]
pub(super) struct CaptureCurve;

impl Set for CaptureCurve {
    const NAME: &'static str = "capture_curve";
    const FORMS: &'static [Columns] = FORMS;
    const OPTIONS: &'static [&'static str] = &[];

    fn of(_options: &Options, _form: usize) -> Result<Self> {
        Ok(CaptureCurve)
    }

    fn fields(_: &[DataType]) -> Fields {
        numbers_named(&["area_share", "event_share", "auc", "gini", "rank_correlation"]).into()
    }

    fn answer(&self, columns: &[ArrayRef], _work: &Work) -> Result<Vec<ArrayRef>> {
        let backtest = backtest(Self::NAME, columns)?;
        let curve: Vec<Option<(f64, f64)>> = match backtest.curve() {
            Some(curve) => curve.into_iter().map(Some).collect(),
            None => vec![None],
        };
        let all = |value: Option<f64>| doubles(std::iter::repeat_n(value, curve.len()));
        Ok(vec![
            doubles(curve.iter().map(|point| point.map(|(area, _)| area))),
            doubles(curve.iter().map(|point| point.map(|(_, events)| events))),
            all(backtest.auc()),
            all(backtest.gini()),
            all(backtest.rank_correlation()),
        ])
    }
}
