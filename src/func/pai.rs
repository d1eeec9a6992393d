//! `pai(cell, score DOUBLE, events DOUBLE, area DOUBLE, {options}) LIST<STRUCT<share DOUBLE, cells BIGINT, area DOUBLE,
//! captured DOUBLE, hit_rate DOUBLE, pai DOUBLE, cells_best BIGINT, captured_best DOUBLE, pai_best DOUBLE, pei DOUBLE,
//! pei_star_same_budget DOUBLE, pei_star_range DOUBLE, events_by_area DOUBLE>>`
//!
//! Did yesterday's map work? A row is a cell with the score it had, the events that came afterwards, and its area. Cells are
//! taken by falling score, equal ones by rising `cell`, as long as their area is within a share of the whole. PAI is the
//! share of events by the share of area (Chainey, Tompson and Uhlig 2008), PEI the events caught by those of the best
//! ranking with the same budget, PEI* the PAI by the best one: with the same budget, or over all budgets of a range
//! (White, Hunt and Green 2023). Options: `shares` ([0.01, 0.02, 0.05, 0.1, 0.2]), `range` ([0.01, 0.05]). Set the budget
//! to what patrols can visit: PAI grows without end as the area shrinks. The score must know nothing that was not known
//! then (`known_at`), and stand beside two dull maps: last year's counts, and `kde`.
//!
//! ```sql
//! SELECT unnest(pai(cell, score, events, km2, {'shares': [0.5]})) AS budget
//! FROM (VALUES (1, 9.0, 4, 0.1), (2, 7.0, 0, 0.1), (3, 5.0, 3, 0.1), (4, 1.0, 1, 0.1)) AS t (cell, score, events, km2)
//! ```

use std::ops::RangeInclusive;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::backtest::{FORMS, backtest, shares};
use super::columns::{doubles, field, integers, numbers_named};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::backtest::Caught;

/// What is asked.
#[derive(Debug)]
pub(super) struct Pai {
    shares: Vec<f64>,
    range: RangeInclusive<f64>,
}

impl Set for Pai {
    const NAME: &'static str = "pai";
    const FORMS: &'static [Columns] = FORMS;
    const OPTIONS: &'static [&'static str] = &["shares", "range"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        let range = match options.numbers("range", &[0.01, 0.05])?[..] {
            [from, to] if from > 0.0 && from <= to && to <= 1.0 => from..=to,
            ref other => {
                return Err(options.error(
                    "range as two rising shares, above 0 and at most 1",
                    &format!("{other:?}"),
                ));
            }
        };
        Ok(Pai {
            shares: shares(options)?,
            range,
        })
    }

    fn fields(_: &[DataType]) -> Fields {
        let mut fields = numbers_named(&["share"]);
        fields.push(field("cells", DataType::Int64));
        fields.extend(numbers_named(&["area", "captured", "hit_rate", "pai"]));
        fields.push(field("cells_best", DataType::Int64));
        fields.extend(numbers_named(&[
            "captured_best",
            "pai_best",
            "pei",
            "pei_star_same_budget",
            "pei_star_range",
            "events_by_area",
        ]));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], _work: &Work) -> Result<Vec<ArrayRef>> {
        let backtest = backtest(Self::NAME, columns)?;
        let found: Vec<Caught> = self
            .shares
            .iter()
            .map(|share| backtest.within(*share, &self.range))
            .collect();
        let of = |number: fn(&Caught) -> Option<f64>| doubles(found.iter().map(number));
        let count = |number: fn(&Caught) -> usize| integers(found.iter().map(|caught| number(caught) as i64));
        Ok(vec![
            doubles(self.shares.iter().copied().map(Some)),
            count(|caught| caught.cells),
            of(|caught| Some(caught.area)),
            of(|caught| Some(caught.captured)),
            of(|caught| caught.hit_rate),
            of(|caught| caught.pai),
            count(|caught| caught.cells_best),
            of(|caught| Some(caught.captured_best)),
            of(|caught| caught.pai_best),
            of(|caught| caught.pei),
            of(|caught| caught.pei_star_same_budget),
            of(|caught| caught.pei_star_range),
            of(|caught| caught.events_by_area),
        ])
    }
}
