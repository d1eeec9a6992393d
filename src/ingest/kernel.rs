//! Columns of a group: bytes of fields to typed cells, one column at a time.
//!
//! Each kernel has a short way for what nearly every value looks like and hands everything else to
//! [`value::value`], which alone decides what is wrong with it. A value that breaks the contract marks
//! its row and is named; the cell stays empty so that all columns keep their length.

use std::collections::HashMap;

use encoding_rs::Encoding;

use crate::config::settings::Pack;
use crate::contract::number::NumberStyle;
use crate::contract::{Column, ColumnType, Contract, Origin, Protect, Reason, Value, value};
use crate::ingest::rows::Refused;
use crate::ingest::scan::Span;
use crate::protect::{MacKey, SiteKey, scan};
use crate::time::LocalDays;
use crate::time::parse::TimeFormat;

/// Fewer digits than this are in no identifier of a person.
const IDENTIFIER_DIGITS: usize = 9;
/// Distinct codes whose verdict is remembered, for each column.
const CODES_REMEMBERED: usize = 4096;

/// The values of one column in the order of the rows.
#[derive(Debug)]
pub(super) enum Values {
    /// Integers, tokens, instants, day numbers.
    Int(Vec<i64>),
    /// Floats and degrees.
    Float(Vec<f64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts: bytes and where each ends.
    Text(Vec<u8>, Vec<u32>),
    /// Longitude and latitude.
    Point(Vec<(f64, f64)>),
    /// Never written.
    Nothing,
}

/// Values and which of them are there.
#[derive(Debug)]
pub(super) struct Cells {
    pub values: Values,
    pub valid: Vec<bool>,
    /// For a column with a code list: what the list says of each row's code.
    pub traits: Vec<CodeTraits>,
}

/// What a code list says of a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CodeTraits {
    /// Whether calls of this code may be mapped.
    pub mappable: bool,
    /// Number of the origin in the group's list of origins; 0 is "unknown".
    pub origin: u16,
}

impl Cells {
    fn of(column: &Column, traits: bool) -> Cells {
        let values = match (column.protect, column.kind) {
            // positions are needed for the cell even where they are not written
            (_, ColumnType::Lon | ColumnType::Lat) => Values::Float(Vec::new()),
            (_, ColumnType::Point) => Values::Point(Vec::new()),
            (Protect::Key | Protect::Token, _) => Values::Int(Vec::new()),
            (_, ColumnType::Float) => Values::Float(Vec::new()),
            (_, ColumnType::Bool) => Values::Bool(Vec::new()),
            (_, ColumnType::Int | ColumnType::Timestamp | ColumnType::Date) => Values::Int(Vec::new()),
            (_, ColumnType::String) if column.protect == Protect::Drop && !traits => Values::Nothing,
            (_, ColumnType::String) => Values::Text(Vec::new(), Vec::new()),
        };
        Cells {
            values,
            valid: Vec::new(),
            traits: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.valid.clear();
        self.traits.clear();
        match &mut self.values {
            Values::Int(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::Bool(values) => values.clear(),
            Values::Text(bytes, ends) => {
                bytes.clear();
                ends.clear();
            }
            Values::Point(values) => values.clear(),
            Values::Nothing => {}
        }
    }

    fn push(&mut self, found: Value<'_>) {
        let valid = found != Value::Null;
        match (&mut self.values, found) {
            (Values::Int(values), Value::Int(number) | Value::Micros(number)) => values.push(number),
            (Values::Int(values), _) => values.push(0),
            (Values::Float(values), Value::Float(number)) => values.push(number),
            (Values::Float(values), _) => values.push(0.0),
            (Values::Bool(values), found) => values.push(found == Value::Bool(true)),
            (Values::Text(bytes, ends), found) => {
                if let Value::Text(text) = found {
                    bytes.extend_from_slice(text.as_bytes());
                }
                ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            }
            (Values::Point(values), Value::Point(lon, lat)) => values.push((lon, lat)),
            (Values::Point(values), _) => values.push((0.0, 0.0)),
            (Values::Nothing, _) => return,
        }
        self.valid.push(valid);
    }

    /// The integer of a row, where there is one.
    pub(super) fn int(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Int(values) if self.valid[row] => Some(values[row]),
            _ => None,
        }
    }

    /// The number of a row, where there is one.
    pub(super) fn float(&self, row: usize) -> Option<f64> {
        match &self.values {
            Values::Float(values) if self.valid[row] => Some(values[row]),
            _ => None,
        }
    }

    /// The text of a row, where there is one.
    pub(super) fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Text(bytes, ends) if self.valid[row] => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
                std::str::from_utf8(&bytes[start..ends[row] as usize]).ok()
            }
            _ => None,
        }
    }
}

/// A remembered verdict on a code.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    known: bool,
    traits: CodeTraits,
}

/// Turns blocks of fields into cells.
pub(super) struct Kernels<'a> {
    contract: &'a Contract,
    encoding: &'static Encoding,
    pack: Pack,
    days: LocalDays,
    keys: Vec<Option<MacKey>>,
    verdicts: Vec<HashMap<Box<[u8]>, Verdict>>,
    origins: &'a [String],
    scratch: String,
    /// Cells of the group, one for each column of the contract.
    pub cells: Vec<Cells>,
    /// Values that the contract blanks instead of refusing the row.
    pub blanked: u64,
}

/// The key of each column that becomes a token at once: documents per system, everything of people
/// per feed and field.
fn column_keys(contract: &Contract, key: &SiteKey) -> Vec<Option<MacKey>> {
    let purpose = |column: &Column| match column.protect {
        Protect::Key => Some(format!("key/{}", contract.system)),
        Protect::Token => Some(format!("token/{}/{}", contract.into, column.name)),
        Protect::Place | Protect::Public | Protect::Coarse | Protect::Drop => None,
    };
    contract
        .columns
        .iter()
        .map(|column| purpose(column).map(|purpose| key.purpose(&purpose)))
        .collect()
}

/// A refusal with the value masked: its shape for public columns, its length for all others.
pub(super) fn refused(column: &Column, reason: Reason, text: &str) -> Refused {
    let value = match column.protect {
        Protect::Public => scan::mask(text),
        _ => format!("*** ({} characters)", text.chars().count()),
    };
    Refused {
        reason,
        column: column.from.clone(),
        value,
    }
}

/// Whether code lists say something of a column's rows beyond "known".
fn has_traits(contract: &Contract, name: &str) -> bool {
    let origin = matches!(&contract.origin, Some(Origin::Attribute(column, _)) if column == name);
    origin || contract.mappable.as_ref().is_some_and(|(column, _)| column == name)
}

impl<'a> Kernels<'a> {
    pub(super) fn new(
        contract: &'a Contract,
        encoding: &'static Encoding,
        key: &SiteKey,
        days: LocalDays,
        pack: Pack,
        origins: &'a [String],
    ) -> Kernels<'a> {
        let columns = &contract.columns;
        Kernels {
            contract,
            encoding,
            pack,
            days,
            keys: column_keys(contract, key),
            verdicts: columns.iter().map(|_| HashMap::new()).collect(),
            origins,
            scratch: String::new(),
            cells: columns
                .iter()
                .map(|column| Cells::of(column, has_traits(contract, &column.name)))
                .collect(),
            blanked: 0,
        }
    }

    /// Forgets the cells of the last group and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.blanked = 0;
        self.cells.iter_mut().for_each(Cells::clear);
    }

    /// Reads one column of a block: `fields` are its rows in order. `bad` holds the first refusal of
    /// each row.
    pub(super) fn column(
        &mut self,
        at: usize,
        fields: &[Span],
        group: &[u8],
        side: &[u8],
        bad: &mut [Option<Refused>],
    ) {
        let contract = self.contract;
        let column = &contract.columns[at];
        // nothing is known of a text that is only dropped, and nothing has to be
        if matches!(self.cells[at].values, Values::Nothing) && !column.is_checked() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for (span, bad) in fields.iter().zip(bad) {
            let bytes = span.of(group, side).trim_ascii();
            if bytes.is_empty() {
                if column.required && bad.is_none() {
                    *bad = Some(refused(column, Reason::Missing, ""));
                }
                self.push(at, Value::Null);
                continue;
            }
            if bad.is_some() {
                self.push(at, Value::Null);
                continue;
            }
            if let Some(found) = self.short_way(column, at, bytes) {
                self.push(at, found);
                continue;
            }
            let Some(text) = decode(self.encoding, bytes, &mut scratch) else {
                *bad = Some(refused(column, Reason::Undecodable, ""));
                self.push(at, Value::Null);
                continue;
            };
            match self.judge(column, at, text) {
                Ok((found, traits)) => {
                    self.cells[at].push(found);
                    self.note(column, at, traits);
                }
                Err(_) if column.blank_bad => {
                    self.blanked += 1;
                    self.push(at, Value::Null);
                }
                Err(refusal) => {
                    *bad = Some(refusal);
                    self.push(at, Value::Null);
                }
            }
        }
        self.scratch = scratch;
    }

    fn push(&mut self, at: usize, found: Value<'_>) {
        self.cells[at].push(found);
        let contract = self.contract;
        self.note(&contract.columns[at], at, CodeTraits::default());
    }

    fn note(&mut self, column: &Column, at: usize, traits: CodeTraits) {
        if column.codes.is_some() {
            self.cells[at].traits.push(traits);
        }
    }

    /// The value of a plain number or time, without a detour over text; `None` sends the bytes the
    /// long way.
    fn short_way(&mut self, column: &Column, at: usize, bytes: &[u8]) -> Option<Value<'static>> {
        if column.range.is_some() && column.kind != ColumnType::Int {
            return None;
        }
        if self.keys[at].is_some() || !column.accept.is_empty() || column.codes.is_some() {
            return None;
        }
        match column.kind {
            ColumnType::Int if bytes.len() < IDENTIFIER_DIGITS => {
                let number = digits(bytes)?;
                let inside = column.range.is_none_or(|[low, high]| {
                    let number = f64::from(i32::try_from(number).unwrap_or(i32::MAX));
                    (low..=high).contains(&number)
                });
                inside.then_some(Value::Int(number))
            }
            ColumnType::Float if column.number == NumberStyle::default() => decimal(bytes).map(Value::Float),
            ColumnType::Lon => decimal(bytes).filter(|lon| (-180.0..=180.0).contains(lon)).map(Value::Float),
            ColumnType::Lat => decimal(bytes).filter(|lat| (-90.0..=90.0).contains(lat)).map(Value::Float),
            ColumnType::Timestamp => {
                let local = match column.times.only()? {
                    TimeFormat::Local(pattern) if pattern == "%Y-%m-%d %H:%M:%S" => dashed(bytes, b' ')?,
                    TimeFormat::Local(pattern) if pattern == "%Y%m%d%H%M%S" => compact(bytes)?,
                    TimeFormat::Rfc3339 => {
                        return dashed(bytes.strip_suffix(b"Z")?, b'T').map(Value::Micros);
                    }
                    _ => return None,
                };
                self.days.instant(local).map(Value::Micros)
            }
            _ => None,
        }
    }

    /// The full verdict on a value: its type, its code, whether it holds an identifier.
    fn judge<'t>(
        &mut self,
        column: &Column,
        at: usize,
        text: &'t str,
    ) -> Result<(Value<'t>, CodeTraits), Refused> {
        if self.contract.dialect.null.iter().any(|null| null == text) {
            return if column.required {
                Err(refused(column, Reason::Missing, text))
            } else {
                Ok((Value::Null, CodeTraits::default()))
            };
        }
        let traits = if column.codes.is_some() && column.kind == ColumnType::String {
            let verdict = self.verdict(column, at, text);
            if !verdict.known {
                return Err(refused(column, Reason::Code, text));
            }
            verdict.traits
        } else {
            CodeTraits::default()
        };
        let found = value::value(column, text, self.days.calendar()).map_err(|reason| refused(column, reason, text))?;
        if column.protect == Protect::Public
            && matches!(found, Value::Text(_) | Value::Int(_))
            && self.identifies(text)
        {
            return Err(refused(column, Reason::Identifier, text));
        }
        let found = match (&self.keys[at], found) {
            (None, found) => found,
            (Some(_), Value::Null) => Value::Null,
            (Some(key), Value::Text(text)) => Value::Int(key.token(text)),
            (Some(key), Value::Int(number)) => Value::Int(key.token(&number.to_string())),
            (Some(key), other) => Value::Int(key.token(&format!("{other:?}"))),
        };
        Ok((found, traits))
    }

    fn identifies(&self, text: &str) -> bool {
        let plain = text.bytes().filter(u8::is_ascii_digit).count();
        if plain >= IDENTIFIER_DIGITS || text.contains('@') {
            return scan::first(text.as_bytes(), self.pack).is_some();
        }
        // full-width digits are the same number in another dress
        !text.is_ascii()
            && text.chars().any(|c| ('！'..='～').contains(&c))
            && scan::first(scan::half_width(text).as_bytes(), self.pack).is_some()
    }

    fn verdict(&mut self, column: &Column, at: usize, code: &str) -> Verdict {
        if let Some(verdict) = self.verdicts[at].get(code.as_bytes()) {
            return *verdict;
        }
        let list = column.codes.as_ref();
        let attribute = |number: usize| list.and_then(|list| list.get(code, number));
        let contract = self.contract;
        let mappable = match &contract.mappable {
            // an unknown code is never mapped
            Some((name, number)) if *name == column.name => matches!(attribute(*number), Some("true" | "1")),
            _ => false,
        };
        let origin = match &contract.origin {
            Some(Origin::Attribute(name, number)) if *name == column.name => attribute(*number)
                .and_then(|origin| self.origins.iter().position(|known| known == origin))
                .and_then(|at| u16::try_from(at).ok())
                .unwrap_or(0),
            _ => 0,
        };
        let verdict = Verdict {
            known: column.keep_unknown || list.is_some_and(|list| list.contains(code)),
            traits: CodeTraits { mappable, origin },
        };
        if self.verdicts[at].len() < CODES_REMEMBERED {
            self.verdicts[at].insert(code.as_bytes().into(), verdict);
        }
        verdict
    }
}

/// The text of a field; `None` where its bytes are none in this encoding.
pub(super) fn decode<'t>(encoding: &'static Encoding, bytes: &'t [u8], scratch: &'t mut String) -> Option<&'t str> {
    if encoding == encoding_rs::UTF_8 || bytes.is_ascii() {
        return std::str::from_utf8(bytes).ok().map(str::trim);
    }
    scratch.clear();
    scratch.reserve(bytes.len() * 3);
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (outcome, read) = decoder.decode_to_string_without_replacement(bytes, scratch, true);
    let whole = matches!(outcome, encoding_rs::DecoderResult::InputEmpty) && read == bytes.len();
    whole.then(|| scratch.trim())
}

/// A few digits as a number.
fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0i64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + i64::from(digit))
    })
}

/// Powers of ten that a float holds exactly.
const TENS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// A plain decimal of at most fifteen digits: digits and power are exact, so one division rounds
/// correctly (Clinger 1990).
fn decimal(bytes: &[u8]) -> Option<f64> {
    let (negative, rest) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    if rest.is_empty() || rest.len() > 16 {
        return None;
    }
    let (mut mantissa, mut point, mut count) = (0u64, None, 0usize);
    for (at, byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
            count += 1;
        } else if *byte == b'.' && point.is_none() && at > 0 {
            point = Some(at);
        } else {
            return None;
        }
    }
    let behind = point.map_or(0, |at| rest.len() - at - 1);
    if count > 15 || (point.is_some() && behind == 0) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit")]
    let number = mantissa as f64 / TENS[behind];
    Some(if negative { -number } else { number })
}

/// `2025-03-04 05:06:07` with `mark` before the time, as microseconds of the wall clock.
fn dashed(bytes: &[u8], mark: u8) -> Option<i64> {
    let text: &[u8; 19] = bytes.try_into().ok()?;
    if text[4] != b'-' || text[7] != b'-' || text[10] != mark || text[13] != b':' || text[16] != b':' {
        return None;
    }
    wall([
        text[0], text[1], text[2], text[3], text[5], text[6], text[8], text[9], text[11], text[12], text[14], text[15],
        text[17], text[18],
    ])
}

/// `20250304050607`, as microseconds of the wall clock.
fn compact(bytes: &[u8]) -> Option<i64> {
    wall(bytes.try_into().ok()?)
}

/// Fourteen digits of a wall clock from 1900 on; `None` for what is no time.
fn wall(digits: [u8; 14]) -> Option<i64> {
    let digits = digits.map(|byte| byte.wrapping_sub(b'0'));
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let two = |at: usize| i64::from(digits[at]) * 10 + i64::from(digits[at + 1]);
    let (year, month, day) = (two(0) * 100 + two(2), two(4), two(6));
    let (hour, minute, second) = (two(8), two(10), two(12));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let sound = (1901..2199).contains(&year) && (1..=last).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !sound {
        return None;
    }
    // days from civil, counted from March so that the leap day is the last of its year
    let shifted = year - i64::from(month <= 2);
    let era = shifted / 400;
    let of_era = shifted - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_ways_agree_with_the_long_ones() {
        for text in ["0", "117.184811", "-98.5", "34.0", "0.000001", "999999999999999", "12345.6789012345"] {
            assert_eq!(decimal(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["", "-", ".", "5.", ".5", "1.2.3", "1e5", "+1", "1234567890123456", "1 ", "nan"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        let pattern = "%Y-%m-%d %H:%M:%S";
        for text in ["2024-02-29 23:59:59", "1999-12-31 00:00:00", "2000-03-01 12:30:45", "1901-01-01 00:00:00"] {
            let expected = chrono::NaiveDateTime::parse_from_str(text, pattern).expect("a time");
            assert_eq!(dashed(text.as_bytes(), b' '), Some(expected.and_utc().timestamp_micros()), "{text}");
        }
        for text in ["2025-02-30 10:00:00", "2025-01-01 24:00:00", "2025-13-01 00:00:00", "2025-01-0a 10:00:00", "x"] {
            assert_eq!(dashed(text.as_bytes(), b' '), None, "{text}");
        }
        assert_eq!(compact(b"20250304050607"), dashed(b"2025-03-04 05:06:07", b' '));
    }

    #[test]
    fn every_day_of_three_centuries_is_the_calendars() {
        let mut date = chrono::NaiveDate::from_ymd_opt(1901, 1, 1).expect("a date");
        while date < chrono::NaiveDate::from_ymd_opt(2199, 1, 1).expect("a date") {
            let text = date.format("%Y%m%d010203").to_string();
            let expected = date.and_hms_opt(1, 2, 3).expect("a time").and_utc().timestamp_micros();
            assert_eq!(compact(text.as_bytes()), Some(expected), "{date}");
            date = date.succ_opt().expect("a day");
        }
    }
}
