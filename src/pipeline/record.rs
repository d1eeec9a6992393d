//! The run record: `ops.run` and `ops.step`, one row a run and a row a step.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::error::{Kind, Result, fail};
use crate::ingest::tables::instant;
use crate::lake::{Commit, Journal, Lake};
use crate::model::Finding;
use crate::time::Clock;

/// What kind of run it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A pipeline.
    Run,
    /// The failed and skipped steps of an earlier run.
    Retry,
    /// Some days again.
    Backfill,
    /// Files alone.
    Ingest,
}

impl Act {
    /// The word in `ops.run`.
    pub fn word(self) -> &'static str {
        match self {
            Act::Run => "run",
            Act::Retry => "retry",
            Act::Backfill => "backfill",
            Act::Ingest => "ingest",
        }
    }
}

/// What a run is, known when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The run.
    pub run_id: String,
    /// The pipeline.
    pub pipeline: String,
    /// Its kind.
    pub act: Act,
    /// The run that it repeats, or the name of the backfill that it is a part of.
    pub part_of: Option<String>,
    /// When the schedule wanted it, UTC microseconds.
    pub due_at: Option<i64>,
    /// What it takes for now, UTC microseconds: a retry has the clock of the run that it repeats.
    pub clock_at: i64,
    /// When it began, UTC microseconds.
    pub started_at: i64,
    /// The number of its lease.
    pub fence: u64,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// `ingest`, `build`, `check`, `release`, `workbook`, `purge`.
    pub kind: String,
    /// File, model, check, page.
    pub name: String,
    /// `ok`, `kept`, `held`, `off`, `waiting`, `failed`.
    pub status: String,
    /// Rows written or found.
    pub rows: u64,
    /// Start and end, UTC microseconds.
    pub span: (i64, i64),
    /// What happened, where it is not `ok`.
    pub message: String,
}

/// One run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// What it is.
    pub head: Head,
    /// `ok`, `partial`, `failed`, `interrupted`, `skipped`.
    pub status: &'static str,
    /// The release it published or left in place, 0 for none.
    pub release: u64,
    /// When it ended, UTC microseconds.
    pub ended_at: i64,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// What its checks found.
    pub checks: Vec<Finding>,
}

/// Collects the steps of a run, and keeps them in its journal until they stand in `ops.step`.
#[derive(Debug)]
pub(super) struct Record<'a> {
    clock: &'a dyn Clock,
    journal: Journal,
    head: Head,
    steps: Vec<StepRecord>,
    pub(super) checks: Vec<Finding>,
    since: i64,
}

impl<'a> Record<'a> {
    /// Begins a record. Runs before it that were cut off are told of first: whoever holds the lease knows
    /// that they are over.
    pub(super) async fn begin(lake: &Lake, clock: &'a dyn Clock, head: Head) -> Result<Record<'a>> {
        recover(lake).await?;
        let mut journal = lake.journal(&head.run_id)?;
        journal.add(&json(&head)?)?;
        Ok(Record {
            clock,
            journal,
            since: head.started_at,
            head,
            steps: Vec::new(),
            checks: Vec::new(),
        })
    }

    /// The number of its lease.
    pub(super) fn fence(&self) -> u64 {
        self.head.fence
    }

    pub(super) fn step(&mut self, kind: &str, name: &str, status: &str, rows: u64, message: String) -> Result<()> {
        let now = self.clock.now();
        let step = StepRecord {
            kind: kind.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            rows,
            span: (self.since, now),
            message,
        };
        self.journal.add(&json(&step)?)?;
        self.steps.push(step);
        self.since = now;
        Ok(())
    }

    /// Writes the record of a run that is over.
    pub(super) async fn end(self, lake: &Lake, status: &'static str, release: u64) -> Result<RunRecord> {
        let run = RunRecord {
            head: self.head,
            status,
            release,
            ended_at: self.clock.now(),
            steps: self.steps,
            checks: self.checks,
        };
        run.write(lake).await?;
        self.journal.end()?;
        Ok(run)
    }
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))
}

/// The steps of a journal, as far as it goes; `None` for one that ends before its head.
pub fn told(lines: &[String]) -> Option<(Head, Vec<StepRecord>)> {
    let (head, steps) = lines.split_first()?;
    let head = serde_json::from_str(head).ok()?;
    Some((
        head,
        steps
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    ))
}

/// Writes the records of runs that were cut off, and ends their journals. The caller holds the site lease.
async fn recover(lake: &Lake) -> Result<()> {
    for (run_id, lines) in lake.journals()? {
        if let Some((head, steps)) = told(&lines) {
            let ended_at = steps.last().map_or(head.started_at, |step| step.span.1);
            let run = RunRecord {
                head,
                status: "interrupted",
                release: 0,
                ended_at,
                steps,
                checks: Vec::new(),
            };
            run.write(lake).await?;
        }
        lake.journal(&run_id)?.end()?;
    }
    Ok(())
}

fn schema(fields: &[(&str, DataType)]) -> Arc<Schema> {
    Arc::new(Schema::new(
        fields
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), true))
            .collect::<Vec<_>>(),
    ))
}

fn run_schema() -> Arc<Schema> {
    use DataType::{Int64, Utf8};
    schema(&[
        ("run_id", Utf8),
        ("pipeline", Utf8),
        ("act", Utf8),
        ("part_of", Utf8),
        ("status", Utf8),
        ("release", Int64),
        ("fence", Int64),
        ("program", Utf8),
        ("due_at", instant()),
        ("clock_at", instant()),
        ("started_at", instant()),
        ("ended_at", instant()),
    ])
}

fn step_schema() -> Arc<Schema> {
    use DataType::{Int64, Utf8};
    schema(&[
        ("run_id", Utf8),
        ("kind", Utf8),
        ("name", Utf8),
        ("status", Utf8),
        ("rows", Int64),
        ("message", Utf8),
        ("started_at", instant()),
        ("ended_at", instant()),
    ])
}

fn check_schema() -> Arc<Schema> {
    use DataType::{Int64, Utf8};
    schema(&[
        ("run_id", Utf8),
        ("path", Utf8),
        ("line", Int64),
        ("check", Utf8),
        ("severity", Utf8),
        ("status", Utf8),
        ("rows", Int64),
        ("at_most", Int64),
        ("sample", Utf8),
        ("ended_at", instant()),
    ])
}

impl RunRecord {
    fn check_columns(&self) -> Vec<ArrayRef> {
        let checks = &self.checks;
        let text = |of: &dyn Fn(&Finding) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(checks.iter().map(of)))
        };
        let number = |of: &dyn Fn(&Finding) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                checks.iter().map(|check| of(check).cast_signed()),
            ))
        };
        let ended = TimestampMicrosecondArray::from_iter_values(checks.iter().map(|_| self.ended_at));
        vec![
            text(&|_| self.head.run_id.clone()),
            text(&|check| check.path.clone()),
            number(&|check| check.line as u64),
            text(&|check| check.check.clone()),
            text(&|check| if check.warns { "warn" } else { "hold" }.to_owned()),
            text(&|check| if check.fails() { "failed" } else { "ok" }.to_owned()),
            number(&|check| check.rows),
            number(&|check| check.at_most),
            text(&|check| check.sample.clone()),
            Arc::new(ended.with_timezone("UTC")),
        ]
    }

    /// Appends the record. A record of the same run is written once.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn write(&self, lake: &Lake) -> Result<()> {
        let head = &self.head;
        let commit = Commit {
            batch_id: Some(head.run_id.clone()),
            ..Commit::of(&head.run_id, head.fence, String::new())
        };
        let steps = &self.steps;
        let text = |of: &dyn Fn(&StepRecord) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(steps.iter().map(of)))
        };
        let at = |of: &dyn Fn(&StepRecord) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(steps.iter().map(of)).with_timezone("UTC"))
        };
        let columns: Vec<ArrayRef> = vec![
            text(&|_| self.head.run_id.clone()),
            text(&|step| step.kind.clone()),
            text(&|step| step.name.clone()),
            text(&|step| step.status.clone()),
            Arc::new(Int64Array::from_iter_values(
                steps.iter().map(|step| step.rows.cast_signed()),
            )),
            text(&|step| step.message.clone()),
            at(&|step| step.span.0),
            at(&|step| step.span.1),
        ];
        append(lake, "ops.step", step_schema(), columns, &commit).await?;
        if !self.checks.is_empty() {
            append(lake, "ops.check", check_schema(), self.check_columns(), &commit).await?;
        }
        let one = |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![number.cast_signed()])) };
        let instant =
            |at: Option<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")) };
        let columns = vec![
            one(Some(&head.run_id)),
            one(Some(&head.pipeline)),
            one(Some(head.act.word())),
            one(head.part_of.as_deref()),
            one(Some(self.status)),
            number(self.release),
            number(head.fence),
            one(Some(concat!("fenghuo ", env!("CARGO_PKG_VERSION")))),
            instant(head.due_at),
            instant(Some(head.clock_at)),
            instant(Some(head.started_at)),
            instant(Some(self.ended_at)),
        ];
        append(lake, "ops.run", run_schema(), columns, &commit).await
    }
}

async fn append(lake: &Lake, name: &str, schema: Arc<Schema>, columns: Vec<ArrayRef>, commit: &Commit) -> Result<()> {
    let rows = RecordBatch::try_new(schema, columns);
    let rows = rows.map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
    lake.add_rows(name, &rows, commit).await
}
