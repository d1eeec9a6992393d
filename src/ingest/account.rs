//! What the operating tables say of a batch: its account, and every row that was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::contract::Contract;
use crate::error::{Kind, Result, fail};
use crate::ingest::arrival::Totals;
use crate::ingest::batch::{Ingest, Reject, short};
use crate::ingest::open::Name;
use crate::ingest::tables;
use crate::lake::days::UNDATED;
use crate::place::suspect::Finding;

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
    /// Whether it is a new version of a known file.
    pub resent: bool,
    /// What the positions look like as a whole.
    pub findings: Vec<Finding>,
    /// BLAKE3 of the file, hexadecimal.
    pub content: String,
    /// SHA-256 of the file, hexadecimal, where one was sent.
    pub sha256: Option<String>,
    /// Control totals as sent.
    pub sent: Totals,
    /// Whether it was stored now.
    pub outcome: Outcome,
}

impl Report {
    /// The account of a file that was stored before and was not touched since.
    pub fn already(contract: &Contract, shown: &str, bytes: u64) -> Report {
        Report {
            outcome: Outcome::AlreadyThere,
            ..Report::of(contract, shown, bytes, Totals::default())
        }
    }

    /// An empty account of a file.
    pub(super) fn of(contract: &Contract, shown: &str, bytes: u64, sent: Totals) -> Report {
        Report {
            contract: contract.name.clone(),
            table: contract.into.clone(),
            file: shown.to_owned(),
            bytes,
            sent,
            ..Report::default()
        }
    }

    pub(super) fn name(&mut self, name: Name) {
        self.batch_id = name.batch_id;
        self.content = name.content;
        self.sha256 = name.sha256;
    }
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
        let dated = || report.days.iter().copied().filter(|day| *day != UNDATED);
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
            day(dated().next()),
            day(dated().next_back()),
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
