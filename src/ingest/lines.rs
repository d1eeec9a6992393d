//! Records that are one JSON object a line, and what sources that are no text have become.

use std::collections::BTreeSet;

use crate::contract::Reason;
use crate::error::Result;
use crate::ingest::convert::REFUSED;
use crate::ingest::feed::Split;
use crate::ingest::header;
use crate::ingest::json::{self, JsonBroken, Names};
use crate::ingest::kernel::refused;
use crate::ingest::rows::Refused;
use crate::ingest::span::Span;
use crate::ingest::work::{Block, Job};

/// Reads a group of JSON lines.
pub(super) fn lines(
    job: &Job<'_>,
    group: &[u8],
    side: &mut Vec<u8>,
    names: &mut Names,
    unknown: &mut BTreeSet<String>,
    block: &mut Block<'_, '_>,
) -> Result<usize> {
    let columns = &job.contract.columns;
    let converted = matches!(job.split, Split::Converted);
    let mut fields = vec![Span::default(); columns.len()];
    let (mut start, mut line) = (0, 0);
    while start < group.len() {
        let end = memchr::memchr(b'\n', &group[start..]).map_or(group.len(), |at| start + at);
        let bytes = &group[start..end];
        let trimmed = bytes.trim_ascii();
        if !trimmed.is_empty() {
            let limit = job.record_limit;
            let mut forbidden = Ok(());
            let found = if converted && trimmed[0] == REFUSED {
                let said = String::from_utf8_lossy(&trimmed[1..]);
                let (code, what) = said.split_once(' ').unwrap_or((&said, ""));
                let reason = Reason::of_code(code).unwrap_or(Reason::Json);
                Err((reason, String::new(), what.to_owned()))
            } else if bytes.len() > limit {
                Err((Reason::TooLarge, String::new(), format!("over {limit} bytes")))
            } else {
                let mut hear = |name: &str| {
                    if forbidden.is_ok() {
                        forbidden = note_name(job, unknown, name);
                    }
                };
                json::object(trimmed, names, &mut fields, side, &mut hear).map_err(|broken| match broken {
                    JsonBroken::Syntax(words) => (Reason::Json, String::new(), words),
                    JsonBroken::Nested(at) => (Reason::Type, columns[at].from.clone(), String::new()),
                    JsonBroken::Twice(at) => (Reason::Json, columns[at].from.clone(), String::new()),
                })
            };
            forbidden?;
            match found {
                Ok(()) => {
                    let whole = Span::new(start, end);
                    block.push(line, whole, &fields, side);
                }
                Err((reason, column, value)) => block.refuse(
                    line,
                    match columns.iter().find(|known| known.from == column) {
                        Some(known) => refused(known, reason, ""),
                        None => Refused { reason, column, value },
                    },
                ),
            }
        }
        line += usize::from(end < group.len());
        start = end + 1;
    }
    Ok(line)
}

/// JSON objects bring their own names: each new one passes the lexicon before its row is taken.
fn note_name(job: &Job<'_>, unknown: &mut BTreeSet<String>, name: &str) -> Result<()> {
    if unknown.contains(name) {
        return Ok(());
    }
    let owned = name.to_owned();
    header::check_allowed(job.contract, job.shown, std::iter::once(&owned), |name| {
        header::listed(name, job.pack)
    })?;
    if job.contract.stop_at_unknown {
        return Err(header::undeclared(
            job.contract,
            job.shown,
            [header::listed(name, job.pack)],
        ));
    }
    // a source can have any number of them
    if unknown.len() < header::UNKNOWN_NAMES {
        unknown.insert(header::listed(name, job.pack));
    }
    Ok(())
}
