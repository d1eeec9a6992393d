//! A session on the tables of one release, as people see them.
//!
//! People's sessions hold no `source.*` table, and no model's output holds a token, so there is
//! nothing to hide by predicate.

use crate::engine::{Bounds, Session};
use crate::error::Result;
use crate::lake::{Lake, Release, Table};

/// Run records are read at their head, since the run that published a release ends after it.
pub const RECORDS: [&str; 4] = ["ops.run", "ops.step", "ops.check", "ops.notice"];

/// A session on opened tables, for the program's own questions.
///
/// # Errors
/// `Unavailable` where a table's log cannot be read.
pub async fn on(bounds: Bounds, tables: &[&Table]) -> Result<Session> {
    let session = Session::new(bounds)?;
    for table in tables {
        session.register(table.name(), table.provider(session.state()).await?)?;
    }
    Ok(session)
}

/// A session on the tables of `release`.
///
/// # Errors
/// `Missing` where a version is gone.
pub async fn session(lake: &Lake, bounds: Bounds, release: &Release) -> Result<Session> {
    session_on(lake, bounds, release, |_| true).await
}

/// A session on those tables of `release` that are wanted; opening a table reads its log.
///
/// # Errors
/// As [`session`].
pub async fn session_on(
    lake: &Lake,
    bounds: Bounds,
    release: &Release,
    wanted: impl Fn(&str) -> bool,
) -> Result<Session> {
    let session = Session::new(bounds)?;
    for (name, entry) in release
        .tables
        .iter()
        .filter(|(name, _)| !name.starts_with("source.") && wanted(name))
    {
        let table = lake.table_at(name, &entry.location, entry.version).await?;
        session.register(name, table.provider(session.state()).await?)?;
    }
    for name in RECORDS.into_iter().filter(|name| wanted(name)) {
        if let Some(table) = lake.table(name).await? {
            session.register(name, table.provider(session.state()).await?)?;
        }
    }
    Ok(session)
}
