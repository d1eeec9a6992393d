//! Which file belongs to which contract.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::Site;
use crate::config::site::{SiteFile, relative};
use crate::config::text;
use crate::contract::{CodeList, Contract, Protect, contracts as resolve};
use crate::error::{Kind, Problem, Result, fail, io_error};
use crate::ingest::arrival::is_companion;
use crate::message::Message;
use crate::protect::lexicon;

/// A source file with its contract.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The contract.
    pub contract: Contract,
    /// The file.
    pub path: PathBuf,
    /// The file as the user knows it, relative to the site.
    pub shown: String,
    /// Its size.
    pub bytes: u64,
}

/// The contracts of a site.
///
/// # Errors
/// `Input` with every problem of every contract and code list.
pub fn contracts(site: &Site) -> Result<Vec<Contract>> {
    let mut codes = BTreeMap::new();
    for file in site.files("pipelines/codes", ".csv")? {
        codes.insert(file.stem().to_owned(), CodeList::parse(&file)?);
    }
    let files = site.files("pipelines/contracts", ".toml")?;
    let contracts = resolve(&files, &codes)?;
    let problems: Vec<Problem> = contracts
        .iter()
        .flat_map(|contract| personal(contract, &files))
        .collect();
    if problems.is_empty() {
        Ok(contracts)
    } else {
        Err(fail(Kind::Input, "contracts_invalid", &[]).with_problems(problems))
    }
}

/// Columns that say whose they are and are public all the same.
fn personal(contract: &Contract, files: &[SiteFile]) -> Vec<Problem> {
    let Some(file) = files.iter().find(|file| file.path == contract.path) else {
        return Vec::new();
    };
    let open = contract
        .columns
        .iter()
        .filter(|column| matches!(column.protect, Protect::Public | Protect::Place));
    open.filter(|column| !contract.waived.contains(&column.from))
        .filter_map(|column| {
            let entry = lexicon::personal(&column.name).or_else(|| lexicon::personal(&column.from))?;
            let message = Message::new("contract_personal", &[&column.name, &entry]);
            Some(text::problem_at_word(&file.path, &file.text, &column.name, message))
        })
        .collect()
}

/// The files of the contracts, in the order of their paths. A file that several contracts of one
/// table name belongs to the most exact name.
///
/// # Errors
/// `Unavailable` or `Denied` where a folder cannot be read.
pub fn assign(site: &Site, contracts: &[Contract]) -> Result<Vec<Assigned>> {
    let mut claims: BTreeMap<PathBuf, (usize, &Contract)> = BTreeMap::new();
    for contract in contracts {
        let exactness = if contract.from.contains('*') {
            contract.from.len()
        } else {
            usize::MAX
        };
        for path in matching(site, &contract.from)? {
            let claim = claims.entry(path).or_insert((exactness, contract));
            if exactness > claim.0 {
                *claim = (exactness, contract);
            }
        }
    }
    Ok(claims
        .into_iter()
        .map(|(path, (_, contract))| Assigned {
            contract: contract.clone(),
            shown: relative(site.root(), &path),
            bytes: std::fs::metadata(&path).map_or(0, |found| found.len()),
            path,
        })
        .collect())
}

/// The files of a pattern with `*` inside its last part.
fn matching(site: &Site, pattern: &str) -> Result<Vec<PathBuf>> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let folder = site.path(folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(io_error(&folder, &cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| io_error(&folder, &cause))?;
        let found_name = entry.file_name();
        let found_name = found_name.to_string_lossy();
        if fits(name, &found_name) && !is_companion(&found_name) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern with `*` for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(tail) = name.strip_prefix(first) else {
        return false;
    };
    (0..=tail.len())
        .filter(|at| tail.is_char_boundary(*at))
        .any(|at| fits(rest, &tail[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(fits("*.csv", "990101.csv") && fits("cfs_*.csv.gz", "cfs_2024-01.csv.gz") && fits("a.csv", "a.csv"));
        assert!(!fits("*.csv", "a.csv.gz") && !fits("a*b", "ac"));
    }
}
