//! `fenghuo table`: the Delta tables behind the releases.

use std::path::Path;

use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::lake::table::Version;
use crate::lake::upkeep::Waste;
use crate::lake::{Compacted, Pin, Table};
use crate::pipeline::files::contracts;
use crate::time::{Clock, calendar, rfc3339};

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
    /// Put small files together
    Optimize {
        /// Tables, all by default
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
        /// Show what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Keep a version of a table beyond the releases in keep
    Pin(PinArgs),
    /// Take the pins of a table away
    Unpin {
        /// schema.table
        table: String,
        /// Version, all by default
        #[arg(long = "version", value_name = "N")]
        pinned_version: Option<u64>,
    },
    /// List the pins
    Pins {
        #[command(flatten)]
        output: Output,
    },
    /// Remove the files that no release in keep and no pin shows
    Vacuum {
        /// Show what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
struct PinArgs {
    /// schema.table
    table: String,
    /// Version, that of the newest release by default
    #[arg(long = "version", value_name = "N")]
    pinned_version: Option<u64>,
    /// Last day on which it is kept
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: String,
    /// Who wants it
    #[arg(long)]
    owner: String,
    /// What for
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    match &args.verb {
        Verb::List { output } => list(&opened, output, printer).await,
        Verb::History { table, output } => history(&opened, table, output, printer).await,
        Verb::Optimize {
            tables,
            dry_run,
            output,
        } => {
            let key = opened.key()?;
            let contracts = contracts(&opened.site)?;
            let known = opened.lake.table_names().await?;
            if let Some(unknown) = tables.iter().find(|table| !known.contains(table)) {
                return Err(fail(Kind::Missing, "table_missing", &[unknown]));
            }
            let done = opened.run(&key)?.compact(&contracts, tables, *dry_run).await?;
            let count = |of: fn(&Compacted) -> u64| numbers(done.iter().map(|(_, done)| of(done)).collect());
            let columns = vec![
                ("table", texts(done.iter().map(|(name, _)| name.clone()).collect())),
                ("files", count(|done| done.files)),
                ("bytes", count(|done| done.bytes)),
                ("into", count(|done| done.into)),
            ];
            output.columns(columns, printer)
        }
        Verb::Pin(pin) => pinned(&opened, pin, printer).await,
        Verb::Unpin { table, pinned_version } => {
            let gone = opened.lake.unpin(table, *pinned_version)?;
            if gone == 0 {
                return Err(fail(Kind::Missing, "no_pin", &[table]));
            }
            printer.say("table_unpinned", &[table, &gone]);
            Ok(())
        }
        Verb::Pins { output } => {
            let pins = opened.lake.pins()?;
            let text = |of: fn(&Pin) -> &String| texts(pins.iter().map(|pin| of(pin).clone()).collect());
            let columns = vec![
                ("table", text(|pin| &pin.table)),
                ("location", text(|pin| &pin.location)),
                ("version", numbers(pins.iter().map(|pin| pin.version).collect())),
                ("until", text(|pin| &pin.until)),
                ("owner", text(|pin| &pin.owner)),
                ("reason", text(|pin| &pin.reason)),
            ];
            output.columns(columns, printer)
        }
        Verb::Vacuum { dry_run, output } => {
            let key = opened.key()?;
            let waste = opened.run(&key)?.sweep(*dry_run).await?;
            let text = |of: fn(&Waste) -> &String| texts(waste.iter().map(|waste| of(waste).clone()).collect());
            let columns = vec![
                ("table", text(|waste| &waste.table)),
                ("location", text(|waste| &waste.location)),
                ("files", numbers(waste.iter().map(|waste| waste.files).collect())),
                ("bytes", numbers(waste.iter().map(|waste| waste.bytes).collect())),
            ];
            output.columns(columns, printer)
        }
    }
}

async fn list(opened: &Opened, output: &Output, printer: &Printer) -> Result<()> {
    let mut tables = Vec::new();
    for name in opened.lake.table_names().await? {
        tables.extend(opened.lake.table(&name).await?);
    }
    let rows = tables.iter().map(Table::rows).collect::<Result<Vec<_>>>()?;
    let text = |of: fn(&Table) -> &str| texts(tables.iter().map(|table| of(table).to_owned()).collect());
    let columns = vec![
        ("table", text(Table::name)),
        ("location", text(Table::location)),
        ("version", numbers(tables.iter().map(Table::version).collect())),
        ("rows", numbers(rows)),
    ];
    output.columns(columns, printer)
}

async fn history(opened: &Opened, table: &str, output: &Output, printer: &Printer) -> Result<()> {
    let found = opened.lake.table(table).await?;
    let found = found.ok_or_else(|| fail(Kind::Missing, "table_missing", &[&table]))?;
    let versions = found.history(None).await?;
    let text = |of: &dyn Fn(&Version) -> String| texts(versions.iter().map(of).collect());
    let columns = vec![
        (
            "version",
            numbers(versions.iter().map(|version| version.version).collect()),
        ),
        ("at", text(&|version| rfc3339(version.at_millis * 1000))),
        ("operation", text(&|version| version.operation.clone())),
        ("rows", numbers(versions.iter().map(|version| version.rows).collect())),
        ("run_id", text(&|version| version.run_id.clone())),
        ("batch", text(&|version| version.batch_id.chars().take(16).collect())),
    ];
    output.columns(columns, printer)
}

async fn pinned(opened: &Opened, given: &PinArgs, printer: &Printer) -> Result<()> {
    let today = calendar::day(&rfc3339(SystemClock.now())[..10]).unwrap_or(0);
    if calendar::day(&given.until).is_none_or(|until| until < today) {
        return Err(fail(Kind::Input, "pin_until", &[&given.until]));
    }
    if given.owner.trim().is_empty() {
        return Err(fail(Kind::Input, "pin_owner", &[]));
    }
    let release = opened.release(None).await?;
    let missing = || fail(Kind::Missing, "table_missing", &[&given.table]);
    let entry = release.tables.get(&given.table).ok_or_else(missing)?;
    let pin = Pin {
        table: given.table.clone(),
        location: entry.location.clone(),
        version: given.pinned_version.unwrap_or(entry.version),
        owner: given.owner.clone(),
        reason: given.reason.clone(),
        until: given.until.clone(),
    };
    opened.lake.pin(&pin).await?;
    printer.say("table_pinned", &[&pin.table, &pin.version, &pin.until, &pin.owner]);
    Ok(())
}
