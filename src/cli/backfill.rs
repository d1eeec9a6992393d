//! `fenghuo backfill`: days built again, as one named thing that can be gone on with.

use std::path::Path;

use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::lake::days::Span;
use crate::pipeline::backfill::Backfill;
use crate::time::calendar;

/// Build the days of a span again, month by month
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pipeline
    #[arg(value_name = "PIPELINE", default_value = "nightly")]
    pipeline: String,
    /// First day, 2025-03-01
    #[arg(long, value_name = "DAY")]
    start: String,
    /// Last day, 2025-03-31
    #[arg(long, value_name = "DAY")]
    end: String,
    /// Only days that a model lacks although its inputs have them
    #[arg(long)]
    missing: bool,
    /// Name under which it goes on where it was stopped; the span by default
    #[arg(long, value_name = "NAME", id = "backfill_name")]
    name: Option<String>,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let day = |text: &String| calendar::day(text).ok_or_else(|| fail(Kind::Input, "not_a_day", &[text]));
    let span = Span {
        first: day(&args.start)?,
        last: day(&args.end)?,
    };
    if span.first > span.last {
        return Err(fail(Kind::Input, "days_reversed", &[&args.start, &args.end]));
    }
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| format!("{}..{}", args.start, args.end));
    let backfill = Backfill {
        name,
        pipeline: args.pipeline.clone(),
        span,
        missing: args.missing,
    };
    let opened = Opened::at(site)?;
    let key = opened.key()?;
    let months = opened.run(&key)?.months(&backfill).await?;
    for (month, days) in &months {
        // each month is a run of its own, with its own name and release
        opened.run(&key)?.month(&backfill, month, days.clone(), printer).await?;
    }
    if months.is_empty() {
        printer.say("backfill_nothing", &[&backfill.name]);
        return Ok(());
    }
    printer.say("backfill_done", &[&backfill.name, &months.len()]);
    Ok(())
}
