//! What can go wrong, sorted by what the caller should do about it.
//!
//! One public [`Error`]: a kind (a reaction, with its exit code), a message from the catalogue, the
//! problems found in a text file with their places, a hint, and the cause's own words. Errors of
//! libraries are translated where they arise; none leaks upward as a type.

use std::fmt::{self, Display};

use crate::message::{Language, Message};

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do. Each kind is one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It ran, and the data failed a contract or a check, or the result is partial.
    Check,
    /// Fix the flag, file, SQL or page.
    Input,
    /// No such site, table, file, release.
    Missing,
    /// Refused for good: a forbidden field, a person's token, a file mode.
    Denied,
    /// Somebody was first, or holds the lease: run again.
    Conflict,
    /// The store or a peer did not answer: a scheduler may retry.
    Unavailable,
    /// A stated limit was reached.
    Limit,
    /// A fault of this program.
    Bug,
    /// Ctrl-C.
    Interrupted,
    /// The termination signal of a scheduler or the machine.
    Terminated,
}

impl Kind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Check => 1,
            Kind::Input => 2,
            Kind::Missing => 3,
            Kind::Denied => 4,
            Kind::Conflict => 5,
            Kind::Unavailable => 6,
            Kind::Limit => 7,
            Kind::Bug => 70,
            Kind::Interrupted => 130,
            Kind::Terminated => 143,
        }
    }

    /// Whether the same call may succeed later without a change by a person.
    pub fn is_retryable(self) -> bool {
        matches!(self, Kind::Conflict | Kind::Unavailable)
    }
}

/// A place in a text: one-based line and column, zero where unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the user knows it.
    pub path: String,
    /// One-based line, 0 = the whole file.
    pub line: usize,
    /// One-based column in characters, 0 = the whole line.
    pub column: usize,
}

/// One finding in a file: where, what, and the line it is about.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What was found and expected.
    pub message: Message,
    /// The text of the line, printed with a caret under the column.
    pub excerpt: Option<String>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: Message,
    problems: Vec<Problem>,
    causes: Vec<String>,
    hint: Option<Message>,
}

/// A failure: kind, message, problems with places, causes, hint.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// Most problems of one file that are printed.
const PROBLEMS_SHOWN: usize = 20;

impl Error {
    /// An error of `kind` with the catalogue text `key`, filled with `args`.
    pub fn new(kind: Kind, key: &'static str, args: &[&dyn Display]) -> Error {
        Error(Box::new(Inner {
            kind,
            message: Message::new(key, args),
            problems: Vec::new(),
            causes: Vec::new(),
            hint: None,
        }))
    }

    /// Adds advice, printed after the fact.
    #[must_use]
    pub fn hint(mut self, key: &'static str, args: &[&dyn Display]) -> Error {
        self.0.hint = Some(Message::new(key, args));
        self
    }

    /// Adds the words of the underlying cause.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Error {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds the problems of a file, sorted by place.
    #[must_use]
    pub fn with_problems(mut self, mut problems: Vec<Problem>) -> Error {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        self.0.problems = problems;
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The catalogue key of the message, for tests and records.
    pub fn key(&self) -> &'static str {
        self.0.message.key()
    }

    /// The message, without problems, causes and hint.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The words of the underlying causes.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// The same advice as another error's.
    #[must_use]
    pub fn with_hint_of(mut self, other: &Error) -> Error {
        self.0.hint.clone_from(&other.0.hint);
        self
    }

    /// The problems found, sorted by place.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The whole text in one language, without colour: message, problems, causes, hint.
    pub fn render(&self, language: Language) -> String {
        let mut text = format!(
            "{}: {}",
            Message::new("error_label", &[]).in_language(language),
            self.0.message.in_language(language)
        );
        for problem in self.0.problems.iter().take(PROBLEMS_SHOWN) {
            text.push_str("\n  ");
            text.push_str(&problem.render(language));
        }
        if self.0.problems.len() > PROBLEMS_SHOWN {
            let more = self.0.problems.len() - PROBLEMS_SHOWN;
            text.push_str("\n  ");
            text.push_str(&Message::new("more_problems", &[&more]).in_language(language));
        }
        for cause in &self.0.causes {
            for line in cause.lines() {
                text.push_str("\n  ");
                text.push_str(line);
            }
        }
        if let Some(hint) = &self.0.hint {
            text.push_str(&format!(
                "\n{}: {}",
                Message::new("hint_label", &[]).in_language(language),
                hint.in_language(language)
            ));
        }
        text
    }
}

impl Problem {
    fn render(&self, language: Language) -> String {
        let Place { path, line, column } = &self.place;
        let place = match (line, column) {
            (0, _) => path.clone(),
            (_, 0) => format!("{path}:{line}"),
            _ => format!("{path}:{line}:{column}"),
        };
        let mut text = format!("{place}: {}", self.message.in_language(language));
        if let Some(excerpt) = &self.excerpt {
            text.push_str(&format!("\n    | {excerpt}"));
            if *column > 0 {
                let before: usize = excerpt.chars().take(column - 1).map(display_width).sum();
                text.push_str(&format!("\n    | {}^", " ".repeat(before)));
            }
        }
        text
    }
}

/// Columns a character takes on a terminal: wide for CJK and full-width forms.
fn display_width(character: char) -> usize {
    let code = character as u32;
    let wide = matches!(code, 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x20000..=0x3FFFD);
    if wide { 2 } else { 1 }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Language::English))
    }
}

impl std::error::Error for Error {}

/// Shorthand for [`Error::new`].
pub fn fail(kind: Kind, key: &'static str, args: &[&dyn Display]) -> Error {
    Error::new(kind, key, args)
}

/// A failed file operation on `path`.
pub fn io_error(path: &std::path::Path, cause: &std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::NotFound => Kind::Missing,
        std::io::ErrorKind::PermissionDenied => Kind::Denied,
        std::io::ErrorKind::Interrupted => Kind::Interrupted,
        // a packed file that ends early or is none is the file's own fault
        std::io::ErrorKind::IsADirectory
        | std::io::ErrorKind::NotADirectory
        | std::io::ErrorKind::InvalidInput
        | std::io::ErrorKind::InvalidData
        | std::io::ErrorKind::UnexpectedEof => Kind::Input,
        // the system's own limit is a full disk; ours is said without it
        std::io::ErrorKind::FileTooLarge if cause.raw_os_error().is_none() => Kind::Limit,
        _ => Kind::Unavailable,
    };
    fail(kind, "file_failed", &[&path.display()]).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_its_column_behind_wide_characters() {
        let problem = Problem {
            place: Place {
                path: "a.toml".into(),
                line: 2,
                column: 3,
            },
            message: Message::new("error_label", &[]),
            excerpt: Some("县区x".into()),
        };
        assert!(problem.render(Language::English).ends_with("|     ^"));
    }

    #[test]
    fn the_retry_rule_is_conflict_and_unavailable() {
        assert!(Kind::Conflict.is_retryable() && Kind::Unavailable.is_retryable());
        assert!(!Kind::Check.is_retryable() && !Kind::Bug.is_retryable());
    }
}
