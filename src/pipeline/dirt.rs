//! Which days of a model its inputs have reopened since it was built.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use crate::engine::{Bounds, Session};
use crate::error::Result;
use crate::lake::days::UNDATED;
use crate::lake::{Lake, Release, ReleaseTable, Touched};
use crate::model::Model;
use crate::model::header::DAY;
use crate::model::window::spans;
use crate::time::calendar;

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
fn state(text: &str) -> Option<(&str, u64)> {
    let (location, version) = text.rsplit_once('@')?;
    Some((location, version.parse().ok()?))
}

/// What an input says now and said when a model was last built on it.
struct Moved<'a> {
    name: &'a str,
    now: &'a ReleaseTable,
    then: u64,
}

/// What a model has to build: `before` is its entry in the release, `tables` are its inputs as they stand
/// now, `last` the release.
///
/// # Errors
/// `Unavailable` where a log cannot be read.
pub async fn of(
    lake: &Lake,
    bounds: Bounds,
    model: &Model,
    before: &ReleaseTable,
    tables: &BTreeMap<String, ReleaseTable>,
    last: &Release,
) -> Result<Dirt> {
    let mut moved = Vec::new();
    for input in &model.inputs {
        let (Some(then), Some(now)) = (before.inputs.get(input), tables.get(input)) else {
            return Ok(Dirt::All);
        };
        if *then == now.state() {
            continue;
        }
        let known = last.tables.get(input).filter(|known| known.state() == *then);
        if now.digest.is_some() && known.is_some_and(|known| known.digest == now.digest) {
            continue;
        }
        match state(then) {
            Some((location, then)) if location == now.location => moved.push(Moved { name: input, now, then }),
            _ => return Ok(Dirt::All),
        }
    }
    let Some(window) = &model.header.window else {
        return Ok(if moved.is_empty() { Dirt::Nothing } else { Dirt::All });
    };
    let mut days = BTreeSet::new();
    for input in &moved {
        let table = lake
            .table_at(input.name, &input.now.location, input.now.version)
            .await?;
        let Touched::Days(touched) = table.touched_since(input.then).await? else {
            return Ok(Dirt::All);
        };
        if touched.is_empty() {
            continue;
        }
        if !table.has_days()? {
            return Ok(Dirt::All);
        }
        match window.follows(input.name) {
            Some(key) => {
                let among = Among {
                    lake,
                    bounds,
                    model,
                    before,
                    tables,
                };
                days.extend(among.following(input, key, &touched).await?);
            }
            // rows without a day bear on none
            None => {
                for day in touched.into_iter().filter(|day| *day != UNDATED) {
                    days.extend(day.saturating_sub(window.lookahead)..=day.saturating_add(window.lookback));
                }
            }
        }
    }
    if let Some(end) = last_day(lake, model, before, tables).await? {
        days.retain(|day| *day <= end);
    }
    Ok(if days.is_empty() {
        Dirt::Nothing
    } else {
        Dirt::Days(days)
    })
}

/// The last day on which a model can have rows: that of its inputs and of its own.
async fn last_day(
    lake: &Lake,
    model: &Model,
    before: &ReleaseTable,
    tables: &BTreeMap<String, ReleaseTable>,
) -> Result<Option<i32>> {
    let mut last = lake.table_in(&model.name, &before.location).await?.last_day()?;
    for input in &model.inputs {
        let Some(now) = tables.get(input) else { continue };
        let table = lake.table_at(input, &now.location, now.version).await?;
        if table.has_days()? {
            last = last.max(table.last_day()?);
        }
    }
    Ok(last)
}

/// Where the days of a key are found: in the model's own rows, and in the inputs that decide its day.
struct Among<'a> {
    lake: &'a Lake,
    bounds: Bounds,
    model: &'a Model,
    before: &'a ReleaseTable,
    tables: &'a BTreeMap<String, ReleaseTable>,
}

impl Among<'_> {
    /// The days of rows whose key stands in a changed row of an input, as it is or as it was.
    async fn following(&self, input: &Moved<'_>, key: &str, touched: &BTreeSet<i32>) -> Result<BTreeSet<i32>> {
        let session = Session::new(self.bounds)?;
        for (name, version) in [("now.input", input.now.version), ("then.input", input.then)] {
            let table = self.lake.table_at(input.name, &input.now.location, version).await?;
            session.register(name, table.provider(session.state()).await?)?;
        }
        let mut holders = vec![self.lake.table_in(&self.model.name, &self.before.location).await?];
        let window = self.model.header.window.iter();
        let followed: Vec<&String> = window
            .flat_map(|window| &window.follows)
            .map(|(name, _)| name)
            .collect();
        for name in self.model.inputs.iter().filter(|name| !followed.contains(name)) {
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
        let path = &self.model.file.path;
        let plan = session.plan(path, &sql).await?;
        let mut rows = session.stream(path, &sql, plan).await?;
        let mut days = BTreeSet::new();
        while let Some(batch) = rows.next().await? {
            days.extend(batch.column(0).as_primitive::<Int32Type>().iter().flatten());
        }
        Ok(days)
    }
}

/// The condition that a row is of these days.
fn among(days: &BTreeSet<i32>) -> String {
    let mut dated = days.clone();
    let mut conditions = Vec::new();
    if dated.remove(&UNDATED) {
        conditions.push(format!("{DAY} IS NULL"));
    }
    for span in spans(&dated) {
        if let (Some(first), Some(last)) = (calendar::date(span.first), calendar::date(span.last)) {
            conditions.push(format!("{DAY} BETWEEN DATE '{first}' AND DATE '{last}'"));
        }
    }
    conditions.join(" OR ")
}
