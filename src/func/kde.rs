//! `kde(x DOUBLE, y DOUBLE, {options}) LIST<STRUCT<x DOUBLE, y DOUBLE, density DOUBLE>>`, also `kde(x, y, weight, {options})`
//!
//! How dense events lie, in events per km², at the middles of a grid's cells; the dull map that any risk map has to beat.
//! `x, y` are metres in a plane. Options: `bandwidth` in metres (500), `kernel` 'quartic', 'epanechnikov' or 'gaussian'
//! (quartic), `cell`, the side of a cell in metres (250), and `box`, `[left, low, right, high]` in metres; without, the
//! box holds all events with a bandwidth around them, its edges on whole cells. Near the edge of an area the density is
//! too low: nothing is done about it. Source: Silverman 1986.
//!
//! ```sql
//! SELECT unnest(kde(x, y, {'bandwidth': 600, 'box': [0, 0, 500, 500]})) AS cell
//! FROM (VALUES (100, 120), (130, 90), (400, 410)) AS t (x, y)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::columns::{doubles, finite, metres, numbers_named};
use super::gathered::{Columns, Of, Set, Work, stopped, wrong};
use super::options::Options;
use crate::stat::kde::{Event, Kernel, Unfit, density};

/// Cells at most.
const MOST_CELLS: f64 = 4e6;

/// What is asked.
#[derive(Debug)]
pub(super) struct Kde {
    kernel: Kernel,
    bandwidth: f64,
    cell: f64,
    bounds: Option<[f64; 4]>,
}

impl Set for Kde {
    const NAME: &'static str = "kde";
    const FORMS: &'static [Columns] = &[
        &[("x", Of::Number), ("y", Of::Number)],
        &[("x", Of::Number), ("y", Of::Number), ("weight", Of::Number)],
    ];
    const OPTIONS: &'static [&'static str] = &["bandwidth", "kernel", "cell", "box"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        let metres = |key: &str, default: f64| {
            options.number(key, default, "metres above 0", |metres| {
                metres.is_finite() && metres > 0.0
            })
        };
        let kernel = match options
            .word("kernel", "quartic", &["quartic", "epanechnikov", "gaussian"])?
            .as_str()
        {
            "gaussian" => Kernel::Gaussian,
            "epanechnikov" => Kernel::Epanechnikov,
            _ => Kernel::Quartic,
        };
        let bounds = match options.numbers("box", &[])?[..] {
            [] => None,
            [left, low, right, high] if left < right && low < high && (right - left + high - low).is_finite() => {
                Some([left, low, right, high])
            }
            ref other => return Err(options.error("box as [left, low, right, high]", &format!("{other:?}"))),
        };
        Ok(Kde {
            kernel,
            bandwidth: metres("bandwidth", 500.0)?,
            cell: metres("cell", 250.0)?,
            bounds,
        })
    }

    fn fields(_: &[DataType]) -> Fields {
        numbers_named(&["x", "y", "density"]).into()
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let name = Self::NAME;
        let (x, y) = metres(name, &columns[0], &columns[1])?;
        let weights = columns
            .get(2)
            .map(|column| finite(name, "weight", column))
            .transpose()?;
        let weight = |at: usize| weights.as_ref().map_or(1.0, |weights| weights[at]);
        let events: Vec<Event> = (0..x.len())
            .map(|at| Event {
                x: x[at],
                y: y[at],
                weight: weight(at),
            })
            .collect();
        let points = self.middles(&x, &y)?;
        let densities =
            density(self.kernel, self.bandwidth, &events, &points, &work.stop).map_err(|why| match why {
                Unfit::Stopped => stopped(name),
                Unfit::Weight(_) => wrong(name, "weights of 0 or more", "one that is none"),
                Unfit::Bandwidth | Unfit::Event(_) | Unfit::Point(_) => {
                    wrong(name, "places within 10¹² bandwidths of the origin", "one beyond")
                }
            })?;
        Ok(vec![
            doubles(points.iter().map(|point| Some(point.0))),
            doubles(points.iter().map(|point| Some(point.1))),
            doubles(densities.into_iter().map(Some)),
        ])
    }
}

impl Kde {
    /// The middles of the cells, row after row from the lower left.
    fn middles(&self, x: &[f64], y: &[f64]) -> Result<Vec<(f64, f64)>> {
        let edges = |values: &[f64]| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min) - self.bandwidth;
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + self.bandwidth;
            (
                (least / self.cell).floor() * self.cell,
                (most / self.cell).ceil() * self.cell,
            )
        };
        let [left, low, right, high] = self.bounds.unwrap_or_else(|| {
            let ((left, right), (low, high)) = (edges(x), edges(y));
            [left, low, right, high]
        });
        // a last cell that is there but for a rounding is no further one
        let cells = |from: f64, to: f64| ((to - from) / self.cell - 1e-9).ceil().max(1.0);
        let (columns, rows) = (cells(left, right), cells(low, high));
        if columns * rows > MOST_CELLS {
            let found = format!("{columns} x {rows}; a larger cell or a smaller box has fewer");
            return Err(wrong(Self::NAME, &format!("{MOST_CELLS} cells at most"), &found));
        }
        let middle = |from: f64, at: u32| from + (f64::from(at) + 0.5) * self.cell;
        let row = |row: u32| (0..columns as u32).map(move |column| (middle(left, column), middle(low, row)));
        Ok((0..rows as u32).flat_map(row).collect())
    }
}
