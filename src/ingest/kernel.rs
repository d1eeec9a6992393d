//! Columns of a group: bytes of fields to typed cells, one column at a time.
//!
//! Each kernel has a short way for what nearly every value looks like and hands everything else to
//! [`value::value`], which alone decides what is wrong with it. A value that breaks the contract marks
//! its row and is named; the cell stays empty so that all columns keep their length.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use encoding_rs::Encoding;

use crate::config::settings::Pack;
use crate::contract::number::NumberStyle;
use crate::contract::{Column, ColumnType, Contract, Measure, Origin, Protect, Reason, Value, value};
use crate::ingest::cells::{Cells, CodeTraits, Refusals, Values};
use crate::ingest::plain::{compact, dashed, decimal, digits, rfc3339};
use crate::ingest::rows::Refused;
use crate::ingest::span::{Group, Span};
use crate::place::polygon;
use crate::protect::{MacKey, SiteKey, scan};
use crate::time::LocalDays;
use crate::time::parse::TimeFormat;

/// Fewer digits than this are in no identifier of a person.
const IDENTIFIER_DIGITS: usize = 9;
/// Distinct codes whose verdict is remembered, for each column.
const CODES_REMEMBERED: usize = 4096;

/// How nearly every value of a column is written, found once.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Nothing simple.
    Long,
    /// A few digits between two bounds.
    Digits(i64, i64),
    /// A plain decimal.
    Decimal,
    /// Decimal degrees.
    Angle,
    /// `2025-03-04 05:06:07` of the wall clock.
    Dashed,
    /// `20250304050607` of the wall clock.
    Compact,
    /// `2025-03-04T05:06:07` and an offset.
    Rfc3339,
    /// A document number that needs no normalising.
    Token,
    /// A code of the column's list.
    Code,
}

impl Way {
    #[expect(clippy::cast_possible_truncation, reason = "bounds of contracts are small numbers")]
    fn of(column: &Column, contract: &Contract) -> Way {
        let tokens = matches!(column.protect, Protect::Key | Protect::Token);
        let plain = column.accept.is_empty() && contract.dialect.null.is_empty() && column.after.is_none();
        match column.kind {
            _ if !plain => Way::Long,
            ColumnType::String if tokens && column.codes.is_none() => Way::Token,
            _ if tokens => Way::Long,
            ColumnType::String if column.codes.is_some() && column.protect == Protect::Public => Way::Code,
            _ if column.codes.is_some() => Way::Long,
            ColumnType::Int => match column.range {
                Some([low, high]) => Way::Digits(low.ceil() as i64, high.floor() as i64),
                None => Way::Digits(0, i64::MAX),
            },
            _ if column.range.is_some() => Way::Long,
            ColumnType::Float if column.number == NumberStyle::default() => Way::Decimal,
            ColumnType::Lon | ColumnType::Lat if !column.metres => Way::Angle,
            ColumnType::Timestamp => match column.times.only() {
                Some(TimeFormat::Local(pattern)) if pattern == "%Y-%m-%d %H:%M:%S" => Way::Dashed,
                Some(TimeFormat::Local(pattern)) if pattern == "%Y%m%d%H%M%S" => Way::Compact,
                Some(TimeFormat::Rfc3339) => Way::Rfc3339,
                _ => Way::Long,
            },
            _ => Way::Long,
        }
    }
}

/// A remembered verdict on a code.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    known: bool,
    listed: bool,
    traits: CodeTraits,
}

/// Codes are a few bytes: the plainest hash that spreads them.
#[derive(Debug, Default)]
struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
    fn write_usize(&mut self, _: usize) {
        // the length of a slice, which its bytes say already
    }
}

type Verdicts = HashMap<Box<[u8]>, Verdict, BuildHasherDefault<CodeHasher>>;

/// Turns blocks of fields into cells.
pub(super) struct Kernels<'a> {
    contract: &'a Contract,
    encoding: &'static Encoding,
    pack: Pack,
    days: LocalDays,
    keys: Vec<Option<MacKey>>,
    ways: Vec<Way>,
    verdicts: Vec<Verdicts>,
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
        Protect::Key => Some(contract.key_purpose()),
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
        _ => format!("*** ({})", text.chars().count()),
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

/// Whether something follows from a column's values beyond what is written of them.
fn is_read(contract: &Contract, name: &str) -> bool {
    let counted = contract.counts.as_ref().is_some_and(|counts| {
        let only = counts.county_only.as_ref().is_some_and(|(column, _)| column == name);
        let measured = counts.measures.iter().any(|(_, measure)| match measure {
            Measure::Rows => false,
            Measure::Distinct(column) | Measure::Age(column, _, _) => column == name,
        });
        only || measured || counts.month == name || name == "county"
    });
    counted
        || has_traits(contract, name)
        || contract.key.iter().any(|key| key == name)
        || contract.place_kind.as_deref() == Some(name)
        || matches!(&contract.origin, Some(Origin::Column(column)) if column == name)
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
            ways: columns.iter().map(|column| Way::of(column, contract)).collect(),
            verdicts: columns.iter().map(|_| Verdicts::default()).collect(),
            origins,
            scratch: String::new(),
            cells: columns
                .iter()
                .map(|column| Cells::of(column, is_read(contract, &column.name)))
                .collect(),
            blanked: 0,
        }
    }

    /// Forgets the cells of the last group and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.blanked = 0;
        self.cells.iter_mut().for_each(Cells::clear);
    }

    /// Reads one column of a block: `fields` are its rows in order.
    pub(super) fn column(
        &mut self,
        at: usize,
        fields: &[Span],
        group: Group<'_>,
        side: &[u8],
        refusals: &mut Refusals,
    ) {
        let contract = self.contract;
        let column = &contract.columns[at];
        // nothing is known of a text that is only dropped, and nothing has to be
        if matches!(self.cells[at].values, Values::Nothing) && !column.is_checked() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let way = self.ways[at];
        for (row, span) in fields.iter().enumerate() {
            let bytes = span.of(group.bytes, side).trim_ascii();
            if refusals.has(row) {
                self.push(at, Value::Null);
            } else if bytes.is_empty() {
                if column.required {
                    refusals.add(row, refused(column, Reason::Missing, ""));
                }
                self.push(at, Value::Null);
            } else if let Some((found, traits)) = self.short_way(way, at, bytes) {
                self.cells[at].push(found);
                if column.codes.is_some() {
                    self.cells[at].traits.push(traits);
                }
            } else {
                let text = match group.text(*span) {
                    Some(text) => Some(text.trim()),
                    None => decode(self.encoding, bytes, &mut scratch),
                };
                if let Some(refused) = self.long_way(column, at, text) {
                    refusals.add(row, refused);
                }
            }
        }
        self.scratch = scratch;
    }

    /// The way of every value that is not what nearly all are.
    fn long_way(&mut self, column: &Column, at: usize, text: Option<&str>) -> Option<Refused> {
        let Some(text) = text else {
            self.push(at, Value::Null);
            return Some(refused(column, Reason::Undecodable, ""));
        };
        let judged = match column.kind {
            ColumnType::Area => match self.area(column, text) {
                Ok(area) => {
                    self.cells[at].push(area.as_deref().map_or(Value::Null, Value::Text));
                    return None;
                }
                Err(refusal) => Err(refusal),
            },
            _ => self.judge(column, at, text),
        };
        match judged {
            Ok((found, traits)) => {
                self.cells[at].push(found);
                if column.codes.is_some() {
                    self.cells[at].traits.push(traits);
                }
                None
            }
            Err(refusal) => {
                self.push(at, Value::Null);
                if column.blank_bad {
                    self.blanked += 1;
                    None
                } else {
                    Some(refusal)
                }
            }
        }
    }

    /// A boundary in the reference system of the lake; `None` where the text means "empty".
    fn area(&self, column: &Column, text: &str) -> Result<Option<String>, Refused> {
        if self.contract.dialect.null.iter().any(|null| null == text) && !column.required {
            return Ok(None);
        }
        polygon::boundary(text, self.contract.crs)
            .map(Some)
            .map_err(|fault| Refused {
                reason: Reason::Area,
                column: column.from.clone(),
                value: fault.code().to_owned(),
            })
    }

    fn push(&mut self, at: usize, found: Value<'_>) {
        let contract = self.contract;
        self.cells[at].push(found);
        if contract.columns[at].codes.is_some() {
            self.cells[at].traits.push(CodeTraits::default());
        }
    }

    /// The value of a plain number, time, code or document number, without a detour over text; `None`
    /// sends the bytes the long way.
    fn short_way<'b>(&mut self, way: Way, at: usize, bytes: &'b [u8]) -> Option<(Value<'b>, CodeTraits)> {
        let found = match way {
            Way::Long => return None,
            Way::Digits(low, high) if bytes.len() < IDENTIFIER_DIGITS => {
                let number = digits(bytes)?;
                Value::Int(Some(number).filter(|number| (low..=high).contains(number))?)
            }
            Way::Digits(..) => return None,
            Way::Decimal => Value::Float(decimal(bytes)?),
            Way::Angle => Value::Float(decimal(bytes).filter(|angle| (-180.0..=180.0).contains(angle))?),
            Way::Dashed => Value::Micros(self.days.instant(dashed(bytes, b' ')?)?),
            Way::Compact => Value::Micros(self.days.instant(compact(bytes)?)?),
            Way::Rfc3339 => Value::Micros(rfc3339(bytes)?),
            Way::Token => Value::Int(self.keys[at].as_ref()?.token_of_plain(bytes)?),
            Way::Code => {
                let verdict = self.verdicts[at]
                    .get(bytes)
                    .filter(|verdict| verdict.known && verdict.listed)?;
                // a remembered code is UTF-8; in another encoding only its ASCII is the same bytes
                let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?;
                return Some((Value::Text(text), verdict.traits));
            }
        };
        Some((found, CodeTraits::default()))
    }

    /// The full verdict on a value: its type, its code, whether it holds an identifier.
    fn judge<'t>(&mut self, column: &Column, at: usize, text: &'t str) -> Result<(Value<'t>, CodeTraits), Refused> {
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(refused(column, Reason::Nul, ""));
        }
        if self.contract.dialect.null.iter().any(|null| null == text) {
            return if column.required {
                Err(refused(column, Reason::Missing, text))
            } else {
                Ok((Value::Null, CodeTraits::default()))
            };
        }
        let plain = column.kind == ColumnType::String && column.accept.is_empty();
        let traits = if column.codes.is_some() && column.kind == ColumnType::String {
            let verdict = self.verdict(column, at, text);
            if !verdict.known {
                return Err(refused(column, Reason::Code, text));
            }
            // a code of the list is no identifier, and nothing else is to be said of it
            if plain && verdict.listed && column.protect == Protect::Public {
                return Ok((Value::Text(text), verdict.traits));
            }
            verdict.traits
        } else {
            CodeTraits::default()
        };
        if let Some(anchor) = column.after {
            let of_day = column
                .times
                .time_of_day(text)
                .ok_or_else(|| refused(column, Reason::Type, text))?;
            let dated = self.dated(anchor, self.cells[at].valid.len(), of_day);
            return Ok((dated.map_or(Value::Null, Value::Micros), CodeTraits::default()));
        }
        let found = if plain && !text.is_empty() && (column.codes.is_none() || column.keep_unknown) {
            Value::Text(text)
        } else {
            value::value(column, text, self.days.calendar()).map_err(|reason| refused(column, reason, text))?
        };
        if column.protect == Protect::Public && matches!(found, Value::Text(_) | Value::Int(_)) && self.identifies(text)
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

    /// The instant of a time of day: on the date of the anchor, or, where the anchor is itself an
    /// instant, on the day that brings it nearest, so that a stage past midnight is the next day and a
    /// stage a little before its anchor stays before it.
    fn dated(&mut self, anchor: usize, row: usize, of_day: i64) -> Option<i64> {
        const DAY: i64 = 86_400_000_000;
        let found = self.cells[anchor].int(row)?;
        if self.contract.columns[anchor].kind == ColumnType::Date {
            return self.days.instant(found.checked_mul(DAY)?.checked_add(of_day)?);
        }
        let local = self.days.calendar().local(found)?.and_utc().timestamp_micros();
        let same_day = local.div_euclid(DAY) * DAY + of_day;
        let away = same_day - local;
        let shifted = if away > DAY / 2 {
            same_day - DAY
        } else if away <= -DAY / 2 {
            same_day + DAY
        } else {
            same_day
        };
        self.days.instant(shifted)
    }

    fn identifies(&self, text: &str) -> bool {
        if scan::possible(text.as_bytes(), self.pack) && scan::first(text.as_bytes(), self.pack).is_some() {
            return true;
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
            listed: list.is_some_and(|list| list.contains(code)),
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
