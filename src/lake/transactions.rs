//! The transactions of a table: read once, and kept up by the commits since.
//!
//! The library reads the log anew for every question, and a night asks some hundreds: which batches are stored.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::kernel::Transaction;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error::{Kind, Result, fail};
use crate::lake::{Table, store_error, table_error};

/// What is known of a table's transactions; handles of the same table share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Transactions(Arc<Mutex<Option<Known>>>);

/// The transactions up to a version.
#[derive(Debug, Default)]
struct Known {
    version: u64,
    states: HashMap<String, i64>,
}

/// A line of a commit, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    txn: Option<Transaction>,
}

/// What the log says of its newest checkpoint.
#[derive(Deserialize)]
struct Hint {
    version: u64,
}

impl Table {
    /// The version of a transaction, 0 where it never was.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub(super) async fn transaction_version(&self, name: &str) -> Result<i64> {
        let mut shared = self.transactions.0.lock().await;
        let known = match shared.take() {
            Some(known) if known.version <= self.version() => self.keep_up(known).await?,
            Some(newer) => {
                *shared = Some(newer);
                None
            }
            None => self.first().await?,
        };
        match known {
            Some(known) => {
                let state = known.states.get(name).copied().unwrap_or(0);
                *shared = Some(known);
                Ok(state)
            }
            // of an older version, or where the log is not as it is expected to be, the library knows
            None => {
                let failed = |cause| table_error(&self.name, cause);
                let snapshot = self.inner.snapshot().map_err(failed)?;
                let log = self.inner.log_store();
                let version = snapshot.transaction_version(log.as_ref(), name).await.map_err(failed)?;
                Ok(version.unwrap_or(0))
            }
        }
    }

    /// The transactions from the newest checkpoint on; `None` where that is newer than this handle.
    async fn first(&self) -> Result<Option<Known>> {
        let broken =
            |cause: &dyn std::fmt::Display| fail(Kind::Unavailable, "table_failed", &[&self.name]).because(cause);
        let Some(hint) = self.log_file("_last_checkpoint").await? else {
            return match self.take_in(Known::default(), 0).await? {
                Some(known) => self.keep_up(known).await,
                None => Ok(None),
            };
        };
        let hint: Hint = serde_json::from_slice(&hint).map_err(|cause| broken(&cause))?;
        if hint.version > self.version() {
            return Ok(None);
        }
        let Some(bytes) = self
            .log_file(&format!("{:020}.checkpoint.parquet", hint.version))
            .await?
        else {
            return Ok(None);
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|cause| broken(&cause))?;
        let only = ProjectionMask::columns(reader.parquet_schema(), ["txn"]);
        let reader = reader.with_projection(only).build().map_err(|cause| broken(&cause))?;
        let mut known = Known {
            version: hint.version,
            states: HashMap::new(),
        };
        for batch in reader {
            if known.take_rows(&batch.map_err(|cause| broken(&cause))?).is_none() {
                return Ok(None);
            }
        }
        self.keep_up(known).await
    }

    /// With the commits up to this handle's version; `None` where one of them is not there.
    async fn keep_up(&self, mut known: Known) -> Result<Option<Known>> {
        while known.version < self.version() {
            let next = known.version + 1;
            match self.take_in(known, next).await? {
                Some(more) => known = more,
                None => return Ok(None),
            }
        }
        Ok(Some(known))
    }

    async fn take_in(&self, mut known: Known, version: u64) -> Result<Option<Known>> {
        let Some(commit) = self.log_file(&format!("{version:020}.json")).await? else {
            return Ok(None);
        };
        for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line)
                .map_err(|cause| fail(Kind::Unavailable, "table_failed", &[&self.name]).because(cause))?;
            known.states.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        }
        known.version = version;
        Ok(Some(known))
    }

    /// A file of the log; `None` where it is not there.
    async fn log_file(&self, name: &str) -> Result<Option<Bytes>> {
        let store = self.inner.log_store().object_store(None);
        let failed = |cause| store_error(&self.name, cause);
        match store.get(&Path::from(format!("_delta_log/{name}"))).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(failed(cause)),
        }
    }
}

impl Known {
    /// Takes rows of a checkpoint in; `None` where they have another shape.
    fn take_rows(&mut self, batch: &RecordBatch) -> Option<()> {
        let transactions = batch.column_by_name("txn")?.as_struct_opt()?;
        let names = transactions.column_by_name("appId")?.as_string_opt::<i32>()?;
        let versions = transactions
            .column_by_name("version")?
            .as_primitive_opt::<Int64Type>()?;
        let rows = (0..batch.num_rows()).filter(|row| names.is_valid(*row) && versions.is_valid(*row));
        self.states
            .extend(rows.map(|row| (names.value(row).to_owned(), versions.value(row))));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::lake::{Commit, Lake, Layout};

    /// Fifty batches with two checkpoints among them, every seventh of them taken back.
    async fn stored(lake: &Lake) -> Table {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let mut table = lake.new_table("source.t", &schema, &[]).await.expect("a table");
        for number in 0..50 {
            let mut stage = table.stage("r", Layout::default()).expect("a stage");
            let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![number]))]);
            stage.write(&rows.expect("rows")).await.expect("written");
            let commit = Commit {
                batch_id: Some(format!("b{number}")),
                ..Commit::of("r", 1, String::new())
            };
            table
                .append(stage.finish().await.expect("files"), &commit)
                .await
                .expect("stored");
            if number % 7 == 0 {
                let back = Commit { turn: 2, ..commit };
                let none = table.stage("r", Layout::default()).expect("a stage");
                let none = none.finish().await.expect("no files");
                table.exchange(&BTreeSet::new(), none, &back).await.expect("taken back");
            }
        }
        table
    }

    async fn by_library(table: &Table, batch: &str) -> i64 {
        let snapshot = table.inner.snapshot().expect("a snapshot");
        let name = format!("fenghuo/source.t/{batch}");
        let log = table.inner.log_store();
        let version = snapshot.transaction_version(log.as_ref(), name).await;
        version.expect("a log").unwrap_or(0)
    }

    #[tokio::test]
    async fn batches_are_known_as_the_library_knows_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(dir.path(), "lake").expect("a lake");
        let table = stored(&lake).await;
        let fresh = lake.table("source.t").await.expect("a lake").expect("a table");
        let older = lake
            .table_at("source.t", table.location(), 30)
            .await
            .expect("a version");
        for number in 0..52 {
            let batch = format!("b{number}");
            let expected = by_library(&fresh, &batch).await;
            assert_eq!(
                expected,
                if number >= 50 {
                    0
                } else if number % 7 == 0 {
                    2
                } else {
                    1
                }
            );
            assert_eq!(
                table.state_of(&batch).await.expect("a log"),
                expected,
                "{batch}, kept up"
            );
            assert_eq!(
                fresh.state_of(&batch).await.expect("a log"),
                expected,
                "{batch}, from the checkpoint"
            );
            let then = by_library(&older, &batch).await;
            assert_eq!(
                older.state_of(&batch).await.expect("a log"),
                then,
                "{batch}, of an older version"
            );
        }
        // a log whose checkpoint is not found, and one whose beginning is gone
        let log = dir.path().join("lake/tables/source/t/1/_delta_log");
        std::fs::rename(log.join("_last_checkpoint"), log.join("kept")).expect("a hint");
        let fresh = lake.table("source.t").await.expect("a lake").expect("a table");
        assert_eq!(fresh.state_of("b7").await.expect("a log"), 2);
        std::fs::remove_file(log.join(format!("{:020}.json", 3))).expect("a commit");
        let fresh = lake.table("source.t").await.expect("a lake").expect("a table");
        assert_eq!(fresh.state_of("b7").await.expect("a log"), 2);
        assert_eq!(fresh.state_of("b60").await.expect("a log"), 0);
    }
}
