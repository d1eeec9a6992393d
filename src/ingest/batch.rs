//! One file from bytes to commits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, Schema};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::config::settings::{Limits, Pack};
use crate::contract::{Contract, Land};
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail};
use crate::ingest::counts::Tally;
use crate::ingest::header::{self, Header};
use crate::ingest::progress::Progress;
use crate::ingest::rows::{Refused, Rows, Stamp};
use crate::ingest::source::{self, Next, Source};
use crate::ingest::tables;
use crate::lake::table::same_columns;
use crate::lake::{Appended, Commit, Lake, Staged, Table, crash};
use crate::protect::{SiteKey, scan};
use crate::time::Calendar;

/// Source names outside the contract that are listed; beyond it they are left behind unlisted.
const UNKNOWN_NAMES: usize = 100;

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
    /// First and last day of the accepted rows.
    pub days: Option<(i32, i32)>,
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
}

/// An ingest: its lake, its site's secrets and rules, and what it learnt about stored identities.
pub struct Ingest<'a> {
    lake: &'a Lake,
    settings: &'a Settings,
    key: &'a SiteKey,
    throwaway: [u8; 32],
    calendar: Calendar,
    run: Commit,
    now: i64,
    seen: HashMap<String, HashSet<i64>>,
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
}

/// A rejected row and the line it starts on.
struct Reject {
    line: u64,
    refused: Refused,
}

/// What the parser thread hands back.
struct Parsed {
    report: Report,
    rejects: Vec<Reject>,
    seen: HashSet<i64>,
}

/// The name under which a file of a contract is stored, 64 hexadecimal digits.
///
/// # Errors
/// `Missing` or `Unavailable` where the file cannot be read.
pub fn batch_id(contract: &Contract, path: &Path) -> Result<String> {
    source::batch_id(&contract.name, path)
}

impl<'a> Ingest<'a> {
    /// An ingest into `lake`.
    ///
    /// # Errors
    /// `Input` where the site's zone or cut-off is unknown.
    pub fn new(lake: &'a Lake, settings: &'a Settings, given: Given<'a>) -> Result<Ingest<'a>> {
        let site = &settings.site;
        let calendar = Calendar::new(&site.timezone, &site.day_cutoff)
            .ok_or_else(|| fail(Kind::Input, "site_calendar", &[&site.timezone, &site.day_cutoff]))?;
        let run = Commit {
            batch_id: None,
            run_id: given.run_id,
            fence: given.fence,
        };
        Ok(Ingest {
            lake,
            settings,
            key: given.key,
            throwaway: given.entropy,
            calendar,
            run,
            now: given.now,
            seen: HashMap::new(),
        })
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
        progress: Arc<Progress>,
    ) -> Result<Report> {
        crash::point("batch_opened");
        // every file has its own instant, so that of two statements in one run the later one is newer
        self.now += 1;
        let (mut source, names) = Source::open(path, contract, progress.clone())?;
        let header = header::match_names(contract, shown, &names)?;
        let batch_id = source::batch_id(&contract.name, path)?;
        crash::point("batch_hashed");
        let mut table = self.open(&contract.into).await?;
        let mut report = Report {
            contract: contract.name.clone(),
            table: contract.into.clone(),
            file: shown.to_owned(),
            bytes: std::fs::metadata(path).map_or(0, |found| found.len()),
            batch_id: batch_id.clone(),
            ..Report::default()
        };
        if table.holds(&batch_id).await? {
            return Ok(report);
        }
        let seen = match contract.land {
            Land::Rows => self.identities(&table).await?,
            // a statement or a count stands for itself; identities of other files do not bear on it
            Land::Snapshot | Land::Counts => HashSet::new(),
        };
        let (schema, _) = tables::source_schema(contract);
        let mut stage = table.stage()?;
        let (sender, mut receiver) = mpsc::channel::<RecordBatch>(2);
        let job = Job {
            contract: contract.clone(),
            header,
            path: path.to_owned(),
            schema: schema.clone(),
            key: self.key.clone(),
            throwaway: self.throwaway,
            calendar: self.calendar_of(contract)?,
            now: self.now,
            settings: self.settings.clone(),
        };
        let parser = tokio::task::spawn_blocking({
            let report = report.clone();
            move || job.parse(&mut source, report, seen, &sender, &progress)
        });
        while let Some(batch) = receiver.recv().await {
            stage.write(&batch).await?;
            crash::point("rows_written");
        }
        let parsed = parser
            .await
            .map_err(|cause| fail(Kind::Bug, "parser_died", &[&shown]).because(cause))??;
        crash::point("rows_parsed");
        let staged = stage.finish().await?;
        crash::point("rows_flushed");
        report = parsed.report;
        if contract.land != Land::Counts && staged.rows != report.accepted {
            return Err(fail(
                Kind::Bug,
                "rows_differ",
                &[&contract.into, &report.accepted, &staged.rows],
            ));
        }
        report.outcome = self.commit(&mut table, staged, &report, &parsed.rejects).await?;
        if contract.land == Land::Rows {
            self.seen.insert(contract.into.clone(), parsed.seen);
        }
        crash::point("batch_done");
        Ok(report)
    }

    fn calendar_of(&self, contract: &Contract) -> Result<Calendar> {
        let Some(zone) = &contract.timezone else {
            return Ok(self.calendar);
        };
        self.calendar
            .in_zone(zone)
            .ok_or_else(|| fail(Kind::Input, "site_calendar", &[zone, &"00:00"]))
    }

    async fn open(&self, name: &str) -> Result<Table> {
        self.lake
            .table(name)
            .await?
            .ok_or_else(|| fail(Kind::Missing, "table_missing", &[&name]))
    }

    /// The identities stored in the table; read once, then kept up to date.
    async fn identities(&mut self, table: &Table) -> Result<HashSet<i64>> {
        if let Some(seen) = self.seen.remove(table.name()) {
            return Ok(seen);
        }
        let mut seen = HashSet::with_capacity(usize::try_from(table.rows()?).unwrap_or(0));
        let session = Session::new(Bounds::from(&self.settings.limits))?;
        session.register(table.name(), table.provider(session.state()).await?)?;
        let sql = format!("SELECT row_key FROM {}", table.name());
        let plan = session.plan(table.name(), &sql).await?;
        let mut rows = session.stream(table.name(), &sql, plan).await?;
        while let Some(batch) = rows.next().await? {
            seen.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(seen)
    }

    /// The three commits of a batch, in the order that lets a rerun complete what is missing.
    async fn commit(&self, table: &mut Table, staged: Staged, report: &Report, rejects: &[Reject]) -> Result<Outcome> {
        let commit = Commit {
            batch_id: Some(report.batch_id.clone()),
            ..self.run.clone()
        };
        crash::point("before_reject");
        if !rejects.is_empty() {
            self.append(tables::REJECT, &self.reject_rows(report, rejects)?, &commit)
                .await?;
        }
        crash::point("after_reject");
        crash::point("before_ingest");
        self.append(tables::INGEST, &self.ingest_row(report)?, &commit).await?;
        crash::point("after_ingest");
        crash::point("before_source");
        let appended = table.append(staged, &commit).await?;
        crash::point("after_source");
        Ok(if matches!(appended, Appended::Stored(_)) {
            Outcome::Stored
        } else {
            Outcome::AlreadyThere
        })
    }

    async fn append(&self, name: &str, batch: &RecordBatch, commit: &Commit) -> Result<()> {
        let mut table = self.open(name).await?;
        if let Some(batch_id) = &commit.batch_id
            && table.holds(batch_id).await?
        {
            return Ok(());
        }
        let mut stage = table.stage()?;
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

    fn ingest_row(&self, report: &Report) -> Result<RecordBatch> {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![number.cast_signed()])) };
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
            day(report.days.map(|days| days.0)),
            day(report.days.map(|days| days.1)),
            text(&self.run.run_id),
            number(self.run.fence),
            Arc::new(TimestampMicrosecondArray::from_value(self.now, 1).with_timezone("UTC")),
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

/// The work of the parser thread.
struct Job {
    contract: Contract,
    header: Header,
    path: PathBuf,
    schema: arrow::datatypes::SchemaRef,
    key: SiteKey,
    throwaway: [u8; 32],
    calendar: Calendar,
    now: i64,
    settings: Settings,
}

impl Job {
    fn parse(
        self,
        source: &mut Source,
        report: Report,
        seen: HashSet<i64>,
        sender: &mpsc::Sender<RecordBatch>,
        progress: &Progress,
    ) -> Result<Parsed> {
        let Header { positions, unknown } = self.header;
        let limits = &self.settings.limits;
        let mut walk = Walk {
            contract: &self.contract,
            path: &self.path,
            limits,
            unknown,
            pack: self.settings.site.identifier_pack,
            progress,
        };
        let mut parsed = Parsed {
            report,
            rejects: Vec::new(),
            seen,
        };
        if let Some(counts) = &self.contract.counts {
            let throwaway = SiteKey::from_bytes(self.throwaway).purpose(&self.contract.into);
            let mut tally = Tally::new(&self.contract, counts, &positions, self.calendar, throwaway, &self.key);
            walk.each(source, &mut parsed, |source, _, _| tally.push(source))?;
            let batch = tally.finish(self.schema.clone(), short(&parsed.report.batch_id), self.now)?;
            send(sender, batch)?;
        } else {
            let stamp = Stamp {
                batch: short(&parsed.report.batch_id).to_owned(),
                ingested_at: self.now,
                pack: self.settings.site.identifier_pack,
            };
            let mut rows = Rows::new(
                &self.contract,
                &positions,
                self.schema.clone(),
                &self.key,
                self.calendar,
                stamp,
            );
            let full = limits.batch_rows;
            let mut failed = None;
            walk.each(source, &mut parsed, |source, line, seen| {
                if rows.len() >= full && failed.is_none() {
                    failed = rows.take().and_then(|batch| send(sender, batch)).err();
                }
                rows.push(source, line, seen)
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            send(sender, rows.take()?)?;
            parsed.report.blanked = rows.blanked;
            parsed.report.days = rows.days;
        }
        parsed.report.unknown_columns = walk.unknown.into_iter().collect();
        Ok(parsed)
    }
}

/// What walking the records needs besides the records.
struct Walk<'a> {
    contract: &'a Contract,
    path: &'a Path,
    limits: &'a Limits,
    unknown: BTreeSet<String>,
    pack: Pack,
    progress: &'a Progress,
}

impl Walk<'_> {
    /// Walks the records and keeps the account: every record is accepted, duplicate or rejected.
    fn each(
        &mut self,
        source: &mut Source,
        parsed: &mut Parsed,
        mut take: impl FnMut(&Source, u64, &mut HashSet<i64>) -> Result<bool, Refused>,
    ) -> Result<()> {
        use std::sync::atomic::Ordering;
        loop {
            let (line, outcome) = match source.advance(self.path, self.limits.record_bytes)? {
                Next::End => return Ok(()),
                Next::Bad(line, reason, value) => (
                    line,
                    Err(Refused {
                        reason,
                        column: String::new(),
                        value,
                    }),
                ),
                Next::Record(line) => {
                    note_names(self, source, &parsed.report.file)?;
                    (line, take(source, line, &mut parsed.seen))
                }
            };
            self.progress.rows.fetch_add(1, Ordering::Relaxed);
            let report = &mut parsed.report;
            report.read += 1;
            match outcome {
                Ok(true) => report.accepted += 1,
                Ok(false) => report.duplicate += 1,
                Err(refused) => {
                    report.rejected += 1;
                    *report.reasons.entry(refused.reason.code().to_owned()).or_insert(0) += 1;
                    parsed.rejects.push(Reject { line, refused });
                    if parsed.rejects.len() > self.limits.rejects_per_batch {
                        let error = fail(
                            Kind::Limit,
                            "too_many_rejects",
                            &[&report.file, &self.limits.rejects_per_batch],
                        );
                        return Err(error.because(format!("{:?}", report.reasons)));
                    }
                }
            }
        }
    }
}

/// JSON objects bring their own names: each new one passes the lexicon before its row is taken.
fn note_names(walk: &mut Walk<'_>, source: &Source, file: &str) -> Result<()> {
    for name in source.names() {
        if walk.contract.columns.iter().any(|column| column.from == *name) || walk.unknown.contains(name) {
            continue;
        }
        header::check_allowed(walk.contract, file, std::iter::once(name))?;
        // a name can be a value by mistake, and a source can have any number of them
        if walk.unknown.len() < UNKNOWN_NAMES {
            let hit = scan::first(scan::half_width(name).as_bytes(), walk.pack).is_some();
            walk.unknown.insert(if hit { scan::mask(name) } else { name.clone() });
        }
    }
    Ok(())
}

fn send(sender: &mpsc::Sender<RecordBatch>, batch: RecordBatch) -> Result<()> {
    // a closed channel means that the writer failed or was interrupted; it says why
    sender
        .blocking_send(batch)
        .map_err(|_| fail(Kind::Interrupted, "interrupted", &[]))
}
