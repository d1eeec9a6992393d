//! `fenghuo contract`: draft a contract from samples, explain a file against one, and print the SELECT
//! that its source's administrator runs.

use std::path::{Path, PathBuf};

use crate::cli::clock::SystemClock;
use crate::cli::open::{Opened, named};
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::config::Site;
use crate::config::settings::Pack;
use crate::config::site::standard_files;
use crate::contract::Contract;
use crate::contract::source_sql::{SqlDialect, select};
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::ingest::infer::{Sample, infer};
use crate::ingest::{explain, head};
use crate::pipeline::files::{Assigned, assign, contracts, named_files};
use crate::time::Clock;

/// Bytes of a file that a draft is made from.
const SAMPLE_BYTES: u64 = 32 << 20;

/// Draft a contract, check a file against one, or print its SELECT
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Draft a contract from samples
    Infer {
        /// Files of the source
        #[arg(id = "samples", value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Name of the contract, the first file's where it is not given
        #[arg(long = "name", id = "draft_name", value_name = "NAME")]
        name: Option<String>,
        /// Model to draft the adapter for, such as core.alarm
        #[arg(long = "to", id = "draft_to", value_name = "MODEL")]
        to: Option<String>,
        /// Write the drafts into the site instead of printing them
        #[arg(long = "write", id = "draft_write")]
        write: bool,
    },
    /// Explain a file against a contract without writing anything
    Check {
        /// File to explain
        #[arg(id = "checked_file", value_name = "FILE")]
        file: PathBuf,
        /// Contract, where it is not the one that claims the file
        #[arg(long = "contract", id = "checked_contract", value_name = "NAME")]
        contract: Option<String>,
    },
    /// Print the SELECT of the allowed columns
    SourceSql {
        /// Contract
        #[arg(id = "exported_contract", value_name = "CONTRACT")]
        contract: String,
        /// postgres, oracle or mysql
        #[arg(long = "dialect", id = "sql_dialect", value_name = "DIALECT", value_parser = ["postgres", "oracle", "mysql"], default_value = "postgres")]
        dialect: String,
        /// Table of the source
        #[arg(long = "table", id = "source_table", value_name = "TABLE")]
        table: Option<String>,
    },
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    match &args.action {
        Action::Infer { files, name, to, write } => draft(site, files, name.as_deref(), to.as_deref(), *write, printer),
        Action::Check { file, contract } => check(site, file, contract.as_deref(), printer).await,
        Action::SourceSql {
            contract,
            dialect,
            table,
        } => {
            let site = Site::open(site)?;
            let found = named(&contracts(&site)?, contract)?.clone();
            let dialect = SqlDialect::NAMES.into_iter().find(|(name, _)| name == dialect);
            let dialect = dialect.map_or(SqlDialect::Postgres, |(_, dialect)| dialect);
            printer.data(&select(&found, table.as_deref().unwrap_or(contract), dialect))
        }
    }
}

/// Refuses a model that the standard site does not have.
fn adapted(to: &str) -> Result<()> {
    let files = standard_files().map(|(path, _)| path);
    let models: Vec<String> = files
        .filter_map(|path| Some(path.strip_prefix("sql/")?.strip_suffix(".sql")?.replace('/', ".")))
        .filter(|model| model.starts_with("core.") || model.starts_with("ref."))
        .collect();
    if models.iter().any(|model| model == to) {
        return Ok(());
    }
    let error = fail(Kind::Missing, "no_model", &[&to]);
    Err(error.hint("known_are", &[&models.join(" ")]))
}

fn draft(
    site: &Path,
    files: &[PathBuf],
    name: Option<&str>,
    to: Option<&str>,
    write: bool,
    printer: &Printer,
) -> Result<()> {
    // a draft needs no site, unless it is written into one
    let opened = if write {
        Some(Site::open(site)?)
    } else {
        Site::open(site).ok()
    };
    let pack = opened
        .as_ref()
        .map_or(Pack::Cn, |site| site.settings.site.identifier_pack);
    if let Some(to) = to {
        adapted(to)?;
    }
    let mut heads = Vec::new();
    for file in files {
        heads.push(head(file, SAMPLE_BYTES)?);
    }
    let samples: Vec<Sample<'_>> = heads
        .iter()
        .map(|(name, bytes, whole)| Sample {
            name,
            bytes,
            whole: *whole,
        })
        .collect();
    let first = files
        .first()
        .and_then(|file| file.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    let name = name.unwrap_or_else(|| first.split('.').next().unwrap_or("source"));
    let draft = infer(name, &samples, to, pack)?;
    for note in &draft.notes {
        printer.line(note);
    }
    if !draft.forbidden.is_empty() {
        printer.say("infer_forbidden", &[&draft.forbidden.join(", ")]);
    }
    let mut parts = vec![(format!("pipelines/contracts/{name}.toml"), draft.contract)];
    match (to, draft.adapter) {
        (Some(to), Some(adapter)) => parts.push((format!("sql/{}.sql", to.replace('.', "/")), adapter)),
        (Some(to), None) => printer.say("infer_no_adapter", &[&to, &to.replace('.', "/")]),
        (None, _) => {}
    }
    if write {
        let lists = draft.codes.into_iter();
        parts.extend(lists.map(|(list, text)| (format!("pipelines/codes/{list}.csv"), text)));
    }
    match opened.filter(|_| write) {
        Some(site) => {
            let there = |path: &&String| !path.ends_with(".csv") && site.path(path).exists();
            if let Some(path) = parts.iter().map(|(path, _)| path).find(there) {
                return Err(fail(Kind::Conflict, "infer_exists", &[&site.path(path).display()]));
            }
            for (path, text) in &parts {
                // a code list that is there already was decided by somebody
                if path.ends_with(".csv") && site.path(path).exists() {
                    printer.say("infer_kept", &[path]);
                    continue;
                }
                put(&site.path(path), text)?;
                printer.say("infer_written", &[path]);
            }
            Ok(())
        }
        None => {
            let many = parts.len() > 1;
            for (path, text) in &parts {
                let mark = if path.ends_with(".sql") { "--" } else { "#" };
                let head = if many {
                    format!("{mark} ==== {path} ====\n")
                } else {
                    String::new()
                };
                printer.data(&format!("{head}{text}"))?;
            }
            Ok(())
        }
    }
}

/// Writes a new file; what a person wrote is never overwritten.
fn put(path: &Path, text: &str) -> Result<()> {
    let failed = |cause: std::io::Error| -> Error {
        if cause.kind() == std::io::ErrorKind::AlreadyExists {
            fail(Kind::Conflict, "infer_exists", &[&path.display()])
        } else {
            io_error(path, &cause)
        }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}

async fn check(site: &Path, file: &Path, name: Option<&str>, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let contracts = contracts(&opened.site)?;
    let contract = match name {
        Some(name) => named(&contracts, name)?.clone(),
        None => {
            let same = |path: &Path| path.canonicalize().ok() == file.canonicalize().ok();
            let claimed = assign(&opened.site, &contracts).await?;
            let claimed = claimed
                .into_iter()
                .find(|assigned| assigned.source.holder().is_some_and(same));
            claimed.map(|assigned| assigned.contract).ok_or_else(|| {
                let kind = if file.exists() { Kind::Input } else { Kind::Missing };
                fail(kind, "check_unclaimed", &[&file.display()]).hint("check_unclaimed_hint", &[])
            })?
        }
    };
    let mut failed = Vec::new();
    for file in named_files(&opened.site, &contract, file) {
        failed.extend(check_one(&contract, &file, &opened, printer).err());
    }
    // of several files of an archive the first that fails is the answer, the others were shown
    failed.into_iter().next().map_or(Ok(()), Err)
}

fn check_one(contract: &Contract, file: &Assigned, opened: &Opened, printer: &Printer) -> Result<()> {
    let shown = &file.shown;
    let found = explain(contract, &file.source, shown, &opened.site.settings, SystemClock.now())?;
    let good = found.read - found.rejected;
    printer.say(
        "check_account",
        &[&contract.name, &found.read, &good, &found.rejected, &found.blanked],
    );
    for finding in &found.findings {
        printer.finding(shown, finding);
    }
    if !found.unknown.is_empty() {
        printer.say("check_unknown", &[&found.unknown.join(", ")]);
    }
    if found.rejected == 0 {
        return Ok(());
    }
    let (columns, reasons) = found.reasons.keys().cloned().unzip();
    let table = vec![
        ("column", texts(columns)),
        ("reason", texts(reasons)),
        ("rows", numbers(found.reasons.values().copied().collect())),
    ];
    Output::csv().columns(table, printer)?;
    let rejected = usize::try_from(found.rejected).unwrap_or(usize::MAX);
    let error = fail(Kind::Check, "check_failed_rows", &[shown, &found.rejected, &found.read]);
    Err(error.with_problems(found.problems).of_all(rejected))
}
