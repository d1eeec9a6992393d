//! Results in the form a person or program asked for.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches_with_schema;
use clap::ValueEnum;

use crate::cli::print::Printer;
use crate::engine::session::Table;
use crate::error::{Error, Kind, Result, fail, io_error};

/// The forms of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// A table for reading.
    Table,
    /// RFC 4180 text with a header.
    Csv,
    /// An array of objects.
    Json,
    /// A Parquet file.
    Parquet,
}

/// A column of texts.
pub(super) fn texts(values: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// A column of numbers.
pub(super) fn numbers(values: Vec<u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.into_iter().map(u64::cast_signed)))
}

/// What and where.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    output: Form,
    /// Where to write it, instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Output {
    /// Writes a result made of named columns.
    pub(super) fn columns(&self, columns: Vec<(&str, ArrayRef)>, printer: &Printer) -> Result<()> {
        let batch =
            RecordBatch::try_from_iter(columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
        self.write(
            &Table {
                schema: batch.schema(),
                batches: vec![batch],
            },
            printer,
        )
    }

    /// Writes a result.
    pub(super) fn write(&self, table: &Table, printer: &Printer) -> Result<()> {
        let bytes = match self.output {
            Form::Table => pretty_format_batches_with_schema(table.schema.clone(), &table.batches)
                .map(|text| format!("{text}\n").into_bytes())
                .map_err(broken)?,
            Form::Csv => csv(table)?,
            Form::Json => json(table)?,
            Form::Parquet if self.out.is_none() => return Err(fail(Kind::Input, "output_needs_file", &[])),
            Form::Parquet => parquet(table)?,
        };
        match &self.out {
            Some(path) => std::fs::write(path, bytes).map_err(|cause| io_error(path, &cause)),
            None => printer.bytes(&bytes),
        }
    }
}

fn broken(cause: impl std::fmt::Display) -> Error {
    fail(Kind::Bug, "output_failed", &[]).because(cause)
}

fn csv(table: &Table) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut bytes);
    for batch in &table.batches {
        writer.write(batch).map_err(broken)?;
    }
    drop(writer);
    if bytes.is_empty() {
        let names: Vec<&str> = table
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        bytes = format!("{}\n", names.join(",")).into_bytes();
    }
    Ok(bytes)
}

fn json(table: &Table) -> Result<Vec<u8>> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    for batch in &table.batches {
        writer.write(batch).map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    let mut bytes = writer.into_inner();
    if bytes.is_empty() {
        bytes.extend_from_slice(b"[]");
    }
    bytes.push(b'\n');
    Ok(bytes)
}

fn parquet(table: &Table) -> Result<Vec<u8>> {
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), table.schema.clone(), None).map_err(broken)?;
    for batch in &table.batches {
        writer.write(batch).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}
