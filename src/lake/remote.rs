//! Source files in object stores: listed by URL, read by ranges, never written.
//!
//! Readers are blocking, as all readers of sources are: they run on threads of their own and wait for
//! the store there. A read names the version that was listed, so that an object that is replaced
//! meanwhile fails instead of giving half of each.

use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use url::Url;

use crate::error::{Error, Kind, Result, fail};

/// Bytes of the first request of a reader; the next ones double while reading goes straight on.
const FIRST_BYTES: u64 = 256 << 10;
/// Bytes of one request at most.
const MOST_BYTES: u64 = 8 << 20;

/// How stores are reached: keys and endpoints by their usual names (`aws_endpoint_url`, …).
pub type StoreOptions = BTreeMap<String, String>;

/// An object as it was listed.
#[derive(Debug, Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    found: ObjectMeta,
    folder: String,
    runtime: Handle,
}

fn kind(cause: &object_store::Error) -> Kind {
    use object_store::Error as Cause;
    match cause {
        Cause::NotFound { .. } => Kind::Missing,
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Kind::Denied,
        Cause::Precondition { .. } => Kind::Conflict,
        Cause::InvalidPath { .. } | Cause::NotSupported { .. } | Cause::UnknownConfigurationKey { .. } => Kind::Input,
        _ => Kind::Unavailable,
    }
}

fn failed(shown: &str, cause: object_store::Error) -> Error {
    fail(kind(&cause), "file_failed", &[&shown]).because(cause)
}

/// The objects directly in a folder of a store, in the order of their names.
///
/// # Errors
/// `Input` for a URL of no known store, `Missing`, `Denied` or `Unavailable` as the store says.
pub async fn objects(folder: &str, options: &StoreOptions) -> Result<Vec<Remote>> {
    let url = Url::parse(folder).map_err(|cause| fail(Kind::Input, "source_url", &[&folder]).because(cause))?;
    let (store, prefix) = object_store::parse_url_opts(&url, options)
        .map_err(|cause| fail(Kind::Input, "source_url", &[&folder]).because(cause))?;
    let store: Arc<dyn ObjectStore> = Arc::from(store);
    let listed = store
        .list_with_delimiter(Some(&prefix))
        .await
        .map_err(|cause| failed(folder, cause))?;
    let mut found: Vec<Remote> = listed
        .objects
        .into_iter()
        .map(|found| Remote {
            store: store.clone(),
            found,
            folder: folder.trim_end_matches('/').to_owned(),
            runtime: Handle::current(),
        })
        .collect();
    found.sort_by(|left, right| left.found.location.cmp(&right.found.location));
    Ok(found)
}

impl Remote {
    /// The last part of its name.
    pub fn name(&self) -> &str {
        self.found.location.filename().unwrap_or_default()
    }

    /// Its URL, without options.
    pub fn url(&self) -> String {
        format!("{}/{}", self.folder, self.name())
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.found.size
    }

    /// When it was last written.
    pub fn modified(&self) -> std::time::SystemTime {
        self.found.last_modified.into()
    }

    /// The object beside it whose name has this ending added, whole; `None` where there is none.
    /// Blocks: not for the threads of the runtime.
    ///
    /// # Errors
    /// As the store fails.
    pub fn beside(&self, ending: &str) -> Result<Option<Vec<u8>>> {
        let path = Path::parse(format!("{}{ending}", self.found.location))
            .map_err(|cause| failed(&self.url(), cause.into()))?;
        let read = async {
            match self.store.get(&path).await {
                Ok(found) => found.bytes().await.map(|bytes| Some(bytes.to_vec())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(cause) => Err(cause),
            }
        };
        self.runtime.block_on(read).map_err(|cause| failed(&self.url(), cause))
    }

    /// The object as it is listed now. Blocks: not for the threads of the runtime.
    ///
    /// # Errors
    /// As the store fails; `Missing` where it is gone.
    pub fn again(&self) -> Result<Remote> {
        let found = self.runtime.block_on(self.store.head(&self.found.location));
        Ok(Remote {
            found: found.map_err(|cause| failed(&self.url(), cause))?,
            ..self.clone()
        })
    }

    /// What tells this version of the object from others.
    pub fn version(&self) -> Option<&str> {
        self.found.e_tag.as_deref()
    }

    /// A blocking reader of this version of the object.
    pub fn reader(&self) -> RemoteReader {
        RemoteReader {
            remote: self.clone(),
            at: 0,
            block: Vec::new(),
            block_start: 0,
            next_bytes: FIRST_BYTES,
        }
    }

    fn range(&self, start: u64, end: u64) -> IoResult<Vec<u8>> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            if_match: self.found.e_tag.clone(),
            ..GetOptions::default()
        };
        let read = async { self.store.get_opts(&self.found.location, options).await?.bytes().await };
        let found = self.runtime.block_on(read).map(|bytes| bytes.to_vec());
        found.map_err(|cause| match kind(&cause) {
            Kind::Missing => IoError::new(ErrorKind::NotFound, cause),
            Kind::Denied => IoError::new(ErrorKind::PermissionDenied, cause),
            _ => IoError::other(cause),
        })
    }
}

/// Reads an object by ranges. Blocks: not for the threads of the runtime.
#[derive(Debug)]
pub struct RemoteReader {
    remote: Remote,
    at: u64,
    block: Vec<u8>,
    block_start: u64,
    next_bytes: u64,
}

impl Read for RemoteReader {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let size = self.remote.bytes();
        if self.at >= size || buffer.is_empty() {
            return Ok(0);
        }
        let block_end = self.block_start + self.block.len() as u64;
        if self.at < self.block_start || self.at >= block_end {
            let goes_on = self.at == block_end;
            self.next_bytes = if goes_on {
                (self.next_bytes * 2).min(MOST_BYTES)
            } else {
                FIRST_BYTES
            };
            let end = self.at.saturating_add(self.next_bytes).min(size);
            self.block = self.remote.range(self.at, end)?;
            self.block_start = self.at;
            if self.block.len() as u64 != end - self.at {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let from = usize::try_from(self.at - self.block_start).unwrap_or(usize::MAX);
        let count = buffer.len().min(self.block.len() - from);
        buffer[..count].copy_from_slice(&self.block[from..from + count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteReader {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.remote.bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
