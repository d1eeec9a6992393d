//! On what a run builds: the last release, and in an environment the published one with what differs there.
//!
//! A model that differs from the published one, or reads one that does, has a table of its own in the
//! environment; every other model is the published table. The sources stand as they were published, so that
//! two releases differ by the models alone.

use std::collections::BTreeSet;

use crate::engine::Parameters;
use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, Release};
use crate::model::Models;
use crate::pipeline::plan::{Sources, is_source, sources};

/// The last release and the sources as a run finds them.
#[derive(Debug, Clone)]
pub struct Base {
    /// The release on which it builds; in an environment it is none that was published.
    pub last: Option<Release>,
    /// The sources.
    pub sources: Sources,
}

impl Base {
    /// The base of a run in `lake`.
    ///
    /// # Errors
    /// `Missing` for an environment where nothing is published yet; `Unavailable` where the lake cannot be read.
    pub async fn of(lake: &Lake, models: &Models, parameters: &Parameters) -> Result<Base> {
        let own = lake.latest_release().await?;
        if lake.environment().is_none() {
            return Ok(Base {
                last: own,
                sources: sources(lake).await?,
            });
        }
        let published = lake.published().latest_release().await?;
        let published =
            published.ok_or_else(|| fail(Kind::Missing, "no_release_yet", &[]).hint("no_release_hint", &[]))?;
        let sources = published.tables.iter().filter(|(name, _)| is_source(name));
        let sources = sources.map(|(name, entry)| (name.clone(), entry.clone())).collect();
        let mut base = published;
        let mut differ = BTreeSet::new();
        for model in &models.ordered {
            let there = base.tables.get(&model.name);
            let same = there.and_then(|entry| entry.fingerprint.clone()) == Some(model.fingerprint(parameters));
            if same && !model.inputs.iter().any(|input| differ.contains(input)) {
                continue;
            }
            differ.insert(model.name.clone());
            let own = own.as_ref().and_then(|own| own.tables.get(&model.name));
            if let Some(entry) = own.filter(|entry| lake.writes(&entry.location)) {
                base.tables.insert(model.name.clone(), entry.clone());
            }
        }
        base.release = own.map_or(0, |own| own.release);
        Ok(Base {
            last: Some(base),
            sources,
        })
    }
}
