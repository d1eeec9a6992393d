//! `fenghuo workbook`: pages of a release.

use std::path::PathBuf;

use crate::cli::open::At;
use crate::cli::print::Printer;
use crate::error::{Result, io_error};
use crate::pipeline::files::contracts;
use crate::pipeline::pages;

/// Render workbooks on a release
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Render a workbook
    Run {
        /// Name of the workbook
        name: String,
        /// Release to read, the newest by default
        #[arg(long, value_name = "RELEASE", env = "FENGHUO_AS_OF")]
        as_of: Option<u64>,
        /// What to write
        #[arg(long, default_value = "html", value_parser = ["html", "terminal"])]
        output: String,
        /// Where to write it, instead of the pages folder
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let Verb::Run {
        name,
        as_of,
        output,
        out,
    } = &args.verb;
    let opened = at.look()?;
    let release = opened.release(*as_of).await?;
    let contracts = contracts(&opened.site)?;
    if output == "html" && out.is_none() {
        let page = pages::write(&opened.site, &opened.lake, name, &release, &contracts).await?;
        printer.say("page_written", &[&page]);
        return Ok(());
    }
    let page = pages::render(&opened.site, &opened.lake, name, &release, &contracts).await?;
    let text = if output == "html" {
        page.html()?
    } else {
        page.text(printer.language())
    };
    match out {
        Some(path) => std::fs::write(path, text).map_err(|cause| io_error(path, &cause)),
        None => printer.data(&text),
    }
}
