//! `fenghuo demo`: an invented city with planted truth, run through the whole house.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::city::{self, CityPlan};
use crate::cli::init::{Answers, create};
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::cli::{run, score};
use crate::config::site::SETTINGS_FILE;
use crate::error::{Kind, Result, fail, io_error};

/// Make an invented city and run everything on it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the demonstration site
    #[arg(value_name = "DIR", default_value = "demo")]
    dir: PathBuf,
    /// small, medium (3 M alarms), large (30 M), or a factor of medium
    #[arg(long, default_value = "small", env = "FENGHUO_SCALE")]
    scale: String,
    /// Seed of the city
    #[arg(long, default_value_t = 1, env = "FENGHUO_SEED")]
    seed: u64,
    /// Days over which its calls are spread; else a year, or three from half of medium on
    #[arg(long, env = "FENGHUO_DAYS", value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: Option<u32>,
    /// Write the city's source files and its site, and run nothing
    #[arg(long, env = "FENGHUO_SOURCES_ONLY", value_parser = clap::builder::FalseyValueParser::new())]
    sources_only: bool,
}

/// What was planted; written beside the inbox.
pub(super) const TRUTH_FILE: &str = "truth.json";

pub(super) async fn run(args: &Args, printer: &Printer) -> Result<()> {
    let plan = plan(args)?;
    if args.dir.join(SETTINGS_FILE).exists() {
        same_city(&args.dir, &plan)?;
        printer.say("demo_again", &[&args.dir.display()]);
    } else {
        make(&args.dir, plan, printer).await?;
    }
    if args.sources_only {
        return Ok(());
    }
    let opened = Opened::at(&args.dir)?;
    let outcome = run::pipeline(&opened, "nightly", printer).await?;
    run::told(&outcome, printer);
    let verdict = score::score(&opened, &args.dir.join(TRUTH_FILE), printer).await?;
    printer.data(&verdict.text)?;
    for page in &outcome.pages {
        printer.data(&printer.words("page_at", &[&args.dir.join(page).display()]))?;
        printer.data("\n")?;
    }
    if verdict.agrees {
        Ok(())
    } else {
        Err(fail(Kind::Check, "demo_account", &[]))
    }
}

fn plan(args: &Args) -> Result<CityPlan> {
    let mut plan = match args.scale.as_str() {
        "small" => CityPlan::small(args.seed),
        "medium" => CityPlan::medium(args.seed),
        "large" => CityPlan::large(args.seed),
        factor => match factor.parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 => CityPlan::scaled(args.seed, factor),
            _ => return Err(fail(Kind::Input, "demo_scale", &[&factor])),
        },
    };
    plan.days = args.days.unwrap_or(plan.days);
    Ok(plan)
}

/// A folder holds one city; another seed, scale or span would mix two.
fn same_city(dir: &Path, plan: &CityPlan) -> Result<()> {
    let truth = score::read_truth(&dir.join(TRUTH_FILE))?;
    let number = |key: &str| truth["plan"][key].as_u64();
    let same = truth["seed"].as_u64() == Some(plan.seed)
        && number("days") == Some(u64::from(plan.days))
        && number("alarms") == Some(plan.alarms)
        && number("clips") == Some(plan.clips)
        && number("residents") == Some(plan.residents);
    if same {
        Ok(())
    } else {
        Err(fail(Kind::Conflict, "demo_other", &[&dir.display()]).hint("demo_other_hint", &[]))
    }
}

/// Writes the sources first and the site's settings last, so that an interrupted demo starts over.
async fn make(dir: &Path, plan: CityPlan, printer: &Printer) -> Result<()> {
    printer.say("demo_city", &[&plan.seed, &plan.alarms, &plan.clips, &plan.residents]);
    let stop = Arc::new(AtomicBool::new(false));
    let guard = StopOnDrop(stop.clone());
    let target = dir.to_owned();
    let written = tokio::task::spawn_blocking(move || write_city(&target, &plan, &stop)).await;
    drop(guard);
    written.map_err(|cause| fail(Kind::Bug, "parser_died", &[&"city"]).because(cause))??;
    let answers = Answers {
        name: "qingyuan".to_owned(),
        title_zh: "青原市公安大数据实战中心（合成）".to_owned(),
        title_en: "Qingyuan police data centre (synthetic)".to_owned(),
        profile: "city".to_owned(),
        timezone: "Asia/Shanghai".to_owned(),
        day_cutoff: "00:00".to_owned(),
        week_start: "monday".to_owned(),
        response_reading: "urgency".to_owned(),
        identifier_pack: "cn".to_owned(),
        synthetic: true,
    };
    create(dir, &answers).map(drop)
}

/// Tells the writer thread to stop when the command is dropped by Ctrl-C.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write_city(dir: &Path, plan: &CityPlan, stop: &AtomicBool) -> Result<()> {
    let city = city::files(plan);
    let mut truths = Vec::new();
    for file in city.files() {
        if stop.load(Ordering::Relaxed) {
            return Err(fail(Kind::Interrupted, "interrupted", &[]));
        }
        let path = dir.join(&file.path);
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        std::fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(&path).map_err(failed)?);
        truths.push(city.write(&file, &mut out).map_err(failed)?);
        out.flush().map_err(failed)?;
    }
    let path = dir.join(TRUTH_FILE);
    let text = serde_json::to_vec_pretty(&city.truth(&truths))
        .map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
    std::fs::write(&path, text).map_err(|cause| io_error(&path, &cause))
}
