//! `fenghuo serve`: the door for those who pull.

use std::path::Path;
use std::sync::Arc;

use crate::audit::{Audit, Chain};
use crate::cli::clock::{SystemClock, entropy};
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail};
use crate::serve::{Parts, Server, Watched, bind, listen, tls};
use crate::time::Clock;
use crate::warn::INBOX;

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
    // one server of a lake alone: a second one would take the requests of the first for left behind
    let listener = bind(&serve.listen)?;
    let _alone = opened.lake.lease("serve", 0).await?;
    let clock = Arc::new(SystemClock);
    let watched = Watched::new(opened.site.clone(), opened.lake.clone(), clock.clone()).await?;
    let audit = Audit::start(Chain::open(&opened.lake, Some(&key), clock.now())?, clock.clone())?;
    let parts = Parts {
        watched,
        lake: opened.lake.clone(),
        audit,
        settings: serve,
        name: name.clone(),
        inbox: opened.site.path(INBOX),
        pack: settings.site.identifier_pack,
        clock,
        entropy,
    };
    let server = Arc::new(Server::new(parts, &key));
    let _closing = Closing(server.clone());
    let watching = server.clone();
    let ready = |address| printer.say("serve_ready", &[&address, &name]);
    tokio::select! {
        served = listen(server, config, listener, ready) => served,
        () = watching.watch(|error| printer.error(error)) => Ok(()),
    }
}

/// A server that is told to end ends its answers and its record in good order.
struct Closing(Arc<Server>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
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
