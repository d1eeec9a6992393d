//! What a run would do, and why: which files are new, which models are due, which are switched off.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Bounds, Parameters};
use crate::error::Result;
use crate::lake::{Lake, Release, ReleaseTable, Table, Touched};
use crate::model::load::Model;
use crate::model::{Models, boundary};
use crate::pipeline::dirt::{Dirt, Ground};
use crate::warn::table::{ACTION, WARNING};

/// Why a model is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It was never built.
    Missing,
    /// Its text, parameters or functions changed.
    Changed,
    /// An input changed.
    Input(String),
}

/// What becomes of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is built.
    Build(Reason),
    /// Nothing changed; the table of the last release stays.
    Keep,
    /// It is switched off: an input is missing.
    Off(String),
}

/// The models of a run with what becomes of them, in build order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Model name and step; those that read warnings come last.
    pub steps: Vec<(String, Step)>,
    /// How many of them are built before a run warns.
    pub before_warnings: usize,
}

/// The tables that ingest and runs fill, as they stand; those without rows are absent.
pub type Sources = BTreeMap<String, ReleaseTable>;

/// Tables that ingest and runs fill, not models.
pub(super) fn is_source(name: &str) -> bool {
    name.starts_with("source.") || name.starts_with("ops.")
}

/// The source tables in the lake. Tables without rows are absent: a missing input switches a product off
/// by name, never to zero.
///
/// # Errors
/// `Unavailable` where the lake cannot be read.
pub async fn sources(lake: &Lake) -> Result<Sources> {
    let mut found = Sources::new();
    for name in lake.table_names().await? {
        if is_source(&name)
            && let Some(table) = lake.table(&name).await?
            && (table.rows()? > 0 || name.starts_with("ops."))
        {
            found.insert(name, standing(&table)?);
        }
    }
    Ok(found)
}

/// A table of the lake as a release would name it.
///
/// # Errors
/// `Unavailable` where its log was not read.
pub(super) fn standing(table: &Table) -> Result<ReleaseTable> {
    Ok(ReleaseTable {
        location: table.location().to_owned(),
        version: table.version(),
        rows: table.rows()?,
        digest: None,
        fingerprint: None,
        inputs: BTreeMap::new(),
        run_id: None,
    })
}

/// The tables of the last release, with the sources as they stand.
pub fn tables(last: Option<&Release>, sources: &Sources) -> BTreeMap<String, ReleaseTable> {
    let mut found: BTreeMap<String, ReleaseTable> = last.iter().flat_map(|last| last.tables.clone()).collect();
    found.extend(sources.clone());
    found
}

impl Plan {
    /// Plans the models that `builds` names on `sources`, against the last release; `unread` are the tables
    /// with files that were not read yet.
    pub fn new(
        builds: &dyn Fn(&str) -> bool,
        models: &Models,
        sources: &Sources,
        unread: &BTreeSet<String>,
        unknown_origin: &BTreeSet<String>,
        last: Option<&Release>,
        parameters: &Parameters,
    ) -> Plan {
        let mut steps: Vec<(String, Step)> = Vec::new();
        let mut due: BTreeMap<String, Step> = BTreeMap::new();
        let wanted = models.ordered.iter().filter(|model| builds(&model.name));
        let (late, early): (Vec<&Model>, Vec<&Model>) =
            wanted.partition(|model| models.behind(model).outside.contains(WARNING));
        let before_warnings = early.len();
        for model in early.into_iter().chain(late) {
            let step = step(model, &due, sources, unread, unknown_origin, last, parameters);
            due.insert(model.name.clone(), step.clone());
            steps.push((model.name.clone(), step));
        }
        Plan { steps, before_warnings }
    }
}

/// What a run would build of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The days, where they are known: `None` where files that were not read yet decide.
    pub dirt: Option<Dirt>,
    /// Rows that would be written, as the present table lets expect.
    pub rows: u64,
    /// Their bytes, likewise.
    pub bytes: u64,
}

impl Plan {
    /// What a run would build, in order, for the models that are due. `tables` are those of the last
    /// release with the sources as they stand, `unread` the tables with files that were not read yet.
    ///
    /// # Errors
    /// `Unavailable` where a log cannot be read.
    pub async fn expected(
        &self,
        lake: &Lake,
        bounds: Bounds,
        models: &Models,
        last: Option<&Release>,
        tables: &BTreeMap<String, ReleaseTable>,
        unread: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Expected>> {
        let mut found = BTreeMap::new();
        let mut changed: BTreeMap<String, Touched> = BTreeMap::new();
        let mut unknown = unread.clone();
        for (name, step) in &self.steps {
            let (Step::Build(reason), Some(model)) = (step, models.get(name)) else {
                changed.insert(name.clone(), Touched::Days(BTreeSet::new()));
                continue;
            };
            let before = last.and_then(|last| Some((last, last.tables.get(name)?)));
            let dirt = match (reason, before) {
                (Reason::Input(_), Some(_)) if model.inputs.iter().any(|input| unknown.contains(input)) => None,
                (Reason::Input(_), Some((last, before))) => {
                    let expected = &changed;
                    let ground = Ground {
                        lake,
                        bounds,
                        last,
                        tables,
                        expected,
                    };
                    Some(ground.dirt(model, before).await?)
                }
                _ => Some(Dirt::All),
            };
            let touched = match &dirt {
                Some(Dirt::Nothing) => Touched::Days(BTreeSet::new()),
                Some(Dirt::Days(days)) => Touched::Days(days.clone()),
                Some(Dirt::All) | None => Touched::All,
            };
            changed.insert(name.clone(), touched);
            if dirt.is_none() {
                unknown.insert(name.clone());
            }
            let (rows, bytes) = size(lake, name, before.map(|(_, before)| before), dirt.as_ref()).await?;
            found.insert(name.clone(), Expected { dirt, rows, bytes });
        }
        Ok(found)
    }
}

/// Rows and bytes that a build would write, from those of the present table.
async fn size(lake: &Lake, name: &str, before: Option<&ReleaseTable>, dirt: Option<&Dirt>) -> Result<(u64, u64)> {
    let Some(before) = before else { return Ok((0, 0)) };
    let table = lake.table_at(name, &before.location, before.version).await?;
    let (rows, bytes) = (before.rows, table.bytes()?);
    let share = |all: u64, days: usize, span: i32| {
        let span = u64::try_from(span.max(1)).unwrap_or(1);
        all.saturating_mul(days as u64) / span
    };
    Ok(match (dirt, table.bounds()?) {
        (Some(Dirt::Nothing), _) => (0, 0),
        (Some(Dirt::Days(days)), Some((first, end))) => {
            let span = end - first + 1;
            (share(rows, days.len(), span), share(bytes, days.len(), span))
        }
        _ => (rows, bytes),
    })
}

fn step(
    model: &Model,
    due: &BTreeMap<String, Step>,
    sources: &Sources,
    unread: &BTreeSet<String>,
    unknown_origin: &BTreeSet<String>,
    last: Option<&Release>,
    parameters: &Parameters,
) -> Step {
    if model.name == boundary::CITIZEN_ALARM
        && let Some(contract) = unknown_origin.first()
    {
        return Step::Off(format!("{contract}: origin = \"unknown\""));
    }
    for input in &model.inputs {
        if let Some(Step::Off(reason)) = due.get(input) {
            return Step::Off(reason.clone());
        }
        // the run itself makes the table of warnings, and adds to it
        if is_source(input) && !sources.contains_key(input) && !unread.contains(input) && input != WARNING {
            return Step::Off(input.clone());
        }
        // a model outside this run that is not in the release either
        let is_there = due.contains_key(input) || last.is_some_and(|last| last.tables.contains_key(input));
        if !is_source(input) && !is_there {
            let why = last.and_then(|last| last.off.get(input)).unwrap_or(input);
            return Step::Off(why.clone());
        }
    }
    let Some(entry) = last.and_then(|last| last.tables.get(&model.name)) else {
        return Step::Build(Reason::Missing);
    };
    if entry.fingerprint.as_deref() != Some(model.fingerprint(parameters).as_str()) {
        return Step::Build(Reason::Changed);
    }
    for input in &model.inputs {
        let builds = |step: Option<&Step>| matches!(step, Some(Step::Build(_)));
        let warns = |name: &String| name.starts_with("warning.") || name == ACTION;
        let rebuilt = match input.as_str() {
            WARNING => due.iter().any(|(name, step)| warns(name) && builds(Some(step))),
            _ => builds(due.get(input)),
        };
        // an input outside this pipeline may have been rebuilt by another one
        let now = sources.get(input).or_else(|| last?.tables.get(input));
        let moved = unread.contains(input) || now.is_some_and(|now| entry.inputs.get(input) != Some(&now.state()));
        if rebuilt || moved || !entry.inputs.contains_key(input) {
            return Step::Build(Reason::Input(input.clone()));
        }
    }
    Step::Keep
}
