//! The lake: Delta tables, releases, leases. The only module that names deltalake and object_store.
//!
//! What it promises: a batch is stored whole or not at all and once; a release switches all tables
//! in one step; what it reported as written survives a power cut; it never deletes a data file
//! because of an error, since an unclear answer may have been a success.

pub mod compact;
pub mod crash;
pub mod days;
pub mod digest;
mod encode;
pub mod environment;
pub mod erase;
pub mod faulty;
pub mod journal;
pub mod lease;
pub mod mirror;
mod numbered;
pub mod pin;
mod places;
pub mod release;
pub mod remote;
pub mod shape;
mod stage;
mod stats;
mod store;
pub mod table;
mod transactions;
pub mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;

use crate::error::{Kind, Result, fail};

pub use compact::Compacted;
pub use days::Touched;
pub use digest::{RowDigest, RunningDigest};
pub use encode::{Encoded, Encoder, Layout};
pub use journal::Journal;
pub use lease::Lease;
pub use pin::Pin;
pub use places::SHARED;
pub use release::{Pulled, Release, ReleaseTable};
pub use remote::{Remote, StoreOptions};
pub use stage::{Stage, Staged};
pub use table::{Appended, Commit, Said, Table};

/// An opened lake.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    environment: Option<String>,
    store: Arc<dyn ObjectStore>,
}

impl Lake {
    /// Opens the lake at a folder (relative to `site`) or `file://` URL, making the folder.
    ///
    /// # Errors
    /// `Input` for a URL of another kind, `Unavailable` where the folder cannot be made.
    pub fn open(site: &Path, url: &str) -> Result<Lake> {
        let path = match url.strip_prefix("file://") {
            Some(path) => PathBuf::from(path),
            None if url.contains("://") => return Err(fail(Kind::Input, "lake_url", &[&url])),
            None => site.join(url),
        };
        let failed = |cause: std::io::Error| crate::error::io_error(&path, &cause);
        std::fs::create_dir_all(&path).map_err(failed)?;
        let root = path.canonicalize().map_err(failed)?;
        Ok(Lake {
            root,
            environment: None,
            store: faulty::wrap(Arc::new(store::DurableStore::new())),
        })
    }

    /// The folder of the lake.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder for unnamed files that end with the process.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be made.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.root.join("scratch");
        std::fs::create_dir_all(&folder).map_err(|cause| crate::error::io_error(&folder, &cause))?;
        Ok(folder)
    }

    /// The entries of a folder, in order; none where it is absent.
    fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
        let failed = |cause: std::io::Error| crate::error::io_error(folder, &cause);
        let entries = match std::fs::read_dir(folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(failed)?;
        paths.sort();
        Ok(paths)
    }

    /// The object of a path inside the lake.
    fn object(&self, relative: impl AsRef<Path>) -> Result<object_store::path::Path> {
        let path = self.root.join(relative);
        object_store::path::Path::from_absolute_path(&path)
            .map_err(|cause| fail(Kind::Input, "lake_path", &[&path.display()]).because(cause))
    }
}

/// A failure of the store, in our words.
fn store_error(what: &str, cause: object_store::Error) -> crate::Error {
    let kind = match cause {
        object_store::Error::NotFound { .. } => Kind::Missing,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => Kind::Conflict,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => Kind::Denied,
        _ => Kind::Unavailable,
    };
    fail(kind, "store_failed", &[&what]).because(cause)
}

/// A failure of the table library, in our words.
fn table_error(table: &str, cause: deltalake::DeltaTableError) -> crate::Error {
    use deltalake::DeltaTableError as E;
    let kind = match &cause {
        E::NotATable(_) | E::InvalidVersion(_) => Kind::Missing,
        E::VersionAlreadyExists(_) | E::Transaction { .. } => Kind::Conflict,
        E::ObjectStore { .. } | E::Io { .. } => Kind::Unavailable,
        E::SchemaMismatch { .. } => Kind::Bug,
        _ => Kind::Unavailable,
    };
    fail(kind, "table_failed", &[&table]).because(cause)
}
