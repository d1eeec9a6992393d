//! Named crash points: places where a test stops the process as a power cut would.
//!
//! In release builds a point is nothing at all.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static ARMED: OnceLock<(String, usize)> = OnceLock::new();
    static SEEN: AtomicUsize = AtomicUsize::new(0);

    /// Arms `name` or `name:n`, the n-th passage of the point.
    pub fn arm(point: &str) {
        let (name, passage) = match point.split_once(':') {
            Some((name, passage)) => (name, passage.parse().unwrap_or(1)),
            None => (point, 1),
        };
        let _ = ARMED.set((name.to_owned(), passage));
    }

    /// Ends the process here, without unwinding, if this passage is the armed one.
    pub fn point(name: &str) {
        if let Some((armed, passage)) = ARMED.get()
            && armed == name
            && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == *passage
        {
            std::process::abort();
        }
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    /// Nothing can be armed in a release build.
    pub fn arm(_: &str) {}
    /// Nothing happens in a release build.
    pub fn point(_: &str) {}
}

pub use armed::{arm, point};

/// Every point, in the order in which one ingest passes them.
pub const POINTS: [&str; 14] = [
    "batch_opened",
    "batch_hashed",
    "rows_parsed",
    "rows_written",
    "rows_flushed",
    "before_reject",
    "after_reject",
    "before_ingest",
    "after_ingest",
    "before_source",
    "after_source",
    "batch_done",
    "before_release",
    "after_release",
];
