//! Names of a source against its contract: forbidden ones stop the ingest, missing ones stop the
//! file, unknown ones are left behind and counted.

use std::collections::BTreeSet;

use crate::config::settings::Pack;
use crate::config::text;
use crate::contract::{Contract, Protect, SourceFormat};
use crate::error::{Kind, Place, Problem, Result, fail};
use crate::message::Message;
use crate::protect::{lexicon, scan};

/// Source names outside the contract that are listed; beyond it they are left behind unlisted.
pub(super) const UNKNOWN_NAMES: usize = 100;

/// Where each column of the contract stands in the record.
#[derive(Debug)]
pub(super) struct Header {
    /// Position of each contract column; absent columns have none.
    pub positions: Vec<Option<usize>>,
    /// Source names that the contract does not know.
    pub unknown: BTreeSet<String>,
}

/// Matches the names of a file.
///
/// # Errors
/// `Denied` for a name of the forbidden-field lexicon, `Input` where columns are missing.
pub(super) fn match_names(contract: &Contract, path: &str, names: &[String], pack: Pack) -> Result<Header> {
    check_allowed(contract, path, names.iter())?;
    if contract.format != SourceFormat::Csv {
        return Ok(Header {
            positions: vec![Some(0); contract.columns.len()],
            unknown: BTreeSet::new(),
        });
    }
    let mut problems = Vec::new();
    let mut positions = Vec::with_capacity(contract.columns.len());
    for column in &contract.columns {
        let found = names.iter().position(|name| *name == column.from);
        if found.is_none() && column.protect != Protect::Drop {
            let near = text::closest(&column.from, names.iter().map(String::as_str)).unwrap_or("—");
            problems.push(problem(
                path,
                Message::new("source_column_missing", &[&column.from, &near]),
            ));
        }
        positions.push(found);
    }
    if !problems.is_empty() {
        let error = fail(Kind::Input, "source_header", &[&path, &contract.name]);
        return Err(error
            .with_problems(problems)
            .hint("source_header_hint", &[&contract.path]));
    }
    let unknown = names
        .iter()
        .filter(|name| !contract.columns.iter().any(|column| column.from == **name))
        .map(|name| listed(name, pack))
        .take(UNKNOWN_NAMES)
        .collect();
    Ok(Header { positions, unknown })
}

/// A name as it may be listed: it can be a value by mistake.
pub(super) fn listed(name: &str, pack: Pack) -> String {
    match scan::first(scan::half_width(name).as_bytes(), pack) {
        Some(_) => scan::mask(name),
        None => name.to_owned(),
    }
}

/// Refuses names of the lexicon that the contract does not waive.
pub(super) fn check_allowed<'a>(
    contract: &Contract,
    path: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let problems: Vec<Problem> = names
        .filter(|name| !contract.waived.contains(name))
        .filter_map(|name| {
            let entry = lexicon::forbidden(name)?;
            Some(problem(path, Message::new("source_forbidden_name", &[name, &entry])))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(fail(Kind::Denied, "source_forbidden", &[&path])
        .with_problems(problems)
        .hint("source_forbidden_hint", &[&contract.name]))
}

fn problem(path: &str, message: Message) -> Problem {
    Problem {
        place: Place {
            path: path.to_owned(),
            line: 1,
            column: 0,
        },
        message,
        excerpt: None,
    }
}
