//! A file against its contract, without writing anything: what would be refused, why, and where.
//!
//! Lines are shown by their shape, so that an explanation can be passed on: letters and digits of
//! public columns become `x` and `9`, everything else becomes asterisks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use unicode_width::UnicodeWidthChar;

use crate::config::Settings;
use crate::config::text::cut;
use crate::contract::{Contract, Protect};
use crate::error::{Excerpt, Place, Problem, Result};
use crate::ingest::batch::{Reject, calendar};
use crate::ingest::feed::{Feed, Split};
use crate::ingest::header::{self, Header};
use crate::ingest::progress::Progress;
use crate::ingest::rows::origins;
use crate::ingest::scan::{Broken, Records, Scanner};
use crate::ingest::source::Source;
use crate::ingest::span::Span;
use crate::ingest::work::{Account, Job, Turn, work};
use crate::ingest::{open, tables};
use crate::place::suspect::{Finding, Suspect};
use crate::protect::{SiteKey, scan};

/// Refused lines that are shown.
const SHOWN: usize = 20;
/// Columns of a terminal that an excerpt takes: with its margin it fits the narrowest in use.
const WIDTH: usize = 72;

/// What an ingest of the file would do.
#[derive(Debug)]
pub struct Explained {
    /// Records read.
    pub read: u64,
    /// Records that would be refused.
    pub rejected: u64,
    /// Values that would be blanked.
    pub blanked: u64,
    /// Refusals by column and reason.
    pub reasons: BTreeMap<(String, String), u64>,
    /// Names of the source that the contract does not know.
    pub unknown: Vec<String>,
    /// What the positions look like as a whole.
    pub findings: Vec<Finding>,
    /// The first refused lines.
    pub problems: Vec<Problem>,
}

/// Reads a file as an ingest would, and keeps nothing.
///
/// # Errors
/// As an ingest that stops: a forbidden name, a missing column, an unreadable file, too many refusals.
pub fn explain(contract: &Contract, source: &Source, shown: &str, settings: &Settings, now: i64) -> Result<Explained> {
    let limits = &settings.limits;
    let progress = Arc::new(Progress::default());
    let opened = open::open(source, shown, contract, limits.record_bytes, progress.clone())?;
    let header = header::match_names(contract, shown, &opened, settings.site.identifier_pack)?;
    let (schema, _) = tables::source_schema(contract);
    let width = opened.names.len();
    let job = Job {
        contract,
        header: &header,
        split: opened.split.clone(),
        encoding: opened.encoding,
        width,
        shown,
        first_line: opened.first_line,
        // nothing is stored, so any key will do
        key: SiteKey::from_bytes([7; 32]),
        calendar: calendar(settings, contract)?,
        ingested_at: now,
        limits,
        record_limit: opened.record_limit,
        pack: settings.site.identifier_pack,
        progress: &progress,
        schema,
        encoder: None,
        suspect: Suspect::new(contract.bounds, contract.crs, None),
    };
    let feed = Feed::new(
        source.path(),
        opened.reader,
        opened.carry,
        opened.split.clone(),
        opened.record_limit,
    );
    let feed = Mutex::new(feed);
    let origins = origins(contract);
    let turn = Turn::new(None, None, limits.target_partitions);
    turn.name(String::new());
    let (sender, _receiver) = mpsc::channel(1);
    std::thread::scope(|scope| {
        for _ in 0..limits.target_partitions.max(1) {
            scope.spawn(|| {
                if let Err(error) = work(&job, &origins, &feed, &turn, &sender) {
                    turn.fail(error);
                }
            });
        }
    });
    let account = turn.finish()?.account;
    let problems = problems(contract, &header, source, shown, &opened.split, &account.rejects)?;
    let mut reasons = BTreeMap::new();
    for reject in &account.rejects {
        let refused = &reject.refused;
        *reasons
            .entry((refused.column.clone(), refused.reason.code().to_owned()))
            .or_insert(0) += 1;
    }
    let findings = account.suspect.as_ref().map(Suspect::verdict).unwrap_or_default();
    let Account {
        read,
        rejected,
        blanked,
        unknown,
        ..
    } = account;
    Ok(Explained {
        read,
        rejected,
        blanked,
        reasons,
        unknown: unknown.into_iter().collect(),
        findings,
        problems,
    })
}

/// The first refused lines with a caret under the refused field.
fn problems(
    contract: &Contract,
    header: &Header,
    source: &Source,
    shown: &str,
    split: &Split,
    rejects: &[Reject],
) -> Result<Vec<Problem>> {
    let first: Vec<&Reject> = rejects.iter().take(SHOWN).collect();
    let wanted = first.iter().map(|reject| reject.line).collect();
    let lines = if matches!(split, Split::Delimited(_)) {
        open::lines(source, contract, &wanted)?
    } else {
        BTreeMap::new()
    };
    Ok(first
        .into_iter()
        .map(|reject| {
            let refused = &reject.refused;
            let line = lines.get(&reject.line).map(Vec::as_slice).unwrap_or_default();
            let mut masked = Masked::new(contract, header, &refused.column, line);
            if let Split::Delimited(dialect) = split {
                Scanner::new(dialect, 0, line.len() + 1).scan(line, &mut Vec::new(), &mut masked);
            }
            Problem {
                place: Place {
                    path: shown.to_owned(),
                    line: usize::try_from(reject.line).unwrap_or(0),
                    column: masked.column_at,
                },
                message: refused.reason.message(&refused.column, &refused.value),
                excerpt: (!masked.text.is_empty()).then(|| around(&masked.text, masked.caret)),
            }
        })
        .collect())
}

/// The part of a line around a character, counted from 1; 0 shows the beginning.
fn around(line: &str, caret: usize) -> Excerpt {
    let width = |c: &char| c.width().unwrap_or(0);
    let line: Vec<char> = line.chars().collect();
    // half of the room for what stands before, more where little follows
    let behind: usize = line.iter().skip(caret).map(width).sum();
    let mut room = WIDTH.saturating_sub(behind).max(WIDTH / 2);
    let mut start = caret.saturating_sub(1).min(line.len());
    while start > 0 && room > width(&line[start - 1]) {
        start -= 1;
        room -= width(&line[start]);
    }
    let mark = (start > 0).then_some('…');
    let text: String = mark.into_iter().chain(line[start..].iter().copied()).collect();
    let caret = match caret {
        0 => 0,
        caret => caret - start + usize::from(start > 0),
    };
    Excerpt {
        text: cut(&text, WIDTH),
        caret,
    }
}

/// A record by its shape.
struct Masked<'a> {
    contract: &'a Contract,
    header: &'a Header,
    column: &'a str,
    line: &'a [u8],
    text: String,
    /// Character of the text at which the refused field begins, counted from 1; 0 where it is the whole
    /// record.
    caret: usize,
    /// The same in the line as delivered.
    column_at: usize,
}

impl<'a> Masked<'a> {
    fn new(contract: &'a Contract, header: &'a Header, column: &'a str, line: &'a [u8]) -> Masked<'a> {
        Masked {
            contract,
            header,
            column,
            line,
            text: String::new(),
            caret: 0,
            column_at: 0,
        }
    }
}

impl Records for Masked<'_> {
    fn record(&mut self, _: usize, _: Span, fields: &[Span], side: &mut Vec<u8>) {
        // a field whose quotes were undone lies elsewhere: it begins behind a delimiter and a quote
        let mut quoted_begin = 1;
        for (at, span) in fields.iter().enumerate() {
            if at > 0 {
                self.text.push('│');
            }
            let begin = span.begin().unwrap_or(quoted_begin).min(self.line.len());
            if span.begin().is_some() {
                quoted_begin = span.end() + 2;
            }
            let known = self.header.positions.iter().position(|position| *position == Some(at));
            let column = known.map(|known| &self.contract.columns[known]);
            if column.is_some_and(|column| column.from == self.column) {
                self.caret = self.text.chars().count() + 1;
                self.column_at = String::from_utf8_lossy(&self.line[..begin]).chars().count() + 1;
            }
            let bytes = span.of(self.line, side);
            let text = std::str::from_utf8(bytes);
            match (column, text) {
                (Some(column), Ok(text)) if column.protect == Protect::Public => {
                    self.text.push_str(&scan::mask(text));
                }
                _ => self.text.push_str(if bytes.is_empty() { "" } else { "***" }),
            }
        }
    }

    fn broken(&mut self, _: usize, _: Span, _: Broken) {}
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn a_long_line_is_shown_around_the_field() {
        for (line, caret) in [
            ("a".repeat(200), 150),
            ("县".repeat(200), 150),
            ("a".repeat(200), 200),
            ("县".repeat(200), 0),
        ] {
            let shown = around(&line, caret);
            assert!(shown.text.width() <= WIDTH, "{}", shown.text);
            assert!(shown.text.width() > WIDTH - 4, "{}", shown.text);
            let before: String = shown.text.chars().take(shown.caret).collect();
            assert!(caret == 0 || (before.starts_with('…') && before.width() <= WIDTH));
        }
        let short = Excerpt {
            text: "short".to_owned(),
            caret: 3,
        };
        assert_eq!(around("short", 3), short);
    }
}
