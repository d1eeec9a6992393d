//! `mclp(demand, weight DOUBLE, site, cost DOUBLE, {options}) LIST<STRUCT<rank BIGINT, site, fixed BOOLEAN, gain DOUBLE, gained
//! DOUBLE, total DOUBLE, objective DOUBLE, bound DOUBLE, gap DOUBLE, unserved BIGINT>>`
//!
//! With `p` posts, how much demand can be reached in time, and from where? (Maximal covering location.) A row is a demand
//! point and a site that might serve it, at a `cost` such as minutes; only pairs worth looking at need a row, and a demand
//! point without any has one with a NULL site. `demand` and `site` are BIGINT or VARCHAR; a demand point has one `weight`.
//! Options: `p`, the number of sites, the fixed ones among them; `within`, the highest cost that still covers; `fixed`, a
//! list of sites that are open anyway; `seed` (1). One struct for each site, the fixed ones first, then by `gain`; `gained`
//! adds gains up. `objective` is the weight covered, no set of sites covers more than `bound`, `gap` is their distance
//! as a share. Sets with one objective are many. Weighted by calls alone posts leave the country: look at each county's
//! share too. Source: Church and ReVelle 1974.
//!
//! ```sql
//! SELECT unnest(mclp(demand, calls, post, minutes, {'p': 1, 'within': 3})) AS post
//! FROM (VALUES ('a', 9, 'n', 2.0), ('b', 5, 'n', 2.5), ('b', 5, 's', 1.0), ('c', 3, 's', 2.0))
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
pub(super) struct Mclp {
    p: usize,
    within: f64,
    fixed: Fixed,
    seed: u64,
}

impl Set for Mclp {
    const NAME: &'static str = "mclp";
    const FORMS: &'static [Columns] = coverage::FORMS;
    const OPTIONS: &'static [&'static str] = &["p", "within", "fixed", "seed"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        if !options.has("p") || !options.has("within") {
            return Err(options.error("p, the number of sites, and within, the highest cost", "none"));
        }
        Ok(Mclp {
            p: usize::try_from(options.whole("p", 1, 1, MOST_SITES)?).unwrap_or(1),
            within: options.number("within", 0.0, "a cost of 0 or more", |cost| cost >= 0.0)?,
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
        let placed = crate::stat::coverage::mclp(&rows.problem, self.p, self.within, self.seed, &work.stop);
        rows.answer(
            &placed.map_err(|_| stopped(Self::NAME))?,
            coverage::total(demand, Some(weight)),
        )
    }
}
