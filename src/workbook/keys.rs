//! The keys of one piece of TOML in a workbook, read one by one; every fault is kept with its place.
//!
//! It knows no key by name: front matter and displays say which they have.

use crate::config::text;
use crate::error::Problem;
use crate::message::Message;

/// The largest count that a key may give.
const COUNT_MOST: usize = 10_000;

/// The keys of one piece of TOML while they are read.
pub(super) struct Keys<'a> {
    path: &'a str,
    source: &'a str,
    /// The line that is named where a key is missing.
    line: usize,
    table: toml::Table,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        path: &'a str,
        source: &'a str,
        line: usize,
        table: toml::Table,
        problems: &'a mut Vec<Problem>,
    ) -> Keys<'a> {
        Keys {
            path,
            source,
            line,
            table,
            problems,
        }
    }

    pub(super) fn required(&mut self, key: &str) -> String {
        match self.optional(key) {
            Some(value) => value,
            None => {
                if !self.table.contains_key(key) {
                    self.missing(key);
                }
                String::new()
            }
        }
    }

    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        match self.table.get(key) {
            None => None,
            Some(toml::Value::String(value)) if !value.trim().is_empty() => Some(value.clone()),
            Some(_) => self.wrong(key, "workbook_expects_text"),
        }
    }

    pub(super) fn pair(&mut self, zh: &str, en: &str) -> [String; 2] {
        pair(self.optional(zh), self.optional(en))
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let texts = |value: &toml::Value| -> Option<Vec<String>> {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        match self.table.get(key).map(texts) {
            None => Vec::new(),
            Some(Some(list)) => list,
            Some(None) => self.wrong(key, "workbook_expects_list").unwrap_or_default(),
        }
    }

    pub(super) fn required_list(&mut self, key: &str) -> Vec<String> {
        if !self.table.contains_key(key) {
            self.missing(key);
        }
        self.list(key)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.table.get(key) {
            None => false,
            Some(toml::Value::Boolean(value)) => *value,
            Some(_) => self.wrong(key, "workbook_expects_flag").unwrap_or_default(),
        }
    }

    pub(super) fn count(&mut self, key: &str, usual: usize) -> usize {
        match self.table.get(key) {
            None => usual,
            Some(value) => match value.as_integer().and_then(|count| usize::try_from(count).ok()) {
                Some(count) if (1..=COUNT_MOST).contains(&count) => count,
                _ => self.wrong(key, "workbook_expects_count").unwrap_or(usual),
            },
        }
    }

    fn wrong<T>(&mut self, key: &str, message: &'static str) -> Option<T> {
        let message = Message::new(message, &[&key, &COUNT_MOST]);
        self.problems
            .push(text::problem_at_word(self.path, self.source, key, message));
        None
    }

    fn missing(&mut self, key: &str) {
        let mut problem = text::problem_at(self.path, self.source, 0, Message::new("workbook_key_missing", &[&key]));
        problem.place.line = self.line;
        problem.excerpt = None;
        self.problems.push(problem);
    }

    pub(super) fn unknown(&mut self, word: &str, known: &[&str]) {
        self.problems
            .push(text::unknown_key(self.path, self.source, word, known.iter()));
    }

    /// Names every key that is not known.
    pub(super) fn finish(mut self, known: &[&str]) {
        let unknown: Vec<String> = self
            .table
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            self.unknown(&key, known);
        }
    }
}

/// Chinese and English; one stands in for the other.
pub(super) fn pair(zh: Option<String>, en: Option<String>) -> [String; 2] {
    let first = zh.clone().or_else(|| en.clone()).unwrap_or_default();
    [first, en.or(zh).unwrap_or_default()]
}
