//! `p_median(demand, weight DOUBLE, site, cost DOUBLE, {options}) LIST<STRUCT<rank BIGINT, site, fixed BOOLEAN, gain DOUBLE,
//! gained DOUBLE, total DOUBLE, objective DOUBLE, bound DOUBLE, gap DOUBLE, unserved BIGINT>>`
//!
//! With `p` posts, where is the way to all demand shortest? Rows as for `mclp`. Options: `p`; `beyond`, the cost of demand
//! that no open site has a row with (the highest cost of all rows); `fixed`, sites that are open anyway; `seed` (1).
//! `objective` is the sum of weight times cost to the nearest open site, less than `bound` cannot be; `gain` is what a
//! site saves, `unserved` counts demand points without a row with an open site. Source: Hakimi 1964.
//!
//! ```sql
//! SELECT unnest(p_median(demand, calls, post, minutes, {'p': 1})) AS post
//! FROM (VALUES ('a', 9, 'n', 2.0), ('a', 9, 's', 4.0), ('b', 5, 'n', 2.5), ('b', 5, 's', 1.0))
//!   AS t (demand, calls, post, minutes)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::coverage::{self, Fixed, MOST_SITES, Rows};
use super::gathered::{Columns, Set, Work, stopped};
use super::options::Options;

/// What is asked.
#[derive(Debug)]
pub(super) struct PMedian {
    p: usize,
    beyond: f64,
    fixed: Fixed,
    seed: u64,
}

impl Set for PMedian {
    const NAME: &'static str = "p_median";
    const FORMS: &'static [Columns] = coverage::FORMS;
    const OPTIONS: &'static [&'static str] = &["p", "beyond", "fixed", "seed"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        if !options.has("p") {
            return Err(options.error("p, the number of sites", "none"));
        }
        Ok(PMedian {
            p: usize::try_from(options.whole("p", 1, 1, MOST_SITES)?).unwrap_or(1),
            beyond: options.number("beyond", 0.0, "a cost of 0 or more", |cost| cost >= 0.0)?,
            fixed: Fixed::of(options)?,
            seed: options.seed()?,
        })
    }

    fn fields(types: &[DataType]) -> Fields {
        coverage::fields(&types[2])
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let [demand, weight, site, cost] = columns else {
            return Ok(Vec::new());
        };
        let rows = Rows::of(Self::NAME, demand, Some(weight), [site, cost], &self.fixed)?;
        let placed = crate::stat::coverage::p_median(&rows.problem, self.p, self.beyond, self.seed, &work.stop);
        rows.answer(
            &placed.map_err(|_| stopped(Self::NAME))?,
            coverage::total(demand, Some(weight)),
        )
    }
}
