//! Detectors over series as SQL window functions: `name(slot, count, {options}) OVER (PARTITION BY … ORDER BY slot)`.
//!
//! A BOOLEAN after the count masks slots, those of `ref.change_log` for instance: a masked one counts nowhere, and what
//! needs it has the reason masked. The slot is an argument, since a window function sees the rows that are there and not those that are missing. Every
//! row gets a struct; what cannot be judged has NULL in place of numbers and alarm, and `reason` says why. The frame of
//! the window changes nothing. Options of every detector: `step`, by which slots are apart (1; 7 for weeks that are
//! named by a day), and `last`, the number of newest rows that are judged (all of them where it is 0); the rows before
//! are NULL.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanBuilder, Float64Builder, StringBuilder, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type};
use datafusion::error::Result;

use super::columns::whole;
use super::gathered::{Columns, Of};
use super::options::Options;
use super::partition::Whole;
use crate::stat::series::{Reason, Series};

/// Options that every detector has.
const COMMON: [&str; 2] = ["step", "last"];
/// A slot may be a microsecond; no step is longer than a century of them.
const LONGEST_STEP: i64 = 3_155_760_000_000_000;

/// A number of a verdict.
pub(super) type Number<V> = (&'static str, fn(&V) -> Option<f64>);

/// What judges the slots of a series.
pub(super) trait Detector: Debug + Send + Sync + Sized + Clone + 'static {
    /// The name of the function.
    const NAME: &'static str;
    /// Its own options.
    const OPTIONS: &'static [&'static str];

    /// Reads the options.
    ///
    /// # Errors
    /// A plan error naming function and option.
    fn of(options: &Options) -> Result<Self>;

    /// What is said of a slot.
    type Verdict: Copy;

    /// Its numbers, in their order; `alarm` and `reason` follow.
    const NUMBERS: &'static [Number<Self::Verdict>];

    /// The verdict on a row.
    ///
    /// # Errors
    /// Why there is none.
    fn at(&self, series: &Series, at: usize) -> std::result::Result<Self::Verdict, Reason>;

    /// The verdicts on all rows, for what follows a series from its beginning.
    fn all(&self, series: &Series, first: usize) -> Vec<std::result::Result<Self::Verdict, Reason>> {
        (first..series.len()).map(|at| self.at(series, at)).collect()
    }

    /// Whether the count is above the limit.
    fn alarm(verdict: &Self::Verdict) -> bool;

    /// What a verdict leaves out, in the place of a reason.
    fn note(_verdict: &Self::Verdict) -> Option<&'static str> {
        None
    }
}

/// The fields of a detector's struct.
fn fields<D: Detector>() -> Fields {
    let numbers = D::NUMBERS.iter();
    let numbers = numbers.map(|(name, _)| Field::new(*name, DataType::Float64, true));
    let rest = [
        Field::new("alarm", DataType::Boolean, true),
        Field::new("reason", DataType::Utf8, true),
    ];
    numbers.chain(rest).collect()
}

/// The verdicts on the rows from `first` on, a column for each field.
fn judged<D: Detector>(detector: &D, series: &Series, first: usize) -> Vec<ArrayRef> {
    let rows = series.len();
    let mut numbers: Vec<Float64Builder> = Vec::new();
    numbers.resize_with(D::NUMBERS.len(), || Float64Builder::with_capacity(rows));
    let (mut alarms, mut reasons) = (BooleanBuilder::with_capacity(rows), StringBuilder::new());
    let verdicts = detector.all(series, first);
    for at in 0..rows {
        let verdict = at.checked_sub(first).and_then(|at| verdicts.get(at).copied());
        let known = verdict.and_then(std::result::Result::ok);
        for ((_, of), builder) in D::NUMBERS.iter().zip(&mut numbers) {
            builder.append_option(known.as_ref().and_then(of));
        }
        alarms.append_option(known.as_ref().map(D::alarm));
        let why = verdict.and_then(std::result::Result::err).map(Reason::word);
        reasons.append_option(why.or_else(|| known.as_ref().and_then(D::note)));
    }
    let numbers = numbers
        .into_iter()
        .map(|mut numbers| Arc::new(numbers.finish()) as ArrayRef);
    let rest: [ArrayRef; 2] = [Arc::new(alarms.finish()), Arc::new(reasons.finish())];
    numbers.chain(rest).collect()
}

/// A detector with what every one has.
#[derive(Debug)]
pub(super) struct Judged<D> {
    detector: D,
    step: i64,
    last: usize,
}

impl<D: Detector> Whole for Judged<D> {
    const NAME: &'static str = D::NAME;
    const FORMS: &'static [Columns] = &[
        &[("slot", Of::Day), ("count", Of::Number)],
        &[("slot", Of::Day), ("count", Of::Number), ("masked", Of::Flag)],
    ];

    fn options() -> Vec<&'static str> {
        [D::OPTIONS, &COMMON].concat()
    }

    fn of(options: &Options) -> Result<Self> {
        let last = options.whole("last", 0, 0, i64::MAX)?;
        Ok(Judged {
            detector: D::of(options)?,
            step: options.whole("step", 1, 1, LONGEST_STEP)?,
            last: usize::try_from(last).unwrap_or(usize::MAX),
        })
    }

    fn returns() -> DataType {
        DataType::Struct(fields::<D>())
    }

    fn answer(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let slots = whole(D::NAME, "slot", &columns[0])?;
        let counts: Vec<Option<f64>> = columns[1].as_primitive::<Float64Type>().iter().collect();
        let masked = columns.get(2).and_then(|column| column.as_boolean_opt());
        let masked: Option<Vec<bool>> =
            masked.map(|masked| masked.iter().map(|masked| masked.unwrap_or(false)).collect());
        let series = Series::with_mask(&slots, &counts, masked.as_deref(), self.step);
        let rows = slots.len();
        let first = if self.last == 0 {
            0
        } else {
            rows.saturating_sub(self.last)
        };
        let asked = NullBuffer::from_iter((0..rows).map(|row| row >= first));
        let columns = judged(&self.detector, &series, first);
        Ok(Arc::new(StructArray::try_new(fields::<D>(), columns, Some(asked))?))
    }
}
