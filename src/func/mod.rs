//! SQL functions: thin wrappers of `place/` and `stat/`, one file each, listed in `register`.
//!
//! A function gets everything as arguments. It holds no session state, reads no table and no clock,
//! and draws no chance, so that the same rows always give the same answer. NULL in gives NULL out;
//! a value outside the domain gives NULL; a wrong type or a wrong constant is an error before the
//! query runs.

pub mod docs;
pub mod register;

mod areal;
mod around;
mod backtest;
mod bh_fdr;
mod burst;
mod calendar_baseline;
mod capture_curve;
mod collected;
mod columns;
mod compass;
mod coverage;
mod cusum;
mod detector;
mod distance_metres;
mod ears;
mod eb_rate;
mod eb_rate_spatial;
mod ewma;
mod farrington;
mod gathered;
mod gi_star;
mod global_moran;
mod h3_boundary;
mod h3_cell;
mod h3_centre;
mod h3_parent;
mod h3_ring;
mod h3_text;
mod heaping;
mod hit_rate;
mod in_area;
mod in_view;
mod indicators;
mod kde;
mod knox;
mod local_moran;
mod lscp;
mod mclp;
mod median_absolute_deviation;
mod nb_glm_fit;
mod nb_glm_predict;
mod options;
mod p_median;
mod pai;
mod params;
mod partition;
mod percentile;
mod poisson_interval;
mod project;
mod same_period;
mod scalar;
mod scan;
mod scan_permutation;
mod scan_poisson;
mod shift;
mod surge_days;
mod values;
mod wilson_interval;
