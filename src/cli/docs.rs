//! `fenghuo docs`: the reference, as Markdown.

use clap::builder::PossibleValuesParser;
use clap::{Subcommand, ValueHint};

use crate::cli::print::Printer;
use crate::error::Result;
use crate::func::{docs, register};

/// Print the reference
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Functions {
        /// Function
        #[arg(value_parser = names(), value_hint = ValueHint::Other)]
        function: Option<String>,
    },
}

/// The names of all functions, which completions offer.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(register::names())
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<()> {
    let What::Functions { function } = &args.what;
    match function {
        None => printer.data(&docs::document()),
        Some(name) => {
            let page = docs::pages().into_iter().find(|page| page.names.contains(name));
            printer.data(&page.as_ref().map(docs::markdown).unwrap_or_default())
        }
    }
}
