//! One object: whether it may come in, and the fields of it that are wanted.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};

use super::count::window;
use super::kind::Kind;

/// Digits of a camera's number (GB/T 28181 appendix D); shorter ones are in use.
const CAMERA_DIGITS: usize = 20;
/// The object that some systems put the fields of a clip into.
pub(super) const CLIP_INFO: &str = "VideoSliceInfo";
/// `PositionType` as it comes out: 1 checkpoint between provinces, 3 station or wharf, 4 square,
/// 5 sports ground, 6 shops, 8 around a school, 9 complex order, 10 main road, 11 around a hospital,
/// 12 around a bank, 13 around dangerous goods, 14 museum, 15 waters, 96 checkpoint between cities, 99 sights.
/// 2 (party and government), 7 (religious) and 97 (foreign) become `other`, and so do 98 (border) and the
/// codes of single cities, among which ethnic places would stand. Meanings are those that several public
/// implementations agree on; the standard's own table was not at hand.
const POSITIONS: [&str; 15] = [
    "1", "3", "4", "5", "6", "8", "9", "10", "11", "12", "13", "14", "15", "96", "99",
];

/// What an object holds anywhere inside.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The forbidden kind, where a value under its name is not empty.
    pub forbidden: Option<&'static str>,
    /// The window of its first picture.
    pub shot: Option<u64>,
}

/// Reads the whole object.
pub(super) fn look(object: &[u8], found: &mut Found) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let look = Look {
        within: None,
        shot: false,
        found,
    };
    look.deserialize(&mut reader).and_then(|()| reader.end())
}

/// One value of an object.
struct Look<'a> {
    /// The forbidden kind whose name stands above the value.
    within: Option<&'static str>,
    /// Whether it is the time of a picture.
    shot: bool,
    found: &'a mut Found,
}

impl Look<'_> {
    fn full(self) {
        self.found.forbidden = self.found.forbidden.or(self.within);
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        if value {
            self.full();
        }
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.full();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.full();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.full();
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.shot && self.found.shot.is_none() {
            self.found.shot = window(text);
        }
        if !text.is_empty() {
            self.full();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let look = Look {
                within: self.within,
                shot: self.shot,
                found: &mut *self.found,
            };
            if list.next_element_seed(look)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let forbidden = match Kind::of(&name) {
                Some((Kind::Forbidden(kind), _)) => Some(kind),
                _ => None,
            };
            map.next_value_seed(Look {
                within: self.within.or(forbidden),
                shot: name.eq_ignore_ascii_case("ShotTime"),
                found: &mut *self.found,
            })?;
        }
        Ok(())
    }
}

/// A name that is copied only where it holds an escape.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field by its name in our lists, and its value as written.
pub(super) type Field<'a> = (&'static str, &'a RawValue);

/// The wanted fields of an object, in its order.
pub(super) fn pick<'a>(object: &'a [u8], wanted: &[&'static str]) -> serde_json::Result<Vec<Field<'a>>> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    reader.deserialize_map(Pick(wanted))
}

struct Pick<'w>(&'w [&'static str]);

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Vec<Field<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(self.0.len());
        while let Some(Name(name)) = map.next_key()? {
            match self.0.iter().find(|wanted| wanted.eq_ignore_ascii_case(&name)) {
                Some(wanted) => fields.push((*wanted, map.next_value::<&RawValue>()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// One record: fields and values as written, so that numbers keep their digits.
pub(super) struct Row<'a>(Vec<(&'static str, Cow<'a, RawValue>)>);

impl serde::Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The record of an object: its wanted fields that are neither empty, object nor list.
pub(super) fn row<'a>(object: &'a [u8], wanted: &[&'static str]) -> serde_json::Result<Row<'a>> {
    let mut fields = pick(object, wanted)?;
    let info = fields
        .iter()
        .find(|(name, _)| *name == CLIP_INFO)
        .map(|(_, info)| *info);
    if let Some(info) = info.filter(|info| info.get().starts_with('{')) {
        fields = pick(info.get().as_bytes(), wanted)?;
    }
    let mut row = Vec::with_capacity(fields.len());
    for (name, raw) in fields {
        // what holds the fields is no field, and neither is a text in its place
        if name == CLIP_INFO || raw.get().starts_with(['{', '[']) || raw.get() == "null" {
            continue;
        }
        row.push(match name {
            "TollgateID" => ("ApeID", Cow::Borrowed(raw)),
            "PositionType" => (name, Cow::Owned(to_raw_value(&positions(&text(raw)))?)),
            "StoragePath" => (name, Cow::Owned(to_raw_value(&without_login(&text(raw)))?)),
            _ => (name, Cow::Borrowed(raw)),
        });
    }
    Ok(Row(row))
}

/// The text of a scalar.
fn text(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// The text of a picked field.
pub(super) fn value(fields: &[Field<'_>], name: &str) -> Option<String> {
    fields
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, raw)| text(raw))
}

/// Kinds of place, of which a camera can have several: `3/7` becomes `3/other`.
fn positions(codes: &str) -> String {
    let place = |code: &str| {
        let code = code.trim().trim_start_matches('0');
        POSITIONS.into_iter().find(|known| *known == code).unwrap_or("other")
    };
    let known: Vec<&str> = codes
        .split('/')
        .filter(|code| !code.trim().is_empty())
        .map(place)
        .collect();
    known.join("/")
}

/// A path or address without the user and password that some systems write into it.
fn without_login(path: &str) -> String {
    let Some((scheme, rest)) = path.split_once("://") else {
        return path.to_owned();
    };
    let (host, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{tail}")
}

/// The number of the camera or checkpoint. Digits only: nothing else of an object can come out this way.
pub(super) fn camera(fields: &[Field<'_>]) -> Option<String> {
    ["DeviceID", "TollgateID"].into_iter().find_map(|name| {
        let digits = |id: &String| (1..=CAMERA_DIGITS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
        value(fields, name).filter(digits)
    })
}
