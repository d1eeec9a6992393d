//! `project(lon DOUBLE, lat DOUBLE, epsg BIGINT) STRUCT<x DOUBLE, y DOUBLE>`, `unproject(x DOUBLE, y DOUBLE, epsg BIGINT)
//! STRUCT<lon DOUBLE, lat DOUBLE>`
//!
//! Between longitudes and latitudes (WGS-84 ≈ CGCS2000, degrees) and the metres of a projected system by its EPSG code: the
//! zones of CGCS2000 / Gauss-Kruger and of UTM. What measures in metres (`knox`, `kde`, distance bands) wants one of
//! them. `epsg` is a constant. NULL for a point that lies outside the zone.
//!
//! ```sql
//! SELECT project(117.184811, 34.261651, 4527) AS metres
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind, constant_integer};
use super::scalar::{Function, pair_type, pairs, rows};
use crate::place::project::Projection;

const PROJECT: Form = Form {
    name: "project",
    params: &[("lon", Kind::Double), ("lat", Kind::Double), ("epsg", Kind::BigInt)],
};
const UNPROJECT: Form = Form {
    name: "unproject",
    params: &[("x", Kind::Double), ("y", Kind::Double), ("epsg", Kind::BigInt)],
};

/// There and back.
pub(super) const FUNCTIONS: [Function; 2] = [
    Function {
        form: PROJECT,
        returns: || pair_type("x", "y"),
        check: |arguments| check(&PROJECT, arguments),
        kernel: |arrays| convert(&PROJECT, ["x", "y"], arrays, Projection::forward),
    },
    Function {
        form: UNPROJECT,
        returns: || pair_type("lon", "lat"),
        check: |arguments| check(&UNPROJECT, arguments),
        kernel: |arrays| convert(&UNPROJECT, ["lon", "lat"], arrays, Projection::inverse),
    },
];

fn projection(code: i64) -> Option<Projection> {
    Projection::from_epsg(u32::try_from(code).ok()?)
}

fn check(form: &Form, arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match constant_integer(arguments, 2) {
        Some(code) if projection(code).is_some() => Ok(()),
        _ => {
            let expected = "epsg as the constant code of a CGCS2000 or UTM zone, such as 4527";
            Err(form.wrong_constant(expected, arguments.get(2).copied().flatten()))
        }
    }
}

fn convert(
    form: &Form,
    [first, second]: [&str; 2],
    arrays: &[ArrayRef],
    to: fn(&Projection, f64, f64) -> Option<(f64, f64)>,
) -> Result<ArrayRef> {
    let [a, b, code] = take_function_args(form.name, arrays)?;
    let (a, b, codes) = (as_float64_array(a)?, as_float64_array(b)?, as_int64_array(code)?);
    // one code for all rows, as was checked
    let projection = codes.iter().flatten().next().and_then(projection);
    let row = |i| to(projection.as_ref()?, a.value(i), b.value(i));
    pairs(first, second, rows(arrays, row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, Float64Array, Int64Array};
    use datafusion::common::cast::as_struct_array;

    use super::*;

    #[test]
    fn there_and_back_and_a_code_that_is_none() {
        let code: ArrayRef = Arc::new(Int64Array::from(vec![4527, 4527]));
        let lon: ArrayRef = Arc::new(Float64Array::from(vec![117.184_811, 10.0]));
        let lat: ArrayRef = Arc::new(Float64Array::from(vec![34.261_651, 34.0]));
        let metres = (FUNCTIONS[0].kernel)(&[lon, lat, code.clone()]).unwrap();
        let metres = as_struct_array(&metres).unwrap().clone();
        assert!(metres.is_null(1));
        let arrays = [metres.column(0).clone(), metres.column(1).clone(), code];
        let back = (FUNCTIONS[1].kernel)(&arrays).unwrap();
        let lon = as_float64_array(as_struct_array(&back).unwrap().column(0))
            .unwrap()
            .value(0);
        assert!((lon - 117.184_811).abs() < 1e-9);
        let xian = ScalarValue::Int64(Some(2385));
        let text = check(&PROJECT, &[None, None, Some(&xian)]).unwrap_err().to_string();
        assert!(
            text.contains("project: expected epsg") && text.contains("2385"),
            "{text}"
        );
    }
}
