//! What the functions of a backtest share: rows as cells with what was said of them and what came.

use datafusion::arrow::array::ArrayRef;
use datafusion::error::{DataFusionError, Result};

use super::columns::{each_once, finite};
use super::gathered::{Columns, Of, wrong};
use super::options::Options;
use crate::stat::backtest::{Backtest, Cell, Unfit};

/// The way to call them.
pub(super) const FORMS: &[Columns] = &[&[
    ("cell", Of::Id),
    ("score", Of::Number),
    ("events", Of::Number),
    ("area", Of::Number),
]];

/// The option `shares`, budgets as shares of the whole area ([0.01, 0.02, 0.05, 0.1, 0.2]).
///
/// # Errors
/// A plan error naming function and option.
pub(super) fn shares(options: &Options) -> Result<Vec<f64>> {
    let shares = options.numbers("shares", &[0.01, 0.02, 0.05, 0.1, 0.2])?;
    match shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
        None if !shares.is_empty() => Ok(shares),
        other => Err(options.error("shares above 0, at most 1", &format!("{other:?}"))),
    }
}

/// Cells in the order of their ids.
///
/// # Errors
/// What is wrong with the rows.
pub(super) fn backtest(name: &str, columns: &[ArrayRef]) -> Result<Backtest> {
    let [ids, score, events, area] = columns else {
        return Err(DataFusionError::Internal(format!("{name}: other columns")));
    };
    each_once(name, "cell", ids)?;
    let (score, events) = (finite(name, "score", score)?, finite(name, "events", events)?);
    let area = finite(name, "area", area)?;
    let cell = |at: usize| Cell {
        score: score[at],
        events: events[at],
        area: area[at],
    };
    let cells: Vec<Cell> = (0..score.len()).map(cell).collect();
    Backtest::new(&cells).map_err(|why| match why {
        Unfit::Events(at) => wrong(name, "events of 0 or more", &events[at].to_string()),
        Unfit::Area(at) => wrong(name, "areas above 0", &area[at].to_string()),
        Unfit::Score(_) | Unfit::Empty => wrong(name, "scores", "none"),
    })
}
