//! Cells of a group, column by column, and the rows that are refused.

use crate::contract::{Column, ColumnType, Protect, Value};
use crate::ingest::rows::Refused;

/// The values of one column in the order of the rows.
#[derive(Debug)]
pub(super) enum Values {
    /// Integers, tokens, instants, day numbers.
    Int(Vec<i64>),
    /// Floats and degrees.
    Float(Vec<f64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts behind each other, and where each ends.
    Text(String, Vec<u32>),
    /// Longitude and latitude.
    Point(Vec<(f64, f64)>),
    /// Never written.
    Nothing,
}

/// Values and which of them are there.
#[derive(Debug)]
pub(super) struct Cells {
    pub values: Values,
    pub valid: Vec<bool>,
    /// For a column with a code list: what the list says of each row's code.
    pub traits: Vec<CodeTraits>,
}

/// What a code list says of a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CodeTraits {
    /// Whether calls of this code may be mapped.
    pub mappable: bool,
    /// Number of the origin in the group's list of origins; 0 is "unknown".
    pub origin: u16,
}

impl Cells {
    pub(super) fn of(column: &Column, read: bool) -> Cells {
        let values = match (column.protect, column.kind) {
            // positions are needed for the cell even where they are not written
            (_, ColumnType::Lon | ColumnType::Lat) => Values::Float(Vec::new()),
            (_, ColumnType::Point) => Values::Point(Vec::new()),
            (Protect::Key | Protect::Token, _) => Values::Int(Vec::new()),
            (_, ColumnType::Float) => Values::Float(Vec::new()),
            (_, ColumnType::Bool) => Values::Bool(Vec::new()),
            (_, ColumnType::Int | ColumnType::Timestamp | ColumnType::Date) => Values::Int(Vec::new()),
            (_, ColumnType::String) if column.protect == Protect::Drop && !read => Values::Nothing,
            (_, ColumnType::String | ColumnType::Area) => Values::Text(String::new(), Vec::new()),
        };
        Cells {
            values,
            valid: Vec::new(),
            traits: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.valid.clear();
        self.traits.clear();
        match &mut self.values {
            Values::Int(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::Bool(values) => values.clear(),
            Values::Text(texts, ends) => {
                texts.clear();
                ends.clear();
            }
            Values::Point(values) => values.clear(),
            Values::Nothing => {}
        }
    }

    pub(super) fn push(&mut self, found: Value<'_>) {
        let valid = found != Value::Null;
        match (&mut self.values, found) {
            (Values::Int(values), Value::Int(number) | Value::Micros(number)) => values.push(number),
            (Values::Int(values), _) => values.push(0),
            (Values::Float(values), Value::Float(number)) => values.push(number),
            (Values::Float(values), _) => values.push(0.0),
            (Values::Bool(values), found) => values.push(found == Value::Bool(true)),
            (Values::Text(texts, ends), found) => {
                if let Value::Text(text) = found {
                    texts.push_str(text);
                }
                ends.push(u32::try_from(texts.len()).unwrap_or(u32::MAX));
            }
            (Values::Point(values), Value::Point(lon, lat)) => values.push((lon, lat)),
            (Values::Point(values), _) => values.push((0.0, 0.0)),
            (Values::Nothing, _) => return,
        }
        self.valid.push(valid);
    }

    /// The integer of a row, where there is one.
    pub(super) fn int(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Int(values) if self.valid[row] => Some(values[row]),
            _ => None,
        }
    }

    /// The number of a row, where there is one.
    pub(super) fn float(&self, row: usize) -> Option<f64> {
        match &self.values {
            Values::Float(values) if self.valid[row] => Some(values[row]),
            _ => None,
        }
    }

    /// The text of a row, where there is one.
    pub(super) fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Text(texts, ends) if self.valid[row] => Some(nth(texts, ends, row)),
            _ => None,
        }
    }
}

/// The text of a row among texts behind each other.
pub(super) fn nth<'t>(texts: &'t str, ends: &[u32], row: usize) -> &'t str {
    let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &texts[start..ends[row] as usize]
}

/// The rows of a block that are refused, and why: the first reason of each.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    marks: Vec<bool>,
    found: Vec<(usize, Refused)>,
}

impl Refusals {
    /// None of so many rows.
    pub(super) fn reset(&mut self, rows: usize) {
        self.marks.clear();
        self.marks.resize(rows, false);
        self.found.clear();
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.marks[row]
    }

    pub(super) fn add(&mut self, row: usize, refused: Refused) {
        self.marks[row] = true;
        self.found.push((row, refused));
    }

    /// The refused rows.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (usize, Refused)> {
        self.found.drain(..)
    }
}
