//! What was decided of every block that was ever published: a table of the lake that no release shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema};

use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::lake::shape::conform;
use crate::lake::{Commit, Lake, Layout};
use crate::model::pinned;
use crate::share::gate::{Decided, Epoch, Key};

/// The table.
const TABLE: &str = "gate.decision";

/// A county's counts of a period.
pub type Block = (String, i32);

/// The publications of each block of a share, oldest first.
#[derive(Debug, Default)]
pub struct Memory {
    /// The blocks.
    pub blocks: BTreeMap<Block, Vec<Epoch>>,
    /// The number of the next publication: they are counted, and no clock orders them.
    pub next: i64,
    /// What tells counts apart in it, which totals are shown, and the least count, of each that was published.
    pub shapes: BTreeSet<String>,
}

fn schema() -> Schema {
    let column = |name: &str, kind: DataType| Field::new(name, kind, true);
    Schema::new(vec![
        column("share", DataType::Utf8),
        column("county", DataType::Utf8),
        column("period", DataType::Date32),
        column("epoch", DataType::Int64),
        column("key", DataType::Utf8),
        column("value", DataType::Int64),
        column("hidden", DataType::Boolean),
        column("shape", DataType::Utf8),
    ])
}

/// What was published of a share.
///
/// # Errors
/// As the lake cannot be read.
pub async fn recall(lake: &Lake, bounds: Bounds, share: &str) -> Result<Memory> {
    let mut memory = Memory {
        next: 1,
        ..Memory::default()
    };
    let Some(table) = lake.table(TABLE).await? else {
        return Ok(memory);
    };
    let broken = || fail(Kind::Bug, "batch_shape", &[]);
    let session = pinned::on(bounds, &[&table]).await?;
    let sql = format!("SELECT * FROM {TABLE} WHERE share = '{share}' ORDER BY county, period, epoch");
    let plan = session.plan(TABLE, &sql).await?;
    let mut rows = session.stream(TABLE, &sql, plan).await?;
    let schema = Arc::new(schema());
    let mut last = None;
    while let Some(batch) = rows.next().await? {
        let batch = conform(&batch, &schema)?;
        let (counties, periods) = (
            batch.column(1).as_string::<i32>(),
            batch.column(2).as_primitive::<Date32Type>(),
        );
        let (epochs, keys) = (
            batch.column(3).as_primitive::<Int64Type>(),
            batch.column(4).as_string::<i32>(),
        );
        memory
            .shapes
            .extend(batch.column(7).as_string::<i32>().iter().flatten().map(str::to_owned));
        let (values, hidden) = (
            batch.column(5).as_primitive::<Int64Type>(),
            batch.column(6).as_boolean(),
        );
        for row in 0..batch.num_rows() {
            let block = (counties.value(row).to_owned(), periods.value(row));
            memory.next = memory.next.max(epochs.value(row) + 1);
            let all = memory.blocks.entry(block.clone()).or_default();
            let epoch = (block, epochs.value(row));
            if last.as_ref() != Some(&epoch) {
                all.push(Epoch::new());
                last = Some(epoch);
            }
            let key: Key = serde_json::from_str(keys.value(row)).map_err(|cause| broken().because(cause))?;
            let value = u64::try_from(values.value(row)).map_err(|_| broken())?;
            let decided = Decided {
                value,
                hidden: hidden.value(row),
            };
            all.last_mut().ok_or_else(broken)?.insert(key, decided);
        }
    }
    Ok(memory)
}

/// Remembers blocks as they are about to be published, under the number of their publication.
///
/// # Errors
/// As the store fails: then nothing may be published.
pub async fn remember(
    lake: &Lake,
    (share, shape): (&str, &str),
    number: i64,
    blocks: &BTreeMap<Block, Epoch>,
    commit: &Commit,
) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let broken = |cause: &dyn std::fmt::Display| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let rows = blocks
        .iter()
        .flat_map(|(block, epoch)| epoch.iter().map(move |(key, decided)| (block, key, decided)));
    let rows: Vec<(&Block, String, &Decided)> = rows
        .map(|(block, key, decided)| {
            Ok((
                block,
                serde_json::to_string(key).map_err(|cause| broken(&cause))?,
                decided,
            ))
        })
        .collect::<Result<_>>()?;
    let value = |decided: &Decided| i64::try_from(decided.value).unwrap_or(i64::MAX);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![share; rows.len()])),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(block, ..)| &block.0))),
        Arc::new(Date32Array::from_iter_values(rows.iter().map(|(block, ..)| block.1))),
        Arc::new(Int64Array::from(vec![number; rows.len()])),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, key, _)| key))),
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|(.., decided)| value(decided)),
        )),
        Arc::new(BooleanArray::from_iter(
            rows.iter().map(|(.., decided)| Some(decided.hidden)),
        )),
        Arc::new(StringArray::from(vec![shape; rows.len()])),
    ];
    let schema = schema();
    let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns).map_err(|cause| broken(&cause))?;
    let mut table = lake.table_of(TABLE, &schema, &[]).await?;
    let mut stage = table.stage(&commit.run_id, Layout::default())?;
    stage.write(&batch).await?;
    let commit = Commit {
        batch_id: Some(format!("{share}/{number}/{}", commit.run_id)),
        ..commit.clone()
    };
    table.append(stage.finish().await?, &commit).await.map(drop)
}
