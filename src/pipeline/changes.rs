//! What differs between two releases: rows by key, and the warnings that came and went.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::config::Site;
use crate::engine::session::Table;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, Release, ReleaseTable};
use crate::model::{Model, Models};

/// How a table differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// Rows before, `None` where it was not there.
    pub before: Option<u64>,
    /// Rows after, `None` where it is not there.
    pub after: Option<u64>,
    /// Keys that came.
    pub added: u64,
    /// Keys that went.
    pub removed: u64,
    /// Keys whose rows differ.
    pub changed: u64,
}

/// Two releases of a lake.
#[derive(Debug, Clone, Copy)]
pub struct Two<'a> {
    /// The site.
    pub site: &'a Site,
    /// Its lake.
    pub lake: &'a Lake,
    /// The earlier one.
    pub then: &'a Release,
    /// The later one.
    pub now: &'a Release,
}

/// Names that no table has.
const SIDES: [&str; 2] = ["then.t", "now.t"];

impl Two<'_> {
    /// The models whose rows differ, with their entries.
    fn differing<'m>(&self, models: &'m Models) -> Vec<(&'m Model, Option<ReleaseTable>, Option<ReleaseTable>)> {
        let entries = models.ordered.iter().map(|model| {
            let of = |release: &Release| release.tables.get(&model.name).cloned();
            (model, of(self.then), of(self.now))
        });
        let digest = |entry: &Option<ReleaseTable>| entry.as_ref().map(|entry| entry.digest.clone());
        entries.filter(|(_, then, now)| digest(then) != digest(now)).collect()
    }

    /// How the tables of models differ. Where `counted` does not name a table, its keys are not compared.
    ///
    /// # Errors
    /// `Missing` where a version is gone.
    pub async fn changes(&self, models: &Models, counted: impl Fn(&str) -> bool) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        for (model, then, now) in self.differing(models) {
            let mut change = Change {
                table: model.name.clone(),
                before: then.as_ref().map(|entry| entry.rows),
                after: now.as_ref().map(|entry| entry.rows),
                added: 0,
                removed: 0,
                changed: 0,
            };
            if counted(&model.name) {
                match (&then, &now) {
                    (Some(then), Some(now)) => self.count(model, [then, now], &mut change).await?,
                    (then, now) => {
                        change.removed = then.as_ref().map_or(0, |entry| entry.rows);
                        change.added = now.as_ref().map_or(0, |entry| entry.rows);
                    }
                }
            }
            found.push(change);
        }
        Ok(found)
    }

    async fn count(&self, model: &Model, entries: [&ReleaseTable; 2], change: &mut Change) -> Result<()> {
        let (session, kinds) = self.kinds(model, entries).await?;
        let sql = format!("SELECT arrow_cast(kind, 'Utf8') AS kind, count(*) AS n FROM ({kinds}) AS k GROUP BY kind");
        let table = session
            .query("diff", &sql, self.site.settings.limits.query_rows)
            .await?;
        for batch in &table.batches {
            let (kinds, counts) = (
                batch.column(0).as_string_opt::<i32>(),
                batch.column(1).as_primitive::<Int64Type>(),
            );
            let broken = || fail(Kind::Bug, "batch_shape", &[]);
            let kinds = kinds.ok_or_else(broken)?;
            for row in 0..batch.num_rows() {
                let count = counts.value(row).cast_unsigned();
                match kinds.value(row) {
                    "added" => change.added = count,
                    "removed" => change.removed = count,
                    "changed" => change.changed = count,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The keys of one table that differ, each with `added`, `removed` or `changed`.
    ///
    /// # Errors
    /// `Missing` where it is in none of the two releases; `Limit` where more keys differ than are shown.
    pub async fn keys(&self, model: &Model) -> Result<Table> {
        let of = |release: &Release| release.tables.get(&model.name).cloned();
        let Some(any) = of(self.then).or_else(|| of(self.now)) else {
            return Err(fail(Kind::Missing, "table_missing", &[&model.name]));
        };
        let entries = [of(self.then), of(self.now)];
        let empty = entries.iter().position(Option::is_none);
        let [then, now] = entries.map(|entry| entry.unwrap_or_else(|| any.clone()));
        let (session, kinds) = self.kinds(model, [&then, &now]).await?;
        let grain = grain(model);
        let sql = match empty {
            None => format!("SELECT * FROM ({kinds}) AS k WHERE kind <> 'same' ORDER BY {grain}"),
            Some(side) => {
                let (kind, there) = if side == 0 {
                    ("added", SIDES[1])
                } else {
                    ("removed", SIDES[0])
                };
                format!("SELECT DISTINCT '{kind}' AS kind, {grain} FROM {there} ORDER BY {grain}")
            }
        };
        session.query("diff", &sql, self.site.settings.limits.query_rows).await
    }

    /// A session on both sides of a table, and a query of its keys with what became of each. Rows that agree
    /// in every column are one group, so that no join is needed and NULLs agree.
    async fn kinds(&self, model: &Model, entries: [&ReleaseTable; 2]) -> Result<(Session, String)> {
        let session = Session::new(Bounds::from(&self.site.settings.limits))?;
        let mut columns: Vec<Vec<String>> = Vec::new();
        for (side, entry) in SIDES.into_iter().zip(entries) {
            let table = self.lake.table_at(&model.name, &entry.location, entry.version).await?;
            let schema = table.schema()?;
            columns.push(
                schema
                    .fields()
                    .iter()
                    .map(|field| format!("\"{}\"", field.name()))
                    .collect(),
            );
            session.register(side, table.provider(session.state()).await?)?;
        }
        // a column that one side lacks makes every row another one
        let all: BTreeMap<&String, ()> = columns.iter().flatten().map(|name| (name, ())).collect();
        let side = |at: usize| {
            let list = all.keys().map(|name| match columns[at].contains(name) {
                true => (*name).clone(),
                false => format!("NULL AS {name}"),
            });
            let list: Vec<String> = list.collect();
            format!(
                "SELECT {}, {} AS in_then, {at} AS in_now FROM {}",
                list.join(", "),
                1 - at,
                SIDES[at]
            )
        };
        let names: Vec<&str> = all.keys().map(|name| name.as_str()).collect();
        let (names, grain) = (names.join(", "), grain(model));
        let sql = format!(
            "SELECT CASE WHEN max(in_then) = 0 THEN 'added' WHEN max(in_now) = 0 THEN 'removed' \
             WHEN min(in_then + in_now) = 2 THEN 'same' ELSE 'changed' END AS kind, {grain} FROM \
             (SELECT {names}, max(in_then) AS in_then, max(in_now) AS in_now FROM ({} UNION ALL {}) AS u GROUP BY {names}) AS r \
             GROUP BY {grain}",
            side(0),
            side(1)
        );
        Ok((session, sql))
    }
}

fn grain(model: &Model) -> String {
    let names = model.header.grain.iter().map(|name| format!("\"{name}\""));
    names.collect::<Vec<_>>().join(", ")
}
