//! `eb_rate(events DOUBLE, population DOUBLE) STRUCT<raw DOUBLE, rate DOUBLE, weight DOUBLE, z DOUBLE, reason VARCHAR>`
//!
//! Rates of small populations, shrunk towards the rate of all rows of the partition: `eb_rate(n, people) OVER (PARTITION BY
//! kind)`. `rate` is `weight` parts of the raw rate and the rest of that of all, so that a hamlet with one event does not
//! head the list. `z` is the raw rate's deviation, standardised (Assunção and Reis), for Moran's I. A variance between
//! units below 0 counts as 0. A row whose events or population are not known has NULL and the `reason` unknown, one
//! without population no_population; neither counts in the rate of all. Source: Marshall 1991; Assunção and Reis 1999.
//!
//! ```sql
//! SELECT town, eb_rate(events, people) OVER () AS rate
//! FROM (VALUES ('a', 3, 1000), ('b', 1, 12), ('c', 9, 2000)) AS t (town, events, people)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::error::Result;

use super::columns::{doubles, field, numbers_named, words};
use super::gathered::{Columns, Of};
use super::options::Options;
use super::partition::Whole;
use crate::stat::rates::{Risk, of_all};

/// Events and population of each row; what is not known is no number.
pub(super) fn risks(events: &ArrayRef, population: &ArrayRef) -> Vec<Risk> {
    let columns = (
        events.as_primitive::<Float64Type>(),
        population.as_primitive::<Float64Type>(),
    );
    let both = columns.0.iter().zip(columns.1.iter());
    both.map(|(events, population)| Risk {
        events: events.unwrap_or(f64::NAN),
        population: population.unwrap_or(f64::NAN),
    })
    .collect()
}

/// Why a unit has no rate.
pub(super) fn reason(unit: &Risk) -> Option<&'static str> {
    match unit.is_sound() {
        true => None,
        false if unit.population == 0.0 => Some("no_population"),
        false => Some("unknown"),
    }
}

fn fields() -> Fields {
    let mut fields = numbers_named(&["raw", "rate", "weight", "z"]);
    fields.push(field("reason", DataType::Utf8));
    fields.into()
}

/// What is asked.
#[derive(Debug)]
pub(super) struct EbRate;

impl Whole for EbRate {
    const NAME: &'static str = "eb_rate";
    const FORMS: &'static [Columns] = &[&[("events", Of::Number), ("population", Of::Number)]];

    fn options() -> Vec<&'static str> {
        Vec::new()
    }

    fn of(_options: &Options) -> Result<Self> {
        Ok(EbRate)
    }

    fn returns() -> DataType {
        DataType::Struct(fields())
    }

    fn answer(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let units = risks(&columns[0], &columns[1]);
        let found = of_all(&units);
        let columns = vec![
            doubles(found.iter().map(|unit| unit.map(|unit| unit.raw))),
            doubles(found.iter().map(|unit| unit.map(|unit| unit.rate))),
            doubles(found.iter().map(|unit| unit.map(|unit| unit.weight))),
            doubles(found.iter().map(|unit| unit.and_then(|unit| unit.z))),
            words(units.iter().map(reason)),
        ];
        Ok(Arc::new(StructArray::try_new(fields(), columns, None)?))
    }
}
