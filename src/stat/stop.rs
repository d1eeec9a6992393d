//! Whether long work is to stop: kernels ask now and then, whoever asked for the work says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that many share.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Work that was told to stop before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl Stop {
    /// Tells all work that asks to stop.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Goes on, unless told to stop.
    ///
    /// # Errors
    /// [`Stopped`] where somebody said so.
    pub fn asked(&self) -> Result<(), Stopped> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_shares_the_flag_is_told() {
        let stop = Stop::default();
        let other = stop.clone();
        assert_eq!(other.asked(), Ok(()));
        stop.now();
        assert_eq!(other.asked(), Err(Stopped));
    }
}
