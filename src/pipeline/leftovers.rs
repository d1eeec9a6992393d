//! Source files that still lie where they came in, and why.
//!
//! A look by name and size, cheap enough for a screen; what may be removed, `purge` decides by content.

use std::collections::{BTreeMap, HashMap};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::config::Site;
use crate::contract::Contract;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::ingest::arrival::{self, Arrival};
use crate::ingest::tables;
use crate::lake::Lake;
use crate::model::pinned;
use crate::pipeline::files::{Assigned, assign};
use crate::pipeline::purge::HOUR_MICROS;

/// Why a source file lies where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lying {
    /// It has not arrived whole.
    Waiting,
    /// It was not read yet, or changed since.
    New,
    /// It was read and stays until its time is up, or for good.
    Stored,
    /// It was read and its time is up.
    Due,
}

impl Lying {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Lying::Waiting => "waiting",
            Lying::New => "new",
            Lying::Stored => "stored",
            Lying::Due => "due",
        }
    }
}

/// Files of one contract that lie for one reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap {
    /// Their number.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// When each file of the account came in last, by its name and size, UTC microseconds.
async fn read_before(lake: &Lake, site: &Site) -> Result<HashMap<(String, i64), i64>> {
    let mut found = HashMap::new();
    let Some(table) = lake.table(tables::INGEST).await? else {
        return Ok(found);
    };
    if table.rows()? == 0 {
        return Ok(found);
    }
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&table]).await?;
    let sql = format!(
        "SELECT arrow_cast(file, 'Utf8') AS file, bytes, max(ingested_at) AS at FROM {} \
         WHERE action IN ('stored', 'resent', 'received_again') GROUP BY file, bytes",
        table.name()
    );
    let plan = session.plan("leftovers", &sql).await?;
    let mut rows = session.stream("leftovers", &sql, plan).await?;
    while let Some(rows) = rows.next().await? {
        let shape = || fail(Kind::Bug, "batch_shape", &[]);
        let files = rows.column(0).as_string_opt::<i32>().ok_or_else(shape)?;
        let bytes = rows.column(1).as_primitive_opt::<Int64Type>().ok_or_else(shape)?;
        let times = rows
            .column(2)
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(shape)?;
        for row in 0..rows.num_rows() {
            found.insert((files.value(row).to_owned(), bytes.value(row)), times.value(row));
        }
    }
    Ok(found)
}

fn lies(file: &Assigned, read: &HashMap<(String, i64), i64>, now: i64) -> Result<Lying> {
    if let Arrival::Waits(_) = arrival::look(&file.contract, &file.source, &file.shown, now)? {
        return Ok(Lying::Waiting);
    }
    let Some(at) = read.get(&(file.shown.clone(), file.bytes.cast_signed())) else {
        return Ok(Lying::New);
    };
    let due = file
        .contract
        .purge_hours
        .is_some_and(|hours| at + hours * HOUR_MICROS <= now);
    Ok(if due { Lying::Due } else { Lying::Stored })
}

/// The source files that lie where they came in, by contract and reason.
///
/// # Errors
/// As the lake, a folder or a store cannot be read.
pub async fn leftovers(
    site: &Site,
    lake: &Lake,
    contracts: &[Contract],
    now: i64,
) -> Result<BTreeMap<(String, Lying), Heap>> {
    let read = read_before(lake, site).await?;
    let mut files = assign(site, contracts).await?;
    files.retain(|file| file.contract.pull.is_none());
    let sorted = tokio::task::spawn_blocking(move || {
        let mut heaps: BTreeMap<(String, Lying), Heap> = BTreeMap::new();
        for file in &files {
            let lying = lies(file, &read, now)?;
            let heap = heaps.entry((file.contract.name.clone(), lying)).or_default();
            heap.files += 1;
            heap.bytes += file.bytes;
        }
        Ok(heaps)
    });
    sorted
        .await
        .map_err(|cause| fail(Kind::Bug, "parser_died", &[&"inbox"]).because(cause))?
}
