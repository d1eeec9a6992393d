//! What the location functions share: rows as demand, sites and pairs, and answers as rows.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};

use super::columns::{doubles, field, integers, named, numbers_named};
use super::gathered::{Columns, Of, wrong};
use super::options::Options;
use super::scan::same_as_before;
use crate::stat::coverage::{Invalid, Pair, Placed, Problem};

/// The way to call what weighs demand.
pub(super) const FORMS: &[Columns] = &[&[
    ("demand", Of::Id),
    ("weight", Of::Number),
    ("site", Of::Id),
    ("cost", Of::Number),
]];
/// More posts than any city has.
pub(super) const MOST_SITES: i64 = 1_000_000;

/// The option `fixed`: sites that are open whatever comes.
#[derive(Debug, Clone)]
pub(super) struct Fixed(Option<ArrayRef>);

impl Fixed {
    /// Reads it.
    ///
    /// # Errors
    /// A plan error naming function and option.
    pub(super) fn of(options: &Options) -> Result<Fixed> {
        options.list("fixed").map(Fixed)
    }
}

/// Rows as a problem, with the names of what it counts.
pub(super) struct Rows {
    pub problem: Problem,
    sites: ArrayRef,
}

/// A value as what tells it apart.
fn key(values: &ArrayRef, at: usize) -> Result<ScalarValue> {
    ScalarValue::try_from_array(values, at)
}

impl Rows {
    /// Of columns `demand, site, cost` and the weight of each row's demand; a row without a site is demand that no site
    /// serves.
    ///
    /// # Errors
    /// What is wrong with the rows.
    pub(super) fn of(
        name: &str,
        demand: &ArrayRef,
        weight: Option<&ArrayRef>,
        [site, cost]: [&ArrayRef; 2],
        fixed: &Fixed,
    ) -> Result<Rows> {
        if demand.null_count() > 0 {
            return Err(wrong(name, "a demand point in every row", "NULL"));
        }
        let same = same_as_before(demand);
        let weights_of = weight.map(|weight| weight.as_primitive::<Float64Type>());
        let costs = cost.as_primitive::<Float64Type>();
        let (mut weights, mut pairs, mut first_rows): (Vec<f64>, Vec<Pair>, Vec<u32>) = Default::default();
        let mut numbers: HashMap<ScalarValue, u32> = HashMap::new();
        for (at, same) in same.iter().enumerate() {
            let weight = weights_of.map_or(Some(1.0), |weights| weights.is_valid(at).then(|| weights.value(at)));
            let weight = weight.ok_or_else(|| wrong(name, "a weight in every row", "NULL"))?;
            match weights.last() {
                Some(last) if *same && *last != weight => {
                    let found = format!("{last} and {weight} of {}", key(demand, at)?);
                    return Err(wrong(name, "one weight of each demand point", &found));
                }
                Some(_) if *same => {}
                _ => weights.push(weight),
            }
            if site.is_null(at) {
                continue;
            }
            if costs.is_null(at) {
                return Err(wrong(name, "a cost with every site", "NULL"));
            }
            let next = numbers.len() as u32;
            let number = *numbers.entry(key(site, at)?).or_insert(next);
            if number == next {
                first_rows.push(at as u32);
            }
            pairs.push(Pair {
                demand: weights.len() as u32 - 1,
                site: number,
                cost: costs.value(at),
            });
        }
        let fixed = fixed_sites(name, fixed, site.data_type(), &numbers)?;
        let problem = Problem::new(weights, numbers.len() as u32, pairs, fixed).map_err(|why| match why {
            Invalid::Weight(_) => wrong(name, "weights of 0 or more", "one that is none"),
            Invalid::Cost(_) => wrong(name, "costs of 0 or more", "one that is none"),
            Invalid::Pair(_) | Invalid::Fixed(_) => DataFusionError::Internal(format!("{name}: other numbers")),
        })?;
        Ok(Rows {
            problem,
            sites: named(site, first_rows)?,
        })
    }

    /// The sites of an answer as rows; `total` is the weight, or the number, of all demand.
    ///
    /// # Errors
    /// As the names cannot be taken.
    pub(super) fn answer(&self, placed: &Placed, total: f64) -> Result<Vec<ArrayRef>> {
        let rows = placed.opened.len();
        let all = |value: f64| doubles(std::iter::repeat_n(Some(value), rows));
        let mut sum = 0.0;
        let sums = placed.opened.iter().map(|opened| {
            sum += opened.gain;
            Some(sum)
        });
        Ok(vec![
            integers((1..).take(rows)),
            named(&self.sites, placed.opened.iter().map(|opened| opened.site))?,
            std::sync::Arc::new(BooleanArray::from_iter(
                placed.opened.iter().map(|opened| Some(opened.fixed)),
            )),
            doubles(placed.opened.iter().map(|opened| Some(opened.gain))),
            doubles(sums),
            all(total),
            all(placed.objective),
            all(placed.bound),
            all(placed.gap()),
            integers(std::iter::repeat_n(placed.unserved.len() as i64, rows)),
        ])
    }
}

/// The numbers of the sites that are fixed.
fn fixed_sites(name: &str, fixed: &Fixed, kind: &DataType, numbers: &HashMap<ScalarValue, u32>) -> Result<Vec<u32>> {
    let Some(list) = &fixed.0 else { return Ok(Vec::new()) };
    let alike = kind.is_string() == list.data_type().is_string();
    let list = alike.then(|| cast(list, kind)).transpose()?;
    let list = list.ok_or_else(|| wrong(name, "fixed as a list of sites", "values of another type"))?;
    let number = |at: usize| -> Result<u32> {
        let site = key(&list, at)?;
        let unknown = || wrong(name, "fixed sites that some row has", &site.to_string());
        numbers.get(&site).copied().ok_or_else(unknown)
    };
    (0..list.len()).map(number).collect()
}

/// The fields of an answer; `site` is the type of a site.
pub(super) fn fields(site: &DataType) -> Fields {
    let mut fields = vec![
        field("rank", DataType::Int64),
        field("site", site.clone()),
        field("fixed", DataType::Boolean),
    ];
    fields.extend(numbers_named(&["gain", "gained", "total", "objective", "bound", "gap"]));
    fields.push(field("unserved", DataType::Int64));
    fields.into()
}

/// The weight of all demand: that of the rows with another point than the row before.
pub(super) fn total(demand: &ArrayRef, weight: Option<&ArrayRef>) -> f64 {
    let same = same_as_before(demand);
    let weights = weight.map(|weight| weight.as_primitive::<Float64Type>());
    let own = |at: usize| weights.map_or(1.0, |weights| weights.value(at));
    (0..demand.len()).filter(|at| !same[*at]).map(own).sum()
}
