//! `scan_permutation(place, x DOUBLE, y DOUBLE, day, events BIGINT, {options}) LIST<STRUCT<rank BIGINT, centre, members LIST,
//! first_day BIGINT, last_day BIGINT, days BIGINT, observed BIGINT, expected DOUBLE, ratio DOUBLE, llr DOUBLE, p DOUBLE,
//! p_gumbel DOUBLE, recurrence_days DOUBLE, reps BIGINT, seed BIGINT>>`
//!
//! Where, how wide and since when is something emerging, where no population is known? What each place and each day has as
//! a rule cancels out. A row is a place and day; a pair without a row has no event, and the newest day is that of the
//! analysis, so give it a row with 0 events where nothing came. `place` is BIGINT or VARCHAR, with one `x, y` in metres
//! (with `metric` 'sphere' longitude and latitude); `day` BIGINT or DATE, in the answer days since 1970-01-01 where it
//! was a date. Options: `max_days` (7), `max_share` of all events in a circle (0.5), `max_radius`, `reps` (999), `seed`
//! (1), `every_days` between two analyses (1), `clusters` that are told (10). Clusters share no place. `p` is that of the
//! replications, `p_gumbel` reaches below 1 / (reps + 1); `recurrence_days`: once in so many days one as good comes by
//! chance. Two or more events, never fewer, make a cluster. A shape of the week that differs by place is not cancelled:
//! stratify. Several calls on one incident are a cluster of their own: count incidents. Source: Kulldorff et al. 2005;
//! Abrams, Kleinman and Kulldorff 2010.
//!
//! ```sql
//! SELECT unnest(scan_permutation(place, x, y, day, n, {'max_days': 2, 'reps': 99})) AS cluster
//! FROM (VALUES ('a', 0, 0, 1, 2), ('a', 0, 0, 4, 9), ('b', 900, 0, 1, 8), ('b', 900, 0, 3, 7)) AS t (place, x, y, day, n)
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
pub(super) struct ScanPermutation(Asked);

impl Set for ScanPermutation {
    const NAME: &'static str = "scan_permutation";
    const FORMS: &'static [Columns] = &[&[
        ("place", Of::Id),
        ("x", Of::Number),
        ("y", Of::Number),
        ("day", Of::Day),
        ("events", Of::Whole),
    ]];
    const OPTIONS: &'static [&'static str] = &scan::OPTIONS;

    fn of(options: &Options, _form: usize) -> Result<Self> {
        Asked::of(options, Model::Permutation).map(Self)
    }

    fn fields(types: &[DataType]) -> Fields {
        scan::fields(types)
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        self.0.clusters(Self::NAME, columns, work)
    }
}
