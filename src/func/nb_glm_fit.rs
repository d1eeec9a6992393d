//! `nb_glm_fit(count DOUBLE, numbers LIST<DOUBLE>, {options}) LIST<STRUCT<coefficients LIST<DOUBLE>, errors LIST<DOUBLE>, theta
//! DOUBLE, theta_error DOUBLE, dispersion DOUBLE, deviance DOUBLE, likelihood DOUBLE, rows BIGINT, steps BIGINT, reason
//! VARCHAR>>`
//!
//! Counts by day type, hour, season and whatever else is a number: a log-linear model with negative binomial counts, fitted by
//! maximum likelihood (`family` 'nb') or with a free dispersion ('quasipoisson'). `numbers` are the row's explanatory
//! numbers, as many in each row, 64 at most; the first coefficient is that of the constant 1, which is added. One struct for
//! the group: a model, to be kept as a row of a table and used with `nb_glm_predict`. `theta` is infinite where counts vary
//! no more than by chance (Poisson), and NULL for 'quasipoisson'; `errors` hold theta as known; `likelihood` is twice its
//! logarithm. `reason`: few_rows, invalid (a count below 0, NULL, or a number that is not finite), rank (a number that
//! follows from others: leave it out), no_convergence. Source: Hilbe 2011; Venables and Ripley 2002.
//!
//! ```sql
//! SELECT unnest(nb_glm_fit(n, [day / 10.0])) AS model
//! FROM (VALUES (1, 4), (2, 9), (3, 5), (4, 12), (5, 8), (6, 30), (7, 11), (8, 25)) AS t (day, n)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, ListBuilder};
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::error::Result;

use super::columns::{doubles, field, integers, list_of, numbers_named, words};
use super::gathered::{Columns, Of, Set, Work, wrong};
use super::options::Options;
use crate::stat::glm::{Data, Error, Fit, MOST_COLUMNS, negative_binomial, quasi_poisson};

/// What is asked.
#[derive(Debug)]
pub(super) struct NbGlmFit {
    quasi: bool,
}

/// Rows as a design with a constant; `None` where a number is not known.
fn design(numbers: &ArrayRef) -> Result<(Option<Vec<f64>>, usize)> {
    let lists = numbers.as_list::<i32>();
    let each = if lists.is_empty() { 0 } else { lists.value_length(0) };
    if let Some(other) = (0..lists.len()).find(|at| lists.is_valid(*at) && lists.value_length(*at) != each) {
        let found = format!("{} and {each}", lists.value_length(other));
        return Err(wrong("nb_glm_fit", "as many numbers in each row", &found));
    }
    let columns = usize::try_from(each).unwrap_or(0) + 1;
    if columns > MOST_COLUMNS {
        let expected = format!("{} numbers at most", MOST_COLUMNS - 1);
        return Err(wrong("nb_glm_fit", &expected, &each.to_string()));
    }
    let values = lists.values().as_primitive::<Float64Type>();
    let mut design = Vec::with_capacity(lists.len() * columns);
    for (row, offsets) in lists.value_offsets().windows(2).enumerate() {
        let own = offsets[0] as usize..offsets[1] as usize;
        if lists.is_null(row) || own.clone().any(|at| values.is_null(at)) {
            return Ok((None, columns));
        }
        design.push(1.0);
        design.extend_from_slice(&values.values()[own]);
    }
    Ok((Some(design), columns))
}

fn list(values: Option<&[f64]>) -> ArrayRef {
    let mut lists = ListBuilder::new(Float64Builder::new());
    lists.append_option(values.map(|values| values.iter().copied().map(Some)));
    Arc::new(lists.finish())
}

impl Set for NbGlmFit {
    const NAME: &'static str = "nb_glm_fit";
    const FORMS: &'static [Columns] = &[&[("count", Of::Number), ("numbers", Of::Numbers)]];
    const OPTIONS: &'static [&'static str] = &["family"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        let family = options.word("family", "nb", &["nb", "quasipoisson"])?;
        Ok(NbGlmFit {
            quasi: family == "quasipoisson",
        })
    }

    fn fields(_: &[DataType]) -> Fields {
        let mut fields = vec![
            field("coefficients", list_of(DataType::Float64)),
            field("errors", list_of(DataType::Float64)),
        ];
        fields.extend(numbers_named(&[
            "theta",
            "theta_error",
            "dispersion",
            "deviance",
            "likelihood",
        ]));
        fields.push(field("rows", DataType::Int64));
        fields.push(field("steps", DataType::Int64));
        fields.push(field("reason", DataType::Utf8));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], _work: &Work) -> Result<Vec<ArrayRef>> {
        let counts = columns[0].as_primitive::<Float64Type>();
        let fit = match design(&columns[1])? {
            (Some(design), width) if counts.null_count() == 0 => {
                let data = Data {
                    counts: counts.values(),
                    design: &design,
                    columns: width,
                    offset: None,
                };
                if self.quasi {
                    quasi_poisson(data)
                } else {
                    negative_binomial(data)
                }
            }
            _ => Err(Error::NotFinite(0)),
        };
        let fit = fit.and_then(|fit| {
            if fit.converged {
                Ok(fit)
            } else {
                Err(Error::NoConvergence)
            }
        });
        let known = fit.as_ref().ok();
        let of = |number: &dyn Fn(&Fit) -> Option<f64>| doubles([known.and_then(number)]);
        let theta = known
            .filter(|_| !self.quasi)
            .map(|fit| fit.theta.unwrap_or(f64::INFINITY));
        let reason = fit.as_ref().err().map(|why| match why {
            Error::TooFewRows => "few_rows",
            Error::Shape | Error::NotFinite(_) => "invalid",
            Error::Rank(_) => "rank",
            Error::NoConvergence => "no_convergence",
        });
        Ok(vec![
            list(known.map(|fit| fit.coefficients.as_slice())),
            list(known.map(|fit| fit.errors.as_slice())),
            Arc::new(Float64Array::from(vec![theta])),
            of(&|fit| fit.theta_error),
            of(&|fit| Some(fit.dispersion)),
            of(&|fit| Some(fit.deviance)),
            of(&|fit| fit.likelihood),
            integers([counts.len() as i64]),
            integers([known.map_or(0, |fit| fit.steps as i64)]),
            words([reason]),
        ])
    }
}
