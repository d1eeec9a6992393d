//! A workbook's results as text of one language for a terminal.
//!
//! Numbers and tables only; a picture is its data.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;

use super::both;
use super::display::{Display, Shape};
use super::document::Block;
use super::grid::{Grid, NOTHING, grid, label, words};
use super::page::Page;
use super::prose;
use super::result::Dataset;
use crate::message::{Language, inert};

/// Rows of a picture's data.
const ROWS: usize = 20;

impl Page {
    /// The page as text.
    pub fn text(&self, language: Language) -> String {
        let at = usize::from(language == Language::English);
        let facts = &self.facts;
        let mut text = format!(
            "{} · {}\n",
            inert(&self.workbook.title[at]),
            inert(&facts.site_title[at])
        );
        let release = &both("page_release", &[])[at];
        text.push_str(&format!(
            "{release} {} · {} · {}\n",
            facts.release,
            inert(&facts.made_at),
            inert(&facts.run_id)
        ));
        if facts.synthetic {
            text.push_str(&format!("{}\n", both("page_synthetic", &[])[at]));
        }
        for note in &facts.notes {
            text.push_str(&format!("- {}\n", inert(&note[at])));
        }
        text.push('\n');
        for block in &self.workbook.blocks {
            match block {
                Block::Prose(events) => {
                    let words = prose::to_text(events, &|query, column| self.value(query, column), language);
                    text.push_str(&inert(&words));
                }
                Block::Query(_) => {}
                Block::Display(display) => self.write(&mut text, display, at),
            }
        }
        text.push_str(&both("page_boundary", &[])[at]);
        text.push('\n');
        text
    }

    fn write(&self, text: &mut String, display: &Display, at: usize) {
        if let Some(title) = &display.title {
            text.push_str(&format!("{}\n", inert(&title[at])));
        }
        if let Some(reason) = self.off(display) {
            return text.push_str(&format!("{} {}\n\n", both("page_off", &[])[at], inert(reason)));
        }
        match &display.shape {
            Shape::Number {
                data,
                value,
                label: name,
                unit,
                note,
            } => {
                let cell = |column: &str| {
                    let data = self.data(data)?;
                    let place = data.position(column)?;
                    data.rows
                        .first()
                        .map(|row| words(&row[place], data.columns[place].nature))
                };
                let value = cell(value).unwrap_or_else(|| NOTHING.to_owned());
                let note = note.as_deref().and_then(cell).filter(|note| note != NOTHING);
                let note = note.map(|note| format!("  ({})", label(&note)[at])).unwrap_or_default();
                text.push_str(&format!("{}: {value} {}{note}\n\n", inert(&name[at]), inert(&unit[at])));
            }
            Shape::Table { data, columns, rows } => {
                if let Some(data) = self.data(data) {
                    write_grid(text, data, columns, *rows, at);
                }
            }
            Shape::Series(series) => {
                if let Some(data) = self.data(&series.data) {
                    write_grid(text, data, &[], ROWS, at);
                }
            }
            Shape::Map(map) => {
                for layer in &map.layers {
                    let Some(data) = self.data(&layer.data) else { continue };
                    text.push_str(&format!("{}\n", inert(&layer.title[at])));
                    write_grid(text, data, &[layer.label[0].clone(), layer.value.clone()], ROWS, at);
                }
            }
        }
    }
}

fn write_grid(text: &mut String, data: &Dataset, columns: &[String], limit: usize, at: usize) {
    let grid = grid(data, columns, limit);
    if grid.rows.is_empty() {
        return text.push_str(&format!("{}\n\n", both("page_empty", &[])[at]));
    }
    text.push_str(&drawn(&grid, at).unwrap_or_default());
    text.push('\n');
    if grid.more > 0 {
        text.push_str(&format!("… {} {}\n", grid.more, both("page_more", &[])[at]));
    }
    text.push('\n');
}

fn drawn(grid: &Grid, at: usize) -> Option<String> {
    let fields: Vec<Field> = grid
        .headings
        .iter()
        .map(|heading| Field::new(inert(&heading.label[at]), DataType::Utf8, false))
        .collect();
    let column = |index: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            grid.rows.iter().map(|row| row[index][at].as_str()),
        ))
    };
    let columns = (0..grid.headings.len()).map(column).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()?;
    Some(pretty_format_batches(&[batch]).ok()?.to_string())
}
