//! `local_moran(id, value, …, {options}) LIST<STRUCT<id, value DOUBLE, neighbours BIGINT, i DOUBLE, quadrant VARCHAR,
//! expected DOUBLE, variance DOUBLE, z DOUBLE, p DOUBLE, q DOUBLE, p_sim DOUBLE, reason VARCHAR>>`
//!
//! Which places are like their neighbours, which stand out? One struct for each unit of the group; neighbours are given
//! as for `gi_star`, those of a unit weigh alike. `quadrant`: HH high among high, LH low among high, LL, HL. `expected`
//! and `variance` are conditional on the unit's value (Sokal 1998), `p` two-sided, `q` the false discovery rate over all
//! units of the group. Options: those of `gi_star` without `with_self`; `p_sim` needs `permutations` and is one-sided.
//! `reason`: unknown, island, flat. Source: Anselin 1995; Sokal, Oden and Thomson 1998.
//!
//! ```sql
//! SELECT unnest(local_moran(id, n, x, y, {'knn': 2})) AS place
//! FROM (VALUES ('a', 9, 0, 0), ('b', 8, 1, 0), ('c', 1, 5, 5), ('d', 2, 6, 5)) AS t (id, n, x, y)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::areal::{Valued, permutations, refused};
use super::around::{self, Around};
use super::columns::{doubles, field, numbers_named, words};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::areal::{Local, Permutations, local};
use crate::stat::rates::discovery;

/// What is asked.
#[derive(Debug)]
pub(super) struct LocalMoran {
    around: Around,
    permutations: Permutations,
}

impl Set for LocalMoran {
    const NAME: &'static str = "local_moran";
    const FORMS: &'static [Columns] = around::OF_ONE;
    const OPTIONS: &'static [&'static str] = &["weights", "columns", "band", "knn", "permutations", "seed"];

    fn of(options: &Options, form: usize) -> Result<Self> {
        Ok(LocalMoran {
            around: Around::of(options, form)?,
            permutations: permutations(options)?,
        })
    }

    fn fields(types: &[DataType]) -> Fields {
        let mut fields = vec![
            field("id", types[0].clone()),
            field("value", DataType::Float64),
            field("neighbours", DataType::Int64),
            field("i", DataType::Float64),
            field("quadrant", DataType::Utf8),
        ];
        fields.extend(numbers_named(&["expected", "variance", "z", "p", "q", "p_sim"]));
        fields.push(field("reason", DataType::Utf8));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let units = Valued::of(columns)?;
        let neighbours = self.around.among(Self::NAME, &units.ids, &units.rest)?;
        let found =
            local(&units.values, &neighbours, self.permutations, &work.stop).map_err(|why| refused(Self::NAME, why))?;
        let rows = units.rows(&found);
        let p: Vec<Option<f64>> = rows.iter().map(|row| row.ok().map(|local| local.p)).collect();
        let of = |number: fn(&Local) -> Option<f64>| doubles(rows.iter().map(|row| row.as_ref().ok().and_then(number)));
        let quadrant = |local: &Local| match local.quadrant {
            1 => "HH",
            2 => "LH",
            3 => "LL",
            _ => "HL",
        };
        Ok(vec![
            columns[0].clone(),
            columns[1].clone(),
            units.counts(&neighbours),
            of(|local| Some(local.i)),
            words(rows.iter().map(|row| row.as_ref().ok().map(quadrant))),
            of(|local| Some(local.expected)),
            of(|local| Some(local.variance)),
            of(|local| Some(local.z)),
            of(|local| Some(local.p)),
            doubles(discovery(&p)),
            of(|local| local.p_sim),
            words(rows.iter().map(|row| row.err())),
        ])
    }
}
