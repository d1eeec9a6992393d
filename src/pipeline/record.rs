//! The run record: `ops.run` and `ops.step`, one row a run and a row a step.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Kind, Result, fail};
use crate::ingest::tables::instant;
use crate::lake::{Commit, Lake, Layout};
use crate::model::Finding;

/// One step of a run.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// `ingest`, `build`, `check`, `release`, `workbook`.
    pub kind: &'static str,
    /// File, model, check, page.
    pub name: String,
    /// `ok`, `kept`, `held`, `off`, `failed`.
    pub status: &'static str,
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
    /// The run.
    pub run_id: String,
    /// The pipeline.
    pub pipeline: String,
    /// `ok`, `partial`, `failed`.
    pub status: &'static str,
    /// The release it published or left in place, 0 for none.
    pub release: u64,
    /// Start and end, UTC microseconds.
    pub span: (i64, i64),
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// What its checks found.
    pub checks: Vec<Finding>,
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
        ("status", Utf8),
        ("release", Int64),
        ("fence", Int64),
        ("program", Utf8),
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
        let ended = TimestampMicrosecondArray::from_iter_values(checks.iter().map(|_| self.span.1));
        vec![
            text(&|_| self.run_id.clone()),
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
    pub async fn write(&self, lake: &Lake, fence: u64) -> Result<()> {
        let commit = Commit {
            key_id: String::new(),
            batch_id: Some(self.run_id.clone()),
            turn: 1,
            run_id: self.run_id.clone(),
            fence,
            days: Vec::new(),
            digest: None,
        };
        let steps = &self.steps;
        let text = |of: &dyn Fn(&StepRecord) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(steps.iter().map(of)))
        };
        let at = |of: &dyn Fn(&StepRecord) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(steps.iter().map(of)).with_timezone("UTC"))
        };
        let columns: Vec<ArrayRef> = vec![
            text(&|_| self.run_id.clone()),
            text(&|step| step.kind.to_owned()),
            text(&|step| step.name.clone()),
            text(&|step| step.status.to_owned()),
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
        let one = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![number.cast_signed()])) };
        let instant =
            |at: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")) };
        let columns = vec![
            one(&self.run_id),
            one(&self.pipeline),
            one(self.status),
            number(self.release),
            number(fence),
            one(concat!("fenghuo ", env!("CARGO_PKG_VERSION"))),
            instant(self.span.0),
            instant(self.span.1),
        ];
        append(lake, "ops.run", run_schema(), columns, &commit).await
    }
}

async fn append(lake: &Lake, name: &str, schema: Arc<Schema>, columns: Vec<ArrayRef>, commit: &Commit) -> Result<()> {
    let mut table = lake.table_of(name, &schema, &[]).await?;
    let batch =
        RecordBatch::try_new(schema, columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
    let mut stage = table.stage(&commit.run_id, Layout::default())?;
    stage.write(&batch).await?;
    let staged = stage.finish().await?;
    table.append(staged, commit).await?;
    Ok(())
}
