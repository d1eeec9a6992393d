//! One Delta table: birth, staged rows, commits that happen once, versions.
//!
//! Rows are first written to data files ("staged") and become visible in one commit, so that a
//! caller can order the commits of several tables. Before every commit the transaction of its
//! batch is looked up, and again after an unclear answer: the library records transaction ids but
//! does not enforce them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, CommitInfo, StructType, Transaction};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableBuilder};
use futures::TryStreamExt;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use url::Url;

use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, store_error, table_error};

/// Rows of one row group: small enough that two cores share a small table.
const ROW_GROUP_ROWS: usize = 131_072;
/// Bytes after which a data file is closed.
const FILE_BYTES: u64 = 128 << 20;

/// An opened table at one version.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    location: String,
    inner: DeltaTable,
}

/// Rows in data files that no commit names yet.
#[derive(Debug, Default)]
pub struct Staged {
    adds: Vec<Add>,
    /// Rows staged.
    pub rows: u64,
}

/// What a commit says about itself, besides its rows.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The batch that must be stored once.
    pub batch_id: Option<String>,
    /// The run.
    pub run_id: String,
    /// The lease number.
    pub fence: u64,
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

impl Lake {
    /// The newest location of a table, or `None` where it was never created.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be read.
    pub async fn table(&self, name: &str) -> Result<Option<Table>> {
        match self.locations(name).await?.last() {
            Some(location) => self.open_table(name, location, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// The table a release names.
    ///
    /// # Errors
    /// `Missing` where the version is gone.
    pub async fn table_at(&self, name: &str, location: &str, version: u64) -> Result<Table> {
        self.open_table(name, location, Some(version)).await
    }

    /// The table of exactly this schema: the newest location if it fits, else a new one.
    ///
    /// # Errors
    /// `Bug` for a type that the table format lacks, `Unavailable` where it cannot be written.
    pub async fn table_of(&self, name: &str, schema: &Schema, partition_by: &[&str]) -> Result<Table> {
        let locations = self.locations(name).await?;
        if let Some(location) = locations.last() {
            let table = self.open_table(name, location, None).await?;
            if same_columns(table.schema()?.as_ref(), schema) {
                return Ok(table);
            }
        }
        let number = locations.last().and_then(|last| last.parse::<u64>().ok()).unwrap_or(0) + 1;
        self.create(name, &number.to_string(), schema, partition_by).await
    }

    async fn create(&self, name: &str, location: &str, schema: &Schema, partition_by: &[&str]) -> Result<Table> {
        let failed = |cause| table_error(name, cause);
        let columns: StructType = schema
            .try_into_kernel()
            .map_err(|cause: arrow::error::ArrowError| fail(Kind::Bug, "table_type", &[&name]).because(cause))?;
        let log_store = self.builder(name, location)?.build_storage().map_err(failed)?;
        CreateBuilder::new()
            .with_log_store(log_store)
            .with_table_name(name)
            .with_columns(columns.fields().cloned())
            .with_partition_columns(partition_by.iter().copied())
            // log files carry the transaction ids; only our own maintenance may remove them
            .with_configuration_property(deltalake::TableProperty::EnableExpiredLogCleanup, Some("false"))
            .await
            .map_err(failed)?;
        self.open_table(name, location, None).await
    }

    async fn locations(&self, name: &str) -> Result<Vec<String>> {
        let folder = self.object(&format!("tables/{}", name.replace('.', "/")))?;
        let listed = self
            .store
            .list_with_delimiter(Some(&folder))
            .await
            .map_err(|cause| store_error("tables", cause))?;
        let mut numbers: Vec<u64> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| number.to_string()).collect())
    }

    /// The names of all tables in the lake.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let failed = |cause| store_error("tables", cause);
        let schemas = self
            .store
            .list_with_delimiter(Some(&self.object("tables")?))
            .await
            .map_err(failed)?;
        let mut names = Vec::new();
        for schema in schemas.common_prefixes {
            let tables = self.store.list_with_delimiter(Some(&schema)).await.map_err(failed)?;
            names.extend(
                tables
                    .common_prefixes
                    .iter()
                    .filter_map(|table| Some(format!("{}.{}", schema.filename()?, table.filename()?))),
            );
        }
        names.sort();
        Ok(names)
    }

    fn builder(&self, name: &str, location: &str) -> Result<DeltaTableBuilder> {
        let path = self.root().join("tables").join(name.replace('.', "/")).join(location);
        let url = Url::from_directory_path(&path).map_err(|()| fail(Kind::Input, "lake_path", &[&path.display()]))?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(|cause| table_error(name, cause))?;
        Ok(builder.with_storage_backend(self.store.clone(), url))
    }

    async fn open_table(&self, name: &str, location: &str, version: Option<u64>) -> Result<Table> {
        let builder = self.builder(name, location)?;
        let builder = match version {
            Some(version) => builder.with_version(version),
            None => builder,
        };
        let inner = builder.load().await.map_err(|cause| table_error(name, cause))?;
        Ok(Table {
            name: name.to_owned(),
            location: location.to_owned(),
            inner,
        })
    }
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
        let failed = |cause| table_error(&self.name, cause);
        let state = self.inner.snapshot().map_err(failed)?;
        let log = self.inner.log_store();
        let version = state
            .transaction_version(log.as_ref(), self.transaction(batch_id))
            .await
            .map_err(failed)?;
        Ok(version.is_some())
    }

    fn transaction(&self, batch_id: &str) -> String {
        format!("fenghuo/{}/{batch_id}", self.name)
    }

    /// A writer that stages rows for this table.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn stage(&self) -> Result<Stage> {
        let failed = |cause| table_error(&self.name, cause);
        let level =
            ZstdLevel::try_new(1).map_err(|cause| fail(Kind::Bug, "table_failed", &[&self.name]).because(cause))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = RecordBatchWriter::for_table(&self.inner)
            .map_err(failed)?
            .with_writer_properties(properties)
            .with_target_file_size(FILE_BYTES);
        Ok(Stage {
            table: self.name.clone(),
            schema: writer.arrow_schema(),
            writer,
            rows: 0,
        })
    }

    /// Appends staged rows, once for a batch.
    ///
    /// # Errors
    /// `Conflict` where another writer was first with something else; `Unavailable` otherwise.
    pub async fn append(&mut self, staged: Staged, commit: &Commit) -> Result<Appended> {
        self.inner
            .update_state()
            .await
            .map_err(|cause| table_error(&self.name, cause))?;
        if let Some(batch) = &commit.batch_id
            && self.holds(batch).await?
        {
            return Ok(Appended::AlreadyThere);
        }
        let actions = staged.adds.into_iter().map(Action::Add).collect();
        match self.commit(actions, SaveMode::Append, staged.rows, commit).await {
            Ok(version) => Ok(Appended::Stored(version)),
            // the answer may have been lost, or another process stored the same batch: the log decides
            Err(error) => {
                self.inner
                    .update_state()
                    .await
                    .map_err(|cause| table_error(&self.name, cause))?;
                match &commit.batch_id {
                    Some(batch) if self.holds(batch).await? => Ok(Appended::AlreadyThere),
                    _ => Err(error),
                }
            }
        }
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
        self.commit(actions, SaveMode::Overwrite, staged.rows, commit).await
    }

    async fn commit(&mut self, actions: Vec<Action>, mode: SaveMode, rows: u64, commit: &Commit) -> Result<u64> {
        let failed = |cause| table_error(&self.name, cause);
        let metadata = [
            ("fenghuoRun".to_owned(), Value::from(commit.run_id.clone())),
            (
                "fenghuoBatch".to_owned(),
                Value::from(commit.batch_id.clone().unwrap_or_default()),
            ),
            ("fenghuoFence".to_owned(), Value::from(commit.fence)),
            ("fenghuoRows".to_owned(), Value::from(rows)),
        ];
        let mut properties = CommitProperties::default()
            .with_metadata(metadata)
            .with_cleanup_expired_logs(Some(false));
        if let Some(batch) = &commit.batch_id {
            properties = properties.with_application_transaction(Transaction::new(self.transaction(batch), 1));
        }
        let partition_by = self
            .inner
            .snapshot()
            .map_err(failed)?
            .metadata()
            .partition_columns()
            .to_vec();
        let operation = DeltaOperation::Write {
            mode,
            partition_by: (!partition_by.is_empty()).then_some(partition_by),
            predicate: None,
        };
        let snapshot = self.inner.snapshot().map_err(failed)?.snapshot().clone();
        CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&snapshot), self.inner.log_store(), operation)
            .await
            .map_err(failed)?;
        self.inner.update_state().await.map_err(failed)?;
        Ok(self.version())
    }

    /// The commits, newest first.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn history(&self, limit: Option<usize>) -> Result<Vec<Version>> {
        let infos: Vec<CommitInfo> = self
            .inner
            .history(limit)
            .try_collect()
            .await
            .map_err(|cause| table_error(&self.name, cause))?;
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

/// Stages rows of one table.
#[derive(Debug)]
pub struct Stage {
    table: String,
    schema: SchemaRef,
    writer: RecordBatchWriter,
    rows: u64,
}

impl Stage {
    /// The columns that batches must have, after [`storable`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows in exactly the table's types.
    ///
    /// # Errors
    /// `Bug` where a column is missing or of a type that does not convert.
    pub fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        conform(batch, &self.schema)
    }

    /// Writes rows to data files.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = conform(batch, &self.schema)?;
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .await
            .map_err(|cause| table_error(&self.table, cause))
    }

    /// Closes the data files.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be written.
    pub async fn finish(mut self) -> Result<Staged> {
        let adds = self
            .writer
            .flush()
            .await
            .map_err(|cause| table_error(&self.table, cause))?;
        Ok(Staged { adds, rows: self.rows })
    }
}

/// The schema as tables store it: no views, no dictionaries, instants in UTC microseconds.
pub fn storable(schema: &Schema) -> Schema {
    Schema::new(
        schema
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), storable_type(field.data_type()), true))
            .collect::<Vec<_>>(),
    )
}

fn storable_type(found: &DataType) -> DataType {
    match found {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => storable_type(value),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.clone(),
    }
}

/// The batch in exactly this schema, columns by their names. A value that does not fit is an error,
/// never NULL.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let broken = |cause: ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = batch.column(batch.schema_ref().index_of(field.name()).map_err(broken)?);
        columns.push(cast_with_options(column, field.data_type(), &options).map_err(broken)?);
    }
    RecordBatch::try_new(schema.clone(), columns).map_err(broken)
}

/// Whether two schemas have the same columns, in any order.
pub fn same_columns(left: &Schema, right: &Schema) -> bool {
    left.fields().len() == right.fields().len()
        && left.fields().iter().all(|field| {
            right
                .field_with_name(field.name())
                .is_ok_and(|other| other.data_type() == field.data_type())
        })
}
