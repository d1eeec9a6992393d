//! Places in texts that people write: from byte offsets and words to line, column and excerpt.

use std::fmt::Display;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::{Error, Excerpt, Kind, Place, Problem, fail};
use crate::message::Message;

/// A problem at byte `offset` of `text`.
pub fn problem_at(path: &str, text: &str, offset: usize, message: Message) -> Problem {
    let offset = (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let excerpt = text[start..].lines().next().unwrap_or_default();
    let column = before[start..].chars().count() + 1;
    Problem {
        place: Place {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
        },
        message,
        excerpt: Some(Excerpt {
            text: excerpt.to_owned(),
            caret: column,
        }),
    }
}

/// A problem where `word` first stands in `text` as a key or whole word.
pub fn problem_at_word(path: &str, text: &str, word: &str, message: Message) -> Problem {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let offset = text
        .match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !is_word(text[..at].chars().next_back()) && !is_word(text[at + word.len()..].chars().next()));
    problem_at(path, text, offset.unwrap_or(0), message)
}

/// The problem of an unknown key, with the nearest known one.
pub fn unknown_key<S: AsRef<str>>(path: &str, text: &str, key: &str, known: impl Iterator<Item = S>) -> Problem {
    let known: Vec<String> = known.map(|k| k.as_ref().to_owned()).collect();
    let message = match closest(key, known.iter().map(String::as_str)) {
        Some(near) => Message::new("unknown_word_near", &[&key, &near]),
        None => Message::new("unknown_word", &[&key, &known.join(", ")]),
    };
    problem_at_word(path, text, key, message)
}

/// There is no such name; which one may be meant. `key` is the text with the name in it.
pub fn missing<'a>(key: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let error = fail(Kind::Missing, key, &[&name]);
    match closest(name, known) {
        Some(near) => error.hint("nearest", &[&near]),
        None => error,
    }
}

/// The beginning of a line as far as it fits into so many columns of a terminal.
pub fn cut(line: &str, most: usize) -> String {
    if line.width() <= most {
        return line.to_owned();
    }
    let mut used = 1;
    let kept = line.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= most
    });
    kept.chain(['…']).collect()
}

/// The known word nearest to `word`, if one is near enough to be meant.
pub fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter(|candidate| !candidate.trim().is_empty())
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count().max(word.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A TOML syntax or type error as an `Input` error with its place.
pub fn toml_error(path: &str, text: &str, cause: &toml::de::Error) -> Error {
    let offset = cause.span().map_or(0, |span| span.start);
    let message = Message::new("toml_problem", &[&cause.message() as &dyn Display]);
    fail(Kind::Input, "toml_invalid", &[&path]).with_problems(vec![problem_at(path, text, offset, message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_inside_another_word_is_not_its_place() {
        let problem = problem_at_word(
            "f",
            "county_code = 1\ncounty = 2",
            "county",
            Message::new("hint_label", &[]),
        );
        assert_eq!((problem.place.line, problem.place.column), (2, 1));
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not_suggested() {
        assert_eq!(closest("protct", ["protect", "type"].into_iter()), Some("protect"));
        assert_eq!(closest("zzzzzz", ["protect", "type"].into_iter()), None);
    }
}
