//! `fenghuo query`: one SELECT on a release. Source tables and tokens are not visible here.

use crate::cli::audit::{Deed, question};
use crate::cli::open::At;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::{Bounds, references};
use crate::error::Result;
use crate::lake::SHARED;
use crate::model::pinned;

/// Run one SELECT on a release
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The SELECT
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    sql: String,
    /// Release to read, the newest by default
    #[arg(long, value_name = "RELEASE", env = "FENGHUO_AS_OF")]
    as_of: Option<u64>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.look()?;
    let release = opened.release(args.as_of).await?;
    let limits = &opened.site.settings.limits;
    let names = references("query", &args.sql)?;
    let wanted = |name: &str| names.iter().any(|known| known == name);
    let session = pinned::session_on(&opened.lake, Bounds::from(limits), &release, wanted).await?;
    let deed = Deed::begin(&opened, vec![question("query", &names, &args.sql, release.release)])?;
    let table = session.query("query", &args.sql, limits.query_rows).await;
    deed.shown(table.as_ref().ok().map(|table| table.rows()))?;
    let table = table?;
    // what comes from elsewhere says from when it is
    for (share, pulled) in &release.pulled {
        if names.iter().any(|name| name.starts_with(&format!("{SHARED}.{share}."))) {
            printer.say("query_pulled", &[share, &pulled.release, &pulled.made_at]);
        }
    }
    args.output.write(&table, printer)
}
