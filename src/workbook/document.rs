//! A workbook file as front matter, prose, queries and displays, each with its place.
//!
//! Syntax only: whether a query can be planned and a column exists is found out later, with a session.

use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, TextMergeWithOffset};

use super::Workbook;
use super::display::Display;
use super::keys::Keys;
use super::prose;
use crate::config::text;
use crate::error::{Kind, Problem, Result, fail};
use crate::message::Message;

/// A named SELECT.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub name: String,
    pub sql: String,
    /// One-based line of its first line.
    pub line: usize,
}

impl Query {
    /// The SQL moved to its line, so that places in errors are places in the workbook.
    pub(super) fn placed(&self) -> String {
        placed(&self.sql, self.line)
    }
}

/// A part of the page, in its order.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Prose(Vec<Event<'static>>),
    /// A query that no display shows; its SQL stays in sight.
    Query(String),
    Display(Box<Display>),
}

/// A value of a result inside prose: `{query}` is its number of rows, `{query.column}` its first value.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub query: String,
    pub column: Option<String>,
    /// Byte in the file.
    pub offset: usize,
}

const FENCE: &str = "+++";
const FRONT_KEYS: [&str; 6] = ["id", "title_zh", "title_en", "owner", "purpose", "audience"];

/// Reads a workbook; all faults at once.
pub(super) fn parse(path: &str, text: &str) -> Result<Workbook> {
    let invalid = |problems| Err(fail(Kind::Input, "workbook_invalid", &[&path]).with_problems(problems));
    let Some((front, body_at)) = front_matter(text) else {
        return invalid(vec![text::problem_at(
            path,
            text,
            0,
            Message::new("workbook_front_missing", &[]),
        )]);
    };
    let source = placed(front, 2);
    let table: toml::Table = source
        .parse()
        .map_err(|cause| text::toml_error(path, &source, &cause))?;
    let mut problems = Vec::new();
    let mut keys = Keys::new(path, &source, 1, table, &mut problems);
    let id = keys.required("id");
    let title = [keys.required("title_zh"), keys.required("title_en")];
    let audience = keys.required("audience");
    let (owner, purpose) = (keys.optional("owner"), keys.optional("purpose"));
    keys.finish(&FRONT_KEYS);

    let mut reader = Reader {
        path,
        text,
        body_at,
        problems,
        queries: Vec::new(),
        blocks: Vec::new(),
        mentions: Vec::new(),
    };
    reader.read();
    reader.resolve();
    let Reader {
        problems,
        queries,
        blocks,
        mentions,
        ..
    } = reader;
    if !problems.is_empty() {
        return invalid(problems);
    }
    let (path, text) = (path.to_owned(), text.to_owned());
    Ok(Workbook {
        id,
        title,
        audience,
        owner,
        purpose,
        path,
        text,
        queries,
        blocks,
        mentions,
    })
}

/// Text moved down to a one-based line.
fn placed(text: &str, line: usize) -> String {
    format!("{}{text}", "\n".repeat(line.saturating_sub(1)))
}

/// The TOML between the first two `+++` lines, and the byte where Markdown begins.
fn front_matter(text: &str) -> Option<(&str, usize)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == FENCE)?;
    let mut at = first.len();
    for line in lines {
        if line.trim_end() == FENCE {
            return Some((&text[first.len()..at], at + line.len()));
        }
        at += line.len();
    }
    None
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    body_at: usize,
    problems: Vec<Problem>,
    queries: Vec<Query>,
    blocks: Vec<Block>,
    mentions: Vec<Mention>,
}

/// A fence that is being read: its first word, the rest of its line, its text and where that begins.
struct Fence {
    word: String,
    rest: String,
    at: usize,
    body: String,
    body_at: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        let body = &self.text[self.body_at..];
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let mut prose = Vec::new();
        let mut fence: Option<Fence> = None;
        for (event, range) in TextMergeWithOffset::new(Parser::new_ext(body, options).into_offset_iter()) {
            let at = self.body_at + range.start;
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if is_ours(&info) => {
                    self.flush(&mut prose);
                    let (word, rest) = info.split_once(char::is_whitespace).unwrap_or((&info, ""));
                    let (word, rest) = (word.to_owned(), rest.trim().to_owned());
                    fence = Some(Fence {
                        word,
                        rest,
                        at,
                        body: String::new(),
                        body_at: at,
                    });
                }
                Event::Text(words) if fence.is_some() => {
                    if let Some(fence) = &mut fence {
                        fence.body_at = if fence.body.is_empty() { at } else { fence.body_at };
                        fence.body.push_str(&words);
                    }
                }
                Event::End(TagEnd::CodeBlock) if fence.is_some() => {
                    if let Some(fence) = fence.take() {
                        self.fence(&fence);
                    }
                }
                Event::Start(Tag::Image { .. }) => self.problem(at, Message::new("workbook_image", &[])),
                other => {
                    if let Event::Text(words) = &other {
                        self.mentions.extend(prose::mentions(words, at));
                    }
                    prose.push(other.into_static());
                }
            }
        }
        self.flush(&mut prose);
    }

    fn flush(&mut self, prose: &mut Vec<Event<'static>>) {
        if !prose.is_empty() {
            self.blocks.push(Block::Prose(std::mem::take(prose)));
        }
    }

    fn problem(&mut self, offset: usize, message: Message) {
        self.problems
            .push(text::problem_at(self.path, self.text, offset, message));
    }

    fn fence(&mut self, fence: &Fence) {
        let line = self.text[..fence.body_at].matches('\n').count() + 1;
        if fence.word == "display" {
            if !fence.rest.is_empty() {
                self.problem(fence.at, Message::new("workbook_fence_words", &[&fence.rest]));
            }
            let source = placed(&fence.body, line);
            if let Some(display) = Display::parse(self.path, &source, line - 1, &mut self.problems) {
                self.blocks.push(Block::Display(Box::new(display)));
            }
            return;
        }
        let name = fence.rest.strip_prefix("name=").unwrap_or_default();
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            return self.problem(fence.at, Message::new("workbook_query_unnamed", &[]));
        }
        if self.queries.iter().any(|query| query.name == name) {
            return self.problem(fence.at, Message::new("workbook_query_twice", &[&name]));
        }
        self.queries.push(Query {
            name: name.to_owned(),
            sql: fence.body.clone(),
            line,
        });
        self.blocks.push(Block::Query(name.to_owned()));
    }

    /// Every named query must exist; a query that a display shows needs no place of its own.
    fn resolve(&mut self) {
        let names: BTreeMap<&str, usize> = self
            .queries
            .iter()
            .map(|query| (query.name.as_str(), query.line))
            .collect();
        let mut shown = Vec::new();
        for block in &self.blocks {
            let Block::Display(display) = block else { continue };
            for name in display.queries() {
                shown.push(name.to_owned());
                if !names.contains_key(name) {
                    self.problems
                        .push(text::unknown_key(self.path, &display.source, name, names.keys()));
                }
            }
        }
        for mention in self
            .mentions
            .iter()
            .filter(|mention| !names.contains_key(mention.query.as_str()))
        {
            let message = text::unknown_key(self.path, "", &mention.query, names.keys()).message;
            self.problems
                .push(text::problem_at(self.path, self.text, mention.offset, message));
        }
        self.blocks
            .retain(|block| !matches!(block, Block::Query(name) if shown.contains(name)));
    }
}

/// Fences of other languages stay what they are: code to be read.
fn is_ours(info: &str) -> bool {
    matches!(info.split_whitespace().next(), Some("sql" | "display"))
}
