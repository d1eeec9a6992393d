//! The chain as a table, for questions such as "who could have seen this place in that month, and why".

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use crate::audit::Line;
use crate::audit::chain::{Files, parsed};
use crate::error::{Kind, Result, fail};
use crate::lake::Lake;

/// All lines of the chain of a lake, in order: `seq, at, request, who, credential, address, purpose, act, object,
/// release, decision, reason, rows, bytes`.
///
/// # Errors
/// As the file system fails; `Check` for a line that is none.
pub fn entries(lake: &Lake) -> Result<RecordBatch> {
    let mut lines: Vec<Line> = Vec::new();
    for text in Files::of(lake).lines()? {
        let text = text?;
        let broken = || fail(Kind::Check, "audit_broken_line", &[&(lines.len() + 1)]).hint("audit_tail_hint", &[]);
        let (_, line) = parsed(&text).ok_or_else(broken)?;
        lines.push(line);
    }
    let text =
        |of: &dyn Fn(&Line) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(of))) };
    let number = |of: &dyn Fn(&Line) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            lines.iter().map(|line| of(line).cast_signed()),
        ))
    };
    let decisions = lines.iter().map(|line| match line.entry.decision {
        super::Decision::Allow => "allow",
        super::Decision::Deny => "deny",
        super::Decision::Whole => "whole",
        super::Decision::Part => "part",
        super::Decision::Checkpoint => "checkpoint",
    });
    let decisions: ArrayRef = Arc::new(StringArray::from_iter_values(decisions));
    RecordBatch::try_from_iter([
        ("seq", number(&|line| line.seq)),
        ("at", text(&|line| &line.at)),
        ("request", text(&|line| &line.entry.request)),
        ("who", text(&|line| &line.entry.who)),
        ("credential", text(&|line| &line.entry.credential)),
        ("address", text(&|line| &line.entry.address)),
        ("purpose", text(&|line| &line.entry.purpose)),
        ("act", text(&|line| &line.entry.act)),
        ("object", text(&|line| &line.entry.object)),
        ("release", number(&|line| line.entry.release)),
        ("decision", decisions),
        ("reason", text(&|line| &line.entry.reason)),
        ("rows", number(&|line| line.entry.rows)),
        ("bytes", number(&|line| line.entry.bytes)),
    ])
    .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}
