//! Shared tables for a desk that has a spreadsheet and nothing else: an XLSX workbook with a sheet for each table, or a
//! zip archive of CSV files. Texts stay texts, so that codes keep their zeros and nothing becomes a formula.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rust_xlsxwriter::{Format, Workbook};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::config::site::create_private;
use crate::error::{Error, Kind, Result, fail, io_error};

/// Rows of a sheet at most, as the format has it, the header included.
const SHEET_ROWS: u32 = 1_048_576;
/// Characters of a sheet's name at most.
const SHEET_NAME: usize = 31;
/// The mark by which a spreadsheet knows a CSV file for UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Name of the sheet or file that says what the others are.
const COVER: &str = "cover";

/// What a desk opens.
pub enum Desk {
    /// A workbook.
    Xlsx {
        /// Where it is written at the end.
        path: PathBuf,
        /// What it holds so far; rows lie in temporary files.
        book: Box<Workbook>,
        /// Rows of the present sheet.
        row: u32,
    },
    /// An archive of CSV files.
    Csv {
        /// Where it is written.
        path: PathBuf,
        /// The archive.
        zip: Box<ZipWriter<File>>,
    },
}

fn broken(cause: impl std::fmt::Display) -> Error {
    fail(Kind::Bug, "output_failed", &[]).because(cause)
}

/// A text that no spreadsheet takes for a formula.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn csv_rows(rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(&row).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

impl Desk {
    /// Begins what a desk opens; the ending of its name says which.
    ///
    /// # Errors
    /// `Input` for another ending, as the file system fails.
    pub fn begin(path: &Path) -> Result<Desk> {
        let path = path.to_owned();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("xlsx") => Ok(Desk::Xlsx {
                path,
                book: Box::new(Workbook::new()),
                row: 0,
            }),
            Some("zip") => {
                let file = create_private(&path).map_err(|cause| io_error(&path, &cause))?;
                let zip = Box::new(ZipWriter::new(file));
                Ok(Desk::Csv { path, zip })
            }
            _ => Err(fail(Kind::Input, "desk_ending", &[&path.display()])),
        }
    }

    /// Begins a table.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn table(&mut self, name: &str, schema: &Schema) -> Result<()> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        self.sheet(name, &names)
    }

    fn sheet(&mut self, name: &str, names: &[String]) -> Result<()> {
        match self {
            Desk::Xlsx { book, row, .. } => {
                let sheet = book.add_worksheet_with_constant_memory().map_err(broken)?;
                let name: String = name.chars().take(SHEET_NAME).collect();
                sheet.set_name(name).map_err(broken)?;
                sheet.set_freeze_panes(1, 0).map_err(broken)?;
                let bold = Format::new().set_bold();
                for (column, name) in (0..).zip(names) {
                    sheet.set_column_width(column, 18).map_err(broken)?;
                    sheet.write_with_format(0, column, name, &bold).map_err(broken)?;
                }
                *row = 1;
            }
            Desk::Csv { path, zip } => {
                let failed = |cause: &dyn std::fmt::Display| {
                    fail(Kind::Unavailable, "file_failed", &[&path.display()]).because(cause)
                };
                let options = SimpleFileOptions::default().large_file(true);
                zip.start_file(format!("{name}.csv"), options)
                    .map_err(|cause| failed(&cause))?;
                let header = csv_rows(std::iter::once(names.to_vec()))?;
                zip.write_all(BOM)
                    .and_then(|()| zip.write_all(&header))
                    .map_err(|cause| failed(&cause))?;
            }
        }
        Ok(())
    }

    /// Adds rows to the table that was begun.
    ///
    /// # Errors
    /// As the file system fails; `Limit` for more rows than a sheet takes.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default();
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
        let text = |column: usize, row: usize| match batch.column(column).is_null(row) {
            true => Ok(String::new()),
            false => columns[column].value(row).try_to_string().map_err(broken),
        };
        let textual = |column: &usize| !batch.column(*column).data_type().is_numeric();
        match self {
            Desk::Xlsx { book, row, path } => {
                let last = book.worksheets().len().saturating_sub(1);
                let sheet = book.worksheet_from_index(last).map_err(broken)?;
                let numbers = batch
                    .columns()
                    .iter()
                    .map(|column| match column.data_type().is_numeric() {
                        true => cast(column, &DataType::Float64).map(Some),
                        false => Ok(None),
                    });
                let numbers = numbers.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
                for from in 0..batch.num_rows() {
                    if *row >= SHEET_ROWS {
                        let most = SHEET_ROWS - 1;
                        return Err(
                            fail(Kind::Limit, "desk_rows", &[&path.display(), &most]).hint("desk_rows_hint", &[])
                        );
                    }
                    for (column, (at, number)) in (0..).zip(numbers.iter().enumerate()) {
                        if batch.column(at).is_null(from) {
                            continue;
                        }
                        match number {
                            Some(number) => {
                                sheet.write_number(*row, column, number.as_primitive::<Float64Type>().value(from))
                            }
                            None => sheet.write_string(*row, column, text(at, from)?),
                        }
                        .map_err(broken)?;
                    }
                    *row += 1;
                }
            }
            Desk::Csv { path, zip } => {
                let row = |row: usize| -> Result<Vec<String>> {
                    let cells = 0..columns.len();
                    cells
                        .map(|column| {
                            Ok(if textual(&column) {
                                inert(&text(column, row)?)
                            } else {
                                text(column, row)?
                            })
                        })
                        .collect()
                };
                let rows = (0..batch.num_rows()).map(row).collect::<Result<Vec<_>>>()?;
                let bytes = csv_rows(rows.into_iter())?;
                zip.write_all(&bytes).map_err(|cause| io_error(path, &cause))?;
            }
        }
        Ok(())
    }

    /// Ends it with a table that says what the others are.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn end(mut self, names: &[&str], cover: &[Vec<String>]) -> Result<()> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.sheet(COVER, &names)?;
        match self {
            Desk::Xlsx { path, mut book, .. } => {
                let last = book.worksheets().len().saturating_sub(1);
                let sheet = book.worksheet_from_index(last).map_err(broken)?;
                for (row, line) in (1..).zip(cover) {
                    for (column, text) in (0..).zip(line) {
                        sheet.write_string(row, column, text).map_err(broken)?;
                    }
                }
                let file = create_private(&path).map_err(|cause| io_error(&path, &cause))?;
                book.save_to_writer(&file).map_err(broken)?;
                file.sync_all().map_err(|cause| io_error(&path, &cause))
            }
            Desk::Csv { path, mut zip } => {
                let lines = cover.iter().map(|line| line.iter().map(|text| inert(text)).collect());
                let bytes = csv_rows(lines)?;
                zip.write_all(&bytes).map_err(|cause| io_error(&path, &cause))?;
                let failed = |cause: &dyn std::fmt::Display| {
                    fail(Kind::Unavailable, "file_failed", &[&path.display()]).because(cause)
                };
                let file = zip.finish().map_err(|cause| failed(&cause))?;
                file.sync_all().map_err(|cause| io_error(&path, &cause))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_a_formula() {
        for text in ["=1+1", "+86", "-1", "@x", "\t=1"] {
            assert_eq!(inert(text), format!("'{text}"));
        }
        assert_eq!(inert("030101"), "030101");
    }
}
