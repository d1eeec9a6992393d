//! Sheets of XLSX workbooks as JSON lines.
//!
//! Cells come out as a person sees their value, not their layout: dates and times as ISO 8601, whole
//! numbers without a decimal point, formulas as their stored results. An error such as `#N/A` is a text,
//! so that the contract refuses it instead of nobody noticing. Rows keep their numbers.

use std::io::{Error, Result as IoResult};
use std::sync::mpsc::sync_channel;

use calamine::{DataRef, ExcelDateTime, Reader, SheetVisible, Xlsx, XlsxError};
use serde_json::{Map, Value};

use super::workbook::{invalid, measured};
use super::{Converted, Out, piped};
use crate::contract::Reason;
use crate::ingest::source::ReadSeek;

/// Columns of a sheet.
const MOST_COLUMNS: u32 = 16_384;
/// Rows of a sheet.
const MOST_ROWS: u32 = 1_048_576;
/// Whole numbers beyond this, and their neighbours, are no longer told apart by the sheet itself.
const EXACT: f64 = 1e15;
/// The first serial number of a day that no sheet knows, 10000-01-01.
const LAST_DAY: f64 = 2_958_466.0;

fn broken(cause: XlsxError) -> Error {
    match cause {
        XlsxError::Io(cause) => cause,
        other => invalid(other.to_string()),
    }
}

/// The sheet of a name; without one the only visible sheet that has a cell.
fn chosen(book: &mut Xlsx<Box<dyn ReadSeek>>, wanted: Option<&str>) -> IoResult<String> {
    let sheets: Vec<(String, bool)> = book
        .sheets_metadata()
        .iter()
        .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible))
        .collect();
    let names: Vec<&str> = sheets.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(wanted) = wanted {
        let found = names.iter().find(|name| **name == wanted);
        let missing = || invalid(format!("no sheet {wanted:?}; the workbook has {names:?}"));
        return found.map(|name| (*name).to_owned()).ok_or_else(missing);
    }
    let mut filled = Vec::new();
    for (name, _) in sheets.iter().filter(|(_, visible)| *visible) {
        let mut cells = book.worksheet_cells_reader(name).map_err(broken)?;
        if cells.next_cell().map_err(broken)?.is_some() {
            filled.push(name.clone());
        }
    }
    match &filled[..] {
        [only] => Ok(only.clone()),
        [] => Err(invalid("no visible sheet has a cell")),
        several => Err(invalid(format!(
            "several sheets {several:?}: name one as `sheet` in the contract"
        ))),
    }
}

/// Opens a sheet whose header is the first row behind `skip_rows`, or whose columns are `names`.
///
/// # Errors
/// `InvalidData` for what is no workbook or has no such sheet, `FileTooLarge` beyond the limits.
pub(in crate::ingest) fn open(
    mut book: Box<dyn ReadSeek>,
    sheet: Option<String>,
    skip_rows: usize,
    names: Option<Vec<String>>,
) -> IoResult<Converted> {
    let (sender, header) = sync_channel(1);
    let mut reader = piped(move |out| {
        measured(&mut book)?;
        let mut book = Xlsx::new(book).map_err(broken)?;
        let name = chosen(&mut book, sheet.as_deref())?;
        let mut rows = Rows {
            cells: book.worksheet_cells_reader(&name).map_err(broken)?,
            ahead: None,
            ended: false,
            last: None,
        };
        let skip = u32::try_from(skip_rows).unwrap_or(u32::MAX);
        let (names, first) = match names {
            Some(names) => (names, skip),
            None => {
                let (at, row) = rows
                    .from(skip)?
                    .ok_or_else(|| invalid(format!("no header in sheet {name:?}")))?;
                (header_names(&row), at + 1)
            }
        };
        if sender.send((names.clone(), first)).is_err() {
            return Ok(());
        }
        lines(&mut rows, &names, first, out)
    });
    match header.recv() {
        Ok((names, first)) => Ok(Converted {
            names,
            first_line: u64::from(first) + 1,
            reader,
        }),
        // the work ended before a header: what it says is in the queue
        Err(_) => match reader.read(&mut [0]) {
            Err(cause) => Err(cause),
            Ok(_) => Err(invalid("no header")),
        },
    }
}

/// Cells of a sheet, row by row.
struct Rows<'a> {
    cells: calamine::XlsxCellReader<'a, Box<dyn ReadSeek>>,
    ahead: Option<(u32, u32, Shown)>,
    /// The reader must not be asked again behind its end.
    ended: bool,
    /// Where the last cell stood: rows and columns only grow.
    last: Option<(u32, u32)>,
}

type Row = Vec<(u32, Shown)>;

impl Rows<'_> {
    fn cell(&mut self) -> IoResult<Option<(u32, u32, Shown)>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        while !self.ended {
            let Some(cell) = self.cells.next_cell().map_err(broken)? else {
                self.ended = true;
                break;
            };
            let (row, column) = cell.get_position();
            let (before, last) = self.last.unwrap_or((0, 0));
            let in_order = self.last.is_none() || row > before || (row == before && column > last);
            if row >= MOST_ROWS || column >= MOST_COLUMNS || !in_order {
                return Err(invalid(format!(
                    "the cell in row {} stands where none can",
                    u64::from(row) + 1
                )));
            }
            self.last = Some((row, column));
            if let Some(value) = shown(cell.get_value()) {
                return Ok(Some((row, column, value)));
            }
        }
        Ok(None)
    }

    /// The next row that has a value, from this row on.
    fn from(&mut self, first: u32) -> IoResult<Option<(u32, Row)>> {
        let mut found: Option<(u32, Row)> = None;
        while let Some((row, column, value)) = self.cell()? {
            match &mut found {
                _ if row < first => {}
                None => found = Some((row, vec![(column, value)])),
                Some((at, cells)) if *at == row => cells.push((column, value)),
                Some(_) => {
                    self.ahead = Some((row, column, value));
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn header_names(row: &Row) -> Vec<String> {
    let width = row.iter().map(|(column, _)| *column as usize + 1).max().unwrap_or(0);
    let mut names = vec![String::new(); width];
    for (column, value) in row {
        if let Some(name) = names.get_mut(*column as usize) {
            *name = match value {
                Shown::Value(Value::String(text)) => text.trim().to_owned(),
                Shown::Value(other) => other.to_string(),
                Shown::Inexact => String::new(),
            };
        }
    }
    names
}

/// Every row as a line of its own number.
fn lines(rows: &mut Rows<'_>, names: &[String], first: u32, out: &mut Out) -> IoResult<()> {
    let mut line = first;
    while let Some((at, row)) = rows.from(line)? {
        while line < at {
            out.blank()?;
            line += 1;
        }
        let mut object = Map::new();
        let mut inexact = None;
        for (column, value) in row {
            // a value without a name above it is a column that nobody declared
            let name = match names.get(column as usize).filter(|name| !name.is_empty()) {
                Some(name) => name.clone(),
                None => format!("column {}", column + 1),
            };
            match value {
                Shown::Value(value) => drop(object.insert(name, value)),
                // the number of the column: its name is a cell like any other
                Shown::Inexact => inexact = inexact.or(Some(format!("column {}", column + 1))),
            }
        }
        match inexact {
            Some(name) => out.refuse(Reason::Range, &name)?,
            None => out.object(&object)?,
        }
        line += 1;
    }
    Ok(())
}

/// A cell as it is handed on.
enum Shown {
    Value(Value),
    /// A number of more digits than a sheet keeps: what was typed is lost already.
    Inexact,
}

/// A cell as it is handed on; `None` where it is empty.
fn shown(value: &DataRef<'_>) -> Option<Shown> {
    Some(Shown::Value(match value {
        DataRef::Empty => return None,
        DataRef::Int(number) => Value::from(*number),
        DataRef::Float(number) if number.fract() == 0.0 && number.abs() >= EXACT => return Some(Shown::Inexact),
        DataRef::Float(number) => Value::from(number_text(*number)),
        DataRef::String(text) => Value::from(text.as_str()),
        DataRef::SharedString(text) => Value::from(*text),
        DataRef::Bool(truth) => Value::from(*truth),
        DataRef::DateTime(when) => Value::from(moment(when)),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Value::from(text.as_str()),
        DataRef::Error(error) => Value::from(error.to_string()),
    }))
}

/// Whole numbers are written without a point: a sheet knows floats only, and a code is no float.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < EXACT {
        return format!("{number:.0}");
    }
    number.to_string()
}

/// `2025-01-31 13:05:09`, with milliseconds where there are any; a time of day without its date.
fn moment(when: &ExcelDateTime) -> String {
    // a number that is no day stays a number, which no column of times takes for one
    if when.is_duration() || !(0.0..LAST_DAY).contains(&when.as_f64()) {
        return number_text(when.as_f64());
    }
    let (year, month, day, hour, minute, second, milli) = when.to_ymd_hms_milli();
    let mut text = String::new();
    let whole = when.as_f64() >= 1.0;
    if whole {
        text = format!("{year:04}-{month:02}-{day:02}");
    }
    if !whole || when.as_f64().fract() != 0.0 {
        let gap = if whole { " " } else { "" };
        text.push_str(&format!("{gap}{hour:02}:{minute:02}:{second:02}"));
        if milli > 0 {
            text.push_str(&format!(".{milli:03}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    #[test]
    fn cells_say_what_a_person_sees() {
        let at = |number| moment(&ExcelDateTime::new(number, ExcelDateTimeType::DateTime, false));
        assert_eq!(at(45_943.5), "2025-10-13 12:00:00");
        assert_eq!(at(45_943.0), "2025-10-13");
        assert_eq!(at(0.25), "06:00:00");
        assert_eq!(
            (at(-5e9), at(2_958_466.0)),
            ("-5000000000".to_owned(), "2958466".to_owned())
        );
        assert_eq!(number_text(320_302.0), "320302");
        assert_eq!(number_text(117.25), "117.25");
    }
}
