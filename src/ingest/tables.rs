//! The columns of the tables that ingest writes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::contract::{ColumnType, Contract, Land, Protect};
use crate::lake::Layout;

/// Accepted batches.
pub const INGEST: &str = "ops.ingest";
/// Rejected rows.
pub const REJECT: &str = "ops.reject";

/// The type of instants.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn schema(fields: Vec<(&str, DataType)>) -> Arc<Schema> {
    Arc::new(Schema::new(
        fields
            .into_iter()
            .map(|(name, kind)| Field::new(name, kind, true))
            .collect::<Vec<_>>(),
    ))
}

/// `ops.ingest`: one row a batch.
pub fn ingest_schema() -> Arc<Schema> {
    use DataType::{Date32, Int64, Utf8};
    schema(vec![
        ("batch", Utf8),
        ("batch_id", Utf8),
        ("contract", Utf8),
        ("table_name", Utf8),
        ("file", Utf8),
        ("bytes", Int64),
        ("read", Int64),
        ("accepted", Int64),
        ("duplicate", Int64),
        ("rejected", Int64),
        ("reasons", Utf8),
        ("blanked", Int64),
        ("unknown_columns", Utf8),
        ("first_day", Date32),
        ("last_day", Date32),
        ("run_id", Utf8),
        ("fence", Int64),
        ("ingested_at", instant()),
        ("action", Utf8),
        ("findings", Utf8),
        ("content", Utf8),
        ("added", Int64),
        ("changed", Int64),
        ("vanished", Int64),
        ("sent_rows", Int64),
        ("sent_bytes", Int64),
        ("sent_sha256", Utf8),
    ])
}

/// `ops.reject`: one row a rejected record.
pub fn reject_schema() -> Arc<Schema> {
    use DataType::{Int64, Utf8};
    schema(vec![
        ("batch", Utf8),
        ("contract", Utf8),
        ("file", Utf8),
        ("line", Int64),
        ("column_name", Utf8),
        ("reason", Utf8),
        ("value_masked", Utf8),
        ("run_id", Utf8),
        ("ingested_at", instant()),
    ])
}

/// The table that a contract lands in, and its partition columns.
pub fn source_schema(contract: &Contract) -> (Arc<Schema>, Vec<&'static str>) {
    use DataType::{Date32, Float64, Int64, Utf8};
    let mut fields: Vec<(&str, DataType)> = Vec::new();
    if let Some(counts) = &contract.counts {
        fields.extend([("county", Utf8), ("cell", Int64), ("ref_month", Date32)]);
        fields.extend(counts.measures.iter().map(|(name, _)| (name.as_str(), Int64)));
    } else {
        for column in contract.columns.iter().filter(|column| column.protect != Protect::Drop) {
            match (column.protect, column.kind) {
                (_, ColumnType::Point) => fields.extend([("lon", Float64), ("lat", Float64)]),
                (Protect::Key | Protect::Place | Protect::Token, _) | (Protect::Coarse, ColumnType::Date) => {
                    fields.push((&column.name, Int64));
                }
                (_, kind) => fields.push((&column.name, column_type(kind))),
            }
        }
        if contract.column("county").is_none() {
            fields.push(("county", Utf8));
        }
        if contract.has_position() {
            fields.push(("cell", Int64));
        }
        if contract.origin.is_some() {
            fields.push(("origin", Utf8));
        }
        if contract.event_time.is_some() {
            fields.extend([("biz_date", Date32), ("hour_local", Int64), ("biz_month", Utf8)]);
        }
    }
    fields.extend([
        ("known_at", instant()),
        ("ingested_at", instant()),
        ("source_batch", Utf8),
        ("source_line", Int64),
        ("row_key", Int64),
    ]);
    let partitions = if contract.event_time.is_some() && contract.land != Land::Counts {
        vec!["biz_month"]
    } else {
        Vec::new()
    };
    (schema(fields), partitions)
}

fn column_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::String | ColumnType::Area => DataType::Utf8,
        ColumnType::Int => DataType::Int64,
        ColumnType::Float | ColumnType::Lon | ColumnType::Lat | ColumnType::Point => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => instant(),
        ColumnType::Date => DataType::Date32,
    }
}

/// What is known of the columns that a contract fills.
pub fn layout(contract: &Contract) -> Layout {
    let is_token = |protect: Protect| matches!(protect, Protect::Key | Protect::Token);
    let mut random: Vec<String> = contract
        .columns
        .iter()
        .filter(|column| is_token(column.protect))
        .map(|column| column.name.clone())
        .collect();
    random.push("row_key".to_owned());
    let unique = contract
        .key
        .iter()
        .filter(|name| !random.contains(name))
        .cloned()
        .collect();
    Layout { random, unique }
}
