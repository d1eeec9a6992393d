//! Workbooks: one Markdown file with SQL fences becomes one page, for the screen, for print, for the terminal.
//!
//! A workbook only reads: every fence is planned by a read-only session. It computes nothing that SQL
//! can compute, decides nothing about disclosure, keeps no cache, and knows neither files nor clocks;
//! whoever runs it says which release it stands on.

mod chart;
mod display;
mod document;
mod geometry;
mod grid;
mod keys;
mod page;
mod prose;
mod result;
mod template;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use page::Page;

use crate::config::site::SiteFile;
use crate::config::text;
use crate::engine::session::Session;
use crate::error::{Kind, Problem, Result, fail};
use crate::message::{Language, Message};
use document::{Block, Mention, Query};
use result::{Dataset, Outcome};

/// A parsed workbook.
#[derive(Debug, Clone)]
pub struct Workbook {
    /// Its name for commands and links.
    pub id: String,
    /// Title in Chinese and English.
    pub title: [String; 2],
    /// Who it is made for.
    pub audience: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    path: String,
    text: String,
    queries: Vec<Query>,
    blocks: Vec<Block>,
    mentions: Vec<Mention>,
}

/// What the page says about the data it stands on.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The release that was read.
    pub release: u64,
    /// When the release was made, as it is to be printed.
    pub made_at: String,
    /// Digest of the release.
    pub digest: String,
    /// The run that made the page.
    pub run_id: String,
    /// Title of the site in Chinese and English.
    pub site_title: [String; 2],
    /// Whether the data are synthetic, which every picture then says.
    pub synthetic: bool,
    /// Tables that are switched off, with the reason in both languages.
    pub off: BTreeMap<String, String>,
    /// What a reader must know before the numbers, in Chinese and English.
    pub notes: Vec<[String; 2]>,
}

impl Workbook {
    /// Reads a workbook.
    ///
    /// # Errors
    /// `Input` with every fault of the file and its place.
    pub fn parse(file: &SiteFile) -> Result<Workbook> {
        document::parse(&file.path, &file.text)
    }

    /// Runs every query and lays the results out. A query over a table that is switched off is not
    /// run; what shows it says why. At most `row_limit` rows of each result are used.
    ///
    /// # Errors
    /// `Input` with the place in the workbook where a query or a column is wrong; as the query fails.
    pub async fn run(&self, session: &Session, facts: &Facts, row_limit: usize) -> Result<Page> {
        let mut results = BTreeMap::new();
        let mut columns = BTreeMap::new();
        for query in &self.queries {
            let outcome = match off_reason(&query.sql, &facts.off) {
                Some(reason) => Outcome::Off(reason.to_owned()),
                None => Outcome::Data(self.fetch(session, query, row_limit).await?),
            };
            if let Outcome::Data(data) = &outcome {
                columns.insert(query.name.clone(), data.names());
            }
            results.insert(query.name.clone(), outcome);
        }
        self.verify(self.column_problems(&columns))?;
        Ok(Page {
            workbook: self.clone(),
            facts: facts.clone(),
            results,
        })
    }

    /// Plans every query whose tables are switched on, runs nothing.
    ///
    /// # Errors
    /// `Input` with the places of every query and column that is wrong.
    pub async fn check(&self, session: &Session, off: &BTreeMap<String, String>) -> Result<()> {
        let mut problems = Vec::new();
        let mut columns = BTreeMap::new();
        for query in self
            .queries
            .iter()
            .filter(|query| off_reason(&query.sql, off).is_none())
        {
            match session.plan(&self.path, &query.placed()).await {
                Ok(plan) => {
                    let names = plan
                        .schema()
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .collect();
                    columns.insert(query.name.clone(), names);
                }
                Err(error) if error.problems().is_empty() => return Err(error),
                Err(error) => problems.extend(error.problems().iter().cloned()),
            }
        }
        problems.extend(self.column_problems(&columns));
        self.verify(problems)
    }

    async fn fetch(&self, session: &Session, query: &Query, row_limit: usize) -> Result<Dataset> {
        let sql = query.placed();
        let plan = session.plan(&self.path, &sql).await?;
        let mut rows = session.stream(&self.path, &sql, plan).await?;
        let mut data = Dataset::new(&rows.schema());
        while let Some(batch) = rows.next().await? {
            data.append(&batch, row_limit)?;
            if data.truncated {
                break;
            }
        }
        Ok(data)
    }

    fn verify(&self, problems: Vec<Problem>) -> Result<()> {
        if problems.is_empty() {
            return Ok(());
        }
        Err(fail(Kind::Input, "workbook_invalid", &[&self.path]).with_problems(problems))
    }

    /// The columns that displays and prose name and results do not have.
    fn column_problems(&self, known: &BTreeMap<String, Vec<String>>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for block in &self.blocks {
            let Block::Display(display) = block else { continue };
            for (query, column) in display.columns() {
                if let Some(names) = known
                    .get(query)
                    .filter(|names| !names.iter().any(|name| name == column))
                {
                    problems.push(text::unknown_key(&self.path, &display.source, column, names.iter()));
                }
            }
        }
        for mention in &self.mentions {
            let Some(column) = &mention.column else { continue };
            if let Some(names) = known.get(&mention.query).filter(|names| !names.contains(column)) {
                let message = text::unknown_key(&self.path, "", column, names.iter()).message;
                problems.push(text::problem_at(&self.path, &self.text, mention.offset, message));
            }
        }
        problems
    }
}

/// The reason of the first switched-off table that the SQL names.
fn off_reason<'a>(sql: &str, off: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let names = |table: &str| {
        sql.match_indices(table).any(|(at, _)| {
            !is_word(sql[..at].chars().next_back())
                && !sql[at + table.len()..]
                    .chars()
                    .next()
                    .is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    off.iter()
        .find(|(table, _)| names(table))
        .map(|(_, reason)| reason.as_str())
}

/// A text of the catalogue in Chinese and English.
fn both(key: &'static str, args: &[&dyn std::fmt::Display]) -> [String; 2] {
    let message = Message::new(key, args);
    [
        message.in_language(Language::Chinese),
        message.in_language(Language::English),
    ]
}
