//! `pipelines/waivers/*.toml`: days that are known to be absent, with a reason and an end, so that nobody waits
//! for them or is told of them again.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Site, text};
use crate::contract::Contract;
use crate::error::{Kind, Problem, Result, fail};
use crate::message::Message;
use crate::time::calendar;

/// The table of calls.
const CALLS: &str = "source.alarm";

/// A waiver as a person writes it: of a feed, a county, or a county's part of a feed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverFile {
    /// The contract whose files are absent.
    #[serde(default)]
    pub feed: Option<String>,
    /// The county whose rows are absent.
    #[serde(default)]
    pub county: Option<String>,
    /// First absent day.
    pub first: String,
    /// Last absent day.
    pub last: String,
    /// Why, in the words of whoever waived.
    pub reason: String,
    /// Who waived.
    pub by: String,
    /// Last day on which the waiver stands: absence is looked into again afterwards.
    pub until: String,
}

/// A waiver with its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Name of its file.
    pub name: String,
    /// The contract, or every one of the county.
    pub feed: Option<String>,
    /// The county, or every one of the feed.
    pub county: Option<String>,
    /// First absent day.
    pub first: i32,
    /// Last absent day.
    pub last: i32,
    /// Whether calls are meant, of which counties' rows are told.
    pub calls: bool,
    /// Last day on which it stands.
    pub until: i32,
    /// Why.
    pub reason: String,
}

impl Waiver {
    /// Whether a feed is known to be absent on these days, both included, as seen `today`. A county's part of a
    /// feed leaves the feed expected.
    pub fn covers_feed(&self, feed: &str, first: i32, last: i32, today: i32) -> bool {
        self.feed.as_deref() == Some(feed) && self.county.is_none() && self.covers(first, last, today)
    }

    /// Whether a county's calls are known to be absent on these days, both included, as seen `today`.
    pub fn covers_county(&self, county: &str, first: i32, last: i32, today: i32) -> bool {
        self.county.as_deref() == Some(county) && self.calls && self.covers(first, last, today)
    }

    fn covers(&self, first: i32, last: i32, today: i32) -> bool {
        self.first <= first && last <= self.last && today <= self.until
    }
}

/// The waivers of a site, expired ones included.
///
/// # Errors
/// `Input` with the place of what is no day, no feed of the site, or about nothing.
pub fn waivers(site: &Site, contracts: &[Contract]) -> Result<Vec<Waiver>> {
    let mut found = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    for file in site.files("pipelines/waivers", ".toml")? {
        let (path, words) = (&file.path, &file.text);
        let given: WaiverFile = toml::from_str(words).map_err(|cause| text::toml_error(path, words, &cause))?;
        let mut wrong = |word: &str, message: Message| {
            problems.push(text::problem_at_word(path, words, word, message));
        };
        let mut day = |written: &String| match calendar::day(written) {
            Some(day) => day,
            None => {
                wrong(written, Message::new("not_a_day", &[written]));
                0
            }
        };
        let contract = contracts
            .iter()
            .find(|contract| Some(&contract.name) == given.feed.as_ref());
        let waiver = Waiver {
            name: file.stem().to_owned(),
            calls: given.feed.is_none() || contract.is_some_and(|contract| contract.into == CALLS),
            first: day(&given.first),
            last: day(&given.last),
            until: day(&given.until),
            feed: given.feed,
            county: given.county,
            reason: given.reason.trim().to_owned(),
        };
        if waiver.last < waiver.first {
            wrong("last", Message::new("waiver_days", &[&given.last, &given.first]));
        }
        if waiver.feed.is_none() && waiver.county.is_none() {
            wrong("first", Message::new("waiver_of_nothing", &[]));
        }
        if waiver.reason.is_empty() || given.by.trim().is_empty() {
            wrong("reason", Message::new("waiver_reason", &[]));
        }
        let known = || contracts.iter().map(|contract| contract.name.as_str());
        if let Some(feed) = waiver.feed.as_ref().filter(|feed| known().all(|name| name != *feed)) {
            problems.push(text::unknown_key(path, words, feed, known()));
        }
        found.push(waiver);
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(fail(Kind::Input, "waivers_invalid", &[]).with_problems(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_covers_whole_spans_while_it_stands() {
        let waiver = Waiver {
            name: "w".into(),
            feed: Some("alarm".into()),
            county: None,
            first: 10,
            last: 12,
            calls: true,
            until: 20,
            reason: "r".into(),
        };
        assert!(waiver.covers_feed("alarm", 10, 12, 20));
        assert!(!waiver.covers_feed("alarm", 9, 12, 20), "a day before it is not waived");
        assert!(!waiver.covers_feed("alarm", 10, 13, 20), "a day after it is not waived");
        assert!(!waiver.covers_feed("alarm", 10, 12, 21), "it has expired");
        assert!(!waiver.covers_feed("dispatch", 10, 12, 20) && !waiver.covers_county("990101", 10, 12, 20));
        let part = Waiver {
            county: Some("990101".into()),
            ..waiver
        };
        assert!(part.covers_county("990101", 11, 11, 15));
        assert!(
            !part.covers_feed("alarm", 11, 11, 15),
            "the other counties are expected"
        );
        let clips = Waiver { calls: false, ..part };
        assert!(!clips.covers_county("990101", 11, 11, 15), "its calls are expected");
    }
}
