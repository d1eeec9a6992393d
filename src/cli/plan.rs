//! `fenghuo plan`: what a run would do and why. It writes nothing.

use std::path::Path;

use crate::cli::open::Opened;
use crate::cli::output::{Output, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::ingest::batch::batch_id;
use crate::model::Models;
use crate::pipeline::Definition;
use crate::pipeline::files::{Assigned, assign, contracts};
use crate::pipeline::plan::{Plan, Reason, Step, sources};
use crate::pipeline::run::parameters;

/// Show what a run would do, and why
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pipeline
    #[arg(value_name = "PIPELINE", default_value = "nightly")]
    pipeline: String,
    #[command(flatten)]
    output: Output,
}

/// The name under which a file would be stored.
async fn batch_of(file: &Assigned) -> Result<String> {
    let file = file.clone();
    tokio::task::spawn_blocking(move || batch_id(&file.contract, &file.source))
        .await
        .map_err(|cause| fail(Kind::Bug, "parser_died", &[&"plan"]).because(cause))?
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let definition = Definition::load(&opened.site, &args.pipeline)?;
    let contracts = contracts(&opened.site)?;
    let models = Models::load(&opened.site)?;
    let last = opened.lake.latest_release().await?;
    let mut sources = sources(&opened.lake).await?;
    let mut rows: Vec<[String; 4]> = Vec::new();
    for file in assign(&opened.site, &contracts)
        .await?
        .iter()
        .filter(|file| definition.ingests(&file.contract))
    {
        let stored = match opened.lake.table(&file.contract.into).await? {
            // what is new in a database, only asking it would tell
            Some(table) if file.contract.pull.is_none() => table.holds(&batch_of(file).await?).await?,
            _ => false,
        };
        if !stored {
            sources.insert(file.contract.into.clone(), "new".to_owned());
            sources.insert("ops.ingest".to_owned(), "new".to_owned());
        }
        let action = if stored { "keep" } else { "ingest" };
        rows.push([
            action.to_owned(),
            file.shown.clone(),
            file.contract.name.clone(),
            format!("{} bytes", file.bytes),
        ]);
    }
    let unknown = crate::pipeline::run::unknown_origin(&contracts);
    let plan = Plan::new(
        &definition,
        &models,
        &sources,
        &unknown,
        last.as_ref(),
        &parameters(&opened.site),
    );
    for (name, step) in &plan.steps {
        let (action, why) = match step {
            Step::Build(Reason::Missing) => ("build", printer.words("why_missing", &[])),
            Step::Build(Reason::Changed) => ("build", printer.words("why_changed", &[])),
            Step::Build(Reason::Input(input)) => ("build", printer.words("why_input", &[input])),
            Step::Keep => ("keep", String::new()),
            Step::Off(input) => ("off", printer.words("why_off", &[input])),
        };
        rows.push([action.to_owned(), name.clone(), String::new(), why]);
    }
    let column = |at: usize| texts(rows.iter().map(|row| row[at].clone()).collect());
    let columns = vec![
        ("action", column(0)),
        ("name", column(1)),
        ("contract", column(2)),
        ("why", column(3)),
    ];
    args.output.columns(columns, printer)
}
