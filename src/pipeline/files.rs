//! Which file belongs to which contract.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::Site;
use crate::config::site::{SiteFile, relative};
use crate::config::text;
use crate::contract::{CodeList, Contract, Protect, contracts as resolve};
use crate::error::{Kind, Problem, Result, fail, io_error};
use crate::ingest::arrival::is_companion;
use crate::ingest::tables::source_schema;
use crate::ingest::{Source, sources_in};
use crate::message::Message;
use crate::protect::lexicon;

/// A source file with its contract.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The contract.
    pub contract: Contract,
    /// Where it is read from.
    pub source: Source,
    /// The file as the user knows it, relative to the site.
    pub shown: String,
    /// Its size.
    pub bytes: u64,
}

impl Assigned {
    fn new(site: &Site, contract: &Contract, (source, bytes): (Source, u64)) -> Assigned {
        Assigned {
            contract: contract.clone(),
            shown: relative(site.root(), &source.path()),
            bytes,
            source,
        }
    }
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
    let own = contracts.iter().flat_map(|contract| personal(contract, &files));
    let problems: Vec<Problem> = own.chain(disagreements(&contracts, &files)).collect();
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

/// Contracts that land in the table of another with columns of their own.
fn disagreements(contracts: &[Contract], files: &[SiteFile]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &Contract> = BTreeMap::new();
    let mut problems = Vec::new();
    for contract in contracts {
        let known = *first.entry(&contract.into).or_insert(contract);
        if source_schema(known).0 == source_schema(contract).0 {
            continue;
        }
        let names: [&dyn std::fmt::Display; 3] = [&known.name, &contract.name, &contract.into];
        let message = Message::new("contracts_disagree", &names);
        let file = files.iter().find(|file| file.path == contract.path);
        problems.extend(file.map(|file| text::problem_at_word(&file.path, &file.text, &contract.into, message)));
    }
    problems
}

/// What a contract claims: a path, the files of an archive that it means, and its table. A file can feed
/// several tables, each by one contract.
type Claim<'a> = (PathBuf, Option<&'a str>, &'a str);

/// The files of the contracts, in the order of their paths; the files of a ZIP archive are files of
/// their own. A file that several contracts of one table name belongs to the most exact name.
///
/// # Errors
/// `Unavailable` or `Denied` where a folder or store cannot be read.
pub async fn assign(site: &Site, contracts: &[Contract]) -> Result<Vec<Assigned>> {
    let mut claims: BTreeMap<Claim<'_>, (usize, &Contract, Source)> = BTreeMap::new();
    let databases = contracts.iter().filter(|contract| contract.pull.is_some());
    let mut assigned: Vec<Assigned> = databases
        .map(|contract| Assigned {
            contract: contract.clone(),
            shown: contract.from.clone(),
            bytes: 0,
            source: Source::from(PathBuf::from(&contract.from)),
        })
        .collect();
    for contract in contracts.iter().filter(|contract| contract.pull.is_none()) {
        let exactness = if contract.from.contains('*') {
            contract.from.len()
        } else {
            usize::MAX
        };
        for source in matching(site, &contract.from).await? {
            let name = (source.path(), contract.member.as_deref(), contract.into.as_str());
            let claim = claims
                .entry(name)
                .or_insert_with(|| (exactness, contract, source.clone()));
            if exactness > claim.0 {
                *claim = (exactness, contract, source);
            }
        }
    }
    for ((_, member, _), (_, contract, source)) in claims {
        let member = member.map(str::to_owned);
        let opened = tokio::task::spawn_blocking(move || within(source, member.as_deref()));
        let opened = opened
            .await
            .map_err(|cause| fail(Kind::Bug, "parser_died", &[&contract.from]).because(cause))?;
        assigned.extend(opened.into_iter().map(|found| Assigned::new(site, contract, found)));
    }
    Ok(assigned)
}

/// A source and its bytes, or what an archive holds; an archive that cannot be opened stands for itself,
/// and says why when its turn comes.
fn within(source: Source, member: Option<&str>) -> Vec<(Source, u64)> {
    let bytes = |source: &Source| source.look().map_or(0, |looked| looked.bytes);
    let Ok(Some(members)) = sources_in(&source) else {
        let bytes = bytes(&source);
        return vec![(source, bytes)];
    };
    let is_meant = |source: &Source| {
        let path = source.path();
        let path = path.to_string_lossy();
        member.is_none_or(|member| fits(member, path.rsplit('!').next().unwrap_or_default()))
    };
    let meant: Vec<Source> = members.into_iter().filter(is_meant).collect();
    if meant.is_empty() {
        return vec![(source, 0)];
    }
    let sized = |source| {
        let bytes = bytes(&source);
        (source, bytes)
    };
    meant.into_iter().map(sized).collect()
}

/// A file that a person named, or what it holds.
pub fn named_files(site: &Site, contract: &Contract, path: &std::path::Path) -> Vec<Assigned> {
    within(Source::from(path.to_owned()), contract.member.as_deref())
        .into_iter()
        .map(|found| Assigned::new(site, contract, found))
        .collect()
}

/// The files of a pattern with `*` inside its last part.
async fn matching(site: &Site, pattern: &str) -> Result<Vec<Source>> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    if pattern.contains("://") {
        let found = crate::lake::remote::objects(folder, &site.stores).await?;
        let meant = found
            .into_iter()
            .filter(|object| fits(name, object.name()) && !is_companion(object.name()));
        return Ok(meant.map(Source::from).collect());
    }
    let folder = site.path(folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        // a folder that cannot be looked into stands for its files, and says why when their turn comes
        Err(_) => return Ok(vec![Source::from(folder)]),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| io_error(&folder, &cause))?;
        let found_name = entry.file_name();
        let found_name = found_name.to_string_lossy();
        // what cannot be looked at is a source too, and says why when its turn comes
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|found| found.is_dir());
        if fits(name, &found_name) && !is_companion(&found_name) && !is_folder {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found.into_iter().map(Source::from).collect())
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
