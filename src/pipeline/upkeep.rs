//! What the lake need not keep: files that no release in keep shows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use crate::error::Result;
use crate::lake::upkeep::Waste;
use crate::lake::{Lake, Release};
use crate::pipeline::dirt::state;
use crate::pipeline::run::Run;

const DAY_MILLIS: i64 = 86_400_000;
const HOUR_MILLIS: i64 = 3_600_000;

/// Versions that are kept, by table and location.
type Kept = BTreeMap<(String, String), BTreeSet<u64>>;

/// The releases made since a moment (milliseconds since 1970), and always the newest and what it restores.
async fn releases(lake: &Lake, since: i64) -> Result<Vec<Release>> {
    let mut kept = Vec::new();
    let mut restored = None;
    for number in lake.releases().await?.into_iter().rev() {
        let release = lake.release(number).await?;
        let made = DateTime::parse_from_rfc3339(&release.made_at).map_or(i64::MAX, |at| at.timestamp_millis());
        if kept.is_empty() {
            restored = release.restores;
        }
        if kept.is_empty() || made >= since || restored == Some(number) {
            kept.push(release);
        }
    }
    Ok(kept)
}

/// The versions that these releases show, or on which their tables were built: what changed since, only a
/// comparison with these tells.
fn shown(releases: &[Release]) -> Kept {
    let mut kept = Kept::new();
    for (name, entry) in releases.iter().flat_map(|release| &release.tables) {
        let versions = kept.entry((name.clone(), entry.location.clone())).or_default();
        versions.insert(entry.version);
        for (input, built_on) in &entry.inputs {
            if let Some((location, version)) = state(built_on) {
                kept.entry((input.clone(), location.to_owned()))
                    .or_default()
                    .insert(version);
            }
        }
    }
    kept
}

impl Run<'_> {
    /// Finds what no release in keep shows, and removes it unless this is a `trial`; under the site lease, so
    /// that nobody is writing.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; as the store fails.
    pub async fn sweep(&self, trial: bool) -> Result<Vec<Waste>> {
        let limits = &self.site.settings.limits;
        let _lease = self.lake.lease("site", limits.lease_wait_seconds).await?;
        let now = self.clock.now() / 1_000;
        let kept = shown(&releases(self.lake, now - limits.keep_days * DAY_MILLIS).await?);
        let before = now - limits.orphan_hours * HOUR_MILLIS;
        let mut found = Vec::new();
        for name in self.lake.table_names().await? {
            let locations = self.lake.locations(&name).await?;
            for location in &locations {
                let mut versions = kept.get(&(name.clone(), location.clone())).cloned().unwrap_or_default();
                // the newest is where the next rows go, whether a release shows it or not
                if Some(location) == locations.last() {
                    versions.insert(self.lake.table_in(&name, location).await?.version());
                }
                let waste = self.lake.waste(&name, location, &versions, before).await?;
                if waste.files > 0 {
                    if !trial {
                        self.lake.remove(&waste).await?;
                    }
                    found.push(waste);
                }
            }
        }
        Ok(found)
    }
}
