//! Counting instead of landing: people become numbers per cell and month before anything is written.
//!
//! Register rows are told apart under a throw-away key that ends with the process; what is written
//! holds no key, no row, and no number for a single household.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use chrono::Datelike;

use crate::contract::{Column, ColumnType, Contract, Counts, Measure, Value, value};
use crate::error::{Kind, Result, fail};
use crate::ingest::rows::{CELL_RESOLUTION, Refused, read, refused};
use crate::ingest::source::Source;
use crate::place::cell;
use crate::protect::{MacKey, SiteKey};
use crate::time::{Calendar, calendar};

type Group = (String, Option<i64>, i32);

/// Counts the rows of one file.
pub(super) struct Tally<'a> {
    contract: &'a Contract,
    counts: &'a Counts,
    positions: &'a [Option<usize>],
    calendar: Calendar,
    throwaway: MacKey,
    row_key: MacKey,
    seen: HashSet<i64>,
    distinct: HashSet<(usize, i64)>,
    groups: BTreeMap<Group, Vec<i64>>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(
        contract: &'a Contract,
        counts: &'a Counts,
        positions: &'a [Option<usize>],
        calendar: Calendar,
        throwaway: MacKey,
        key: &SiteKey,
    ) -> Tally<'a> {
        let row_key = key.purpose(&format!("row/{}/{}", contract.into, contract.system));
        Tally {
            contract,
            counts,
            positions,
            calendar,
            throwaway,
            row_key,
            seen: HashSet::new(),
            distinct: HashSet::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Counts one record: `Ok(true)` counted, `Ok(false)` counted before.
    pub(super) fn push(&mut self, source: &Source) -> Result<bool, Refused> {
        let contract = self.contract;
        let mut texts = Vec::with_capacity(contract.columns.len());
        for (column, at) in contract.columns.iter().zip(self.positions) {
            texts.push(read(source, column, *at)?);
        }
        let mut values: Vec<(&Column, Value<'_>)> = Vec::with_capacity(texts.len());
        for (column, text) in contract.columns.iter().zip(&texts) {
            let found = value::value(column, text, &self.calendar).map_err(|reason| refused(column, reason, text))?;
            values.push((column, found));
        }
        let key = contract
            .key
            .iter()
            .map(|name| text(of(&values, name)))
            .collect::<Vec<_>>()
            .join("\u{1f}");
        // a row that is refused must not stand in the way of the person's correct one
        let group = self.group(&values)?;
        if !self.seen.insert(self.throwaway.token(&key)) {
            return Ok(false);
        }
        let day = group.2;
        let place = self
            .groups
            .entry(group.clone())
            .or_insert_with(|| vec![0; self.counts.measures.len()]);
        for (at, (_, measure)) in self.counts.measures.iter().enumerate() {
            let counted = match measure {
                Measure::Rows => true,
                Measure::Distinct(column) => {
                    let token = self.throwaway.token_of(&[
                        group.0.as_bytes(),
                        &group.1.unwrap_or(0).to_be_bytes(),
                        &day.to_be_bytes(),
                        text(of(&values, column)).as_bytes(),
                    ]);
                    self.distinct.insert((at, token))
                }
                Measure::Age(column, low, high) => {
                    age(of(&values, column), day).is_some_and(|age| (*low..=*high).contains(&age))
                }
            };
            place[at] += i64::from(counted);
        }
        Ok(true)
    }

    fn group(&self, values: &[(&Column, Value<'_>)]) -> Result<Group, Refused> {
        let county = match (&self.contract.county, of(values, "county")) {
            (Some(county), _) => county.clone(),
            (None, found) => text(found),
        };
        let mut position = (None, None);
        for (column, found) in values {
            match (column.kind, found) {
                (ColumnType::Lon, Value::Float(lon)) => position.0 = Some(*lon),
                (ColumnType::Lat, Value::Float(lat)) => position.1 = Some(*lat),
                (ColumnType::Point, Value::Point(lon, lat)) => position = (Some(*lon), Some(*lat)),
                _ => {}
            }
        }
        let county_only = self
            .counts
            .county_only
            .as_ref()
            .is_some_and(|(column, kinds)| kinds.contains(&text(of(values, column))));
        let place = position
            .0
            .zip(position.1)
            .map(|(lon, lat)| self.contract.crs.to_wgs84(lon, lat));
        if let (Some((lon, lat)), Some([west, south, east, north])) = (place, self.contract.bounds)
            && !((west..=east).contains(&lon) && (south..=north).contains(&lat))
            && let Some((column, _)) = values.iter().find(|(column, _)| column.kind.is_position())
        {
            return Err(refused(column, crate::contract::Reason::Range, ""));
        }
        let cell = if county_only {
            None
        } else {
            place.and_then(|(lon, lat)| cell::cell(lon, lat, CELL_RESOLUTION))
        };
        let Value::Int(day) = of(values, &self.counts.month) else {
            let column = values.iter().find(|(column, _)| column.name == self.counts.month);
            return match column {
                Some((column, _)) => Err(refused(column, crate::contract::Reason::Missing, "")),
                None => Ok((county, cell, 0)),
            };
        };
        let month = i32::try_from(day)
            .ok()
            .and_then(calendar::date)
            .and_then(|date| date.with_day(1))
            .map_or(0, calendar::days);
        Ok((county, cell, month))
    }

    /// The counts as rows of the table.
    pub(super) fn finish(self, schema: SchemaRef, batch: &str, ingested_at: i64) -> Result<RecordBatch> {
        use std::sync::Arc;
        let rows = self.groups.len();
        let groups = || self.groups.keys();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(groups().map(|group| &group.0))),
            Arc::new(Int64Array::from_iter(groups().map(|group| group.1))),
            Arc::new(Date32Array::from_iter_values(groups().map(|group| group.2))),
        ];
        for at in 0..self.counts.measures.len() {
            columns.push(Arc::new(Int64Array::from_iter_values(
                self.groups.values().map(|measures| measures[at]),
            )));
        }
        let instants = || Arc::new(TimestampMicrosecondArray::from_value(ingested_at, rows).with_timezone("UTC"));
        let keys = groups().map(|group| {
            self.row_key.token_of(&[
                group.0.as_bytes(),
                &group.1.unwrap_or(0).to_be_bytes(),
                &group.2.to_be_bytes(),
                batch.as_bytes(),
            ])
        });
        columns.push(instants());
        columns.push(instants());
        columns.push(Arc::new(StringArray::from(vec![batch; rows])));
        columns.push(Arc::new(Int64Array::new_null(rows)));
        columns.push(Arc::new(Int64Array::from_iter_values(keys)));
        RecordBatch::try_new(schema, columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
    }
}

/// The value of a column.
fn of<'v>(values: &[(&Column, Value<'v>)], name: &str) -> Value<'v> {
    values
        .iter()
        .find(|(column, _)| column.name == name)
        .map_or(Value::Null, |(_, found)| *found)
}

fn text(found: Value<'_>) -> String {
    match found {
        Value::Text(text) => text.to_owned(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Completed years between a birth date and a reference day.
fn age(birth: Value<'_>, day: i32) -> Option<i32> {
    let Value::Int(birth) = birth else { return None };
    let birth = calendar::date(i32::try_from(birth).ok()?)?;
    let day = calendar::date(day)?;
    let before = (day.month(), day.day()) < (birth.month(), birth.day());
    Some(day.year() - birth.year() - i32::from(before))
}
