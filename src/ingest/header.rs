//! Names of a source against its contract: forbidden ones stop the ingest, missing ones stop the
//! file, unknown ones are left behind and counted.

use std::collections::{BTreeSet, HashMap};

use crate::config::settings::Pack;
use crate::config::text;
use crate::contract::{Column, Contract};
use crate::error::{Error, Kind, Place, Problem, Result, fail};
use crate::ingest::feed::Split;
use crate::ingest::open::Opened;
use crate::message::Message;
use crate::protect::{lexicon, scan};

/// Source names outside the contract that are listed; beyond it they are left behind unlisted.
pub(super) const UNKNOWN_NAMES: usize = 100;

/// Where each column of the contract stands in the record.
#[derive(Debug)]
pub(super) struct Header {
    /// Position of each contract column; absent columns have none.
    pub positions: Vec<Option<usize>>,
    /// The contract column of each name that a record can bring.
    pub fields: HashMap<String, usize>,
    /// Source names that the contract does not know.
    pub unknown: BTreeSet<String>,
}

/// Matches the names of a file.
///
/// # Errors
/// `Denied` for a name of the forbidden-field lexicon, `Input` where columns are missing.
pub(super) fn match_names(contract: &Contract, path: &str, opened: &Opened, pack: Pack) -> Result<Header> {
    // without a header every record brings its own names
    if opened.names.is_empty() && !matches!(opened.split, Split::Delimited(_)) {
        let named = contract.columns.iter().enumerate();
        let fields = named.flat_map(|(at, column)| own_names(column).map(move |name| (name.to_owned(), at)));
        return Ok(Header {
            positions: vec![Some(0); contract.columns.len()],
            fields: fields.collect(),
            unknown: BTreeSet::new(),
        });
    }
    match_header(contract, path, &opened.names, pack)
}

/// Matches the names of a header.
///
/// # Errors
/// As [`match_names`].
pub(super) fn match_header(contract: &Contract, path: &str, names: &[String], pack: Pack) -> Result<Header> {
    if names.iter().all(|name| name.trim().is_empty()) {
        return Err(fail(Kind::Input, "source_empty", &[&path]));
    }
    let standings: Vec<Standing> = contract.columns.iter().map(|column| standing(column, names)).collect();
    // a first line without a single column of the contract may be a row: its words are not shown
    let is_header = !standings.iter().all(|standing| matches!(standing, Standing::Absent));
    let shown = |name: &str| {
        if is_header {
            listed(name, pack)
        } else {
            scan::mask(name)
        }
    };
    check_allowed(contract, path, names.iter(), shown)?;
    let told = if is_header { names } else { &[] };
    let mut problems = Vec::new();
    let mut positions = Vec::with_capacity(contract.columns.len());
    let mut fields = HashMap::new();
    for (at, (column, standing)) in contract.columns.iter().zip(standings).enumerate() {
        let found = match standing {
            Standing::At(position) => {
                fields.insert(names[position].clone(), at);
                Some(position)
            }
            Standing::Absent => None,
            Standing::Twice(first, second) => {
                let twice: [&dyn std::fmt::Display; 3] = [&column.name, &names[first], &names[second]];
                problems.push(problem(path, Message::new("source_column_twice", &twice)));
                Some(first)
            }
        };
        if found.is_none() && column.must_come() {
            problems.push(missing(path, column, told.iter().map(String::as_str), pack));
        }
        positions.push(found);
    }
    if !problems.is_empty() {
        let key = if is_header {
            "source_header"
        } else {
            "source_header_none"
        };
        let twice = |problem: &Problem| problem.message.key() == "source_column_twice";
        let hint = match names {
            _ if is_header && problems.iter().all(twice) => "source_column_twice_hint",
            _ if is_header => "source_header_hint",
            // one name where there should be many is the mark between them
            [_] if contract.columns.len() > 2 => "source_single_hint",
            _ => "source_header_none_hint",
        };
        let error = fail(Kind::Input, key, &[&path, &contract.name, &contract.columns.len()]);
        return Err(error.with_problems(problems).hint(hint, &[&contract.path]));
    }
    let unknown: BTreeSet<String> = names
        .iter()
        .enumerate()
        .filter(|(at, _)| !positions.contains(&Some(*at)))
        .map(|(at, name)| match name.is_empty() {
            true => format!("column {}", at + 1),
            false => listed(name, pack),
        })
        .take(UNKNOWN_NAMES)
        .collect();
    if contract.stop_at_unknown && !unknown.is_empty() {
        return Err(undeclared(contract, path, unknown));
    }
    Ok(Header {
        positions,
        fields,
        unknown,
    })
}

/// The error of names that the contract does not know and stops at.
pub(super) fn undeclared(contract: &Contract, path: &str, names: impl IntoIterator<Item = String>) -> Error {
    let problems = names
        .into_iter()
        .map(|name| problem(path, Message::new("source_column_unknown", &[&name])));
    fail(Kind::Input, "source_header", &[&path, &contract.name])
        .with_problems(problems.collect())
        .hint("source_column_unknown_hint", &[&contract.path])
}

/// The error of columns that no record of a source brought; `None` where every one that must come did.
pub(super) fn never_met(
    contract: &Contract,
    path: &str,
    met: &[bool],
    unknown: &BTreeSet<String>,
    pack: Pack,
) -> Option<Error> {
    let absent = contract
        .columns
        .iter()
        .zip(met)
        .filter(|(column, met)| !**met && column.must_come());
    let problems: Vec<Problem> = absent
        .map(|(column, _)| missing(path, column, unknown.iter().map(String::as_str), pack))
        .collect();
    let error = fail(Kind::Input, "source_header", &[&path, &contract.name]);
    (!problems.is_empty()).then(|| {
        error
            .with_problems(problems)
            .hint("source_absent_hint", &[&contract.path])
    })
}

fn missing<'n>(path: &str, column: &Column, names: impl Iterator<Item = &'n str>, pack: Pack) -> Problem {
    let near = text::closest(&column.from, names).map_or_else(|| "—".to_owned(), |near| listed(near, pack));
    problem(path, Message::new("source_column_missing", &[&column.from, &near]))
}

/// The names that a column can have in the source.
fn own_names(column: &Column) -> impl Iterator<Item = &str> {
    std::iter::once(column.from.as_str()).chain(column.aliases.iter().map(String::as_str))
}

/// Where a column stands in a header.
enum Standing {
    Absent,
    At(usize),
    Twice(usize, usize),
}

/// By its own name, else by another that the contract gives it, else by one that differs from these in
/// case, width and blanks alone. A name that stands twice is no answer.
fn standing(column: &Column, names: &[String]) -> Standing {
    let places =
        |fits: &dyn Fn(&str) -> bool| -> Vec<usize> { (0..names.len()).filter(|at| fits(&names[*at])).collect() };
    let mut found = places(&|name| name == column.from);
    if found.is_empty() {
        found = places(&|name| column.aliases.iter().any(|alias| alias == name));
    }
    if found.is_empty() {
        let known: Vec<String> = own_names(column).map(folded).collect();
        found = places(&|name| known.contains(&folded(name)));
    }
    match found[..] {
        [] => Standing::Absent,
        [only] => Standing::At(only),
        [first, second, ..] => Standing::Twice(first, second),
    }
}

/// A name without what people do not see in it: case, width and blanks.
pub(super) fn folded(name: &str) -> String {
    let half = scan::half_width(name);
    half.chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A name as it may be listed: it can be a value by mistake.
pub(super) fn listed(name: &str, pack: Pack) -> String {
    match scan::first(scan::half_width(name).as_bytes(), pack) {
        Some(_) => scan::mask(name),
        None => name.to_owned(),
    }
}

/// Refuses names of the lexicon that the contract does not waive; `shown` is how a name may be told.
pub(super) fn check_allowed<'a>(
    contract: &Contract,
    path: &str,
    names: impl Iterator<Item = &'a String>,
    shown: impl Fn(&str) -> String,
) -> Result<()> {
    let problems: Vec<Problem> = names
        .filter(|name| !contract.waived.contains(name))
        .filter_map(|name| {
            let entry = lexicon::forbidden(name)?;
            Some(problem(
                path,
                Message::new("source_forbidden_name", &[&shown(name), &entry]),
            ))
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
