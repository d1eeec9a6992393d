//! Opening a site: settings, lake, key.

use std::path::Path;

use crate::config::Site;
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::{Lake, Release};
use crate::protect::SiteKey;

/// A site with its lake.
#[derive(Debug)]
pub(super) struct Opened {
    pub site: Site,
    pub lake: Lake,
}

impl Opened {
    pub(super) fn at(path: &Path) -> Result<Opened> {
        let site = Site::open(path)?;
        let lake = Lake::open(site.root(), &site.settings.lake.url)?;
        Ok(Opened { site, lake })
    }

    /// The site's secret. A key file that others can read is no secret.
    pub(super) fn key(&self) -> Result<SiteKey> {
        let path = self.site.path(&self.site.settings.lake.key_file);
        let text = std::fs::read_to_string(&path).map_err(|cause| {
            let error = io_error(&path, &cause);
            if error.kind() == Kind::Missing {
                error.hint("key_hint", &[&path.display()])
            } else {
                error
            }
        })?;
        private(&path)?;
        SiteKey::from_hex(&text)
            .ok_or_else(|| fail(Kind::Input, "key_broken", &[&path.display()]).hint("key_hint", &[&path.display()]))
    }

    /// The release of a number, else the newest.
    pub(super) async fn release(&self, number: Option<u64>) -> Result<Release> {
        match number {
            Some(number) => self.lake.release(number).await,
            None => self
                .lake
                .latest_release()
                .await?
                .ok_or_else(|| fail(Kind::Missing, "no_release_yet", &[]).hint("no_release_hint", &[])),
        }
    }
}

#[cfg(unix)]
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)
        .map_err(|cause| io_error(path, &cause))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(fail(Kind::Denied, "key_mode", &[&path.display(), &format!("{mode:o}")])
        .hint("key_mode_hint", &[&path.display()]))
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<()> {
    Ok(())
}
