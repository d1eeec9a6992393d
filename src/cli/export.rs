//! `fenghuo share export`: what a recipient may read, as one file.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::{Chain, Decision, Entry};
use crate::cli::audit::account;
use crate::cli::clock::{SystemClock, run_id};
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::cli::serve::share_name;
use crate::error::{Kind, Result, fail};
use crate::serve::{Watched, bundle};
use crate::time::Clock;

/// What is written, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// File to write
    #[arg(long = "out", id = "bundle_out", value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(opened: &Opened, args: &Args, printer: &Printer) -> Result<()> {
    if args.out.exists() {
        return Err(fail(Kind::Conflict, "profile_exists", &[&args.out.display()]));
    }
    let watched = Watched::new(opened.site.clone(), opened.lake.clone(), Arc::new(SystemClock)).await?;
    let state = watched
        .now()
        .ok_or_else(|| fail(Kind::Unavailable, "runtime_failed", &[]))?;
    let share = share_name(&opened.site.settings.site.name)?;
    let mut chain = Chain::open(&opened.lake, &opened.key()?)?;
    let now = SystemClock.now();
    let decided = Entry {
        request: run_id(now)?,
        who: args.name.clone(),
        credential: account(),
        act: "share.export".to_owned(),
        object: share.clone(),
        release: state.release().map_or(0, |release| release.release),
        decision: Decision::Allow,
        ..Entry::default()
    };
    let head = chain.add(std::slice::from_ref(&decided), now)?;
    let done = bundle::write(&opened.lake, &state, (&args.name, &share), &head.to_string(), &args.out).await;
    let (rows, bytes) = done.as_ref().map_or((0, 0), |done| *done);
    let ended = Entry {
        decision: if done.is_ok() { Decision::Whole } else { Decision::Part },
        rows,
        bytes,
        ..decided
    };
    chain.add(&[ended], SystemClock.now())?;
    done?;
    printer.say("share_exported", &[&args.name, &args.out.display(), &rows, &bytes]);
    Ok(())
}
