//! The real clock and the real randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Kind, Result, fail};
use crate::lake::digest::hex;
use crate::time::Clock;

/// The machine's clock.
#[derive(Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// 32 bytes from the operating system.
pub(super) fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|cause| fail(Kind::Unavailable, "no_entropy", &[]).because(cause))?;
    Ok(bytes)
}

/// A run's name: its start in UTC and four random bytes, sortable by time.
pub(super) fn run_id(now: i64) -> Result<String> {
    let stamp = chrono::DateTime::from_timestamp_micros(now)
        .map_or_else(String::new, |at| at.format("%Y%m%dT%H%M%SZ").to_string());
    Ok(format!("{stamp}-{}", hex(&entropy()?[..4])))
}
