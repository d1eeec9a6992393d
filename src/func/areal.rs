//! What functions over the values of places share: values that are not there, permutations, and reasons.

use datafusion::arrow::array::ArrayRef;
use datafusion::error::{DataFusionError, Result};

use super::around::rows_with;
use super::columns::{integers, known};
use super::gathered::{stopped, wrong};
use super::options::Options;
use crate::stat::areal::{Permutations, Refused};
use crate::stat::weights::Neighbours;

/// More replications than anybody waits for.
const MOST_REPLICATIONS: i64 = 1_000_000;

/// The options `permutations` (0) and `seed` (1).
///
/// # Errors
/// A plan error naming function and option.
pub(super) fn permutations(options: &Options) -> Result<Permutations> {
    let replications = options.whole("permutations", 0, 0, MOST_REPLICATIONS)?;
    Ok(Permutations {
        replications: u32::try_from(replications).unwrap_or(0),
        seed: options.seed()?,
    })
}

/// What a kernel refused.
pub(super) fn refused(name: &str, refused: Refused) -> DataFusionError {
    match refused {
        Refused::Stopped => stopped(name),
        Refused::TooMany => wrong(
            name,
            "permutations that fit into memory",
            "too many for so many neighbours",
        ),
    }
}

/// The rows with a value, the value of each, and their other columns.
pub(super) struct Valued {
    /// For each row its place among those with a value.
    pub places: Vec<Option<usize>>,
    pub values: Vec<f64>,
    pub ids: ArrayRef,
    pub rest: Vec<ArrayRef>,
}

impl Valued {
    /// Of columns `id, value, …`.
    ///
    /// # Errors
    /// As the rows cannot be taken.
    pub(super) fn of(columns: &[ArrayRef]) -> Result<Valued> {
        let found = known(&columns[1]);
        let (mut places, mut values, mut rows) = (Vec::with_capacity(found.len()), Vec::new(), Vec::new());
        for (row, value) in (0..).zip(&found) {
            places.push(value.map(|_| values.len()));
            if let Some(value) = value {
                values.push(*value);
                rows.push(row);
            }
        }
        let all = rows.len() == found.len();
        let taken = if all {
            columns.to_vec()
        } else {
            rows_with(columns, &rows)?
        };
        Ok(Valued {
            places,
            values,
            ids: taken[0].clone(),
            rest: taken[2..].to_vec(),
        })
    }

    /// How many neighbours each row has; none without a value.
    pub(super) fn counts(&self, neighbours: &Neighbours) -> ArrayRef {
        let count = |place: &Option<usize>| place.map_or(0, |at| neighbours.of(at).len() as i64);
        integers(self.places.iter().map(count))
    }

    /// What was found of each row; the reason where nothing was.
    pub(super) fn rows<T: Copy>(
        &self,
        found: &[std::result::Result<T, crate::stat::areal::Reason>],
    ) -> Vec<std::result::Result<T, &'static str>> {
        let row = |place: &Option<usize>| match place {
            None => Err("unknown"),
            Some(at) => found[*at].map_err(crate::stat::areal::Reason::word),
        };
        self.places.iter().map(row).collect()
    }
}
