//! SQL functions: thin wrappers of `place/` and `stat/`, one file each, listed in `register`.
//!
//! A function gets everything as arguments. It holds no session state, reads no table and no clock,
//! and draws no chance, so that the same rows always give the same answer. NULL in gives NULL out;
//! a value outside the domain gives NULL; a wrong type or a wrong constant is an error before the
//! query runs.

pub mod register;

mod burst;
mod calendar_baseline;
mod collected;
mod compass;
mod detector;
mod distance_metres;
mod ears;
mod farrington;
mod gcj02_to_wgs84;
mod h3_cell;
mod h3_centre;
mod h3_ring;
mod h3_text;
mod in_view;
mod options;
mod params;
mod percentile;
mod poisson_interval;
mod scalar;
mod surge_days;
mod values;
mod wilson_interval;
