//! The sources of a run, one after the other: wait for what has not arrived, read what has, go on where
//! one is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::Contract;
use crate::error::{Error, Excerpt, Kind, Place, Problem, Result, fail};
use crate::ingest::arrival::{self, Arrival, Totals};
use crate::ingest::batch::Given;
use crate::ingest::{self, Ingest, Progress, Report};
use crate::lake::Table;
use crate::message::Language;
use crate::pipeline::files::Assigned;
use crate::pipeline::leftovers::{Account, account, name};
use crate::pipeline::record::Record;
use crate::pipeline::renew::key_check;
use crate::pipeline::run::{Outcome, Run, Watch};

/// Before it was read, a file lay untouched for so long, or it may have been written while it was: microseconds.
const SETTLED: i64 = 2_000_000;

impl Run<'_> {
    /// Whether a file has arrived whole. A database is always there, whole as of now.
    async fn arrived(&self, file: &Assigned) -> Result<Arrival> {
        if file.contract.pull.is_some() {
            return Ok(Arrival::Whole(Totals::default()));
        }
        let (file, now) = (file.clone(), self.clock.now());
        tokio::task::spawn_blocking(move || arrival::look(&file.contract, &file.source, &file.shown, now))
            .await
            .map_err(|cause| fail(Kind::Bug, "parser_died", &[&"arrival"]).because(cause))?
    }

    /// Reads a file, or what is new in the table of a database; what was stored stands in `reports`, also
    /// where the end is an error.
    async fn read(
        &self,
        ingest: &mut Ingest<'_>,
        file: &Assigned,
        sent: Totals,
        progress: Arc<Progress>,
        reports: &mut Vec<Report>,
    ) -> Result<()> {
        if file.contract.pull.is_some() {
            return ingest.pull(&file.contract, self.site.root(), &progress, reports).await;
        }
        let report = ingest.file(&file.contract, &file.source, &file.shown, sent, progress);
        reports.push(report.await?);
        Ok(())
    }

    /// Whether a file was not touched since it was read, and what it said then is stored: its bytes need not be
    /// read to know it. A clock that went back since tells nothing, and neither does an account whose rows
    /// were not stored any more before the power went.
    async fn is_as_read(&self, file: &Assigned, before: &Account, open: &mut BTreeMap<String, Table>) -> Result<bool> {
        let (Some(read), Some(touched)) = (before.get(&name(file)), file.source.touched()) else {
            return Ok(false);
        };
        // of a file whose rows were taken back once, only its content tells
        let settled = touched + SETTLED < read.at && read.at <= self.clock.now();
        if file.contract.pull.is_some() || read.taken_back || !settled {
            return Ok(false);
        }
        let into = &file.contract.into;
        if !open.contains_key(into)
            && let Some(table) = self.lake.table(into).await?
        {
            open.insert(into.clone(), table);
        }
        match open.get(into) {
            Some(table) => Ok(table.state_of(&read.batch_id).await? % 2 == 1),
            None => Ok(false),
        }
    }

    /// Reads the sources of a run; those that are wrong, with what is wrong.
    ///
    /// # Errors
    /// As the lake fails: then nothing else can be stored either.
    pub(super) async fn ingest(
        &self,
        contracts: &[Contract],
        files: &[Assigned],
        named: bool,
        record: &mut Record<'_>,
        outcome: &mut Outcome,
        watch: &dyn Watch,
    ) -> Result<Vec<(String, Error)>> {
        self.lake.same_key(key_check(self.key))?;
        let given = Given {
            key: self.key,
            entropy: self.entropy,
            run_id: self.run_id.clone(),
            fence: record.fence(),
            now: self.clock.now(),
            named,
        };
        let mut ingest = Ingest::new(self.lake, &self.site.settings, given);
        ingest.create_tables(contracts).await?;
        let mut refused = Vec::new();
        let before = if named {
            Account::new()
        } else {
            account(self.lake, self.site).await?
        };
        let mut open = BTreeMap::new();
        for file in files {
            if self.is_as_read(file, &before, &mut open).await? {
                record.step("ingest", &file.shown, "kept", 0, String::new())?;
                let report = Report::already(&file.contract, &file.shown, file.bytes);
                watch.read(&report);
                outcome.reports.push(report);
                continue;
            }
            let progress = Arc::new(Progress::default());
            let mut reports = Vec::new();
            let done = match self.arrived(file).await {
                Ok(Arrival::Waits(why)) => {
                    record.step("ingest", &file.shown, "waiting", 0, why.in_language(Language::English))?;
                    outcome.waiting.push(file.shown.clone());
                    watch.said(why);
                    continue;
                }
                Ok(Arrival::Whole(sent)) => {
                    watch.reading(&file.shown, file.bytes, progress.clone());
                    self.read(&mut ingest, file, sent, progress, &mut reports).await
                }
                Err(error) => Err(error),
            };
            for report in reports {
                let stored = report.outcome == ingest::Outcome::Stored;
                let status = if stored { "ok" } else { "kept" };
                record.step("ingest", &report.file, status, report.accepted, String::new())?;
                watch.read(&report);
                outcome.reports.push(report);
            }
            let Err(error) = done else { continue };
            record.step("ingest", &file.shown, "failed", 0, error.render(Language::English))?;
            // a source that is wrong says so and the others go on; a lake that fails ends the ingest
            if !is_of_the_source(&error, file) {
                return Err(error);
            }
            refused.push((file.shown.clone(), error));
        }
        // what it keeps for the next night may be lost, and what was stored may not
        if let Err(error) = ingest.keep_identities().await {
            watch.said(error.message().clone());
        }
        Ok(refused)
    }
}

/// Whether an error is about one source and says nothing of the others.
fn is_of_the_source(error: &Error, file: &Assigned) -> bool {
    let path = file.source.path().display().to_string();
    let own = error.key() == "file_failed" && (error.kind() == Kind::Missing || error.message().names(&path));
    let changed = error.key() == "source_changed";
    let unreached = error.key() == "pull_failed";
    own || changed || unreached || matches!(error.kind(), Kind::Input | Kind::Denied | Kind::Limit | Kind::Check)
}

/// Success, or the refused files as one error after everything else was done.
pub(super) fn partial(refused: Vec<(String, Error)>, outcome: Outcome) -> Result<Outcome> {
    if refused.is_empty() {
        return Ok(outcome);
    }
    let kind = if refused.iter().all(|(_, error)| error.kind() == Kind::Denied) {
        Kind::Denied
    } else {
        Kind::Check
    };
    let first = refused.first().map(|(_, error)| error);
    let problems = refused.iter().flat_map(|(file, error)| {
        if error.problems().is_empty() {
            let place = Place {
                path: file.clone(),
                line: 0,
                column: 0,
            };
            vec![Problem {
                place,
                message: error.message().clone(),
                excerpt: (!error.causes().is_empty()).then(|| Excerpt {
                    text: error.causes().join("; "),
                    caret: 0,
                }),
            }]
        } else {
            error.problems().to_vec()
        }
    });
    let error =
        fail(kind, "files_refused", &[&refused.len(), &outcome.reports.len()]).with_problems(problems.collect());
    // what to do about the first is what to do about most
    Err(match first {
        Some(first) => error.with_hint_of(first),
        None => error,
    })
}
