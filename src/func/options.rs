//! The options of a function: one struct literal after its arguments, `{'baseline': 7, 'alpha': 0.001}`.
//!
//! Every option has its default. One that is not known is an error that names those that are, and so is a value of
//! another type or range.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};

use super::params::refused;
use crate::config::text::closest;

/// The options of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    name: &'static str,
    given: BTreeMap<String, ScalarValue>,
}

impl Options {
    /// Reads the literal; `None` where a call has none.
    ///
    /// # Errors
    /// A plan error naming the function: no constant struct, an unknown option with the one that was meant.
    pub(super) fn read(name: &'static str, known: &[&str], literal: Option<&ScalarValue>) -> Result<Options> {
        let mut options = Options {
            name,
            ..Options::default()
        };
        let fields = match literal {
            None | Some(ScalarValue::Null) => return Ok(options),
            Some(ScalarValue::Struct(fields)) => fields,
            Some(other) => {
                return Err(options.error("options as a struct, such as {'alpha': 0.01}", &other.to_string()));
            }
        };
        for (field, column) in fields.fields().iter().zip(fields.columns()) {
            let key = field.name();
            if !known.contains(&key.as_str()) {
                let meant = closest(key, known.iter().copied());
                let meant = meant.map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
                return Err(options.error(&format!("options {}", known.join(", ")), &format!("'{key}'{meant}")));
            }
            if !column.is_null(0) {
                options
                    .given
                    .insert(key.clone(), ScalarValue::try_from_array(column, 0)?);
            }
        }
        Ok(options)
    }

    /// A number that `fits`; `expected` says which do.
    ///
    /// # Errors
    /// A plan error naming function, option, what was expected and found.
    pub(super) fn number(&self, key: &str, default: f64, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64> {
        let Some(given) = self.given.get(key) else {
            return Ok(default);
        };
        match cast(given, DataType::is_numeric, &DataType::Float64)? {
            ScalarValue::Float64(Some(number)) if fits(number) => Ok(number),
            _ => Err(self.error(&format!("{key} as {expected}"), &given.to_string())),
        }
    }

    /// A whole number from `least` to `most`.
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn whole(&self, key: &str, default: i64, least: i64, most: i64) -> Result<i64> {
        let Some(given) = self.given.get(key) else {
            return Ok(default);
        };
        match cast(given, DataType::is_integer, &DataType::Int64)? {
            ScalarValue::Int64(Some(number)) if (least..=most).contains(&number) => Ok(number),
            _ => {
                let expected = format!("{key} as a whole number from {least} to {most}");
                Err(self.error(&expected, &given.to_string()))
            }
        }
    }

    /// The option `seed` (1).
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn seed(&self) -> Result<u64> {
        Ok(self.whole("seed", 1, 0, i64::MAX)?.unsigned_abs())
    }

    /// Whether an option was given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.given.get(key) {
            None => Ok(default),
            Some(ScalarValue::Boolean(Some(flag))) => Ok(*flag),
            Some(given) => Err(self.error(&format!("{key} as true or false"), &given.to_string())),
        }
    }

    /// A list as it was given; `None` where it was not.
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn list(&self, key: &str) -> Result<Option<ArrayRef>> {
        match self.given.get(key) {
            None => Ok(None),
            Some(ScalarValue::List(list)) if list.value(0).null_count() == 0 => Ok(Some(list.value(0))),
            Some(given) => Err(self.error(&format!("{key} as a list without NULL"), &given.to_string())),
        }
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn numbers(&self, key: &str, default: &[f64]) -> Result<Vec<f64>> {
        match self.list(key)? {
            None => Ok(default.to_vec()),
            Some(list) if list.data_type().is_numeric() => {
                let list = datafusion::arrow::compute::cast(&list, &DataType::Float64)?;
                Ok(list.as_primitive::<Float64Type>().values().to_vec())
            }
            Some(list) => Err(self.error(&format!("{key} as a list of numbers"), &list.data_type().to_string())),
        }
    }

    /// One of some words.
    ///
    /// # Errors
    /// As [`Options::number`].
    pub(super) fn word(&self, key: &str, default: &str, known: &[&str]) -> Result<String> {
        let Some(given) = self.given.get(key) else {
            return Ok(default.to_owned());
        };
        match given.try_as_str().flatten().filter(|word| known.contains(word)) {
            Some(word) => Ok(word.to_owned()),
            None => Err(self.error(&format!("{key} as {}", known.join(" | ")), &given.to_string())),
        }
    }

    /// A plan error naming this function.
    pub(super) fn error(&self, expected: &str, found: &str) -> DataFusionError {
        refused(self.name, expected, found)
    }
}

/// A value as another type, where its own is of a kind; else NULL.
fn cast(given: &ScalarValue, is_of_kind: fn(&DataType) -> bool, to: &DataType) -> Result<ScalarValue> {
    match is_of_kind(&given.data_type()) {
        true => given.cast_to(to),
        false => Ok(ScalarValue::Null),
    }
}
