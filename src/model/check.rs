//! Checks: SELECTs that must return no rows. Header checks compile to the same thing.

use crate::engine::Session;
use crate::error::{Kind, Result};
use crate::model::load::Model;

/// Failing rows of a check that are counted; beyond it, "or more".
const COUNTED: usize = 10_000;

/// A check that found rows.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The file of the check.
    pub path: String,
    /// Line of a header check, 0 for a file.
    pub line: usize,
    /// What was checked.
    pub check: String,
    /// Rows found.
    pub rows: usize,
}

/// Runs the header checks of a model.
///
/// # Errors
/// As a query fails.
pub async fn header(session: &Session, model: &Model) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for (line, check) in &model.header.checks {
        let (sql, name) = check.sql(&model.name);
        let rows = count(session, &model.file.path, &sql).await?;
        if rows > 0 {
            failures.push(Failure {
                path: model.file.path.clone(),
                line: *line,
                check: name,
                rows,
            });
        }
    }
    Ok(failures)
}

/// Runs a check file.
///
/// # Errors
/// As a query fails.
pub async fn file(session: &Session, path: &str, sql: &str) -> Result<Option<Failure>> {
    let rows = count(session, path, sql).await?;
    let check = path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok((rows > 0).then(|| Failure {
        path: path.to_owned(),
        line: 0,
        check,
        rows,
    }))
}

async fn count(session: &Session, path: &str, sql: &str) -> Result<usize> {
    match session.query(path, sql, COUNTED).await {
        Ok(table) => Ok(table.rows()),
        Err(error) if error.kind() == Kind::Limit && error.key() == "query_rows" => Ok(COUNTED),
        Err(error) => Err(error),
    }
}
