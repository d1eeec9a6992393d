//! `fenghuo pull`: the tables that others share, here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::ingest::Progress;
use crate::message::Message;
use crate::pipeline::Watch;
use crate::pipeline::pull::{Arrived, Ask, Pulling};
use crate::share::client::Moving;
use crate::share::offer::Planned;

/// Bring the tables that others share into this lake
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Profile file of the provider, those of the settings by default
    #[arg(
        long = "from-profile",
        id = "pull_profile",
        value_name = "FILE",
        env = "FENGHUO_PULL_PROFILE"
    )]
    profile: Option<PathBuf>,
    /// A bundle file instead of a line to the provider
    #[arg(long = "from", id = "pull_from", value_name = "FILE")]
    from: Option<PathBuf>,
    /// Take a release that is older than the one here, where the provider began anew
    #[arg(long = "older", id = "pull_older_too")]
    older: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Shows what comes in.
struct Shown<'p> {
    printer: &'p Printer,
    progress: Arc<Progress>,
}

const MIB: f64 = 1_048_576.0;

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for a person")]
    let mib = bytes as f64 / MIB;
    match mib < 1.0 {
        true => format!("{:.1} KiB", mib * 1_024.0),
        false => format!("{mib:.1} MiB"),
    }
}

impl Moving for Shown<'_> {
    fn moved(&self, bytes: u64) {
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Pulling for Shown<'_> {
    fn planned(&self, planned: &Planned, rate: Option<f64>) {
        let offer = &planned.offer;
        let ((files, all), bytes) = (planned.whole(), planned.bytes());
        self.printer.say(
            "pull_plan",
            &[
                &offer.share,
                &offer.release,
                &offer.made_at,
                &offer.tables.len(),
                &files,
                &size(all),
                &planned.files(),
                &size(bytes),
            ],
        );
        if let Some(rate) = rate.filter(|_| bytes > 0) {
            #[expect(clippy::cast_precision_loss, reason = "for a person")]
            let seconds = (bytes as f64 / rate).ceil();
            self.printer
                .say("pull_duration", &[&format!("{:.1}", rate / MIB), &seconds]);
        }
        if bytes > 0 {
            self.printer.reading(&offer.share, bytes, self.progress.clone());
        }
    }

    fn said(&self, message: Message) {
        self.printer.said(message);
    }
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let key = opened.key()?;
    let ask = Ask {
        trial: args.dry_run,
        older: args.older,
    };
    let profiles: Vec<PathBuf> = match &args.profile {
        Some(profile) => vec![profile.clone()],
        None => {
            let profiles = opened.site.settings.pull.profiles.iter();
            profiles.map(|profile| opened.site.path(profile)).collect()
        }
    };
    if profiles.is_empty() {
        return Err(fail(Kind::Missing, "pull_nowhere", &[]).hint("pull_nowhere_hint", &[]));
    }
    if let Some(path) = &args.from {
        let arrived = opened
            .run(&key)?
            .pull_file(path, &profiles, ask, &shown(printer))
            .await?;
        told(&arrived, printer);
        return Ok(());
    }
    // a provider that is away keeps nobody from the others; the first failure ends the command
    let mut failed = Ok(());
    for profile in &profiles {
        match opened.run(&key)?.pull(profile, ask, &shown(printer)).await {
            Ok(arrived) => told(&arrived, printer),
            Err(error) if failed.is_ok() => failed = Err(error),
            Err(error) => printer.error(&error),
        }
    }
    failed
}

fn shown(printer: &Printer) -> Shown<'_> {
    Shown {
        printer,
        progress: Arc::default(),
    }
}

fn told(arrived: &[Arrived], printer: &Printer) {
    printer.end_bar();
    for one in arrived {
        #[expect(clippy::cast_precision_loss, reason = "for a person")]
        let seconds = one.millis as f64 / 1_000.0;
        let words: [&dyn std::fmt::Display; 6] = [
            &one.share,
            &one.release,
            &one.tables,
            &one.files,
            &size(one.bytes),
            &format!("{seconds:.1}"),
        ];
        printer.say("pull_done", &words);
        match one.published {
            0 => printer.say("pull_nothing", &[]),
            release => printer.say("pull_published", &[&release]),
        }
    }
}
