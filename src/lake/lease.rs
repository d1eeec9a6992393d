//! The site lease: one writer at a time, ended by the operating system when its process dies.
//!
//! An advisory lock on a file of the lake, whose number grows with every holder; every commit
//! carries that number, so that a stale holder can be told from the present one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Lake;

/// A held lease. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    _file: File,
    fence: u64,
}

impl Lease {
    /// The number of this holder; larger than every earlier one.
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

const POLL: Duration = Duration::from_millis(50);

impl Lake {
    /// Waits up to `seconds` for the lease `name`.
    ///
    /// # Errors
    /// `Conflict` where another process still holds it.
    pub async fn lease(&self, name: &str, seconds: u64) -> Result<Lease> {
        let folder = self.own("leases");
        let path = folder.join(format!("{name}.lock"));
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < Duration::from_secs(seconds) => {
                    tokio::time::sleep(POLL).await;
                    waited += POLL;
                }
                Err(TryLockError::WouldBlock) => return Err(fail(Kind::Conflict, "lease_held", &[&name, &seconds])),
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let fence = text.trim().parse::<u64>().unwrap_or(0) + 1;
        // over the old number, which is never longer: a full disk must not start the count again
        let fence_text = fence.to_string();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(fence_text.as_bytes())
            .and_then(|()| file.set_len(fence_text.len() as u64))
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        Ok(Lease { _file: file, fence })
    }
}

impl Lake {
    /// Remembers a value derived from the site's secret at first use, and refuses another one later.
    ///
    /// # Errors
    /// `Conflict` where the lake was made with another secret.
    pub fn same_key(&self, check: i64) -> Result<()> {
        let path = self.root().join("leases").join("key.check");
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        match std::fs::read_to_string(&path) {
            Ok(known) if known.trim() == check.to_string() => Ok(()),
            Ok(_) => Err(fail(Kind::Conflict, "key_changed", &[]).hint("key_changed_hint", &[])),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => self.renewed_key(check),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Remembers the value of a key that was laid over the one before.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn renewed_key(&self, check: i64) -> Result<()> {
        let path = self.root().join("leases").join("key.check");
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        let staged = path.with_extension("next");
        let mut file = File::create(&staged).map_err(failed)?;
        file.write_all(check.to_string().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&staged, &path))
            .map_err(failed)
    }
}
