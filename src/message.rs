//! The catalogue of everything the product says to a person, in Chinese and English.
//!
//! A message is a key and its arguments; the words live in `messages.toml`, so that no module holds
//! a sentence and both languages stay complete. Table and column names are not translated here.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use serde::Deserialize;

/// A language of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Simplified Chinese.
    Chinese,
    /// English, also the language of logs.
    #[default]
    English,
}

impl Language {
    /// The text in this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Language::Chinese => zh,
            Language::English => en,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    zh: String,
    en: String,
}

static CATALOGUE: LazyLock<BTreeMap<String, Entry>> =
    LazyLock::new(|| toml::from_str(include_str!("messages.toml")).unwrap_or_default());

/// A text of the catalogue with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    key: &'static str,
    args: Vec<String>,
}

impl Message {
    /// The text `key` with `args` for its places `{0}`, `{1}` ….
    pub fn new(key: &'static str, args: &[&dyn Display]) -> Message {
        Message {
            key,
            args: args.iter().map(|arg| inert(&arg.to_string())).collect(),
        }
    }

    /// Whether it names this.
    pub fn names(&self, what: &str) -> bool {
        self.args.iter().any(|arg| arg == what)
    }

    /// The catalogue key.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The words in one language. A key without an entry shows itself and its arguments.
    pub fn in_language(&self, language: Language) -> String {
        let Some(entry) = CATALOGUE.get(self.key) else {
            return format!("{} {}", self.key, self.args.join(" "));
        };
        let pattern = match language {
            Language::Chinese => &entry.zh,
            Language::English => &entry.en,
        };
        fill(pattern, &self.args)
    }
}

/// Text without characters that act: controls other than line ends and tabs, marks of writing direction
/// and what takes no room become U+FFFD.
pub fn inert(text: &str) -> String {
    let acts = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(
                c,
                '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}'
            )
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let shown = |c: char| if acts(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// Replaces `{n}` once each, left to right, so that braces inside an argument stay text.
fn fill(pattern: &str, args: &[String]) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let tail = &rest[open..];
        let argument = tail.find('}').and_then(|close| {
            let number: usize = tail[1..close].parse().ok()?;
            Some((args.get(number)?, close))
        });
        match argument {
            Some((value, close)) => {
                text.push_str(value);
                rest = &tail[close + 1..];
            }
            None => {
                text.push('{');
                rest = &tail[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// Every key of the catalogue, for the completeness test.
pub fn keys() -> Vec<&'static str> {
    CATALOGUE.keys().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_use_the_same_places() {
        let places = |text: &str| {
            (0..9)
                .filter(|n| text.contains(&format!("{{{n}}}")))
                .collect::<Vec<_>>()
        };
        assert!(CATALOGUE.len() > 20, "the catalogue did not parse");
        for (key, entry) in CATALOGUE.iter() {
            assert_eq!(places(&entry.zh), places(&entry.en), "{key}");
        }
    }

    #[test]
    fn what_comes_from_outside_cannot_steer_a_terminal() {
        let message = Message::new("file_failed", &[&"\u{1b}[2J县\u{202e}x\t1"]);
        assert_eq!(message.args, ["\u{fffd}[2J县\u{fffd}x\t1"]);
        assert_eq!(inert("👨\u{200d}👩 a\nb"), "👨\u{200d}👩 a\nb");
    }

    #[test]
    fn braces_inside_an_argument_stay_text() {
        assert_eq!(fill("{0} and {1}", &["{1}".into(), "b".into()]), "{1} and b");
    }
}
