//! `global_moran(id, value, …, {options}) LIST<STRUCT<units BIGINT, i DOUBLE, expected DOUBLE, variance_normal DOUBLE,
//! variance_random DOUBLE, z DOUBLE, p DOUBLE, p_sim DOUBLE, permutations BIGINT, seed BIGINT, reason VARCHAR>>`
//!
//! Are places like their neighbours at all? One struct for the group; neighbours and options as for `local_moran`. `z`
//! and `p` (two-sided) are those of values in any order, `p_sim` is one-sided. Units without a value are left out.
//! `reason`: flat, for fewer than four units, equal values, or no neighbours. Source: Moran 1950; Cliff and Ord 1981.
//!
//! ```sql
//! SELECT unnest(global_moran(id, n, {'weights': 'queen', 'columns': 3})) AS moran
//! FROM (VALUES (0, 9), (1, 8), (2, 1), (3, 7), (4, 2), (5, 0)) AS t (id, n)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::areal::{Valued, permutations, refused};
use super::around::{self, Around};
use super::columns::{doubles, field, integers, numbers_named, words};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::areal::{Global, Permutations, Reason, global};

/// What is asked.
#[derive(Debug)]
pub(super) struct GlobalMoran {
    around: Around,
    permutations: Permutations,
}

impl Set for GlobalMoran {
    const NAME: &'static str = "global_moran";
    const FORMS: &'static [Columns] = around::OF_ONE;
    const OPTIONS: &'static [&'static str] = &["weights", "columns", "band", "knn", "permutations", "seed"];

    fn of(options: &Options, form: usize) -> Result<Self> {
        Ok(GlobalMoran {
            around: Around::of(options, form)?,
            permutations: permutations(options)?,
        })
    }

    fn fields(_: &[DataType]) -> Fields {
        let mut fields = vec![field("units", DataType::Int64)];
        fields.extend(numbers_named(&[
            "i",
            "expected",
            "variance_normal",
            "variance_random",
            "z",
            "p",
            "p_sim",
        ]));
        fields.push(field("permutations", DataType::Int64));
        fields.push(field("seed", DataType::Int64));
        fields.push(field("reason", DataType::Utf8));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let units = Valued::of(columns)?;
        let neighbours = self.around.among(Self::NAME, &units.ids, &units.rest)?;
        let found = global(&units.values, &neighbours, self.permutations, &work.stop)
            .map_err(|why| refused(Self::NAME, why))?;
        let of = |number: fn(&Global) -> Option<f64>| doubles([found.as_ref().and_then(number)]);
        Ok(vec![
            integers([units.values.len() as i64]),
            of(|moran| Some(moran.i)),
            of(|moran| Some(moran.expected)),
            of(|moran| Some(moran.variance_normal)),
            of(|moran| Some(moran.variance_random)),
            of(|moran| Some(moran.z)),
            of(|moran| Some(moran.p)),
            of(|moran| moran.p_sim),
            integers([i64::from(self.permutations.replications)]),
            integers([self.permutations.seed.cast_signed()]),
            words([found.is_none().then_some(Reason::Flat.word())]),
        ])
    }
}
