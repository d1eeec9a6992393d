//! The frame of functions over all rows of a partition: `name(…, {options}) OVER (PARTITION BY … ORDER BY …)`. The frame of
//! the window changes nothing.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

use super::gathered::{Columns, coerced, literal};
use super::options::Options;

/// A function over a partition.
pub(super) trait Whole: Debug + Send + Sync + Sized + 'static {
    /// Its name.
    const NAME: &'static str;
    /// The ways to call it.
    const FORMS: &'static [Columns];
    /// The names of its options.
    fn options() -> Vec<&'static str>;

    /// Reads them.
    ///
    /// # Errors
    /// A plan error naming function and option.
    fn of(options: &Options) -> Result<Self>;

    /// The type of a row's answer.
    fn returns() -> DataType;

    /// An answer for each row.
    ///
    /// # Errors
    /// As the answer cannot be put together.
    fn answer(&self, columns: &[ArrayRef]) -> Result<ArrayRef>;
}

/// Such a function as `DataFusion` sees it.
#[derive(Debug)]
pub(super) struct Over<W> {
    signature: Signature,
    whole: PhantomData<W>,
}

impl<W: Whole> Over<W> {
    /// The function as a session registers it.
    pub(super) fn udwf() -> WindowUDF {
        WindowUDF::from(Over::<W> {
            signature: Signature::user_defined(Volatility::Immutable),
            whole: PhantomData,
        })
    }
}

impl<W> PartialEq for Over<W> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<W> Eq for Over<W> {}

impl<W: Whole> Hash for Over<W> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        W::NAME.hash(state);
    }
}

impl<W: Whole> WindowUDFImpl for Over<W> {
    fn name(&self) -> &str {
        W::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        coerced(W::NAME, W::FORMS, found)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), W::returns(), true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let types: Vec<DataType> = args
            .input_fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let options = literal(W::NAME, &types, args.input_exprs())?;
        Ok(Box::new(Evaluator(W::of(&Options::read(
            W::NAME,
            &W::options(),
            options.as_ref(),
        )?)?)))
    }
}

#[derive(Debug)]
struct Evaluator<W>(W);

impl<W: Whole> PartitionEvaluator for Evaluator<W> {
    fn evaluate_all(&mut self, columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
        self.0.answer(columns)
    }

    fn evaluate(&mut self, columns: &[ArrayRef], range: &std::ops::Range<usize>) -> Result<ScalarValue> {
        // a partition is answered as a whole: the engine asks for it so, since no bounded execution is offered
        ScalarValue::try_from_array(&self.0.answer(columns)?, range.start)
    }
}
