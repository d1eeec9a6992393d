//! `lscp(demand, site, cost DOUBLE, {options}) LIST<STRUCT<rank BIGINT, site, fixed BOOLEAN, gain DOUBLE, gained DOUBLE,
//! total DOUBLE, objective DOUBLE, bound DOUBLE, gap DOUBLE, unserved BIGINT>>`
//!
//! How few posts reach everything in time? (Location set covering.) Rows as for `mclp`, without weights. Options: `within`,
//! the highest cost that still covers; `fixed`, sites that are open anyway; `seed` (1). `objective` is the number of sites,
//! fewer than `bound` cannot do; `gain` counts demand points, `unserved` those that no site covers at all, which is told
//! and fails nothing. Source: Toregas et al. 1971.
//!
//! ```sql
//! SELECT unnest(lscp(demand, post, minutes, {'within': 3})) AS post
//! FROM (VALUES ('a', 'n', 2.0), ('b', 'n', 2.5), ('b', 's', 1.0), ('c', 's', 9.0)) AS t (demand, post, minutes)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::coverage::{self, Fixed, Rows};
use super::gathered::{Columns, Of, Set, Work, stopped};
use super::options::Options;

/// What is asked.
#[derive(Debug)]
pub(super) struct Lscp {
    within: f64,
    fixed: Fixed,
    seed: u64,
}

impl Set for Lscp {
    const NAME: &'static str = "lscp";
    const FORMS: &'static [Columns] = &[&[("demand", Of::Id), ("site", Of::Id), ("cost", Of::Number)]];
    const OPTIONS: &'static [&'static str] = &["within", "fixed", "seed"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        if !options.has("within") {
            return Err(options.error("within, the highest cost", "none"));
        }
        Ok(Lscp {
            within: options.number("within", 0.0, "a cost of 0 or more", |cost| cost >= 0.0)?,
            fixed: Fixed::of(options)?,
            seed: options.seed()?,
        })
    }

    fn fields(types: &[DataType]) -> Fields {
        coverage::fields(&types[1])
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let [demand, site, cost] = columns else {
            return Ok(Vec::new());
        };
        let rows = Rows::of(Self::NAME, demand, None, [site, cost], &self.fixed)?;
        let placed = crate::stat::coverage::lscp(&rows.problem, self.within, self.seed, &work.stop);
        rows.answer(&placed.map_err(|_| stopped(Self::NAME))?, coverage::total(demand, None))
    }
}
