//! `scan_poisson(place, x DOUBLE, y DOUBLE, population DOUBLE, day, events BIGINT, {options}) LIST<STRUCT<…>>`
//!
//! Where, how wide and since when are there more events than the population makes expect? Rows, options and answer as for
//! `scan_permutation`; a place has one `population` (0 or more), and `max_share` is a share of it. With the option
//! `by_day` (false) each day's total is taken as given and only its division among places is judged; its replications
//! draw place and day by what is expected of both, as SaTScan does for a time trend without a form. Say in the name of
//! the column whose population it is: by residents, stations and malls are always a cluster. Source: Kulldorff 1997 and
//! 2001.
//!
//! ```sql
//! SELECT unnest(scan_poisson(place, x, y, people, day, n, {'max_days': 2, 'reps': 99})) AS cluster
//! FROM (VALUES ('a', 0, 0, 500, 4, 9), ('b', 900, 0, 800, 1, 2), ('b', 900, 0, 800, 3, 1))
//!   AS t (place, x, y, people, day, n)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::gathered::{Columns, Of, Set, Work};
use super::options::Options;
use super::scan::{self, Asked};
use crate::stat::scan::Model;

/// What is asked.
#[derive(Debug)]
pub(super) struct ScanPoisson(Asked);

impl Set for ScanPoisson {
    const NAME: &'static str = "scan_poisson";
    const FORMS: &'static [Columns] = &[&[
        ("place", Of::Id),
        ("x", Of::Number),
        ("y", Of::Number),
        ("population", Of::Number),
        ("day", Of::Day),
        ("events", Of::Whole),
    ]];
    const OPTIONS: &'static [&'static str] = &[
        "max_days",
        "max_share",
        "max_radius",
        "metric",
        "reps",
        "seed",
        "every_days",
        "clusters",
        "by_day",
    ];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        let model = match options.flag("by_day", false)? {
            true => Model::PoissonByDay,
            false => Model::Poisson,
        };
        Asked::of(options, model).map(Self)
    }

    fn fields(types: &[DataType]) -> Fields {
        scan::fields(types)
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        self.0.clusters(Self::NAME, columns, work)
    }
}
