//! A workbook's results as one HTML file that opens anywhere without a request.
//!
//! This module says what each part of the page holds; how it is written stands in the template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::display::{Display, Map, Shape};
use super::document::Block;
use super::grid::{self, Grid, NOTHING, grid, words};
use super::prose;
use super::result::{Dataset, Nature, Outcome};
use super::{Facts, Workbook, chart, template};
use crate::error::Result;
use crate::message::inert;

/// Rows of a chart's data that stay readable without scripts.
const FALLBACK_ROWS: usize = 200;
/// Digits of the digest that a header shows.
const DIGEST_SHOWN: usize = 12;

/// A workbook that has run.
#[derive(Debug, Clone)]
pub struct Page {
    pub(super) workbook: Workbook,
    pub(super) facts: Facts,
    pub(super) results: BTreeMap<String, Outcome>,
}

impl Page {
    /// The page as one self-contained HTML file. The same results give the same bytes.
    ///
    /// # Errors
    /// `Bug` where the template does not fit.
    pub fn html(&self) -> Result<String> {
        let (blocks, charts) = self.blocks();
        let (workbook, facts) = (&self.workbook, &self.facts);
        let page = json!({
            "id": workbook.id,
            "title": workbook.title,
            "audience": workbook.audience,
            "owner": workbook.owner,
            "purpose": workbook.purpose,
            "site": facts.site_title,
            "release": facts.release,
            "made_at": facts.made_at,
            "run_id": facts.run_id,
            "digest": facts.digest,
            "digest_short": facts.digest.chars().take(DIGEST_SHOWN).collect::<String>(),
            "synthetic": facts.synthetic,
            "notes": facts.notes,
            "blocks": blocks,
        });
        template::render(page, json!({ "synthetic": facts.synthetic, "charts": charts }))
    }

    /// What prose finds in the results.
    pub(super) fn value(&self, query: &str, column: Option<&str>) -> Option<String> {
        let data = match self.results.get(query)? {
            Outcome::Off(_) => return Some(NOTHING.to_owned()),
            Outcome::Data(data) => data,
        };
        let Some(column) = column else {
            let more = if data.truncated { "+" } else { "" };
            return Some(format!("{}{more}", data.rows.len()));
        };
        let at = data.position(column)?;
        Some(
            data.rows
                .first()
                .map_or_else(|| NOTHING.to_owned(), |row| words(&row[at], data.columns[at].nature)),
        )
    }

    pub(super) fn data(&self, query: &str) -> Option<&Dataset> {
        match self.results.get(query)? {
            Outcome::Data(data) => Some(data),
            Outcome::Off(_) => None,
        }
    }

    /// The reason why a display cannot be shown. A map stands as long as its areas do.
    pub(super) fn off(&self, display: &Display) -> Option<&str> {
        match self.results.get(*display.queries().first()?)? {
            Outcome::Off(reason) => Some(reason),
            Outcome::Data(_) => None,
        }
    }

    /// The parts of the page, neighbours of one kind grouped, and what the script draws.
    fn blocks(&self) -> (Vec<Value>, Vec<Value>) {
        let (mut blocks, mut charts): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for block in &self.workbook.blocks {
            match block {
                Block::Prose(events) => {
                    let html = prose::to_html(events, &|query, column| self.value(query, column));
                    blocks.push(json!({ "kind": "prose", "html": html }));
                }
                Block::Query(name) => blocks.push(json!({ "kind": "query", "sources": self.sources(&[name], true) })),
                Block::Display(display) => {
                    let group = group_of(display);
                    let figure = self.figure(display, &mut charts);
                    let queries: Vec<Value> = display.queries().into_iter().map(Value::from).collect();
                    match blocks.last_mut().filter(|last| last["kind"] == group) {
                        Some(last) => {
                            push(last, "figures", [figure]);
                            push(last, "queries", queries);
                        }
                        None => blocks.push(json!({ "kind": group, "figures": [figure], "queries": queries })),
                    }
                }
            }
        }
        for block in blocks.iter_mut().filter(|block| block["kind"] == "numbers") {
            let names: BTreeSet<String> = block["queries"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect();
            block["sources"] = self.sources(&names.iter().map(String::as_str).collect::<Vec<_>>(), true);
        }
        (blocks, charts)
    }

    fn figure(&self, display: &Display, charts: &mut Vec<Value>) -> Value {
        let mut figure = json!({ "title": display.title });
        if let Some(reason) = self.off(display) {
            figure["off"] = Value::from(inert(reason));
            figure["sources"] = self.sources(&display.queries(), false);
            if let Shape::Number { label, .. } = &display.shape {
                figure["label"] = json!(label);
            }
            return figure;
        }
        let main = display.queries().first().and_then(|name| self.data(name));
        let Some(data) = main else { return figure };
        figure["truncated"] = Value::from(data.truncated.then_some(data.rows.len()));
        match &display.shape {
            Shape::Number {
                value,
                label,
                unit,
                note,
                ..
            } => {
                let cell = |column: &str| {
                    let at = data.position(column)?;
                    data.rows.first().map(|row| words(&row[at], data.columns[at].nature))
                };
                figure["label"] = json!(label);
                figure["unit"] = json!(unit);
                figure["value"] = Value::from(cell(value).unwrap_or_else(|| NOTHING.to_owned()));
                let note = note.as_deref().and_then(cell).filter(|note| note != NOTHING);
                figure["note"] = note.map_or(Value::Null, |note| json!(grid::label(&note)));
            }
            Shape::Table { columns, rows, .. } => {
                figure["table"] = table(&grid(data, columns, *rows));
                figure["sources"] = self.sources(&display.queries(), false);
            }
            Shape::Series(series) => {
                figure["sources"] = self.sources(&display.queries(), true);
                if let (false, Some(drawn)) = (data.rows.is_empty(), chart::series(series, data)) {
                    Self::draw(&mut figure, drawn, "series", charts);
                }
            }
            Shape::Map(map) => {
                figure["sources"] = self.sources(&display.queries(), true);
                let drawn = self.map(map, data);
                figure["missing"] = drawn["missing"].clone();
                figure["off_parts"] = self.off_parts(map);
                if drawn["areas"]["features"]
                    .as_array()
                    .is_some_and(|areas| !areas.is_empty())
                {
                    Self::draw(&mut figure, drawn, "map", charts);
                }
            }
        }
        figure
    }

    fn draw(figure: &mut Value, mut drawn: Value, kind: &str, charts: &mut Vec<Value>) {
        let id = format!("chart-{}", charts.len() + 1);
        drawn["id"] = Value::from(id.clone());
        drawn["kind"] = Value::from(kind);
        drawn["title"] = figure["title"].clone();
        figure["chart"] = Value::from(id);
        figure["drawn"] = Value::from(kind);
        charts.push(drawn);
    }

    fn map(&self, map: &Map, areas: &Dataset) -> Value {
        let layers: Vec<Option<&Dataset>> = map.layers.iter().map(|layer| self.data(&layer.data)).collect();
        chart::map(
            map,
            areas,
            &layers,
            map.points.as_deref().and_then(|name| self.data(name)),
        )
    }

    fn off_parts(&self, map: &Map) -> Value {
        let reason = |name: &str| match self.results.get(name) {
            Some(Outcome::Off(reason)) => Some(inert(reason)),
            _ => None,
        };
        map.layers
            .iter()
            .filter_map(|layer| Some(json!({ "title": layer.title, "off": reason(&layer.data)? })))
            .collect()
    }

    /// SQL, number of rows and, where a picture stands for them, the first rows of each query.
    fn sources(&self, names: &[&str], rows: bool) -> Value {
        let source = |query: &super::document::Query| {
            let data = self.data(&query.name);
            json!({
                "name": query.name,
                "sql": query.sql.trim_end(),
                "rows": data.map(|data| format!("{}{}", data.rows.len(), if data.truncated { "+" } else { "" })),
                "table": data.filter(|_| rows).map(|data| table(&grid(data, &[], FALLBACK_ROWS))),
            })
        };
        self.workbook
            .queries
            .iter()
            .filter(|query| names.contains(&query.name.as_str()))
            .map(source)
            .collect()
    }
}

fn group_of(display: &Display) -> &'static str {
    match &display.shape {
        Shape::Number { .. } => "numbers",
        Shape::Series(_) => "charts",
        Shape::Table { .. } | Shape::Map(_) => "wide",
    }
}

fn push(block: &mut Value, key: &str, items: impl IntoIterator<Item = Value>) {
    if let Some(list) = block[key].as_array_mut() {
        list.extend(items);
    }
}

fn table(grid: &Grid) -> Value {
    let class = |nature| match nature {
        Nature::Integer | Nature::Real => Some("n"),
        Nature::Time => Some("t"),
        Nature::Text => None,
    };
    let headings: Vec<Value> = grid
        .headings
        .iter()
        .map(|heading| json!({ "label": heading.label, "nature": class(heading.nature) }))
        .collect();
    json!({ "headings": headings, "rows": grid.rows, "more": grid.more })
}
