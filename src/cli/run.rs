//! `fenghuo run`: plan, ingest, build, check, release, pages.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::error::Result;
use crate::pipeline::{Outcome, Request};

/// Run a pipeline: ingest, build, check, publish
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pipeline
    #[arg(value_name = "PIPELINE", default_value = "nightly")]
    pipeline: String,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let outcome = pipeline(&opened, &args.pipeline, printer).await?;
    told(&outcome, printer);
    Ok(())
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
