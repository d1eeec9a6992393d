//! Opening a site: settings, lake, key.

use std::path::Path;

use crate::cli::clock::{SystemClock, entropy, run_id};
use crate::cli::key::next_file;
use crate::config::site::private;
use crate::config::{Site, text};
use crate::contract::Contract;
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::{Lake, Release};
use crate::pipeline::Run;
use crate::protect::SiteKey;
use crate::time::Clock;

/// Where a command works.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub site: &'a Path,
    pub environment: Option<&'a str>,
}

impl At<'_> {
    pub(super) fn open(self) -> Result<Opened> {
        let mut opened = Opened::at(self.site)?;
        if let Some(name) = self.environment {
            opened.lake = opened.lake.in_environment(name)?;
        }
        Ok(opened)
    }

    /// The same, where an environment is only looked at: it has to be there.
    pub(super) fn look(self) -> Result<Opened> {
        let opened = self.open()?;
        match self.environment {
            Some(name) if !opened.lake.environments()?.iter().any(|known| known == name) => {
                Err(fail(Kind::Missing, "no_environment", &[&name]))
            }
            _ => Ok(opened),
        }
    }
}

/// A site with its lake.
#[derive(Debug)]
pub(super) struct Opened {
    pub site: Site,
    pub lake: Lake,
}

impl Opened {
    pub(super) fn at(path: &Path) -> Result<Opened> {
        let mut site = Site::open(path)?;
        site.stores = stores();
        let lake = Lake::open(site.root(), &site.settings.lake.url)?;
        Ok(Opened { site, lake })
    }

    /// The site's secret. A key file that others can read is no secret.
    ///
    /// # Errors
    /// `Conflict` where a new key was not laid over it to the end.
    pub(super) fn key(&self) -> Result<SiteKey> {
        let next = next_file(self);
        if next.exists() {
            return Err(fail(Kind::Conflict, "key_renewing", &[&next.display()]).hint("key_renewing_hint", &[]));
        }
        self.key_at(&self.site.path(&self.site.settings.lake.key_file))
    }

    /// The secret in a file.
    pub(super) fn key_at(&self, path: &Path) -> Result<SiteKey> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let error = io_error(path, &cause);
            if error.kind() == Kind::Missing {
                error.hint("key_hint", &[&path.display()])
            } else {
                error
            }
        })?;
        private(path)?;
        SiteKey::from_hex(&text)
            .ok_or_else(|| fail(Kind::Input, "key_broken", &[&path.display()]).hint("key_hint", &[&path.display()]))
    }

    /// A run on this site that begins now.
    pub(super) fn run<'a>(&'a self, key: &'a SiteKey) -> Result<Run<'a>> {
        Ok(Run {
            site: &self.site,
            lake: &self.lake,
            key,
            clock: &SystemClock,
            entropy: entropy()?,
            run_id: run_id(SystemClock.now())?,
        })
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

/// The variables by which object stores are reached, under the names that their clients share.
fn stores() -> std::collections::BTreeMap<String, String> {
    std::env::vars()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| {
            ["aws_", "azure_", "google_"]
                .iter()
                .any(|store| name.starts_with(store))
        })
        .collect()
}

/// A contract by its name.
pub(super) fn named<'c>(contracts: &'c [Contract], name: &str) -> Result<&'c Contract> {
    contracts.iter().find(|contract| contract.name == name).ok_or_else(|| {
        let known: Vec<&str> = contracts.iter().map(|contract| contract.name.as_str()).collect();
        let near = text::closest(name, known.iter().copied()).unwrap_or("—");
        fail(Kind::Missing, "no_contract", &[&name]).hint("no_contract_hint", &[&near, &known.join(" ")])
    })
}
