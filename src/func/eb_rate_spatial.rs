//! `eb_rate_spatial(id, events, population, …, {options}) LIST<STRUCT<id, raw DOUBLE, rate DOUBLE, weight DOUBLE,
//! neighbours BIGINT, reason VARCHAR>>`
//!
//! Rates of small populations, shrunk towards the rate of the unit and its neighbours: `rate` is `weight` parts of the raw
//! rate and the rest of that of the neighbourhood. Neighbours are given as for `gi_star` (`weights`, `columns`, `band`,
//! `knn`, or a list). A variance between units below 0 counts as 0. A unit whose events or population are not known has
//! NULL and the `reason` unknown, one without population no_population; neither counts in its neighbours' rates. Say in
//! the name of the column whose population it is. Source: Marshall 1991.
//!
//! ```sql
//! SELECT unnest(eb_rate_spatial(id, events, people, {'weights': 'rook', 'columns': 2})) AS rate
//! FROM (VALUES (0, 3, 1000), (1, 0, 12), (2, 5, 900), (3, 9, 2000)) AS t (id, events, people)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::around::{self, Around};
use super::columns::{doubles, field, integers, numbers_named, words};
use super::eb_rate::{reason, risks};
use super::gathered::{Columns, Set, Work};
use super::options::Options;
use crate::stat::rates::of_neighbours;

/// What is asked.
#[derive(Debug)]
pub(super) struct EbRateSpatial(Around);

impl Set for EbRateSpatial {
    const NAME: &'static str = "eb_rate_spatial";
    const FORMS: &'static [Columns] = around::OF_RISK;
    const OPTIONS: &'static [&'static str] = &around::OPTIONS;

    fn of(options: &Options, form: usize) -> Result<Self> {
        Around::of(options, form).map(Self)
    }

    fn fields(types: &[DataType]) -> Fields {
        let mut fields = vec![field("id", types[0].clone())];
        fields.extend(numbers_named(&["raw", "rate", "weight"]));
        fields.push(field("neighbours", DataType::Int64));
        fields.push(field("reason", DataType::Utf8));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], _work: &Work) -> Result<Vec<ArrayRef>> {
        let units = risks(&columns[1], &columns[2]);
        let neighbours = self.0.among(Self::NAME, &columns[0], &columns[3..])?;
        let found = of_neighbours(&units, &neighbours);
        let count = |at: usize| neighbours.of(at).len() as i64;
        Ok(vec![
            columns[0].clone(),
            doubles(found.iter().map(|unit| unit.map(|unit| unit.raw))),
            doubles(found.iter().map(|unit| unit.map(|unit| unit.rate))),
            doubles(found.iter().map(|unit| unit.map(|unit| unit.weight))),
            integers((0..units.len()).map(count)),
            words(units.iter().map(reason)),
        ])
    }
}
