//! `fenghuo retry`: exactly what the last run left undone.

use std::path::Path;

use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::cli::run::told;
use crate::error::Result;
use crate::pipeline::retry;

/// Repeat exactly the failed and skipped steps of a run, with its clock
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run, the newest by default
    #[arg(value_name = "RUN", id = "past_run")]
    run: Option<String>,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let Some(request) = retry::request(&opened.site, &opened.lake, args.run.as_deref()).await? else {
        printer.say("retry_nothing", &[]);
        return Ok(());
    };
    printer.say("retry_of", &[&request.part_of.as_deref().unwrap_or_default()]);
    let key = opened.key()?;
    let outcome = opened.run(&key)?.pipeline(&request, printer).await?;
    told(&outcome, printer);
    Ok(())
}
