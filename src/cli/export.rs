//! `fenghuo share export`: what a recipient may read, as one file.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::Entry;
use crate::cli::audit::{Deed, account};
use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::cli::serve::share_name;
use crate::error::{Kind, Result, fail};
use crate::serve::{Watched, bundle};

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
    let mut gathered = bundle::gather(&opened.lake, &state, (&args.name, &share)).await?;
    let entry = |part: &bundle::Part| Entry {
        who: args.name.clone(),
        credential: account(),
        purpose: part.purpose.clone(),
        act: "share.export".to_owned(),
        object: part.object.clone(),
        release: gathered.offer.release,
        rows: part.rows,
        bytes: part.bytes,
        ..Entry::default()
    };
    let mut deed = Deed::begin(opened, gathered.parts.iter().map(entry).collect())?;
    gathered.offer.head = deed.head()?.to_string();
    let written = gathered.write(&args.out).await;
    deed.end(written.is_ok())?;
    written?;
    let sum = |of: fn(&bundle::Part) -> u64| gathered.parts.iter().map(of).sum::<u64>();
    let words: [&dyn std::fmt::Display; 4] = [
        &args.name,
        &args.out.display(),
        &sum(|part| part.rows),
        &sum(|part| part.bytes),
    ];
    printer.say("share_exported", &words);
    Ok(())
}
