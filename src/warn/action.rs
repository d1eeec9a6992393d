//! Actions on warnings: acknowledged, closed with what was found. They are only ever added, and travel as lines of JSON:
//! within a site to its own feed, from a county to the city that raised the warning.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::settings::Pack;
use crate::error::{Kind, fail};
use crate::lake::digest::hex;
use crate::protect::scan;

/// Bytes of a warning's name at most.
const NAME_BYTES: usize = 120;
/// Characters of a note at most.
const NOTE_CHARS: usize = 200;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Somebody has seen it.
    Acknowledged,
    /// It is dealt with.
    Closed,
}

/// With what it was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Result {
    /// It helped.
    Useful,
    /// Nobody found anything.
    NothingFound,
    /// The data were wrong.
    DataFault,
    /// Another one says the same.
    Duplicate,
}

/// An action on a warning. It names no person: who may act for a county is the county's matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its own name, which makes it one action however often it comes.
    pub action_id: String,
    /// The warning.
    pub warning_id: String,
    /// The county whose warning it is.
    pub county: String,
    /// What was done.
    pub act: Act,
    /// With what it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Result>,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When, RFC 3339.
    pub acted_at: String,
}

impl Action {
    /// A new action, named by what it says; a note holds no number of a person, as `pack` knows them.
    ///
    /// # Errors
    /// `Input` where it says too much or too little, `Denied` for a note that leads to a person.
    pub fn new(
        warning: (&str, &str),
        (act, result): (Act, Option<Result>),
        (note, pack): (Option<&str>, Pack),
        at: &str,
    ) -> crate::Result<Action> {
        let mut action = Action {
            action_id: String::new(),
            warning_id: warning.0.to_owned(),
            county: warning.1.to_owned(),
            act,
            result,
            note: note.map(str::to_owned),
            acted_at: at.to_owned(),
        };
        action.action_id = hex(&blake3::hash(action.line()?.as_bytes()).as_bytes()[..16]);
        action.check(pack)?;
        Ok(action)
    }

    fn line(&self) -> crate::Result<String> {
        serde_json::to_string(self).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))
    }

    fn check(&self, pack: Pack) -> crate::Result<()> {
        let names = [&self.action_id, &self.warning_id, &self.county];
        let named = names.iter().all(|name| !name.is_empty() && name.len() <= NAME_BYTES);
        let closed = (self.act == Act::Closed) == self.result.is_some();
        let dated = chrono::DateTime::parse_from_rfc3339(&self.acted_at).is_ok();
        if !(named && closed && dated) {
            return Err(fail(Kind::Input, "action_broken", &[&self.warning_id]));
        }
        let note = self.note.as_deref().unwrap_or_default();
        let length = note.chars().count();
        if length > NOTE_CHARS {
            return Err(fail(Kind::Input, "action_note", &[&length, &NOTE_CHARS]));
        }
        match scan::first(note.as_bytes(), pack) {
            Some(hit) => Err(fail(Kind::Denied, "action_person", &[&(hit.at + 1)]).hint("action_person_hint", &[])),
            None => Ok(()),
        }
    }
}

/// Actions as they travel, a line each.
///
/// # Errors
/// `Bug` where they cannot be written.
pub fn lines(actions: &[Action]) -> crate::Result<String> {
    let lines = actions.iter().map(|action| action.line().map(|line| line + "\n"));
    lines.collect()
}

/// Actions as they came from those who may act for some counties.
///
/// # Errors
/// `Input` for a line that is no action, `Denied` for a county that is not theirs, and for a note that leads to a
/// person.
pub fn read(bytes: &[u8], counties: &BTreeSet<String>, pack: Pack) -> crate::Result<Vec<Action>> {
    let mut actions = Vec::new();
    for (at, line) in bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let wrong = || fail(Kind::Input, "action_line", &[&(at + 1)]);
        let action: Action = serde_json::from_slice(line).map_err(|cause| wrong().because(cause))?;
        action.check(pack)?;
        if !counties.contains(&action.county) {
            return Err(fail(Kind::Denied, "action_county", &[&(at + 1), &action.county]));
        }
        actions.push(action);
    }
    match actions.is_empty() {
        true => Err(fail(Kind::Input, "action_line", &[&1])),
        false => Ok(actions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_one_however_often_it_comes_and_acts_for_its_own_county_alone() {
        let own = BTreeSet::from(["990101".to_owned()]);
        let at = "2025-03-10T08:00:00Z";
        let done = (Act::Closed, Some(Result::NothingFound));
        let action = Action::new(("surge-1", "990101"), done, (Some("巡查无异常"), Pack::Cn), at).expect("an action");
        let again = Action::new(("surge-1", "990101"), done, (Some("巡查无异常"), Pack::Cn), at).expect("an action");
        assert_eq!(action, again);
        let text = lines(&[action.clone(), again]).expect("lines");
        assert_eq!(
            read(text.as_bytes(), &own, Pack::Cn).expect("actions"),
            [action.clone(), action]
        );
        let key = |line: &str| read(line.as_bytes(), &own, Pack::Cn).expect_err("refused").key();
        assert_eq!(key(&text.replace("990101", "990102")), "action_county");
        assert_eq!(key(&text.replace("\"result\":\"nothing_found\",", "")), "action_broken");
        assert_eq!(
            key(&text.replace("acted_at", "by\":\"an officer\",\"acted_at")),
            "action_line"
        );
        assert_eq!(key(""), "action_line");
        let long = "长".repeat(NOTE_CHARS + 1);
        let error = Action::new(("surge-1", "990101"), done, (Some(&long), Pack::Cn), at).expect_err("too long");
        assert_eq!((error.kind(), error.key()), (Kind::Input, "action_note"));
        let named = Action::new(("surge-1", "990101"), done, (Some("电话 13800138000"), Pack::Cn), at);
        assert_eq!(named.expect_err("a person").key(), "action_person");
        assert!(
            Action::new(
                ("surge-1", "990101"),
                (Act::Acknowledged, None),
                (None, Pack::Cn),
                "soon"
            )
            .is_err()
        );
    }
}
