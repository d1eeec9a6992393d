//! The boundary as loader rules (design §1): what a model may read, and where tokens may go.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::text;
use crate::engine::Class;
use crate::engine::taint::Findings;
use crate::error::{Kind, Problem, Result, fail};
use crate::message::Message;
use crate::model::load::Model;

/// The one model that holds the filter of spatial products.
pub const CITIZEN_ALARM: &str = "mart.citizen_alarm";
/// Documents of calls before that filter.
const ALARM_TABLES: [&str; 6] = [
    "source.alarm",
    "source.dispatch",
    "source.feedback",
    "core.alarm",
    "core.dispatch",
    "core.feedback",
];
/// Columns that place a warning on a map.
const SPATIAL_COLUMNS: [&str; 5] = ["cell", "area", "lon", "lat", "place"];

/// Refuses spatial products whose lineage reaches calls other than through [`CITIZEN_ALARM`].
pub fn spatial(models: &BTreeMap<String, Model>, problems: &mut Vec<Problem>) {
    for model in models.values().filter(|model| is_spatial(model)) {
        let mut path = vec![model.name.clone()];
        if let Some(table) = reaches(models, model, &mut path, &mut BTreeSet::new()) {
            let shown = path.join(" → ");
            let word = path.get(1).cloned().unwrap_or_default();
            let message = Message::new("model_spatial_input", &[&model.name, &table, &CITIZEN_ALARM, &shown]);
            problems.push(text::problem_at_word(
                &model.file.path,
                &model.file.text,
                &word,
                message,
            ));
        }
    }
}

fn is_spatial(model: &Model) -> bool {
    model.name.starts_with("risk.")
        || model.name.starts_with("warning.")
            && model
                .header
                .grain
                .iter()
                .any(|column| SPATIAL_COLUMNS.contains(&column.as_str()))
}

fn reaches(
    models: &BTreeMap<String, Model>,
    model: &Model,
    path: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> Option<String> {
    for input in &model.inputs {
        if input == CITIZEN_ALARM || !seen.insert(input.clone()) {
            continue;
        }
        path.push(input.clone());
        // what others share holds calls behind another filter, or none
        if input.starts_with("shared.") || ALARM_TABLES.contains(&input.as_str()) {
            return Some(input.clone());
        }
        if let Some(next) = models.get(input)
            && let Some(found) = reaches(models, next, path, seen)
        {
            return Some(found);
        }
        path.pop();
    }
    None
}

/// Refuses a plan whose rows would not be the same from the same inputs.
///
/// # Errors
/// `Input` with every function and what to use instead.
pub fn steady(path: &str, sql: &str, traps: &[(String, &'static str)]) -> Result<()> {
    let problems: Vec<Problem> = traps
        .iter()
        .map(|(name, why)| text::problem_at_word(path, sql, name, Message::new(why, &[name])))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(fail(Kind::Input, "models_invalid", &[]).with_problems(problems))
}

/// Refuses a plan in which a protected column goes where it must not.
///
/// # Errors
/// `Denied` with every violation.
pub fn tokens(path: &str, sql: &str, findings: &Findings, place_token: bool) -> Result<()> {
    let problems: Vec<Problem> = findings
        .violations
        .iter()
        // an allow-listed model may use a place token and still not put it out, since people query its table
        .filter(|violation| violation.class == Class::Token || !place_token || violation.door == "OUTPUT")
        .map(|violation| {
            let column = violation.expression.rsplit('.').next().unwrap_or(&violation.expression);
            let message = Message::new("model_token", &[&violation.expression, &violation.door]);
            text::problem_at_word(path, sql, column, message)
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(fail(Kind::Denied, "model_denied", &[&path])
        .with_problems(problems)
        .hint("model_denied_hint", &[]))
}
