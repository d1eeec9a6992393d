//! From what the tables and columns of a site come, and what comes from them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Bounds, Parameters, Session, lineage};
use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, Release};
use crate::model::Models;

/// A table with one of its columns, or as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// `schema.table`.
    pub table: String,
    /// The column; `None` for the table.
    pub column: Option<String>,
}

impl Point {
    /// `schema.table` or `schema.table.column`.
    ///
    /// # Errors
    /// `Input` for anything else.
    pub fn parse(text: &str) -> Result<Point> {
        match text.split('.').collect::<Vec<_>>()[..] {
            [schema, table] => Ok(Point {
                table: format!("{schema}.{table}"),
                column: None,
            }),
            [schema, table, column] => Ok(Point {
                table: format!("{schema}.{table}"),
                column: Some(column.to_owned()),
            }),
            _ => Err(fail(Kind::Input, "lineage_point", &[&text])),
        }
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.column {
            Some(column) => write!(out, "{}.{column}", self.table),
            None => out.write_str(&self.table),
        }
    }
}

/// What comes from what.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// Each point with what it comes from.
    from: BTreeMap<Point, BTreeSet<Point>>,
    /// Models whose columns are not known: an input of theirs has no table.
    pub unknown: Vec<String>,
}

impl Lineage {
    /// Of the models of a site: tables from their text, columns from their plans on the tables there are.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn new(
        models: &Models,
        lake: &Lake,
        release: Option<&Release>,
        bounds: Bounds,
        parameters: &Parameters,
    ) -> Result<Lineage> {
        let mut found = Lineage::default();
        let session = Session::new(bounds)?;
        let mut there = BTreeSet::new();
        for name in lake.table_names().await? {
            let entry = release.and_then(|release| release.tables.get(&name));
            let table = match entry {
                Some(entry) => Some(lake.table_at(&name, &entry.location, entry.version).await?),
                None => lake.table(&name).await?,
            };
            if let Some(table) = table {
                session.register(&name, table.provider(session.state()).await?)?;
                there.insert(name);
            }
        }
        for model in &models.ordered {
            let point = |table: &str, column: Option<&String>| Point {
                table: table.to_owned(),
                column: column.cloned(),
            };
            let inputs = model.inputs.iter().map(|input| point(input, None));
            found.from.entry(point(&model.name, None)).or_default().extend(inputs);
            if !model.inputs.iter().all(|input| there.contains(input)) {
                found.unknown.push(model.name.clone());
                continue;
            }
            let plan = session
                .plan_with(&model.file.path, &model.file.text, &model.parameters(parameters))
                .await?;
            for (column, origins) in lineage::origins(&plan) {
                let origins = origins
                    .iter()
                    .map(|(table, column)| point(table, Some(column).filter(|column| !column.is_empty())));
                found
                    .from
                    .entry(point(&model.name, Some(&column)))
                    .or_default()
                    .extend(origins);
            }
        }
        Ok(found)
    }

    /// Whether there is such a table or column.
    pub fn knows(&self, point: &Point) -> bool {
        self.from.contains_key(point) || self.from.values().any(|from| from.contains(point))
    }

    /// The steps from a point to all that it comes from, or with `down` to all that comes from it: each step
    /// once, nearest first, with its distance.
    pub fn steps(&self, start: &Point, down: bool) -> Vec<(usize, Point, Point)> {
        let mut steps = Vec::new();
        let (mut seen, mut edge) = (BTreeSet::from([start.clone()]), vec![start.clone()]);
        for depth in 1.. {
            let mut next = Vec::new();
            for point in &edge {
                let near: Vec<Point> = match down {
                    false => self.from.get(point).into_iter().flatten().cloned().collect(),
                    true => {
                        let users = self.from.iter().filter(|(_, from)| from.contains(point));
                        users.map(|(user, _)| user.clone()).collect()
                    }
                };
                for other in near {
                    if seen.insert(other.clone()) {
                        next.push(other.clone());
                    }
                    steps.push(if down {
                        (depth, other, point.clone())
                    } else {
                        (depth, point.clone(), other)
                    });
                }
            }
            if next.is_empty() {
                break;
            }
            edge = next;
        }
        steps
    }
}

/// The steps as a mermaid flow chart.
pub fn mermaid(steps: &[(usize, Point, Point)]) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (_, to, from) in steps {
        text.push_str(&format!("  {from} --> {to}\n"));
    }
    text
}
