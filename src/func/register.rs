//! The one list of SQL functions of the product.
//!
//! A session registers what stands here and nothing else of ours. Adding a function is a file, a
//! line here and a line in [`VERSION`].

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::collected::Collected;
use super::detector::Windowed;
use super::{
    burst, calendar_baseline, compass, distance_metres, ears, farrington, gcj02_to_wgs84, h3_cell, h3_centre, h3_ring,
    h3_text, in_view, percentile, poisson_interval, surge_days, wilson_interval,
};

/// Names and versions, hashed into the fingerprint of every model: raise a number when answers
/// change, so that what was built with the old function is built again.
pub const VERSION: &str = "burst=1 calendar_baseline=1 compass=1 distance_metres=1 ears_c1=1 ears_c2=1 ears_c3=1 farrington=1 \
                           gcj02_to_wgs84=1 h3_cell=1 h3_centre=1 h3_ring=1 h3_text=1 in_view=1 percentile=1 poisson_interval=1 \
                           surge_days=1 wilson_interval=1";

/// Every scalar function, by name.
#[must_use]
pub fn scalars() -> Vec<Arc<ScalarUDF>> {
    [
        compass::FUNCTION,
        distance_metres::FUNCTION,
        gcj02_to_wgs84::FUNCTION,
        h3_cell::FUNCTION,
        h3_centre::FUNCTION,
        h3_ring::FUNCTION,
        h3_text::FUNCTION,
        in_view::FUNCTION,
        poisson_interval::FUNCTION,
        wilson_interval::FUNCTION,
    ]
    .into_iter()
    .map(|function| Arc::new(function.into_udf()))
    .collect()
}

/// Every aggregate, by name.
#[must_use]
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    [
        Collected::<burst::Question>::udaf(),
        Collected::<percentile::Question>::udaf(),
        Collected::<surge_days::Question>::udaf(),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

/// Every window function, by name.
#[must_use]
pub fn windows() -> Vec<Arc<WindowUDF>> {
    [
        Windowed::<calendar_baseline::Judge>::udwf(),
        Windowed::<ears::C<1>>::udwf(),
        Windowed::<ears::C<2>>::udwf(),
        Windowed::<ears::C<3>>::udwf(),
        Windowed::<farrington::Judge>::udwf(),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_text_lists_every_function_once_and_in_order() {
        let mut names: Vec<String> = scalars().iter().map(|udf| udf.name().to_owned()).collect();
        names.extend(aggregates().iter().map(|udf| udf.name().to_owned()));
        names.extend(windows().iter().map(|udf| udf.name().to_owned()));
        names.sort();
        let listed: Vec<&str> = VERSION
            .split(' ')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(listed, names);
    }
}
