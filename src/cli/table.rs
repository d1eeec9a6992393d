//! `fenghuo table`: the Delta tables behind the releases.

use std::path::Path;

use arrow::array::ArrayRef;

use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::time::rfc3339;

/// Read the tables of the lake
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the tables
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show the commits of a table, newest first
    History {
        /// schema.table
        table: String,
        #[command(flatten)]
        output: Output,
    },
    /// Remove the files that no release in keep shows
    Vacuum {
        /// Show what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let (columns, output): (Vec<(&str, ArrayRef)>, &Output) = match &args.verb {
        Verb::Vacuum { dry_run, output } => {
            let key = opened.key()?;
            let waste = opened.run(&key)?.sweep(*dry_run).await?;
            let columns = vec![
                ("table", texts(waste.iter().map(|waste| waste.table.clone()).collect())),
                (
                    "location",
                    texts(waste.iter().map(|waste| waste.location.clone()).collect()),
                ),
                ("files", numbers(waste.iter().map(|waste| waste.files).collect())),
                ("bytes", numbers(waste.iter().map(|waste| waste.bytes).collect())),
            ];
            (columns, output)
        }
        Verb::List { output } => {
            let mut tables = Vec::new();
            for name in opened.lake.table_names().await? {
                tables.extend(opened.lake.table(&name).await?);
            }
            let rows = tables
                .iter()
                .map(crate::lake::Table::rows)
                .collect::<Result<Vec<_>>>()?;
            let columns = vec![
                (
                    "table",
                    texts(tables.iter().map(|table| table.name().to_owned()).collect()),
                ),
                (
                    "location",
                    texts(tables.iter().map(|table| table.location().to_owned()).collect()),
                ),
                (
                    "version",
                    numbers(tables.iter().map(crate::lake::Table::version).collect()),
                ),
                ("rows", numbers(rows)),
            ];
            (columns, output)
        }
        Verb::History { table, output } => {
            let found = opened
                .lake
                .table(table)
                .await?
                .ok_or_else(|| fail(Kind::Missing, "table_missing", &[table]))?;
            let versions = found.history(None).await?;
            let columns = vec![
                (
                    "version",
                    numbers(versions.iter().map(|version| version.version).collect()),
                ),
                (
                    "at",
                    texts(
                        versions
                            .iter()
                            .map(|version| rfc3339(version.at_millis * 1000))
                            .collect(),
                    ),
                ),
                (
                    "operation",
                    texts(versions.iter().map(|version| version.operation.clone()).collect()),
                ),
                ("rows", numbers(versions.iter().map(|version| version.rows).collect())),
                (
                    "run_id",
                    texts(versions.iter().map(|version| version.run_id.clone()).collect()),
                ),
                (
                    "batch",
                    texts(
                        versions
                            .iter()
                            .map(|version| version.batch_id.chars().take(16).collect())
                            .collect(),
                    ),
                ),
            ];
            (columns, output)
        }
    };
    output.columns(columns, printer)
}
