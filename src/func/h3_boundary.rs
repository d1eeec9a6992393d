//! `h3_boundary(cell BIGINT) VARCHAR`
//!
//! The outline of a cell as WKT, WGS-84 degrees. `POLYGON((lon lat, …))`, closed, seven decimals. NULL for an integer
//! that is no cell.
//!
//! ```sql
//! SELECT h3_boundary(h3_cell(117.18, 34.26, 8)) AS outline
//! ```

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_int64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, rows};
use crate::place::cell::boundary;

const FORM: Form = Form {
    name: "h3_boundary",
    params: &[("cell", Kind::BigInt)],
};

/// A polygon as text.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || DataType::Utf8,
    check: no_constants,
    kernel,
};

/// The outline as WKT.
fn outline(cell: i64) -> Option<String> {
    let corners = boundary(cell)?;
    let mut text = String::from("POLYGON((");
    // the first corner again closes it
    for (at, (lon, lat)) in corners.iter().chain(corners.first()).enumerate() {
        let before = if at == 0 { "" } else { ", " };
        write!(text, "{before}{lon:.7} {lat:.7}").ok()?;
    }
    text.push_str("))");
    Some(text)
}

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [cell] = take_function_args(FORM.name, arrays)?;
    let cell = as_int64_array(cell)?;
    Ok(Arc::new(
        rows(arrays, |i| outline(cell.value(i))).collect::<StringArray>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_closed() {
        let text = outline(crate::place::cell::cell(117.18, 34.26, 8).unwrap()).unwrap();
        let corners: Vec<&str> = text
            .trim_start_matches("POLYGON((")
            .trim_end_matches("))")
            .split(", ")
            .collect();
        assert_eq!((corners.len(), corners[0]), (7, corners[6]));
        assert!(corners[0].starts_with("117.") && corners[0].contains(" 34."), "{text}");
        assert_eq!(outline(5), None);
    }
}
