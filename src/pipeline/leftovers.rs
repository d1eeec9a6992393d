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

/// How a file of the account was last read.
#[derive(Debug, Clone)]
pub(super) struct LastRead {
    /// When, microseconds since 1970.
    pub at: i64,
    /// Its batch.
    pub batch_id: String,
    /// Whether rows under its name were taken back once.
    pub taken_back: bool,
}

/// The files of the account, by contract, name and size.
pub(super) type Account = HashMap<(String, String, i64), LastRead>;

/// What the account says of each file.
pub(super) async fn account(lake: &Lake, site: &Site) -> Result<Account> {
    let mut found = Account::new();
    let Some(table) = lake.table(tables::INGEST).await? else {
        return Ok(found);
    };
    if table.rows()? == 0 {
        return Ok(found);
    }
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&table]).await?;
    let stored = "action IN ('stored', 'resent', 'received_again')";
    let sql = format!(
        "SELECT arrow_cast(i.contract, 'Utf8'), arrow_cast(i.file, 'Utf8'), i.bytes, i.ingested_at, \
         arrow_cast(i.batch_id, 'Utf8'), t.file IS NOT NULL AS taken_back FROM {0} AS i \
         LEFT JOIN (SELECT DISTINCT file FROM {0} WHERE NOT {stored}) AS t ON t.file = i.file \
         WHERE i.{stored} ORDER BY i.ingested_at",
        table.name()
    );
    let plan = session.plan("account", &sql).await?;
    let mut rows = session.stream("account", &sql, plan).await?;
    while let Some(rows) = rows.next().await? {
        let text = |column: usize, row: usize| rows.column(column).as_string::<i32>().value(row).to_owned();
        let bytes = rows.column(2).as_primitive::<Int64Type>();
        let times = rows.column(3).as_primitive::<TimestampMicrosecondType>();
        let taken_back = rows.column(5).as_boolean();
        for row in 0..rows.num_rows() {
            let read = LastRead {
                at: times.value(row),
                batch_id: text(4, row),
                taken_back: taken_back.value(row),
            };
            found.insert((text(0, row), text(1, row), bytes.value(row)), read);
        }
    }
    Ok(found)
}

/// The name of a file in the account.
pub(super) fn name(file: &Assigned) -> (String, String, i64) {
    (file.contract.name.clone(), file.shown.clone(), file.bytes.cast_signed())
}

fn lies(file: &Assigned, read: &Account, now: i64) -> Result<Lying> {
    if let Arrival::Waits(_) = arrival::look(&file.contract, &file.source, &file.shown, now)? {
        return Ok(Lying::Waiting);
    }
    let Some(LastRead { at, .. }) = read.get(&name(file)) else {
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
    let read = account(lake, site).await?;
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
