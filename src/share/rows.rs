//! Rows of a share's SELECT as counts, and decided counts as rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema};

use crate::error::{Kind, Result, fail};
use crate::share::Share;
use crate::share::gate::{Counts, Decided, Key};
use crate::share::memory::{Block, Memory};
use crate::time::calendar;

/// The column that parts a table of counts.
pub(super) const MONTH: &str = "biz_month";
/// The column that says whether a count is hidden.
pub(super) const HIDDEN: &str = "hidden";

/// The columns of a share of counts by their roles.
#[derive(Debug)]
pub(super) struct Columns<'s> {
    share: &'s Share,
    period: &'s str,
    count: &'s str,
}

/// The count that a row shows.
fn value(decided: &Decided) -> Option<i64> {
    i64::try_from(decided.value).ok().filter(|_| !decided.hidden)
}

/// One row to show; no county stands for all.
pub(super) type Shown = (Option<String>, i32, Key, Decided);

impl<'s> Columns<'s> {
    /// `None` for a share that counts nothing.
    pub(super) fn of(share: &'s Share) -> Option<Columns<'s>> {
        Some(Columns {
            share,
            period: share.file.period.as_deref()?,
            count: share.file.count.as_deref()?,
        })
    }

    fn column(&self, batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef> {
        let missing = || fail(Kind::Input, "share_column", &[&self.share.sql.path, &name]);
        let column = batch.column_by_name(name).ok_or_else(missing)?;
        let column = cast(column, kind).map_err(|cause| missing().because(cause))?;
        match column.null_count() {
            0 => Ok(column),
            rows => Err(fail(Kind::Input, "share_null", &[&self.share.sql.path, &rows, &name])),
        }
    }

    /// Takes the rows of a batch in.
    ///
    /// # Errors
    /// `Input` for a column that is missing, of another type or without a value, and for two rows of one key.
    pub(super) fn take(&self, batch: &RecordBatch, blocks: &mut BTreeMap<Block, Counts>) -> Result<()> {
        let county = self.column(batch, &self.share.file.county, &DataType::Utf8)?;
        let period = self.column(batch, self.period, &DataType::Date32)?;
        let count = self.column(batch, self.count, &DataType::Int64)?;
        let dims = self.share.file.dims.iter();
        let dims: Vec<ArrayRef> = dims
            .map(|name| self.column(batch, name, &DataType::Utf8))
            .collect::<Result<_>>()?;
        let (county, period) = (county.as_string::<i32>(), period.as_primitive::<Date32Type>());
        let count = count.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let key: Key = dims
                .iter()
                .map(|column| Some(column.as_string::<i32>().value(row).to_owned()))
                .collect();
            let value = u64::try_from(count.value(row))
                .map_err(|_| fail(Kind::Input, "share_negative", &[&self.share.sql.path, &self.count]))?;
            let block = blocks
                .entry((county.value(row).to_owned(), period.value(row)))
                .or_default();
            if value > 0 && block.insert(key, value).is_some() {
                return Err(fail(Kind::Input, "share_twice", &[&self.share.sql.path]));
            }
        }
        Ok(())
    }

    /// The rows of each county in the published table that are not as they were decided once.
    ///
    /// # Errors
    /// `Bug` for a table of another shape.
    pub(super) fn unlike(&self, batch: &RecordBatch, memory: &Memory) -> Result<u64> {
        let broken = || fail(Kind::Bug, "batch_shape", &[]);
        let column = |name: &str, kind: &DataType| -> Result<ArrayRef> {
            let column = batch.column_by_name(name).ok_or_else(broken)?;
            cast(column, kind).map_err(|cause| broken().because(cause))
        };
        let county = column(&self.share.file.county, &DataType::Utf8)?;
        let (period, count) = (
            column(self.period, &DataType::Date32)?,
            column(self.count, &DataType::Int64)?,
        );
        let hidden = column(HIDDEN, &DataType::Boolean)?;
        let dims = self.share.file.dims.iter();
        let dims: Vec<ArrayRef> = dims.map(|name| column(name, &DataType::Utf8)).collect::<Result<_>>()?;
        let (county, period) = (county.as_string::<i32>(), period.as_primitive::<Date32Type>());
        let (count, hidden) = (count.as_primitive::<Int64Type>(), hidden.as_boolean());
        let mut unlike = 0;
        // totals of the city are sums of these
        for row in (0..batch.num_rows()).filter(|row| county.is_valid(*row)) {
            let block = (county.value(row).to_owned(), period.value(row));
            let text = |column: &ArrayRef| {
                column
                    .is_valid(row)
                    .then(|| column.as_string::<i32>().value(row).to_owned())
            };
            let key: Key = dims.iter().map(text).collect();
            let shown = count.is_valid(row).then(|| count.value(row));
            // a release that was taken back shows what was decided before
            let mut decided = memory
                .blocks
                .get(&block)
                .into_iter()
                .flatten()
                .filter_map(|epoch| epoch.get(&key));
            let like = decided.any(|decided| decided.hidden == hidden.value(row) && shown == value(decided));
            unlike += u64::from(!like);
        }
        Ok(unlike)
    }

    /// The columns of the table: `whole` are those of dims that are numbers.
    pub(super) fn schema(&self, whole: &[bool]) -> Schema {
        let mut fields = vec![
            Field::new(&self.share.file.county, DataType::Utf8, true),
            Field::new(self.period, DataType::Date32, true),
        ];
        for (name, whole) in self.share.file.dims.iter().zip(whole) {
            let kind = if *whole { DataType::Int64 } else { DataType::Utf8 };
            fields.push(Field::new(name, kind, true));
        }
        fields.push(Field::new(self.count, DataType::Int64, true));
        fields.push(Field::new(HIDDEN, DataType::Boolean, true));
        fields.push(Field::new(MONTH, DataType::Utf8, true));
        Schema::new(fields)
    }

    /// Rows in the columns of the table; a hidden count is empty.
    pub(super) fn batch(&self, rows: &[Shown], whole: &[bool]) -> Result<RecordBatch> {
        let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter(rows.iter().map(|(county, ..)| county.clone()))),
            Arc::new(Date32Array::from_iter_values(
                rows.iter().map(|(_, period, ..)| *period),
            )),
        ];
        for (at, whole) in whole.iter().enumerate() {
            let texts = StringArray::from_iter(rows.iter().map(|(_, _, key, _)| key[at].clone()));
            let texts: ArrayRef = Arc::new(texts);
            columns.push(if *whole {
                cast(&texts, &DataType::Int64).map_err(broken)?
            } else {
                texts
            });
        }
        columns.push(Arc::new(Int64Array::from_iter(
            rows.iter().map(|(.., decided)| value(decided)),
        )));
        columns.push(Arc::new(BooleanArray::from_iter(
            rows.iter().map(|(.., decided)| Some(decided.hidden)),
        )));
        let months = rows.iter().map(|(_, period, ..)| calendar::month(*period));
        columns.push(Arc::new(StringArray::from_iter_values(months)));
        RecordBatch::try_new(Arc::new(self.schema(whole)), columns).map_err(broken)
    }

    /// Which dims are numbers in the rows of the SELECT.
    pub(super) fn whole(&self, schema: &Schema) -> Vec<bool> {
        let is_number = |name: &String| {
            schema
                .field_with_name(name)
                .is_ok_and(|field| field.data_type().is_integer())
        };
        self.share.file.dims.iter().map(is_number).collect()
    }

    /// What tells its counts apart, which totals it shows, and the least count.
    pub(super) fn shape(&self) -> String {
        let file = &self.share.file;
        format!(
            "{} by {:?} over {:?} from {}",
            self.count, file.dims, file.totals, file.k
        )
    }

    /// Refuses a share of another shape than what was published under its name: what readers hold would no longer be
    /// seen for what it is.
    ///
    /// # Errors
    /// `Input` with what to do.
    pub(super) fn as_before(&self, memory: &Memory) -> Result<()> {
        let shape = self.shape();
        match memory.shapes.iter().find(|known| **known != shape) {
            None => Ok(()),
            Some(known) => {
                let name = &self.share.name;
                let words: [&dyn std::fmt::Display; 3] = [name, known, &shape];
                Err(fail(Kind::Input, "share_changed", &words).hint("share_changed_hint", &[name]))
            }
        }
    }

    /// The totals of one county, by the places of the columns that they are taken over.
    pub(super) fn totals(&self) -> Vec<Vec<usize>> {
        let own = self.share.file.totals.iter();
        own.filter(|total| !total.contains(&self.share.file.county))
            .map(|total| self.places(total))
            .collect()
    }

    /// The totals of all counties.
    pub(super) fn totals_of_all(&self) -> Vec<Vec<usize>> {
        let all = self.share.file.totals.iter();
        all.filter(|total| total.contains(&self.share.file.county))
            .map(|total| self.places(total))
            .collect()
    }

    fn places(&self, total: &[String]) -> Vec<usize> {
        let dims = &self.share.file.dims;
        total
            .iter()
            .filter_map(|name| dims.iter().position(|dim| dim == name))
            .collect()
    }
}
