//! Results in the form a person or program asked for.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use clap::ValueEnum;
use unicode_width::UnicodeWidthStr;

use crate::cli::print::Printer;
use crate::config::text::cut;
use crate::engine::session::Table;
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::message::inert;

/// Columns of a terminal that a table's column keeps, however narrow the terminal.
const NARROWEST: usize = 8;

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
    /// Text for another program, on the standard output.
    pub(super) fn csv() -> Output {
        Output {
            output: Form::Csv,
            out: None,
        }
    }

    /// Whether a person reads it here.
    pub(super) fn is_page(&self) -> bool {
        self.output == Form::Table && self.out.is_none()
    }

    /// Writes a result made of named columns.
    pub(super) fn columns<N: AsRef<str>>(&self, columns: Vec<(N, ArrayRef)>, printer: &Printer) -> Result<()> {
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
            Form::Table => {
                let width = self.out.is_none().then(|| printer.width()).flatten();
                format!("{}\n", drawn(table, width)?).into_bytes()
            }
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

/// A table for reading; where it is wider than `width`, its widest columns are cut.
pub(super) fn drawn(table: &Table, width: Option<usize>) -> Result<String> {
    let options = FormatOptions::default();
    let fields = table.schema.fields();
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); fields.len()];
    for batch in &table.batches {
        for (cells, array) in columns.iter_mut().zip(batch.columns()) {
            let words = ArrayFormatter::try_new(array.as_ref(), &options).map_err(broken)?;
            for row in 0..array.len() {
                cells.push(inert(&words.value(row).try_to_string().map_err(broken)?));
            }
        }
    }
    if let Some(width) = width {
        columns
            .iter_mut()
            .flatten()
            .for_each(|cell| *cell = cell.replace('\n', " "));
        let names = fields.iter().map(|field| field.name().width());
        let widths: Vec<usize> = columns
            .iter()
            .zip(names)
            .map(|(cells, name)| cells.iter().map(|cell| cell.width()).fold(name, usize::max))
            .collect();
        let fits = |most: usize| widths.iter().map(|width| width.min(&most) + 3).sum::<usize>() < width;
        let most = (NARROWEST..=width).rev().find(|most| fits(*most)).unwrap_or(NARROWEST);
        for cell in columns.iter_mut().flatten() {
            *cell = cut(cell, most);
        }
    }
    let schema = Schema::new(
        fields
            .iter()
            .map(|field| Field::new(inert(field.name()), DataType::Utf8, false))
            .collect::<Vec<_>>(),
    );
    let rows = RecordBatchOptions::new().with_row_count(Some(table.rows()));
    let columns = columns.into_iter().map(texts).collect();
    let batch = RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows).map_err(broken)?;
    pretty_format_batches(&[batch])
        .map(|text| text.to_string())
        .map_err(broken)
}

fn broken(cause: impl std::fmt::Display) -> Error {
    fail(Kind::Bug, "output_failed", &[]).because(cause)
}

fn csv(table: &Table) -> Result<Vec<u8>> {
    let nested = table.schema.fields().iter().find(|field| field.data_type().is_nested());
    if let Some(field) = nested {
        let error = fail(Kind::Input, "output_csv_nested", &[field.name(), field.data_type()]);
        return Err(error.hint("output_csv_nested_hint", &[field.name()]));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_cut_to_the_terminal_and_whole_elsewhere() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("县", texts(vec!["990101".to_owned(), "x".to_owned()])),
            ("message", texts(vec!["县".repeat(60), "\u{1b}[2J\nnext".to_owned()])),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a table");
        let table = Table {
            schema: batch.schema(),
            batches: vec![batch],
        };
        for width in [30, 80] {
            let shown = drawn(&table, Some(width)).expect("a table");
            assert!(shown.lines().all(|line| line.width() <= width), "{shown}");
            assert!(shown.lines().any(|line| line.width() + 2 > width), "{shown}");
            assert!(
                shown.contains("…") && shown.contains("990101") && !shown.contains('\u{1b}'),
                "{shown}"
            );
        }
        let whole = drawn(&table, None).expect("a table");
        assert!(whole.contains(&"县".repeat(60)) && !whole.contains("…"), "{whole}");
    }
}
