//! `gi_star(id, value, …, {options}) LIST<STRUCT<id, value DOUBLE, neighbours BIGINT, g DOUBLE, z DOUBLE, p DOUBLE, q DOUBLE,
//! p_sim DOUBLE, reason VARCHAR>>`
//!
//! Which places are hot or cold? One struct for each unit of the group. Neighbours: `gi_star(cell, n)` of H3 cells; with
//! the options `weights` ('queen', 'rook') and `columns` of a grid whose ids are `row * columns + column`;
//! `gi_star(id, n, x, y)` with `band` in metres or `knn`; `gi_star(id, n, neighbours)` with a list of ids. `z` is Getis and
//! Ord's G* in standard deviations, `p` two-sided, `q` the false discovery rate over all units of the group (Benjamini
//! and Hochberg). Options: `with_self` (true; false for G), `permutations` (0) for `p_sim`, one-sided, `seed` (1). A unit
//! without a value, without a neighbour, or among equal values has NULL and a `reason`: unknown, island, flat. On raw
//! counts it draws the population again: use it on rates (`eb_rate`) or on ratios to what was expected. Many zeros make
//! `p` too small: use permutations. Source: Getis and Ord 1992; Ord and Getis 1995.
//!
//! ```sql
//! SELECT unnest(gi_star(id, n, {'weights': 'rook', 'columns': 3})) AS place
//! FROM (VALUES (0, 9), (1, 8), (2, 1), (3, 7), (4, 2), (5, 0)) AS t (id, n)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::areal::{Valued, permutations, refused};
use super::around::{self, Around};
use super::columns::{doubles, field, numbers_named, words};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::areal::{Permutations, hot};
use crate::stat::rates::discovery;

/// What is asked.
#[derive(Debug)]
pub(super) struct GiStar {
    around: Around,
    with_self: bool,
    permutations: Permutations,
}

impl Set for GiStar {
    const NAME: &'static str = "gi_star";
    const FORMS: &'static [Columns] = around::OF_ONE;
    const OPTIONS: &'static [&'static str] =
        &["weights", "columns", "band", "knn", "with_self", "permutations", "seed"];

    fn of(options: &Options, form: usize) -> Result<Self> {
        Ok(GiStar {
            around: Around::of(options, form)?,
            with_self: options.flag("with_self", true)?,
            permutations: permutations(options)?,
        })
    }

    fn fields(types: &[DataType]) -> Fields {
        let mut fields = vec![
            field("id", types[0].clone()),
            field("value", DataType::Float64),
            field("neighbours", DataType::Int64),
        ];
        fields.extend(numbers_named(&["g", "z", "p", "q", "p_sim"]));
        fields.push(field("reason", DataType::Utf8));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let units = Valued::of(columns)?;
        let neighbours = self.around.among(Self::NAME, &units.ids, &units.rest)?;
        let found = hot(
            &units.values,
            &neighbours,
            self.with_self,
            self.permutations,
            &work.stop,
        )
        .map_err(|why| refused(Self::NAME, why))?;
        let rows = units.rows(&found);
        let p: Vec<Option<f64>> = rows.iter().map(|row| row.ok().map(|hot| hot.p)).collect();
        let of = |number: fn(&crate::stat::areal::Hot) -> Option<f64>| {
            doubles(rows.iter().map(|row| row.as_ref().ok().and_then(number)))
        };
        Ok(vec![
            columns[0].clone(),
            columns[1].clone(),
            units.counts(&neighbours),
            of(|hot| Some(hot.g)),
            of(|hot| Some(hot.z)),
            of(|hot| Some(hot.p)),
            doubles(discovery(&p)),
            of(|hot| hot.p_sim),
            words(rows.iter().map(|row| row.err())),
        ])
    }
}
