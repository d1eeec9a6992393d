//! One file from bytes to commits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Schema;
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::contract::{Contract, Land, SourceFormat};
use crate::error::{Kind, Result, fail};
use crate::ingest::account::{Outcome, Report};
use crate::ingest::arrival::Totals;
use crate::ingest::counts::Tally;
use crate::ingest::header;
use crate::ingest::history::Past;
use crate::ingest::index::Held;
use crate::ingest::late::Late;
use crate::ingest::open;
use crate::ingest::progress::Progress;
use crate::ingest::resend::Exchange;
use crate::ingest::rows::Refused;
use crate::ingest::source::{Looked, Source};
use crate::ingest::tables;
use crate::ingest::task::{Task, workers};
use crate::ingest::work::{Done, Finished, Turn};
use crate::lake::days::UNDATED;
use crate::lake::shape::same_columns;
use crate::lake::{Appended, Commit, Lake, Layout, Stage, Table, crash};
use crate::place::suspect::Suspect;
use crate::protect::SiteKey;
use crate::time::Calendar;

/// Bytes of a file above which its name is computed beside the reading, not before it.
const LARGE_BYTES: u64 = 32 << 20;

/// Rows of a file below which a share of them says nothing.
const FEW_ROWS: u64 = 20;
/// Reasons of refusals that an error lists.
const REASONS_SHOWN: usize = 8;

/// An ingest: its lake, its site's secrets and rules, and what it learnt about stored identities.
pub struct Ingest<'a> {
    pub(super) lake: &'a Lake,
    settings: &'a Settings,
    key: &'a SiteKey,
    throwaway: [u8; 32],
    pub(super) run: Commit,
    pub(super) now: i64,
    /// What is known of the identities of each table, kept from file to file.
    pub(super) held: HashMap<String, Held>,
    /// Tables to which rows were added.
    pub(super) grown: BTreeSet<String>,
    /// Cells of earlier positions of each table, read once.
    pub(super) references: HashMap<String, Option<Arc<HashSet<i64>>>>,
    pub(super) history: Option<Vec<Past>>,
    /// Tables as they were last opened.
    opened: Mutex<HashMap<String, Table>>,
    pub(super) named: bool,
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
pub fn batch_id(contract: &Contract, source: &Source) -> Result<String> {
    open::name(&contract.name, source, false).map(|name| name.batch_id)
}

/// Looks at a source and opens it, on a thread that may wait.
async fn opened(
    contract: &Contract,
    source: &Source,
    shown: &str,
    limit: usize,
    progress: &Arc<Progress>,
) -> Result<(Looked, open::Opened)> {
    let (contract, source, progress) = (contract.clone(), source.clone(), progress.clone());
    let name = shown.to_owned();
    tokio::task::spawn_blocking(move || {
        let looked = source.look()?;
        open::open(&source, &name, &contract, limit, progress).map(|opened| (looked, opened))
    })
    .await
    .map_err(|cause| fail(Kind::Bug, "parser_died", &[&shown]).because(cause))?
}

/// The calendar of a contract's times: its own zone, the site's cut-off.
pub(super) fn calendar(settings: &Settings, contract: &Contract) -> Result<Calendar> {
    let site = &settings.site;
    let zone = contract.timezone.as_ref().unwrap_or(&site.timezone);
    Calendar::new(zone, &site.day_cutoff).ok_or_else(|| fail(Kind::Input, "site_calendar", &[zone, &site.day_cutoff]))
}

impl<'a> Ingest<'a> {
    /// An ingest into `lake`.
    pub fn new(lake: &'a Lake, settings: &'a Settings, given: Given<'a>) -> Ingest<'a> {
        let run = Commit::of(&given.run_id, given.fence, given.key.id());
        Ingest {
            lake,
            settings,
            key: given.key,
            throwaway: given.entropy,
            run,
            now: given.now,
            held: HashMap::new(),
            grown: BTreeSet::new(),
            references: HashMap::new(),
            history: None,
            opened: Mutex::new(HashMap::new()),
            named: given.named,
        }
    }

    /// Makes the tables of these contracts. Only init, run and ingest under the site lease do this.
    ///
    /// # Errors
    /// `Conflict` where a table holds rows of other columns; otherwise as the store says.
    pub async fn create_tables(&self, contracts: &[Contract]) -> Result<()> {
        self.lake
            .table_of(tables::INGEST, &tables::ingest_schema(), &[])
            .await?;
        self.lake
            .table_of(tables::REJECT, &tables::reject_schema(), &[])
            .await?;
        let mut made = HashSet::new();
        // contracts of one table agree on its columns: they were loaded together
        for contract in contracts.iter().filter(|contract| made.insert(&contract.into)) {
            let (schema, partitions) = tables::source_schema(contract);
            self.unchanged(&contract.into, &schema).await?;
            self.lake.table_of(&contract.into, &schema, &partitions).await?;
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
        source: &Source,
        shown: &str,
        sent: Totals,
        progress: Arc<Progress>,
    ) -> Result<Report> {
        crash::point("batch_opened");
        // every file has its own instant, so that of two statements in one run the later one is newer
        self.now += 1;
        let died = |cause: tokio::task::JoinError| fail(Kind::Bug, "parser_died", &[&shown]).because(cause);
        let limits = &self.settings.limits;
        let (looked, opened) = opened(contract, source, shown, limits.record_bytes, &progress).await?;
        let header = header::match_names(contract, shown, &opened, self.settings.site.identifier_pack)?;
        let mut table = self.open(&contract.into).await?;
        let mut report = Report::of(contract, shown, looked.bytes, sent);
        let naming = tokio::task::spawn_blocking({
            let (contract, source) = (contract.name.clone(), source.clone());
            let with_sha256 = report.sent.sha256.is_some();
            move || open::name(&contract, &source, with_sha256)
        });
        let mut naming = Some(naming);
        if looked.bytes < LARGE_BYTES
            && let Some(naming) = naming.take()
        {
            report.name(naming.await.map_err(died)??);
            crash::point("batch_hashed");
            if self.has(contract, shown, &table, &report.batch_id).await? {
                return Ok(report);
            }
        }
        let earlier = self.earlier(contract, &table, &report).await?;
        let (schema, _) = tables::source_schema(contract);
        let mut stage = table.stage(&self.run.run_id, tables::layout(contract))?;
        let known = self.known(contract, &table, &looked, &earlier).await?;
        let tally = contract
            .counts
            .clone()
            .map(|counts| Tally::new(contract, counts, self.key));
        let turn = Arc::new(Turn::new(known, tally, limits.target_partitions));
        let (sender, receiver) = mpsc::channel::<Done>(2);
        let task = Task {
            contract: contract.clone(),
            header,
            opened,
            path: source.path(),
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
            workers: workers(&looked, limits.target_partitions),
            suspect: Suspect::new(contract.bounds, contract.crs, self.reference(contract, &table).await?),
        };
        let reading = tokio::task::spawn_blocking({
            let turn = turn.clone();
            move || task.run(&turn, &sender, &progress)
        });
        if let Some(naming) = naming {
            let named = naming.await.map_err(died)?;
            let there = match &named {
                Ok(name) => self.has(contract, shown, &table, &name.batch_id).await,
                Err(_) => Ok(false),
            };
            crash::point("batch_hashed");
            report.name(named.inspect_err(|_| turn.stop())?);
            if there.inspect_err(|_| turn.stop())? {
                turn.stop();
                return Ok(report);
            }
        }
        if let Some(done) = self
            .decided(contract, &table, &mut report, &earlier)
            .await
            .inspect_err(|_| turn.stop())?
        {
            turn.stop();
            return Ok(done);
        }
        turn.name(short(&report.batch_id).to_owned());
        let mut arrived = self
            .arrive(&table, &mut stage, receiver, &turn)
            .await
            .inspect_err(|_| turn.stop())?;
        arrived.earlier = earlier;
        reading.await.map_err(died)?;
        let finished = turn.finish()?;
        crash::point("rows_parsed");
        let unchanged = tokio::task::spawn_blocking({
            let (source, shown) = (source.clone(), shown.to_owned());
            move || source.same(&looked, &shown)
        });
        unchanged.await.map_err(died)??;
        self.settle(contract, &table, &mut stage, finished, &mut arrived, &mut report)
            .await?;
        let stored = self.store(contract, &mut table, stage, arrived, report).await;
        if !matches!(&stored, Ok(report) if report.outcome == Outcome::Stored) {
            // rows that were read and not stored are not known
            self.held.remove(&contract.into);
        }
        stored
    }

    /// Commits what was read, beside or in place of what earlier versions of the file brought.
    async fn store(
        &mut self,
        contract: &Contract,
        table: &mut Table,
        stage: Stage,
        mut arrived: Arrived,
        mut report: Report,
    ) -> Result<Report> {
        let earlier = std::mem::take(&mut arrived.earlier);
        report
            .sent
            .agree(&report.file, Some(report.read), report.sha256.as_deref())?;
        let staged = stage.finish().await?;
        crash::point("rows_flushed");
        report.resent = !earlier.is_empty();
        let exchange = if !arrived.claiming.is_empty() {
            let exchange = self
                .rule_claims(contract, table, staged, &mut arrived, &mut report)
                .await?;
            // what was stored before is not what is stored now
            self.held.remove(&contract.into);
            exchange
        } else if earlier.is_empty() {
            if contract.land != Land::Counts && staged.rows != report.accepted {
                let rows: [&dyn std::fmt::Display; 3] = [&contract.into, &report.accepted, &staged.rows];
                return Err(fail(Kind::Bug, "rows_differ", &rows));
            }
            Exchange::of(staged)
        } else {
            self.reconcile(contract, table, staged, &earlier, &mut report).await?
        };
        if let Err(error) = self.tolerable(contract, &report, &arrived.rejects) {
            table.discard(exchange.staged).await?;
            return Err(error);
        }
        arrived.days.extend(&exchange.days);
        report.days = arrived.days.into_iter().collect();
        report.outcome = self.commit(table, exchange, &report, &arrived.rejects).await?;
        if contract.land == Land::Rows {
            self.grown.insert(contract.into.clone());
        }
        crash::point("batch_done");
        Ok(report)
    }

    /// A file of which too much is refused is not what its contract says, and nothing of it is stored.
    fn tolerable(&self, contract: &Contract, report: &Report, rejects: &[Reject]) -> Result<()> {
        let limits = &self.settings.limits;
        let most = contract.reject_percent.unwrap_or(limits.reject_percent);
        #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
        let share = report.rejected as f64 * 100.0 / report.read.max(1) as f64;
        let few = report.read < FEW_ROWS || share <= most;
        if few && rejects.len() <= limits.rejects_per_batch {
            return Ok(());
        }
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for reject in rejects {
            let reason = format!("{} {}", reject.refused.column, reject.refused.reason.code());
            *reasons.entry(reason.trim().to_owned()).or_insert(0) += 1;
        }
        let mut reasons: Vec<(String, u64)> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let words = reasons
            .iter()
            .take(REASONS_SHOWN)
            .map(|(reason, rows)| format!("{reason}: {rows}"));
        let words = words.collect::<Vec<_>>().join(", ");
        if few {
            let error = fail(
                Kind::Limit,
                "too_many_rejects",
                &[&report.file, &limits.rejects_per_batch],
            );
            return Err(error.because(words));
        }
        let share = format!("{share:.1}");
        let error = fail(Kind::Check, "reject_share", &[&report.file, &share, &most]);
        Err(error
            .because(words)
            .hint("reject_share_hint", &[&report.file, &contract.path]))
    }

    pub(super) fn settings(&self) -> &Settings {
        self.settings
    }

    pub(super) fn key(&self) -> &SiteKey {
        self.key
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run.run_id
    }

    /// Takes encoded groups in, each at its place.
    async fn arrive(
        &self,
        table: &Table,
        stage: &mut Stage,
        mut receiver: mpsc::Receiver<Done>,
        turn: &Turn,
    ) -> Result<Arrived> {
        let mut arrived = Arrived::default();
        let mut early = BTreeMap::new();
        let mut next = 0;
        while let Some(done) = receiver.recv().await {
            early.insert(done.group, done);
            while let Some(done) = early.remove(&next) {
                for (partition, encoded) in done.parts {
                    stage.append(partition, encoded).await?;
                }
                if let Some(late) = done.late {
                    arrived.late.push(table, &self.run.run_id, late).await?;
                }
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
        report.findings = account.suspect.as_ref().map(Suspect::verdict).unwrap_or_default();
        let by_record = matches!(contract.format, SourceFormat::Ndjson | SourceFormat::Json);
        if by_record
            && report.read >= FEW_ROWS
            // where nothing was an object, that is what is wrong
            && account.met.contains(&true)
            && let Some(error) = header::never_met(
                contract,
                &report.file,
                &account.met,
                &account.unknown,
                self.settings.site.identifier_pack,
            )
        {
            return Err(error);
        }
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
        if known.waiting() > 0 {
            self.decide(contract, table, stage, &mut known, arrived, report).await?;
        }
        // what left out the rows of earlier versions knows too little for the next file
        if contract.land == Land::Rows && arrived.earlier.is_empty() {
            self.held.insert(contract.into.clone(), known.into_held()?);
        }
        Ok(())
    }

    /// A table at its newest version. One that was opened before reads the commits since, not its whole log.
    pub(super) async fn open(&self, name: &str) -> Result<Table> {
        let kept = self.opened.lock().ok().and_then(|opened| opened.get(name).cloned());
        let table = match kept {
            Some(mut table) => {
                table.refresh().await?;
                table
            }
            None => {
                let found = self.lake.table(name).await?;
                found.ok_or_else(|| fail(Kind::Missing, "table_missing", &[&name]))?
            }
        };
        self.keep(&table);
        Ok(table)
    }

    /// Keeps a handle for the next file.
    fn keep(&self, table: &Table) {
        if let Ok(mut opened) = self.opened.lock() {
            opened.insert(table.name().to_owned(), table.clone());
        }
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
            // refused rows of a batch are listed once, however often it is stored
            let once = Commit {
                turn: 1,
                ..commit.clone()
            };
            self.append(tables::REJECT, &self.reject_rows(report, rejects)?, &once)
                .await?;
        }
        crash::point("after_reject");
        crash::point("before_ingest");
        let action = if report.resent { "resent" } else { "stored" };
        self.append(tables::INGEST, &self.ingest_row(report, action)?, &commit)
            .await?;
        crash::point("after_ingest");
        crash::point("before_source");
        let appended = if exchange.partitions.is_empty() {
            table.append(exchange.staged, &commit).await?
        } else {
            table.exchange(&exchange.partitions, exchange.staged, &commit).await?
        };
        self.keep(table);
        crash::point("after_source");
        if let Some(history) = &mut self.history {
            history.push(Past {
                batch_id: report.batch_id.clone(),
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

    pub(super) async fn append(&self, name: &str, batch: &RecordBatch, commit: &Commit) -> Result<()> {
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
        self.keep(&table);
        Ok(())
    }
}

/// The short form of a batch that rows carry.
pub(super) fn short(batch_id: &str) -> &str {
    batch_id.get(..16).unwrap_or(batch_id)
}

/// What arrived from the workers besides encoded rows.
#[derive(Default)]
pub(super) struct Arrived {
    pub late: Late,
    /// Rows whose key is known, where the contract says which of two holds.
    pub claiming: Vec<RecordBatch>,
    pub claims: u64,
    /// Batches of earlier versions of the file.
    pub earlier: Vec<String>,
    days: BTreeSet<i32>,
    pub rejects: Vec<Reject>,
}

impl Arrived {
    pub fn note_days(&mut self, rows: &RecordBatch) {
        if let Some(days) = rows.column_by_name("biz_date") {
            let days = days.as_primitive::<arrow::datatypes::Date32Type>();
            self.days.extend(days.iter().map(|day| day.unwrap_or(UNDATED)));
        }
    }
}
