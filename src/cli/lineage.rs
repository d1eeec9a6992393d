//! `fenghuo lineage`: from what a table or column comes, and what comes from it.

use crate::cli::open::At;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::model::Models;
use crate::model::lineage::{Lineage, Point, mermaid};
use crate::pipeline::run::parameters;

/// Show from what a table or column comes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// schema.table or schema.table.column
    #[arg(value_name = "NAME", id = "lineage_point")]
    point: String,
    /// Show what comes from it instead
    #[arg(long)]
    down: bool,
    /// Write a mermaid flow chart
    #[arg(long)]
    mermaid: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.look()?;
    let models = Models::load(&opened.site)?;
    let release = opened.lake.latest_release().await?;
    let bounds = Bounds::from(&opened.site.settings.limits);
    let lineage = Lineage::new(
        &models,
        &opened.lake,
        release.as_ref(),
        bounds,
        &parameters(&opened.site),
    )
    .await?;
    let point = Point::parse(&args.point)?;
    if !lineage.knows(&point) {
        let error = fail(Kind::Missing, "lineage_unknown", &[&point]);
        return Err(match lineage.unknown.contains(&point.table) {
            true => error.hint("lineage_unplanned", &[&point.table]),
            false => error,
        });
    }
    let steps = lineage.steps(&point, args.down);
    if args.mermaid {
        return printer.data(&mermaid(&steps));
    }
    let columns = vec![
        (
            "depth",
            numbers(steps.iter().map(|(depth, ..)| *depth as u64).collect()),
        ),
        ("name", texts(steps.iter().map(|(_, to, _)| to.to_string()).collect())),
        ("from", texts(steps.iter().map(|(.., from)| from.to_string()).collect())),
    ];
    args.output.columns(columns, printer)
}
