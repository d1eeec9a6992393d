//! `fenghuo diff A:B`: what differs between two releases.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};

use crate::cli::open::At;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::config::text;
use crate::error::{Kind, Result, fail};
use crate::model::Models;
use crate::pipeline::changes::Two;

/// Compare two releases: rows added, removed and changed by key
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Two releases, `41:42`; with one number, the one before it and it; in an environment, else, the published one and its newest
    #[arg(value_name = "A:B")]
    releases: Option<String>,
    /// List the keys of one table that differ
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.look()?;
    let (then, now) = match &args.releases {
        Some(text) => {
            let numbers = text.split_once(':').map(|(then, now)| (then.parse(), now.parse()));
            match (numbers, text.parse::<u64>()) {
                (Some((Ok(then), Ok(now))), _) => (then, now),
                (None, Ok(now)) => (now.saturating_sub(1), now),
                _ => return Err(fail(Kind::Input, "diff_releases", &[text])),
            }
        }
        None => {
            let now = opened.release(None).await?.release;
            (now.saturating_sub(1), now)
        }
    };
    // what an environment would change is told against what is published
    let then = match (&args.releases, opened.lake.environment()) {
        (None, Some(_)) => {
            let published = opened.lake.published().latest_release().await?;
            published.ok_or_else(|| fail(Kind::Missing, "no_release_yet", &[]))?
        }
        _ => opened.lake.release(then).await?,
    };
    let now = opened.lake.release(now).await?;
    let models = Models::load(&opened.site)?;
    let two = Two {
        site: &opened.site,
        lake: &opened.lake,
        then: &then,
        now: &now,
    };
    if let Some(name) = &args.table {
        let Some(model) = models.get(name) else {
            let known = models.ordered.iter().map(|model| model.name.as_str());
            return Err(text::missing("table_missing", name, known));
        };
        return args.output.write(&two.keys(model).await?, printer);
    }
    let changes = two.changes(&models, |_| true).await?;
    let rows = |of: fn(&crate::pipeline::changes::Change) -> Option<u64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(
            changes.iter().map(|change| of(change).map(u64::cast_signed)),
        ))
    };
    let count = |of: fn(&crate::pipeline::changes::Change) -> u64| numbers(changes.iter().map(of).collect());
    let columns = vec![
        (
            "table",
            texts(changes.iter().map(|change| change.table.clone()).collect()),
        ),
        ("before", rows(|change| change.before)),
        ("after", rows(|change| change.after)),
        ("added", count(|change| change.added)),
        ("removed", count(|change| change.removed)),
        ("changed", count(|change| change.changed)),
    ];
    args.output.columns(columns, printer)
}
