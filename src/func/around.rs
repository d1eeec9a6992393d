//! Neighbours as an argument: how calls over places say who is whose neighbour.
//!
//! `f(id, value)` takes ids of H3 cells, or of a grid with the options `weights` ('h3', 'queen' or 'rook') and
//! `columns`: the id of a grid's cell is `row * columns + column`. `f(id, value, x, y)` takes coordinates in metres with
//! `band`, all that are no further, or `knn`, the nearest so many. `f(id, value, neighbours)` takes lists of ids.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::error::{DataFusionError, Result};

use super::columns::{each_once, metres};
use super::gathered::{Columns, Of, wrong};
use super::options::Options;
use crate::stat::weights::{MOST_NEIGHBOURS, Neighbours, Refused, Touch};

/// The ways to call a function of one value.
pub(super) const OF_ONE: &[Columns] = &[
    &[("id", Of::Whole), ("value", Of::Number)],
    &[
        ("id", Of::Id),
        ("value", Of::Number),
        ("x", Of::Number),
        ("y", Of::Number),
    ],
    &[("id", Of::Whole), ("value", Of::Number), ("neighbours", Of::Ids)],
];
/// The ways to call a function of events and population.
pub(super) const OF_RISK: &[Columns] = &[
    &[("id", Of::Whole), ("events", Of::Number), ("population", Of::Number)],
    &[
        ("id", Of::Id),
        ("events", Of::Number),
        ("population", Of::Number),
        ("x", Of::Number),
        ("y", Of::Number),
    ],
    &[
        ("id", Of::Whole),
        ("events", Of::Number),
        ("population", Of::Number),
        ("neighbours", Of::Ids),
    ],
];
/// The options of all of them.
pub(super) const OPTIONS: [&str; 4] = ["weights", "columns", "band", "knn"];
/// No grid is wider.
const MOST_COLUMNS: i64 = 1 << 31;
/// More neighbours than any unit is compared with.
const MOST_NEAREST: i64 = 10_000;

/// Who is whose neighbour.
#[derive(Debug, Clone, Copy)]
pub(super) enum Around {
    Cells,
    Grid(i64, Touch),
    Within(f64),
    Nearest(usize),
    Given,
}

impl Around {
    /// Reads the options for a way to call.
    ///
    /// # Errors
    /// A plan error for options that do not fit it.
    pub(super) fn of(options: &Options, form: usize) -> Result<Around> {
        let only = |known: &[&str]| match OPTIONS.iter().find(|key| options.has(key) && !known.contains(key)) {
            None => Ok(()),
            Some(key) => {
                let expected =
                    "id and value with weights and columns, or x and y with band or knn, or neighbours alone";
                Err(options.error(expected, &format!("'{key}' with other arguments")))
            }
        };
        match form {
            0 => {
                only(&["weights", "columns"])?;
                let touch = match options.word("weights", "h3", &["h3", "queen", "rook"])?.as_str() {
                    "queen" => Touch::Queen,
                    "rook" => Touch::Rook,
                    _ => return Ok(Around::Cells),
                };
                match options.whole("columns", 0, 1, MOST_COLUMNS)? {
                    0 => Err(options.error("columns, the width of the grid", "none")),
                    columns => Ok(Around::Grid(columns, touch)),
                }
            }
            1 => {
                only(&["band", "knn"])?;
                match (options.has("band"), options.has("knn")) {
                    (true, false) => {
                        let fits = |band: f64| band.is_finite() && band > 0.0;
                        Ok(Around::Within(options.number(
                            "band",
                            0.0,
                            "a distance above 0",
                            fits,
                        )?))
                    }
                    (false, true) => {
                        let nearest = options.whole("knn", 8, 1, MOST_NEAREST)?;
                        Ok(Around::Nearest(usize::try_from(nearest).unwrap_or(8)))
                    }
                    _ => Err(options.error("band or knn", "none, or both")),
                }
            }
            _ => {
                only(&[])?;
                Ok(Around::Given)
            }
        }
    }

    /// The neighbours among the rows of some units; `rest` are the columns after the values.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn among(self, name: &str, ids: &ArrayRef, rest: &[ArrayRef]) -> Result<Neighbours> {
        each_once(name, "id", ids)?;
        let whole = || ids.as_primitive::<Int64Type>().values();
        let found = match self {
            Around::Cells => Neighbours::cells(whole()),
            Around::Grid(columns, touch) => Neighbours::grid(whole(), columns, touch),
            Around::Within(_) | Around::Nearest(_) => {
                let [x, y] = rest else { return Err(no_columns(name)) };
                let (x, y) = metres(name, x, y)?;
                match self {
                    Around::Nearest(k) => Neighbours::nearest(&x, &y, k),
                    Around::Within(most) => Neighbours::within(&x, &y, most),
                    _ => return Err(no_columns(name)),
                }
            }
            Around::Given => {
                let [lists] = rest else { return Err(no_columns(name)) };
                let lists = lists.as_list::<i32>();
                let (offsets, items) = (lists.value_offsets(), lists.values().as_primitive::<Int64Type>());
                Neighbours::given(whole(), |unit| {
                    let at = offsets[unit] as usize..offsets[unit + 1] as usize;
                    if lists.is_null(unit) { &[] } else { &items.values()[at] }
                })
            }
        };
        found.map_err(|refused| match refused {
            Refused::NoCell => wrong(name, "ids of cells", "an id that is none"),
            Refused::NoPlace => wrong(name, "x and y within 10¹² in every row", "one that is not"),
            Refused::TooMany => wrong(
                name,
                &format!("{MOST_NEIGHBOURS} neighbours at most"),
                "more; a smaller band or knn has fewer",
            ),
        })
    }
}

fn no_columns(name: &str) -> DataFusionError {
    DataFusionError::Internal(format!("{name}: other columns than those of its form"))
}

/// The rows of some columns in which a value is there.
pub(super) fn rows_with(columns: &[ArrayRef], rows: &[u32]) -> Result<Vec<ArrayRef>> {
    let rows = datafusion::arrow::array::UInt32Array::from(rows.to_vec());
    columns.iter().map(|column| Ok(take(column, &rows, None)?)).collect()
}
