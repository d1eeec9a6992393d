//! What came before: batches by contract, name and content, and what that means for a file.
//!
//! A file whose content is known is not read again, whatever its name; a known name with other content
//! is what the contract's `resend` says; a batch can be taken back and then stays away.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};

use crate::contract::{Contract, Land, Resend};
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail};
use crate::ingest::account::{Outcome, Report};
use crate::ingest::batch::{Ingest, short};
use crate::ingest::filter::Filter;
use crate::ingest::index::{self, Held, Index};
use crate::ingest::known::Known;
use crate::ingest::source::Looked;
use crate::ingest::tables;
use crate::lake::shape::conform;
use crate::lake::{Commit, Table};
use crate::place::cell::cell;
use crate::place::suspect::REFERENCE_RESOLUTION;
use crate::protect::TokenClass;

/// Stored positions that those of a batch are held against.
const REFERENCE_ROWS: u64 = 30_000;
/// Bytes of a row, as a first guess of the rows of a file.
const ROW_BYTES: u64 = 200;

/// A batch that the account says was stored. Whether its rows are there, the source table knows: an
/// ingest can have ended between the two, and a batch can have been taken back.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub batch_id: String,
    pub contract: String,
    pub file: String,
    pub content: String,
}

impl Past {
    fn is_version_of(&self, contract: &Contract, file: &str) -> bool {
        // as in the name of the batch, the folder is not a part of the origin
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        self.contract == contract.name && name(&self.file) == name(file)
    }
}

impl Ingest<'_> {
    /// Whether a batch is there, or was and must stay away: what was taken back comes again only where
    /// a person names the file, and a source that returns to an earlier version brings it anew.
    pub(super) async fn has(&mut self, contract: &Contract, file: &str, table: &Table, batch_id: &str) -> Result<bool> {
        let state = table.state_of(batch_id).await?;
        let stored = state % 2 == 1;
        // of a whole that is sent anew, the one that came last holds
        let last_holds = contract.land != Land::Rows || contract.resend != Resend::Refuse;
        if stored && last_holds {
            let mut versions = self
                .past()
                .await?
                .iter()
                .filter(|past| past.is_version_of(contract, file));
            if versions.next_back().is_some_and(|newest| newest.batch_id != batch_id) {
                self.run.turn = state + 2;
                return Ok(false);
            }
        }
        self.run.turn = state + 1;
        Ok(if self.named { stored } else { state > 0 })
    }

    /// The batches that a file of this name brought before and that have rows, where rows are told apart.
    pub(super) async fn earlier(&mut self, contract: &Contract, table: &Table, report: &Report) -> Result<Vec<String>> {
        if contract.land != Land::Rows {
            return Ok(Vec::new());
        }
        let versions = self
            .past()
            .await?
            .iter()
            .filter(|past| past.is_version_of(contract, &report.file));
        let versions: BTreeSet<String> = versions.map(|past| past.batch_id.clone()).collect();
        let mut live = Vec::new();
        for batch_id in versions {
            if table.state_of(&batch_id).await? % 2 == 1 {
                live.push(short(&batch_id).to_owned());
            }
        }
        Ok(live)
    }

    /// The stored batches in their order, read once.
    pub(super) async fn past(&mut self) -> Result<&[Past]> {
        if self.history.is_none() {
            let table = self.open(tables::INGEST).await?;
            let mut history = Vec::new();
            if table.rows()? > 0 {
                let mut rows = self
                    .select(&table, "action IN ('stored', 'resent') ORDER BY ingested_at")
                    .await?;
                while let Some(batch) = rows.next().await? {
                    let batch = conform(&batch, &table.schema()?)?;
                    let text = |name: &str| -> Result<StringArray> {
                        let column = batch.column_by_name(name);
                        let column = column.and_then(|column| column.as_string_opt::<i32>());
                        column.cloned().ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))
                    };
                    let (ids, contracts) = (text("batch_id")?, text("contract")?);
                    let (files, contents) = (text("file")?, text("content")?);
                    history.extend((0..batch.num_rows()).map(|row| Past {
                        batch_id: ids.value(row).to_owned(),
                        contract: contracts.value(row).to_owned(),
                        file: files.value(row).to_owned(),
                        content: contents.value(row).to_owned(),
                    }));
                }
            }
            self.history = Some(history);
        }
        Ok(self.history.as_deref().unwrap_or_default())
    }

    /// What is decided by a file's name and content alone: it is refused, was received before, or was
    /// taken back under another name and stays away.
    pub(super) async fn decided(
        &mut self,
        contract: &Contract,
        table: &Table,
        report: &mut Report,
        earlier: &[String],
    ) -> Result<Option<Report>> {
        report.sent.agree(&report.file, None, report.sha256.as_deref())?;
        // a row of a database that returns to an earlier state makes a page that came before
        if contract.land != Land::Rows || contract.pull.is_some() {
            return Ok(None);
        }
        let same = self.past().await?.iter().filter(|past| {
            past.contract == contract.name
                && past.content == report.content
                && past.file != report.file
                && past.batch_id != report.batch_id
        });
        let same: BTreeSet<String> = same.map(|past| past.batch_id.clone()).collect();
        let (mut live, mut withdrawn) = (false, false);
        for batch_id in same {
            let state = table.state_of(&batch_id).await?;
            live |= state % 2 == 1;
            withdrawn |= state > 0 && state % 2 == 0;
        }
        if live {
            report.outcome = Outcome::ReceivedAgain;
            let commit = Commit {
                // a note of its own, so that the content can still be stored under this name
                batch_id: Some(format!("{}/again", report.batch_id)),
                turn: 1,
                ..self.run.clone()
            };
            self.append(tables::INGEST, &self.ingest_row(report, "received_again")?, &commit)
                .await?;
            return Ok(Some(report.clone()));
        }
        if withdrawn && !self.named {
            return Ok(Some(report.clone()));
        }
        if !earlier.is_empty() && contract.resend == Resend::Refuse {
            let error = fail(Kind::Check, "resend_refused", &[&report.file]);
            return Err(error.hint("resend_refused_hint", &[&contract.path]));
        }
        Ok(None)
    }

    /// Takes a stored batch back: its rows go, in one commit, and stay away until somebody names the
    /// file again.
    ///
    /// # Errors
    /// `Missing` for a batch that is not stored; else as the store fails.
    pub async fn withdraw(&mut self, contracts: &[Contract], batch: &str) -> Result<(String, u64)> {
        self.now += 1;
        let table = self.open(tables::INGEST).await?;
        let safe = batch.len() >= 6 && batch.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = Vec::new();
        if safe && table.rows()? > 0 {
            let condition = format!(
                "batch_id LIKE '{}%' AND action IN ('stored', 'resent')",
                batch.to_ascii_lowercase()
            );
            let mut rows = self.select(&table, &condition).await?;
            while let Some(batch) = rows.next().await? {
                let batch = conform(&batch, &table.schema()?)?;
                let text = |name: &str| {
                    batch
                        .column_by_name(name)
                        .and_then(|column| column.as_string_opt::<i32>())
                };
                if let (Some(ids), Some(names), Some(files)) = (text("batch_id"), text("contract"), text("file")) {
                    let row = |row| {
                        (
                            ids.value(row).to_owned(),
                            names.value(row).to_owned(),
                            files.value(row).to_owned(),
                        )
                    };
                    found.extend((0..batch.num_rows()).map(row));
                }
            }
        }
        found.sort();
        found.dedup_by(|left, right| left.0 == right.0);
        let [(batch_id, name, file)] = &found[..] else {
            return Err(fail(Kind::Missing, "no_batch", &[&batch, &found.len()]).hint("no_batch_hint", &[]));
        };
        let contract = contracts.iter().find(|contract| contract.name == *name);
        let contract = contract.ok_or_else(|| fail(Kind::Missing, "no_contract", &[name]))?;
        let mut table = self.open(&contract.into).await?;
        let state = table.state_of(batch_id).await?;
        if state % 2 == 0 {
            return Err(fail(Kind::Missing, "no_batch", &[&batch, &0]).hint("no_batch_hint", &[]));
        }
        let (exchange, rows) = self.removal(contract, &table, short(batch_id)).await?;
        let report = Report {
            contract: name.clone(),
            table: contract.into.clone(),
            file: file.clone(),
            batch_id: batch_id.clone(),
            vanished: rows,
            days: exchange.days.iter().copied().collect(),
            ..Report::default()
        };
        let commit = Commit {
            batch_id: Some(batch_id.clone()),
            turn: state + 1,
            days: report.days.clone(),
            ..self.run.clone()
        };
        self.append(tables::INGEST, &self.ingest_row(&report, "withdrawn")?, &commit)
            .await?;
        table.exchange(&exchange.partitions, exchange.staged, &commit).await?;
        self.held.remove(&contract.into);
        self.history = None;
        Ok((file.clone(), rows))
    }

    /// What is known of the identities that rows of this file may repeat.
    pub(super) async fn known(
        &mut self,
        contract: &Contract,
        table: &Table,
        looked: &Looked,
        earlier: &[String],
    ) -> Result<Option<Known>> {
        let expected = looked.unpacked() / ROW_BYTES + 1024;
        let folder = self.lake.scratch()?;
        let renewal = self.key().renewal(TokenClass::Row);
        let mut known = match contract.land {
            Land::Counts => return Ok(None),
            // a statement stands for itself; identities of other files do not bear on it
            Land::Snapshot => Known::new(&folder, Held::new(Filter::with_room_for(expected), None), renewal)?,
            Land::Rows => self.of_table(&folder, contract, table, expected, earlier).await?,
        };
        known.keep_away(self.lake.erased(table.name())?);
        Ok(Some(known))
    }

    /// What is known of the identities of a table's rows, without those of `earlier` batches.
    async fn of_table(
        &mut self,
        folder: &Path,
        contract: &Contract,
        table: &Table,
        expected: u64,
        earlier: &[String],
    ) -> Result<Known> {
        let renewal = self.key().renewal(TokenClass::Row);
        let stored = table.rows()?;
        let held = self.held.remove(&contract.into).filter(|_| earlier.is_empty());
        if let Some(held) = held.filter(|held| held.filter.has_room_for(expected)) {
            return Known::new(folder, held, renewal);
        }
        // with room for the other files of a night, or each of them would read every identity again
        let mut filter = Filter::with_room_for(stored + expected + stored / 4);
        if earlier.is_empty() {
            let path = index::path(folder, table.name());
            let kept = Index::open(&path, &title(table).await?, |identity| {
                filter.insert(identity);
            });
            if kept.is_some() {
                return Known::new(folder, Held::new(filter, kept), renewal);
            }
        }
        let mut known = Known::new(folder, Held::new(filter, None), renewal)?;
        self.each_identity(table, earlier, &mut |identity| known.stored(identity))
            .await?;
        Ok(known)
    }

    /// Keeps the identities of the tables that grew, for the next night.
    ///
    /// # Errors
    /// `Unavailable` where a table cannot be read or the file not be written.
    pub async fn keep_identities(&mut self) -> Result<()> {
        let folder = self.lake.scratch()?;
        for name in std::mem::take(&mut self.grown) {
            let table = self.open(&name).await?;
            if table.rows()? < index::WORTH_KEEPING {
                continue;
            }
            let (path, title) = (index::path(&folder, &name), title(&table).await?);
            if let Some(mut sorted) = self.held.remove(&name).and_then(Held::sorted) {
                Index::write(&path, &title, async || sorted()).await?;
                continue;
            }
            let parts = table.rows()?.div_ceil(index::SORTED_AT_ONCE).max(1);
            let mut next = 0;
            let part = async || {
                if next == parts {
                    return Ok(None);
                }
                let range = range(next, parts);
                next += 1;
                let mut some = Vec::new();
                let take = &mut |identity| {
                    if range.contains(&identity) {
                        some.push(identity);
                    }
                };
                self.each_identity(&table, &[], take).await?;
                some.sort_unstable();
                Ok(Some(some))
            };
            Index::write(&path, &title, part).await?;
        }
        Ok(())
    }

    /// Cells of some ten thousand positions that are stored already; `None` where there are too few.
    pub(super) async fn reference(&mut self, contract: &Contract, table: &Table) -> Result<Option<Arc<HashSet<i64>>>> {
        if !contract.has_position() || contract.land == Land::Counts {
            return Ok(None);
        }
        if let Some(known) = self.references.get(&contract.into) {
            return Ok(known.clone());
        }
        let stored = table.rows()?;
        let mut cells = HashSet::new();
        if stored >= REFERENCE_ROWS / 10 {
            let step = (stored / REFERENCE_ROWS).max(1);
            let condition = format!("lon IS NOT NULL AND row_key % {step} = 0");
            let mut rows = self.select(table, &condition).await?;
            while let Some(batch) = rows.next().await? {
                let degrees = |name: &str| {
                    batch
                        .column_by_name(name)
                        .and_then(|column| column.as_primitive_opt::<Float64Type>())
                };
                if let Some((lon, lat)) = degrees("lon").zip(degrees("lat")) {
                    let points = lon.values().iter().zip(lat.values());
                    cells.extend(points.filter_map(|(lon, lat)| cell(*lon, *lat, REFERENCE_RESOLUTION)));
                }
            }
        }
        let found = (!cells.is_empty()).then(|| Arc::new(cells));
        self.references.insert(contract.into.clone(), found.clone());
        Ok(found)
    }

    /// Hands over every identity stored in the table.
    pub(super) async fn each_identity(
        &self,
        table: &Table,
        except: &[String],
        take: &mut dyn FnMut(i64),
    ) -> Result<()> {
        if table.rows()? == 0 {
            return Ok(());
        }
        let session = Session::new(Bounds::from(&self.settings().limits))?;
        session.register(table.name(), table.provider(session.state()).await?)?;
        let mut sql = format!("SELECT row_key FROM {}", table.name());
        if !except.is_empty() {
            let names: Vec<String> = except.iter().map(|batch| format!("'{batch}'")).collect();
            sql.push_str(&format!(" WHERE source_batch NOT IN ({})", names.join(", ")));
        }
        let plan = session.plan(table.name(), &sql).await?;
        let mut rows = session.stream(table.name(), &sql, plan).await?;
        while let Some(batch) = rows.next().await? {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .for_each(|identity| take(*identity));
        }
        Ok(())
    }
}

/// The commit up to which a table is known, by what no other commit has: a lake that was put back to an
/// earlier state counts its versions anew.
async fn title(table: &Table) -> Result<String> {
    let last = table.history(Some(1)).await?;
    let of = last
        .first()
        .map(|last| format!("{} {} {}", last.at_millis, last.run_id, last.batch_id));
    Ok(format!(
        "{}@{} {}",
        table.location(),
        table.version(),
        of.unwrap_or_default()
    ))
}

/// The `nth` of so many equal parts of all identities, counted from 0.
fn range(nth: u64, parts: u64) -> std::ops::RangeInclusive<i64> {
    let bound = |nth: u64| i128::from(i64::MIN) + (i128::from(u64::MAX) + 1) * i128::from(nth) / i128::from(parts);
    let whole = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
    whole(bound(nth))..=whole(bound(nth + 1) - 1)
}
