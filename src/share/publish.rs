//! Publishing: rows of a share into its table, only those partitions written that say something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};

use crate::engine::{Bounds, Rows};
use crate::error::{Kind, Result, fail};
use crate::lake::shape::{conform, storable};
use crate::lake::{Commit, Lake, Layout, ReleaseTable, RowDigest, Table};
use crate::message::Message;
use crate::model::pinned;
use crate::share::gate::{self, Counts, Decided, Epoch, Key, Verdict};
use crate::share::memory::{self, Block};
use crate::share::nested::Nested;
use crate::share::rows::{Columns, MONTH, Shown};
use crate::share::{Class, Share};

/// The column that parts a table by whom its rows belong to.
pub const RECIPIENT: &str = "recipient";

/// Counts of one county and period: what they give away together is solved together.
const MOST_COUNTS: usize = 2_000;

/// Publishes the shares of one run.
#[derive(Debug)]
pub struct Publisher<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// Bounds of its own queries.
    pub bounds: Bounds,
    /// The run.
    pub commit: Commit,
}

/// A share as it was published.
#[derive(Debug)]
pub struct Published {
    /// Its entry in a release.
    pub entry: ReleaseTable,
    /// What the gate did; nothing for a share that is not compared.
    pub gate: Gate,
}

/// What the gate did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gate {
    /// Counts, totals left out.
    pub counts: u64,
    /// Those of them that are hidden.
    pub hidden: u64,
    /// The sum of all counts.
    pub all: u64,
    /// The sum of those that are shown.
    pub shown: u64,
    /// Blocks that changed and stay as they were published.
    pub stay: u64,
}

impl Gate {
    /// What it did, in words.
    pub fn words(&self) -> Message {
        #[expect(clippy::cast_precision_loss, reason = "a share of calls")]
        let percent = if self.all == 0 {
            100.0
        } else {
            self.shown as f64 * 100.0 / self.all as f64
        };
        Message::new(
            "share_gate",
            &[&format!("{percent:.1}"), &self.hidden, &self.counts, &self.stay],
        )
    }
}

impl Publisher<'_> {
    /// Publishes a share from the rows of its SELECT.
    ///
    /// # Errors
    /// `Input` for rows that do not fit what the share says of them; as the store fails.
    pub async fn publish(&self, share: &Share, rows: Rows, inputs: BTreeMap<String, String>) -> Result<Published> {
        let (parts, schema, column, gate) = match Columns::of(share) {
            Some(columns) if share.file.class == Class::Compared => self.compared(share, &columns, rows).await?,
            _ => {
                let (parts, schema) = own(share, rows).await?;
                (parts, schema, RECIPIENT, Gate::default())
            }
        };
        let table = self.write(&share.table(), &schema, column, &parts).await?;
        let mut digest = RowDigest::new(&schema)?;
        parts.values().try_for_each(|part| digest.update(part))?;
        let entry = ReleaseTable {
            location: table.location().to_owned(),
            version: table.version(),
            rows: table.rows()?,
            digest: Some(digest.finish()),
            fingerprint: Some(share.fingerprint()),
            inputs,
            run_id: Some(self.commit.run_id.clone()),
        };
        Ok(Published { entry, gate })
    }

    /// Counts through the gate: what is published, by month.
    async fn compared(
        &self,
        share: &Share,
        columns: &Columns<'_>,
        mut rows: Rows,
    ) -> Result<(Parts, Schema, &'static str, Gate)> {
        let whole = columns.whole(rows.schema().as_ref());
        let mut blocks: BTreeMap<Block, Counts> = BTreeMap::new();
        while let Some(batch) = rows.next().await? {
            columns.take(&batch, &mut blocks)?;
        }
        let mut known = memory::recall(self.lake, self.bounds, &share.name).await?;
        let (totals, mut gate) = (columns.totals(), Gate::default());
        columns.as_before(&known)?;
        let outer = Nested::outer(self.lake, self.bounds, share).await?;
        let inner = Nested::inner(self.lake, self.bounds, share).await?;
        let (mut anew, mut shown): (BTreeMap<Block, Epoch>, Vec<(Block, Epoch)>) = (BTreeMap::new(), Vec::new());
        for (block, counts) in &blocks {
            let counts = gate::with_totals(counts, &totals);
            if counts.len() > MOST_COUNTS {
                let words: [&dyn std::fmt::Display; 4] = [&share.name, &block.0, &counts.len(), &MOST_COUNTS];
                return Err(fail(Kind::Limit, "share_block", &words).hint("share_block_hint", &[]));
            }
            let around = outer.as_ref().map(|outer| outer.around(block));
            let before = known.blocks.get(block).map_or(&[][..], Vec::as_slice);
            match gate::decide(&counts, &totals, before, around.as_ref(), share.file.k) {
                Verdict::Anew(epoch) => {
                    let published = known.blocks.entry(block.clone()).or_default();
                    published.push(epoch.clone());
                    if inner.iter().any(|inner| inner.gives_away(&known, block)) {
                        known.blocks.entry(block.clone()).or_default().pop();
                        gate.stay += 1;
                    } else {
                        anew.insert(block.clone(), epoch);
                    }
                }
                Verdict::Same => {}
                Verdict::Stays => gate.stay += 1,
            }
            let stands = known.blocks.get(block).and_then(|epochs| epochs.last().cloned());
            shown.push((block.clone(), stands.unwrap_or_default()));
        }
        // remembered before it can be seen: what was shown once is never forgotten
        memory::remember(
            self.lake,
            (&share.name, &columns.shape()),
            known.next,
            &anew,
            &self.commit,
        )
        .await?;
        let rows = all_rows(&shown, &columns.totals_of_all());
        for (county, _, key, decided) in &rows {
            if county.is_some() && key.iter().all(Option::is_some) {
                gate.counts += 1;
                gate.all += decided.value;
                gate.hidden += u64::from(decided.hidden);
                gate.shown += if decided.hidden { 0 } else { decided.value };
            }
        }
        let batch = columns.batch(&rows, &whole)?;
        let schema = columns.schema(&whole);
        Ok((parted(&batch, MONTH)?, schema, MONTH, gate))
    }

    /// Writes the partitions that say something else than the table does.
    async fn write(&self, name: &str, schema: &Schema, column: &str, parts: &Parts) -> Result<Table> {
        let mut table = self.lake.table_of(name, schema, &[column]).await?;
        let stands = self.standing(&table, schema, column).await?;
        let says = |part: &RecordBatch| -> Result<String> {
            let mut digest = RowDigest::new(schema)?;
            digest.update(part)?;
            Ok(digest.finish())
        };
        let (mut partitions, mut stage) = (BTreeSet::new(), table.stage(&self.commit.run_id, Layout::default())?);
        for (value, part) in parts {
            let same = match stands.get(value) {
                Some(before) => says(before)? == says(part)?,
                None => false,
            };
            if !same {
                partitions.insert(Some(value.clone()));
                stage.write(&stage.conform(part)?).await?;
            }
        }
        let gone = stands.keys().filter(|value| !parts.contains_key(*value));
        partitions.extend(gone.map(|value| Some(value.clone())));
        let staged = stage.finish().await?;
        if !partitions.is_empty() {
            table.exchange(&partitions, staged, &self.commit).await?;
        }
        let rows = parts.values().map(|part| part.num_rows() as u64).sum();
        table.holds_rows(rows)?;
        Ok(table)
    }

    /// The rows of the table by partition.
    async fn standing(&self, table: &Table, schema: &Schema, column: &str) -> Result<Parts> {
        if table.rows()? == 0 {
            return Ok(Parts::new());
        }
        let session = pinned::on(self.bounds, &[table]).await?;
        let sql = format!("SELECT * FROM {}", table.name());
        let plan = session.plan(table.name(), &sql).await?;
        let mut rows = session.stream(table.name(), &sql, plan).await?;
        let schema = Arc::new(schema.clone());
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(conform(&batch, &schema)?);
        }
        let all = concat_batches(&schema, &batches).map_err(broken)?;
        parted(&all, column)
    }
}

/// Rows by the value of a column.
type Parts = BTreeMap<String, RecordBatch>;

fn broken(cause: arrow::error::ArrowError) -> crate::Error {
    fail(Kind::Bug, "batch_shape", &[]).because(cause)
}

/// The rows of a batch by the value of a column, which has one in every row.
fn parted(batch: &RecordBatch, column: &str) -> Result<Parts> {
    let at = batch.schema_ref().index_of(column).map_err(broken)?;
    let values = batch.column(at).as_string::<i32>();
    let mut places: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        places
            .entry(value.unwrap_or_default())
            .or_default()
            .push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    places
        .into_iter()
        .map(|(value, rows)| {
            let rows = arrow::array::UInt32Array::from(rows);
            Ok((value.to_owned(), take_record_batch(batch, &rows).map_err(broken)?))
        })
        .collect()
}

/// The rows of every county, for itself alone.
async fn own(share: &Share, mut rows: Rows) -> Result<(Parts, Schema)> {
    let found = storable(rows.schema().as_ref());
    let missing = || fail(Kind::Input, "share_column", &[&share.sql.path, &share.file.county]);
    found.field_with_name(&share.file.county).map_err(|_| missing())?;
    let mut fields: Vec<Field> = found.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new(RECIPIENT, DataType::Utf8, true));
    // the place of a call is more than a county's desk needs to know of it
    if let Some(exact) = ["lon", "lat"]
        .into_iter()
        .find(|name| found.field_with_name(name).is_ok())
    {
        return Err(fail(Kind::Denied, "share_exact", &[&share.sql.path, &exact]));
    }
    let (found, schema) = (Arc::new(found), Arc::new(Schema::new(fields)));
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await? {
        let batch = conform(&batch, &found)?;
        let county = batch.column_by_name(&share.file.county).ok_or_else(missing)?;
        let county: ArrayRef = cast(county, &DataType::Utf8).map_err(broken)?;
        if county.null_count() > 0 {
            let words: [&dyn std::fmt::Display; 3] = [&share.sql.path, &county.null_count(), &share.file.county];
            return Err(fail(Kind::Input, "share_null", &words));
        }
        let columns = batch.columns().iter().cloned().chain([county]).collect();
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(broken)?);
    }
    let all = concat_batches(&schema, &batches).map_err(broken)?;
    Ok((parted(&all, RECIPIENT)?, schema.as_ref().clone()))
}

/// The rows of every county and the totals of all of them: such a total is shown where each of its parts is, so
/// that it says nothing that its parts do not say.
fn all_rows(shown: &[(Block, Epoch)], totals_of_all: &[Vec<usize>]) -> Vec<Shown> {
    let mut rows: Vec<Shown> = Vec::new();
    let mut city: BTreeMap<(i32, Key), Decided> = BTreeMap::new();
    for ((county, period), epoch) in shown {
        for (key, decided) in epoch {
            rows.push((Some(county.clone()), *period, key.clone(), *decided));
            let over: Vec<usize> = (0..key.len()).filter(|at| key[*at].is_none()).collect();
            if totals_of_all.contains(&over) {
                let total = city.entry((*period, key.clone())).or_insert(Decided {
                    value: 0,
                    hidden: false,
                });
                total.value += decided.value;
                total.hidden |= decided.hidden;
            }
        }
    }
    rows.extend(
        city.into_iter()
            .map(|((period, key), decided)| (None, period, key, decided)),
    );
    rows
}
