//! The header of a model: `-- @word value` lines, a strict little grammar.
//!
//! Everything stays SQL for every other tool; an unknown word is an error with the nearest known.

use crate::config::site::SiteFile;
use crate::config::text;
use crate::engine::session::LAST;
use crate::error::Problem;
use crate::lake::days::DAY;
use crate::message::Message;

/// A check of the rows of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// No empty value in these columns.
    NotNull(Vec<String>),
    /// No two rows agree in these columns.
    Unique(Vec<String>),
    /// Only these values.
    Accepted(String, Vec<String>),
    /// Numbers between these, both included.
    InRange(String, f64, f64),
    /// At least, and perhaps at most, so many rows.
    Rows(u64, Option<u64>),
    /// At most so many percent more or fewer rows than in the release before; of a model that is built day
    /// by day, on every day that was there and was built again.
    RowsChange(f64),
}

/// A check as a file states it: how bad its failure is, and how many rows are borne.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<C> {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// Whether a failure is told and holds nothing.
    pub warns: bool,
    /// Failing rows that are borne.
    pub at_most: u64,
    /// What is checked.
    pub check: C,
}

/// The label of a column in pages and sheets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The column.
    pub column: String,
    /// Chinese label.
    pub zh: String,
    /// English label with the unit.
    pub en: String,
}

/// What a model says about itself.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// First line: what one row is.
    pub title: String,
    /// Columns that identify a row.
    pub grain: Vec<String>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Checks of its rows.
    pub checks: Vec<Rule<Check>>,
    /// Whether tokens of public places may be used here.
    pub place_token: bool,
    /// How it is built day by day, where it is.
    pub window: Option<Window>,
}

/// How the rows of a statistics day depend on those of its inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Days before it whose input rows bear on it.
    pub lookback: i32,
    /// Days after it whose input rows bear on it.
    pub lookahead: i32,
    /// Inputs whose rows bear on a row by a shared key, whatever their day, with the column of that key.
    pub follows: Vec<(String, String)>,
}

const WORDS: [&str; 8] = [
    "grain",
    "column",
    "check",
    "place_token",
    "incremental",
    "lookback",
    "lookahead",
    "follows",
];
const CHECKS: [&str; 6] = ["not_null", "unique", "accepted", "in_range", "rows", "rows_change"];

/// A comment before the SELECT.
struct Comment<'t> {
    /// Its line, counted from 1.
    line: usize,
    /// Byte at which the word behind its `@` begins.
    at: usize,
    /// Its text.
    text: &'t str,
}

/// The comments before the SELECT.
fn comments(text: &str) -> impl Iterator<Item = Comment<'_>> {
    let mut start = 0;
    let lines = text.split_inclusive('\n').enumerate().map(move |(number, line)| {
        start += line.len();
        (number + 1, start - line.len(), line)
    });
    let head = lines.take_while(|(_, _, line)| line.starts_with("--") || line.trim().is_empty());
    head.filter_map(|(line, start, text)| {
        Some(Comment {
            line,
            at: start + text.find('@').unwrap_or(0) + 1,
            text: text.trim_end().strip_prefix("--")?.trim(),
        })
    })
}

/// Reads the header of a file; problems carry their places.
pub fn parse(file: &SiteFile, problems: &mut Vec<Problem>) -> Header {
    let mut header = Header::default();
    let mut window = Window::default();
    let (mut incremental, mut bounded) = (false, None);
    for Comment {
        line,
        at,
        text: comment,
    } in comments(&file.text)
    {
        let Some(entry) = comment.strip_prefix('@') else {
            if header.title.is_empty() {
                comment.clone_into(&mut header.title);
            }
            continue;
        };
        let (word, value) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
        let mut problem = |message| problems.push(text::problem_at(&file.path, &file.text, at, message));
        match word {
            "grain" => header.grain = names(value),
            "place_token" => header.place_token = true,
            "incremental" if value.trim() == DAY => incremental = true,
            "incremental" => problem(Message::new("header_incremental", &[&value, &DAY])),
            "lookback" | "lookahead" | "follows" => {
                bounded.get_or_insert(at);
                if !window.read(word, value) {
                    problem(Message::new("header_window", &[&word, &value]));
                }
            }
            "column" => match label(value) {
                Some(label) => header.labels.push(label),
                None => problem(Message::new("header_column", &[&value])),
            },
            "check" => {
                let rule = qualified(line, value);
                match check(rule.check) {
                    Ok(check) => header.checks.push(rule.with(check)),
                    Err(message) => problem(message),
                }
            }
            unknown => problem(unknown_word(unknown, &WORDS)),
        }
    }
    match bounded {
        Some(at) if !incremental => {
            let message = Message::new("header_not_incremental", &[&DAY]);
            problems.push(text::problem_at(&file.path, &file.text, at, message));
        }
        _ => header.window = incremental.then_some(window),
    }
    if header.title.is_empty() {
        problems.push(text::problem_at(
            &file.path,
            &file.text,
            0,
            Message::new("header_title_missing", &[]),
        ));
    }
    if header.grain.is_empty() {
        problems.push(text::problem_at(
            &file.path,
            &file.text,
            0,
            Message::new("header_grain_missing", &[]),
        ));
    }
    header
}

impl Window {
    /// Takes one line of the header; whether it could be read.
    fn read(&mut self, word: &str, value: &str) -> bool {
        let words: Vec<&str> = value.split_whitespace().collect();
        let bound = match (word, &words[..]) {
            ("follows", [input, "on", column]) => {
                self.follows.push(((*input).to_owned(), (*column).to_owned()));
                return true;
            }
            ("lookback", [_, "day" | "days"]) => &mut self.lookback,
            ("lookahead", [_, "day" | "days"]) => &mut self.lookahead,
            _ => return false,
        };
        let days = words[0].parse().ok().filter(|days| (0..=3_660).contains(days));
        *bound = days.unwrap_or_default();
        days.is_some()
    }

    /// The column by which rows follow those of an input.
    pub fn follows(&self, input: &str) -> Option<&str> {
        let found = self.follows.iter().find(|(name, _)| name == input);
        found.map(|(_, column)| column.as_str())
    }
}

fn unknown_word(word: &str, known: &[&str]) -> Message {
    match text::closest(word, known.iter().copied()) {
        Some(near) => Message::new("unknown_word_near", &[&word, &near]),
        None => Message::new("unknown_word", &[&word, &known.join(", ")]),
    }
}

fn names(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `name zh "…" English words`
fn label(value: &str) -> Option<Label> {
    let (column, rest) = value.trim().split_once(char::is_whitespace)?;
    let rest = rest.trim().strip_prefix("zh")?.trim().strip_prefix('"')?;
    let (zh, en) = rest.split_once('"')?;
    Some(Label {
        column: column.to_owned(),
        zh: zh.to_owned(),
        en: en.trim().to_owned(),
    })
}

/// `warn at_most 5 …`: the words before a check that say how bad its failure is.
fn qualified(line: usize, value: &str) -> Rule<&str> {
    let mut rule = Rule {
        line,
        warns: false,
        at_most: 0,
        check: value.trim(),
    };
    loop {
        let (word, rest) = rule.check.split_once(char::is_whitespace).unwrap_or((rule.check, ""));
        let (number, behind) = rest
            .trim_start()
            .split_once(char::is_whitespace)
            .unwrap_or((rest.trim(), ""));
        rule.check = match (word, number.parse()) {
            ("warn", _) => {
                rule.warns = true;
                rest.trim_start()
            }
            ("at_most", Ok(rows)) => {
                rule.at_most = rows;
                behind.trim_start()
            }
            _ => return rule,
        };
    }
}

impl<C> Rule<C> {
    /// The same of another check.
    fn with<D>(&self, check: D) -> Rule<D> {
        Rule {
            line: self.line,
            warns: self.warns,
            at_most: self.at_most,
            check,
        }
    }
}

/// How bad a failure of a check file is: its line `-- @check warn at_most 5`, if it has one.
pub fn of_file(file: &SiteFile, problems: &mut Vec<Problem>) -> Rule<()> {
    let mut found = qualified(0, "");
    for Comment {
        line,
        at,
        text: comment,
    } in comments(&file.text)
    {
        let Some(entry) = comment.strip_prefix('@') else {
            continue;
        };
        let (word, value) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
        let rule = qualified(line, value);
        if word == "check" && rule.check.is_empty() {
            found = rule;
        } else {
            let message = Message::new("check_line", &[&entry]);
            problems.push(text::problem_at(&file.path, &file.text, at, message));
        }
    }
    found.with(())
}

/// `word(argument, …)`
fn check(value: &str) -> Result<Check, Message> {
    let malformed = || Message::new("header_check", &[&value]);
    let (word, arguments) = value
        .strip_suffix(')')
        .and_then(|inner| inner.split_once('('))
        .ok_or_else(malformed)?;
    let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
    let owned = || arguments.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let number = |at: usize| {
        arguments
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .ok_or_else(malformed)
    };
    let count = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    match word.trim() {
        "not_null" => Ok(Check::NotNull(owned())),
        "unique" => Ok(Check::Unique(owned())),
        "accepted" if arguments.len() > 1 => {
            let values = arguments[1..]
                .iter()
                .map(|value| value.trim_matches('\'').to_owned())
                .collect();
            Ok(Check::Accepted(arguments[0].to_owned(), values))
        }
        "in_range" if arguments.len() == 3 => Ok(Check::InRange(arguments[0].to_owned(), number(1)?, number(2)?)),
        "rows" if arguments.len() <= 2 => Ok(Check::Rows(count(0).ok_or_else(malformed)?, count(1))),
        "rows_change" if arguments.len() == 1 => match number(0)? {
            percent if percent.is_finite() && percent >= 0.0 => Ok(Check::RowsChange(percent)),
            _ => Err(malformed()),
        },
        known if CHECKS.contains(&known) => Err(malformed()),
        unknown => Err(unknown_word(unknown, &CHECKS)),
    }
}

impl Check {
    /// The columns that the check looks at.
    pub fn columns(&self) -> &[String] {
        match self {
            Check::NotNull(columns) | Check::Unique(columns) => columns,
            Check::Accepted(column, _) | Check::InRange(column, _, _) => std::slice::from_ref(column),
            Check::Rows(_, _) | Check::RowsChange(_) => &[],
        }
    }

    /// Whether it compares with the release before.
    pub fn compares(&self) -> bool {
        matches!(self, Check::RowsChange(_))
    }

    /// The SELECT that returns the rows which break the check, and a short name. With `among`, a condition
    /// on rows, only these can break it.
    pub fn sql(&self, table: &str, among: Option<&str>) -> (String, String) {
        let also = among.map(|among| format!(" AND ({among})")).unwrap_or_default();
        let quoted = |value: &String| format!("'{}'", value.replace('\'', "''"));
        match self {
            Check::NotNull(columns) => {
                let nulls: Vec<String> = columns.iter().map(|column| format!("{column} IS NULL")).collect();
                (
                    format!("SELECT * FROM {table} WHERE ({}){also}", nulls.join(" OR ")),
                    format!("not_null({})", columns.join(", ")),
                )
            }
            Check::Unique(columns) => {
                let list = columns.join(", ");
                // a new row may also agree with an older one
                let among = match (among, columns.first()) {
                    (Some(among), _) if columns.iter().any(|column| column == DAY) => format!(" WHERE {among}"),
                    (Some(among), Some(first)) => {
                        format!(" WHERE {first} IN (SELECT {first} FROM {table} WHERE {among})")
                    }
                    _ => String::new(),
                };
                (
                    format!("SELECT {list}, count(*) AS n FROM {table}{among} GROUP BY {list} HAVING count(*) > 1"),
                    format!("unique({list})"),
                )
            }
            Check::Accepted(column, values) => {
                let list: Vec<String> = values.iter().map(quoted).collect();
                (
                    format!(
                        "SELECT * FROM {table} WHERE {column} NOT IN ({}){also}",
                        list.join(", ")
                    ),
                    format!("accepted({column})"),
                )
            }
            Check::InRange(column, low, high) => (
                format!("SELECT * FROM {table} WHERE ({column} < {low} OR {column} > {high}){also}"),
                format!("in_range({column}, {low}, {high})"),
            ),
            Check::Rows(low, high) => {
                let above = high.map(|high| format!(" OR count(*) > {high}")).unwrap_or_default();
                let shown = high.map_or(format!("rows({low})"), |high| format!("rows({low}, {high})"));
                (
                    format!("SELECT count(*) AS n FROM {table} HAVING count(*) < {low}{above}"),
                    shown,
                )
            }
            Check::RowsChange(percent) => {
                let (day, among) = match among {
                    Some(among) => (DAY, format!(" WHERE {among}")),
                    None => ("1", String::new()),
                };
                let count = |table: &str, name: &str| {
                    format!("(SELECT {day} AS day, count(*) AS n FROM {table}{among} GROUP BY 1) AS {name}")
                };
                (
                    format!(
                        "SELECT b.day, b.n AS rows_before, coalesce(a.n, 0) AS rows_now FROM {} LEFT JOIN {} ON a.day = b.day \
                         WHERE 100 * abs(coalesce(a.n, 0) - b.n) > {percent} * b.n",
                        count(&format!("{LAST}.{table}"), "b"),
                        count(table, "a"),
                    ),
                    format!("rows_change({percent})"),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Header, Vec<Problem>) {
        let mut problems = Vec::new();
        let file = SiteFile {
            path: "sql/core/x.sql".into(),
            text: text.into(),
        };
        (parse(&file, &mut problems), problems)
    }

    #[test]
    fn a_whole_header_is_read() {
        let (header, problems) = parsed(
            "-- 一行。 One row.\n-- @grain a, b\n-- @column a zh \"甲\" seconds\n-- @check in_range(a, 0, 1)\n\
             -- @check accepted(b, 'x', 'y')\nSELECT 1 -- @not_header\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(header.grain, ["a", "b"]);
        assert_eq!(header.labels[0].zh, "甲");
        assert_eq!(header.checks.len(), 2);
    }

    #[test]
    fn windows_are_read_and_mean_nothing_without_the_day_they_are_of() {
        let (header, problems) = parsed(
            "-- t\n-- @grain a\n-- @incremental biz_date\n-- @lookback 28 days\n-- @follows core.b on alarm_id\nSELECT 1",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let window = header.window.expect("a window");
        assert_eq!((window.lookback, window.lookahead), (28, 0));
        assert_eq!(window.follows("core.b"), Some("alarm_id"));
        for wrong in [
            "@incremental month",
            "@lookback 28 days",
            "@incremental biz_date\n-- @lookback soon",
            "@incremental biz_date\n-- @follows b",
        ] {
            let (_, problems) = parsed(&format!("-- t\n-- @grain a\n-- {wrong}\nSELECT 1"));
            assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
        }
    }

    #[test]
    fn a_check_says_how_bad_it_is() {
        let (header, problems) =
            parsed("-- t\n-- @grain a\n-- @check warn at_most 5 not_null(a)\n-- @check unique(a)\nSELECT 1");
        assert!(problems.is_empty(), "{problems:?}");
        let [warns, holds] = &header.checks[..] else {
            panic!("two checks")
        };
        assert_eq!((warns.warns, warns.at_most, warns.line), (true, 5, 3));
        assert_eq!((holds.warns, holds.at_most), (false, 0));
        let mut problems = Vec::new();
        let mut of = |text: &str| {
            let file = SiteFile {
                path: "sql/check/x.sql".into(),
                text: text.into(),
            };
            of_file(&file, &mut problems)
        };
        assert!(of("-- t\n-- @check warn\nSELECT 1").warns);
        assert!(!of("-- t\nSELECT 1").warns);
        of("-- @check warm\nSELECT 1");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn an_unknown_word_is_named_with_its_place() {
        let (_, problems) = parsed("-- t\n-- @grain a\n-- @chek unique(a)\nSELECT 1");
        assert_eq!((problems[0].place.line, problems[0].place.column), (3, 5));
        assert_eq!(problems[0].message.key(), "unknown_word_near");
    }

    #[test]
    fn a_model_without_grain_or_title_is_refused() {
        assert_eq!(parsed("SELECT 1").1.len(), 2);
    }
}
