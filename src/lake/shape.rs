//! The columns of tables: the types they are stored in, and batches brought to them.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::error::{Kind, Result, fail};

/// The schema as tables store it: no views, no dictionaries, instants in UTC microseconds.
pub fn storable(schema: &Schema) -> Schema {
    Schema::new(
        schema
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), storable_type(field.data_type()), true))
            .collect::<Vec<_>>(),
    )
}

fn storable_type(found: &DataType) -> DataType {
    match found {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => storable_type(value),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.clone(),
    }
}

/// The batch in exactly this schema, columns by their names. A value that does not fit is an error,
/// never NULL.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let broken = |cause: ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = batch.column(batch.schema_ref().index_of(field.name()).map_err(broken)?);
        columns.push(cast_with_options(column, field.data_type(), &options).map_err(broken)?);
    }
    RecordBatch::try_new(schema.clone(), columns).map_err(broken)
}

/// Whether two schemas have the same columns, in any order.
pub fn same_columns(left: &Schema, right: &Schema) -> bool {
    left.fields().len() == right.fields().len()
        && left.fields().iter().all(|field| {
            right
                .field_with_name(field.name())
                .is_ok_and(|other| other.data_type() == field.data_type())
        })
}
