//! The lake's upkeep: files that no release in keep and no pin shows go, small files are put together.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use crate::contract::Contract;
use crate::error::Result;
use crate::ingest::tables::layout;
use crate::lake::upkeep::Waste;
use crate::lake::{Commit, Compacted, Lake, Layout, Lease, Pin, Release, SHARED};
use crate::message::{Language, Message};
use crate::pipeline::definition::Upkeep;
use crate::pipeline::dirt::state;
use crate::pipeline::record::Record;
use crate::pipeline::run::{Run, Watch};
use crate::time::calendar;

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
    /// Finds what no release in keep and no pin shows, and removes it unless this is a `trial`; under the site
    /// lease, so that nobody is writing.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; as the store fails.
    pub async fn sweep(&self, trial: bool) -> Result<Vec<Waste>> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        self.swept(&lease, trial).await
    }

    async fn swept(&self, _held: &Lease, trial: bool) -> Result<Vec<Waste>> {
        let limits = &self.site.settings.limits;
        let now = self.clock.now() / 1_000;
        let since = now - limits.keep_days * DAY_MILLIS;
        let mut views = vec![self.lake.published()];
        for name in self.lake.environments()? {
            views.push(self.lake.in_environment(&name)?);
        }
        let mut all = Vec::new();
        for view in &views {
            all.extend(releases(view, since).await?);
        }
        let mut kept = shown(&all);
        let today = i32::try_from(now.div_euclid(DAY_MILLIS)).unwrap_or(i32::MAX);
        for pin in self.lake.pins()?.into_iter().filter(|pin| stands(pin, today)) {
            kept.entry((pin.table, pin.location)).or_default().insert(pin.version);
        }
        let before = now - limits.orphan_hours * HOUR_MILLIS;
        let mut found = Vec::new();
        for name in self.lake.table_names().await? {
            let mut newest = BTreeSet::new();
            for view in &views {
                newest.extend(view.locations(&name).await?.pop());
            }
            for location in self.lake.every_location(&name).await? {
                let mut versions = kept.get(&(name.clone(), location.clone())).cloned().unwrap_or_default();
                // the newest is where the next rows go, whether a release shows it or not
                if newest.contains(&location) {
                    versions.insert(self.lake.table_in(&name, &location).await?.version());
                }
                let waste = self.lake.waste(&name, &location, &versions, before).await?;
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

    /// Puts the small files of tables together, those of `names` where there are any; a `trial` only counts
    /// them. Under the site lease, so that nobody else replaces rows.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; as the store fails.
    pub async fn compact(
        &self,
        contracts: &[Contract],
        names: &[String],
        trial: bool,
    ) -> Result<Vec<(String, Compacted)>> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        self.compacted(&lease, contracts, names, trial).await
    }

    async fn compacted(
        &self,
        held: &Lease,
        contracts: &[Contract],
        names: &[String],
        trial: bool,
    ) -> Result<Vec<(String, Compacted)>> {
        let commit = Commit::of(&self.run_id, held.fence(), self.key.id());
        let mut found = Vec::new();
        for name in self.lake.table_names().await? {
            // what was pulled is made of its provider's files
            let pulled = name.starts_with(&format!("{SHARED}."));
            let wanted = !pulled && (names.is_empty() || names.contains(&name));
            let Some(mut table) = self.lake.table(&name).await?.filter(|_| wanted) else {
                continue;
            };
            let contract = contracts.iter().find(|contract| contract.into == name);
            let layout = contract.map_or_else(Layout::default, layout);
            let done = table.compact(layout, &commit, trial).await?;
            if done.files > 0 {
                found.push((name, done));
            }
        }
        Ok(found)
    }

    /// The upkeep of a pipeline, a step each; a step that fails leaves what it did.
    ///
    /// # Errors
    /// As the store fails.
    pub(super) async fn upkeep(
        &self,
        lease: &Lease,
        wanted: &[Upkeep],
        contracts: &[Contract],
        record: &mut Record<'_>,
        watch: &dyn Watch,
    ) -> Result<()> {
        for work in wanted {
            let (name, done) = match work {
                Upkeep::Optimize => {
                    let done = self.compacted(lease, contracts, &[], false).await;
                    let files = |done: Vec<(String, Compacted)>| done.iter().map(|(_, done)| done.files).sum::<u64>();
                    ("optimize", done.map(files))
                }
                Upkeep::Vacuum => {
                    let done = self.swept(lease, false).await;
                    ("vacuum", done.map(|done| done.iter().map(|waste| waste.files).sum()))
                }
            };
            match done {
                Ok(files) => {
                    record.step("upkeep", name, "ok", files, String::new())?;
                    watch.said(Message::new("upkeep_done", &[&name, &files]));
                }
                Err(error) => {
                    record.step("upkeep", name, "failed", 0, error.render(Language::English))?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Whether a pin holds on a day.
fn stands(pin: &Pin, today: i32) -> bool {
    // one whose end nobody can read is no reason to remove anything
    calendar::day(&pin.until).is_none_or(|until| today <= until)
}
