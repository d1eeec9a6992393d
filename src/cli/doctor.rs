//! `fenghuo doctor`: whether this machine and this site can do the work.

use std::path::Path;

use chrono::DateTime;

use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::contract::Contract;
use crate::error::{Error, Kind, Result, fail};
use crate::lake::Lake;
use crate::model::Models;
use crate::pipeline::files::contracts;
use crate::pipeline::leftovers::leftovers;
use crate::pipeline::run::calendar;
use crate::pipeline::waiver::waivers;
use crate::share::profile::Profile;
use crate::time::Clock;

/// Check the site, its key, its lake and its models
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let lake = &opened.lake;
    let contracts = contracts(&opened.site);
    // without contracts nothing can be said of what lies there, and why is said already
    let lying = match &contracts {
        Ok(contracts) => Some(lying(&opened, contracts).await),
        Err(_) => None,
    };
    let mut findings: Vec<(&'static str, Result<String>)> = vec![
        ("doctor_key", opened.key().map(|_| String::new())),
        ("doctor_outside", key_outside(&opened)),
        (
            "doctor_waivers",
            contracts
                .as_ref()
                .map_or_else(|_| Ok(String::new()), |contracts| waived(&opened, contracts, printer)),
        ),
        ("doctor_contracts", contracts.map(|found| found.len().to_string())),
        (
            "doctor_models",
            Models::load(&opened.site).map(|models| models.ordered.len().to_string()),
        ),
        ("doctor_lake", probe(lake)),
        ("doctor_tables", tables(lake).await),
        (
            "doctor_releases",
            lake.releases().await.map(|numbers| numbers.len().to_string()),
        ),
        ("doctor_pull", providers(&opened)),
        ("doctor_leftovers", staged(lake)),
    ];
    findings.extend(lying.map(|lying| ("doctor_lying", lying)));
    let mut failed: Vec<Error> = Vec::new();
    for (title, finding) in findings {
        let title = printer.words(title, &[]);
        match finding {
            Ok(detail) => printer.data(&format!("ok      {title} {detail}\n"))?,
            Err(error) => {
                printer.data(&format!("failed  {title}\n"))?;
                failed.push(error);
            }
        }
    }
    for error in &failed {
        printer.error(error);
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(fail(Kind::Check, "doctor_failed", &[&failed.len()]))
    }
}

/// Source files that lie where they came in: what waits, what is new, what was read, what is due to go.
async fn lying(opened: &Opened, contracts: &[Contract]) -> Result<String> {
    let lying = leftovers(&opened.site, &opened.lake, contracts, SystemClock.now()).await?;
    let mut words = std::collections::BTreeMap::new();
    for ((_, lying), heap) in lying {
        *words.entry(lying).or_insert(0) += heap.files;
    }
    let words = words
        .into_iter()
        .map(|(lying, files)| format!("{} {files}", lying.word()));
    Ok(words.collect::<Vec<_>>().join(", "))
}

/// How many windows are waived, and which waivers have expired.
fn waived(opened: &Opened, contracts: &[Contract], printer: &Printer) -> Result<String> {
    let all = waivers(&opened.site, contracts)?;
    let today = calendar(&opened.site)?.day_and_hour(SystemClock.now());
    let expired = all
        .iter()
        .filter(|waiver| today.is_some_and(|(day, _)| waiver.until < day));
    let expired: Vec<&str> = expired.map(|waiver| waiver.name.as_str()).collect();
    Ok(match expired.is_empty() {
        true => all.len().to_string(),
        false => printer.words("waivers_expired", &[&all.len(), &expired.join(", ")]),
    })
}

/// How many providers there are; each profile has to be readable and its token alive. Whether a provider takes it,
/// the next pull tells.
fn providers(opened: &Opened) -> Result<String> {
    let profiles = &opened.site.settings.pull.profiles;
    for profile in profiles {
        let read = Profile::read(&opened.site.path(profile))?;
        let ends = read.expiration_time.as_deref().map(DateTime::parse_from_rfc3339);
        if let Some(Ok(ends)) = ends
            && ends.timestamp_micros() <= SystemClock.now()
        {
            let error = fail(Kind::Denied, "doctor_pull_ended", &[&ends, profile]);
            return Err(error.hint("pull_token_hint", &[]));
        }
    }
    Ok(profiles.len().to_string())
}

/// A key inside the lake would leave with every copy of it.
fn key_outside(opened: &Opened) -> Result<String> {
    let path = opened.site.path(&opened.site.settings.lake.key_file);
    match path.canonicalize() {
        Ok(path) if path.starts_with(opened.lake.root()) => Err(fail(Kind::Denied, "key_in_lake", &[&path.display()])),
        _ => Ok(String::new()),
    }
}

/// Commits need hard links that refuse an existing name.
fn probe(lake: &Lake) -> Result<String> {
    let first = lake.root().join(format!("probe-{}", std::process::id()));
    let second = first.with_extension("link");
    let outcome = (|| {
        std::fs::write(&first, b"probe")?;
        std::fs::hard_link(&first, &second)?;
        match std::fs::hard_link(&first, &second) {
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(cause) => Err(cause),
            Ok(()) => Err(std::io::Error::other("an existing name was linked over")),
        }
    })();
    for path in [&first, &second] {
        let _ = std::fs::remove_file(path);
    }
    outcome
        .map(|()| String::new())
        .map_err(|cause| crate::error::io_error(lake.root(), &cause))
}

async fn tables(lake: &Lake) -> Result<String> {
    let names = lake.table_names().await?;
    for name in &names {
        if let Some(table) = lake.table(name).await? {
            table.rows()?;
        }
    }
    Ok(names.len().to_string())
}

/// Staged files of writers that died; harmless, and reported with their number.
fn staged(lake: &Lake) -> Result<String> {
    let mut pending = vec![lake.root().to_owned()];
    let mut found = 0;
    while let Some(folder) = pending.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|cause| crate::error::io_error(&folder, &cause))?;
        for entry in entries.flatten() {
            if entry.path().is_dir() {
                pending.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains('#') {
                found += 1;
            }
        }
    }
    Ok(found.to_string())
}
