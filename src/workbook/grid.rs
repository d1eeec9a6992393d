//! A result as words in rows and columns: what tables on a page and on a terminal have in common.
//!
//! A column named `警情 / Alarms` is headed in both languages. A column `x_en` beside `x` or `x_zh` is
//! the English of that column and shares its cell.

use serde_json::Value;

use super::result::{Column, Dataset, Nature};

/// A table in words.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub headings: Vec<Heading>,
    pub rows: Vec<Vec<[String; 2]>>,
    /// Rows beyond those shown.
    pub more: usize,
}

/// The head of a column.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    pub label: [String; 2],
    pub nature: Nature,
}

/// What stands where there is no value: a dash, never zero.
pub(super) const NOTHING: &str = "—";

/// The first `limit` rows of the named columns, of all where none is named.
pub(super) fn grid(data: &Dataset, columns: &[String], limit: usize) -> Grid {
    let companions: Vec<usize> = (0..data.columns.len()).filter_map(|at| data.english_of(at)).collect();
    let shown: Vec<usize> = match columns {
        [] => (0..data.columns.len()).filter(|at| !companions.contains(at)).collect(),
        names => names.iter().filter_map(|name| data.position(name)).collect(),
    };
    let headings = shown.iter().map(|&at| heading(&data.columns[at])).collect();
    let taken = &data.rows[..limit.min(data.rows.len())];
    let decimals: Vec<usize> = (0..data.columns.len())
        .map(|at| places(taken, at, data.columns[at].nature))
        .collect();
    let cell = |row: &Vec<Value>, at: usize| {
        let text = |at: usize| match (&row[at], data.columns[at].nature) {
            (Value::Number(number), Nature::Real) => fixed(number.as_f64().unwrap_or_default(), decimals[at]),
            (value, nature) => words(value, nature),
        };
        let first = text(at);
        let second = data.english_of(at).map_or_else(|| first.clone(), text);
        [first, second]
    };
    let rows = taken
        .iter()
        .map(|row| shown.iter().map(|&at| cell(row, at)).collect())
        .collect();
    Grid {
        headings,
        rows,
        more: data.rows.len().saturating_sub(limit),
    }
}

fn heading(column: &Column) -> Heading {
    Heading {
        label: label(&column.name),
        nature: column.nature,
    }
}

/// Both languages of a column's name.
pub(super) fn label(name: &str) -> [String; 2] {
    let name = name.strip_suffix("_zh").unwrap_or(name);
    let (zh, en) = name.split_once(" / ").unwrap_or((name, name));
    [zh.to_owned(), en.to_owned()]
}

/// A value as a reader wants it.
pub(super) fn words(value: &Value, nature: Nature) -> String {
    match (value, nature) {
        (Value::Null, _) => NOTHING.to_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Number(number), Nature::Real) => number.as_f64().map_or_else(|| NOTHING.to_owned(), real),
        (Value::Number(number), _) => grouped(&number.to_string()),
        (other, _) => other.to_string(),
    }
}

/// The decimals that a column of real numbers needs, so that its points stand under each other.
fn places(rows: &[Vec<Value>], at: usize, nature: Nature) -> usize {
    if nature != Nature::Real {
        return 0;
    }
    rows.iter()
        .filter_map(|row| row[at].as_f64())
        .map(|number| decimals_of(&real(number)))
        .max()
        .unwrap_or_default()
}

fn decimals_of(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// A number with two decimals at most, three significant digits where it is small.
fn real(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        size => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2 and 4")]
            let decimals = (2.0 - size.log10().floor()).clamp(2.0, 4.0) as usize;
            decimals
        }
    };
    let text = format!("{number:.decimals$}");
    let needed = decimals_of(if text.contains('.') {
        text.trim_end_matches('0')
    } else {
        &text
    });
    fixed(number, needed)
}

/// A number with so many decimals.
fn fixed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&text),
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("−", rest));
    let mut text = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded_for_reading() {
        assert_eq!(words(&Value::from(1_234_567), Nature::Integer), "1,234,567");
        assert_eq!(words(&Value::from(-950), Nature::Integer), "−950");
        assert_eq!(words(&Value::from(12_345.678), Nature::Real), "12,346");
        assert_eq!(words(&Value::from(3.10), Nature::Real), "3.1");
        assert_eq!(words(&Value::from(0.012_345), Nature::Real), "0.0123");
        assert_eq!(words(&Value::Null, Nature::Real), NOTHING);
    }

    #[test]
    fn the_points_of_a_column_stand_under_each_other() {
        let columns = vec![Column {
            name: "n".into(),
            nature: Nature::Real,
        }];
        let data = Dataset {
            columns,
            rows: vec![vec![33.0.into()], vec![1342.26.into()], vec![Value::Null]],
            truncated: false,
        };
        let texts: Vec<String> = grid(&data, &[], 9)
            .rows
            .into_iter()
            .map(|row| row[0][0].clone())
            .collect();
        assert_eq!(texts, ["33", "1,342", NOTHING]);
        let data = Dataset {
            rows: vec![vec![33.0.into()], vec![471.8.into()]],
            ..data
        };
        assert_eq!(grid(&data, &[], 9).rows[0][0][0], "33.0");
    }

    #[test]
    fn a_column_name_may_carry_both_languages() {
        assert_eq!(label("警情 / Alarms"), ["警情", "Alarms"]);
        assert_eq!(label("place_zh"), ["place", "place"]);
    }
}
