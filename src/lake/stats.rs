//! Statistics of a data file for the log: rows, and the least and greatest value of each column, by
//! which readers pass over files (Delta protocol, "Per-file Statistics").

use parquet::basic::LogicalType;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value};

use crate::time::calendar;

/// Longer texts say nothing that a reader could use, and would fill the log.
const TEXT_BYTES: usize = 64;

/// What one column holds.
struct Range {
    least: Value,
    greatest: Value,
    nulls: u64,
}

/// The statistics of a file as the log holds them. A column gets bounds only where every row group
/// has exact ones.
pub(super) fn of_file(metadata: &ParquetMetaData) -> String {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    let schema = metadata.file_metadata().schema_descr();
    for at in 0..schema.num_columns() {
        let column = schema.column(at);
        let logical = column.logical_type_ref();
        let ranges: Option<Vec<Range>> = metadata
            .row_groups()
            .iter()
            .map(|group| range(group.column(at).statistics()?, logical))
            .collect();
        let Some(merged) = ranges.and_then(|ranges| ranges.into_iter().reduce(merge)) else {
            continue;
        };
        nulls.insert(column.name().to_owned(), merged.nulls.into());
        if !merged.least.is_null() && !merged.greatest.is_null() {
            least.insert(column.name().to_owned(), merged.least);
            greatest.insert(column.name().to_owned(), merged.greatest);
        }
    }
    let rows = metadata.file_metadata().num_rows();
    serde_json::json!({"numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}).to_string()
}

fn merge(left: Range, right: Range) -> Range {
    // a row group of nulls alone has no bounds and does not widen those of the others
    let pick = |left: Value, right: Value, second: bool| match (left.is_null(), right.is_null()) {
        (true, _) => right,
        (_, true) => left,
        _ if before(&right, &left) == second => right,
        _ => left,
    };
    Range {
        least: pick(left.least, right.least, true),
        greatest: pick(left.greatest, right.greatest, false),
        nulls: left.nulls + right.nulls,
    }
}

fn before(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left < right,
            _ => left.as_f64() < right.as_f64(),
        },
        (Value::String(left), Value::String(right)) => left < right,
        (Value::Bool(left), Value::Bool(right)) => left < right,
        _ => false,
    }
}

fn range(statistics: &Statistics, logical: Option<&LogicalType>) -> Option<Range> {
    let nulls = statistics.null_count_opt()?;
    let (least, greatest) = match (statistics, logical) {
        (Statistics::Boolean(found), _) => (found.min_opt().copied().into(), found.max_opt().copied().into()),
        (Statistics::Int32(found), Some(LogicalType::Date)) => (day(found.min_opt()), day(found.max_opt())),
        (Statistics::Int32(found), _) => (found.min_opt().copied().into(), found.max_opt().copied().into()),
        (Statistics::Int64(found), Some(LogicalType::Timestamp(_))) => {
            // the log holds milliseconds, so the upper bound is rounded up
            (instant(found.min_opt(), 0), instant(found.max_opt(), 999))
        }
        (Statistics::Int64(found), _) => (found.min_opt().copied().into(), found.max_opt().copied().into()),
        (Statistics::Double(found), _) => (found.min_opt().copied().into(), found.max_opt().copied().into()),
        (Statistics::ByteArray(found), Some(LogicalType::String)) => {
            let exact = found.min_is_exact() && found.max_is_exact();
            let text = |bytes: Option<&[u8]>| {
                let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
                text.filter(|text| exact && text.len() <= TEXT_BYTES)
                    .map_or(Value::Null, Value::from)
            };
            (text(found.min_bytes_opt()), text(found.max_bytes_opt()))
        }
        _ => (Value::Null, Value::Null),
    };
    let is_void = least.is_null() || greatest.is_null();
    let empty = statistics.min_bytes_opt().is_none() && statistics.max_bytes_opt().is_none();
    (!is_void || empty).then_some(Range { least, greatest, nulls })
}

fn day(days: Option<&i32>) -> Value {
    let date = days.and_then(|days| calendar::date(*days));
    date.map_or(Value::Null, |date| date.to_string().into())
}

fn instant(micros: Option<&i64>, round: i64) -> Value {
    let at = micros.and_then(|micros| chrono::DateTime::from_timestamp_micros(micros.saturating_add(round)));
    at.map_or(Value::Null, |at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
}
