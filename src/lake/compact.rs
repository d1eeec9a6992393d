//! Compaction: the small files of a partition put together, their rows unchanged and in their order.
//!
//! The library's own OPTIMIZE marks what it removes as no change of data, and its conflict check passes over
//! such removals: beside a second one, an overwrite or a deletion from the same snapshot it doubles rows or
//! brings old ones back, without an error. Here the removals count as changes, so that of two writers that take
//! the same file one fails; who reads days from the log knows by the operation that no row changed.

use std::collections::BTreeMap;

use deltalake::kernel::Action;

use crate::error::Result;
use crate::lake::table::Means;
use crate::lake::{Commit, Layout, Table, table_error};

/// Files below this are small.
const SMALL_BYTES: i64 = 16 << 20;
/// So many small files of a partition are worth putting together.
const WORTH_FILES: usize = if cfg!(debug_assertions) { 3 } else { 8 };

/// What was put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Small files before.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files in their place.
    pub into: u64,
}

impl Table {
    /// Puts small files together; a `trial` only counts them. The caller holds the site lease.
    ///
    /// # Errors
    /// `Conflict` where another writer took one of the files, `Unavailable` where the store fails, `Bug` where
    /// rows would be lost.
    pub async fn compact(&mut self, layout: Layout, commit: &Commit, trial: bool) -> Result<Compacted> {
        let failed = |cause| table_error(&self.name, cause);
        let digest = self.said().await?.digest;
        let before = self.rows()?;
        let state = self.inner.snapshot().map_err(failed)?;
        let mut parts: BTreeMap<Option<String>, Vec<_>> = BTreeMap::new();
        for file in state.log_data().iter().filter(|file| file.size() < SMALL_BYTES) {
            let values = file.partition_values_map();
            let value = values.values().next().cloned().flatten();
            parts.entry(value).or_default().push(file);
        }
        parts.retain(|_, files| files.len() >= WORTH_FILES);
        let mut done = Compacted::default();
        let mut removes = Vec::new();
        let mut stage = self.stage(&commit.run_id, layout)?;
        for files in parts.values_mut() {
            // as they came
            files.sort_by_key(|file| (file.modification_time(), file.path().into_owned()));
            for file in files {
                done.files += 1;
                done.bytes += u64::try_from(file.size()).unwrap_or(0);
                if trial {
                    continue;
                }
                for rows in self
                    .read(&file.object_store_path(), file.partition_values_map())
                    .await?
                {
                    stage.write(&rows?).await?;
                }
                removes.push(Action::Remove(file.remove_action(true)));
            }
        }
        if removes.is_empty() {
            return Ok(done);
        }
        let staged = stage.finish().await?;
        done.into = staged.files() as u64;
        let commit = Commit {
            days: Vec::new(),
            digest,
            ..commit.clone()
        };
        let actions = removes.into_iter().chain(staged.adds.into_iter().map(Action::Add));
        self.commit(actions.collect(), Means::Compact, staged.rows, &commit)
            .await?;
        self.holds_rows(before)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::lake::{Lake, RowDigest};

    fn schema() -> Arc<Schema> {
        Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("biz_date", DataType::Date32, true),
        ]))
    }

    fn commit(run_id: &str) -> Commit {
        Commit {
            days: vec![20_000],
            ..Commit::of(run_id, 1, String::new())
        }
    }

    async fn rows_of(table: &Table, range: std::ops::Range<i64>) -> crate::lake::Stage {
        let mut stage = table.stage("r", Layout::default()).expect("a stage");
        let days = Date32Array::from_iter_values(range.clone().map(|n| 20_000 + i32::try_from(n % 3).unwrap_or(0)));
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(range)), Arc::new(days)];
        stage
            .write(&RecordBatch::try_new(schema(), columns).expect("rows"))
            .await
            .expect("staged");
        stage
    }

    /// A table of fifty rows in five files.
    async fn filled(lake: &Lake) -> Table {
        let mut table = lake.table_of("source.t", &schema(), &[]).await.expect("a table");
        for part in 0..5 {
            let stage = rows_of(&table, part * 10..part * 10 + 10).await;
            let staged = stage.finish().await.expect("staged");
            table
                .append(staged, &commit(&format!("a{part}")))
                .await
                .expect("stored");
        }
        table
    }

    async fn count(lake: &Lake) -> u64 {
        lake.table("source.t")
            .await
            .expect("read")
            .expect("a table")
            .rows()
            .expect("rows")
    }

    fn lake() -> (tempfile::TempDir, Lake) {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path(), "lake").expect("a lake");
        (folder, lake)
    }

    #[tokio::test]
    async fn of_two_that_put_the_same_files_together_one_fails() {
        let (_folder, lake) = lake();
        let mut one = filled(&lake).await;
        let mut other = lake.table("source.t").await.expect("read").expect("a table");
        one.compact(Layout::default(), &commit("c1"), false)
            .await
            .expect("compacted");
        let second = other.compact(Layout::default(), &commit("c2"), false).await;
        assert_eq!(second.expect_err("a conflict").kind(), crate::error::Kind::Conflict);
        assert_eq!(count(&lake).await, 50);
    }

    #[tokio::test]
    async fn what_is_replaced_while_files_are_put_together_does_not_come_back() {
        let (_folder, lake) = lake();
        let mut one = filled(&lake).await;
        let mut other = lake.table("source.t").await.expect("read").expect("a table");
        let staged = rows_of(&other, 0..10).await.finish().await.expect("staged");
        // an overwrite that looked at the table before, and commits after
        let mut actions = other.removes(&BTreeSet::from([None])).expect("files");
        assert_eq!(actions.len(), 5);
        actions.extend(staged.adds.into_iter().map(Action::Add));
        one.compact(Layout::default(), &commit("c"), false)
            .await
            .expect("compacted");
        let late = other.commit(actions, Means::Overwrite, 10, &commit("w")).await;
        assert_eq!(late.expect_err("a conflict").kind(), crate::error::Kind::Conflict);
        assert_eq!(count(&lake).await, 50);
        let staged = rows_of(&other, 0..10).await.finish().await.expect("staged");
        other.replace(staged, &commit("w")).await.expect("replaced");
        assert_eq!(count(&lake).await, 10);
    }

    #[tokio::test]
    async fn days_that_are_exchanged_while_files_are_put_together_are_not_doubled() {
        let (_folder, lake) = lake();
        let mut one = filled(&lake).await;
        let mut other = lake.table("source.t").await.expect("read").expect("a table");
        let stage = other.stage("r", Layout::default()).expect("a stage");
        let mut digest = RowDigest::new(stage.schema()).expect("a digest");
        for part in 0..5 {
            let range = part * 10..part * 10 + 10;
            let days = Date32Array::from_iter_values(range.clone().map(|n| 20_000 + i32::try_from(n % 3).unwrap_or(0)));
            let columns: Vec<arrow::array::ArrayRef> =
                vec![Arc::new(Int64Array::from_iter_values(range)), Arc::new(days)];
            digest
                .update(&RecordBatch::try_new(schema(), columns).expect("rows"))
                .expect("a digest");
        }
        one.compact(Layout::default(), &commit("c"), false)
            .await
            .expect("compacted");
        let gone = other
            .exchange_days(&BTreeSet::from([20_000]), stage, digest, &commit("d"))
            .await;
        assert_eq!(gone.expect_err("a conflict").kind(), crate::error::Kind::Conflict);
        assert_eq!(count(&lake).await, 50);
        let mut sound = lake.table("source.t").await.expect("read").expect("a table");
        assert_eq!(
            sound
                .compact(Layout::default(), &commit("c3"), false)
                .await
                .expect("nothing"),
            Compacted::default()
        );
    }
}
