//! `wgs84_to_gcj02|gcj02_to_wgs84|wgs84_to_bd09|bd09_to_wgs84|gcj02_to_bd09|bd09_to_gcj02(lon DOUBLE, lat DOUBLE) STRUCT<lon
//! DOUBLE, lat DOUBLE>`
//!
//! Between WGS-84, in which everything is stored, and the shifted systems of Chinese maps: GCJ-02, and BD-09 on top of it.
//! Degrees. For queries over sources read raw and for maps drawn elsewhere; ingest converts by the declared system
//! already. It does not detect which system a point is in. Back and forth within 1e-7 degree: the inverse is iterated.
//! Unchanged outside China's box (BD-09 but for its own shift); NULL off the earth.
//!
//! ```sql
//! SELECT gcj02_to_wgs84(117.190584, 34.260570) AS wgs84, wgs84_to_bd09(117.184811, 34.261651) AS bd09
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::common::cast::as_float64_array;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;

use super::params::{Form, Kind};
use super::scalar::{Function, Kernel, no_constants, pair_type, pairs, rows};
use crate::place::crs;

const fn function(name: &'static str, kernel: Kernel) -> Function {
    Function {
        form: Form {
            name,
            params: &[("lon", Kind::Double), ("lat", Kind::Double)],
        },
        returns: || pair_type("lon", "lat"),
        check: no_constants,
        kernel,
    }
}

/// One for each direction.
pub(super) const FUNCTIONS: [Function; 6] = [
    function("wgs84_to_gcj02", |arrays| convert(arrays, crs::wgs84_to_gcj02)),
    function("gcj02_to_wgs84", |arrays| convert(arrays, crs::gcj02_to_wgs84)),
    function("wgs84_to_bd09", |arrays| {
        convert(arrays, |lon, lat| {
            let (lon, lat) = crs::wgs84_to_gcj02(lon, lat);
            crs::gcj02_to_bd09(lon, lat)
        })
    }),
    function("bd09_to_wgs84", |arrays| {
        convert(arrays, |lon, lat| {
            let (lon, lat) = crs::bd09_to_gcj02(lon, lat);
            crs::gcj02_to_wgs84(lon, lat)
        })
    }),
    function("gcj02_to_bd09", |arrays| convert(arrays, crs::gcj02_to_bd09)),
    function("bd09_to_gcj02", |arrays| convert(arrays, crs::bd09_to_gcj02)),
];

fn convert(arrays: &[ArrayRef], shift: fn(f64, f64) -> (f64, f64)) -> Result<ArrayRef> {
    let [lon, lat] = take_function_args("shift", arrays)?;
    let (lon, lat) = (as_float64_array(lon)?, as_float64_array(lat)?);
    let row = |i| {
        let (lon, lat) = (lon.value(i), lat.value(i));
        crs::on_earth(lon, lat).then(|| shift(lon, lat))
    };
    pairs("lon", "lat", rows(arrays, row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, Float64Array};
    use datafusion::common::cast::as_struct_array;

    use super::*;

    #[test]
    fn every_way_and_back_ends_where_it_began_and_a_swapped_point_is_null() {
        let lon: ArrayRef = Arc::new(Float64Array::from(vec![117.184_811, 34.26, 2.35]));
        let lat: ArrayRef = Arc::new(Float64Array::from(vec![34.261_651, 117.19, 48.86]));
        let apply = |name: &str, arrays: &[ArrayRef]| -> Vec<ArrayRef> {
            let function = FUNCTIONS.iter().find(|function| function.form.name == name).unwrap();
            let answer = (function.kernel)(arrays).unwrap();
            as_struct_array(&answer).unwrap().columns().to_vec()
        };
        for (there, back) in [
            ("wgs84_to_gcj02", "gcj02_to_wgs84"),
            ("wgs84_to_bd09", "bd09_to_wgs84"),
            ("gcj02_to_bd09", "bd09_to_gcj02"),
        ] {
            let shifted = apply(there, &[lon.clone(), lat.clone()]);
            let returned = apply(back, &shifted);
            for (own, returned) in [(&lon, &returned[0]), (&lat, &returned[1])] {
                let (own, returned) = (as_float64_array(own).unwrap(), as_float64_array(returned).unwrap());
                assert!((own.value(0) - returned.value(0)).abs() < 1e-7, "{there}");
                assert!((own.value(2) - returned.value(2)).abs() < 1e-7, "{there}");
                assert!(returned.is_null(1), "{there}");
            }
            let moved = (as_float64_array(&shifted[0]).unwrap().value(0) - 117.184_811).abs();
            assert!(moved > 1e-3, "{there} moved nothing");
        }
    }
}
