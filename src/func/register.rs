//! The one list of SQL functions of the product.
//!
//! A session registers what stands here and nothing else of ours. Adding a function is a file, a
//! line here and a line in [`VERSION`].

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::collected::Collected;
use super::detector::Judged;
use super::gathered::Gathered;
pub use super::gathered::Work;
use super::partition::Over;
use super::{
    bh_fdr, burst, calendar_baseline, capture_curve, compass, cusum, distance_metres, ears, eb_rate, eb_rate_spatial,
    ewma, farrington, gi_star, global_moran, h3_boundary, h3_cell, h3_centre, h3_parent, h3_ring, h3_text, heaping,
    hit_rate, in_area, in_view, indicators, kde, knox, local_moran, lscp, mclp, median_absolute_deviation, nb_glm_fit,
    nb_glm_predict, p_median, pai, percentile, poisson_interval, project, same_period, scan_permutation, scan_poisson,
    shift, surge_days, wilson_interval,
};

/// Names and versions, hashed into the fingerprint of every model: raise a number when answers
/// change, so that what was built with the old function is built again.
pub const VERSION: &str = "bd09_to_gcj02=1 bd09_to_wgs84=1 bh_fdr=1 burst=1 calendar_baseline=1 capture_curve=1 \
                           compass=1 cusum=1 distance_metres=1 ears_c1=1 ears_c2=1 ears_c3=1 eb_rate=1 \
                           eb_rate_spatial=1 ewma=1 farrington=1 gcj02_to_bd09=1 gcj02_to_wgs84=1 gi_star=1 \
                           global_moran=1 h3_boundary=1 h3_cell=1 h3_centre=1 h3_parent=1 h3_ring=1 h3_text=1 \
                           heaping=1 hit_rate=1 in_area=1 in_view=1 indicators=1 kde=1 knox=1 local_moran=1 lscp=1 mclp=1 \
                           median_absolute_deviation=1 nb_glm_fit=1 nb_glm_predict=1 p_median=1 pai=1 percentile=1 \
                           poisson_interval=1 project=1 same_period=1 scan_permutation=1 scan_poisson=1 \
                           surge_days=1 unproject=1 wgs84_to_bd09=1 wgs84_to_gcj02=1 wilson_interval=1";

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let entries = VERSION.split_whitespace();
    entries.filter_map(|entry| entry.split_once('=')).map(|(name, _)| name)
}

/// Every scalar function, by name.
#[must_use]
pub fn scalars() -> Vec<Arc<ScalarUDF>> {
    [
        compass::FUNCTION,
        distance_metres::FUNCTION,
        h3_boundary::FUNCTION,
        h3_cell::FUNCTION,
        h3_centre::FUNCTION,
        h3_parent::FUNCTION,
        h3_ring::FUNCTION,
        h3_text::FUNCTION,
        in_area::FUNCTION,
        in_view::FUNCTION,
        indicators::FUNCTION,
        nb_glm_predict::FUNCTION,
        poisson_interval::FUNCTION,
        wilson_interval::FUNCTION,
    ]
    .into_iter()
    .chain(project::FUNCTIONS)
    .chain(shift::FUNCTIONS)
    .map(|function| Arc::new(function.into_udf()))
    .collect()
}

/// Every aggregate of values, by name.
#[must_use]
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    [
        Collected::<burst::Question>::udaf(),
        Collected::<heaping::Question>::udaf(),
        Collected::<median_absolute_deviation::Question>::udaf(),
        Collected::<percentile::Question>::udaf(),
        Collected::<surge_days::Question>::udaf(),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

/// Every aggregate of whole sets, by name; `work` says how many threads answer and when they are to stop.
#[must_use]
pub fn sets(work: &Work) -> Vec<Arc<AggregateUDF>> {
    [
        Gathered::<capture_curve::CaptureCurve>::udaf(work),
        Gathered::<eb_rate_spatial::EbRateSpatial>::udaf(work),
        Gathered::<gi_star::GiStar>::udaf(work),
        Gathered::<global_moran::GlobalMoran>::udaf(work),
        Gathered::<hit_rate::HitRate>::udaf(work),
        Gathered::<kde::Kde>::udaf(work),
        Gathered::<knox::Knox>::udaf(work),
        Gathered::<local_moran::LocalMoran>::udaf(work),
        Gathered::<lscp::Lscp>::udaf(work),
        Gathered::<mclp::Mclp>::udaf(work),
        Gathered::<nb_glm_fit::NbGlmFit>::udaf(work),
        Gathered::<p_median::PMedian>::udaf(work),
        Gathered::<pai::Pai>::udaf(work),
        Gathered::<scan_permutation::ScanPermutation>::udaf(work),
        Gathered::<scan_poisson::ScanPoisson>::udaf(work),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

/// Every window function, by name.
#[must_use]
pub fn windows() -> Vec<Arc<WindowUDF>> {
    [
        Over::<bh_fdr::BhFdr>::udwf(),
        Over::<Judged<calendar_baseline::Judge>>::udwf(),
        Over::<Judged<cusum::Judge>>::udwf(),
        Over::<Judged<ears::C<1>>>::udwf(),
        Over::<Judged<ears::C<2>>>::udwf(),
        Over::<Judged<ears::C<3>>>::udwf(),
        Over::<eb_rate::EbRate>::udwf(),
        Over::<Judged<ewma::Judge>>::udwf(),
        Over::<Judged<farrington::Judge>>::udwf(),
        Over::<same_period::SamePeriod>::udwf(),
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
        names.extend(sets(&Work::default()).iter().map(|udf| udf.name().to_owned()));
        names.extend(windows().iter().map(|udf| udf.name().to_owned()));
        names.sort();
        assert_eq!(super::names().collect::<Vec<_>>(), names);
    }
}
