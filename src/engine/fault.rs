//! Failures of the query engine in our words: what the person who wrote the SQL should do.

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::common::diagnostic::Diagnostic;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::config::text;
use crate::error::{Error, Kind, Problem, fail};
use crate::func::register;
use crate::message::Message;

/// The error of `sql`, which stands in the file or argument `path`.
pub(super) fn query_error(path: &str, sql: &str, cause: &DataFusionError) -> Error {
    match cause.find_root() {
        DataFusionError::ResourcesExhausted(words) => fail(Kind::Limit, "query_memory", &[&path])
            .because(words)
            .hint("query_memory_hint", &[]),
        // rows that do not fit into memory are written aside, through the format of the columns
        root if is_of_the_disk(root) => {
            fail(Kind::Unavailable, "query_failed", &[&path]).because(cause.strip_backtrace())
        }
        DataFusionError::Internal(_) => fail(Kind::Bug, "query_failed", &[&path]).because(cause.strip_backtrace()),
        root => {
            let words = plainly(&root.strip_backtrace());
            let place = syntax_place(root).or_else(|| cause.diagnostic().and_then(span));
            let problem: Option<Problem> = place.map(|(line, column)| {
                text::problem_at(
                    path,
                    sql,
                    offset(sql, line, column),
                    Message::new("sql_problem", &[&words]),
                )
            });
            let error = fail(Kind::Input, "query_invalid", &[&path]);
            let error = match problem {
                Some(problem) => error.with_problems(vec![problem]),
                None => error.because(&words),
            };
            match window_without_over(&words) {
                Some(name) => error.hint("window_without_over_hint", &[&name]),
                None => error,
            }
        }
    }
}

/// What a function of ours says of its arguments, without what the engine says around it.
fn plainly(words: &str) -> String {
    let said = words
        .split_once("user-defined coercion failed with: ")
        .map(|(_, said)| said);
    let said = said
        .and_then(|said| said.split_once(" No function matches"))
        .map(|(said, _)| said);
    let said = said.map(|said| said.trim_start_matches("Error during planning: ").trim_end_matches('.'));
    said.unwrap_or(words).to_owned()
}

/// A window function of ours that was called like any other: the engine knows none of its name then.
fn window_without_over(words: &str) -> Option<&'static str> {
    let (name, _) = words.split_once("Invalid function '")?.1.split_once('\'')?;
    let window = |known: &&str| *known == name && register::windows().iter().any(|window| window.name() == name);
    register::names().find(window)
}

fn is_of_the_disk(cause: &DataFusionError) -> bool {
    match cause {
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => true,
        DataFusionError::ArrowError(cause, _) => matches!(cause.as_ref(), ArrowError::IoError(_, _)),
        _ => false,
    }
}

fn span(diagnostic: &Diagnostic) -> Option<(usize, usize)> {
    let start = diagnostic.span?.start;
    Some((usize::try_from(start.line).ok()?, usize::try_from(start.column).ok()?))
}

/// The parser states its place in words: "… at Line: 3, Column: 14".
fn syntax_place(cause: &DataFusionError) -> Option<(usize, usize)> {
    let DataFusionError::SQL(parser, _) = cause else {
        return None;
    };
    let (ParserError::ParserError(words) | ParserError::TokenizerError(words)) = parser.as_ref() else {
        return None;
    };
    let place = words.rsplit_once("at Line: ")?.1;
    let (line, column) = place.split_once(", Column: ")?;
    Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
}

fn offset(sql: &str, line: usize, column: usize) -> usize {
    let start: usize = sql
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let inside = sql[start..]
        .chars()
        .take(column.saturating_sub(1))
        .map(char::len_utf8)
        .sum::<usize>();
    start + inside
}
