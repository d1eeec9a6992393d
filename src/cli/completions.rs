//! `fenghuo completions`: completion scripts for shells.

use crate::cli::command;
use crate::cli::print::Printer;
use crate::error::Result;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(printer.language()), "fenghuo", &mut script);
    printer.bytes(&script)
}
