//! Checks: SELECTs that must return no rows. Header checks compile to the same thing.

use crate::engine::Session;
use crate::engine::session::{LAST, json_lines};
use crate::error::Result;
use crate::lake::days::Span;
use crate::model::header::Rule;
use crate::model::load::{CheckFile, Model};
use crate::model::window::condition;

/// Failing rows of a check that are counted at least, where there are so many.
const COUNTED: u64 = 10_000;
/// Failing rows that are kept.
const KEPT: usize = 5;

/// What a check found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The file of the check.
    pub path: String,
    /// Its line, 0 where it is the file.
    pub line: usize,
    /// What was checked.
    pub check: String,
    /// Whether its failure is told and holds nothing.
    pub warns: bool,
    /// Rows that break it.
    pub rows: u64,
    /// Rows that may.
    pub at_most: u64,
    /// The first of them as JSON lines, for whoever looks at `ops.check`.
    pub sample: String,
}

impl Finding {
    /// Whether more rows break it than may.
    pub fn fails(&self) -> bool {
        self.rows > self.at_most
    }

    /// Whether it holds what it checked.
    pub fn holds(&self) -> bool {
        self.fails() && !self.warns
    }

    /// Its rows as text; of so many that they were not all counted, at least how many.
    pub fn counted(&self) -> String {
        if self.rows >= COUNTED {
            format!("≥ {}", self.rows)
        } else {
            self.rows.to_string()
        }
    }

    fn new<C>(path: &str, rule: &Rule<C>, check: String, found: (u64, String)) -> Finding {
        Finding {
            path: path.to_owned(),
            line: rule.line,
            check,
            warns: rule.warns,
            rows: found.0,
            at_most: rule.at_most,
            sample: found.1,
        }
    }
}

/// Runs the header checks of a model, on the rows of these days where it was built by days. Those that compare
/// with the release before need its table in the session, and are left out where there `is_first` none.
///
/// # Errors
/// As a query fails.
pub async fn header(session: &Session, model: &Model, spans: &[Span], is_first: bool) -> Result<Vec<Finding>> {
    let among = condition(spans);
    let mut findings = Vec::new();
    for rule in model
        .header
        .checks
        .iter()
        .filter(|rule| !is_first || !rule.check.compares())
    {
        // of a model that has days, each is compared, also where all were built
        let each_day = rule.check.compares() && model.header.window.is_some();
        let among = among.as_deref().or(each_day.then_some("true"));
        let (sql, name) = rule.check.sql(&model.name, among);
        let found = count(session, &model.file.path, &sql, rule.at_most).await?;
        findings.push(Finding::new(&model.file.path, rule, name, found));
    }
    Ok(findings)
}

/// Runs a check file.
///
/// # Errors
/// As a query fails.
pub async fn file(session: &Session, check: &CheckFile) -> Result<Finding> {
    let path = &check.file.path;
    let mut found = count(session, path, &check.file.text, check.rule.at_most).await?;
    // rows of source tables are for models alone
    if check
        .inputs
        .iter()
        .any(|input| plain_name(input).starts_with("source."))
    {
        found.1.clear();
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok(Finding::new(path, &check.rule, name, found))
}

/// The table of a name, whichever release it is read of.
pub fn plain_name(input: &str) -> &str {
    let last = input.strip_prefix(LAST).and_then(|rest| rest.strip_prefix('.'));
    last.unwrap_or(input)
}

/// How many rows a SELECT returns, as far as it matters whether they are `at_most` so many, and the first
/// of them.
async fn count(session: &Session, path: &str, sql: &str, at_most: u64) -> Result<(u64, String)> {
    let enough = COUNTED.max(at_most.saturating_add(1));
    let plan = session.plan(path, sql).await?;
    let mut rows = session.stream(path, sql, plan).await?;
    let (mut counted, mut sample) = (0, String::new());
    while let Some(batch) = rows.next().await? {
        if sample.is_empty() && batch.num_rows() > 0 {
            let kept = batch.slice(0, batch.num_rows().min(KEPT));
            sample = json_lines(&[kept])?.trim_end().to_owned();
        }
        counted += batch.num_rows() as u64;
        if counted >= enough {
            return Ok((enough, sample));
        }
    }
    Ok((counted, sample))
}
