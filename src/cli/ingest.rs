//! `fenghuo ingest`: source files into source tables, without building anything.

use std::path::{Path, PathBuf};

use crate::cli::open::{Opened, named};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::pipeline::files::{assign, contracts, named_files};

/// Read source files into source tables
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Contract to ingest; all without it
    #[arg(value_name = "CONTRACT")]
    contract: Option<String>,
    /// Files, where they are not the contract's own
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Take a stored batch back
    Withdraw {
        /// Batch, at least six digits of its name
        #[arg(value_name = "BATCH")]
        batch: String,
    },
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let key = opened.key()?;
    let contracts = contracts(&opened.site)?;
    let run = opened.run(&key)?;
    if let Some(Action::Withdraw { batch }) = &args.action {
        let (file, rows) = run.withdraw(&contracts, batch).await?;
        printer.say("batch_withdrawn", &[&file, &rows]);
        return Ok(());
    }
    let mut files = assign(&opened.site, &contracts).await?;
    files.retain(|file| !file.contract.on_request || args.contract.as_ref() == Some(&file.contract.name));
    if let Some(name) = &args.contract {
        let contract = named(&contracts, name)?;
        if args.files.is_empty() {
            files.retain(|file| file.contract.name == *name);
        } else {
            files = args
                .files
                .iter()
                .flat_map(|path| named_files(&opened.site, contract, path))
                .collect();
        }
    }
    if files.is_empty() {
        let pattern = args
            .contract
            .as_ref()
            .and_then(|name| contracts.iter().find(|contract| contract.name == *name));
        let pattern = pattern.map_or_else(|| "inbox/*".to_owned(), |contract| contract.from.clone());
        return Err(fail(Kind::Missing, "no_files", &[&pattern]));
    }
    let outcome = run.files(&files, &contracts, !args.files.is_empty(), printer).await?;
    let sum = |of: fn(&crate::ingest::Report) -> u64| outcome.reports.iter().map(of).sum::<u64>();
    printer.say(
        "ingest_done",
        &[
            &outcome.reports.len(),
            &sum(|r| r.read),
            &sum(|r| r.accepted),
            &sum(|r| r.duplicate),
            &sum(|r| r.rejected),
        ],
    );
    Ok(())
}
