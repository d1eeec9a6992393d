//! Which days of a model its inputs have reopened since it was built.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use crate::engine::{Bounds, Session};
use crate::error::Result;
use crate::lake::days::{DAY, UNDATED, spans};
use crate::lake::{Lake, Release, ReleaseTable, Table, Touched};
use crate::model::Model;
use crate::model::window::condition;

/// What a model has to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dirt {
    /// Nothing: its inputs say what they said.
    Nothing,
    /// The rows of these days.
    Days(BTreeSet<i32>),
    /// Everything.
    All,
}

/// A state of a table, `location@version`.
pub(super) fn state(text: &str) -> Option<(&str, u64)> {
    let (location, version) = text.rsplit_once('@')?;
    Some((location, version.parse().ok()?))
}

/// What an input says now and said when a model was last built on it.
struct Moved<'a> {
    name: &'a str,
    now: &'a ReleaseTable,
    then: u64,
}

/// The tables on which it is decided.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// Bounds of the queries.
    pub bounds: Bounds,
    /// The last release.
    pub last: &'a Release,
    /// Every table as it stands now.
    pub tables: &'a BTreeMap<String, ReleaseTable>,
    /// What becomes of tables that are not built yet.
    pub expected: &'a BTreeMap<String, Touched>,
}

impl Ground<'_> {
    /// What a model has to build; `before` is its entry in the release.
    ///
    /// # Errors
    /// `Unavailable` where a log cannot be read.
    pub async fn dirt(&self, model: &Model, before: &ReleaseTable) -> Result<Dirt> {
        let mut moved = Vec::new();
        let mut days = BTreeSet::new();
        let mut changed = false;
        for input in &model.inputs {
            if let Some(expected) = self.expected.get(input) {
                let Touched::Days(touched) = expected else {
                    return Ok(Dirt::All);
                };
                changed |= !touched.is_empty();
                // whose keys they will be, a table that is not built yet does not tell: its days stand for them
                days.extend(reopened(model, touched));
                continue;
            }
            let (Some(then), Some(now)) = (before.inputs.get(input), self.tables.get(input)) else {
                return Ok(Dirt::All);
            };
            if *then == now.state() || self.says_the_same(input, then, now) {
                continue;
            }
            match state(then) {
                Some((location, then)) if location == now.location => moved.push(Moved { name: input, now, then }),
                _ => return Ok(Dirt::All),
            }
        }
        let window = model.header.window.as_ref();
        if window.is_none() && changed {
            return Ok(Dirt::All);
        }
        for input in &moved {
            let table = self
                .lake
                .table_at(input.name, &input.now.location, input.now.version)
                .await?;
            let Touched::Days(touched) = table.touched_since(input.then).await? else {
                return Ok(Dirt::All);
            };
            // the same rows in other files are no news
            if touched.is_empty() {
                continue;
            }
            let Some(window) = window else {
                return Ok(Dirt::All);
            };
            if !table.has_days()? {
                return Ok(Dirt::All);
            }
            match window.follows(input.name) {
                Some(key) => days.extend(self.following(model, before, input, key, &touched).await?),
                None => days.extend(reopened(model, &touched)),
            }
        }
        if !days.is_empty() {
            // what was built after the release and not published, or taken back, is built again as well
            let own = self.lake.table_in(&model.name, &before.location).await?;
            let Touched::Days(unpublished) = own.touched_since(before.version).await? else {
                return Ok(Dirt::All);
            };
            days.extend(unpublished);
        }
        if let Some(end) = self.last_day(model, before).await? {
            days.retain(|day| *day <= end);
        }
        Ok(if days.is_empty() {
            Dirt::Nothing
        } else {
            Dirt::Days(days)
        })
    }

    /// Whether an input was built again and has the rows that it had.
    fn says_the_same(&self, input: &str, then: &str, now: &ReleaseTable) -> bool {
        let known = self.last.tables.get(input).filter(|known| known.state() == then);
        now.digest.is_some() && known.is_some_and(|known| known.digest == now.digest)
    }

    /// The last day on which a model can have rows: that of its inputs and of its own.
    async fn last_day(&self, model: &Model, before: &ReleaseTable) -> Result<Option<i32>> {
        let end = |table: &Table| -> Result<Option<i32>> { Ok(table.bounds()?.map(|(_, end)| end)) };
        let mut last = end(&self.lake.table_in(&model.name, &before.location).await?)?;
        for input in &model.inputs {
            if let Some(Touched::Days(days)) = self.expected.get(input) {
                last = last.max(days.last().copied());
            }
            let Some(now) = self.tables.get(input) else { continue };
            let table = self.lake.table_at(input, &now.location, now.version).await?;
            if table.has_days()? {
                last = last.max(end(&table)?);
            }
        }
        Ok(last)
    }

    /// The days of rows whose key stands in a changed row of an input, as it is or as it was. The day of a
    /// key is found in the model's own rows, and in the inputs that decide it.
    async fn following(
        &self,
        model: &Model,
        before: &ReleaseTable,
        input: &Moved<'_>,
        key: &str,
        touched: &BTreeSet<i32>,
    ) -> Result<BTreeSet<i32>> {
        let session = Session::new(self.bounds)?;
        for (name, version) in [("now.input", input.now.version), ("then.input", input.then)] {
            let table = self.lake.table_at(input.name, &input.now.location, version).await?;
            session.register(name, table.provider(session.state()).await?)?;
        }
        let mut holders = vec![self.lake.table_in(&model.name, &before.location).await?];
        let window = model.header.window.iter();
        let followed: Vec<&String> = window
            .flat_map(|window| &window.follows)
            .map(|(name, _)| name)
            .collect();
        for name in model.inputs.iter().filter(|name| !followed.contains(name)) {
            if let Some(now) = self.tables.get(name) {
                holders.push(self.lake.table_at(name, &now.location, now.version).await?);
            }
        }
        let changed = among(touched);
        let mut parts = Vec::new();
        for (at, table) in holders.iter().enumerate() {
            if table.has_days()? && table.schema()?.field_with_name(key).is_ok() {
                session.register(&format!("holder.t{at}"), table.provider(session.state()).await?)?;
                parts.push(format!(
                    "SELECT arrow_cast({DAY}, 'Int32') AS day FROM holder.t{at} WHERE {key} IN \
                     (SELECT {key} FROM now.input WHERE {changed} UNION ALL SELECT {key} FROM then.input WHERE {changed})"
                ));
            }
        }
        let sql = format!(
            "SELECT DISTINCT day FROM ({}) AS held WHERE day IS NOT NULL",
            parts.join(" UNION ALL ")
        );
        let path = &model.file.path;
        let plan = session.plan(path, &sql).await?;
        let mut rows = session.stream(path, &sql, plan).await?;
        let mut days = BTreeSet::new();
        while let Some(batch) = rows.next().await? {
            days.extend(batch.column(0).as_primitive::<Int32Type>().iter().flatten());
        }
        Ok(days)
    }
}

/// The days of a model whose rows depend on those of `touched`; rows without a day bear on none.
fn reopened(model: &Model, touched: &BTreeSet<i32>) -> BTreeSet<i32> {
    let window = model.header.window.clone().unwrap_or_default();
    let dated = touched.iter().filter(|day| **day != UNDATED);
    dated
        .flat_map(|day| day.saturating_sub(window.lookahead)..=day.saturating_add(window.lookback))
        .collect()
}

/// The condition that a row is of these days.
fn among(days: &BTreeSet<i32>) -> String {
    let mut dated = days.clone();
    let mut conditions = Vec::new();
    if dated.remove(&UNDATED) {
        conditions.push(format!("{DAY} IS NULL"));
    }
    conditions.extend(condition(&spans(&dated)));
    conditions.join(" OR ")
}
