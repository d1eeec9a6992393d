//! What can go wrong, sorted by what the caller should do about it.
//!
//! One public [`Error`]: a kind (a reaction, with its exit code), a message from the catalogue, the
//! problems found in a text file with their places, a hint, and the cause's own words. Errors of
//! libraries are translated where they arise; none leaks upward as a type.

use std::fmt::{self, Display};

use unicode_width::UnicodeWidthStr;

use crate::message::{Language, Message, inert};

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
    /// The line it is about, or what may be shown of it.
    pub excerpt: Option<Excerpt>,
}

/// A piece of text with a caret under one of its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text.
    pub text: String,
    /// One-based character over the caret, 0 = no caret.
    pub caret: usize,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: Message,
    problems: Vec<Problem>,
    /// How many there are with those that were not kept.
    problems_in_all: usize,
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
            problems_in_all: 0,
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
        self.0.problems_in_all = problems.len();
        self.0.problems = problems;
        self
    }

    /// Says how many problems there are where only the first were kept.
    #[must_use]
    pub fn of_all(mut self, problems: usize) -> Error {
        self.0.problems_in_all = problems.max(self.0.problems.len());
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
        let shown = self.0.problems.len().min(PROBLEMS_SHOWN);
        if self.0.problems_in_all > shown {
            let more = self.0.problems_in_all - shown;
            text.push_str("\n  ");
            text.push_str(&Message::new("more_problems", &[&more]).in_language(language));
        }
        for cause in &self.0.causes {
            for line in cause.lines() {
                text.push_str("\n  ");
                text.push_str(&inert(line));
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
        let mut text = format!("{}: {}", inert(&place), self.message.in_language(language));
        if let Some(excerpt) = &self.excerpt {
            // a tab has no width of its own
            let line = inert(&excerpt.text).replace('\t', " ");
            text.push_str(&format!("\n    | {line}"));
            if excerpt.caret > 0 {
                let before: String = line.chars().take(excerpt.caret - 1).collect();
                text.push_str(&format!("\n    | {}^", " ".repeat(before.width())));
            }
        }
        text
    }
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
    fn a_caret_stands_under_its_column_behind_characters_of_any_width() {
        for (before, width) in [
            ("县区", 4),
            ("𠮷野", 4),
            ("🚓🔥", 4),
            ("cafe\u{301}", 4),
            ("\tx", 2),
            ("👨\u{200d}👩\u{200d}👧", 2),
        ] {
            let excerpt = Excerpt {
                text: format!("{before}x"),
                caret: before.chars().count() + 1,
            };
            let problem = Problem {
                place: Place::default(),
                message: Message::new("error_label", &[]),
                excerpt: Some(excerpt),
            };
            let caret = format!("| {}^", " ".repeat(width));
            assert!(problem.render(Language::English).ends_with(&caret), "{before}");
        }
    }

    #[test]
    fn the_retry_rule_is_conflict_and_unavailable() {
        assert!(Kind::Conflict.is_retryable() && Kind::Unavailable.is_retryable());
        assert!(!Kind::Check.is_retryable() && !Kind::Bug.is_retryable());
    }
}
