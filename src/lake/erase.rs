//! Erasure: rows that have to go from every file of the lake, whatever release, pin or version shows them.
//!
//! What has to go is looked for in the files themselves, not in what logs say of them, so that versions of
//! long ago, files of crashed runs and tables of models are found alike.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use deltalake::kernel::Action;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::days::{DAY, UNDATED};
use crate::lake::table::Means;
use crate::lake::{Commit, Lake, Layout, Table, encode, store_error, table_error};

/// Which rows have to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Those of a document: rows with its token in the named column go, elsewhere the token becomes NULL.
    Document {
        /// The column of the document's own number.
        column: String,
        /// The token of the number.
        token: i64,
    },
    /// Those of statistics days before this one.
    Before(i32),
}

impl Mark {
    /// The rows of a batch that have to go or to change.
    fn hits(&self, batch: &RecordBatch) -> BooleanArray {
        match self {
            Mark::Document { token, .. } => {
                let columns: Vec<&Int64Array> = batch
                    .columns()
                    .iter()
                    .filter_map(|column| column.as_primitive_opt::<Int64Type>())
                    .collect();
                if !columns.iter().any(|column| column.values().contains(token)) {
                    return BooleanArray::from(vec![false; batch.num_rows()]);
                }
                let holds = |row: usize| {
                    columns
                        .iter()
                        .any(|column| column.is_valid(row) && column.value(row) == *token)
                };
                BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(holds(row))))
            }
            Mark::Before(day) => {
                let days = batch
                    .column_by_name(DAY)
                    .and_then(|column| column.as_primitive_opt::<Date32Type>());
                let old = |row: usize| days.is_some_and(|days| days.is_valid(row) && days.value(row) < *day);
                BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(old(row))))
            }
        }
    }

    /// The rows that stay, as they stay, and those that go.
    fn parted(&self, batch: &RecordBatch) -> Result<(RecordBatch, RecordBatch)> {
        let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
        let goes = match self {
            Mark::Document { column, token } => {
                let own = batch
                    .column_by_name(column)
                    .and_then(|column| column.as_primitive_opt::<Int64Type>());
                let goes = |row: usize| own.is_some_and(|own| own.is_valid(row) && own.value(row) == *token);
                BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(goes(row))))
            }
            Mark::Before(_) => self.hits(batch),
        };
        let stays = arrow::compute::not(&goes).map_err(broken)?;
        let gone = filter_record_batch(batch, &goes).map_err(broken)?;
        let mut left = filter_record_batch(batch, &stays).map_err(broken)?;
        if let Mark::Document { token, .. } = self {
            let without = |column: &ArrayRef| -> ArrayRef {
                match column.as_primitive_opt::<Int64Type>() {
                    Some(numbers) => std::sync::Arc::new(Int64Array::from_iter(
                        numbers.iter().map(|number| number.filter(|number| number != token)),
                    )),
                    None => column.clone(),
                }
            };
            let columns = left.columns().iter().map(without).collect();
            left = RecordBatch::try_new(left.schema(), columns).map_err(broken)?;
        }
        Ok((left, gone))
    }
}

/// Files of one location of a table that hold rows that have to go. Only the newest location shows any: what
/// others hold can only go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The table.
    pub table: String,
    /// The location.
    pub location: String,
    /// Rows in files that the newest version shows.
    pub shown_rows: u64,
    /// Those files, relative to the location.
    pub shown: BTreeSet<String>,
    /// Rows in other files.
    pub old_rows: u64,
    old: Vec<object_store::path::Path>,
}

impl Trace {
    /// Forgets files that were removed; whether rows are left.
    pub fn forget_old(&mut self) -> bool {
        self.old.clear();
        self.old_rows = 0;
        self.shown_rows > 0
    }

    /// Files that the newest version of the newest location does not show.
    pub fn old_files(&self) -> usize {
        self.old.len()
    }
}

/// The file of rows that were erased and stay away when they are sent again.
const ERASED: &str = "erased.jsonl";

/// A row that was erased, by its keyed identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    table: String,
    row_key: i64,
    key_id: String,
    at: String,
}

impl Lake {
    fn gone(&self) -> Result<Vec<Gone>> {
        let path = self.root().join(ERASED);
        let text = match std::fs::read_to_string(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(|cause| io_error(&path, &cause))?,
        };
        let read = |line| serde_json::from_str(line);
        let all: std::result::Result<Vec<Gone>, _> = text.lines().map(read).collect();
        all.map_err(|cause| fail(Kind::Bug, "erased_broken", &[&path.display()]).because(cause))
    }

    /// Writes the list whole, or not at all.
    fn write_gone(&self, all: &[Gone]) -> Result<()> {
        let path = self.root().join(ERASED);
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        let mut file = tempfile::NamedTempFile::new_in(self.root()).map_err(failed)?;
        for gone in all {
            let line = serde_json::to_string(gone)
                .map_err(|cause| fail(Kind::Bug, "erased_broken", &[&path.display()]).because(cause))?;
            writeln!(file, "{line}").map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|cause| failed(cause.error))?;
        std::fs::File::open(self.root())
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }

    /// The identities of rows of a table that were erased: whoever sends them again, they stay away.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be read, `Bug` where the list is broken.
    pub fn erased(&self, table: &str) -> Result<Vec<i64>> {
        let all = self.gone()?.into_iter().filter(|gone| gone.table == table);
        Ok(all.map(|gone| gone.row_key).collect())
    }

    /// Keeps that rows are to stay away, before they go. `key_id` names the key of their identities.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn keep_away(&self, table: &str, rows: &[RecordBatch], key_id: &str, at: &str) -> Result<()> {
        let mut all = self.gone()?;
        for batch in rows {
            let keys = batch
                .column_by_name("row_key")
                .and_then(|column| column.as_primitive_opt::<Int64Type>());
            for row_key in keys.into_iter().flat_map(|keys| keys.values().iter().copied()) {
                all.push(Gone {
                    table: table.to_owned(),
                    row_key,
                    key_id: key_id.to_owned(),
                    at: at.to_owned(),
                });
            }
        }
        self.write_gone(&all)
    }

    /// Brings the identities of erased rows to a new key; those that have it stay as they are.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn renew_erased(&self, key_id: &str, renewed: impl Fn(i64) -> i64) -> Result<()> {
        let mut all = self.gone()?;
        if all.iter().all(|gone| gone.key_id == key_id) {
            return Ok(());
        }
        for gone in all.iter_mut().filter(|gone| gone.key_id != key_id) {
            gone.row_key = renewed(gone.row_key);
            key_id.clone_into(&mut gone.key_id);
        }
        self.write_gone(&all)
    }

    /// The files of a table, in whatever location, that hold rows that have to go.
    ///
    /// # Errors
    /// `Unavailable` where a file cannot be read.
    pub async fn traces(&self, name: &str, mark: &Mark) -> Result<Vec<Trace>> {
        let mut found = Vec::new();
        // what is shown can be written anew; every other file can only go
        let newest = self.published().locations(name).await?.pop();
        for location in self.every_location(name).await? {
            let root = self.object(format!("tables/{}/{location}", name.replace('.', "/")))?;
            let mut shown = BTreeMap::new();
            if newest.as_ref() == Some(&location) {
                let table = self.table_in(name, &location).await?;
                let state = table.inner.snapshot().map_err(|cause| table_error(name, cause))?;
                for file in state.log_data().iter() {
                    let path: object_store::path::Path = root.parts().chain(file.object_store_path().parts()).collect();
                    shown.insert(path, file.path().into_owned());
                }
            }
            let mut trace = Trace {
                table: name.to_owned(),
                location: location.clone(),
                ..Trace::default()
            };
            let listed = self.store.list(Some(&root));
            let files: Vec<_> = listed.try_collect().await.map_err(|cause| store_error(name, cause))?;
            for file in files
                .into_iter()
                .filter(|file| file.location.as_ref().ends_with(".parquet"))
            {
                // checkpoints are Parquet as well; they hold no rows, and columns of tokens have no statistics
                if file.location.as_ref().contains("/_delta_log/") {
                    continue;
                }
                let failed = |cause| store_error(name, cause);
                let bytes = self
                    .store
                    .get(&file.location)
                    .await
                    .map_err(failed)?
                    .bytes()
                    .await
                    .map_err(failed)?;
                let mut rows = 0;
                for batch in encode::rows(bytes)? {
                    rows += mark.hits(&batch?).true_count() as u64;
                }
                if rows == 0 {
                    continue;
                }
                if let Some(path) = shown.get(&file.location) {
                    trace.shown_rows += rows;
                    trace.shown.insert(path.clone());
                } else {
                    trace.old_rows += rows;
                    trace.old.push(file.location);
                }
            }
            if trace.shown_rows + trace.old_rows > 0 {
                found.push(trace);
            }
        }
        Ok(found)
    }

    /// Removes the files of a trace that the newest version does not show, whoever keeps them.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn remove_old(&self, trace: &Trace) -> Result<()> {
        for path in &trace.old {
            match self.store.delete(path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(cause) => return Err(store_error(&trace.table, cause)),
            }
        }
        Ok(())
    }

    /// The files of the lake that hold one of these texts, in whatever form: logs, checkpoints, releases,
    /// journals, and data files as bytes.
    ///
    /// # Errors
    /// `Unavailable` where a file cannot be read.
    pub fn files_with(&self, texts: &[String]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        search(self.root(), texts, &mut found)?;
        Ok(found)
    }
}

/// Bytes of a file that are looked through at once.
const LOOKED_AT: usize = 1 << 20;

/// Looks for texts in the files of a folder; links are not followed.
///
/// # Errors
/// As the file system fails.
pub fn search(folder: &Path, texts: &[String], found: &mut Vec<String>) -> Result<()> {
    let failed = |cause: std::io::Error| io_error(folder, &cause);
    let finders: Vec<memchr::memmem::Finder<'_>> = texts.iter().map(memchr::memmem::Finder::new).collect();
    let longest = texts.iter().map(String::len).max().unwrap_or(0);
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() && holds(&path, &finders, longest).map_err(|cause| io_error(&path, &cause))? {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    Ok(())
}

/// Whether a file holds one of these, read part by part, each with the end of the one before.
fn holds(path: &Path, finders: &[memchr::memmem::Finder<'_>], longest: usize) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    let mut bytes = vec![0; LOOKED_AT + longest];
    let mut kept = 0;
    loop {
        let read = file.read(&mut bytes[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let end = kept + read;
        if finders.iter().any(|finder| finder.find(&bytes[..end]).is_some()) {
            return Ok(true);
        }
        kept = longest.min(end);
        bytes.copy_within(end - kept..end, 0);
    }
}

impl Table {
    /// Rewrites the files of a trace without the rows that have to go, in one commit that names their days;
    /// before it, `known` is told which rows go. The caller holds the site lease.
    ///
    /// # Errors
    /// `Conflict` where another writer took one of the files; as the store fails.
    pub async fn edit(
        &mut self,
        trace: &Trace,
        mark: &Mark,
        layout: Layout,
        commit: &Commit,
        known: impl FnOnce(&[RecordBatch]) -> Result<()>,
    ) -> Result<u64> {
        let failed = |cause| table_error(&self.name, cause);
        let (mut going, mut rows) = (Vec::new(), 0);
        let mut days = BTreeSet::new();
        let mut removes = Vec::new();
        let mut stage = self.stage(&commit.run_id, layout)?;
        let state = self.inner.snapshot().map_err(failed)?;
        for file in state
            .log_data()
            .iter()
            .filter(|file| trace.shown.contains(file.path().as_ref()))
        {
            for batch in self
                .read(&file.object_store_path(), file.partition_values_map())
                .await?
            {
                let batch = batch?;
                let hits = mark.hits(&batch);
                if let Some(column) = batch
                    .column_by_name(DAY)
                    .filter(|column| *column.data_type() == DataType::Date32)
                {
                    let column = column.as_primitive::<Date32Type>();
                    let hit = (0..batch.num_rows()).filter(|row| hits.value(*row));
                    days.extend(hit.map(|row| {
                        if column.is_valid(row) {
                            column.value(row)
                        } else {
                            UNDATED
                        }
                    }));
                }
                let (left, gone) = mark.parted(&batch)?;
                stage.write(&left).await?;
                rows += gone.num_rows() as u64;
                if gone.num_rows() > 0 {
                    going.push(gone);
                }
            }
            removes.push(Action::Remove(file.remove_action(true)));
        }
        if removes.is_empty() {
            return Ok(0);
        }
        let before = self.rows()?;
        let staged = stage.finish().await?;
        known(&going)?;
        let commit = Commit {
            days: days.into_iter().collect(),
            ..commit.clone()
        };
        let actions = removes.into_iter().chain(staged.adds.into_iter().map(Action::Add));
        self.commit(actions.collect(), Means::Overwrite, staged.rows, &commit)
            .await?;
        self.holds_rows(before - rows)?;
        Ok(rows)
    }
}
