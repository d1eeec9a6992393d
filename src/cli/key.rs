//! `fenghuo key`: the site's secret, by its name, and a new one laid over it.

use std::path::{Path, PathBuf};

use crate::cli::clock::entropy;
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::config::site::{sync_folder, write_private};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::digest::hex;
use crate::pipeline::files::contracts;
use crate::protect::SiteKey;

/// Show or renew the site's key
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Name of the newest key and how many there are
    Show,
    /// Lay a new key over the old ones and renew every stored token
    Rotate,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    match args.action {
        Action::Show => {
            let key = opened.key()?;
            printer.data(&format!("key_id,generations\n{},{}\n", key.id(), key.generations()))
        }
        Action::Rotate => rotate(&opened, printer).await,
    }
}

/// The file of a key that is being laid over the site's.
pub(super) fn next_file(opened: &Opened) -> PathBuf {
    let mut path = opened.site.path(&opened.site.settings.lake.key_file).into_os_string();
    path.push(".next");
    PathBuf::from(path)
}

async fn rotate(opened: &Opened, printer: &Printer) -> Result<()> {
    let current = opened.site.path(&opened.site.settings.lake.key_file);
    let old = opened.key_at(&current)?;
    let path = next_file(opened);
    let failed = |cause: std::io::Error| io_error(&path, &cause);
    // a renewal that did not end goes on with the key it began with
    let next = if path.exists() {
        opened.key_at(&path)?
    } else {
        let text = std::fs::read_to_string(&current).map_err(|cause| io_error(&current, &cause))?;
        let text = format!("{}\n{}\n", text.trim_end(), hex(&entropy()?));
        write_private(&path, text.as_bytes()).map_err(failed)?;
        SiteKey::from_hex(&text).ok_or_else(|| fail(Kind::Bug, "key_broken", &[&path.display()]))?
    };
    if next.generations() != old.generations() + 1 {
        return Err(fail(Kind::Conflict, "key_next", &[&path.display()]));
    }
    let contracts = contracts(&opened.site)?;
    let (tables, rows) = opened.run(&old)?.renew_key(&contracts, &next).await?;
    std::fs::rename(&path, &current)
        .and_then(|()| sync_folder(&current))
        .map_err(failed)?;
    printer.say("key_renewed", &[&next.id(), &tables, &rows]);
    printer.say("key_renewed_next", &[]);
    Ok(())
}
