//! The frame all scalar functions share: signature, coercion, and arrays in, array out.
//!
//! A function is a form, a result type, a check of its constants and a kernel over whole arrays.
//! The frame is deliberately not open to functions that keep state, look at the session or answer
//! differently each time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::params::Form;

/// Computes one array from arrays of equal length, already of the types of the form.
pub(super) type Kernel = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// Refuses constants that can never be right; `None` stands for an argument that is no constant.
pub(super) type Check = fn(&[Option<&ScalarValue>]) -> Result<()>;

/// What a file of this module declares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub form: Form,
    pub returns: fn() -> DataType,
    pub check: Check,
    pub kernel: Kernel,
}

impl Function {
    /// The function as `DataFusion` registers it.
    pub(super) fn into_udf(self) -> ScalarUDF {
        ScalarUDF::from(Scalar {
            function: self,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }
}

/// The check of a function without constant options.
pub(super) fn no_constants(_: &[Option<&ScalarValue>]) -> Result<()> {
    Ok(())
}

#[derive(Debug)]
struct Scalar {
    function: Function,
    signature: Signature,
}

// names are unique in register.rs, while addresses of functions need not be
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.function.form == other.function.form
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.form.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.function.form.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.form.coerce(arg_types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok((self.function.returns)())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        (self.function.check)(args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.name(), (self.function.returns)(), true)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let answer = (self.function.kernel)(&arrays)?;
        if constant {
            // the arrays held one row; DataFusion repeats it as often as needed
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(answer))
    }
}

/// The rows in which every argument has a value; `None` if that is all of them.
pub(super) fn present(arrays: &[ArrayRef]) -> Option<NullBuffer> {
    arrays
        .iter()
        .fold(None, |nulls, array| NullBuffer::union(nulls.as_ref(), array.nulls()))
}

/// Calls `row` for every row in which all arguments have a value; `None` elsewhere.
pub(super) fn rows<T>(arrays: &[ArrayRef], mut row: impl FnMut(usize) -> Option<T>) -> impl Iterator<Item = Option<T>> {
    let length = arrays.first().map_or(0, |array| array.len());
    let present = present(arrays);
    (0..length).map(move |i| {
        if present.as_ref().is_none_or(|present| present.is_valid(i)) {
            row(i)
        } else {
            None
        }
    })
}

/// STRUCT of two DOUBLE fields.
pub(super) fn pair_type(first: &str, second: &str) -> DataType {
    DataType::Struct(pair_fields(first, second))
}

/// A struct array of [`pair_type`]; a missing pair is a NULL struct with NULL fields.
///
/// The fields are NULL as well because `get_field` takes a child without looking at its parent.
///
/// # Errors
/// None in practice: the children have one length and the types of the fields.
pub(super) fn pairs(first: &str, second: &str, rows: impl Iterator<Item = Option<(f64, f64)>>) -> Result<ArrayRef> {
    let (mut firsts, mut seconds, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (a, b) = row.unwrap_or_default();
        firsts.push(a);
        seconds.push(b);
        valid.push(row.is_some());
    }
    let nulls = NullBuffer::from(valid);
    let child = |values: Vec<f64>| Arc::new(Float64Array::new(values.into(), Some(nulls.clone()))) as ArrayRef;
    let children = vec![child(firsts), child(seconds)];
    Ok(Arc::new(StructArray::try_new(
        pair_fields(first, second),
        children,
        Some(nulls),
    )?))
}

fn pair_fields(first: &str, second: &str) -> Fields {
    Fields::from(vec![
        Field::new(first, DataType::Float64, true),
        Field::new(second, DataType::Float64, true),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_any_missing_argument_is_not_computed() {
        let a: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0)]));
        let b: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), None]));
        let seen: Vec<Option<usize>> = rows(&[a, b], Some).collect();
        assert_eq!(seen, vec![Some(0), None, None]);
    }

    #[test]
    fn a_missing_pair_is_missing_in_the_struct_and_in_its_fields() {
        let array = pairs("lon", "lat", [Some((1.0, 2.0)), None].into_iter()).unwrap();
        assert_eq!(array.data_type(), &pair_type("lon", "lat"));
        let pairs = array.as_any().downcast_ref::<StructArray>().unwrap();
        assert_eq!(
            (
                pairs.null_count(),
                pairs.column(0).null_count(),
                pairs.column(1).null_count()
            ),
            (1, 1, 1)
        );
    }
}
