//! `fenghuo purge`: one document by its number, or what is older than contracts keep, out of every version.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::cli::clock::SystemClock;
use crate::cli::open::{Opened, named};
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::contract::Contract;
use crate::error::{Error, Kind, Place, Problem, Result, fail, io_error};
use crate::lake::erase::{Mark, Trace, search};
use crate::message::Message;
use crate::model::Models;
use crate::pipeline::files::contracts;
use crate::pipeline::record::Act;
use crate::pipeline::renew::key_check;
use crate::pipeline::run::{Only, calendar};
use crate::pipeline::{Definition, Request, erase};
use crate::protect::SiteKey;
use crate::time::Clock;

/// Erase a document, or what is older than contracts keep, from every version
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Number of the document, `-` to read it from the standard input
    #[arg(value_name = "NUMBER", required_unless_present = "old", conflicts_with = "old")]
    number: Option<String>,
    /// Contract under which it came
    #[arg(long, id = "purged_contract", value_name = "NAME", default_value = "alarm")]
    contract: String,
    /// What is older than `keep_days` of its contract
    #[arg(long)]
    old: bool,
    /// Show what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// Rows that have to go, and the tables in which they are looked for: all where there are none.
struct Task {
    mark: Mark,
    tables: Vec<String>,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let contracts = contracts(&opened.site)?;
    let key = opened.key()?;
    // under another key nothing would be found, and that would be no proof
    opened.lake.same_key(key_check(&key))?;
    let (tasks, clear) = match args.old {
        true => (old(&opened, &contracts)?, Vec::new()),
        false => {
            let number = number(args)?;
            let contract = named(&contracts, &args.contract)?;
            let mark = erase::document(&opened.run(&key)?, contract, &number)?;
            let Mark::Document { token, .. } = &mark else {
                return Err(fail(Kind::Input, "purge_number", &[]));
            };
            let clear = vec![number, token.to_string()];
            let tables = Vec::new();
            (vec![Task { mark, tables }], clear)
        }
    };
    let mut found = Vec::new();
    for task in &tasks {
        found.extend(opened.run(&key)?.traces(&task.mark, &task.tables).await?);
    }
    let texts = left(&opened, &clear)?;
    if args.dry_run {
        for path in &texts {
            printer.say("purge_lies", &[path]);
        }
        return table(&found, &args.output, printer);
    }
    if found.is_empty() && texts.is_empty() {
        printer.say("purge_nothing", &[]);
        return Ok(());
    }
    let mut failed = None;
    if !found.is_empty() {
        failed = rebuilt(&opened, &key, &contracts, &tasks, printer).await?;
    }
    proven(&opened, &key, &tasks, &clear, args, printer).await?;
    failed.map_or(Ok(()), Err)
}

/// What is older than contracts keep. Of contracts of one table the longest holds, and one that says nothing
/// keeps for good.
fn old(opened: &Opened, contracts: &[Contract]) -> Result<Vec<Task>> {
    let calendar = calendar(&opened.site)?;
    let (today, _) = calendar.day_and_hour(SystemClock.now()).unwrap_or_default();
    let mut kept: BTreeMap<&str, Option<u32>> = BTreeMap::new();
    for contract in contracts {
        kept.entry(&contract.into)
            .and_modify(|days| *days = days.zip(contract.keep_days).map(|(known, other)| known.max(other)))
            .or_insert(contract.keep_days);
    }
    let models = Models::load(&opened.site)?;
    let tasks = kept.into_iter().filter_map(|(table, days)| {
        let first = today.saturating_sub(i32::try_from(days?).unwrap_or(i32::MAX));
        Some(Task {
            mark: Mark::Before(first),
            tables: erase::built_on(&models, table),
        })
    });
    let tasks: Vec<Task> = tasks.collect();
    if tasks.is_empty() {
        return Err(fail(Kind::Missing, "purge_no_days", &[]).hint("purge_no_days_hint", &[]));
    }
    Ok(tasks)
}

/// Takes rows out of the sources and builds on them what there was; the first error of a pipeline ends
/// nothing.
async fn rebuilt(
    opened: &Opened,
    key: &SiteKey,
    contracts: &[Contract],
    tasks: &[Task],
    printer: &Printer,
) -> Result<Option<Error>> {
    let limits = &opened.site.settings.limits;
    // a trial shows rows of its own, and is no reason to keep them
    for name in opened.lake.environments()? {
        let environment = opened.lake.in_environment(&name)?;
        environment.drop_environment(limits.lease_wait_seconds).await?;
        printer.say("environment_dropped", &[&name, &limits.orphan_hours]);
    }
    for task in tasks {
        for (table, rows) in opened.run(key)?.erase(contracts, &task.mark, &task.tables).await? {
            printer.say("purge_rows", &[&table, &rows]);
        }
    }
    let mut failed = None;
    for file in opened.site.files("pipelines", ".toml")? {
        if file.path.matches('/').count() == 1 && !Definition::load(&opened.site, file.stem())?.build.is_empty() {
            let request = Request {
                act: Act::Backfill,
                part_of: Some("purge".to_owned()),
                only: Some(Only::default()),
                ..Request::all(file.stem())
            };
            failed = failed.or(opened.run(key)?.pipeline(&request, printer).await.err());
        }
    }
    Ok(failed)
}

/// Removes the files of old versions, and looks for what is left.
async fn proven(
    opened: &Opened,
    key: &SiteKey,
    tasks: &[Task],
    clear: &[String],
    args: &Args,
    printer: &Printer,
) -> Result<()> {
    let (mut files, mut rows) = (0, Vec::new());
    for task in tasks {
        let (gone, stays) = opened.run(key)?.erase_files(&task.mark, &task.tables).await?;
        files += gone;
        rows.extend(stays);
    }
    let texts = left(opened, clear)?;
    printer.say("purge_done", &[&files]);
    if rows.is_empty() && texts.is_empty() {
        printer.say("purge_proof", &[]);
        return Ok(());
    }
    table(&rows, &args.output, printer)?;
    let problems = texts.into_iter().map(|path| Problem {
        place: Place {
            path,
            line: 0,
            column: 0,
        },
        message: Message::new("purge_text", &[]),
        excerpt: None,
    });
    Err(fail(Kind::Check, "purge_left", &[])
        .with_problems(problems.collect())
        .hint("purge_left_hint", &[]))
}

/// The files that hold the number or its token as text: of the lake, of the pages, and those that came in.
fn left(opened: &Opened, clear: &[String]) -> Result<Vec<String>> {
    if clear.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = opened.lake.files_with(clear)?;
    for folder in [&opened.site.settings.lake.pages, "inbox"] {
        let folder = opened.site.path(folder);
        if folder.is_dir() {
            search(&folder, clear, &mut found)?;
        }
    }
    Ok(found)
}

fn number(args: &Args) -> Result<String> {
    let mut text = args.number.clone().unwrap_or_default();
    if text == "-" {
        text.clear();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|cause| io_error(Path::new("-"), &cause))?;
    }
    match text.trim() {
        "" => Err(fail(Kind::Input, "purge_number", &[])),
        number => Ok(number.to_owned()),
    }
}

fn table(traces: &[Trace], output: &Output, printer: &Printer) -> Result<()> {
    let count = |of: fn(&Trace) -> u64| numbers(traces.iter().map(of).collect());
    let columns = vec![
        ("table", texts(traces.iter().map(|trace| trace.table.clone()).collect())),
        (
            "location",
            texts(traces.iter().map(|trace| trace.location.clone()).collect()),
        ),
        ("files", count(|trace| trace.shown.len() as u64)),
        ("rows", count(|trace| trace.shown_rows)),
        ("old_files", count(|trace| trace.old_files() as u64)),
        ("old_rows", count(|trace| trace.old_rows)),
    ];
    output.columns(columns, printer)
}
