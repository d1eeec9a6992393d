//! One value against its column: the typed value, or the reason why it is none.

use crate::contract::column::{Column, ColumnType};
use crate::contract::number;
use crate::message::Message;
use crate::place::suspect::degrees;
use crate::time::Calendar;

/// Why a row was rejected or a value blanked. The codes stand in `ops.reject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The number of fields is not the header's.
    Ragged,
    /// The bytes are no text in the declared encoding.
    Undecodable,
    /// The line is no JSON object.
    Json,
    /// A quoted field does not end as one.
    Quote,
    /// The text holds a NUL, which no table tool agrees on.
    Nul,
    /// The record is larger than the limit.
    TooLarge,
    /// A required value is empty.
    Missing,
    /// The text is not of the column's type.
    Type,
    /// The number or position is out of range.
    Range,
    /// The code is not in the list.
    Code,
    /// A public value holds an identifier of a person.
    Identifier,
    /// The message or object may not be collected.
    Forbidden,
    /// Another row of the same key says something else.
    Conflict,
    /// The boundary is no valid area.
    Area,
}

impl Reason {
    /// Every reason.
    const ALL: [Reason; 14] = [
        Reason::Ragged,
        Reason::Undecodable,
        Reason::Json,
        Reason::Quote,
        Reason::Nul,
        Reason::TooLarge,
        Reason::Missing,
        Reason::Type,
        Reason::Range,
        Reason::Code,
        Reason::Identifier,
        Reason::Forbidden,
        Reason::Conflict,
        Reason::Area,
    ];

    /// The reason of a code.
    pub fn of_code(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The code of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Ragged => "ragged",
            Reason::Undecodable => "undecodable",
            Reason::Json => "json",
            Reason::Quote => "quote",
            Reason::Nul => "nul",
            Reason::TooLarge => "too_large",
            Reason::Missing => "missing",
            Reason::Type => "type",
            Reason::Range => "range",
            Reason::Code => "code",
            Reason::Identifier => "identifier",
            Reason::Forbidden => "forbidden_object",
            Reason::Conflict => "conflict",
            Reason::Area => "area",
        }
    }
}

impl Reason {
    /// What it says of a column and of what was found in it.
    pub fn message(self, column: &str, value: &str) -> Message {
        let key = match self {
            Reason::Ragged => "refused_ragged",
            Reason::Undecodable => "refused_undecodable",
            Reason::Json => "refused_json",
            Reason::Quote => "refused_quote",
            Reason::Nul => "refused_nul",
            Reason::TooLarge => "refused_too_large",
            Reason::Missing => "refused_missing",
            Reason::Type => "refused_type",
            Reason::Range => "refused_range",
            Reason::Code => "refused_code",
            Reason::Identifier => "refused_identifier",
            Reason::Forbidden => "refused_forbidden_object",
            Reason::Conflict => "refused_conflict",
            Reason::Area => "refused_area",
        };
        Message::new(key, &[&column, &value])
    }
}

/// A typed value; text borrows from the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Empty.
    Null,
    /// Text.
    Text(&'a str),
    /// Integer, and the day number of a date.
    Int(i64),
    /// Float, and degrees.
    Float(f64),
    /// Truth value.
    Bool(bool),
    /// UTC microseconds.
    Micros(i64),
    /// Longitude and latitude of a WKT point.
    Point(f64, f64),
}

/// The value that `text` states in `column`.
///
/// # Errors
/// The reason, where the text breaks the contract.
pub fn value<'a>(column: &Column, text: &'a str, calendar: &Calendar) -> Result<Value<'a>, Reason> {
    let text = text.trim();
    if text.is_empty() {
        return if column.required {
            Err(Reason::Missing)
        } else {
            Ok(Value::Null)
        };
    }
    let found = match column.kind {
        ColumnType::String => Value::Text(text),
        ColumnType::Int => Value::Int(number::integer(text, &column.number).ok_or(Reason::Type)?),
        ColumnType::Float => Value::Float(number::float(text, &column.number).ok_or(Reason::Type)?),
        ColumnType::Bool => Value::Bool(truth(text).ok_or(Reason::Type)?),
        ColumnType::Timestamp => Value::Micros(column.times.instant(text, calendar).ok_or(Reason::Type)?),
        ColumnType::Date => Value::Int(i64::from(column.times.day(text).ok_or(Reason::Type)?)),
        // metres of a grid are checked when they have become degrees
        ColumnType::Lon | ColumnType::Lat if column.metres => {
            Value::Float(number::float(text, &column.number).ok_or(Reason::Type)?)
        }
        ColumnType::Lon => Value::Float(within(angle(text)?, -180.0, 180.0)?),
        // a latitude beyond the pole is half of a swapped position, which is judged as a whole
        ColumnType::Lat => Value::Float(within(angle(text)?, -180.0, 180.0)?),
        ColumnType::Point => point(text)?,
        // the boundary is checked where it becomes one of the lake's
        ColumnType::Area => Value::Text(text),
    };
    check(column, text, found)
}

fn check<'a>(column: &Column, text: &str, found: Value<'a>) -> Result<Value<'a>, Reason> {
    if let Some([low, high]) = column.range {
        let number = match found {
            #[expect(clippy::cast_precision_loss, reason = "ranges of contracts are small numbers")]
            Value::Int(number) => number as f64,
            Value::Float(number) => number,
            _ => low,
        };
        within(number, low, high)?;
    }
    if !column.accept.is_empty() && !column.accept.iter().any(|known| known == text) {
        return Err(Reason::Code);
    }
    match &column.codes {
        Some(list) if !column.keep_unknown && !list.contains(text) => Err(Reason::Code),
        _ => Ok(found),
    }
}

fn angle(text: &str) -> Result<f64, Reason> {
    degrees(text).ok_or(Reason::Type)
}

fn within(number: f64, low: f64, high: f64) -> Result<f64, Reason> {
    if number >= low && number <= high {
        Ok(number)
    } else {
        Err(Reason::Range)
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "TRUE" | "True" | "Y" | "y" | "是" => Some(true),
        "0" | "false" | "FALSE" | "False" | "N" | "n" | "否" => Some(false),
        _ => None,
    }
}

fn point(text: &str) -> Result<Value<'static>, Reason> {
    let inner = text
        .strip_prefix("POINT")
        .and_then(|rest| rest.trim().strip_prefix('(')?.strip_suffix(')'))
        .ok_or(Reason::Type)?;
    let mut parts = inner.split_whitespace();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(lon), Some(lat), None) => Ok(Value::Point(
            within(angle(lon)?, -180.0, 180.0)?,
            within(angle(lat)?, -180.0, 180.0)?,
        )),
        _ => Err(Reason::Type),
    }
}
