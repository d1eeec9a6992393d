//! `compass(lon1, lat1, lon2, lat2, 'zh' | 'en') VARCHAR`
//!
//! In which direction of point 1 point 2 lies. One of eight words, 东北 or northeast, for a place label. NULL for two
//! equal points, which have no direction, and off the earth.
//!
//! ```sql
//! SELECT compass(117.18, 34.26, 117.20, 34.28, 'en') AS direction
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_string_array};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind, constant_text};
use super::scalar::{Function, rows};
use crate::place::distance::{Compass, bearing};

const FORM: Form = Form {
    name: "compass",
    params: &[
        ("lon1", Kind::Double),
        ("lat1", Kind::Double),
        ("lon2", Kind::Double),
        ("lat2", Kind::Double),
        ("language", Kind::Text),
    ],
};

/// A constant language other than zh and en is a plan error, one from a column or placeholder gives
/// NULL.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Utf8,
    check,
    kernel,
};

fn check(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match constant_text(arguments, 4) {
        Some(language) if word(Compass::North, language).is_none() => {
            Err(FORM.error("language 'zh' or 'en'", &format!("'{language}'")))
        }
        _ => Ok(()),
    }
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [lon1, lat1, lon2, lat2, language] = take_function_args(FORM.name, arrays)?;
    let (lon1, lat1) = (as_float64_array(lon1)?, as_float64_array(lat1)?);
    let (lon2, lat2) = (as_float64_array(lon2)?, as_float64_array(lat2)?);
    let language = as_string_array(language)?;
    let direction = |i| {
        let degrees = bearing(lon1.value(i), lat1.value(i), lon2.value(i), lat2.value(i))?;
        word(Compass::from_bearing(degrees)?, language.value(i))
    };
    let answer: StringArray = rows(arrays, direction).collect();
    Ok(Arc::new(answer))
}

fn word(compass: Compass, language: &str) -> Option<&'static str> {
    match language {
        "zh" => Some(compass.zh()),
        "en" => Some(compass.en()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Float64Array;

    #[test]
    fn the_direction_is_that_of_the_second_point_seen_from_the_first() {
        let column = |values: [f64; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let arrays = [
            column([117.0; 4]),
            column([34.0; 4]),
            column([117.1, 117.1, 117.0, 117.1]),
            column([34.0, 34.0, 34.0, 34.0]),
            Arc::new(StringArray::from(vec!["zh", "en", "zh", "fr"])) as ArrayRef,
        ];
        let answer = kernel(&arrays).unwrap();
        let expected = StringArray::from(vec![Some("东"), Some("east"), None, None]);
        assert_eq!(as_string_array(&answer).unwrap(), &expected);
    }

    #[test]
    fn a_constant_language_nobody_speaks_here_is_refused() {
        let french = ScalarValue::Utf8(Some("fr".to_owned()));
        let text = check(&[None, None, None, None, Some(&french)]).unwrap_err().to_string();
        assert!(
            text.contains("compass: expected language 'zh' or 'en', found 'fr'"),
            "{text}"
        );
    }
}
