//! `fenghuo schema`: JSON Schemas of the files people write, for editors.

use clap::ValueEnum;

use crate::cli::print::Printer;
use crate::config::Settings;
use crate::contract::file::ContractFile;
use crate::error::{Kind, Result, fail};
use crate::model::product::ProductFile;
use crate::pipeline::Definition;
use crate::pipeline::waiver::WaiverFile;
use crate::share::definition::ShareFile;

/// Print the JSON Schema of a file
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of file
    #[arg(value_enum)]
    file: File,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum File {
    /// fenghuo.toml
    Settings,
    /// pipelines/contracts/*.toml
    Contract,
    /// pipelines/*.toml
    Pipeline,
    /// pipelines/waivers/*.toml
    Waiver,
    /// pipelines/shares/*.toml
    Share,
    /// pipelines/rules/*.toml
    Rule,
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<()> {
    let schema = match args.file {
        File::Settings => schemars::schema_for!(Settings),
        File::Contract => schemars::schema_for!(ContractFile),
        File::Pipeline => schemars::schema_for!(Definition),
        File::Share => schemars::schema_for!(ShareFile),
        File::Rule => schemars::schema_for!(ProductFile),
        File::Waiver => schemars::schema_for!(WaiverFile),
    };
    let text =
        serde_json::to_string_pretty(&schema).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
    printer.data(&format!("{text}\n"))
}
