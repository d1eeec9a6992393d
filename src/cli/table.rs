//! `fenghuo table`: the Delta tables behind the releases.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::session::Table as Rows;
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
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let text = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let number = |numbers: Vec<u64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers.into_iter().map(u64::cast_signed)))
    };
    let (columns, output): (Vec<(&str, ArrayRef)>, &Output) = match &args.verb {
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
                    text(tables.iter().map(|table| table.name().to_owned()).collect()),
                ),
                (
                    "location",
                    text(tables.iter().map(|table| table.location().to_owned()).collect()),
                ),
                (
                    "version",
                    number(tables.iter().map(crate::lake::Table::version).collect()),
                ),
                ("rows", number(rows)),
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
                    number(versions.iter().map(|version| version.version).collect()),
                ),
                (
                    "at",
                    text(
                        versions
                            .iter()
                            .map(|version| rfc3339(version.at_millis * 1000))
                            .collect(),
                    ),
                ),
                (
                    "operation",
                    text(versions.iter().map(|version| version.operation.clone()).collect()),
                ),
                ("rows", number(versions.iter().map(|version| version.rows).collect())),
                (
                    "run_id",
                    text(versions.iter().map(|version| version.run_id.clone()).collect()),
                ),
                (
                    "batch",
                    text(
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
    let batch =
        RecordBatch::try_from_iter(columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
    output.write(
        &Rows {
            schema: batch.schema(),
            batches: vec![batch],
        },
        printer,
    )
}
