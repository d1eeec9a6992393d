//! The clock as a value. The real one is made in cli/; tests hold their own.

use chrono::{DateTime, SecondsFormat};

/// Tells the time, in microseconds since 1970-01-01 UTC.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> i64;
}

/// An instant as text, `2025-03-04T05:06:07Z`.
pub fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || micros.to_string(),
        |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}
