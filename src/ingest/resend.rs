//! A file that comes again with other content, and a batch that is taken back.
//!
//! Rows of the new file are held against the rows that earlier versions of it brought: rows that are
//! the same keep their place and the time they were first known, changed and new ones come in, and
//! what vanished goes or stays as the contract says. Everything becomes visible in one commit, and
//! only the partitions that lose a row are written anew.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, Int64Type, Schema};
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

use crate::contract::{Contract, Known, Resend};
use crate::engine::session::Rows;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail};
use crate::ingest::account::Report;
use crate::ingest::batch::Ingest;
use crate::ingest::tables::layout;
use crate::lake::days::UNDATED;
use crate::lake::{Staged, Table};

/// Columns that say where a row came from and not what it says.
const PROVENANCE: [&str; 4] = ["source_batch", "source_line", "ingested_at", "row_key"];

/// What a commit has to do to bring a table to its new state.
pub(super) struct Exchange {
    /// New rows, and those of the partitions that are written anew.
    pub staged: Staged,
    /// Partitions whose files go.
    pub partitions: BTreeSet<Option<String>>,
    /// Days that lost a row.
    pub days: BTreeSet<i32>,
}

impl Exchange {
    /// New rows beside all others.
    pub(super) fn of(staged: Staged) -> Exchange {
        Exchange {
            staged,
            partitions: BTreeSet::new(),
            days: BTreeSet::new(),
        }
    }
}

/// Tells rows apart by what they say.
pub(super) struct Sayings {
    converter: RowConverter,
    columns: Vec<usize>,
}

impl Sayings {
    pub(super) fn of(schema: &Schema, contract: &Contract) -> Result<Sayings> {
        let is_saying =
            |name: &str| !PROVENANCE.contains(&name) && (name != "known_at" || contract.known != Known::Ingest);
        let columns: Vec<usize> = (0..schema.fields().len())
            .filter(|at| is_saying(schema.field(*at).name()))
            .collect();
        let fields = columns
            .iter()
            .map(|at| SortField::new(schema.field(*at).data_type().clone()));
        let converter = RowConverter::new(fields.collect());
        Ok(Sayings {
            converter: converter.map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?,
            columns,
        })
    }

    /// A 128-bit digest of each row.
    pub(super) fn digests(&mut self, batch: &RecordBatch) -> Result<Vec<[u8; 16]>> {
        let columns: Vec<_> = self.columns.iter().map(|at| batch.column(*at).clone()).collect();
        let rows = self
            .converter
            .convert_columns(&columns)
            .map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?;
        let short = |row: arrow::row::Row<'_>| {
            let mut short = [0u8; 16];
            short.copy_from_slice(&Sha256::digest(row.as_ref())[..16]);
            short
        };
        Ok(rows.iter().map(short).collect())
    }
}

pub(super) fn keys(batch: &RecordBatch) -> Result<&[i64]> {
    let column = batch
        .column_by_name("row_key")
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    column
        .map(|column| &column.values()[..])
        .ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))
}

fn kept(batch: &RecordBatch, stays: impl Fn(i64) -> bool) -> Result<RecordBatch> {
    let mask = BooleanArray::from_iter(keys(batch)?.iter().map(|key| Some(stays(*key))));
    filter_record_batch(batch, &mask).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}

fn list(batches: &[String]) -> String {
    // short names of batches are hexadecimal digits
    batches
        .iter()
        .map(|batch| format!("'{batch}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Ingest<'_> {
    /// Rows of a table, in exactly its columns.
    pub(super) async fn select(&self, table: &Table, condition: &str) -> Result<Rows> {
        let session = Session::new(Bounds::from(&self.settings().limits))?;
        session.register(table.name(), table.provider(session.state()).await?)?;
        let schema = table.schema()?;
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("\"{}\"", field.name()))
            .collect();
        let sql = format!("SELECT {} FROM {} WHERE {condition}", columns.join(", "), table.name());
        let plan = session.plan(table.name(), &sql).await?;
        session.stream(table.name(), &sql, plan).await
    }

    /// Holds the staged rows of a file against those that `earlier` batches of it brought.
    ///
    /// # Errors
    /// `Limit` where more rows vanished than the site tolerates, or the file is too large for this;
    /// else as the store fails.
    pub(super) async fn reconcile(
        &self,
        contract: &Contract,
        table: &Table,
        first: Staged,
        earlier: &[String],
        report: &mut Report,
    ) -> Result<Exchange> {
        let limits = &self.settings().limits;
        if first.rows > limits.resend_rows as u64 {
            table.discard(first).await?;
            return Err(fail(Kind::Limit, "resend_rows", &[&report.file, &limits.resend_rows]));
        }
        let mut sayings = Sayings::of(table.schema()?.as_ref(), contract)?;
        let mut new: HashMap<i64, [u8; 16]> = HashMap::new();
        for file in 0..first.files() {
            for batch in table.staged_rows(&first, file).await? {
                let batch = batch?;
                new.extend(keys(&batch)?.iter().copied().zip(sayings.digests(&batch)?));
            }
        }
        let replaces = contract.resend == Resend::Replace;
        let (mut same, mut gone) = (HashSet::new(), HashSet::new());
        let (mut partitions, mut days) = (BTreeSet::new(), BTreeSet::new());
        let (mut old, mut vanished) = (0u64, 0u64);
        let condition = format!("source_batch IN ({})", list(earlier));
        let mut rows = self.select(table, &condition).await?;
        while let Some(batch) = rows.next().await? {
            let batch = crate::lake::shape::conform(&batch, &table.schema()?)?;
            let digests = sayings.digests(&batch)?;
            for (row, (key, digest)) in keys(&batch)?.iter().zip(digests).enumerate() {
                old += 1;
                let lost = match new.get(key) {
                    Some(found) if *found == digest => {
                        same.insert(*key);
                        false
                    }
                    Some(_) => true,
                    None => {
                        vanished += 1;
                        replaces
                    }
                };
                if lost {
                    gone.insert(*key);
                    partitions.insert(partition(&batch, row));
                    days.extend(day(&batch, row));
                }
            }
        }
        report.vanished = vanished;
        report.changed = gone.iter().filter(|key| new.contains_key(*key)).count() as u64;
        report.added = (new.len() as u64).saturating_sub(same.len() as u64 + report.changed);
        report.duplicate += same.len() as u64;
        report.accepted = report.changed + report.added;
        let tolerated = old * limits.vanished_percent as u64 / 100;
        if replaces && vanished > tolerated {
            table.discard(first).await?;
            let error = fail(
                Kind::Limit,
                "resend_vanished",
                &[&report.file, &vanished, &old, &tolerated],
            );
            return Err(error.hint("resend_vanished_hint", &[]));
        }
        let mut stage = table.stage(self.run_id(), layout(contract))?;
        for file in 0..first.files() {
            for batch in table.staged_rows(&first, file).await? {
                stage.write(&kept(&batch?, |key| !same.contains(&key))?).await?;
            }
        }
        let goes = |key, from: &str| gone.contains(&key) && earlier.iter().any(|batch| batch == from);
        self.carry_over(table, &mut stage, &partitions, goes).await?;
        table.discard(first).await?;
        Ok(Exchange {
            staged: stage.finish().await?,
            partitions,
            days,
        })
    }

    /// What it takes to remove every row of a batch.
    ///
    /// # Errors
    /// As the store fails.
    pub(super) async fn removal(&self, contract: &Contract, table: &Table, batch: &str) -> Result<(Exchange, u64)> {
        let batches = [batch.to_owned()];
        let (mut partitions, mut days, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
        let mut rows = self
            .select(table, &format!("source_batch IN ({})", list(&batches)))
            .await?;
        while let Some(batch) = rows.next().await? {
            let batch = crate::lake::shape::conform(&batch, &table.schema()?)?;
            for row in 0..batch.num_rows() {
                partitions.insert(partition(&batch, row));
                days.extend(day(&batch, row));
            }
            count += batch.num_rows() as u64;
        }
        let mut stage = table.stage(self.run_id(), layout(contract))?;
        self.carry_over(table, &mut stage, &partitions, |_, from| from == batch)
            .await?;
        let exchange = Exchange {
            staged: stage.finish().await?,
            partitions,
            days,
        };
        Ok((exchange, count))
    }

    /// Stages the rows of these partitions again, except those that go, by their identity and batch.
    pub(super) async fn carry_over(
        &self,
        table: &Table,
        stage: &mut crate::lake::Stage,
        partitions: &BTreeSet<Option<String>>,
        goes: impl Fn(i64, &str) -> bool,
    ) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let partitioned = table.schema()?.field_with_name("biz_month").is_ok();
        let condition = if partitioned {
            let named: Vec<String> = partitions.iter().flatten().map(|month| format!("'{month}'")).collect();
            let mut conditions = Vec::new();
            if !named.is_empty() {
                conditions.push(format!("biz_month IN ({})", named.join(", ")));
            }
            if partitions.contains(&None) {
                conditions.push("biz_month IS NULL".to_owned());
            }
            conditions.join(" OR ")
        } else {
            "true".to_owned()
        };
        let mut rows = self.select(table, &condition).await?;
        while let Some(batch) = rows.next().await? {
            let batch = stage.conform(&batch)?;
            let from = batch
                .column_by_name("source_batch")
                .and_then(|column| column.as_string_opt::<i32>());
            let from = from.ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
            let stays = keys(&batch)?
                .iter()
                .zip(from.iter())
                .map(|(key, from)| Some(!goes(*key, from.unwrap_or_default())));
            let mask = BooleanArray::from_iter(stays);
            let staying = filter_record_batch(&batch, &mask)
                .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
            stage.write(&staying).await?;
        }
        Ok(())
    }
}

pub(super) fn partition(batch: &RecordBatch, row: usize) -> Option<String> {
    let months = batch.column_by_name("biz_month")?.as_string_opt::<i32>()?;
    months.is_valid(row).then(|| months.value(row).to_owned())
}

pub(super) fn day(batch: &RecordBatch, row: usize) -> Option<i32> {
    let days = batch.column_by_name("biz_date")?.as_primitive_opt::<Date32Type>()?;
    Some(if days.is_valid(row) { days.value(row) } else { UNDATED })
}
