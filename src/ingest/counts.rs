//! Counting instead of landing: people become numbers per cell and month before anything is written.
//!
//! Register rows are told apart under a throw-away key that ends with the process; what is written
//! holds no key, no row, and no number for a single household.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasherDefault;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use chrono::Datelike;

use crate::contract::{Contract, Counts, Measure, Reason};
use crate::error::{Kind, Result, fail};
use crate::ingest::cells::{Cells, Values};
use crate::ingest::kernel::refused;
use crate::ingest::known::{AsIs, Identity, spread};
use crate::ingest::rows::{Refused, Rows};
use crate::protect::{MacKey, SiteKey};
use crate::time::calendar;

type Group = (String, Option<i64>, i32);

/// Sets that tokens are spread over: each grows alone, so that the old and the new place of a set that
/// doubles are small beside them all.
const SETS: usize = 64;

/// A set of tokens.
struct Tokens(Vec<HashSet<i64, BuildHasherDefault<AsIs>>>);

impl Tokens {
    fn new() -> Tokens {
        Tokens((0..SETS).map(|_| HashSet::default()).collect())
    }

    /// Adds a token; whether it is new.
    fn insert(&mut self, token: i64) -> bool {
        // bits that place a token inside its set are others
        let set = (spread(token.cast_unsigned()) >> 40) as usize % SETS;
        self.0[set].insert(token)
    }
}

/// One measure with the place of its column.
enum Counted {
    Rows,
    Distinct(usize),
    Age(usize, i32, i32),
}

/// Counts the rows of one file.
pub(super) struct Tally {
    counts: Counts,
    measures: Vec<Counted>,
    month: Option<usize>,
    county: Option<usize>,
    county_only: Option<usize>,
    row_key: MacKey,
    seen: Tokens,
    distinct: Tokens,
    groups: BTreeMap<Group, Vec<i64>>,
}

impl Tally {
    pub(super) fn new(contract: &Contract, counts: Counts, key: &SiteKey) -> Tally {
        let at = |name: &str| contract.columns.iter().position(|column| column.name == name);
        let of = |(_, measure): &(String, Measure)| match measure {
            Measure::Rows => Counted::Rows,
            Measure::Distinct(column) => Counted::Distinct(at(column).unwrap_or(usize::MAX)),
            Measure::Age(column, low, high) => Counted::Age(at(column).unwrap_or(usize::MAX), *low, *high),
        };
        Tally {
            measures: counts.measures.iter().map(of).collect(),
            month: at(&counts.month),
            county: at("county"),
            county_only: counts.county_only.as_ref().and_then(|(column, _)| at(column)),
            counts,
            row_key: key.purpose(&format!("row/{}/{}", contract.into, contract.system)),
            seen: Tokens::new(),
            distinct: Tokens::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Counts the rows of a group that stay; rows counted, and rows counted before.
    pub(super) fn add(
        &mut self,
        contract: &Contract,
        cells: &[Cells],
        rows: &Rows<'_>,
        mut refuse: impl FnMut(u32, Refused),
    ) -> (u64, u64) {
        let (mut counted, mut before) = (0, 0);
        for row in &rows.good {
            let Some(group) = self.group(contract, cells, rows, *row) else {
                // a row that is refused must not stand in the way of the person's correct one
                let column = self.month.map(|at| &contract.columns[at]);
                if let Some(column) = column {
                    refuse(rows.line[*row as usize], refused(column, Reason::Missing, ""));
                }
                continue;
            };
            let (Identity::Key(identity) | Identity::Content(identity)) = rows.identity[*row as usize];
            if !self.seen.insert(identity) {
                before += 1;
                continue;
            }
            counted += 1;
            self.count(cells, *row as usize, group);
        }
        (counted, before)
    }

    fn count(&mut self, cells: &[Cells], row: usize, group: Group) {
        let (cell, day) = (group.1.unwrap_or(0), group.2);
        let county = group.0.bytes().fold(0u64, |sum, byte| spread(sum ^ u64::from(byte)));
        let place = self.groups.entry(group).or_insert_with(|| vec![0; self.measures.len()]);
        for ((at, measure), sum) in self.measures.iter().enumerate().zip(place) {
            let counts = match measure {
                Counted::Rows => true,
                Counted::Distinct(column) => {
                    let value = cells.get(*column).and_then(|cells| value(cells, row)).unwrap_or(0);
                    let day = u64::from(day.cast_unsigned()) << 8 | at as u64;
                    let place = spread(spread(cell.cast_unsigned() ^ county) ^ day);
                    self.distinct.insert(spread(value ^ place).cast_signed())
                }
                Counted::Age(column, low, high) => {
                    let birth = cells.get(*column).and_then(|cells| cells.int(row));
                    birth
                        .and_then(|birth| age(birth, day))
                        .is_some_and(|age| (*low..=*high).contains(&age))
                }
            };
            *sum += i64::from(counts);
        }
    }

    fn group(&self, contract: &Contract, cells: &[Cells], rows: &Rows<'_>, row: u32) -> Option<Group> {
        let at = row as usize;
        let county = match (&contract.county, self.county) {
            (Some(county), _) => county.clone(),
            (None, column) => column.map(|column| text(&cells[column], at)).unwrap_or_default(),
        };
        let county_only = match (&self.counts.county_only, self.county_only) {
            (Some((_, kinds)), Some(column)) => kinds.contains(&text(&cells[column], at)),
            _ => false,
        };
        let cell = rows.cell(row).filter(|_| !county_only);
        let month = match self.month {
            None => 0,
            Some(column) => {
                let date = calendar::date(i32::try_from(cells[column].int(at)?).ok()?)?;
                calendar::days(date.with_day(1)?)
            }
        };
        Some((county, cell, month))
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

/// A value as a number that tells it apart: tokens as they are, texts spread.
fn value(cells: &Cells, row: usize) -> Option<u64> {
    match &cells.values {
        Values::Text(..) => {
            let text = cells.text(row)?;
            Some(text.bytes().fold(1, |sum, byte| spread(sum ^ u64::from(byte))))
        }
        _ => cells.int(row).map(i64::cast_unsigned),
    }
}

fn text(cells: &Cells, row: usize) -> String {
    match cells.text(row) {
        Some(text) => text.to_owned(),
        None => cells.int(row).map_or_else(String::new, |number| number.to_string()),
    }
}

/// Completed years between a birth date and a reference day.
fn age(birth: i64, day: i32) -> Option<i32> {
    let birth = calendar::date(i32::try_from(birth).ok()?)?;
    let day = calendar::date(day)?;
    let before = (day.month(), day.day()) < (birth.month(), birth.day());
    Some(day.year() - birth.year() - i32::from(before))
}
