//! What a run would do, and why: which files are new, which models are due, which are switched off.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::lake::{Lake, Release, ReleaseTable};
use crate::model::load::Model;
use crate::model::{Models, rules};
use crate::pipeline::Definition;

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
    /// Model name and step.
    pub steps: Vec<(String, Step)>,
}

/// The source tables as they stand: name → state, for tables that hold rows.
pub type Sources = BTreeMap<String, String>;

/// The state of the source tables in the lake. Tables without rows are absent: a missing input
/// switches a product off by name, never to zero.
///
/// # Errors
/// `Unavailable` where the lake cannot be read.
pub async fn sources(lake: &Lake) -> Result<Sources> {
    let mut found = Sources::new();
    for name in lake.table_names().await? {
        let counts = name.starts_with("source.") || name.starts_with("ops.");
        if counts
            && let Some(table) = lake.table(&name).await?
            && (table.rows()? > 0 || name.starts_with("ops."))
        {
            found.insert(name, format!("{}@{}", table.location(), table.version()));
        }
    }
    Ok(found)
}

impl Plan {
    /// Plans the models of `definition` on `sources`, against the last release.
    pub fn new(
        definition: &Definition,
        models: &Models,
        sources: &Sources,
        unknown_origin: &BTreeSet<String>,
        last: Option<&Release>,
        parameters: &BTreeMap<String, String>,
    ) -> Plan {
        let mut steps: Vec<(String, Step)> = Vec::new();
        let mut due: BTreeMap<String, Step> = BTreeMap::new();
        for model in models.ordered.iter().filter(|model| definition.builds(&model.name)) {
            let step = step(model, &due, sources, unknown_origin, last, parameters);
            due.insert(model.name.clone(), step.clone());
            steps.push((model.name.clone(), step));
        }
        Plan { steps }
    }
}

fn step(
    model: &Model,
    due: &BTreeMap<String, Step>,
    sources: &Sources,
    unknown_origin: &BTreeSet<String>,
    last: Option<&Release>,
    parameters: &BTreeMap<String, String>,
) -> Step {
    if model.name == rules::CITIZEN_ALARM
        && let Some(contract) = unknown_origin.first()
    {
        return Step::Off(format!("{contract}: origin = \"unknown\""));
    }
    for input in &model.inputs {
        if let Some(Step::Off(reason)) = due.get(input) {
            return Step::Off(reason.clone());
        }
        let is_source = input.starts_with("source.") || input.starts_with("ops.");
        if is_source && !sources.contains_key(input) {
            return Step::Off(input.clone());
        }
    }
    let Some(entry) = last.and_then(|last| last.tables.get(&model.name)) else {
        return Step::Build(Reason::Missing);
    };
    if entry.fingerprint.as_deref() != Some(model.fingerprint(parameters).as_str()) {
        return Step::Build(Reason::Changed);
    }
    for input in &model.inputs {
        let rebuilt = matches!(due.get(input), Some(Step::Build(_)));
        // an input outside this pipeline may have been rebuilt by another one
        let state = sources.get(input).cloned();
        let state = state.or_else(|| last?.tables.get(input).map(ReleaseTable::state));
        let moved = state.is_some_and(|state| entry.inputs.get(input) != Some(&state));
        if rebuilt || moved || !entry.inputs.contains_key(input) {
            return Step::Build(Reason::Input(input.clone()));
        }
    }
    Step::Keep
}
