//! `fenghuo release`: the published sets of tables.

use arrow::array::ArrayRef;

use crate::cli::open::At;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail, io_error};

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
    /// Take the newest release back: the tables of the one before it hold again
    Withdraw,
    /// End an environment: its releases go, its tables with the next vacuum
    Drop,
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.look()?;
    let (columns, output): (Vec<(&str, ArrayRef)>, &Output) = match &args.verb {
        Verb::Withdraw => {
            let key = opened.key()?;
            let release = opened.run(&key)?.withdraw_release().await?;
            let restored = release.restores.unwrap_or_default();
            printer.say("release_withdrawn", &[&release.release, &restored]);
            return Ok(());
        }
        Verb::Drop => {
            let name = opened.lake.environment();
            let name = name.ok_or_else(|| fail(Kind::Input, "environment_drop", &[]))?;
            let limits = &opened.site.settings.limits;
            opened.lake.drop_environment(limits.lease_wait_seconds).await?;
            let pages = opened.site.path(&opened.site.settings.lake.pages).join(name);
            if pages.is_dir() {
                std::fs::remove_dir_all(&pages).map_err(|cause| io_error(&pages, &cause))?;
            }
            printer.say("environment_dropped", &[&name, &limits.orphan_hours]);
            return Ok(());
        }
        Verb::List { output } => {
            let mut releases = Vec::new();
            for number in opened.lake.releases().await? {
                releases.push(opened.lake.release(number).await?);
            }
            let columns = vec![
                (
                    "release",
                    numbers(releases.iter().map(|release| release.release).collect()),
                ),
                (
                    "made_at",
                    texts(releases.iter().map(|release| release.made_at.clone()).collect()),
                ),
                (
                    "run_id",
                    texts(releases.iter().map(|release| release.run_id.clone()).collect()),
                ),
                (
                    "tables",
                    numbers(releases.iter().map(|release| release.tables.len() as u64).collect()),
                ),
                (
                    "digest",
                    texts(releases.iter().map(|release| release.digest.clone()).collect()),
                ),
            ];
            (columns, output)
        }
        Verb::Show { release, output } => {
            let release = opened.release(*release).await?;
            let tables = || release.tables.values();
            let columns = vec![
                ("table", texts(release.tables.keys().cloned().collect())),
                (
                    "location",
                    texts(tables().map(|table| table.location.clone()).collect()),
                ),
                ("version", numbers(tables().map(|table| table.version).collect())),
                ("rows", numbers(tables().map(|table| table.rows).collect())),
                (
                    "run_id",
                    texts(tables().map(|table| table.run_id.clone().unwrap_or_default()).collect()),
                ),
                (
                    "digest",
                    texts(tables().map(|table| table.digest.clone().unwrap_or_default()).collect()),
                ),
            ];
            (columns, output)
        }
    };
    output.columns(columns, printer)
}
