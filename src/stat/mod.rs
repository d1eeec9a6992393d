//! Statistics as pure kernels over slices of plain numbers.
//!
//! Nothing here knows Arrow, SQL, a table, a clock or a source of chance but [`random`], which is a function of its
//! seed; `func/` wraps what SQL may call.

pub mod areal;
pub mod backtest;
pub mod beta;
pub mod burst;
pub mod calendar;
pub mod counts;
pub mod coverage;
pub mod cusum;
pub mod ears;
pub mod ewma;
pub mod farrington;
pub mod gamma;
pub mod glm;
pub mod grouped;
pub mod interval;
pub mod kde;
pub mod knox;
pub mod loglinear;
pub mod percentile;
pub mod quantile;
pub mod random;
pub mod rates;
pub mod same_period;
pub mod scan;
pub mod series;
pub mod stop;
pub mod surge;
pub mod weights;
