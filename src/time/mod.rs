//! Clock and calendar: instants in UTC microseconds, local days by the site's zone and cut-off.

pub mod calendar;
pub mod clock;
pub mod local;
pub mod parse;

pub use calendar::Calendar;
pub use clock::{Clock, rfc3339};
pub use local::LocalDays;
