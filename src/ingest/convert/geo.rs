//! Areas and points of map files as JSON lines: GeoJSON here, shapefiles in `shape` and `dbf`, their
//! reference systems in `prj`.
//!
//! A record has the attributes of its feature and, where no attribute has such a name, `geometry` (WKT in
//! the numbers of the file), `centre_lon` and `centre_lat` (the point itself, or a point inside of the
//! area), which are in the unit of the file as well. Nothing is judged here: that is the contract's part.
//!
//! GeoJSON is read without the crate of that name. Its reader takes the first `[` of a file for the list
//! of features, also that of a `bbox`, fails on an empty list, and rounds the numbers of properties.

mod dbf;
mod prj;
mod shape;

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::{BufReader, Cursor, Error, ErrorKind, Read, Result};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Out;
use crate::contract::Reason;
use crate::place::polygon::interior;

pub(in crate::ingest) use self::prj::crs_of_prj;
pub(in crate::ingest) use self::shape::{Shape, names, shapefile};

/// WKT of the area or point.
const GEOMETRY: &str = "geometry";
/// Position of the point, or of a point inside of the area.
const CENTRE_LON: &str = "centre_lon";
/// See [`CENTRE_LON`].
const CENTRE_LAT: &str = "centre_lat";
/// Identifier of a GeoJSON feature, which stands beside its properties.
const FEATURE_ID: &str = "feature_id";
/// Bytes of one GeoJSON feature; half a million points have some twenty million.
const MOST_FEATURE_BYTES: usize = 32 << 20;
/// Bytes asked for at once.
const BUFFER_BYTES: usize = 256 << 10;
/// Begins each text of a GeoJSON sequence (RFC 8142).
const RECORD_SEPARATOR: u8 = 0x1e;
/// Some programs begin a text with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn invalid(words: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, words.into())
}

/// `N` bytes of a known place.
fn bytes<const N: usize>(content: &[u8], at: usize) -> Option<[u8; N]> {
    content.get(at..)?.first_chunk().copied()
}

/// Where a feature is.
#[derive(Debug, Default, PartialEq)]
struct Place {
    /// WKT, or the name of a kind of geometry that is neither point nor area. No contract takes such a
    /// name for a polygon, so the record is refused instead of losing its geometry unnoticed.
    geometry: Option<String>,
    centre: Option<(f64, f64)>,
}

impl Place {
    fn point(lon: &str, lat: &str) -> Place {
        let centre = lon.parse().ok().zip(lat.parse().ok());
        Place {
            geometry: Some(format!("POINT ({lon} {lat})")),
            centre,
        }
    }

    fn other(kind: &str) -> Place {
        Place {
            geometry: Some(kind.to_owned()),
            centre: None,
        }
    }

    /// An area whose corners `write` writes; only the name of its kind where something of it is empty.
    fn area<C>(kind: &str, parts: &[Vec<Vec<C>>], write: impl Fn(&mut String, &C)) -> Place {
        let hollow = parts.is_empty()
            || parts
                .iter()
                .any(|rings| rings.is_empty() || rings.iter().any(Vec::is_empty));
        if hollow {
            return Place::other(kind);
        }
        let several = parts.len() > 1 || kind == "MultiPolygon";
        let mut text = String::from(if several { "MULTIPOLYGON (" } else { "POLYGON " });
        for (at, rings) in parts.iter().enumerate() {
            text.push_str(if at > 0 { ", (" } else { "(" });
            for (at, ring) in rings.iter().enumerate() {
                text.push_str(if at > 0 { ", (" } else { "(" });
                for (at, corner) in ring.iter().enumerate() {
                    text.push_str(if at > 0 { ", " } else { "" });
                    write(&mut text, corner);
                }
                text.push(')');
            }
            text.push(')');
        }
        if several {
            text.push(')');
        }
        Place {
            centre: interior(&text),
            geometry: Some(text),
        }
    }
}

/// A record as it is written.
struct Row<'a, N, V> {
    attributes: &'a [(N, V)],
    place: &'a Place,
    id: Option<&'a RawValue>,
}

impl<N: AsRef<str>, V: Serialize> Serialize for Row<'_, N, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let ours = |name: &str| self.attributes.iter().all(|(known, _)| known.as_ref() != name);
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.attributes {
            map.serialize_entry(name.as_ref(), value)?;
        }
        if ours(GEOMETRY) {
            map.serialize_entry(GEOMETRY, &self.place.geometry)?;
        }
        if ours(CENTRE_LON) {
            map.serialize_entry(CENTRE_LON, &self.place.centre.map(|centre| centre.0))?;
        }
        if ours(CENTRE_LAT) {
            map.serialize_entry(CENTRE_LAT, &self.place.centre.map(|centre| centre.1))?;
        }
        if let Some(id) = self.id.filter(|_| ours(FEATURE_ID)) {
            map.serialize_entry(FEATURE_ID, id)?;
        }
        map.end()
    }
}

/// Writes the features of a GeoJSON text in their order: of a `FeatureCollection`, of a `Feature`, or of
/// several of them one after the other, as lines or as an RFC 8142 sequence.
///
/// Numbers of properties and coordinates keep every digit. An object that is no feature, or whose
/// properties or geometry are no objects, is refused.
///
/// # Errors
/// `InvalidData` and `UnexpectedEof` for what is no JSON, `FileTooLarge` for a feature beyond 32 MiB, and
/// what `reader` and `out` say.
pub(in crate::ingest) fn geojson(mut reader: Box<dyn Read + Send>, out: &mut Out) -> Result<()> {
    let mut first = Vec::new();
    reader
        .by_ref()
        .take(BYTE_ORDER_MARK.len() as u64)
        .read_to_end(&mut first)?;
    if first == BYTE_ORDER_MARK {
        first.clear();
    }
    let left = Rc::new(Cell::new(MOST_FEATURE_BYTES));
    let metered = Metered {
        inner: BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first).chain(reader)),
        left: Rc::clone(&left),
    };
    let mut json = serde_json::Deserializer::from_reader(metered);
    let mut sink = Sink {
        out,
        left,
        failed: None,
    };
    loop {
        match json.end() {
            Ok(()) => return Ok(()),
            Err(cause) if cause.is_io() => return Err(cause.into()),
            // something follows
            Err(_) => {}
        }
        let outcome = Object {
            sink: &mut sink,
            outermost: true,
        }
        .deserialize(&mut json);
        if let Some(cause) = sink.failed.take() {
            return Err(cause);
        }
        outcome?;
    }
}

/// Hands on a limited number of bytes between one feature and the next: the parser holds a feature in
/// memory, and a hostile file has only one.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = buffer.len().min(self.left.get());
        if most == 0 && !buffer.is_empty() {
            let words = format!("a feature of more than {MOST_FEATURE_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, words));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get().saturating_sub(count));
        // it stands between texts only: inside of a JSON string it would have to be escaped
        for byte in &mut buffer[..count] {
            if *byte == RECORD_SEPARATOR {
                *byte = b' ';
            }
        }
        Ok(count)
    }
}

/// Where features go, and why that ended.
struct Sink<'a> {
    out: &'a mut Out,
    left: Rc<Cell<usize>>,
    failed: Option<Error>,
}

/// The members of a feature that count, as they are written.
#[derive(Default)]
struct Feature {
    kind: Option<String>,
    geometry: Option<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
}

impl Sink<'_> {
    fn feature(&mut self, feature: &Feature) -> Result<()> {
        self.left.set(MOST_FEATURE_BYTES);
        if feature.kind.as_deref() != Some("Feature") {
            return self.out.refuse(Reason::Json, "feature");
        }
        let properties = feature.properties.as_deref().map(one_line);
        let attributes = match &properties {
            Some(text) => serde_json::from_str::<Properties>(text).ok(),
            None => Some(Properties(Vec::new())),
        };
        let Some(Properties(attributes)) = attributes else {
            return self.out.refuse(Reason::Json, "properties");
        };
        let place = match feature.geometry.as_deref() {
            Some(geometry) => place(geometry),
            None => Some(Place::default()),
        };
        let Some(place) = place else {
            return self.out.refuse(Reason::Area, GEOMETRY);
        };
        // an identifier is a text or a number; those stand on one line
        let scalar = |id: &&RawValue| !id.get().starts_with(['{', '[']);
        self.out.object(&Row {
            attributes: &attributes,
            place: &place,
            id: feature.id.as_deref().filter(scalar),
        })
    }
}

/// The text of a value without line ends, which are blanks between its parts: inside of a JSON string
/// they would have to be escaped, and the parser has checked that they are.
fn one_line(value: &RawValue) -> String {
    value.get().replace(['\n', '\r'], " ")
}

/// Reads one object: a feature, or the collection that has them.
struct Object<'a, 'o> {
    sink: &'a mut Sink<'o>,
    /// Only an outermost object is a collection.
    outermost: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GeoJSON feature")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let (mut feature, mut collection) = (Feature::default(), false);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "features" if self.outermost => {
                    collection = true;
                    map.next_value_seed(Features(&mut *self.sink))?;
                }
                "type" => feature.kind = map.next_value()?,
                "geometry" => feature.geometry = map.next_value()?,
                "properties" => feature.properties = map.next_value()?,
                "id" => feature.id = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !collection {
            let outcome = self.sink.feature(&feature);
            // the parser knows errors of its own only; this one is kept beside it
            if let Err(cause) = outcome {
                self.sink.failed = Some(cause);
                return Err(serde::de::Error::custom("nobody takes the features"));
            }
        }
        Ok(())
    }
}

/// Reads the list of features.
struct Features<'a, 'o>(&'a mut Sink<'o>);

impl<'de> DeserializeSeed<'de> for Features<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Features<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of GeoJSON features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        loop {
            let object = Object {
                sink: &mut *self.0,
                outermost: false,
            };
            if list.next_element_seed(object)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// Properties in their order, their values as they are written.
struct Properties<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Properties(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The first two numbers of a position, as they are written.
struct Corner<'a>(&'a str, &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Corner<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Corner<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Self::Value, A::Error> {
                let mut number = |at: usize| -> std::result::Result<&'de str, A::Error> {
                    let text = list.next_element::<&'de RawValue>()?.map_or("", RawValue::get);
                    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                        Ok(text)
                    } else {
                        Err(serde::de::Error::invalid_length(at, &"two numbers"))
                    }
                };
                let corner = Corner(number(0)?, number(1)?);
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(corner)
            }
        }

        deserializer.deserialize_seq(Numbers)
    }
}

/// A GeoJSON geometry.
#[derive(Deserialize)]
struct Geometry<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    coordinates: Option<&'a RawValue>,
}

/// Where a geometry is; `None` where it is no geometry.
fn place(geometry: &RawValue) -> Option<Place> {
    let geometry: Geometry = serde_json::from_str(geometry.get()).ok()?;
    let coordinates = geometry.coordinates.map_or("null", RawValue::get);
    let kind = geometry.kind.as_str();
    let write = |text: &mut String, corner: &Corner| {
        text.push_str(corner.0);
        text.push(' ');
        text.push_str(corner.1);
    };
    let found = match kind {
        "Point" => serde_json::from_str::<Corner>(coordinates)
            .map(|corner| Place::point(corner.0, corner.1))
            .ok(),
        "Polygon" => serde_json::from_str::<Vec<Vec<Corner>>>(coordinates)
            .map(|rings| Place::area(kind, &[rings], write))
            .ok(),
        "MultiPolygon" => serde_json::from_str::<Vec<Vec<Vec<Corner>>>>(coordinates)
            .map(|parts| Place::area(kind, &parts, write))
            .ok(),
        _ => None,
    };
    // also an area or point without the numbers of one
    Some(found.unwrap_or_else(|| Place::other(kind)))
}

/// Writes a corner so that its numbers can be read back to the last bit.
fn write_numbers(text: &mut String, corner: &(f64, f64)) {
    // a String takes everything
    let _ = write!(text, "{} {}", corner.0, corner.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::convert::lines_of;

    fn lines(text: &str) -> Result<Vec<String>> {
        let text = text.as_bytes().to_vec();
        lines_of(move |out| geojson(Box::new(Cursor::new(text)), out))
    }

    #[test]
    fn features_become_objects_with_their_place() {
        let found = lines(
            r#"{"type": "FeatureCollection", "bbox": [1, 2, 3, 4], "name": "a[b", "features": [
              {"type": "Feature", "id": 7, "geometry": {"type": "Point", "coordinates": [117.20, 34.3, 12]},
               "properties": {"name": "甲", "code": 320300000000000000001, "rate": 1.10, "ok": true, "no": null}},
              {"geometry": {"coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]], "type": "Polygon"},
               "type": "Feature", "properties": {"inner": {
                 "a": [1,
                 2]}}},
              {"type": "Feature", "geometry": null, "properties": null}
            ]}"#,
        );
        let found = found.expect("lines");
        assert_eq!(
            found[0],
            r#"{"name":"甲","code":320300000000000000001,"rate":1.10,"ok":true,"no":null,"geometry":"POINT (117.20 34.3)","centre_lon":117.2,"centre_lat":34.3,"feature_id":7}"#
        );
        // a list inside of an object goes on to the contract, in one line
        let row: serde_json::Value = serde_json::from_str(&found[1]).expect("an object");
        assert_eq!(row["inner"]["a"][1], 2);
        assert!(
            found[1]
                .ends_with(r#","geometry":"POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))","centre_lon":2.0,"centre_lat":2.0}"#)
        );
        assert_eq!(found[2], r#"{"geometry":null,"centre_lon":null,"centre_lat":null}"#);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn other_kinds_leave_their_name_and_known_names_their_value() {
        let found = lines(
            r#"{"features": [
              {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[0,0],[1,1]]}, "properties": {}},
              {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}, "properties": {}},
              {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [["x"]]}, "properties": {}},
              {"type": "Feature", "id": "f", "geometry": {"type": "Point", "coordinates": [1, 2]},
               "properties": {"geometry": "g", "feature_id": 1, "centre_lat": 0}}
            ], "type": "FeatureCollection"}"#,
        )
        .expect("lines");
        assert_eq!(
            found[0],
            r#"{"geometry":"LineString","centre_lon":null,"centre_lat":null}"#
        );
        assert_eq!(
            found[1],
            r#"{"geometry":"Polygon","centre_lon":null,"centre_lat":null}"#
        );
        assert_eq!(found[2], found[1]);
        assert_eq!(
            found[3],
            r#"{"geometry":"g","feature_id":1,"centre_lat":0,"centre_lon":1.0}"#
        );
    }

    #[test]
    fn several_parts_are_a_multipolygon() {
        let found = lines(
            r#"{"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates":
              [[[[0,0],[1,0],[1,1],[0,0]]], [[[10,0],[19,0],[19,9],[10,0]]]]}}"#,
        )
        .expect("lines");
        let row: serde_json::Value = serde_json::from_str(&found[0]).expect("an object");
        assert_eq!(
            row["geometry"],
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((10 0, 19 0, 19 9, 10 0)))"
        );
        assert!(row["centre_lon"].as_f64().is_some_and(|lon| lon > 10.0));
    }

    #[test]
    fn sequences_and_empty_lists_are_read() {
        let feature = r#"{"type": "Feature", "geometry": null, "properties": {"a": 1}}"#;
        let sequence = format!("\u{1e}{feature}\n\u{1e}{feature}\n");
        assert_eq!(lines(&sequence).expect("lines").len(), 2);
        assert_eq!(lines(&format!("\u{feff}{feature}")).expect("lines").len(), 1);
        let empty = r#"{"type": "FeatureCollection", "features": []}"#;
        assert!(lines(empty).expect("lines").is_empty());
        assert!(lines("").expect("lines").is_empty());
    }

    #[test]
    fn what_is_no_feature_is_refused_and_what_is_no_json_an_error() {
        let found = lines(
            r#"{"features": [{"type": "Point"}, {"type": "Feature", "properties": 1},
              {"type": "Feature", "geometry": 1, "properties": {}}]}"#,
        );
        assert_eq!(
            found.expect("lines"),
            ["!json feature", "!json properties", "!area geometry"]
        );
        for text in ["{\"features\": [1]}", "{\"features\": [{}", "[]", "{\"a\": tru}"] {
            assert!(lines(text).is_err(), "{text}");
        }
        let endless = format!("{{\"features\": [{{\"a\": \"{}", "x".repeat(MOST_FEATURE_BYTES));
        assert_eq!(lines(&endless).expect_err("an error").kind(), ErrorKind::FileTooLarge);
    }
}
