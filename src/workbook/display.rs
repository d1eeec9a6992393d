//! What a `display` fence asks for: a table, a number, bars, a line or a map.
//!
//! Reads and names faults; draws nothing.

use super::keys::{Keys, pair};
use crate::config::text;
use crate::error::Problem;

/// One display.
#[derive(Debug, Clone)]
pub(super) struct Display {
    pub title: Option<[String; 2]>,
    /// The fence's TOML at its line of the workbook, for places in errors.
    pub source: String,
    pub shape: Shape,
}

/// The kinds of display.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Table {
        data: String,
        columns: Vec<String>,
        rows: usize,
    },
    Number {
        data: String,
        value: String,
        label: [String; 2],
        unit: [String; 2],
        note: Option<String>,
    },
    Series(Series),
    Map(Map),
}

/// Bars or lines.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub data: String,
    pub line: bool,
    pub x: String,
    pub y: Vec<String>,
    /// A column whose values split `y` into several series.
    pub split: Option<String>,
    pub unit: [String; 2],
    pub stacked: bool,
    pub lower: Option<String>,
    pub upper: Option<String>,
}

/// Areas with up to two layers of cells, and points.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub areas: String,
    pub layers: Vec<Layer>,
    pub points: Option<String>,
}

/// One layer of H3 cells.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub data: String,
    pub cell: String,
    pub value: String,
    pub label: [String; 2],
    pub title: [String; 2],
}

const KINDS: [&str; 5] = ["table", "number", "bar", "line", "map"];
const ROWS: usize = 20;

impl Display {
    /// Reads one display; what is wrong goes into `problems`. `fence_line` is the line of its fence.
    pub(super) fn parse(path: &str, source: &str, fence_line: usize, problems: &mut Vec<Problem>) -> Option<Display> {
        let table: toml::Table = match source.parse() {
            Ok(table) => table,
            Err(cause) => {
                problems.extend(text::toml_error(path, source, &cause).problems().iter().cloned());
                return None;
            }
        };
        let mut keys = Keys::new(path, source, fence_line, table, problems);
        let kind = keys.required("kind");
        let title = match (keys.optional("title_zh"), keys.optional("title_en")) {
            (None, None) => None,
            (zh, en) => Some(pair(zh, en)),
        };
        let (shape, known) = match kind.as_str() {
            "table" => table_shape(&mut keys),
            "number" => number_shape(&mut keys),
            "bar" | "line" => series_shape(&mut keys, kind == "line"),
            "map" => map_shape(&mut keys),
            "" => return None,
            other => {
                keys.unknown(other, &KINDS);
                return None;
            }
        };
        let known: Vec<&str> = ["kind", "title_zh", "title_en"]
            .into_iter()
            .chain(known.iter().copied())
            .collect();
        keys.finish(&known);
        Some(Display {
            title,
            source: source.to_owned(),
            shape,
        })
    }

    /// The queries it needs; the first is its main one.
    pub(super) fn queries(&self) -> Vec<&str> {
        match &self.shape {
            Shape::Table { data, .. } | Shape::Number { data, .. } => vec![data],
            Shape::Series(series) => vec![&series.data],
            Shape::Map(map) => std::iter::once(map.areas.as_str())
                .chain(map.layers.iter().map(|layer| layer.data.as_str()))
                .chain(map.points.as_deref())
                .collect(),
        }
    }

    /// The (query, column) pairs it needs.
    pub(super) fn columns(&self) -> Vec<(&str, &str)> {
        match &self.shape {
            Shape::Table { data, columns, .. } => {
                columns.iter().map(|column| (data.as_str(), column.as_str())).collect()
            }
            Shape::Number { data, value, note, .. } => std::iter::once(value)
                .chain(note)
                .map(|column| (data.as_str(), column.as_str()))
                .collect(),
            Shape::Series(series) => std::iter::once(&series.x)
                .chain(&series.y)
                .chain(&series.split)
                .chain(&series.lower)
                .chain(&series.upper)
                .map(|column| (series.data.as_str(), column.as_str()))
                .collect(),
            Shape::Map(map) => {
                let areas = ["code", "name_zh", "name_en", "boundary"].map(|column| (map.areas.as_str(), column));
                let layers = map.layers.iter().flat_map(|layer| {
                    [&layer.cell, &layer.value, &layer.label[0], &layer.label[1]]
                        .map(|column| (layer.data.as_str(), column.as_str()))
                });
                let points = map
                    .points
                    .iter()
                    .flat_map(|name| ["lon", "lat", "label"].map(|column| (name.as_str(), column)));
                areas.into_iter().chain(layers).chain(points).collect()
            }
        }
    }
}

type Known = &'static [&'static str];

fn table_shape(keys: &mut Keys) -> (Shape, Known) {
    let rows = keys.count("rows", ROWS);
    (
        Shape::Table {
            data: keys.required("data"),
            columns: keys.list("columns"),
            rows,
        },
        &["data", "columns", "rows"],
    )
}

fn number_shape(keys: &mut Keys) -> (Shape, Known) {
    let shape = Shape::Number {
        data: keys.required("data"),
        value: keys.required("value"),
        label: [keys.required("label_zh"), keys.required("label_en")],
        unit: keys.pair("unit_zh", "unit_en"),
        note: keys.optional("note"),
    };
    (
        shape,
        &["data", "value", "label_zh", "label_en", "unit_zh", "unit_en", "note"],
    )
}

fn series_shape(keys: &mut Keys, line: bool) -> (Shape, Known) {
    let y = keys.required_list("y");
    let series = Series {
        data: keys.required("data"),
        line,
        x: keys.required("x"),
        y,
        split: keys.optional("series"),
        unit: keys.pair("unit_zh", "unit_en"),
        stacked: keys.flag("stacked"),
        lower: keys.optional("lower"),
        upper: keys.optional("upper"),
    };
    (
        Shape::Series(series),
        &[
            "data", "x", "y", "series", "unit_zh", "unit_en", "stacked", "lower", "upper",
        ],
    )
}

fn map_shape(keys: &mut Keys) -> (Shape, Known) {
    let areas = keys.required("areas");
    let mut layers = Vec::new();
    for suffix in ["", "2"] {
        let key = |name: &str| format!("{name}{suffix}");
        let Some(data) = keys.optional(&key("cells")) else {
            continue;
        };
        let column =
            |keys: &mut Keys, name: &str, usual: &str| keys.optional(&key(name)).unwrap_or_else(|| usual.to_owned());
        layers.push(Layer {
            cell: column(keys, "cell_column", "cell"),
            value: keys.required(&key("value")),
            label: [
                column(keys, "label_zh", "label_zh"),
                column(keys, "label_en", "label_en"),
            ],
            title: pair(
                keys.optional(&key("layer_zh")).or(Some(data.clone())),
                keys.optional(&key("layer_en")),
            ),
            data,
        });
    }
    let points = keys.optional("points");
    (
        Shape::Map(Map { areas, layers, points }),
        &[
            "areas",
            "points",
            "cells",
            "cell_column",
            "value",
            "label_zh",
            "label_en",
            "layer_zh",
            "layer_en",
            "cells2",
            "cell_column2",
            "value2",
            "label_zh2",
            "label_en2",
            "layer_zh2",
            "layer_en2",
        ],
    )
}
