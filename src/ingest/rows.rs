//! From checked values to protected rows: tokens, blanked positions, cells, days, identities.

use std::collections::{HashMap, HashSet};

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};

use crate::config::settings::Pack;
use crate::contract::{Column, ColumnType, Contract, Known, Origin, Protect, Reason, Value, value};
use crate::error::{Kind, Result, fail};
use crate::ingest::source::Source;
use crate::place::cell;
use crate::protect::{MacKey, SiteKey, scan};
use crate::time::{Calendar, calendar};

/// Kinds of places that get a token; homes, workplaces and unknown kinds get none.
const PUBLIC_PLACES: [&str; 6] = ["shop", "street", "school", "hospital", "venue", "transport"];
/// How far ahead of the ingest an event may lie: one day, in microseconds.
const FUTURE_MICROS: i64 = 86_400_000_000;
/// What a contract says where the rows have no county of their own.
const NO_COUNTY: &str = "none";
/// Resolution of the stored cells: about 0.1 km².
pub(super) const CELL_RESOLUTION: u8 = 9;
/// Fewer digits than this are in no identifier of a person.
const IDENTIFIER_DIGITS: usize = 9;

/// Why a row was refused, at which column, with the masked value.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub reason: Reason,
    pub column: String,
    pub value: String,
}

/// Turns records of one contract into batches of its table.
pub(super) struct Rows<'a> {
    contract: &'a Contract,
    positions: &'a [Option<usize>],
    calendar: Calendar,
    pack: Pack,
    keys: Vec<Option<MacKey>>,
    row_key: MacKey,
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    ingested_at: i64,
    batch: String,
    occurrences: HashMap<i64, i64>,
    /// Values that a contract blanked instead of refusing the row.
    pub blanked: u64,
    /// First and last day of the accepted rows.
    pub days: Option<(i32, i32)>,
}

/// What the rows of a batch have in common.
pub(super) struct Stamp {
    pub batch: String,
    pub ingested_at: i64,
    pub pack: Pack,
}

/// The facts of one row that standard columns and rules need.
#[derive(Default)]
struct Facts {
    lon: Option<f64>,
    lat: Option<f64>,
    event: Option<i64>,
    known: Option<i64>,
    mappable: bool,
    public_place: bool,
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Day(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

impl Builder {
    fn of(kind: &DataType) -> Builder {
        match kind {
            DataType::Int64 => Builder::Int(Int64Builder::new()),
            DataType::Float64 => Builder::Float(Float64Builder::new()),
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Date32 => Builder::Day(Date32Builder::new()),
            DataType::Timestamp(_, _) => Builder::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Builder::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Builder::Text(builder), _) => builder.append_null(),
            (Builder::Int(builder), Value::Int(number)) => builder.append_value(number),
            (Builder::Int(builder), _) => builder.append_null(),
            (Builder::Float(builder), Value::Float(number)) => builder.append_value(number),
            (Builder::Float(builder), _) => builder.append_null(),
            (Builder::Bool(builder), Value::Bool(truth)) => builder.append_value(truth),
            (Builder::Bool(builder), _) => builder.append_null(),
            (Builder::Day(builder), Value::Int(day)) => builder.append_option(i32::try_from(day).ok()),
            (Builder::Day(builder), _) => builder.append_null(),
            (Builder::Instant(builder), Value::Micros(at)) => builder.append_value(at),
            (Builder::Instant(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        use std::sync::Arc;
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Int(builder) => Arc::new(builder.finish()),
            Builder::Float(builder) => Arc::new(builder.finish()),
            Builder::Bool(builder) => Arc::new(builder.finish()),
            Builder::Day(builder) => Arc::new(builder.finish()),
            Builder::Instant(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The key of each protected column: documents per system, everything of people per feed and field.
pub(super) fn column_keys(contract: &Contract, key: &SiteKey) -> Vec<Option<MacKey>> {
    let purpose = |column: &Column| match column.protect {
        Protect::Key => Some(format!("key/{}", contract.system)),
        Protect::Place => Some("place".to_owned()),
        Protect::Token => Some(format!("token/{}/{}", contract.into, column.name)),
        Protect::Public | Protect::Coarse | Protect::Drop => None,
    };
    contract
        .columns
        .iter()
        .map(|column| purpose(column).map(|purpose| key.purpose(&purpose)))
        .collect()
}

/// The value of a column in the current record.
pub(super) fn read<'s>(
    source: &'s Source,
    column: &Column,
    at: Option<usize>,
) -> Result<std::borrow::Cow<'s, str>, Refused> {
    let Some(at) = at else { return Ok("".into()) };
    source
        .field(at, &column.from)
        .map_err(|reason| refused(column, reason, ""))
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

impl<'a> Rows<'a> {
    pub(super) fn new(
        contract: &'a Contract,
        positions: &'a [Option<usize>],
        schema: SchemaRef,
        key: &SiteKey,
        calendar: Calendar,
        stamp: Stamp,
    ) -> Rows<'a> {
        let builders = schema
            .fields()
            .iter()
            .map(|field| Builder::of(field.data_type()))
            .collect();
        Rows {
            contract,
            positions,
            calendar,
            pack: stamp.pack,
            keys: column_keys(contract, key),
            row_key: key.purpose(&format!("row/{}/{}", contract.into, contract.system)),
            schema,
            builders,
            rows: 0,
            ingested_at: stamp.ingested_at,
            batch: stamp.batch,
            occurrences: HashMap::new(),
            blanked: 0,
            days: None,
        }
    }

    /// Rows waiting to be taken.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Takes one record in: `Ok(true)` accepted, `Ok(false)` duplicate of a known identity.
    pub(super) fn push(&mut self, source: &Source, line: u64, seen: &mut HashSet<i64>) -> Result<bool, Refused> {
        let contract = self.contract;
        let mut texts = Vec::with_capacity(contract.columns.len());
        for (column, at) in contract.columns.iter().zip(self.positions) {
            texts.push(read(source, column, *at)?);
        }
        let mut values = Vec::with_capacity(texts.len());
        for (column, text) in contract.columns.iter().zip(&texts) {
            values.push(self.judge(column, text)?);
        }
        let facts = self.facts(&mut values)?;
        self.not_in_future(&facts)?;
        let identity = self.identity(source, &values);
        if !seen.insert(identity) {
            return Ok(false);
        }
        self.write(&values, &facts, line, identity);
        Ok(true)
    }

    fn judge<'t>(&mut self, column: &Column, text: &'t str) -> Result<Value<'t>, Refused> {
        match value::value(column, text, &self.calendar) {
            Ok(Value::Text(_) | Value::Int(_)) if column.protect == Protect::Public && self.identifies(text) => {
                Err(refused(column, Reason::Identifier, text))
            }
            Ok(found) => Ok(found),
            Err(_) if column.blank_bad => {
                self.blanked += 1;
                Ok(Value::Null)
            }
            Err(reason) => Err(refused(column, reason, text)),
        }
    }

    fn identifies(&self, text: &str) -> bool {
        let plain = text.bytes().filter(u8::is_ascii_digit).count();
        if plain >= IDENTIFIER_DIGITS || text.contains('@') {
            return scan::first(text.as_bytes(), self.pack).is_some();
        }
        // full-width digits are the same number in another dress
        text.chars().any(|c| ('！'..='～').contains(&c))
            && scan::first(scan::half_width(text).as_bytes(), self.pack).is_some()
    }

    /// Reads the facts and blanks what may not be written: positions and places of calls that may
    /// not be mapped, positions out of bounds where the contract blanks them.
    fn facts(&mut self, values: &mut [Value<'_>]) -> Result<Facts, Refused> {
        let contract = self.contract;
        let mut facts = Facts {
            mappable: true,
            ..Facts::default()
        };
        if let Some((name, attribute)) = &contract.mappable
            && let Some(at) = contract.columns.iter().position(|column| column.name == *name)
        {
            let code = if let Value::Text(code) = values[at] { code } else { "" };
            let known = contract.columns[at]
                .codes
                .as_ref()
                .and_then(|list| list.get(code, *attribute));
            // an unknown code is never mapped
            facts.mappable = matches!(known, Some("true" | "1"));
        }
        for (at, column) in contract.columns.iter().enumerate() {
            let found = values[at];
            if Some(&column.name) == contract.event_time.as_ref() {
                facts.event = instant(found);
            }
            if let Known::Column(name, lag) = &contract.known
                && *name == column.name
            {
                facts.known = instant(found).and_then(|known| known.checked_add(*lag));
            }
            if Some(&column.name) == contract.place_kind.as_ref() {
                facts.public_place = matches!(found, Value::Text(kind) if PUBLIC_PLACES.contains(&kind));
            }
            match (column.kind, found) {
                (ColumnType::Lon, Value::Float(lon)) => facts.lon = Some(lon),
                (ColumnType::Lat, Value::Float(lat)) => facts.lat = Some(lat),
                (ColumnType::Point, Value::Point(lon, lat)) => (facts.lon, facts.lat) = (Some(lon), Some(lat)),
                _ => {}
            }
        }
        self.position(&mut facts)?;
        Ok(facts)
    }

    /// A clock that runs ahead would move the last day of every product.
    fn not_in_future(&self, facts: &Facts) -> Result<(), Refused> {
        let ahead = facts
            .event
            .is_some_and(|event| event > self.ingested_at.saturating_add(FUTURE_MICROS));
        let column = self
            .contract
            .event_time
            .as_ref()
            .and_then(|name| self.contract.column(name));
        match column {
            Some(column) if ahead => Err(refused(column, Reason::Range, "")),
            _ => Ok(()),
        }
    }

    fn position(&mut self, facts: &mut Facts) -> Result<(), Refused> {
        let (Some(lon), Some(lat)) = (facts.lon, facts.lat) else {
            (facts.lon, facts.lat) = (None, None);
            return Ok(());
        };
        let (mut lon, mut lat) = self.contract.crs.to_wgs84(lon, lat);
        if self
            .contract
            .columns
            .iter()
            .any(|column| column.kind.is_position() && column.protect == Protect::Coarse)
        {
            (lon, lat) = ((lon * 100.0).round() / 100.0, (lat * 100.0).round() / 100.0);
        }
        let inside = self
            .contract
            .bounds
            .is_none_or(|[west, south, east, north]| (west..=east).contains(&lon) && (south..=north).contains(&lat));
        (facts.lon, facts.lat) = if inside && facts.mappable {
            (Some(lon), Some(lat))
        } else {
            (None, None)
        };
        if inside {
            return Ok(());
        }
        match self.contract.columns.iter().find(|column| column.kind.is_position()) {
            Some(column) if !column.blank_bad => Err(refused(column, Reason::Range, &format!("{lon:.2} {lat:.2}"))),
            _ => {
                self.blanked += 1;
                Ok(())
            }
        }
    }

    /// The identity of a row: its key, or, where the key is empty, its content and how many equal
    /// rows came before it in this file, so that rows without a number are never merged.
    fn identity(&mut self, source: &Source, values: &[Value<'_>]) -> i64 {
        let contract = self.contract;
        let mut parts: Vec<Vec<u8>> = Vec::with_capacity(contract.key.len());
        for name in &contract.key {
            let at = contract.columns.iter().position(|column| column.name == *name);
            match at.map(|at| (values[at], &self.keys[at])) {
                // a protected column is identified by its token, which knows the spellings of one number
                Some((Value::Text(text), Some(key))) => parts.push(key.token(text).to_be_bytes().to_vec()),
                Some((found, _)) if found != Value::Null => parts.push(format!("{found:?}").into_bytes()),
                _ => {
                    parts.clear();
                    break;
                }
            }
        }
        if !parts.is_empty() {
            let parts: Vec<&[u8]> = std::iter::once(&b"key"[..])
                .chain(parts.iter().map(Vec::as_slice))
                .collect();
            return self.row_key.token_of(&parts);
        }
        let mut content = vec![&b"content"[..]];
        content.extend(source.content());
        let content = self.row_key.token_of(&content);
        let occurrence = self.occurrences.entry(content).or_insert(0);
        *occurrence += 1;
        self.row_key
            .token_of(&[b"row", &content.to_be_bytes(), &occurrence.to_be_bytes()])
    }

    fn write(&mut self, values: &[Value<'_>], facts: &Facts, line: u64, identity: i64) {
        let contract = self.contract;
        let mut at = 0;
        let mut push = |value: Value<'_>| {
            self.builders[at].push(value);
            at += 1;
        };
        let float = |number: Option<f64>| number.map_or(Value::Null, Value::Float);
        let int = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
        for ((column, found), key) in contract.columns.iter().zip(values).zip(&self.keys) {
            match (column.protect, column.kind) {
                (Protect::Drop, _) => {}
                (_, ColumnType::Point) => {
                    push(float(facts.lon));
                    push(float(facts.lat));
                }
                (_, ColumnType::Lon) => push(float(facts.lon)),
                (_, ColumnType::Lat) => push(float(facts.lat)),
                (Protect::Place, _) if !facts.mappable || !facts.public_place => push(Value::Null),
                (Protect::Key | Protect::Place | Protect::Token, _) => {
                    push(int(key.as_ref().and_then(|key| token(key, *found))));
                }
                (Protect::Coarse, ColumnType::Date) => push(int(year(*found))),
                (Protect::Coarse | Protect::Public, _) => push(*found),
            }
        }
        if contract.column("county").is_none() {
            push(
                contract
                    .county
                    .as_deref()
                    .filter(|county| *county != NO_COUNTY)
                    .map_or(Value::Null, Value::Text),
            );
        }
        if contract.has_position() {
            let cell = facts
                .lon
                .zip(facts.lat)
                .and_then(|(lon, lat)| cell::cell(lon, lat, CELL_RESOLUTION));
            push(int(cell));
        }
        if let Some(origin) = &contract.origin {
            push(origin_of(contract, origin, values));
        }
        if contract.event_time.is_some() {
            let day = facts.event.and_then(|event| self.calendar.day_and_hour(event));
            push(int(day.map(|(day, _)| i64::from(day))));
            push(int(day.map(|(_, hour)| i64::from(hour))));
            match day {
                Some((day, _)) => {
                    push(Value::Text(&calendar::month(day)));
                    let (first, last) = self.days.unwrap_or((day, day));
                    self.days = Some((first.min(day), last.max(day)));
                }
                None => push(Value::Null),
            }
        }
        push(Value::Micros(facts.known.unwrap_or(self.ingested_at)));
        push(Value::Micros(self.ingested_at));
        push(Value::Text(&self.batch));
        push(Value::Int(line.cast_signed()));
        push(Value::Int(identity));
        self.rows += 1;
    }

    /// Takes the rows so far.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
    }
}

fn instant(found: Value<'_>) -> Option<i64> {
    match found {
        Value::Micros(at) => Some(at),
        Value::Int(day) => day.checked_mul(86_400_000_000),
        _ => None,
    }
}

fn year(found: Value<'_>) -> Option<i64> {
    use chrono::Datelike;
    let Value::Int(day) = found else { return None };
    calendar::date(i32::try_from(day).ok()?).map(|date| i64::from(date.year()))
}

fn token(key: &MacKey, found: Value<'_>) -> Option<i64> {
    match found {
        Value::Null => None,
        Value::Text(text) => Some(key.token(text)),
        Value::Int(number) => Some(key.token(&number.to_string())),
        other => Some(key.token(&format!("{other:?}"))),
    }
}

fn origin_of<'v>(contract: &'v Contract, origin: &'v Origin, values: &[Value<'v>]) -> Value<'v> {
    let found = |name: &str| {
        let at = contract.columns.iter().position(|column| column.name == name)?;
        Some((&contract.columns[at], values[at]))
    };
    let text = match origin {
        Origin::Constant(origin, _) => Some(origin.as_str()),
        Origin::Unknown => None,
        Origin::Column(name) => match found(name) {
            Some((_, Value::Text(text))) => Some(text),
            _ => None,
        },
        Origin::Attribute(name, attribute) => match found(name) {
            Some((column, Value::Text(code))) => column.codes.as_ref().and_then(|list| list.get(code, *attribute)),
            _ => None,
        },
    };
    Value::Text(text.unwrap_or("unknown"))
}
