//! Records of a file with one JSON object a line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ingest::header::{UNKNOWN_NAMES, folded};
use crate::ingest::span::Span;

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonBroken {
    /// It is no JSON object; what the parser said, without the text.
    Syntax(String),
    /// The value of this field is an object or a list: what lies inside passed no contract.
    Nested(usize),
    /// This field comes twice, and nothing says which of the values is meant.
    Twice(usize),
}

/// The fields that names of a source stand for.
pub(super) struct Names {
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
    /// Verdicts on names that are not written as the contract writes them.
    others: HashMap<String, Option<usize>>,
    /// Fields whose name some object had.
    pub met: Vec<bool>,
    /// Fields whose name this object had.
    here: Vec<bool>,
}

impl Names {
    /// `fields` maps each name to its field.
    pub(super) fn new(fields: &HashMap<String, usize>, columns: usize) -> Names {
        Names {
            exact: fields.clone(),
            folded: fields.iter().map(|(name, at)| (folded(name), *at)).collect(),
            others: HashMap::new(),
            met: vec![false; columns],
            here: vec![false; columns],
        }
    }

    /// The field of a name, told by itself, else without regard to case, width and blanks.
    fn field(&mut self, name: &str) -> Option<usize> {
        if let Some(field) = self.exact.get(name) {
            return Some(*field);
        }
        if let Some(known) = self.others.get(name) {
            return *known;
        }
        let found = self.folded.get(&folded(name)).copied();
        // a source can have any number of names
        if self.others.len() < UNKNOWN_NAMES {
            self.others.insert(name.to_owned(), found);
        }
        found
    }
}

/// Reads the values of known names from an object; `unknown` hears of every other name. Values are
/// written to `side` as the text of a delimited file would have them.
pub(super) fn object(
    line: &[u8],
    names: &mut Names,
    fields: &mut [Span],
    side: &mut Vec<u8>,
    unknown: &mut dyn FnMut(&str),
) -> Result<(), JsonBroken> {
    fields.fill(Span::default());
    names.here.fill(false);
    let mut reader = serde_json::Deserializer::from_slice(line);
    let (mut nested, mut twice) = (None, None);
    let object = Object {
        names,
        fields,
        side,
        unknown,
        nested: &mut nested,
        twice: &mut twice,
    };
    let found = reader.deserialize_map(object).and_then(|()| reader.end());
    match (found, twice, nested) {
        (Err(cause), ..) => Err(JsonBroken::Syntax(format!("column {}", cause.column()))),
        (Ok(()), Some(field), _) => Err(JsonBroken::Twice(field)),
        (Ok(()), None, Some(field)) => Err(JsonBroken::Nested(field)),
        (Ok(()), None, None) => Ok(()),
    }
}

struct Object<'a> {
    names: &'a mut Names,
    fields: &'a mut [Span],
    side: &'a mut Vec<u8>,
    unknown: &'a mut dyn FnMut(&str),
    nested: &'a mut Option<usize>,
    twice: &'a mut Option<usize>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let Some(field) = self.names.field(&name) else {
                (self.unknown)(&name);
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.names.here[field], true) {
                *self.twice = Some(field);
            }
            self.names.met[field] = true;
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
        let mut names = Names::new(&HashMap::from([("a".to_owned(), 0), ("b".to_owned(), 1)]), 2);
        let (mut fields, mut side, mut unknown) = ([Span::default(); 2], Vec::new(), Vec::new());
        let found = object(line.as_bytes(), &mut names, &mut fields, &mut side, &mut |name| {
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
        assert_eq!(read(r#"{"a": 1, "b": 2, "a": 3}"#).0, Err(JsonBroken::Twice(0)));
    }

    #[test]
    fn names_are_told_without_case_width_and_blanks() {
        let (found, texts, unknown) = read(r#"{"Ａ": "x", " B ": 1, "ab": 2}"#);
        assert_eq!((found, texts), (Ok(()), vec!["x".to_owned(), "1".to_owned()]));
        assert_eq!(unknown, ["ab"]);
    }
}
