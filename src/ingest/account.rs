//! What the operating tables say of a batch: its account, and every row that was refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::error::{Kind, Result, fail};
use crate::ingest::batch::{Ingest, Reject, Report, short};
use crate::ingest::tables;
use crate::place::suspect::Finding;

impl Ingest<'_> {
    pub(super) fn reject_rows(&self, report: &Report, rejects: &[Reject]) -> Result<RecordBatch> {
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

    pub(super) fn ingest_row(&self, report: &Report, action: &str) -> Result<RecordBatch> {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![number.cast_signed()])) };
        let maybe =
            |number: Option<u64>| -> ArrayRef { Arc::new(Int64Array::from(vec![number.map(u64::cast_signed)])) };
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
            text(&report.findings.iter().map(Finding::code).collect::<Vec<_>>().join("; ")),
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

fn shaped(schema: arrow::datatypes::SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    debug_assert!(columns.iter().all(|column| column.len() == columns[0].len()));
    RecordBatch::try_new(schema, columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}
