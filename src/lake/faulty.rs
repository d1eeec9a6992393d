//! A store that fails once, at the operation that a test names, before its effect or after it.
//!
//! In release builds nothing can be armed, and the store is not wrapped.

use std::sync::Arc;

use object_store::ObjectStore;

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    use async_trait::async_trait;
    use futures::StreamExt;
    use futures::stream::{self, BoxStream};
    use object_store::path::Path;
    use object_store::{
        CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    };

    static ARMED: OnceLock<Fault> = OnceLock::new();
    static SEEN: AtomicUsize = AtomicUsize::new(0);

    #[derive(Debug)]
    struct Fault {
        operation: usize,
        kind: String,
        after: bool,
        trace: Option<String>,
    }

    /// Arms `n:kind:before` or `n:kind:after`, the n-th operation of the process; `trace` gets a line for
    /// each operation.
    pub fn arm(fault: &str, trace: Option<String>) {
        let mut parts = fault.split(':');
        let operation = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let _ = ARMED.set(Fault {
            operation,
            kind: parts.next().unwrap_or_default().to_owned(),
            after: parts.next() == Some("after"),
            trace,
        });
    }

    /// The store itself where nothing is armed.
    pub fn wrap(store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        match ARMED.get() {
            Some(_) => Arc::new(FaultyStore { inner: store }),
            None => store,
        }
    }

    impl Fault {
        fn error(&self, path: &str) -> Error {
            let (path, source) = (path.to_owned(), format!("{} as a test asked for", self.kind).into());
            match self.kind.as_str() {
                "absent" => Error::NotFound { path, source },
                "taken" => Error::AlreadyExists { path, source },
                "changed" => Error::Precondition { path, source },
                "denied" => Error::PermissionDenied { path, source },
                _ => Error::Generic {
                    store: "FaultyStore",
                    source,
                },
            }
        }
    }

    /// Counts an operation; where it is the armed one, what it fails with, and whether only after its effect.
    fn passes(name: &str, path: &str) -> Option<(Error, bool)> {
        let fault = ARMED.get()?;
        let number = SEEN.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(trace) = &fault.trace
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(trace)
        {
            let _ = writeln!(file, "{number} {name} {path}");
        }
        (number == fault.operation).then(|| (fault.error(path), fault.after))
    }

    /// Does an operation, with the fault before or after it.
    async fn guarded<T>(name: &str, path: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match passes(name, path) {
            Some((error, false)) => Err(error),
            Some((error, true)) => work.await.and(Err(error)),
            None => work.await,
        }
    }

    /// The items of an operation, with the fault in their place or behind them.
    fn guarded_items<T: Send + 'static>(
        name: &str,
        path: &str,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        match passes(name, path) {
            Some((error, false)) => stream::iter([Err(error)]).boxed(),
            Some((error, true)) => items.chain(stream::iter([Err(error)])).boxed(),
            None => items,
        }
    }

    #[derive(Debug)]
    struct FaultyStore {
        inner: Arc<dyn ObjectStore>,
    }

    impl std::fmt::Display for FaultyStore {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "FaultyStore({})", self.inner)
        }
    }

    #[derive(Debug)]
    struct FaultyUpload {
        inner: Box<dyn MultipartUpload>,
        path: String,
    }

    #[async_trait]
    impl MultipartUpload for FaultyUpload {
        fn put_part(&mut self, data: PutPayload) -> UploadPart {
            let (path, part) = (self.path.clone(), self.inner.put_part(data));
            Box::pin(async move { guarded("part", &path, part).await })
        }

        async fn complete(&mut self) -> Result<PutResult> {
            guarded("complete", &self.path, self.inner.complete()).await
        }

        async fn abort(&mut self) -> Result<()> {
            self.inner.abort().await
        }
    }

    #[async_trait]
    impl ObjectStore for FaultyStore {
        async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
            guarded("put", location.as_ref(), self.inner.put_opts(location, payload, opts)).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            let begun = self.inner.put_multipart_opts(location, opts);
            let inner = guarded("begin", location.as_ref(), begun).await?;
            Ok(Box::new(FaultyUpload {
                inner,
                path: location.to_string(),
            }))
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            guarded("get", location.as_ref(), self.inner.get_opts(location, options)).await
        }

        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            guarded_items("delete", "", self.inner.delete_stream(locations))
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            let path = prefix.map_or("", |prefix| prefix.as_ref());
            guarded_items("list", path, self.inner.list(prefix))
        }

        fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
            let path = prefix.map_or("", |prefix| prefix.as_ref());
            guarded_items("list", path, self.inner.list_with_offset(prefix, offset))
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            let path = prefix.map_or("", |prefix| prefix.as_ref());
            guarded("folder", path, self.inner.list_with_delimiter(prefix)).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            guarded("copy", to.as_ref(), self.inner.copy_opts(from, to, options)).await
        }
    }
}

#[cfg(debug_assertions)]
pub use armed::arm;

/// Nothing can be armed in a release build.
#[cfg(not(debug_assertions))]
pub fn arm(_: &str, _: Option<String>) {}

/// The store, which fails where a test armed a fault.
pub(super) fn wrap(store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    #[cfg(debug_assertions)]
    return armed::wrap(store);
    #[cfg(not(debug_assertions))]
    store
}
