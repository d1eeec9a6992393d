//! Staging: rows in data files that no commit names yet.
//!
//! Row groups arrive encoded, from one thread or many, and are appended in the caller's order, each
//! to the open file of its partition. A file is streamed to the store as it grows, so that memory does
//! not grow with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::Add;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::writer::SerializedFileWriter;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::error::{Kind, Result, fail};
use crate::lake::encode::{self, Encoded, Encoder, Layout};
use crate::lake::shape::conform;
use crate::lake::{stats, store_error};

/// Bytes after which a data file is closed.
pub(super) const FILE_BYTES: usize = 128 << 20;
/// Bytes of a file that wait in memory before they are handed to the store.
const PART_BYTES: usize = 512 << 10;
/// Rows of one row group that is gathered from batches: small enough that two cores share a small table.
const ROW_GROUP_ROWS: usize = 131_072;
/// Row groups that are encoded while others are gathered.
const ENCODED_AT_ONCE: usize = 2;

/// Rows in data files that no commit names yet.
#[derive(Debug, Default)]
pub struct Staged {
    pub(super) adds: Vec<Add>,
    /// Rows staged.
    pub rows: u64,
}

impl Staged {
    /// Number of data files.
    pub fn files(&self) -> usize {
        self.adds.len()
    }
}

/// A row group for each partition that rows belong to.
type Parts = Vec<(Option<String>, Encoded)>;

struct OpenFile {
    name: String,
    writer: SerializedFileWriter<Vec<u8>>,
    upload: BufWriter,
    bytes: usize,
}

/// Stages rows of one table.
pub struct Stage {
    table: String,
    run_id: String,
    schema: SchemaRef,
    file_schema: SchemaRef,
    partition: Option<String>,
    layout: Layout,
    store: Arc<dyn ObjectStore>,
    open: BTreeMap<Option<String>, OpenFile>,
    adds: Vec<Add>,
    rows: u64,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    encoding: VecDeque<JoinHandle<Result<Parts>>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Stage {
    pub(super) fn new(
        table: &str,
        run_id: &str,
        schema: SchemaRef,
        partition: Option<String>,
        layout: Layout,
        store: Arc<dyn ObjectStore>,
    ) -> Stage {
        let fields = schema
            .fields()
            .iter()
            .filter(|field| Some(field.name()) != partition.as_ref());
        let file_schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        Stage {
            table: table.to_owned(),
            run_id: run_id.to_owned(),
            schema,
            file_schema,
            partition,
            layout,
            store,
            open: BTreeMap::new(),
            adds: Vec::new(),
            rows: 0,
            waiting: Vec::new(),
            waiting_rows: 0,
            encoding: VecDeque::new(),
        }
    }

    /// The columns that batches must have, after [`super::shape::storable`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// An encoder of row groups for this stage, to be used on any thread.
    ///
    /// # Errors
    /// `Bug` for a type that Parquet lacks.
    pub fn encoder(&self) -> Result<Encoder> {
        Encoder::new(self.file_schema.clone(), &self.layout)
    }

    /// The rows in exactly the table's types.
    ///
    /// # Errors
    /// `Bug` where a column is missing or of a type that does not convert.
    pub fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        conform(batch, &self.schema)
    }

    /// Appends a row group to the file of its partition.
    ///
    /// # Errors
    /// `Unavailable` where the store does not take it.
    pub async fn append(&mut self, partition: Option<String>, encoded: Encoded) -> Result<()> {
        if encoded.rows == 0 {
            return Ok(());
        }
        self.rows += encoded.rows;
        let mut file = match self.open.remove(&partition) {
            Some(file) => file,
            None => self.begin(partition.as_deref())?,
        };
        encoded.append_to(&mut file.writer)?;
        self.hand_over(&mut file).await?;
        if file.bytes >= FILE_BYTES {
            self.close(partition, file).await
        } else {
            self.open.insert(partition, file);
            Ok(())
        }
    }

    fn begin(&self, partition: Option<&str>) -> Result<OpenFile> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // a run has one process, so its name and a number are one file's alone
        let file = format!("{}-{:05}.parquet", self.run_id, NEXT.fetch_add(1, Ordering::Relaxed));
        let name = match (&self.partition, partition) {
            (Some(column), Some(value)) => format!("{column}={}/{file}", plain(value)),
            (Some(column), None) => format!("{column}=__HIVE_DEFAULT_PARTITION__/{file}"),
            (None, _) => file,
        };
        let path = Path::from(name.as_str());
        Ok(OpenFile {
            writer: encode::file(&self.file_schema, &self.layout)?,
            upload: BufWriter::with_capacity(self.store.clone(), path, PART_BYTES),
            name,
            bytes: 0,
        })
    }

    /// Hands what was encoded to the store.
    async fn hand_over(&self, file: &mut OpenFile) -> Result<()> {
        let failed = |cause: std::io::Error| fail(Kind::Unavailable, "table_failed", &[&self.table]).because(cause);
        file.writer.flush().map_err(failed)?;
        let bytes = std::mem::take(file.writer.inner_mut());
        file.bytes += bytes.len();
        file.upload
            .put(bytes.into())
            .await
            .map_err(|cause| store_error(&self.table, cause))
    }

    async fn close(&mut self, partition: Option<String>, mut file: OpenFile) -> Result<()> {
        let failed = |cause: std::io::Error| fail(Kind::Unavailable, "table_failed", &[&self.table]).because(cause);
        let metadata = file
            .writer
            .finish()
            .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
        self.hand_over(&mut file).await?;
        file.upload.shutdown().await.map_err(failed)?;
        let path = Path::from(file.name.as_str());
        let stored = self
            .store
            .head(&path)
            .await
            .map_err(|cause| store_error(&self.table, cause))?;
        if stored.size != file.bytes as u64 {
            return Err(fail(
                Kind::Unavailable,
                "rows_differ",
                &[&self.table, &file.bytes, &stored.size],
            ));
        }
        let partition_values = match &self.partition {
            Some(column) => HashMap::from([(column.clone(), partition)]),
            None => HashMap::new(),
        };
        self.adds.push(Add {
            path: file.name,
            partition_values,
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: stored.last_modified.timestamp_millis(),
            data_change: true,
            stats: Some(stats::of_file(&metadata)),
            ..Add::default()
        });
        Ok(())
    }

    /// Writes rows to data files, gathered to row groups.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = conform(batch, &self.schema)?;
        let mut at = 0;
        while at < batch.num_rows() {
            let count = (ROW_GROUP_ROWS - self.waiting_rows).min(batch.num_rows() - at);
            self.waiting.push(batch.slice(at, count));
            self.waiting_rows += count;
            at += count;
            if self.waiting_rows == ROW_GROUP_ROWS {
                self.encode_waiting().await?;
            }
        }
        Ok(())
    }

    /// Hands the rows that wait to a thread that encodes them. Groups are appended in their order, and at most
    /// so many are under way, so that memory does not grow.
    async fn encode_waiting(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        if self.encoding.len() >= ENCODED_AT_ONCE {
            self.append_encoded().await?;
        }
        let (encoder, partition) = (self.encoder()?, self.partition.clone());
        let work = move || encoded(&encoder, partition.as_deref(), &waiting);
        self.encoding.push_back(tokio::task::spawn_blocking(work));
        Ok(())
    }

    /// Appends the oldest group that is being encoded.
    async fn append_encoded(&mut self) -> Result<()> {
        let Some(oldest) = self.encoding.pop_front() else {
            return Ok(());
        };
        let died = |cause| fail(Kind::Bug, "batch_shape", &[]).because(cause);
        for (partition, encoded) in oldest.await.map_err(died)?? {
            self.append(partition, encoded).await?;
        }
        Ok(())
    }

    /// Closes the data files.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be written.
    pub async fn finish(mut self) -> Result<Staged> {
        if self.waiting_rows > 0 {
            self.encode_waiting().await?;
        }
        while !self.encoding.is_empty() {
            self.append_encoded().await?;
        }
        for (partition, file) in std::mem::take(&mut self.open) {
            self.close(partition, file).await?;
        }
        Ok(Staged {
            adds: self.adds,
            rows: self.rows,
        })
    }
}

/// Rows as one row group for each partition.
fn encoded(encoder: &Encoder, partition: Option<&str>, waiting: &[RecordBatch]) -> Result<Parts> {
    let mut parts: BTreeMap<Option<String>, Vec<Vec<ArrayRef>>> = BTreeMap::new();
    for batch in waiting {
        for (value, rows) in split(batch, partition)? {
            parts.entry(value).or_default().push(rows);
        }
    }
    let groups = parts.into_iter().map(|(value, slices)| {
        let rows = slices.iter().filter_map(|slice| slice.first()).map(|array| array.len());
        Ok((value, encoder.encode(rows.sum(), slices.into_iter().map(Ok))?))
    });
    groups.collect()
}

/// The rows of a batch by partition, without the partition column.
fn split(batch: &RecordBatch, partition: Option<&str>) -> Result<Vec<(Option<String>, Vec<ArrayRef>)>> {
    let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let Some(column) = partition else {
        return Ok(vec![(None, batch.columns().to_vec())]);
    };
    let at = batch.schema_ref().index_of(column).map_err(broken)?;
    let values = batch.column(at).as_string_opt::<i32>();
    let values = values.ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
    let rest: Vec<usize> = (0..batch.num_columns()).filter(|other| *other != at).collect();
    let rest = batch.project(&rest).map_err(broken)?;
    let mut rows: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
    // rows of one partition mostly come together
    let mut runs: Vec<(Option<&str>, Vec<u32>)> = Vec::new();
    for (row, value) in (0u32..).zip(values.iter()) {
        match runs.last_mut() {
            Some((known, run)) if *known == value => run.push(row),
            _ => runs.push((value, vec![row])),
        }
    }
    if let [(value, _)] = runs.as_slice() {
        return Ok(vec![(value.map(str::to_owned), rest.columns().to_vec())]);
    }
    for (value, run) in runs {
        rows.entry(value).or_default().extend(run);
    }
    let parts = rows.into_iter().map(|(value, rows)| {
        let taken = arrow::compute::take_record_batch(&rest, &arrow::array::UInt32Array::from(rows));
        Ok((value.map(str::to_owned), taken.map_err(broken)?.columns().to_vec()))
    });
    parts.collect()
}

/// A partition value as part of a path. The value itself stands in the log; the path is for people.
fn plain(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .collect()
}
