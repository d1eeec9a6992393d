//! Rows of a query as plain values that a page can carry.
//!
//! Text is made inert here once, for every rendering: characters that steer a terminal or turn the
//! direction of writing become visible marks. Escaping for HTML and JSON is the page's own business.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use crate::error::{Error, Kind, Result, fail};
use crate::message::inert;

/// What became of a query.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Its rows.
    Data(Dataset),
    /// A table of it is switched off, for this reason.
    Off(String),
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Text,
    Integer,
    Real,
    /// A date or time as text that sorts.
    Time,
}

/// A column of a result.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    pub nature: Nature,
}

/// Rows of a query.
#[derive(Debug, Clone)]
pub(super) struct Dataset {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than the limit.
    pub truncated: bool,
}

impl Dataset {
    pub(super) fn new(schema: &SchemaRef) -> Dataset {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column {
                name: field.name().clone(),
                nature: nature(field.data_type()),
            })
            .collect();
        Dataset {
            columns,
            rows: Vec::new(),
            truncated: false,
        }
    }

    /// Takes rows up to `limit` in all.
    pub(super) fn append(&mut self, batch: &RecordBatch, limit: usize) -> Result<()> {
        let room = limit.saturating_sub(self.rows.len());
        self.truncated = batch.num_rows() > room;
        let batch = batch.slice(0, batch.num_rows().min(room));
        let columns: Vec<Vec<Value>> = batch
            .columns()
            .iter()
            .map(values)
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        self.rows
            .extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The column with the English of column `at`: `x_en` beside `x_zh` or `x`.
    pub(super) fn english_of(&self, at: usize) -> Option<usize> {
        let name = &self.columns[at].name;
        let stem = name.strip_suffix("_zh").unwrap_or(name);
        self.position(&format!("{stem}_en")).filter(|&other| other != at)
    }
}

fn unreadable(cause: ArrowError) -> Error {
    fail(Kind::Bug, "page_failed", &[]).because(cause)
}

fn nature(kind: &DataType) -> Nature {
    match kind {
        DataType::Dictionary(_, inner) => nature(inner),
        kind if kind.is_integer() => Nature::Integer,
        kind if kind.is_numeric() => Nature::Real,
        kind if kind.is_temporal() => Nature::Time,
        _ => Nature::Text,
    }
}

fn values(array: &ArrayRef) -> Result<Vec<Value>, ArrowError> {
    match nature(array.data_type()) {
        Nature::Integer => {
            let array = cast(array, &DataType::Int64)?;
            Ok(array
                .as_primitive::<Int64Type>()
                .iter()
                .map(|value| value.map_or(Value::Null, Value::from))
                .collect())
        }
        Nature::Real => {
            let array = cast(array, &DataType::Float64)?;
            // a value that is no number becomes null: JSON has no word for it
            Ok(array
                .as_primitive::<Float64Type>()
                .iter()
                .map(|value| value.map_or(Value::Null, Value::from))
                .collect())
        }
        Nature::Time | Nature::Text => {
            let options = FormatOptions::default()
                .with_timestamp_format(Some("%Y-%m-%d %H:%M"))
                .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M %Z"));
            let words = ArrayFormatter::try_new(array.as_ref(), &options)?;
            let value = |row: usize| match array.is_null(row) {
                true => Ok(Value::Null),
                false => words.value(row).try_to_string().map(|text| Value::from(inert(&text))),
            };
            (0..array.len()).map(value).collect()
        }
    }
}
