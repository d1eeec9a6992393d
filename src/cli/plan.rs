//! `fenghuo plan`: what a run would do and why. It writes nothing.

use std::collections::BTreeSet;

use crate::cli::open::At;
use crate::cli::output::{Output, texts};
use crate::cli::print::Printer;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::ingest::batch::batch_id;
use crate::lake::days::to_text;
use crate::model::Models;
use crate::pipeline::Definition;
use crate::pipeline::dirt::Dirt;
use crate::pipeline::environment::Base;
use crate::pipeline::files::{Assigned, assign, contracts};
use crate::pipeline::plan::{Expected, Plan, Reason, Step, tables};
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

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.open()?;
    let definition = Definition::load(&opened.site, &args.pipeline)?;
    let contracts = contracts(&opened.site)?;
    let models = Models::load(&opened.site)?;
    let parameters = parameters(&opened.site);
    let Base { last, sources } = Base::of(&opened.lake, &models, &parameters).await?;
    let mut unread = BTreeSet::new();
    let mut rows: Vec<[String; 7]> = Vec::new();
    let files = match opened.lake.environment() {
        Some(_) => Vec::new(),
        None => assign(&opened.site, &contracts).await?,
    };
    for file in files.iter().filter(|file| definition.ingests(&file.contract)) {
        let stored = match opened.lake.table(&file.contract.into).await? {
            // what is new in a database, only asking it would tell
            Some(table) if file.contract.pull.is_none() => table.holds(&batch_of(file).await?).await?,
            _ => false,
        };
        if !stored {
            unread.extend([file.contract.into.clone(), "ops.ingest".to_owned()]);
        }
        let action = if stored { "keep" } else { "ingest" };
        rows.push([
            action.to_owned(),
            file.shown.clone(),
            file.contract.name.clone(),
            String::new(),
            String::new(),
            String::new(),
            file.bytes.to_string(),
        ]);
    }
    let unknown = crate::pipeline::run::unknown_origin(&contracts);
    let plan = Plan::new(
        &|name| definition.builds(name),
        &models,
        &sources,
        &unread,
        &unknown,
        last.as_ref(),
        &parameters,
    );
    let tables = tables(last.as_ref(), &sources);
    let bounds = Bounds::from(&opened.site.settings.limits);
    let expected = plan
        .expected(&opened.lake, bounds, &models, last.as_ref(), &tables, &unread)
        .await?;
    for (name, step) in &plan.steps {
        rows.push(row(name, step, expected.get(name), printer));
    }
    for page in &definition.workbooks {
        rows.push(["render", page, "", "", "", "", ""].map(str::to_owned));
    }
    let column = |at: usize| texts(rows.iter().map(|row| row[at].clone()).collect());
    let columns = vec![
        ("action", column(0)),
        ("name", column(1)),
        ("contract", column(2)),
        ("why", column(3)),
        ("days", column(4)),
        ("rows", column(5)),
        ("bytes", column(6)),
    ];
    args.output.columns(columns, printer)
}

/// What a run would do with a model.
fn row(name: &str, step: &Step, expected: Option<&Expected>, printer: &Printer) -> [String; 7] {
    let (mut action, mut why) = match step {
        Step::Build(Reason::Missing) => ("build", printer.words("why_missing", &[])),
        Step::Build(Reason::Changed) => ("build", printer.words("why_changed", &[])),
        Step::Build(Reason::Input(input)) => ("build", printer.words("why_input", &[input])),
        Step::Keep => ("keep", String::new()),
        Step::Off(input) => ("off", printer.words("why_off", &[input])),
    };
    let (mut days, mut size) = (String::new(), [String::new(), String::new()]);
    if let Some(expected) = expected {
        days = match &expected.dirt {
            None => printer.words("days_unread", &[]),
            Some(Dirt::All) => printer.words("days_all", &[]),
            Some(Dirt::Days(days)) => to_text(days),
            Some(Dirt::Nothing) => {
                (action, why) = ("keep", printer.words("why_same", &[]));
                String::new()
            }
        };
        if action == "build" && expected.rows > 0 {
            size = [expected.rows.to_string(), expected.bytes.to_string()];
        }
    }
    let [rows_expected, bytes] = size;
    [
        action.to_owned(),
        name.to_owned(),
        String::new(),
        why,
        days,
        rows_expected,
        bytes,
    ]
}
