//! One Delta table: staged rows, commits that happen once, versions.
//!
//! Rows are first written to data files ("staged") and become visible in one commit, so that a
//! caller can order the commits of several tables. Before every commit the transaction of its
//! batch is looked up, and again after an unclear answer: the library records transaction ids but
//! does not enforce them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, CommitInfo, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::error::{Kind, Result, fail};
use crate::lake::encode::{self, Layout};
use crate::lake::stage::{self, Stage, Staged};
use crate::lake::transactions::Transactions;
use crate::lake::{days, store_error, table_error};

/// An opened table at one version.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) name: String,
    pub(super) location: String,
    pub(super) inner: DeltaTable,
    pub(super) transactions: Transactions,
}

/// What a commit says about itself, besides its rows.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The batch that must be stored once.
    pub batch_id: Option<String>,
    /// What the commit makes of the batch's state (see [`Table::state_of`]); 1 stores a new one.
    pub turn: i64,
    /// The run.
    pub run_id: String,
    /// The lease number.
    pub fence: u64,
    /// Statistics days whose rows the commit touches, in order.
    pub days: Vec<i32>,
    /// The key of the tokens in it, by its name; empty where it holds none.
    pub key_id: String,
    /// The digest of the table's rows after it, where it is known.
    pub digest: Option<String>,
    /// What a model's rows were built on, its SELECT and its inputs.
    pub basis: Option<String>,
    /// The rows of the table after it, where they are known.
    pub total: Option<u64>,
}

/// What the last commit of a table says of the rows that it left.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Their digest, where a model's rows were written.
    pub digest: Option<String>,
    /// What they were built on, where a model was built.
    pub basis: Option<String>,
    /// Their number, where a model was built.
    pub total: Option<u64>,
    /// The run.
    pub run_id: String,
}

impl Commit {
    /// Of a run with its lease, about no batch.
    pub fn of(run_id: &str, fence: u64, key_id: String) -> Commit {
        Commit {
            batch_id: None,
            turn: 1,
            run_id: run_id.to_owned(),
            fence,
            days: Vec::new(),
            key_id,
            digest: None,
            basis: None,
            total: None,
        }
    }
}

/// What a commit does with the rows before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// They stay, others come.
    Append,
    /// Some go, others come.
    Overwrite,
    /// They stay, in other files.
    Compact,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Stored now, in this version.
    Stored(u64),
    /// The batch had been stored before; nothing was added.
    AlreadyThere,
}

/// One commit of a table's history.
#[derive(Debug, Clone)]
pub struct Version {
    /// Number.
    pub version: u64,
    /// Commit time, milliseconds since 1970 UTC.
    pub at_millis: i64,
    /// Operation.
    pub operation: String,
    /// The run.
    pub run_id: String,
    /// The batch.
    pub batch_id: String,
    /// Rows added.
    pub rows: u64,
}

impl Table {
    /// `schema.table`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Location below the table's folder.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The version this handle shows.
    pub fn version(&self) -> u64 {
        self.inner.version().unwrap_or(0)
    }

    /// The columns.
    ///
    /// # Errors
    /// `Unavailable` where the table's metadata cannot be read.
    pub fn schema(&self) -> Result<SchemaRef> {
        let failed = |cause| table_error(&self.name, cause);
        let kernel = self.inner.snapshot().map_err(failed)?.schema();
        let schema: Schema = kernel
            .as_ref()
            .try_into_arrow()
            .map_err(|cause: arrow::error::ArrowError| fail(Kind::Bug, "table_type", &[&self.name]).because(cause))?;
        Ok(Arc::new(schema))
    }

    /// Rows of this version, from the log.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn rows(&self) -> Result<u64> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        Ok(state
            .log_data()
            .iter()
            .map(|file| file.num_records().unwrap_or(0) as u64)
            .sum())
    }

    /// The table as a source of queries in `session`.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub async fn provider<S: Session + 'static>(&self, session: Arc<S>) -> Result<Arc<dyn TableProvider>> {
        self.inner
            .update_datafusion_session(session.as_ref())
            .map_err(|cause| table_error(&self.name, cause))?;
        let builder = self.inner.table_provider().with_session(session);
        builder
            .await
            .map_err(|cause| fail(Kind::Unavailable, "table_failed", &[&self.name]).because(cause))
    }

    /// Whether the batch is stored in this version.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn holds(&self, batch_id: &str) -> Result<bool> {
        Ok(self.state_of(batch_id).await? > 0)
    }

    /// How often a batch was stored and taken back: 0 never seen, odd stored, even taken back.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn state_of(&self, batch_id: &str) -> Result<i64> {
        self.transaction_version(&self.transaction(batch_id)).await
    }

    fn transaction(&self, batch_id: &str) -> String {
        format!("fenghuo/{}/{batch_id}", self.name)
    }

    /// A writer that stages rows for this table, in files named after the run.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn stage(&self, run_id: &str, layout: Layout) -> Result<Stage> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let partition = state.metadata().partition_columns().first().cloned();
        let store = self.inner.log_store().object_store(None);
        Ok(Stage::new(&self.name, run_id, self.schema()?, partition, layout, store))
    }

    /// A writer of rows that only wait: in their order, in files without partitions.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn stage_flat(&self, run_id: &str, layout: Layout) -> Result<Stage> {
        let store = self.inner.log_store().object_store(None);
        Ok(Stage::new(&self.name, run_id, self.schema()?, None, layout, store))
    }

    /// Appends staged rows, once for a batch.
    ///
    /// # Errors
    /// `Conflict` where another writer was first with something else; `Unavailable` otherwise.
    pub async fn append(&mut self, staged: Staged, commit: &Commit) -> Result<Appended> {
        self.exchange(&BTreeSet::new(), staged, commit).await
    }

    /// Puts the staged rows in the place of all rows of these partitions, once for a batch; an
    /// unpartitioned table has the one partition `None`. Where partitions go, the caller holds the site
    /// lease.
    ///
    /// # Errors
    /// As [`Table::append`].
    pub async fn exchange(
        &mut self,
        partitions: &BTreeSet<Option<String>>,
        staged: Staged,
        commit: &Commit,
    ) -> Result<Appended> {
        self.refresh().await?;
        if self.has_turned(commit).await? {
            return Ok(Appended::AlreadyThere);
        }
        let mut actions = self.removes(partitions)?;
        let means = if actions.is_empty() {
            Means::Append
        } else {
            Means::Overwrite
        };
        actions.extend(staged.adds.into_iter().map(Action::Add));
        match self.commit(actions, means, staged.rows, commit).await {
            Ok(version) => Ok(Appended::Stored(version)),
            // the answer may have been lost, or another process stored the same batch: the log decides
            Err(error) => {
                self.refresh().await?;
                if self.has_turned(commit).await? {
                    Ok(Appended::AlreadyThere)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Brings the handle to the newest version, reading the commits since its own.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn refresh(&mut self) -> Result<()> {
        // commits are numbered without a gap; the library lists the log to find that there is no other
        if let Some(version) = self.inner.version() {
            let next = object_store::path::Path::from(format!("_delta_log/{:020}.json", version + 1));
            match self.inner.log_store().object_store(None).head(&next).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(()),
                Err(cause) => return Err(store_error(&self.name, cause)),
                Ok(_) => {}
            }
        }
        let updated = self.inner.update_state().await;
        updated.map_err(|cause| table_error(&self.name, cause))
    }

    /// Whether the batch of a commit is in the state that the commit would bring.
    async fn has_turned(&self, commit: &Commit) -> Result<bool> {
        match &commit.batch_id {
            Some(batch) => Ok(self.state_of(batch).await? >= commit.turn),
            None => Ok(false),
        }
    }

    /// What removes the files of these partitions.
    pub(super) fn removes(&self, partitions: &BTreeSet<Option<String>>) -> Result<Vec<Action>> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let column = state.metadata().partition_columns().first().cloned();
        let mut removes = Vec::new();
        if partitions.is_empty() {
            return Ok(removes);
        }
        for file in state.log_data().iter() {
            let remove = file.remove_action(true);
            let values = remove.partition_values.as_ref();
            let value = column
                .as_ref()
                .and_then(|column| values?.get(column).cloned().flatten());
            if partitions.contains(&value) {
                removes.push(Action::Remove(remove));
            }
        }
        Ok(removes)
    }

    /// Replaces all rows by the staged ones. The caller holds the site lease.
    ///
    /// # Errors
    /// As [`Table::append`].
    pub async fn replace(&mut self, staged: Staged, commit: &Commit) -> Result<u64> {
        let failed = |cause| table_error(&self.name, cause);
        self.inner.update_state().await.map_err(failed)?;
        let state = self.inner.snapshot().map_err(failed)?;
        let removes: Vec<Action> = state
            .log_data()
            .iter()
            .map(|file| Action::Remove(file.remove_action(true)))
            .collect();
        let actions = removes
            .into_iter()
            .chain(staged.adds.into_iter().map(Action::Add))
            .collect();
        self.commit(actions, Means::Overwrite, staged.rows, commit).await
    }

    /// The rows of one staged file, a batch at a time, in the columns of the table.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be read, `Missing` for a number beyond [`Staged::files`].
    pub async fn staged_rows(
        &self,
        staged: &Staged,
        file: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let add = staged
            .adds
            .get(file)
            .ok_or_else(|| fail(Kind::Missing, "table_missing", &[&self.name]))?;
        let path = object_store::path::Path::from(add.path.as_str());
        self.read(&path, add.partition_values.clone()).await
    }

    /// The rows of one data file, a batch at a time, in the columns of the table.
    pub(super) async fn read(
        &self,
        path: &object_store::path::Path,
        values: HashMap<String, Option<String>>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let store = self.inner.log_store().object_store(None);
        let failed = |cause| store_error(&self.name, cause);
        let bytes = store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let schema = self.schema()?;
        Ok(encode::rows(bytes)?.map(move |batch| whole(&batch?, &schema, &values)))
    }

    /// Removes staged files that no commit will name. Never call it after a commit was tried.
    ///
    /// # Errors
    /// `Unavailable` where the store refuses.
    pub async fn discard(&self, staged: Staged) -> Result<()> {
        let store = self.inner.log_store().object_store(None);
        for add in staged.adds {
            let path = object_store::path::Path::from(add.path.as_str());
            store
                .delete(&path)
                .await
                .map_err(|cause| store_error(&self.name, cause))?;
        }
        Ok(())
    }

    pub(super) async fn commit(
        &mut self,
        actions: Vec<Action>,
        means: Means,
        rows: u64,
        commit: &Commit,
    ) -> Result<u64> {
        let failed = |cause| table_error(&self.name, cause);
        let metadata = [
            ("fenghuoRun".to_owned(), Value::from(commit.run_id.clone())),
            (
                "fenghuoBatch".to_owned(),
                Value::from(commit.batch_id.clone().unwrap_or_default()),
            ),
            ("fenghuoFence".to_owned(), Value::from(commit.fence)),
            ("fenghuoRows".to_owned(), Value::from(rows)),
            ("fenghuoDays".to_owned(), Value::from(days::to_text(&commit.days))),
            ("fenghuoKey".to_owned(), Value::from(commit.key_id.clone())),
        ];
        let known = [("fenghuoDigest", &commit.digest), ("fenghuoBasis", &commit.basis)];
        let known = known
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Value::from(value.clone()?))));
        let total = commit
            .total
            .map(|total| ("fenghuoTotal".to_owned(), Value::from(total)));
        let metadata = metadata.into_iter().chain(known).chain(total);
        let mut properties = CommitProperties::default()
            .with_metadata(metadata)
            .with_cleanup_expired_logs(Some(false));
        if let Some(batch) = &commit.batch_id {
            properties =
                properties.with_application_transaction(Transaction::new(self.transaction(batch), commit.turn));
        }
        let partition_by = self
            .inner
            .snapshot()
            .map_err(failed)?
            .metadata()
            .partition_columns()
            .to_vec();
        let partition_by = (!partition_by.is_empty()).then_some(partition_by);
        let write = |mode| DeltaOperation::Write {
            mode,
            partition_by,
            predicate: None,
        };
        let operation = match means {
            Means::Append => write(SaveMode::Append),
            Means::Overwrite => write(SaveMode::Overwrite),
            Means::Compact => DeltaOperation::Optimize {
                predicate: None,
                target_size: stage::FILE_BYTES as i64,
            },
        };
        let snapshot = self.inner.snapshot().map_err(failed)?.snapshot().clone();
        let done = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&snapshot), self.inner.log_store(), operation)
            .await
            .map_err(failed)?;
        self.inner.state = Some(done.snapshot);
        Ok(self.version())
    }

    /// What the commits say of themselves, newest first.
    pub(super) async fn commits(&self, limit: Option<usize>) -> Result<Vec<CommitInfo>> {
        let infos = self.inner.history(limit).try_collect().await;
        infos.map_err(|cause| table_error(&self.name, cause))
    }

    /// What the last commit says of the rows that it left.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn said(&self) -> Result<Said> {
        let infos = self.commits(Some(1)).await?;
        let text = |key: &str| {
            let value = infos.first().and_then(|info| info.info.get(key));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        Ok(Said {
            digest: text("fenghuoDigest"),
            basis: text("fenghuoBasis"),
            total: infos.first().and_then(|info| info.info.get("fenghuoTotal")?.as_u64()),
            run_id: text("fenghuoRun").unwrap_or_default(),
        })
    }

    /// Holds the rows that the log names against those that were written.
    ///
    /// # Errors
    /// `Bug` where they differ.
    pub fn holds_rows(&self, written: u64) -> Result<()> {
        let stored = self.rows()?;
        if stored == written {
            return Ok(());
        }
        Err(fail(Kind::Bug, "rows_differ", &[&self.name, &written, &stored]))
    }

    /// Holds the files that the log names against those that are there.
    ///
    /// # Errors
    /// `Missing` with the first that is gone.
    pub async fn holds_files(&self) -> Result<()> {
        let store = self.inner.log_store().object_store(None);
        for file in self.data_files()? {
            match store.head(&object_store::path::Path::from(file.path.as_str())).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(fail(
                        Kind::Missing,
                        "file_gone",
                        &[&self.name, &self.version(), &file.path],
                    ));
                }
                Err(cause) => return Err(store_error(&self.name, cause)),
            }
        }
        Ok(())
    }

    /// The commits, newest first.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn history(&self, limit: Option<usize>) -> Result<Vec<Version>> {
        let infos = self.commits(limit).await?;
        let text = |info: &CommitInfo, key: &str| {
            info.info
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let newest = self.version();
        Ok(infos
            .iter()
            .enumerate()
            .map(|(back, info)| Version {
                version: newest.saturating_sub(back as u64),
                at_millis: info.timestamp.unwrap_or(0),
                operation: info.operation.clone().unwrap_or_default(),
                run_id: text(info, "fenghuoRun"),
                batch_id: text(info, "fenghuoBatch"),
                rows: info.info.get("fenghuoRows").and_then(Value::as_u64).unwrap_or(0),
            })
            .collect())
    }
}

/// Rows of a data file with their partition's value.
fn whole(batch: &RecordBatch, schema: &SchemaRef, values: &HashMap<String, Option<String>>) -> Result<RecordBatch> {
    let broken = |cause: ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(column) => cast_with_options(column, field.data_type(), &CastOptions::default()).map_err(broken)?,
            None => {
                let value = values.get(field.name()).cloned().flatten();
                Arc::new(StringArray::from(vec![value.as_deref(); batch.num_rows()]))
            }
        });
    }
    RecordBatch::try_new(schema.clone(), columns).map_err(broken)
}
