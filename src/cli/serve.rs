//! `fenghuo serve`: the door for those who pull.

use std::path::Path;
use std::sync::Arc;

use crate::audit::{Audit, Chain};
use crate::cli::clock::{SystemClock, entropy};
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::serve::{Parts, Server, Watched, listen, tls};

/// Serve shared tables to their recipients
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shares, by the Delta Sharing protocol
    #[arg(long, required = true)]
    share: bool,
}

pub(super) async fn run(_: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let settings = &opened.site.settings;
    let serve = settings.serve.clone();
    // what is wrong with the door is said before anything is opened
    let config = tls(
        &opened.site.path(&serve.certificate),
        &opened.site.path(&serve.certificate_key),
    )?;
    let key = opened.key()?;
    let name = share_name(&settings.site.name)?;
    let clock = Arc::new(SystemClock);
    let audit = Audit::start(Chain::open(&opened.lake, Some(&key))?, clock.clone())?;
    let watched = Watched::new(opened.site.clone(), opened.lake.clone(), clock.clone()).await?;
    let parts = Parts {
        watched,
        lake: opened.lake.clone(),
        audit,
        settings: serve,
        name: name.clone(),
        inbox: opened.site.path("inbox"),
        clock,
        entropy,
    };
    let server = Arc::new(Server::new(parts, &key));
    let watching = server.clone();
    let served = listen(server, config, |address| printer.say("serve_ready", &[&address, &name]));
    tokio::select! {
        served = served => served,
        () = watching.watch(|error| printer.error(error)) => Ok(()),
    }
}

/// The name of the share that all shared tables of a site are in: the site's, as SQL takes it without quotes.
pub(super) fn share_name(site: &str) -> Result<String> {
    let name: String = site
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    match name.starts_with(|c: char| c.is_ascii_lowercase()) && site.is_ascii() {
        true => Ok(name),
        false => Err(fail(Kind::Input, "serve_name", &[&site]).hint("serve_name_hint", &[])),
    }
}
