//! `fenghuo release`: the published sets of tables.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::session::Table;
use crate::error::{Kind, Result, fail};

/// Read the published releases
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the releases
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show the tables of a release
    Show {
        /// Number, the newest by default
        release: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let text = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let number = |numbers: Vec<u64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers.into_iter().map(u64::cast_signed)))
    };
    let (columns, output): (Vec<(&str, ArrayRef)>, &Output) = match &args.verb {
        Verb::List { output } => {
            let mut releases = Vec::new();
            for number in opened.lake.releases().await? {
                releases.push(opened.lake.release(number).await?);
            }
            let columns = vec![
                (
                    "release",
                    number(releases.iter().map(|release| release.release).collect()),
                ),
                (
                    "made_at",
                    text(releases.iter().map(|release| release.made_at.clone()).collect()),
                ),
                (
                    "run_id",
                    text(releases.iter().map(|release| release.run_id.clone()).collect()),
                ),
                (
                    "tables",
                    number(releases.iter().map(|release| release.tables.len() as u64).collect()),
                ),
                (
                    "digest",
                    text(releases.iter().map(|release| release.digest.clone()).collect()),
                ),
            ];
            (columns, output)
        }
        Verb::Show { release, output } => {
            let release = opened.release(*release).await?;
            let tables = || release.tables.values();
            let columns = vec![
                ("table", text(release.tables.keys().cloned().collect())),
                ("location", text(tables().map(|table| table.location.clone()).collect())),
                ("version", number(tables().map(|table| table.version).collect())),
                ("rows", number(tables().map(|table| table.rows).collect())),
                (
                    "run_id",
                    text(tables().map(|table| table.run_id.clone().unwrap_or_default()).collect()),
                ),
                (
                    "digest",
                    text(tables().map(|table| table.digest.clone().unwrap_or_default()).collect()),
                ),
            ];
            (columns, output)
        }
    };
    let batch =
        RecordBatch::try_from_iter(columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
    output.write(
        &Table {
            schema: batch.schema(),
            batches: vec![batch],
        },
        printer,
    )
}
