//! Records of a file with one JSON object a line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ingest::scan::Span;

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonBroken {
    /// It is no JSON object; what the parser said, without the text.
    Syntax(String),
    /// The value of this field is an object or a list: what lies inside passed no contract.
    Nested(usize),
}

/// Reads the values of known names from an object. `names` maps a name to its field, `unknown` hears
/// of every other name. Values are written to `side` as the text of a delimited file would have them.
pub(super) fn object(
    line: &[u8],
    names: &HashMap<&str, usize>,
    fields: &mut [Span],
    side: &mut Vec<u8>,
    unknown: &mut dyn FnMut(&str),
) -> Result<(), JsonBroken> {
    fields.fill(Span::default());
    let mut reader = serde_json::Deserializer::from_slice(line);
    let mut nested = None;
    let object = Object {
        names,
        fields,
        side,
        unknown,
        nested: &mut nested,
    };
    let found = reader.deserialize_map(object).and_then(|()| reader.end());
    match (found, nested) {
        (Err(cause), _) => Err(JsonBroken::Syntax(format!("column {}", cause.column()))),
        (Ok(()), Some(field)) => Err(JsonBroken::Nested(field)),
        (Ok(()), None) => Ok(()),
    }
}

struct Object<'a> {
    names: &'a HashMap<&'a str, usize>,
    fields: &'a mut [Span],
    side: &'a mut Vec<u8>,
    unknown: &'a mut dyn FnMut(&str),
    nested: &'a mut Option<usize>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let Some(field) = self.names.get(name.as_ref()).copied() else {
                (self.unknown)(&name);
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            // the raw text keeps every digit of a number
            let raw = map.next_value::<&RawValue>()?.get();
            let start = self.side.len();
            match raw.as_bytes().first() {
                Some(b'n') | None => {}
                Some(b'{' | b'[') => *self.nested = Some(field),
                Some(b'"') => {
                    let inner = &raw[1..raw.len() - 1];
                    if inner.contains('\\') {
                        let text: String = serde_json::from_str(raw).map_err(serde::de::Error::custom)?;
                        self.side.extend_from_slice(text.as_bytes());
                    } else {
                        self.side.extend_from_slice(inner.as_bytes());
                    }
                }
                Some(_) => self.side.extend_from_slice(raw.as_bytes()),
            }
            if let Some(span) = self.fields.get_mut(field) {
                *span = Span::side(start, self.side.len());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Result<(), JsonBroken>, Vec<String>, Vec<String>) {
        let names = HashMap::from([("a", 0), ("b", 1)]);
        let (mut fields, mut side, mut unknown) = ([Span::default(); 2], Vec::new(), Vec::new());
        let found = object(line.as_bytes(), &names, &mut fields, &mut side, &mut |name| {
            unknown.push(name.to_owned());
        });
        let texts = fields.map(|span| String::from_utf8_lossy(span.of(&[], &side)).into_owned());
        (found, texts.to_vec(), unknown)
    }

    #[test]
    fn values_are_texts_and_numbers_keep_their_digits() {
        let (found, texts, unknown) = read(r#"{"b": 12345678901234567890.10, "c": [1], "a": "x\n\u4e2d\"y"}"#);
        assert_eq!(found, Ok(()));
        assert_eq!(texts, ["x\n中\"y", "12345678901234567890.10"]);
        assert_eq!(unknown, ["c"]);
        assert_eq!(read(r#"{"a": null, "b": true}"#).1, ["", "true"]);
    }

    #[test]
    fn what_is_no_object_or_hides_something_is_refused() {
        assert!(matches!(read("[1]").0, Err(JsonBroken::Syntax(_))));
        assert!(matches!(read(r#"{"a": 1} x"#).0, Err(JsonBroken::Syntax(_))));
        assert!(matches!(read(r#"{"a": 1"#).0, Err(JsonBroken::Syntax(_))));
        assert_eq!(read(r#"{"a": {"id": 1}}"#).0, Err(JsonBroken::Nested(0)));
    }
}
