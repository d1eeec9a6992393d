//! From checked cells to protected rows: positions, places, days, identities, and the columns of the
//! table in their order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef};

use crate::contract::{Column, ColumnType, Contract, Known as KnownAt, Origin, Protect, Reason};
use crate::error::{Kind, Result, fail};
use crate::ingest::cells::{Cells, Refusals, Values, nth};
use crate::ingest::kernel::{Kernels, refused};
use crate::ingest::known::{Identity, spread};
use crate::ingest::span::Span;
use crate::place::cell_cache::CellCache;
use crate::place::suspect::Suspect;
use crate::protect::{MacKey, Renewal, SiteKey, TokenClass};
use crate::time::{LocalDays, calendar};

/// Kinds of places that get a token; homes, workplaces and unknown kinds get none.
const PUBLIC_PLACES: [&str; 6] = ["shop", "street", "school", "hospital", "venue", "transport"];
/// How far ahead of the ingest an event may lie: one day, in microseconds.
const FUTURE_MICROS: i64 = 86_400_000_000;
/// What a contract says where the rows have no county of their own.
const NO_COUNTY: &str = "none";
/// Resolution of the stored cells: about 0.1 km².
pub(super) const CELL_RESOLUTION: u8 = 9;
/// The origin of a call of which nobody says who started it.
const UNKNOWN_ORIGIN: &str = "unknown";

/// Why a row was refused, at which column, with the masked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub reason: Reason,
    pub column: String,
    pub value: String,
}

/// Where the special columns of a contract stand.
#[derive(Debug, Default)]
struct Places {
    event: Option<usize>,
    known: Option<(usize, i64)>,
    lon: Option<usize>,
    lat: Option<usize>,
    point: Option<usize>,
    position: Option<usize>,
    coarse: bool,
    mappable: Option<usize>,
    place_kind: Option<usize>,
    place: Vec<usize>,
    origin: Option<usize>,
    key: Vec<usize>,
}

impl Places {
    fn of(contract: &Contract) -> Places {
        let at = |name: &String| contract.columns.iter().position(|column| column.name == *name);
        let of_kind = |kind: ColumnType| contract.columns.iter().position(|column| column.kind == kind);
        let positions = || contract.columns.iter().filter(|column| column.kind.is_position());
        Places {
            event: contract.event_time.as_ref().and_then(at),
            known: match &contract.known {
                KnownAt::Column(name, lag) => at(name).map(|at| (at, *lag)),
                KnownAt::Ingest => None,
            },
            lon: of_kind(ColumnType::Lon),
            lat: of_kind(ColumnType::Lat),
            point: of_kind(ColumnType::Point),
            position: contract.columns.iter().position(|column| column.kind.is_position()),
            coarse: positions().any(|column| column.protect == Protect::Coarse),
            mappable: contract.mappable.as_ref().and_then(|(name, _)| at(name)),
            place_kind: contract.place_kind.as_ref().and_then(at),
            place: (0..contract.columns.len())
                .filter(|at| contract.columns[*at].protect == Protect::Place)
                .collect(),
            origin: match &contract.origin {
                Some(Origin::Attribute(name, _) | Origin::Column(name)) => at(name),
                _ => None,
            },
            key: contract.key.iter().filter_map(at).collect(),
        }
    }
}

/// The origins that the rows of a contract can have; the first is "unknown".
pub(super) fn origins(contract: &Contract) -> Vec<String> {
    let mut origins = vec![UNKNOWN_ORIGIN.to_owned()];
    match &contract.origin {
        Some(Origin::Constant(origin, _)) => origins.push(origin.clone()),
        Some(Origin::Attribute(name, attribute)) => {
            let list = contract.column(name).and_then(|column| column.codes.as_ref());
            origins.extend(list.map(|list| list.values(*attribute)).unwrap_or_default());
        }
        Some(Origin::Column(_) | Origin::Unknown) | None => {}
    }
    origins
}

/// What every row of a batch has in common.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub ingested_at: i64,
    pub batch: String,
}

/// The rows of one group: cells of the contract's columns and what follows from them.
pub(super) struct Rows<'a> {
    contract: &'a Contract,
    places: Places,
    origins: &'a [String],
    place_key: MacKey,
    renewals: Renewals,
    row_key: MacKey,
    /// Tells apart the identities of two systems whose keys are tokens already.
    row_salt: i64,
    cache: CellCache,
    days: LocalDays,
    ingested_at: i64,
    /// What the positions of the group look like as a whole.
    pub suspect: Suspect,
    fresh: Suspect,
    /// Rows that stay, in the order of the source.
    pub good: Vec<u32>,
    pub line: Vec<u32>,
    pub identity: Vec<Identity>,
    lon: Vec<f64>,
    lat: Vec<f64>,
    cell: Vec<i64>,
    place: Vec<i64>,
    day: Vec<i32>,
    hour: Vec<i8>,
    event: Vec<i64>,
    known: Vec<i64>,
}

/// What stands for "none" where no value can be it.
const NO_DAY: i32 = i32::MIN;

impl<'a> Rows<'a> {
    pub(super) fn new(
        contract: &'a Contract,
        origins: &'a [String],
        key: &SiteKey,
        days: LocalDays,
        ingested_at: i64,
        suspect: Suspect,
    ) -> Rows<'a> {
        let row_key = key.purpose(&format!("row/{}/{}", contract.into, contract.system));
        Rows {
            contract,
            places: Places::of(contract),
            origins,
            place_key: key.purpose("place"),
            renewals: Renewals::new(key),
            row_salt: row_key.token("salt"),
            row_key,
            cache: CellCache::new(CELL_RESOLUTION),
            days,
            ingested_at,
            fresh: suspect.clone(),
            suspect,
            good: Vec::new(),
            line: Vec::new(),
            identity: Vec::new(),
            lon: Vec::new(),
            lat: Vec::new(),
            cell: Vec::new(),
            place: Vec::new(),
            day: Vec::new(),
            hour: Vec::new(),
            event: Vec::new(),
            known: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        // a sample of each group, not of each worker, so that the verdict does not depend on them
        self.suspect.clone_from(&self.fresh);
        self.good.clear();
        self.line.clear();
        self.identity.clear();
        self.lon.clear();
        self.lat.clear();
        self.cell.clear();
        self.place.clear();
        self.day.clear();
        self.hour.clear();
        self.event.clear();
        self.known.clear();
    }

    /// Adds a block of rows whose cells stand in `kernels` behind the rows so far. `wholes` are the
    /// records as delivered, for rows whose key is empty.
    pub(super) fn add(
        &mut self,
        kernels: &mut Kernels<'_>,
        lines: &[u32],
        wholes: &[Span],
        group: &[u8],
        refusals: &mut Refusals,
    ) {
        let base = self.line.len();
        for (at, line) in lines.iter().enumerate() {
            let row = base + at;
            self.line.push(*line);
            if !refusals.has(at)
                && let Err(refused) = self.row(kernels, row)
            {
                refusals.add(at, refused);
            }
            if refusals.has(at) {
                self.truncate_to(row);
                self.pad();
                continue;
            }
            let whole = wholes[at].of(group, &[]);
            let identity = self.identity(&kernels.cells, row, whole);
            self.identity.push(identity);
            self.good.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
    }

    /// A refused row keeps its place, so that all columns stay aligned.
    fn pad(&mut self) {
        self.identity.push(Identity::Key(0));
        self.lon.push(f64::NAN);
        self.lat.push(f64::NAN);
        self.cell.push(0);
        self.place.push(0);
        self.day.push(NO_DAY);
        self.hour.push(0);
        self.event.push(i64::MIN);
        self.known.push(self.ingested_at);
    }

    fn truncate_to(&mut self, row: usize) {
        self.lon.truncate(row);
        self.lat.truncate(row);
        self.cell.truncate(row);
        self.place.truncate(row);
        self.day.truncate(row);
        self.hour.truncate(row);
        self.event.truncate(row);
        self.known.truncate(row);
    }

    /// Reads what follows from a row's cells and blanks what may not be written: positions and places
    /// of calls that may not be mapped.
    fn row(&mut self, kernels: &mut Kernels<'_>, row: usize) -> Result<(), Refused> {
        let cells = &kernels.cells;
        let places = &self.places;
        let mappable = places.mappable.is_none_or(|at| cells[at].traits[row].mappable);
        let event = places.event.and_then(|at| self.instant(&cells[at], at, row));
        if event.is_some_and(|event| event > self.ingested_at.saturating_add(FUTURE_MICROS))
            && let Some(at) = places.event
        {
            // a clock that runs ahead would move the last day of every product
            return Err(refused(&self.contract.columns[at], Reason::Range, ""));
        }
        let known = places
            .known
            .and_then(|(at, lag)| self.instant(&cells[at], at, row)?.checked_add(lag));
        let given = match (places.point, places.lon, places.lat) {
            (Some(at), _, _) => match &cells[at].values {
                Values::Point(points) if cells[at].valid[row] => Some(points[row]),
                _ => None,
            },
            (None, Some(lon), Some(lat)) => cells[lon].float(row).zip(cells[lat].float(row)),
            _ => None,
        };
        if let Some((x, y)) = given {
            self.suspect.see(x, y);
        }
        let public = places
            .place_kind
            .and_then(|at| cells[at].text(row))
            .is_some_and(|kind| PUBLIC_PLACES.contains(&kind));
        let place = match places.place.first() {
            Some(at) if public && mappable => cells[*at].text(row).map(|text| self.place_key.token(text)),
            _ => None,
        };
        let (lon, lat) = self.position(given, mappable, &mut kernels.blanked)?;
        let cell = if lon.is_nan() { None } else { self.cache.cell(lon, lat) };
        let day = event.and_then(|event| self.days.day_and_hour(event));
        self.lon.push(lon);
        self.lat.push(lat);
        self.cell.push(cell.unwrap_or(0));
        self.place.push(place.unwrap_or(0));
        self.day.push(day.map_or(NO_DAY, |(day, _)| day));
        self.hour
            .push(day.and_then(|(_, hour)| i8::try_from(hour).ok()).unwrap_or(0));
        self.event.push(event.unwrap_or(i64::MIN));
        self.known.push(known.unwrap_or(self.ingested_at));
        Ok(())
    }

    /// An instant, or the midnight of a date.
    fn instant(&self, cells: &Cells, at: usize, row: usize) -> Option<i64> {
        let found = cells.int(row)?;
        match self.contract.columns[at].kind {
            ColumnType::Date => found.checked_mul(86_400_000_000),
            _ => Some(found),
        }
    }

    /// The position to store, NaN where none is.
    fn position(&self, given: Option<(f64, f64)>, mappable: bool, blanked: &mut u64) -> Result<(f64, f64), Refused> {
        const NOWHERE: (f64, f64) = (f64::NAN, f64::NAN);
        let Some((lon, lat)) = given else {
            return Ok(NOWHERE);
        };
        let (mut lon, mut lat) = self.contract.crs.to_wgs84(lon, lat);
        if self.places.coarse {
            (lon, lat) = ((lon * 100.0).round() / 100.0, (lat * 100.0).round() / 100.0);
        }
        let [west, south, east, north] = self.contract.bounds.unwrap_or([-180.0, -90.0, 180.0, 90.0]);
        if (west..=east).contains(&lon) && (south..=north).contains(&lat) {
            return Ok(if mappable { (lon, lat) } else { NOWHERE });
        }
        match self.places.position.map(|at| &self.contract.columns[at]) {
            Some(column) if !column.blank_bad => Err(refused(column, Reason::Range, &format!("{lon:.2} {lat:.2}"))),
            _ => {
                *blanked += 1;
                Ok(NOWHERE)
            }
        }
    }

    /// The identity of a row: its key, or its content where a part of the key is empty, so that rows
    /// without a number are never merged.
    fn identity(&self, cells: &[Cells], row: usize, whole: &[u8]) -> Identity {
        let key = &self.places.key;
        if key.is_empty() || key.iter().any(|at| !self.has_value(&cells[*at], row)) {
            return Identity::Content(self.row_key.token_of(&[b"content", whole]));
        }
        if let [at] = key[..]
            && matches!(self.contract.columns[at].protect, Protect::Key | Protect::Token)
        {
            // a token is keyed already; spreading it is one to one
            let token = cells[at].int(row).unwrap_or(0) ^ self.row_salt;
            return Identity::Key(spread(token.cast_unsigned()).cast_signed());
        }
        let mut parts: Vec<Vec<u8>> = vec![b"key".to_vec()];
        for at in key {
            let cells = &cells[*at];
            parts.push(match &cells.values {
                Values::Int(values) => values[row].to_le_bytes().to_vec(),
                Values::Float(values) => values[row].to_le_bytes().to_vec(),
                Values::Bool(values) => vec![u8::from(values[row])],
                Values::Point(values) => [values[row].0.to_le_bytes(), values[row].1.to_le_bytes()].concat(),
                Values::Text(..) => cells.text(row).unwrap_or_default().as_bytes().to_vec(),
                Values::Nothing => Vec::new(),
            });
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Identity::Key(self.row_key.token_of(&parts))
    }

    fn has_value(&self, cells: &Cells, row: usize) -> bool {
        cells.valid.get(row).copied().unwrap_or(false)
    }

    /// The statistics day of a row.
    pub(super) fn day(&self, row: u32) -> Option<i32> {
        self.day.get(row as usize).copied().filter(|day| *day != NO_DAY)
    }

    /// The cell of a row.
    pub(super) fn cell(&self, row: u32) -> Option<i64> {
        self.cell.get(row as usize).copied().filter(|cell| *cell != 0)
    }

    /// The rows that stay, by month of their event and inside it by time; months are in order.
    pub(super) fn by_month(&mut self) -> Vec<(Option<String>, Vec<u32>)> {
        if self.contract.event_time.is_none() {
            return vec![(None, self.good.clone())];
        }
        let mut order: Vec<(i64, u32)> = self.good.iter().map(|row| (self.event[*row as usize], *row)).collect();
        order.sort_unstable();
        let mut months: Vec<(Option<String>, Vec<u32>)> = Vec::new();
        let mut index: HashMap<Option<String>, usize> = HashMap::new();
        let (mut last_day, mut current) = (NO_DAY, None::<usize>);
        for (_, row) in order {
            let day = self.day[row as usize];
            let at = match current {
                Some(at) if day == last_day => at,
                _ => {
                    let month = (day != NO_DAY).then(|| calendar::month(day));
                    *index.entry(month.clone()).or_insert_with(|| {
                        months.push((month, Vec::new()));
                        months.len() - 1
                    })
                }
            };
            (last_day, current) = (day, Some(at));
            months[at].1.push(row);
        }
        months.sort_by(|left, right| left.0.cmp(&right.0));
        months
    }

    /// These rows as arrays of `schema`, which is the table's without its partition column.
    /// `identities` and `lines` stand beside `rows`.
    pub(super) fn arrays(
        &self,
        cells: &[Cells],
        schema: &SchemaRef,
        rows: &[u32],
        first_line: u64,
        stamp: &Stamp,
    ) -> Result<Vec<ArrayRef>> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let name = field.name().as_str();
            arrays.push(self.array(cells, name, field.data_type(), rows, first_line, stamp)?);
        }
        Ok(arrays)
    }

    fn array(
        &self,
        cells: &[Cells],
        name: &str,
        kind: &DataType,
        rows: &[u32],
        first_line: u64,
        stamp: &Stamp,
    ) -> Result<ArrayRef> {
        let each = |of: &dyn Fn(usize) -> i64| -> Vec<i64> { rows.iter().map(|row| of(*row as usize)).collect() };
        let instants = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::new(ScalarBuffer::from(values), None).with_timezone("UTC"))
        };
        let degrees = |values: &[f64]| -> ArrayRef {
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| {
                let value = values[*row as usize];
                (!value.is_nan()).then_some(value)
            })))
        };
        let whole = |of: &dyn Fn(usize) -> Option<i64>| -> ArrayRef {
            Arc::new(Int64Array::from_iter(rows.iter().map(|row| of(*row as usize))))
        };
        let constant = |text: Option<&str>| -> ArrayRef {
            match text {
                Some(text) => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| text))),
                None => Arc::new(StringArray::new_null(rows.len())),
            }
        };
        let contract = self.contract;
        let position = contract.columns.iter().position(|column| column.name == name);
        let column = position.map(|at| (at, &contract.columns[at]));
        Ok(match (name, column) {
            (_, Some((_, column))) if column.kind == ColumnType::Lon => degrees(&self.lon),
            (_, Some((_, column))) if column.kind == ColumnType::Lat => degrees(&self.lat),
            (_, Some((at, column))) if column.kind != ColumnType::Point => {
                self.column(cells, at, column, kind, rows)?
            }
            ("lon", _) => degrees(&self.lon),
            ("lat", _) => degrees(&self.lat),
            ("county", None) => constant(contract.county.as_deref().filter(|county| *county != NO_COUNTY)),
            ("cell", None) => whole(&|row| (self.cell[row] != 0).then(|| self.cell[row])),
            ("origin", None) => {
                let traits = self.places.origin.map(|at| &cells[at]);
                Arc::new(StringArray::from_iter_values(
                    rows.iter().map(|row| self.origin(traits, *row as usize)),
                ))
            }
            ("biz_date", None) => Arc::new(Date32Array::from_iter(rows.iter().map(|row| {
                let day = self.day[*row as usize];
                (day != NO_DAY).then_some(day)
            }))),
            ("hour_local", None) => whole(&|row| (self.day[row] != NO_DAY).then(|| i64::from(self.hour[row]))),
            ("known_at", None) => instants(each(&|row| self.known[row])),
            ("ingested_at", None) => instants(vec![stamp.ingested_at; rows.len()]),
            ("source_batch", None) => constant(Some(&stamp.batch)),
            ("source_line", None) => whole(&|row| Some((first_line + u64::from(self.line[row])).cast_signed())),
            ("row_key", None) => {
                let renewed = |row: usize| self.renewals.row.apply(self.identity[row].stored(1));
                Arc::new(Int64Array::from(each(&renewed)))
            }
            _ => return Err(fail(Kind::Bug, "batch_shape", &[])),
        })
    }

    fn origin<'r>(&'r self, cells: Option<&'r Cells>, row: usize) -> &'r str {
        match (&self.contract.origin, cells) {
            (Some(Origin::Constant(origin, _)), _) => origin,
            (Some(Origin::Column(_)), Some(cells)) => cells.text(row).unwrap_or(UNKNOWN_ORIGIN),
            (Some(Origin::Attribute(..)), Some(cells)) => {
                let number = cells.traits.get(row).map_or(0, |traits| traits.origin);
                self.origins.get(number as usize).map_or(UNKNOWN_ORIGIN, String::as_str)
            }
            _ => UNKNOWN_ORIGIN,
        }
    }

    /// A column of the contract as it is written.
    fn column(&self, cells: &[Cells], at: usize, column: &Column, kind: &DataType, rows: &[u32]) -> Result<ArrayRef> {
        if column.protect == Protect::Place {
            let tokens = rows
                .iter()
                .map(|row| Some(self.place[*row as usize]).filter(|token| *token != 0))
                .map(|token| token.map(|token| self.renewals.place.apply(token)));
            return Ok(Arc::new(Int64Array::from_iter(tokens)));
        }
        let cells = &cells[at];
        let nulls = NullBuffer::from_iter(rows.iter().map(|row| cells.valid[*row as usize]));
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        Ok(match &cells.values {
            Values::Int(_) if column.protect == Protect::Coarse && column.kind == ColumnType::Date => {
                let years = rows.iter().map(|row| cells.int(*row as usize).and_then(year));
                Arc::new(Int64Array::from_iter(years))
            }
            Values::Int(values) => {
                let mut taken: Vec<i64> = rows.iter().map(|row| values[*row as usize]).collect();
                if let Some(renewal) = self.renewals.of(column.protect) {
                    taken.iter_mut().for_each(|token| *token = renewal.apply(*token));
                }
                match kind {
                    DataType::Date32 => {
                        let days = taken.into_iter().map(|day| i32::try_from(day).unwrap_or(0));
                        Arc::new(Date32Array::new(days.collect(), nulls))
                    }
                    DataType::Timestamp(_, _) => {
                        Arc::new(TimestampMicrosecondArray::new(ScalarBuffer::from(taken), nulls).with_timezone("UTC"))
                    }
                    _ => Arc::new(Int64Array::new(ScalarBuffer::from(taken), nulls)),
                }
            }
            Values::Float(values) => {
                let taken: Vec<f64> = rows.iter().map(|row| values[*row as usize]).collect();
                Arc::new(Float64Array::new(ScalarBuffer::from(taken), nulls))
            }
            Values::Bool(values) => {
                let taken = rows.iter().map(|row| values[*row as usize]).collect();
                Arc::new(BooleanArray::new(taken, nulls))
            }
            Values::Text(texts, ends) => {
                let mut built = StringBuilder::with_capacity(rows.len(), rows.len() * 8);
                for row in rows {
                    let row = *row as usize;
                    built.append_option(cells.valid[row].then(|| nth(texts, ends, row)));
                }
                Arc::new(built.finish())
            }
            Values::Point(_) | Values::Nothing => return Err(fail(Kind::Bug, "batch_shape", &[])),
        })
    }
}

/// What brings tokens to the newest key, the last thing before they are written. Inside a file all are of
/// the first key, so that identities do not depend on when a key was renewed.
struct Renewals {
    key: Renewal,
    token: Renewal,
    place: Renewal,
    row: Renewal,
}

impl Renewals {
    fn new(key: &SiteKey) -> Renewals {
        Renewals {
            key: key.renewal(TokenClass::Key),
            token: key.renewal(TokenClass::Token),
            place: key.renewal(TokenClass::Place),
            row: key.renewal(TokenClass::Row),
        }
    }

    /// That of a column, where its key was ever renewed.
    fn of(&self, protect: Protect) -> Option<&Renewal> {
        let found = match protect {
            Protect::Key => &self.key,
            Protect::Token => &self.token,
            _ => return None,
        };
        (!found.is_empty()).then_some(found)
    }
}

fn year(day: i64) -> Option<i64> {
    use chrono::Datelike;
    let date = calendar::date(i32::try_from(day).ok()?)?;
    Some(i64::from(date.year()))
}
