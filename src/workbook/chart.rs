//! Results as the plain JSON that the page's script draws: series for bars and lines, shapes for maps.
//!
//! All sorting, splitting and classing happens here, so that the script only paints.

use serde_json::{Value, json};

use super::display::{Layer, Map, Series};
use super::geometry;
use super::grid::{label, words};
use super::result::{Dataset, Nature};

/// Colour classes of a map layer at most.
const CLASSES: usize = 4;

/// The series of a bar or line display.
pub(super) fn series(display: &Series, data: &Dataset) -> Option<Value> {
    let x = data.position(&display.x)?;
    let mut categories: Vec<[String; 2]> = Vec::new();
    let mut place_of = std::collections::HashMap::new();
    let mut drawn: Vec<Drawn> = Vec::new();
    for row in &data.rows {
        let category = bilingual(data, row, x);
        let next = categories.len();
        let place = *place_of.entry(category[0].clone()).or_insert(next);
        if place == next {
            categories.push(category);
        }
        for y in &display.y {
            let name = match display.split.as_deref().and_then(|split| data.position(split)) {
                Some(split) if display.y.len() == 1 => bilingual(data, row, split),
                Some(split) => {
                    let ([zh, en], [of_zh, of_en]) = (bilingual(data, row, split), label(y));
                    [format!("{zh} · {of_zh}"), format!("{en} · {of_en}")]
                }
                None => label(y),
            };
            let at = drawn.iter().position(|drawn| drawn.name == name).unwrap_or_else(|| {
                drawn.push(Drawn {
                    name,
                    values: Vec::new(),
                });
                drawn.len() - 1
            });
            let cell = |column: &Option<String>| {
                column
                    .as_deref()
                    .and_then(|name| number(data, row, name))
                    .unwrap_or(Value::Null)
            };
            let point = [
                number(data, row, y).unwrap_or(Value::Null),
                cell(&display.lower),
                cell(&display.upper),
            ];
            drawn[at].set(place, point);
        }
    }
    let count = categories.len();
    let series: Vec<Value> = drawn
        .into_iter()
        .map(|drawn| drawn.into_json(count, display.lower.is_some()))
        .collect();
    Some(json!({
        "line": display.line,
        "time": data.columns[x].nature == Nature::Time,
        "unit": display.unit,
        "stacked": display.stacked,
        "categories": categories,
        "series": series,
    }))
}

/// One series while its points are collected.
struct Drawn {
    name: [String; 2],
    values: Vec<[Value; 3]>,
}

impl Drawn {
    fn set(&mut self, place: usize, point: [Value; 3]) {
        if self.values.len() <= place {
            self.values.resize(place + 1, [Value::Null, Value::Null, Value::Null]);
        }
        self.values[place] = point;
    }

    fn into_json(mut self, count: usize, interval: bool) -> Value {
        self.values.resize(count, [Value::Null, Value::Null, Value::Null]);
        let part = |at: usize| self.values.iter().map(|point| point[at].clone()).collect::<Vec<_>>();
        let mut series = json!({ "name": self.name, "values": part(0) });
        if interval {
            series["lower"] = Value::Array(part(1));
            series["upper"] = Value::Array(part(2));
        }
        series
    }
}

/// The areas, cell layers and points of a map; a part whose query is switched off is `None`.
pub(super) fn map(display: &Map, areas: &Dataset, layers: &[Option<&Dataset>], points: Option<&Dataset>) -> Value {
    let mut missing = 0_usize;
    let mut features: Vec<Value> = areas
        .rows
        .iter()
        .filter_map(|row| {
            let geometry = text(areas, row, "boundary").and_then(|wkt| geometry::from_wkt(&wkt));
            missing += usize::from(geometry.is_none());
            Some(json!({
                "type": "Feature",
                "properties": {
                    "name": text(areas, row, "code")?,
                    "label": [text(areas, row, "name_zh"), text(areas, row, "name_en")],
                },
                "geometry": geometry?,
            }))
        })
        .collect();
    let layers: Vec<Value> = display
        .layers
        .iter()
        .zip(layers)
        .filter_map(|(layer, data)| data.map(|data| cells(layer, data, &mut missing)))
        .collect();
    let points: Vec<Value> = points.map(places).unwrap_or_default();
    if features.is_empty() {
        features.extend(frame(&layers));
    }
    json!({
        "areas": { "type": "FeatureCollection", "features": features },
        "layers": layers,
        "points": points,
        "missing": missing,
    })
}

/// A nameless area around all cells, for a site whose areas have no boundaries.
fn frame(layers: &[Value]) -> Option<Value> {
    let centres: Vec<(f64, f64)> = layers
        .iter()
        .flat_map(|layer| layer["cells"].as_array().into_iter().flatten())
        .filter_map(|cell| Some((cell["centre"][0].as_f64()?, cell["centre"][1].as_f64()?)))
        .collect();
    let first = *centres.first()?;
    let (low, high) = centres.iter().fold((first, first), |(low, high), &(lon, lat)| {
        ((low.0.min(lon), low.1.min(lat)), (high.0.max(lon), high.1.max(lat)))
    });
    // a single cell still needs a frame with an inside
    let margin = 0.04 * (high.0 - low.0).max(high.1 - low.1).max(0.1);
    let (west, south, east, north) = (low.0 - margin, low.1 - margin, high.0 + margin, high.1 + margin);
    let corners = [
        (west, south),
        (east, south),
        (east, north),
        (west, north),
        (west, south),
    ];
    let ring: Vec<Value> = corners
        .into_iter()
        .map(|(lon, lat)| geometry::position(lon, lat))
        .collect();
    Some(json!({
        "type": "Feature",
        "properties": { "name": "frame", "label": ["", ""] },
        "geometry": { "type": "Polygon", "coordinates": [ring] },
    }))
}

fn cells(layer: &Layer, data: &Dataset, missing: &mut usize) -> Value {
    let mut values = Vec::new();
    let mut drawn = Vec::new();
    for row in &data.rows {
        let index = data.position(&layer.cell).and_then(|at| row[at].as_i64());
        let Some((ring, centre)) = index.and_then(geometry::from_cell) else {
            *missing += 1;
            continue;
        };
        let value = number(data, row, &layer.value).unwrap_or(Value::Null);
        values.extend(value.as_f64());
        let label = [text(data, row, &layer.label[0]), text(data, row, &layer.label[1])];
        drawn.push(json!({ "ring": ring, "centre": centre, "value": value, "label": label }));
    }
    json!({ "title": layer.title, "value": label(&layer.value), "steps": steps(values), "cells": drawn })
}

fn places(data: &Dataset) -> Vec<Value> {
    let place = |row: &Vec<Value>| {
        let (lon, lat) = (number(data, row, "lon")?.as_f64()?, number(data, row, "lat")?.as_f64()?);
        Some(json!({ "at": geometry::position(lon, lat), "label": text(data, row, "label")? }))
    };
    data.rows.iter().filter_map(place).collect()
}

/// Lower bounds of the colour classes: the smallest value, then quantiles; ties make fewer classes.
fn steps(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let mut steps: Vec<f64> = (0..CLASSES)
        .filter_map(|class| values.get(values.len() * class / CLASSES).copied())
        .collect();
    steps.dedup();
    steps
}

fn bilingual(data: &Dataset, row: &[Value], at: usize) -> [String; 2] {
    let first = words(&row[at], data.columns[at].nature);
    let second = data
        .english_of(at)
        .map_or_else(|| first.clone(), |other| words(&row[other], data.columns[other].nature));
    [first, second]
}

fn text(data: &Dataset, row: &[Value], column: &str) -> Option<String> {
    let at = data.position(column)?;
    (!row[at].is_null()).then(|| words(&row[at], data.columns[at].nature))
}

fn number(data: &Dataset, row: &[Value], column: &str) -> Option<Value> {
    data.position(column).map(|at| row[at].clone()).filter(Value::is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_boundaries_get_a_frame_and_nothing_gets_none() {
        let layer = json!({ "cells": [{ "centre": [117.0, 34.0] }, { "centre": [118.0, 35.0] }] });
        let frame = frame(&[layer]).unwrap();
        assert_eq!(frame["geometry"]["coordinates"][0][2], json!([118.04, 35.04]));
        assert!(super::frame(&[json!({ "cells": [] })]).is_none());
    }

    #[test]
    fn classes_are_quantiles_and_ties_make_fewer() {
        assert_eq!(steps((1..=8).map(f64::from).collect()), [1.0, 3.0, 5.0, 7.0]);
        assert_eq!(steps(vec![5.0; 9]), [5.0]);
        assert!(steps(Vec::new()).is_empty());
    }
}
