//! Attributes of shapefiles: dBASE tables.
//!
//! They are read without the `dbase` crate beneath `shapefile`, which takes no encoding from outside,
//! refuses a table whose date is zero, and makes binary numbers of codes with eighteen digits.

use std::io::{Read, Result};

use encoding_rs::Encoding;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{bytes, invalid};

/// Bytes that begin a `.dbf`, and those of each of its fields.
const DESCRIPTOR_BYTES: usize = 32;
/// Bytes of the name of a field.
const NAME_BYTES: usize = 11;
/// Ends the list of fields.
const LIST_END: u8 = 0x0d;
/// Begins a deleted record.
const DELETED: u8 = b'*';
/// Bytes of a character in the encodings of attributes.
const MOST_CHARACTER_BYTES: usize = 4;

/// A field of a `.dbf`.
pub(super) struct Field {
    pub name: String,
    kind: u8,
    /// Where its bytes stand in a record.
    from: usize,
    to: usize,
}

/// A value of a `.dbf`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Attribute {
    Null,
    Truth(bool),
    Text(String),
    Number(Number),
    /// Of a kind that is not read.
    Unread([u8; 0]),
}

/// A JSON number as it is written.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Number(Box<RawValue>);

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.0.get() == other.0.get()
    }
}

/// The records of a `.dbf`.
pub(super) struct Table<R> {
    reader: R,
    pub fields: Vec<Field>,
    record: Vec<u8>,
    left: u32,
    encoding: &'static Encoding,
}

impl<R: Read> Table<R> {
    /// Reads the list of fields.
    ///
    /// # Errors
    /// `InvalidData` for what is no table, `UnexpectedEof` for a part of one.
    pub fn open(mut reader: R, encoding: &'static Encoding) -> Result<Table<R>> {
        let mut header = [0; DESCRIPTOR_BYTES];
        reader.read_exact(&mut header)?;
        let left = bytes(&header, 4).map_or(0, u32::from_le_bytes);
        let length = |at| bytes(&header, at).map_or(0, |bytes| usize::from(u16::from_le_bytes(bytes)));
        let (header_bytes, record_bytes) = (length(8), length(10));
        // both are at most 64 KiB
        let mut list = vec![0; header_bytes.saturating_sub(DESCRIPTOR_BYTES)];
        reader.read_exact(&mut list)?;
        let mut fields = Vec::new();
        // the first byte tells whether the record is deleted
        let mut from = 1;
        for descriptor in list.chunks_exact(DESCRIPTOR_BYTES) {
            if descriptor[0] == LIST_END {
                break;
            }
            let to = from + usize::from(descriptor[16]);
            fields.push(Field {
                name: field_name(&descriptor[..NAME_BYTES], encoding)?,
                kind: descriptor[NAME_BYTES],
                from,
                to,
            });
            from = to;
        }
        if list.is_empty() || from > record_bytes {
            return Err(invalid("no .dbf file"));
        }
        Ok(Table {
            reader,
            fields,
            record: vec![0; record_bytes],
            left,
            encoding,
        })
    }

    /// Reads the next record; none behind the last one that the table states to have.
    ///
    /// # Errors
    /// `UnexpectedEof` where the table ends early.
    pub fn advance(&mut self) -> Result<bool> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(false);
        };
        self.left = left;
        self.reader.read_exact(&mut self.record)?;
        Ok(true)
    }

    /// Whether the record is deleted.
    pub fn deleted(&self) -> bool {
        self.record.first() == Some(&DELETED)
    }

    /// The values of the record; the name of a field whose text is none in the encoding.
    pub fn attributes(&self) -> std::result::Result<Vec<(&str, Attribute)>, &str> {
        let read = |field: &Field| attribute(field, &self.record[field.from..field.to], self.encoding);
        self.fields
            .iter()
            .map(|field| {
                read(field)
                    .map(|value| (field.name.as_str(), value))
                    .ok_or(field.name.as_str())
            })
            .collect()
    }
}

/// The name of a field, which ends at a zero byte. Programs cut names at their eleventh byte, and a
/// character that was cut in two is left out.
fn field_name(bytes: &[u8], encoding: &'static Encoding) -> Result<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let name = (0..MOST_CHARACTER_BYTES)
        .filter_map(|cut| bytes.get(..end.checked_sub(cut)?))
        .find_map(|name| encoding.decode_without_bom_handling_and_without_replacement(name));
    match name.as_deref().map(str::trim) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(invalid(format!("a field's name in the .dbf is no {}", encoding.name()))),
    }
}

/// The value of a field; `None` where its text is none in the encoding.
fn attribute(field: &Field, bytes: &[u8], encoding: &'static Encoding) -> Option<Attribute> {
    if !matches!(field.kind, b'C' | b'N' | b'F' | b'D' | b'L') {
        return Some(Attribute::Unread([]));
    }
    // zeros fill the fields of some programs; neither zero nor blank is a part of a character
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, 0 | b' '))
        .map_or(0, |last| last + 1);
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[..end])?;
    let text = text.trim();
    let digits = || text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    Some(match (field.kind, text) {
        (_, "") | (b'L', "?") | (b'D', "00000000") => Attribute::Null,
        (b'L', "T" | "t" | "Y" | "y") => Attribute::Truth(true),
        (b'L', "F" | "f" | "N" | "n") => Attribute::Truth(false),
        (b'D', date) if digits() => Attribute::Text(format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..])),
        // a number that did not fit its field
        (b'N' | b'F', stars) if stars.bytes().all(|byte| byte == b'*') => Attribute::Null,
        (b'N' | b'F', number) => self::number(number),
        (_, text) => Attribute::Text(text.to_owned()),
    })
}

/// A number without a needless fraction; a text where JSON has no such number, as it has no `007`.
fn number(text: &str) -> Attribute {
    let numeric = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let plain = match text.split_once('.') {
        // 1.23000000000e+003, as ArcGIS writes it
        _ if text.contains(['e', 'E']) => text
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .map(|value| value.to_string()),
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" => Some(whole.to_owned()),
            fraction => Some(format!("{whole}.{fraction}")),
        },
        None => Some(text.to_owned()),
    };
    let raw = plain
        .filter(|_| numeric)
        .and_then(|plain| RawValue::from_string(plain).ok());
    match raw {
        Some(raw) => Attribute::Number(Number(raw)),
        None => Attribute::Text(text.to_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use encoding_rs::UTF_8;

    use super::*;

    /// A table of fields (name, kind, bytes) and whole records.
    pub fn dbf(fields: &[(&[u8], u8, u8)], records: &[&[u8]]) -> Vec<u8> {
        let width: usize = 1 + fields.iter().map(|field| usize::from(field.2)).sum::<usize>();
        let mut file = vec![0; 32];
        file[0] = 3;
        file[4..8].copy_from_slice(&u32::try_from(records.len()).expect("few").to_le_bytes());
        let header = 33 + 32 * fields.len();
        file[8..10].copy_from_slice(&u16::try_from(header).expect("few").to_le_bytes());
        file[10..12].copy_from_slice(&u16::try_from(width).expect("few").to_le_bytes());
        for (name, kind, length) in fields {
            let mut descriptor = [0; 32];
            descriptor[..name.len()].copy_from_slice(name);
            (descriptor[11], descriptor[16]) = (*kind, *length);
            file.extend(descriptor);
        }
        file.push(LIST_END);
        for record in records {
            assert_eq!(record.len(), width, "a record of the test");
            file.extend_from_slice(record);
        }
        file
    }

    #[test]
    fn numbers_are_tidied_and_other_texts_left_alone() {
        let kinds = |text: &str| match number(text) {
            Attribute::Number(Number(raw)) => raw.get().to_owned(),
            Attribute::Text(text) => format!("text {text}"),
            _ => String::new(),
        };
        for (text, expected) in [
            ("12.000", "12"),
            ("-0.50", "-0.5"),
            ("1e3", "1000"),
            ("007", "text 007"),
            (".5", "text .5"),
            ("true", "text true"),
            ("1-2", "text 1-2"),
        ] {
            assert_eq!(kinds(text), expected);
        }
        let field = Field {
            name: String::new(),
            kind: b'M',
            from: 0,
            to: 1,
        };
        assert_eq!(attribute(&field, b"1", UTF_8), Some(Attribute::Unread([])));
        let cut = [b"\xe5\x90\x8d\xe7\xa7\xb0\xe5\x90\x8d\xe7\xa7".as_slice(), &[0]].concat();
        assert_eq!(field_name(&cut[..11], UTF_8).expect("a name"), "名称名");
    }
}
