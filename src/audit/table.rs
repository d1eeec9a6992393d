//! The chain as a table, for questions such as "who could have seen this place in that month, and why".

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use crate::audit::chain::parsed;
use crate::audit::months::Files;
use crate::audit::{Decision, Line};
use crate::error::{Error, Kind, Result, fail};
use crate::lake::Lake;

/// Lines of a batch.
const BATCH: usize = 8_192;

/// The columns: numbers are `BIGINT`, the others texts.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let column = |name: &&str| {
        let number = ["seq", "release", "rows", "bytes"].contains(name);
        Field::new(*name, if number { DataType::Int64 } else { DataType::Utf8 }, false)
    };
    let names = [
        "seq",
        "at",
        "request",
        "who",
        "credential",
        "address",
        "purpose",
        "act",
        "object",
        "release",
        "decision",
        "reason",
        "rows",
        "bytes",
    ];
    Arc::new(Schema::new(names.iter().map(column).collect::<Vec<_>>()))
});

/// The columns of the chain as a table.
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// The chain of a lake as a table: `seq, at, request, who, credential, address, purpose, act, object, release,
/// decision, reason, rows, bytes`. It is read as it is asked for, and never held whole.
///
/// # Errors
/// As the engine refuses it.
pub fn table(lake: &Lake) -> Result<Arc<dyn TableProvider>> {
    let chain: Arc<dyn PartitionStream> = Arc::new(OfLake(lake.clone()));
    let table = StreamingTable::try_new(SCHEMA.clone(), vec![chain]);
    Ok(Arc::new(
        table.map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?,
    ))
}

/// All lines of the chain of a lake, in order, as batches of [`table`].
///
/// # Errors
/// As the file system fails; an item is `Check` for a line that is none.
pub fn batches(lake: &Lake) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
    let mut lines = Files::of(lake).lines()?.into_iter().flatten();
    Ok(std::iter::from_fn(move || {
        let some: Result<Vec<Line>> = lines.by_ref().take(BATCH).map(|text| read(&text?)).collect();
        match some {
            Ok(some) if some.is_empty() => None,
            some => Some(some.and_then(|some| batch(&some))),
        }
    }))
}

fn read(text: &str) -> Result<Line> {
    let line = parsed(text).map(|(_, line)| line);
    line.ok_or_else(|| fail(Kind::Check, "audit_no_line", &[]).hint("audit_tail_hint", &[]))
}

fn batch(lines: &[Line]) -> Result<RecordBatch> {
    let text =
        |of: &dyn Fn(&Line) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(of))) };
    let number = |of: &dyn Fn(&Line) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            lines.iter().map(|line| of(line).cast_signed()),
        ))
    };
    let decisions = lines.iter().map(|line| match line.entry.decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Whole => "whole",
        Decision::Part => "part",
        Decision::Checkpoint => "checkpoint",
    });
    let columns = vec![
        number(&|line| line.seq),
        text(&|line| &line.at),
        text(&|line| &line.entry.request),
        text(&|line| &line.entry.who),
        text(&|line| &line.entry.credential),
        text(&|line| &line.entry.address),
        text(&|line| &line.entry.purpose),
        text(&|line| &line.entry.act),
        text(&|line| &line.entry.object),
        number(&|line| line.entry.release),
        Arc::new(StringArray::from_iter_values(decisions)) as ArrayRef,
        text(&|line| &line.entry.reason),
        number(&|line| line.entry.rows),
        number(&|line| line.entry.bytes),
    ];
    RecordBatch::try_new(SCHEMA.clone(), columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}

#[derive(Debug)]
struct OfLake(Lake);

impl PartitionStream for OfLake {
    fn schema(&self) -> &SchemaRef {
        &SCHEMA
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let failed = |error: Error| DataFusionError::External(Box::new(error));
        let stream = match batches(&self.0) {
            Ok(batches) => {
                futures::future::Either::Left(futures::stream::iter(batches.map(move |batch| batch.map_err(failed))))
            }
            Err(error) => futures::future::Either::Right(futures::stream::iter([Err(failed(error))])),
        };
        Box::pin(RecordBatchStreamAdapter::new(SCHEMA.clone(), stream))
    }
}
