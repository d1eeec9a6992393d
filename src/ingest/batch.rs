//! One file from bytes to commits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, Schema};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::contract::{Contract, Land, Protect, Resend};
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail, io_error};
use crate::ingest::arrival::Totals;
use crate::ingest::counts::Tally;
use crate::ingest::feed::Feed;
use crate::ingest::filter::Filter;
use crate::ingest::header;
use crate::ingest::known::Known;
use crate::ingest::open;
use crate::ingest::progress::Progress;
use crate::ingest::resend::Exchange;
use crate::ingest::rows::Refused;
use crate::ingest::tables;
use crate::ingest::work::{Done, Finished, Job, Turn, origins_of, work};
use crate::lake::table::{conform, same_columns};
use crate::lake::{Appended, Commit, Lake, Layout, Stage, Table, crash};
use crate::protect::SiteKey;
use crate::time::Calendar;

/// Bytes of a file above which its name is computed beside the reading, not before it.
const LARGE_BYTES: u64 = 32 << 20;
/// Bytes of a packed file for each byte on disk, as a first guess of its rows.
const UNPACKED: u64 = 8;
/// Bytes of a short row, as a first guess of the rows of a file.
const ROW_BYTES: u64 = 64;

/// What became of one file.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The contract.
    pub contract: String,
    /// The table.
    pub table: String,
    /// The file, relative to the site.
    pub file: String,
    /// The batch, 64 hexadecimal digits.
    pub batch_id: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Rows read, all of them.
    pub read: u64,
    /// Rows stored.
    pub accepted: u64,
    /// Rows whose identity was known.
    pub duplicate: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Refusals by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Values blanked.
    pub blanked: u64,
    /// Source columns left behind.
    pub unknown_columns: Vec<String>,
    /// Statistics days of the accepted rows, in order.
    pub days: Vec<i32>,
    /// Rows of an earlier version of the file that stayed out of it, were changed or came anew.
    pub added: u64,
    /// Rows that say something else than in an earlier version of the file.
    pub changed: u64,
    /// Rows of an earlier version of the file that are not in this one.
    pub vanished: u64,
    /// SHA-256 of the file, hexadecimal.
    pub content: String,
    /// Control totals as sent.
    pub sent: Totals,
    /// Whether it was stored now.
    pub outcome: Outcome,
}

/// Whether a batch was stored now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Stored by this call.
    Stored,
    /// The same content was stored before; nothing was added.
    #[default]
    AlreadyThere,
    /// The same content came before under another name; only that was noted.
    ReceivedAgain,
}

/// An ingest: its lake, its site's secrets and rules, and what it learnt about stored identities.
pub struct Ingest<'a> {
    lake: &'a Lake,
    settings: &'a Settings,
    key: &'a SiteKey,
    throwaway: [u8; 32],
    run: Commit,
    now: i64,
    /// What is known of the identities of each table, kept from file to file.
    filters: HashMap<String, Filter>,
    history: Option<Vec<Past>>,
    named: bool,
}

/// A batch that was stored before.
#[derive(Debug, Clone)]
struct Past {
    batch: String,
    contract: String,
    file: String,
    content: String,
}

/// What an ingest needs from outside: the secret, randomness, the run, the time.
#[derive(Debug)]
pub struct Given<'a> {
    /// The site's secret.
    pub key: &'a SiteKey,
    /// Randomness for the throw-away key of counting contracts.
    pub entropy: [u8; 32],
    /// The run.
    pub run_id: String,
    /// The lease number.
    pub fence: u64,
    /// The time of the ingest, UTC microseconds.
    pub now: i64,
    /// Whether a person named the files.
    pub named: bool,
}

/// A rejected row and the line it starts on.
#[derive(Debug)]
pub(super) struct Reject {
    pub line: u64,
    pub refused: Refused,
}

/// The name under which a file of a contract is stored, 64 hexadecimal digits.
///
/// # Errors
/// `Missing` or `Unavailable` where the file cannot be read.
pub fn batch_id(contract: &Contract, path: &Path) -> Result<String> {
    open::batch_id(&contract.name, path).map(|(batch_id, _)| batch_id)
}

/// The calendar of a contract's times: its own zone, the site's cut-off.
pub(super) fn calendar(settings: &Settings, contract: &Contract) -> Result<Calendar> {
    let site = &settings.site;
    let zone = contract.timezone.as_ref().unwrap_or(&site.timezone);
    Calendar::new(zone, &site.day_cutoff)
        .ok_or_else(|| fail(Kind::Input, "site_calendar", &[zone, &site.day_cutoff]))
}

impl<'a> Ingest<'a> {
    /// An ingest into `lake`.
    pub fn new(lake: &'a Lake, settings: &'a Settings, given: Given<'a>) -> Ingest<'a> {
        let run = Commit {
            batch_id: None,
            turn: 1,
            run_id: given.run_id,
            fence: given.fence,
            days: Vec::new(),
        };
        Ingest {
            lake,
            settings,
            key: given.key,
            throwaway: given.entropy,
            run,
            now: given.now,
            filters: HashMap::new(),
            history: None,
            named: given.named,
        }
    }

    /// Makes the tables of these contracts. Only init, run and ingest under the site lease do this.
    ///
    /// # Errors
    /// `Input` where two contracts of one table do not agree on its columns.
    pub async fn create_tables(&self, contracts: &[Contract]) -> Result<()> {
        self.lake
            .table_of(tables::INGEST, &tables::ingest_schema(), &[])
            .await?;
        self.lake
            .table_of(tables::REJECT, &tables::reject_schema(), &[])
            .await?;
        let mut made: BTreeMap<&str, &Contract> = BTreeMap::new();
        for contract in contracts {
            let (schema, partitions) = tables::source_schema(contract);
            if let Some(first) = made.get(contract.into.as_str()) {
                if tables::source_schema(first).0 != schema {
                    return Err(fail(
                        Kind::Input,
                        "contracts_disagree",
                        &[&first.name, &contract.name, &contract.into],
                    ));
                }
                continue;
            }
            self.unchanged(&contract.into, &schema).await?;
            self.lake.table_of(&contract.into, &schema, &partitions).await?;
            made.insert(&contract.into, contract);
        }
        Ok(())
    }

    /// Refuses a contract whose columns are others than those of the rows already stored: a new
    /// location would leave them behind.
    async fn unchanged(&self, name: &str, schema: &Schema) -> Result<()> {
        let Some(table) = self.lake.table(name).await? else {
            return Ok(());
        };
        if table.rows()? == 0 || same_columns(table.schema()?.as_ref(), schema) {
            return Ok(());
        }
        Err(fail(Kind::Conflict, "source_schema_changed", &[&name]).hint("source_schema_changed_hint", &[&name]))
    }

    /// Stores one file, once.
    ///
    /// # Errors
    /// `Denied` for a forbidden column, `Input` for a file that is not the contract's, `Limit`
    /// where too many rows are refused, `Conflict` or `Unavailable` from the store.
    pub async fn file(
        &mut self,
        contract: &Contract,
        path: &Path,
        shown: &str,
        sent: Totals,
        progress: Arc<Progress>,
    ) -> Result<Report> {
        crash::point("batch_opened");
        // every file has its own instant, so that of two statements in one run the later one is newer
        self.now += 1;
        let looked = Looked::at(path)?;
        let limits = &self.settings.limits;
        let opened = open::open(path, shown, contract, limits.record_bytes, progress.clone())?;
        let header = header::match_names(contract, shown, &opened.names)?;
        let mut table = self.open(&contract.into).await?;
        let mut report = Report {
            contract: contract.name.clone(),
            table: contract.into.clone(),
            file: shown.to_owned(),
            bytes: looked.bytes,
            sent,
            ..Report::default()
        };
        let naming = tokio::task::spawn_blocking({
            let (contract, path) = (contract.name.clone(), path.to_owned());
            move || open::batch_id(&contract, &path)
        });
        let died = |cause: tokio::task::JoinError| fail(Kind::Bug, "parser_died", &[&shown]).because(cause);
        let mut naming = Some(naming);
        if looked.bytes < LARGE_BYTES
            && let Some(naming) = naming.take()
        {
            (report.batch_id, report.content) = naming.await.map_err(died)??;
            crash::point("batch_hashed");
            if self.has(&table, &report.batch_id).await? {
                return Ok(report);
            }
        }
        let earlier = self.earlier(contract, &report).await?;
        let (schema, _) = tables::source_schema(contract);
        let mut stage = table.stage(&self.run.run_id, layout(contract))?;
        let known = self.known(contract, &table, &looked, &earlier).await?;
        let tally = contract.counts.clone().map(|counts| Tally::new(contract, counts, self.key));
        let turn = Arc::new(Turn::new(known, tally, limits.target_partitions));
        let (sender, receiver) = mpsc::channel::<Done>(2);
        let task = Task {
            contract: contract.clone(),
            header,
            opened,
            path: path.to_owned(),
            shown: shown.to_owned(),
            schema: schema.clone(),
            encoder: (contract.land != Land::Counts).then(|| stage.encoder()).transpose()?,
            // people are told apart under a key that ends with this process
            key: if contract.land == Land::Counts {
                SiteKey::from_bytes(self.throwaway)
            } else {
                self.key.clone()
            },
            calendar: calendar(self.settings, contract)?,
            now: self.now,
            settings: self.settings.clone(),
        };
        let reading = tokio::task::spawn_blocking({
            let turn = turn.clone();
            move || task.run(&turn, &sender, &progress)
        });
        if let Some(naming) = naming {
            let named = naming.await.map_err(died)?;
            let there = match &named {
                Ok((batch_id, _)) => self.has(&table, batch_id).await,
                Err(_) => Ok(false),
            };
            crash::point("batch_hashed");
            (report.batch_id, report.content) = named.inspect_err(|_| turn.stop())?;
            if there.inspect_err(|_| turn.stop())? {
                turn.stop();
                return Ok(report);
            }
        }
        if let Some(done) = self.decided(contract, &mut report, &earlier).await.inspect_err(|_| turn.stop())? {
            turn.stop();
            return Ok(done);
        }
        turn.name(short(&report.batch_id).to_owned());
        let mut arrived = self.arrive(&mut stage, receiver, &turn).await.inspect_err(|_| turn.stop())?;
        reading.await.map_err(died)?;
        let finished = turn.finish()?;
        crash::point("rows_parsed");
        looked.same(path, shown)?;
        self.settle(contract, &table, &mut stage, finished, &mut arrived, &mut report)
            .await?;
        report.sent.agree(shown, Some(report.read), &report.content)?;
        let staged = stage.finish().await?;
        crash::point("rows_flushed");
        if !earlier.is_empty() {
            let exchange = self.reconcile(contract, &table, staged, &earlier, &mut report).await?;
            arrived.days.extend(&exchange.days);
            report.days = arrived.days.into_iter().collect();
            report.outcome = self.commit(&mut table, exchange, &report, &arrived.rejects).await?;
            crash::point("batch_done");
            return Ok(report);
        }
        report.days = arrived.days.into_iter().collect();
        if contract.land != Land::Counts && staged.rows != report.accepted {
            return Err(fail(
                Kind::Bug,
                "rows_differ",
                &[&contract.into, &report.accepted, &staged.rows],
            ));
        }
        let exchange = Exchange {
            staged,
            partitions: BTreeSet::new(),
            days: BTreeSet::new(),
        };
        report.outcome = self.commit(&mut table, exchange, &report, &arrived.rejects).await?;
        crash::point("batch_done");
        Ok(report)
    }

    /// Whether a batch is there, or was and must stay away: what was taken back comes again only where
    /// a person names the file.
    async fn has(&mut self, table: &Table, batch_id: &str) -> Result<bool> {
        let state = table.state_of(batch_id).await?;
        self.run.turn = state + 1;
        Ok(if self.named { state % 2 == 1 } else { state > 0 })
    }

    pub(super) fn settings(&self) -> &Settings {
        self.settings
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run.run_id
    }

    /// The batches that a file of this name brought before, where its rows are told apart.
    async fn earlier(&mut self, contract: &Contract, report: &Report) -> Result<Vec<String>> {
        if contract.land != Land::Rows {
            return Ok(Vec::new());
        }
        let own = short(&report.batch_id).to_owned();
        let past = self.history().await?.iter();
        let same = past.filter(|past| past.contract == contract.name && past.file == report.file && past.batch != own);
        Ok(same.map(|past| past.batch.clone()).collect())
    }

    /// The stored batches, read once.
    async fn history(&mut self) -> Result<&[Past]> {
        if self.history.is_none() {
            let table = self.open(tables::INGEST).await?;
            let mut history = Vec::new();
            if table.rows()? > 0 {
                let mut withdrawn = BTreeSet::new();
                let mut rows = self.select(&table, "true").await?;
                while let Some(batch) = rows.next().await? {
                    let batch = conform(&batch, &table.schema()?)?;
                    let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
                    let columns = text("batch").zip(text("contract")).zip(text("file").zip(text("content")));
                    let (Some(((names, contracts), (files, contents))), Some(actions)) = (columns, text("action")) else {
                        return Err(fail(Kind::Bug, "batch_shape", &[]));
                    };
                    let gone = (0..batch.num_rows()).filter(|row| actions.value(*row) == "withdrawn");
                    withdrawn.extend(gone.map(|row| names.value(row).to_owned()));
                    history.extend((0..batch.num_rows()).map(|row| Past {
                        batch: names.value(row).to_owned(),
                        contract: contracts.value(row).to_owned(),
                        file: files.value(row).to_owned(),
                        content: contents.value(row).to_owned(),
                    }));
                }
                history.retain(|past| !withdrawn.contains(&past.batch));
            }
            self.history = Some(history);
        }
        Ok(self.history.as_deref().unwrap_or_default())
    }

    /// What is decided by a file's name and content alone: it is refused, or was received before.
    async fn decided(&mut self, contract: &Contract, report: &mut Report, earlier: &[String]) -> Result<Option<Report>> {
        report.sent.agree(&report.file, None, &report.content)?;
        if contract.land != Land::Rows {
            return Ok(None);
        }
        let own = short(&report.batch_id).to_owned();
        let again = self.history().await?.iter().any(|past| {
            past.contract == contract.name && past.content == report.content && past.file != report.file && past.batch != own
        });
        if again {
            report.outcome = Outcome::ReceivedAgain;
            let commit = Commit {
                batch_id: Some(report.batch_id.clone()),
                ..self.run.clone()
            };
            self.append(tables::INGEST, &self.ingest_row(report, "received_again")?, &commit).await?;
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
            let condition = format!("batch_id LIKE '{}%' AND action <> 'withdrawn'", batch.to_ascii_lowercase());
            let mut rows = self.select(&table, &condition).await?;
            while let Some(batch) = rows.next().await? {
                let batch = conform(&batch, &table.schema()?)?;
                let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
                if let (Some(ids), Some(names), Some(files)) = (text("batch_id"), text("contract"), text("file")) {
                    let row = |row| (ids.value(row).to_owned(), names.value(row).to_owned(), files.value(row).to_owned());
                    found.extend((0..batch.num_rows()).map(row));
                }
            }
        }
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
        self.append(tables::INGEST, &self.ingest_row(&report, "withdrawn")?, &commit).await?;
        table.exchange(&exchange.partitions, exchange.staged, &commit).await?;
        self.filters.remove(&contract.into);
        self.history = None;
        Ok((file.clone(), rows))
    }

    /// Takes encoded groups in, each at its place.
    async fn arrive(&self, stage: &mut Stage, mut receiver: mpsc::Receiver<Done>, turn: &Turn) -> Result<Arrived> {
        let mut arrived = Arrived::default();
        let mut early = BTreeMap::new();
        let mut next = 0;
        while let Some(done) = receiver.recv().await {
            early.insert(done.group, done);
            while let Some(done) = early.remove(&next) {
                for (partition, encoded) in done.parts {
                    stage.append(partition, encoded).await?;
                }
                arrived.late.extend(done.late);
                arrived.days.extend(done.days);
                next += 1;
                turn.written(next);
                crash::point("rows_written");
            }
        }
        Ok(arrived)
    }

    /// What is decided when all groups are read: the rows that waited, the counts, the account.
    async fn settle(
        &mut self,
        contract: &Contract,
        table: &Table,
        stage: &mut Stage,
        finished: Finished,
        arrived: &mut Arrived,
        report: &mut Report,
    ) -> Result<()> {
        let account = finished.account;
        report.read = account.read;
        report.accepted = account.accepted;
        report.duplicate = account.duplicate;
        report.rejected = account.rejected;
        report.reasons = account.reasons;
        report.blanked = account.blanked;
        report.unknown_columns = account.unknown.into_iter().collect();
        arrived.rejects = account.rejects;
        if let Some(tally) = finished.tally {
            let (schema, _) = tables::source_schema(contract);
            let counts = tally.finish(schema, short(&report.batch_id), self.now)?;
            return stage.write(&counts).await;
        }
        let Some(mut known) = finished.known else {
            return Ok(());
        };
        let earlier = self.earlier(contract, report).await?;
        if known.waiting() > 0 {
            let stored = contract.land == Land::Rows;
            let scan = async |mark: &mut dyn FnMut(i64)| {
                if stored {
                    self.each_identity(table, &earlier, mark).await
                } else {
                    Ok(())
                }
            };
            let mut verdicts = known.verdicts(scan).await?.into_iter();
            for batch in std::mem::take(&mut arrived.late) {
                let these: Vec<Option<i64>> = verdicts.by_ref().take(batch.num_rows()).collect();
                let new = these.iter().flatten().count() as u64;
                report.accepted += new;
                report.duplicate += batch.num_rows() as u64 - new;
                let rows = named(&batch, &these)?;
                arrived.note_days(&rows);
                stage.write(&rows).await?;
            }
        }
        if contract.land == Land::Rows {
            self.filters.insert(contract.into.clone(), known.into_filter());
        }
        Ok(())
    }

    /// What is known of the identities that rows of this file may repeat.
    async fn known(
        &mut self,
        contract: &Contract,
        table: &Table,
        looked: &Looked,
        earlier: &[String],
    ) -> Result<Option<Known>> {
        let expected = looked.bytes / ROW_BYTES * if looked.packed { UNPACKED } else { 1 } + 1024;
        let folder = self.lake.scratch()?;
        match contract.land {
            Land::Counts => Ok(None),
            // a statement stands for itself; identities of other files do not bear on it
            Land::Snapshot => Known::new(&folder, Filter::with_room_for(expected)).map(Some),
            Land::Rows => {
                let stored = table.rows()?;
                let kept = self.filters.remove(&contract.into).filter(|_| earlier.is_empty());
                if let Some(filter) = kept.filter(|filter| filter.has_room_for(expected)) {
                    return Known::new(&folder, filter).map(Some);
                }
                let mut known = Known::new(&folder, Filter::with_room_for(stored + 2 * expected))?;
                self.each_identity(table, earlier, &mut |identity| known.stored(identity)).await?;
                Ok(Some(known))
            }
        }
    }

    async fn open(&self, name: &str) -> Result<Table> {
        self.lake
            .table(name)
            .await?
            .ok_or_else(|| fail(Kind::Missing, "table_missing", &[&name]))
    }

    /// Hands over every identity stored in the table.
    async fn each_identity(&self, table: &Table, except: &[String], take: &mut dyn FnMut(i64)) -> Result<()> {
        if table.rows()? == 0 {
            return Ok(());
        }
        let session = Session::new(Bounds::from(&self.settings.limits))?;
        session.register(table.name(), table.provider(session.state()).await?)?;
        let mut sql = format!("SELECT row_key FROM {}", table.name());
        if !except.is_empty() {
            let names: Vec<String> = except.iter().map(|batch| format!("'{batch}'")).collect();
            sql.push_str(&format!(" WHERE source_batch NOT IN ({})", names.join(", ")));
        }
        let plan = session.plan(table.name(), &sql).await?;
        let mut rows = session.stream(table.name(), &sql, plan).await?;
        while let Some(batch) = rows.next().await? {
            batch.column(0).as_primitive::<Int64Type>().values().iter().for_each(|identity| take(*identity));
        }
        Ok(())
    }

    /// The three commits of a batch, in the order that lets a rerun complete what is missing.
    async fn commit(
        &mut self,
        table: &mut Table,
        exchange: Exchange,
        report: &Report,
        rejects: &[Reject],
    ) -> Result<Outcome> {
        let commit = Commit {
            batch_id: Some(report.batch_id.clone()),
            days: report.days.clone(),
            ..self.run.clone()
        };
        crash::point("before_reject");
        if !rejects.is_empty() {
            self.append(tables::REJECT, &self.reject_rows(report, rejects)?, &commit)
                .await?;
        }
        crash::point("after_reject");
        crash::point("before_ingest");
        let action = match (exchange.partitions.is_empty(), report.added + report.changed + report.vanished) {
            (true, 0) => "stored",
            _ => "resent",
        };
        self.append(tables::INGEST, &self.ingest_row(report, action)?, &commit).await?;
        crash::point("after_ingest");
        crash::point("before_source");
        let appended = if exchange.partitions.is_empty() {
            table.append(exchange.staged, &commit).await?
        } else {
            table.exchange(&exchange.partitions, exchange.staged, &commit).await?
        };
        crash::point("after_source");
        if let Some(history) = &mut self.history {
            history.push(Past {
                batch: short(&report.batch_id).to_owned(),
                contract: report.contract.clone(),
                file: report.file.clone(),
                content: report.content.clone(),
            });
        }
        Ok(if matches!(appended, Appended::Stored(_)) {
            Outcome::Stored
        } else {
            Outcome::AlreadyThere
        })
    }

    async fn append(&self, name: &str, batch: &RecordBatch, commit: &Commit) -> Result<()> {
        let mut table = self.open(name).await?;
        if let Some(batch_id) = &commit.batch_id
            && table.state_of(batch_id).await? >= commit.turn
        {
            return Ok(());
        }
        let mut stage = table.stage(&commit.run_id, Layout::default())?;
        stage.write(batch).await?;
        let staged = stage.finish().await?;
        table.append(staged, commit).await?;
        Ok(())
    }

    fn reject_rows(&self, report: &Report, rejects: &[Reject]) -> Result<RecordBatch> {
        let rows = rejects.len();
        let all = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        let each = |of: &dyn Fn(&Reject) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rejects.iter().map(of)))
        };
        let columns: Vec<ArrayRef> = vec![
            all(short(&report.batch_id)),
            all(&report.contract),
            all(&report.file),
            Arc::new(Int64Array::from_iter_values(
                rejects.iter().map(|reject| reject.line.cast_signed()),
            )),
            each(&|reject| reject.refused.column.clone()),
            each(&|reject| reject.refused.reason.code().to_owned()),
            each(&|reject| reject.refused.value.clone()),
            all(&self.run.run_id),
            Arc::new(TimestampMicrosecondArray::from_value(self.now, rows).with_timezone("UTC")),
        ];
        shaped(tables::reject_schema(), columns)
    }

    fn ingest_row(&self, report: &Report, action: &str) -> Result<RecordBatch> {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![number.cast_signed()])) };
        let maybe = |number: Option<u64>| -> ArrayRef {
            Arc::new(Int64Array::from(vec![number.map(u64::cast_signed)]))
        };
        let day = |day: Option<i32>| -> ArrayRef { Arc::new(Date32Array::from(vec![day])) };
        let reasons = serde_json::to_string(&report.reasons).unwrap_or_default();
        let columns: Vec<ArrayRef> = vec![
            text(short(&report.batch_id)),
            text(&report.batch_id),
            text(&report.contract),
            text(&report.table),
            text(&report.file),
            number(report.bytes),
            number(report.read),
            number(report.accepted),
            number(report.duplicate),
            number(report.rejected),
            text(&reasons),
            number(report.blanked),
            text(&report.unknown_columns.join(",")),
            day(report.days.first().copied()),
            day(report.days.last().copied()),
            text(&self.run.run_id),
            number(self.run.fence),
            Arc::new(TimestampMicrosecondArray::from_value(self.now, 1).with_timezone("UTC")),
            text(action),
            text(&report.content),
            number(report.added),
            number(report.changed),
            number(report.vanished),
            maybe(report.sent.rows),
            maybe(report.sent.bytes),
            Arc::new(StringArray::from(vec![report.sent.sha256.as_deref()])),
        ];
        shaped(tables::ingest_schema(), columns)
    }
}

/// The short form of a batch that rows carry.
fn short(batch_id: &str) -> &str {
    batch_id.get(..16).unwrap_or(batch_id)
}

fn shaped(schema: arrow::datatypes::SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    debug_assert!(columns.iter().all(|column| column.len() == columns[0].len()));
    RecordBatch::try_new(schema, columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}

/// What arrived from the workers besides encoded rows.
#[derive(Default)]
struct Arrived {
    late: Vec<RecordBatch>,
    days: BTreeSet<i32>,
    rejects: Vec<Reject>,
}

impl Arrived {
    fn note_days(&mut self, rows: &RecordBatch) {
        if let Some(days) = rows.column_by_name("biz_date") {
            let days = days.as_primitive::<arrow::datatypes::Date32Type>();
            self.days.extend(days.iter().flatten());
        }
    }
}

/// The rows of a batch that have an identity, stored under it.
fn named(batch: &RecordBatch, identities: &[Option<i64>]) -> Result<RecordBatch> {
    let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let at = batch.schema_ref().index_of("row_key").map_err(broken)?;
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(Int64Array::from_iter(identities.iter().copied()));
    let batch = RecordBatch::try_new(batch.schema(), columns).map_err(broken)?;
    let stays = BooleanArray::from_iter(identities.iter().map(|identity| Some(identity.is_some())));
    arrow::compute::filter_record_batch(&batch, &stays).map_err(broken)
}

/// What is known of the columns that a contract fills.
pub(super) fn layout(contract: &Contract) -> Layout {
    let is_token = |protect: Protect| matches!(protect, Protect::Key | Protect::Token);
    let mut random: Vec<String> = contract
        .columns
        .iter()
        .filter(|column| is_token(column.protect))
        .map(|column| column.name.clone())
        .collect();
    random.push("row_key".to_owned());
    let unique = contract.key.iter().filter(|name| !random.contains(name)).cloned().collect();
    Layout { random, unique }
}

/// A file as it looked when reading began.
#[derive(Debug, PartialEq)]
struct Looked {
    bytes: u64,
    modified: Option<std::time::SystemTime>,
    packed: bool,
}

impl Looked {
    fn at(path: &Path) -> Result<Looked> {
        let found = std::fs::metadata(path).map_err(|cause| io_error(path, &cause))?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        Ok(Looked {
            bytes: found.len(),
            modified: found.modified().ok(),
            packed: matches!(ending, Some("gz" | "zst")),
        })
    }

    /// A file that changed under the reader was read as something that never was.
    fn same(&self, path: &Path, shown: &str) -> Result<()> {
        if Looked::at(path)? == *self {
            return Ok(());
        }
        Err(fail(Kind::Conflict, "source_changed", &[&shown]).hint("source_changed_hint", &[]))
    }
}

/// The work of the reading threads.
struct Task {
    contract: Contract,
    header: header::Header,
    opened: open::Opened,
    path: PathBuf,
    shown: String,
    schema: arrow::datatypes::SchemaRef,
    encoder: Option<crate::lake::Encoder>,
    key: SiteKey,
    calendar: Calendar,
    now: i64,
    settings: Settings,
}

impl Task {
    fn run(self, turn: &Turn, sender: &mpsc::Sender<Done>, progress: &Progress) {
        let limits = &self.settings.limits;
        let job = Job {
            contract: &self.contract,
            header: &self.header,
            encoding: self.opened.encoding,
            width: self.opened.names.len(),
            split: self.opened.split.clone(),
            shown: &self.shown,
            first_line: self.opened.first_line,
            key: self.key,
            calendar: self.calendar,
            ingested_at: self.now,
            limits,
            pack: self.settings.site.identifier_pack,
            progress,
            schema: self.schema,
            encoder: self.encoder,
        };
        let feed = Feed::new(
            &self.path,
            self.opened.reader,
            self.opened.carry,
            self.opened.split,
            limits.record_bytes,
        );
        let feed = Mutex::new(feed);
        let origins = origins_of(&self.contract);
        std::thread::scope(|scope| {
            for _ in 0..limits.target_partitions.max(1) {
                scope.spawn(|| {
                    if let Err(error) = work(&job, &origins, &feed, turn, sender) {
                        turn.fail(error);
                    }
                });
            }
        });
    }
}
