//! `fenghuo test`: the unit tests of a site's models.

use std::path::Path;

use crate::cli::print::Printer;
use crate::config::Site;
use crate::engine::Bounds;
use crate::error::{Error, Kind, Problem, Result, fail};
use crate::model::{Models, spec};
use crate::pipeline::run::parameters;

/// Run the SQL unit tests of the models
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files of sql/test to run, without ending; all of them by default
    #[arg(value_name = "NAME", id = "specs")]
    names: Vec<String>,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let site = Site::open(site)?;
    let models = Models::load(&site)?;
    let files = spec::wanted(site.files("sql/test", ".slt")?, &args.names)?;
    let bounds = Bounds::from(&site.settings.limits);
    let (mut cases, mut failed): (usize, Vec<Error>) = (0, Vec::new());
    for file in &files {
        match spec::run(file, &models, bounds, &parameters(&site)).await {
            Ok(found) => cases += found,
            Err(error) => failed.push(error),
        }
    }
    printer.say("specs_done", &[&files.len(), &cases, &failed.len()]);
    if failed.is_empty() {
        return Ok(());
    }
    let problems: Vec<Problem> = failed.iter().flat_map(|error| error.problems().to_vec()).collect();
    Err(fail(Kind::Check, "specs_failed", &[&failed.len(), &files.len()]).with_problems(problems))
}
