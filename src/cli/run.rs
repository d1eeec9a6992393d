//! `fenghuo run`: plan, ingest, build, check, release, pages.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::open::{At, Opened};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, io_error};
use crate::pipeline::{Outcome, Request, openlineage};

/// Run a pipeline: ingest, build, check, publish
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pipeline
    #[arg(value_name = "PIPELINE", default_value = "nightly")]
    pipeline: String,
    /// Append the run to a file as OpenLineage events
    #[arg(long, value_name = "FILE")]
    openlineage: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.open()?;
    let key = opened.key()?;
    let run = opened.run(&key)?;
    let outcome = run.pipeline(&Request::all(&args.pipeline), printer).await;
    if let Some(path) = &args.openlineage {
        // a run that another one kept from beginning is not on record
        if !matches!(&outcome, Err(error) if error.kind() == Kind::Conflict) {
            append(
                path,
                &openlineage::events(&opened.site, &opened.lake, &run.run_id).await?,
            )?;
        }
    }
    told(&outcome?, printer);
    Ok(())
}

/// Appends events to a file, one a line.
fn append(path: &Path, events: &[serde_json::Value]) -> Result<()> {
    let failed = |cause: std::io::Error| io_error(path, &cause);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    for event in events {
        writeln!(file, "{event}").map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

/// Runs a pipeline on an opened site.
pub(super) async fn pipeline(opened: &Opened, name: &str, printer: &Printer) -> Result<Outcome> {
    let key = opened.key()?;
    opened.run(&key)?.pipeline(&Request::all(name), printer).await
}

/// Says what a run did.
pub(super) fn told(outcome: &Outcome, printer: &Printer) {
    for line in switched_off(&outcome.off, printer) {
        printer.line(&line);
    }
    for change in &outcome.changes {
        if change.table.starts_with("warning.") {
            printer.say(
                "run_warnings",
                &[&change.table, &change.added, &change.removed, &change.changed],
            );
        } else if change.before != change.after {
            let rows = |rows: Option<u64>| rows.map_or_else(|| "—".to_owned(), |rows| rows.to_string());
            printer.say(
                "run_changed",
                &[&change.table, &rows(change.before), &rows(change.after)],
            );
        }
    }
    for page in &outcome.pages {
        printer.say("page_written", &[page]);
    }
}

/// What is switched off, a line for each missing input.
pub(super) fn switched_off(off: &BTreeMap<String, String>, printer: &Printer) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (model, input) in off {
        reasons.entry(input).or_default().push(model);
    }
    let lines = reasons.into_iter();
    lines
        .map(|(input, models)| printer.words("models_off", &[&models.join(", "), &input]))
        .collect()
}
