//! Source files go when their release is durable and their time is up.
//!
//! A file is removed only where exactly its content, under exactly its name, stands in the release:
//! the name of its batch is computed again from its bytes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;

use crate::config::settings::Limits;
use crate::contract::Contract;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail, io_error};
use crate::ingest::{Looked, Source, arrival, batch, sources_in};
use crate::lake::{Lake, Release};
use crate::model::pinned;
use crate::pipeline::files::Assigned;
use crate::pipeline::record::Record;
use crate::pipeline::run::{Outcome, Run};

/// Microseconds of an hour.
pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// When each batch of a release came in, UTC microseconds.
async fn stored(lake: &Lake, release: &Release, limits: &Limits) -> Result<HashMap<String, i64>> {
    let mut found = HashMap::new();
    let Some(entry) = release.tables.get(crate::ingest::tables::INGEST) else {
        return Ok(found);
    };
    let table = lake
        .table_at(crate::ingest::tables::INGEST, &entry.location, entry.version)
        .await?;
    let session = pinned::on(Bounds::from(limits), &[&table]).await?;
    let sql = format!(
        "SELECT arrow_cast(batch_id, 'Utf8') AS batch_id, max(ingested_at) AS at FROM {} GROUP BY batch_id",
        table.name()
    );
    let plan = session.plan("purge", &sql).await?;
    let mut rows = session.stream("purge", &sql, plan).await?;
    while let Some(rows) = rows.next().await? {
        let names = rows.column(0).as_string_opt::<i32>();
        let times = rows.column(1).as_primitive_opt::<TimestampMicrosecondType>();
        let (Some(names), Some(times)) = (names, times) else {
            return Err(fail(Kind::Bug, "batch_shape", &[]));
        };
        found.extend(
            names
                .iter()
                .flatten()
                .map(str::to_owned)
                .zip(times.values().iter().copied()),
        );
    }
    Ok(found)
}

/// A file of this machine as it is told from a later one of its name. Objects of a store are the
/// sender's, who removes them.
fn look(file: &Assigned) -> Option<Looked> {
    file.source.holder()?;
    file.source.look().ok()
}

/// Files whose time is up, in the order given, as they looked: their rows stand in the release since
/// long enough. A file that is gone or cannot be looked at is none of them.
///
/// # Errors
/// As the release or a file's content cannot be read.
async fn due(
    lake: &Lake,
    release: &Release,
    limits: &Limits,
    files: &[Assigned],
    now: i64,
) -> Result<Vec<(Assigned, Looked)>> {
    let keeps = |contract: &Contract| contract.purge_hours.map(|hours| now - hours * HOUR_MICROS);
    let mut due = Vec::new();
    let mut times = None;
    for file in files {
        let (Some(limit), Some(looked)) = (keeps(&file.contract), look(file)) else {
            continue;
        };
        let Some(modified) = looked.modified() else { continue };
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(since.as_micros()).unwrap_or(i64::MAX) > limit {
            continue;
        }
        if times.is_none() {
            times = Some(stored(lake, release, limits).await?);
        }
        let Ok(batch_id) = batch::batch_id(&file.contract, &file.source) else {
            continue;
        };
        let at = times.as_ref().and_then(|times| times.get(&batch_id));
        let entry = release.tables.get(&file.contract.into);
        if let (Some(_), Some(entry)) = (at.filter(|at| **at <= limit), entry) {
            // the account alone does not say that the rows are there: a batch can have been taken back
            let source = lake
                .table_at(&file.contract.into, &entry.location, entry.version)
                .await?;
            if source.state_of(&batch_id).await? % 2 == 1 {
                due.push((file.clone(), looked));
            }
        }
    }
    Ok(due)
}

/// Removes a source file, its parts, and what was sent beside it.
///
/// # Errors
/// `Denied` or `Unavailable` as the file system says.
fn remove(source: &Source, path: &Path) -> Result<()> {
    for part in source.parts() {
        std::fs::remove_file(&part).map_err(|cause| io_error(&part, &cause))?;
    }
    std::fs::remove_file(path).map_err(|cause| io_error(path, &cause))?;
    for companion in arrival::companions(path) {
        if companion.exists() {
            std::fs::remove_file(&companion).map_err(|cause| io_error(&companion, &cause))?;
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Removes the source files of a run whose time is up.
    pub(super) async fn purge(&self, files: &[Assigned], record: &mut Record<'_>, outcome: &mut Outcome) -> Result<()> {
        if outcome.release == 0 {
            return Ok(());
        }
        let release = self.lake.release(outcome.release).await?;
        let limits = &self.site.settings.limits;
        let due = due(self.lake, &release, limits, files, self.clock.now()).await?;
        let mut holders: BTreeMap<&Path, Vec<&(Assigned, Looked)>> = BTreeMap::new();
        for file in &due {
            if let Some(holder) = file.0.source.holder() {
                holders.entry(holder).or_default().push(file);
            }
        }
        for (holder, due) in holders {
            // an archive goes with the last of its files; a newer file of the name was never read
            let assigned = files.iter().filter(|file| file.source.holder() == Some(holder)).count();
            // what no contract of this run reads is still somebody's
            let source = Source::from(holder.to_owned());
            let sent = sources_in(&source).ok().flatten().map_or(1, |members| members.len());
            let all = assigned.max(sent);
            if due.len() < all || due.iter().any(|(file, looked)| look(file).as_ref() != Some(looked)) {
                continue;
            }
            remove(&source, holder)?;
            for (file, _) in due {
                record.step("purge", &file.shown, "ok", 0, String::new())?;
                outcome.purged.push(file.shown.clone());
            }
        }
        Ok(())
    }
}
