//! `fenghuo schedule`: runs pipelines when they are due, until it is told to end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::clock::{SystemClock, run_id};
use crate::cli::notice;
use crate::cli::open::Opened;
use crate::cli::output::{Output, texts};
use crate::cli::print::Printer;
use crate::cli::run::told;
use crate::error::{Kind, Result, fail, io_error};
use crate::pipeline::Request;
use crate::pipeline::notify::{Channels, Teller};
use crate::pipeline::run::calendar;
use crate::pipeline::schedule::{self, Job, Steady, Turn};
use crate::time::{Calendar, Clock, rfc3339};

/// Run pipelines when they are due
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do what is due now, and end
    #[arg(long)]
    once: bool,
    /// Show when pipelines are due next, and end
    #[arg(long, conflicts_with = "once")]
    next: bool,
    #[command(flatten)]
    output: Output,
}

/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(15);
/// Days ahead for which the calendar has to know holidays.
const CALENDAR_DAYS: i32 = 60;

/// The file by which an outside monitor sees that the scheduler lives.
const BEAT: &str = "schedule.beat";

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let calendar = calendar(&opened.site)?;
    let mut jobs = schedule::jobs(&opened.site)?;
    if jobs.is_empty() {
        return Err(fail(Kind::Missing, "nothing_scheduled", &[]).hint("nothing_scheduled_hint", &[]));
    }
    if args.next {
        return next(args, &jobs, &opened, &calendar, printer).await;
    }
    let _lease = opened.lake.lease("schedule", 0).await?;
    let since = SystemClock.now();
    calendar_ends(&opened, since, printer).await?;
    let mut waiting = BTreeMap::new();
    let (mut steady, mut looked) = (Steady::default(), Instant::now());
    loop {
        let elapsed = i64::try_from(looked.elapsed().as_micros()).unwrap_or(i64::MAX);
        looked = Instant::now();
        if !steady.believes(SystemClock.now(), elapsed) {
            printer.say("clock_leapt", &[&rfc3339(SystemClock.now())]);
            tokio::time::sleep(TICK).await;
            continue;
        }
        // a definition that is wrong now leaves the last one in force
        match schedule::jobs(&opened.site) {
            Ok(read) => jobs = read,
            Err(error) => printer.error(&error),
        }
        {
            let turn = turn(&opened, &jobs, since, &calendar, &mut waiting, printer);
            let mut turn = std::pin::pin!(turn);
            // a night takes hours, and meanwhile the scheduler lives and other notices are due
            loop {
                tokio::select! {
                    done = &mut turn => break done?,
                    () = tokio::time::sleep(TICK) => {
                        beat(&opened, &jobs, &calendar, printer).await?;
                        tell(&opened, printer).await;
                    }
                }
            }
        }
        tell(&opened, printer).await;
        if args.once {
            return Ok(());
        }
        beat(&opened, &jobs, &calendar, printer).await?;
        tokio::time::sleep(TICK).await;
    }
}

/// Does what is due now.
async fn turn(
    opened: &Opened,
    jobs: &[Job],
    since: i64,
    calendar: &Calendar,
    waiting: &mut BTreeMap<String, Vec<String>>,
    printer: &Printer,
) -> Result<()> {
    let holidays = schedule::holidays(&opened.site, &opened.lake).await?;
    for job in jobs {
        let done = schedule::done(&opened.site, &opened.lake).await?;
        let done = done.get(&job.pipeline).cloned().unwrap_or_default();
        for (due, turn) in job.turns(&done, since, SystemClock.now(), calendar, &holidays) {
            let key = opened.key()?;
            if turn == Turn::Skip {
                opened.run(&key)?.skip(&job.pipeline, due).await?;
                printer.say("schedule_skipped", &[&job.pipeline, &rfc3339(due)]);
                continue;
            }
            let missing = job.missing(&opened.site, &opened.lake, due, SystemClock.now()).await?;
            if !missing.is_empty() {
                if waiting.insert(job.pipeline.clone(), missing.clone()).as_ref() != Some(&missing) {
                    printer.say("schedule_waits", &[&job.pipeline, &missing.join(", ")]);
                }
                break;
            }
            waiting.remove(&job.pipeline);
            printer.say("schedule_runs", &[&job.pipeline, &rfc3339(due)]);
            let request = Request {
                due_at: Some(due),
                ..Request::all(&job.pipeline)
            };
            // a night that fails is told of and does not end the nights after it
            match opened.run(&key)?.pipeline(&request, printer).await {
                Ok(outcome) => told(&outcome, printer),
                Err(error) => printer.error(&error),
            }
        }
    }
    Ok(())
}

/// Tells what is due of the last nights. That it could not be told ends no night.
async fn tell(opened: &Opened, printer: &Printer) {
    if (Channels { site: &opened.site }).names().is_empty() {
        return;
    }
    let now = SystemClock.now();
    let told = match run_id(now) {
        Ok(name) => {
            let teller = Teller {
                site: &opened.site,
                lake: &opened.lake,
                now,
                run_id: &name,
            };
            notice::send(&teller, true, printer).await
        }
        Err(error) => Err(error),
    };
    match told {
        Ok(wrong) => wrong.iter().for_each(|error| printer.error(error)),
        Err(error) => printer.error(&error),
    }
}

/// When each pipeline is due next.
async fn due_next(opened: &Opened, jobs: &[Job], calendar: &Calendar) -> Result<Vec<(String, String)>> {
    let holidays = schedule::holidays(&opened.site, &opened.lake).await?;
    let next = |job: &Job| job.next(SystemClock.now(), calendar, &holidays);
    let named = jobs
        .iter()
        .map(|job| (job.pipeline.clone(), next(job).map_or_else(String::new, rfc3339)));
    Ok(named.collect())
}

async fn next(args: &Args, jobs: &[Job], opened: &Opened, calendar: &Calendar, printer: &Printer) -> Result<()> {
    let (pipelines, moments) = due_next(opened, jobs, calendar).await?.into_iter().unzip();
    args.output.columns(
        vec![("pipeline", texts(pipelines)), ("due_at", texts(moments))],
        printer,
    )
}

/// Says when the calendar will soon know no holidays.
async fn calendar_ends(opened: &Opened, now: i64, printer: &Printer) -> Result<()> {
    let holidays = schedule::holidays(&opened.site, &opened.lake).await?;
    let today = i32::try_from(now.div_euclid(86_400_000_000)).unwrap_or(i32::MAX);
    if let Some((last, _)) = holidays.last_key_value()
        && *last < today.saturating_add(CALENDAR_DAYS)
    {
        let date = crate::time::calendar::date(*last);
        printer.say(
            "calendar_ends",
            &[&date.map_or_else(String::new, |date| date.to_string())],
        );
    }
    Ok(())
}

/// Writes the file of life, whole or not at all, and tells the monitor.
async fn beat(opened: &Opened, jobs: &[Job], calendar: &Calendar, printer: &Printer) -> Result<()> {
    let next: BTreeMap<String, String> = due_next(opened, jobs, calendar).await?.into_iter().collect();
    let text = json!({ "at": rfc3339(SystemClock.now()), "next": next }).to_string();
    let path = opened.site.path(BEAT);
    let staged = path.with_extension("next");
    std::fs::write(&staged, &text)
        .and_then(|()| std::fs::rename(&staged, &path))
        .map_err(|cause| io_error(&path, &cause))?;
    if !opened.site.settings.notify.beat.is_empty()
        && let Err(error) = (Channels { site: &opened.site }).beat(text).await
    {
        printer.error(&error);
    }
    Ok(())
}
