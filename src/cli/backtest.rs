//! `fenghuo warn backtest`: a rule run again over days that have passed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arrow::array::ArrayRef;

use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::cli::score::read_truth;
use crate::config::text;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Release;
use crate::model::{Models, pinned};
use crate::pipeline::run::{calendar as site_calendar, parameters};
use crate::time::{Clock, calendar};
use crate::warn::backtest::{Backtest, Desk, Ground};
use crate::warn::table::{CATEGORY, groups};
use crate::warn::truth::{Scored, Truth};

/// The column by which a product speaks of cameras.
const CAMERA: &str = "camera_id";

/// Run a rule again over days that have passed
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the rule: that of its file in pipelines/rules
    #[arg(id = "warn_rule", value_name = "RULE")]
    rule: String,
    /// First day; by default the newest weeks that its gate asks for
    #[arg(long = "from", id = "backtest_from", value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// Last day; by default the newest
    #[arg(long = "to", id = "backtest_to", value_name = "YYYY-MM-DD")]
    to: Option<String>,
    /// Truth file of a synthetic city
    #[arg(long = "truth", id = "backtest_truth", value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write what it showed, its warnings and what was planted, as JSON
    #[arg(long = "report", id = "backtest_report", value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// All that came of it.
#[derive(Debug, serde::Serialize)]
struct Report<'a> {
    shown: &'a Backtest,
    #[serde(flatten)]
    scored: &'a Scored,
}

/// What a rule showed, and how that fits what is known to have happened.
fn columns(shown: &Backtest, scored: Option<&Scored>) -> Vec<(String, ArrayRef)> {
    let number = |number: i64| numbers(vec![number.unsigned_abs()]);
    let word = |word: &str| texts(vec![word.to_owned()]);
    let columns = [
        ("rule", word(&shown.rule)),
        ("first_day", word(&shown.first_day)),
        ("last_day", word(&shown.last_day)),
        ("findings", number(shown.findings)),
        ("opened", number(shown.opened)),
        ("most_per_week", number(shown.most_per_week)),
        ("pooled", number(shown.pooled)),
        ("late_share", word(&format!("{:.4}", shown.late_share))),
        ("leaks", word(shown.leaks.as_deref().unwrap_or_default())),
    ];
    let mut columns = Vec::from(columns.map(|(name, rows)| (name.to_owned(), rows)));
    if let Some(scored) = scored {
        let kinds: BTreeSet<&str> = scored.planted.iter().map(|planted| planted.kind).collect();
        for kind in kinds {
            let (found, all, delay) = scored.of(kind);
            columns.push((kind.to_owned(), word(&format!("{found}/{all}"))));
            let delay = delay.map_or_else(String::new, |days| days.to_string());
            columns.push((format!("{kind}_delay"), word(&delay)));
        }
        let share = format!("{}/{}", scored.right(), scored.raised.len());
        columns.push(("about_planted".to_owned(), word(&share)));
    }
    columns
}

/// Runs a rule again and tells what it would have done; a night does it by itself, and keeps what it needs.
pub(super) async fn run(args: &Args, opened: &Opened, release: &Release, printer: &Printer) -> Result<()> {
    let rule = args.rule.as_str();
    let models = Models::load(&opened.site)?;
    let products = models
        .ordered
        .iter()
        .filter_map(|model| Some((model, model.product.as_ref()?)));
    let products: Vec<_> = products.filter(|(_, product)| product.file.warning.is_some()).collect();
    let named = products.iter().find(|(_, product)| product.name == rule);
    let Some((model, product)) = named else {
        let known = products.iter().map(|(_, product)| product.name.as_str());
        return Err(text::missing("rule_unknown", rule, known));
    };
    let (parameters, days) = (parameters(&opened.site), site_calendar(&opened.site)?);
    let bounds = Bounds::from(&opened.site.settings.limits);
    let ground = Ground {
        lake: &opened.lake,
        bounds,
        models: &models,
        tables: &release.tables,
        parameters: &parameters,
        calendar: &days,
        today: days.day_and_hour(SystemClock.now()).map_or(i32::MAX, |(day, _)| day),
    };
    let desk = Desk::open(ground, model, product).await?;
    let (oldest, newest) = desk
        .extent()
        .await?
        .ok_or_else(|| fail(Kind::Missing, "backtest_empty", &[&rule]))?;
    let day = |text: &str| calendar::day(text).ok_or_else(|| fail(Kind::Input, "not_a_day", &[&text]));
    let last = args.to.as_deref().map(day).transpose()?.unwrap_or(newest);
    let weeks = product.file.gate.as_ref().map_or(4, |gate| i32::from(gate.weeks));
    let first = args
        .from
        .as_deref()
        .map(day)
        .transpose()?
        .unwrap_or(last - 7 * weeks + 1);
    if first > last {
        let words = [first, last].map(calendar::text);
        return Err(fail(Kind::Input, "days_reversed", &[&words[0], &words[1]]));
    }
    if first < oldest || last > newest {
        let words = [oldest, newest].map(calendar::text);
        return Err(fail(Kind::Input, "backtest_days", &[&rule, &words[0], &words[1]]));
    }
    let (shown, events) = desk.run((first, last)).await?;
    let scored = match &args.truth {
        Some(path) => {
            let found: Truth = serde_json::from_value(read_truth(path)?)
                .map_err(|cause| fail(Kind::Input, "truth_broken", &[&path.display()]).because(cause))?;
            let rule = product.file.warning.as_ref();
            let cameras = rule.is_some_and(|rule| rule.unit.iter().any(|column| column == CAMERA));
            let session = pinned::session_on(&opened.lake, bounds, release, |name| name == CATEGORY).await?;
            Some(found.score(&groups(&session).await?, cameras, &events, (first, last)))
        }
        None => None,
    };
    if let Some(path) = &args.report {
        let nothing = Truth::default().score(&BTreeMap::new(), false, &events, (first, last));
        let scored = scored.as_ref().unwrap_or(&nothing);
        let shown = &shown;
        let text = serde_json::to_string_pretty(&Report { shown, scored })
            .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
        std::fs::write(path, text + "\n").map_err(|cause| io_error(path, &cause))?;
    }
    args.output.columns(columns(&shown, scored.as_ref()), printer)?;
    if let Some(day) = &shown.leaks {
        return Err(fail(Kind::Check, "gate_leaks", &[&rule, day]));
    }
    Ok(())
}
