//! Boundaries of tables as GeoJSON: WKT polygons and H3 cells.
//!
//! Reads what tables hold, repairs nothing: a text that is no polygon gives none.

use serde_json::{Value, json};

use crate::place::cell;

/// The GeoJSON geometry of a WKT `POLYGON` or `MULTIPOLYGON`; `None` for anything else.
pub(super) fn from_wkt(wkt: &str) -> Option<Value> {
    let text = wkt.trim();
    let open = text.find('(')?;
    let body = &text[open..];
    match text[..open].trim().to_ascii_uppercase().as_str() {
        "POLYGON" => Some(json!({ "type": "Polygon", "coordinates": polygon(body)? })),
        "MULTIPOLYGON" => {
            let parts: Option<Vec<Value>> = groups(body)?.into_iter().map(polygon).collect();
            Some(json!({ "type": "MultiPolygon", "coordinates": parts? }))
        }
        _ => None,
    }
}

/// The corners of an H3 cell and its centre; `None` for an integer that is no cell.
pub(super) fn from_cell(index: i64) -> Option<(Vec<Value>, Value)> {
    let corners = cell::boundary(index)?
        .into_iter()
        .map(|(lon, lat)| position(lon, lat))
        .collect();
    let (lon, lat) = cell::centre(index)?;
    Some((corners, position(lon, lat)))
}

/// A position with six decimals, a tenth of a metre.
pub(super) fn position(lon: f64, lat: f64) -> Value {
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    json!([round(lon), round(lat)])
}

fn polygon(text: &str) -> Option<Value> {
    groups(text)?.into_iter().map(ring).collect()
}

fn ring(text: &str) -> Option<Value> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let points: Vec<Value> = inner.split(',').map(point).collect::<Option<_>>()?;
    (points.len() >= 4).then_some(Value::Array(points))
}

fn point(text: &str) -> Option<Value> {
    let mut numbers = text
        .split_whitespace()
        .map(|number| number.parse::<f64>().ok().filter(|n| n.is_finite()));
    Some(position(numbers.next()??, numbers.next()??))
}

/// The bracketed parts directly inside one pair of brackets.
fn groups(text: &str) -> Option<Vec<&str>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '(' => {
                start = if depth == 0 { at } else { start };
                depth += 1;
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    parts.push(&inner[start..=at]);
                }
            }
            _ => {}
        }
    }
    (depth == 0 && !parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polygon_with_a_hole_becomes_geojson() {
        let geometry = from_wkt("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 1))");
        let expected = json!({ "type": "Polygon", "coordinates": [
            [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0], [0.0, 0.0]],
            [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 1.0]],
        ] });
        assert_eq!(geometry, Some(expected));
    }

    #[test]
    fn several_polygons_stay_several() {
        let geometry = from_wkt("MultiPolygon(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))").unwrap();
        assert_eq!(geometry["coordinates"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn text_that_is_no_polygon_gives_none() {
        for wrong in [
            "",
            "POINT (1 2)",
            "POLYGON",
            "POLYGON (",
            "POLYGON ((0 0, 1 1",
            "POLYGON ((0 0, x 1, 1 1, 0 0))",
            "POLYGON ((0 0, 1 1, 0 0))",
            "POLYGON ()",
            "POLYGON ((1 nan, 1 2, 2 2, 1 1))",
            ")(",
        ] {
            assert_eq!(from_wkt(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cell_has_corners_and_other_integers_do_not() {
        let home = cell::cell(117.18, 34.26, 8).unwrap();
        assert_eq!(from_cell(home).map(|(corners, _)| corners.len()), Some(6));
        assert_eq!(from_cell(7), None);
    }
}
