//! What a SQL function accepts: parameter names and types, and the error that states both.
//!
//! Numbers widen (INT to BIGINT, any number to DOUBLE). It deliberately does not read text as a
//! number and does not round a fraction to an integer: both hide mistakes in a query.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BigInt,
    Double,
    Text,
    /// A DOUBLE or a LIST of them.
    DoubleOrList,
    /// A LIST of DOUBLE.
    Doubles,
    /// A LIST of VARCHAR.
    Texts,
}

/// The name of a function and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub name: &'static str,
    pub params: &'static [(&'static str, Kind)],
}

impl Form {
    /// The types to cast arguments to.
    ///
    /// # Errors
    /// A plan error with the function, the form expected and the types found.
    pub(super) fn coerce(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let types: Option<Vec<DataType>> = if found.len() == self.params.len() {
            self.params
                .iter()
                .zip(found)
                .map(|((_, kind), found)| kind.accept(found))
                .collect()
        } else {
            None
        };
        types.ok_or_else(|| {
            let found: Vec<String> = found.iter().map(sql_name).collect();
            self.error(&format!("{self}"), &format!("{}({})", self.name, found.join(", ")))
        })
    }

    /// Refuses a constant confidence level that is not strictly between 0 and 1.
    ///
    /// # Errors
    /// A plan error with the function, the range expected and the level found.
    pub(super) fn check_level(&self, arguments: &[Option<&ScalarValue>], index: usize) -> Result<()> {
        match constant_double(arguments, index) {
            Some(level) if !(level > 0.0 && level < 1.0) => {
                Err(self.error("a level between 0 and 1, such as 0.95", &level.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// A plan error for a constant argument that is none, or not the right one.
    pub(super) fn wrong_constant(&self, expected: &str, found: Option<&ScalarValue>) -> DataFusionError {
        let found = found.map_or_else(|| "an expression of columns".to_owned(), ToString::to_string);
        self.error(expected, &found)
    }

    /// A plan error naming this function.
    pub(super) fn error(&self, expected: &str, found: &str) -> DataFusionError {
        refused(self.name, expected, found)
    }
}

/// A plan error naming a function, what it expected and what it found.
pub(super) fn refused(name: &str, expected: &str, found: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{name}: expected {expected}, found {found}"))
}

/// The value of a constant argument; `None` for an expression of columns.
pub(super) fn constant(argument: &dyn PhysicalExpr) -> Option<ScalarValue> {
    // a constant needs no columns; anything that does fails on a batch without them
    let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match argument.evaluate(&batch).ok()? {
        ColumnarValue::Scalar(value) => Some(value),
        ColumnarValue::Array(_) => None,
    }
}

/// The value of a constant DOUBLE argument; `None` for a column and for NULL.
pub(super) fn constant_double(arguments: &[Option<&ScalarValue>], index: usize) -> Option<f64> {
    match arguments.get(index).copied().flatten()? {
        ScalarValue::Float64(value) => *value,
        ScalarValue::Float32(value) => value.map(f64::from),
        // a whole number written for a share is 0, 1 or wrong; all that matters is its size
        other => constant_integer(&[Some(other)], 0).map(|value| value as f64),
    }
}

/// The value of a constant BIGINT argument; `None` for a column and for NULL.
pub(super) fn constant_integer(arguments: &[Option<&ScalarValue>], index: usize) -> Option<i64> {
    match arguments.get(index).copied().flatten()? {
        ScalarValue::Int64(value) => *value,
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int16(value) => value.map(i64::from),
        ScalarValue::Int8(value) => value.map(i64::from),
        _ => None,
    }
}

/// The value of a constant text argument; `None` for a column and for NULL.
pub(super) fn constant_text<'a>(arguments: &[Option<&'a ScalarValue>], index: usize) -> Option<&'a str> {
    match arguments.get(index).copied().flatten()? {
        ScalarValue::Utf8(value) | ScalarValue::LargeUtf8(value) | ScalarValue::Utf8View(value) => value.as_deref(),
        _ => None,
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|(name, kind)| format!("{name} {}", kind.sql()))
            .collect();
        write!(f, "{}({})", self.name, params.join(", "))
    }
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Kind::BigInt => "BIGINT",
            Kind::Double => "DOUBLE",
            Kind::Text => "VARCHAR",
            Kind::DoubleOrList => "DOUBLE or LIST<DOUBLE>",
            Kind::Doubles => "LIST<DOUBLE>",
            Kind::Texts => "LIST<VARCHAR>",
        }
    }

    fn accept(self, found: &DataType) -> Option<DataType> {
        let (wanted, accepted) = match self {
            Kind::BigInt => (DataType::Int64, found.is_integer()),
            Kind::Double => (DataType::Float64, found.is_numeric()),
            Kind::Text => (DataType::Utf8, is_text(found)),
            Kind::DoubleOrList if item(found).is_none() => (DataType::Float64, found.is_numeric()),
            Kind::DoubleOrList | Kind::Doubles => (
                list_of_doubles(),
                item(found).is_some_and(|item| item.is_numeric() || item.is_null()),
            ),
            Kind::Texts => (
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
                item(found).is_some_and(|item| is_text(item) || item.is_null()),
            ),
        };
        (accepted || found.is_null()).then_some(wanted)
    }
}

/// What a list is of; `None` for what is none.
fn item(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// `LIST<DOUBLE>` as `make_array` makes it, so that no cast is needed.
pub(super) fn list_of_doubles() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

fn is_text(found: &DataType) -> bool {
    matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The SQL word for the types people meet; others by their Arrow name.
fn sql_name(found: &DataType) -> String {
    match found {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        found if is_text(found) => "VARCHAR".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        name: "f",
        params: &[("lon", Kind::Double), ("cell", Kind::BigInt), ("lang", Kind::Text)],
    };

    #[test]
    fn numbers_widen_and_every_text_becomes_one_kind() {
        let found = [DataType::Int32, DataType::UInt64, DataType::Utf8View];
        assert_eq!(
            FORM.coerce(&found).unwrap(),
            vec![DataType::Float64, DataType::Int64, DataType::Utf8]
        );
        let nulls = [DataType::Null, DataType::Null, DataType::Null];
        assert!(FORM.coerce(&nulls).is_ok());
    }

    #[test]
    fn a_wrong_type_or_number_of_arguments_names_function_expected_and_found() {
        let text = FORM
            .coerce(&[DataType::Utf8, DataType::Int64, DataType::Utf8])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("f: expected f(lon DOUBLE, cell BIGINT, lang VARCHAR)"),
            "{text}"
        );
        assert!(text.contains(", found f(VARCHAR, BIGINT, VARCHAR)"), "{text}");
        assert!(FORM.coerce(&[DataType::Float64]).is_err());
        assert!(
            FORM.coerce(&[DataType::Float64, DataType::Float64, DataType::Utf8])
                .is_err()
        );
    }

    #[test]
    fn a_constant_level_outside_the_open_interval_is_refused_and_a_column_is_not() {
        for (value, fine) in [
            (Some(0.95), true),
            (None, true),
            (Some(1.0), false),
            (Some(95.0), false),
            (Some(f64::NAN), false),
        ] {
            let literal = ScalarValue::Float64(value);
            assert_eq!(FORM.check_level(&[Some(&literal)], 0).is_ok(), fine);
        }
        assert!(FORM.check_level(&[None], 0).is_ok());
        assert!(FORM.check_level(&[Some(&ScalarValue::Int64(Some(95)))], 0).is_err());
    }
}
