//! A local store whose writes survive a power cut: fsync of the file, then of its folders.
//!
//! object_store 0.13 never calls fsync; a commit file left with zero bytes is read as an empty
//! commit without any error, so rows would vanish silently. Here the bytes are on disk before the
//! name exists.

use std::fs::File;
use std::io::Write;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The wrapper over the local file system.
#[derive(Debug)]
pub(super) struct DurableStore {
    inner: LocalFileSystem,
}

impl DurableStore {
    pub(super) fn new() -> DurableStore {
        DurableStore {
            inner: LocalFileSystem::new(),
        }
    }
}

impl std::fmt::Display for DurableStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DurableStore({})", self.inner)
    }
}

/// What the system said of a path, with the path: it says only what, never where.
fn failed(path: &FilePath) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::Generic {
        store: "DurableStore",
        source: format!("{}: {cause}", path.display()).into(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::Generic {
            store: "DurableStore",
            source: Box::new(cause),
        })?
}

/// Writes beside the target, makes it durable, then gives it its name in one step.
fn put(path: &FilePath, payload: &PutPayload, mode: &PutMode) -> Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| failed(path)(std::io::ErrorKind::InvalidInput.into()))?;
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let staged = staged(path);
    let written = (|| {
        let mut file = File::create(&staged)?;
        payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
        file.sync_all()?;
        match mode {
            PutMode::Create => std::fs::hard_link(&staged, path),
            _ => std::fs::rename(&staged, path),
        }
    })();
    if !matches!(mode, PutMode::Overwrite) || written.is_err() {
        let _ = std::fs::remove_file(&staged);
    }
    written.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path: path.display().to_string(),
            source: Box::new(cause),
        },
        _ => failed(path)(cause),
    })?;
    sync_folders(folder)
}

/// A name beside a file for what is not whole yet. The inner store lists no name that ends in `#` and digits: what a
/// killed process left is no file to anybody.
fn staged(path: &FilePath) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!("#{:010}{number:010}", std::process::id()));
    PathBuf::from(staged)
}

/// Makes the names on the way to a file durable: its folder, and the folders that may be new.
fn sync_folders(folder: &FilePath) -> Result<()> {
    for folder in folder
        .ancestors()
        .take(6)
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)
            .and_then(|handle| handle.sync_all())
            .map_err(failed(folder))?;
    }
    Ok(())
}

#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let path = self.path.clone();
        blocking(move || {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(failed(&path))?;
            path.parent().map_or(Ok(()), sync_folders)
        })
        .await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || put(&path, &payload, &opts.mode)).await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn what_a_killed_process_left_half_written_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = folder.path().join("00000000000000000000.json");
        std::fs::write(staged(&whole), b"{\"half\"").expect("a file");
        let store = DurableStore::new();
        let place = Path::from_absolute_path(folder.path()).expect("a path");
        let listed = || async {
            let listed = store.list_with_delimiter(Some(&place)).await.expect("a list");
            listed.objects.len()
        };
        assert_eq!(listed().await, 0);
        let path = Path::from_absolute_path(&whole).expect("a path");
        store.put(&path, b"{}".as_slice().into()).await.expect("a file");
        assert_eq!(listed().await, 1);
    }
}
