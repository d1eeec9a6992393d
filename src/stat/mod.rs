//! Statistics as pure kernels over slices of plain numbers.
//!
//! Nothing here knows Arrow, SQL, a table, a clock or a source of chance; `func/` wraps what SQL
//! may call.

pub mod beta;
pub mod burst;
pub mod calendar;
pub mod counts;
pub mod ears;
pub mod farrington;
pub mod gamma;
pub mod grouped;
pub mod interval;
pub mod loglinear;
pub mod percentile;
pub mod quantile;
pub mod series;
pub mod surge;
