//! The frame of functions over sets: aggregates that gather all rows of a group and answer with a LIST<STRUCT>.
//!
//! `SELECT kind, unnest(gi_star(cell, n)) FROM … GROUP BY kind`. The rows are put into one order before they are
//! answered, so that partitions and the order of arrival change nothing. Options are one struct literal after the
//! columns. A group without rows is NULL.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayData, ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use datafusion::physical_expr::PhysicalExpr;

use super::options::Options;
use super::params::{constant, refused};
use crate::stat::stop::Stop;

/// Parts that a group is held in before they are joined.
const MOST_PARTS: usize = 64;

/// With what a long answer is worked out.
#[derive(Debug, Clone)]
pub struct Work {
    /// Whether it is to stop.
    pub stop: Stop,
    /// Threads that it may use; no answer depends on them.
    pub threads: usize,
}

impl Default for Work {
    fn default() -> Work {
        Work {
            stop: Stop::default(),
            threads: 1,
        }
    }
}

/// What a column may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// BIGINT or VARCHAR: what names a unit.
    Id,
    /// BIGINT or DATE.
    Day,
    /// BIGINT.
    Whole,
    /// DOUBLE.
    Number,
    /// VARCHAR.
    Text,
    /// BOOLEAN.
    Flag,
    /// LIST of BIGINT.
    Ids,
    /// LIST of DOUBLE.
    Numbers,
}

impl Of {
    /// The type to cast to.
    fn accept(self, found: &DataType) -> Option<DataType> {
        let item = |kind| DataType::List(Arc::new(Field::new_list_field(kind, true)));
        let of_list = |found: &DataType| match found {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                field.data_type().is_numeric() || field.data_type().is_null()
            }
            other => other.is_null(),
        };
        match self {
            Of::Id if found.is_string() => Some(DataType::Utf8),
            Of::Id | Of::Whole if found.is_integer() || found.is_null() => Some(DataType::Int64),
            Of::Day if found.is_integer() || found.is_null() || *found == DataType::Date32 => Some(DataType::Int64),
            Of::Number if found.is_numeric() || found.is_null() => Some(DataType::Float64),
            Of::Flag if *found == DataType::Boolean => Some(DataType::Boolean),
            Of::Text if found.is_string() || found.is_null() => Some(DataType::Utf8),
            Of::Ids if of_list(found) => Some(item(DataType::Int64)),
            Of::Numbers if of_list(found) => Some(item(DataType::Float64)),
            _ => None,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Of::Id => "BIGINT or VARCHAR",
            Of::Day => "BIGINT or DATE",
            Of::Whole => "BIGINT",
            Of::Number => "DOUBLE",
            Of::Text => "VARCHAR",
            Of::Flag => "BOOLEAN",
            Of::Ids => "LIST<BIGINT>",
            Of::Numbers => "LIST<DOUBLE>",
        }
    }
}

/// The columns of one way to call a function.
pub(super) type Columns = &'static [(&'static str, Of)];

/// A function over sets.
pub(super) trait Set: Debug + Send + Sync + Sized + 'static {
    /// Its name.
    const NAME: &'static str;
    /// The ways to call it.
    const FORMS: &'static [Columns];
    /// Its options.
    const OPTIONS: &'static [&'static str];

    /// Reads the options; `form` is the way it is called.
    ///
    /// # Errors
    /// A plan error naming function and option.
    fn of(options: &Options, form: usize) -> Result<Self>;

    /// The fields of an answer; `types` are those of the columns.
    fn fields(types: &[DataType]) -> Fields;

    /// The columns of the answer's rows.
    ///
    /// # Errors
    /// What is wrong with the rows.
    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>>;
}

/// What is wrong with the rows of a call.
pub(super) fn wrong(name: &str, expected: &str, found: &str) -> DataFusionError {
    DataFusionError::Execution(format!("{name}: expected {expected}, found {found}"))
}

/// That work was told to stop.
pub(super) fn stopped(name: &str) -> DataFusionError {
    DataFusionError::Execution(format!("{name}: told to stop"))
}

/// A call as it was resolved: the way of calling, and the types of its columns.
fn resolve(name: &str, forms: &[Columns], found: &[DataType]) -> Result<(usize, Vec<DataType>)> {
    let columns = &found[..found.len() - usize::from(has_options(found))];
    for (form, params) in forms.iter().enumerate() {
        if params.len() == columns.len() {
            let types = params.iter().zip(columns).map(|((_, of), found)| of.accept(found));
            if let Some(types) = types.collect() {
                return Ok((form, types));
            }
        }
    }
    let form = |params: &Columns| {
        let params = params.iter().map(|(name, of)| format!("{name} {}", of.sql()));
        let params: Vec<String> = params.chain(["{options}".to_owned()]).collect();
        format!("{name}({})", params.join(", "))
    };
    let forms: Vec<String> = forms.iter().map(form).collect();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(refused(
        name,
        &forms.join(" or "),
        &format!("{name}({})", found.join(", ")),
    ))
}

fn has_options(types: &[DataType]) -> bool {
    matches!(types.last(), Some(DataType::Struct(_)))
}

/// The types that the arguments of a call are cast to.
///
/// # Errors
/// A plan error with the ways to call the function and the types found.
pub(super) fn coerced(name: &str, forms: &[Columns], found: &[DataType]) -> Result<Vec<DataType>> {
    let (_, mut types) = resolve(name, forms, found)?;
    types.extend(found.get(types.len()).cloned());
    Ok(types)
}

/// The options of a call, its last argument where that is a struct.
///
/// # Errors
/// A plan error where they are no constant.
pub(super) fn literal(
    name: &str,
    types: &[DataType],
    arguments: &[Arc<dyn PhysicalExpr>],
) -> Result<Option<ScalarValue>> {
    match arguments.last().filter(|_| has_options(types)) {
        None => Ok(None),
        Some(options) => {
            let none = || refused(name, "options as a constant", "an expression of columns");
            constant(options.as_ref()).map(Some).ok_or_else(none)
        }
    }
}

/// Such an aggregate as `DataFusion` sees it.
#[derive(Debug)]
pub(super) struct Gathered<S> {
    signature: Signature,
    work: Work,
    set: PhantomData<S>,
}

impl<S: Set> Gathered<S> {
    /// The aggregate as a session registers it.
    pub(super) fn udaf(work: &Work) -> AggregateUDF {
        AggregateUDF::from(Gathered::<S> {
            signature: Signature::user_defined(Volatility::Immutable),
            work: work.clone(),
            set: PhantomData,
        })
    }
}

impl<S> PartialEq for Gathered<S> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<S> Eq for Gathered<S> {}

impl<S: Set> Hash for Gathered<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        S::NAME.hash(state);
    }
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(item_of(fields))
}

fn item_of(fields: Fields) -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields), true))
}

/// The fields of the state: the columns as they came.
fn state_fields(types: &[DataType]) -> Fields {
    let column = |(at, kind): (usize, &DataType)| Field::new(format!("c{at}"), kind.clone(), true);
    types.iter().enumerate().map(column).collect()
}

impl<S: Set> AggregateUDFImpl for Gathered<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        coerced(S::NAME, S::FORMS, found)
    }

    fn return_type(&self, found: &[DataType]) -> Result<DataType> {
        let (_, types) = resolve(S::NAME, S::FORMS, found)?;
        Ok(list_of(S::fields(&types)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let found: Vec<DataType> = args
            .input_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let (_, types) = resolve(S::NAME, S::FORMS, &found)?;
        let name = format_state_name(args.name, "rows");
        Ok(vec![Arc::new(Field::new(name, list_of(state_fields(&types)), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(refused(S::NAME, "every row", "DISTINCT"));
        }
        let found: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let (form, types) = resolve(S::NAME, S::FORMS, &found)?;
        let literal = literal(S::NAME, &found, args.exprs)?;
        let options = Options::read(S::NAME, S::OPTIONS, literal.as_ref())?;
        Ok(Box::new(Rows::<S> {
            set: S::of(&options, form)?,
            types,
            parts: Vec::new(),
            bytes: 0,
            work: self.work.clone(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The rows of a group.
#[derive(Debug)]
struct Rows<S> {
    set: S,
    types: Vec<DataType>,
    /// Columns as they came, part after part.
    parts: Vec<Vec<ArrayRef>>,
    bytes: usize,
    work: Work,
}

impl<S: Set> Rows<S> {
    fn add(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        if columns.first().is_none_or(|column| column.is_empty()) {
            return Ok(());
        }
        self.bytes += held(&columns)?;
        self.parts.push(columns);
        // small parts cost more than what is in them; joined twice as large each time, rows are copied seldom
        if self.parts.len() > MOST_PARTS {
            let joined = self.whole()?;
            self.bytes = held(&joined)?;
            self.parts = vec![joined];
        }
        Ok(())
    }

    fn whole(&self) -> Result<Vec<ArrayRef>> {
        let column = |at: usize| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = self.parts.iter().map(|part| part[at].as_ref()).collect();
            Ok(concat(&parts)?)
        };
        (0..self.types.len()).map(column).collect()
    }
}

/// Bytes that columns hold: parts of groups are slices of what the rows of all groups came in.
fn held(columns: &[ArrayRef]) -> Result<usize> {
    let of = |column: &ArrayRef| Ok(column.to_data().get_slice_memory_size()? + size_of::<ArrayData>());
    columns.iter().map(of).sum()
}

/// Columns with their rows in one order, whichever they came in.
fn ordered(columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
    let taken = |order: Vec<u32>| {
        let order = UInt32Array::from(order);
        columns.iter().map(|column| Ok(take(column, &order, None)?)).collect()
    };
    // numbers that name their rows have one order, whatever else the rows say
    if let Some(first) = columns
        .first()
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        && first.null_count() == 0
    {
        if first.values().windows(2).all(|pair| pair[0] < pair[1]) {
            return Ok(columns);
        }
        let mut keys: Vec<(i64, u32)> = first.values().iter().copied().zip(0..).collect();
        keys.sort_unstable();
        if keys.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return taken(keys.into_iter().map(|(_, row)| row).collect());
        }
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    let rows = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
    let mut order: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    taken(order)
}

impl<S: Set> Accumulator for Rows<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values[..self.types.len()].to_vec())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let fields = S::fields(&self.types);
        if self.parts.is_empty() {
            return Ok(ScalarValue::new_null_list(DataType::Struct(fields), true, 1));
        }
        let columns = self.set.answer(&ordered(self.whole()?)?, &self.work)?;
        let rows = columns.first().map_or(0, |column| column.len());
        let answer = StructArray::try_new(fields.clone(), columns, None)?;
        let list = ListArray::try_new(
            item_of(fields),
            OffsetBuffer::from_lengths([rows]),
            Arc::new(answer),
            None,
        )?;
        Ok(ScalarValue::List(Arc::new(list)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let fields = state_fields(&self.types);
        if self.parts.is_empty() {
            return Ok(vec![ScalarValue::new_null_list(DataType::Struct(fields), true, 1)]);
        }
        let rows = StructArray::try_new(fields.clone(), self.whole()?, None)?;
        let offsets = OffsetBuffer::from_lengths([rows.len()]);
        let list = ListArray::try_new(item_of(fields), offsets, Arc::new(rows), None)?;
        self.parts.clear();
        self.bytes = 0;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first().and_then(|states| states.as_list_opt::<i32>()) else {
            return Err(DataFusionError::Internal(format!("{}: no states", S::NAME)));
        };
        for state in states.iter().flatten() {
            self.add(state.as_struct().columns().to_vec())?;
        }
        Ok(())
    }
}
