//! `fenghuo purge`: one document by its number, or what is older than contracts keep, out of every version.

use std::io::Read;
use std::path::Path;

use crate::cli::clock::SystemClock;
use crate::cli::open::{Opened, named};
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Problem, Result, fail, io_error};
use crate::lake::erase::{Mark, Trace, search};
use crate::message::Message;
use crate::pipeline::files::contracts;
use crate::pipeline::run::Only;
use crate::pipeline::{Definition, Request, erase};
use crate::time::{Calendar, Clock};

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

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let contracts = contracts(&opened.site)?;
    let key = opened.key()?;
    let mut work: Vec<(Mark, Vec<String>)> = Vec::new();
    let mut clear = Vec::new();
    if args.old {
        let settings = &opened.site.settings.site;
        let calendar = Calendar::new(&settings.timezone, &settings.day_cutoff)
            .ok_or_else(|| fail(Kind::Input, "settings_invalid", &[&"timezone"]))?;
        let (today, _) = calendar.day_and_hour(SystemClock.now()).unwrap_or_default();
        for contract in &contracts {
            if let Some(days) = contract.keep_days {
                let kept = Mark::Before(today.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX)));
                work.push((kept, vec![contract.into.clone()]));
            }
        }
        if work.is_empty() {
            return Err(fail(Kind::Missing, "purge_no_days", &[]).hint("purge_no_days_hint", &[]));
        }
    } else {
        let number = number(args)?;
        let contract = named(&contracts, &args.contract)?;
        let mark = erase::document(&opened.run(&key)?, contract, &number)?;
        if let Mark::Document { token, .. } = &mark {
            clear = vec![number.clone(), token.to_string()];
        }
        work.push((mark, Vec::new()));
    }
    let mut found = Vec::new();
    for (mark, tables) in &work {
        found.extend(opened.run(&key)?.traces(mark, tables).await?);
    }
    if args.dry_run {
        return table(&found, &args.output, printer);
    }
    if found.is_empty() {
        let files = left(&opened, &clear)?;
        if files.is_empty() {
            printer.say("purge_nothing", &[]);
            return Ok(());
        }
    }
    // a trial shows rows of its own, and is no reason to keep them
    for name in opened.lake.environments()? {
        opened.lake.in_environment(&name)?.drop_environment()?;
        printer.say("environment_dropped", &[&name]);
    }
    for (mark, tables) in &work {
        let of = found
            .iter()
            .filter(|trace| tables.is_empty() || tables.contains(&trace.table));
        let of: Vec<Trace> = of.cloned().collect();
        for (table, rows) in opened.run(&key)?.erase(&contracts, mark, &of).await? {
            printer.say("purge_rows", &[&table, &rows]);
        }
    }
    // models are built again without what is gone, each pipeline its own
    for file in opened.site.files("pipelines", ".toml")? {
        if file.path.matches('/').count() == 1 && !Definition::load(&opened.site, file.stem())?.build.is_empty() {
            let request = Request {
                only: Some(Only::default()),
                ..Request::all(file.stem())
            };
            opened.run(&key)?.pipeline(&request, printer).await?;
        }
    }
    proven(&opened, &key, &work, &clear, args, printer).await
}

/// Removes the files of old versions, and looks for what is left.
async fn proven(
    opened: &Opened,
    key: &crate::protect::SiteKey,
    work: &[(Mark, Vec<String>)],
    clear: &[String],
    args: &Args,
    printer: &Printer,
) -> Result<()> {
    let (mut files, mut left_over) = (0, Vec::new());
    for (mark, tables) in work {
        let traces = opened.run(key)?.traces(mark, tables).await?;
        files += opened.run(key)?.erase_files(&traces).await?;
        left_over.extend(opened.run(key)?.traces(mark, tables).await?);
    }
    let texts = left(opened, clear)?;
    printer.say("purge_done", &[&files]);
    if left_over.is_empty() && texts.is_empty() {
        printer.say("purge_proof", &[]);
        return Ok(());
    }
    table(&left_over, &args.output, printer)?;
    let problems = texts.into_iter().map(|path| Problem {
        place: crate::error::Place {
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
    let given = args.number.clone().unwrap_or_default();
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|cause| io_error(Path::new("-"), &cause))?;
    Ok(text.trim().to_owned())
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
