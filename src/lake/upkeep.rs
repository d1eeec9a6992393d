//! Files that no kept version needs: found, and removed by whoever holds the site lease.
//!
//! Of a log, what a checkpoint before the first kept version sums up may go: checkpoints carry the transaction
//! ids by which a batch is stored once. A location is removed as a whole only where no kept release names it
//! and a newer one took its place.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::error::Result;
use crate::lake::{Lake, crash, store_error, table_error};

/// Files of one location of a table that may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waste {
    /// The table.
    pub table: String,
    /// The location.
    pub location: String,
    /// Their number.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    paths: Vec<Path>,
}

impl Lake {
    /// The files of a location that none of these versions needs and that were written before a moment
    /// (milliseconds since 1970): what is younger may belong to somebody at work. Without versions, every
    /// file of the location, its log included.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed, `Missing` where a version is gone.
    pub async fn waste(&self, name: &str, location: &str, versions: &BTreeSet<u64>, before: i64) -> Result<Waste> {
        let root = self.object(format!("tables/{}/{location}", name.replace('.', "/")))?;
        let mut shown: BTreeSet<Path> = BTreeSet::new();
        for version in versions {
            let table = self.table_at(name, location, *version).await?;
            let state = table.inner.snapshot().map_err(|cause| table_error(name, cause))?;
            let files = state.log_data();
            shown.extend(files.iter().map(|file| below(&root, &file.object_store_path())));
        }
        let mut waste = Waste {
            table: name.to_owned(),
            location: location.to_owned(),
            ..Waste::default()
        };
        let log = root.clone().join("_delta_log");
        let mut young_ones = false;
        let mut logged: Vec<(u64, ObjectMeta)> = Vec::new();
        let mut listed = self.store.list(Some(&root));
        while let Some(object) = listed.try_next().await.map_err(|cause| store_error(name, cause))? {
            let is_log = object.location.prefix_matches(&log);
            let young = object.last_modified.timestamp_millis() >= before;
            young_ones |= young;
            if is_log && !versions.is_empty() {
                logged.extend(commit_number(&object.location).map(|number| (number, object)));
            } else if !young && !shown.contains(&object.location) {
                waste.add(object);
            }
        }
        let summed_up = versions.first().and_then(|first| {
            let checkpoints = logged.iter().filter(|(_, object)| is_checkpoint(&object.location));
            checkpoints
                .map(|(number, _)| *number)
                .filter(|number| number <= first)
                .max()
        });
        for (number, object) in logged {
            let young = object.last_modified.timestamp_millis() >= before;
            if !young && summed_up.is_some_and(|checkpoint| number < checkpoint) {
                waste.add(object);
            }
        }
        // a location of which a part is young is somebody's still
        if versions.is_empty() && young_ones {
            (waste.files, waste.bytes) = (0, 0);
            waste.paths.clear();
        }
        // the log goes last and from its beginning, so that what is left of a location after a crash is still one
        waste
            .paths
            .sort_by_key(|path| (path.prefix_matches(&log), path.clone()));
        Ok(waste)
    }

    /// Removes files that were found to be waste. One that is gone already is none.
    ///
    /// # Errors
    /// As the store fails; what was removed until then is removed.
    pub async fn remove(&self, waste: &Waste) -> Result<()> {
        for path in &waste.paths {
            match self.store.delete(path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => crash::point("file_removed"),
                Err(cause) => return Err(store_error(&waste.table, cause)),
            }
        }
        Ok(())
    }
}

impl Waste {
    fn add(&mut self, object: ObjectMeta) {
        self.files += 1;
        self.bytes += object.size;
        self.paths.push(object.location);
    }
}

/// The number of the commit that a file of a log belongs to.
fn commit_number(path: &Path) -> Option<u64> {
    path.filename()?.split('.').next()?.parse().ok()
}

/// Whether a file of a log sums up the commits before it.
fn is_checkpoint(path: &Path) -> bool {
    path.filename()
        .is_some_and(|name| name.ends_with(".checkpoint.parquet"))
}

/// The path of a table's file in the store.
fn below(root: &Path, file: &Path) -> Path {
    root.parts().chain(file.parts()).collect()
}
