//! `gcj02_to_wgs84(lon DOUBLE, lat DOUBLE) STRUCT<lon DOUBLE, lat DOUBLE>`: from the shifted map
//! system.
//!
//! For queries over sources read raw; ingest converts by the declared system already. It does not
//! detect which system a point is in. Within 1e-7 degree; unchanged outside China's box; NULL off
//! the earth.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, no_constants, pair_type, pairs, rows};
use crate::place::crs;

const FORM: Form = Form {
    name: "gcj02_to_wgs84",
    params: &[("lon", Kind::Double), ("lat", Kind::Double)],
};

/// The fields are `lon` and `lat`.
pub(super) const FUNCTION: Function = Function {
    form: FORM,
    returns: || pair_type("lon", "lat"),
    check: no_constants,
    kernel,
};

fn kernel(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [lon, lat] = take_function_args(FORM.name, arrays)?;
    let (lon, lat) = (as_float64_array(lon)?, as_float64_array(lat)?);
    let convert = |i| {
        let (lon, lat) = (lon.value(i), lat.value(i));
        crs::on_earth(lon, lat).then(|| crs::gcj02_to_wgs84(lon, lat))
    };
    pairs("lon", "lat", rows(arrays, convert))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Float64Array};
    use datafusion::common::cast::as_struct_array;
    use std::sync::Arc;

    #[test]
    fn a_shifted_point_returns_and_a_swapped_one_is_null() {
        let lon: ArrayRef = Arc::new(Float64Array::from(vec![117.190_584_398_093_68, 34.26]));
        let lat: ArrayRef = Arc::new(Float64Array::from(vec![34.260_570_198_327_486, 117.19]));
        let answer = kernel(&[lon, lat]).unwrap();
        let answer = as_struct_array(&answer).unwrap();
        let lon = as_float64_array(answer.column(0)).unwrap();
        assert!((lon.value(0) - 117.184_811).abs() < 1e-7);
        assert!(answer.is_null(1) && lon.is_null(1));
    }
}
