//! How far an ingest is, shared between the reader and whoever watches.

use std::sync::atomic::AtomicU64;

/// Bytes and rows that went by, for a progress display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the source file read.
    pub bytes: AtomicU64,
    /// Rows read.
    pub rows: AtomicU64,
}
