//! Detectors over series as SQL window functions: `name(slot, count, {options}) OVER (PARTITION BY … ORDER BY slot)`.
//!
//! A BOOLEAN after the count masks slots, those of `ref.change_log` for instance: a masked one counts nowhere, and what
//! needs it has the reason masked. The slot is an argument, since a window function sees the rows that are there and not those that are missing. Every
//! row gets a struct; what cannot be judged has NULL in place of numbers and alarm, and `reason` says why. The frame of
//! the window changes nothing. Options of every detector: `step`, by which slots are apart (1; 7 for weeks that are
//! named by a day), and `last`, the number of newest rows that are judged (all of them where it is 0); the rows before
//! are NULL.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, StringBuilder, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_int64_array};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

use super::gathered::literal;
use super::options::Options;
use super::params::refused;
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

/// Such a function as `DataFusion` sees it.
#[derive(Debug)]
pub(super) struct Windowed<D> {
    signature: Signature,
    detector: PhantomData<D>,
}

impl<D: Detector> Windowed<D> {
    /// The function as the session registers it.
    pub(super) fn udwf() -> WindowUDF {
        WindowUDF::from(Windowed::<D> {
            signature: Signature::user_defined(Volatility::Immutable),
            detector: PhantomData,
        })
    }
}

impl<D> PartialEq for Windowed<D> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<D> Eq for Windowed<D> {}

impl<D: Detector> Hash for Windowed<D> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        D::NAME.hash(state);
    }
}

impl<D: Detector> WindowUDFImpl for Windowed<D> {
    fn name(&self) -> &str {
        D::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let slot = |found: &DataType| found.is_integer() || found.is_null() || *found == DataType::Date32;
        let count = |found: &DataType| found.is_numeric() || found.is_null();
        let options = |found: &DataType| matches!(found, DataType::Struct(_)) || found.is_null();
        match found {
            [a, b] if slot(a) && count(b) => Ok(vec![DataType::Int64, DataType::Float64]),
            [a, b, c] if slot(a) && count(b) && *c == DataType::Boolean => {
                Ok(vec![DataType::Int64, DataType::Float64, DataType::Boolean])
            }
            [a, b, c] if slot(a) && count(b) && options(c) => Ok(vec![DataType::Int64, DataType::Float64, c.clone()]),
            [a, b, c, d] if slot(a) && count(b) && *c == DataType::Boolean && options(d) => {
                Ok(vec![DataType::Int64, DataType::Float64, DataType::Boolean, d.clone()])
            }
            _ => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                let name = D::NAME;
                let expected = format!("{name}(slot BIGINT or DATE, count, masked BOOLEAN, {{options}})");
                Err(refused(name, &expected, &format!("{name}({})", found.join(", "))))
            }
        }
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Struct(fields::<D>()), true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let types: Vec<DataType> = args
            .input_fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let literal = literal(D::NAME, &types, args.input_exprs())?;
        let options = Options::read(D::NAME, &[D::OPTIONS, &COMMON].concat(), literal.as_ref())?;
        let last = options.whole("last", 0, 0, i64::MAX)?;
        Ok(Box::new(Evaluator {
            detector: D::of(&options)?,
            step: options.whole("step", 1, 1, LONGEST_STEP)?,
            last: usize::try_from(last).unwrap_or(usize::MAX),
        }))
    }
}

#[derive(Debug)]
struct Evaluator<D> {
    detector: D,
    step: i64,
    last: usize,
}

impl<D: Detector> PartitionEvaluator for Evaluator<D> {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let [slots, counts, rest @ ..] = values else {
            return Err(DataFusionError::Internal(format!("{}: no arguments", D::NAME)));
        };
        let (slots, counts) = (as_int64_array(slots)?, as_float64_array(counts)?);
        if slots.null_count() > 0 {
            let name = D::NAME;
            return Err(DataFusionError::Execution(format!(
                "{name}: expected a slot in every row, found NULL"
            )));
        }
        let counts: Vec<Option<f64>> = counts.iter().collect();
        let masked = rest.first().and_then(|column| column.as_boolean_opt());
        let masked: Option<Vec<bool>> =
            masked.map(|masked| masked.iter().map(|masked| masked.unwrap_or(false)).collect());
        let series = Series::with_mask(slots.values(), &counts, masked.as_deref(), self.step);
        let first = if self.last == 0 {
            0
        } else {
            rows.saturating_sub(self.last)
        };
        let asked = NullBuffer::from_iter((0..rows).map(|row| row >= first));
        let columns = judged(&self.detector, &series, first);
        Ok(Arc::new(StructArray::try_new(fields::<D>(), columns, Some(asked))?))
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &std::ops::Range<usize>) -> Result<ScalarValue> {
        // a series is judged as a whole: the engine asks for it so, since no bounded execution is offered
        let rows = values.first().map_or(0, |values| values.len());
        ScalarValue::try_from_array(&self.evaluate_all(values, rows)?, range.start)
    }
}
