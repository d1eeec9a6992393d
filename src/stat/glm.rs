//! A log-linear model of counts on any columns: `ln mu = offset + row · coefficients`, with counts about `mu` as a
//! negative binomial of variance `mu + mu² / theta`, or with a variance of `dispersion · mu`.
//!
//! The coefficients are found by iteratively re-weighted least squares (McCullagh and Nelder 1989), each step by
//! Givens rotations of a row at a time. `theta` is that of the highest likelihood, in turn with the
//! coefficients (Venables and Ripley 2002, `glm.nb` of R's MASS). Counts need not be whole. A column that says when all
//! counts are 0 has a coefficient that falls until the fit no longer changes, with a vast standard error.
//! Standard errors hold `theta` fixed.

use std::f64::consts::TAU;

use super::counts::Counts;
use super::gamma::{deviance, stirling_error};

/// Columns at most.
pub const MOST_COLUMNS: usize = 64;
/// The largest count whose successor is a number of its own, 2⁵³.
const MOST: f64 = 9_007_199_254_740_992.0;
/// Changes of the deviance below this end the steps, as a share of it.
const CONVERGED: f64 = 1e-13;
/// Rounds of any loop at most: a column that says when all counts are 0 takes some forty steps.
const ROUNDS: usize = 100;
/// Changes of the inverse of theta below this end the turns, as a share of it or of the next.
const SETTLED: f64 = 1e-10;
/// An inverse of theta that is near that of a Poisson, 0: what is below it bears on nothing.
const NEAR: f64 = 1e-3;
/// A column is one of those before it where less than this share of it is left beside them.
const ALIASED: f64 = 1e-9;
/// The range of theta; above it a negative binomial is a Poisson, to the digits that tails have.
const THETAS: (f64, f64) = (1e-8, 1e8);

/// What is fitted.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// The counts, 0 to 2⁵³.
    pub counts: &'a [f64],
    /// The design, row by row; a level of all rows is a column of ones.
    pub design: &'a [f64],
    /// Its columns, 1 to [`MOST_COLUMNS`].
    pub columns: usize,
    /// What is known of each row's logarithm, such as that of its population.
    pub offset: Option<&'a [f64]>,
}

/// Why there is no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// No column or too many, or a design or an offset that is not as long as the counts.
    Shape,
    /// No more rows than columns.
    TooFewRows,
    /// A number of this row is not finite, or its count is no count: the first such row, from 0.
    NotFinite(usize),
    /// This column, from 0, says nothing that the columns before it do not say.
    Rank(usize),
    /// The steps lead to no finite model.
    NoConvergence,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The coefficient of each column.
    pub coefficients: Vec<f64>,
    /// Their standard errors, with theta held fixed.
    pub errors: Vec<f64>,
    /// The size of the negative binomial; `None` for counts that are not over-dispersed, which are a Poisson, and where
    /// it was not asked for.
    pub theta: Option<f64>,
    /// Its standard error, where the likelihood has a curvature.
    pub theta_error: Option<f64>,
    /// Twice the logarithm of the likelihood; `None` of a quasi-Poisson model, which has none.
    pub likelihood: Option<f64>,
    /// The deviance from a model that meets every count.
    pub deviance: f64,
    /// Pearson's chi-squared by row and degree of freedom of a quasi-Poisson model; else 1.
    pub dispersion: f64,
    /// Rows less columns.
    pub freedom: f64,
    /// Steps of least squares.
    pub steps: usize,
    /// Whether the steps ended by themselves.
    pub converged: bool,
    /// Of the weighted design: with `R` its triangle, `R' R` is the information for a dispersion of 1.
    triangle: Triangle,
}

/// What is expected of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Its logarithm, the offset included.
    pub eta: f64,
    /// The standard error of that.
    pub error: f64,
    /// The expected count.
    pub mean: f64,
}

impl Fit {
    /// The forecast of a row with its offset, 0 for none. `None` for a row that is not as long as the coefficients and
    /// for numbers that are not finite, or lead to one.
    #[must_use]
    pub fn forecast(&self, row: &[f64], offset: f64) -> Option<Forecast> {
        if row.len() != self.coefficients.len() {
            return None;
        }
        let eta = offset + product(row, &self.coefficients);
        let error = (self.dispersion * self.triangle.variance(row)).sqrt();
        let mean = eta.exp();
        (mean.is_finite() && error.is_finite()).then_some(Forecast { eta, error, mean })
    }

    /// How counts of an expected count, 0 or more, are spread about it.
    #[must_use]
    pub fn spread(&self, mean: f64) -> Counts {
        match self.theta {
            Some(size) if mean > 0.0 => Counts::NegativeBinomial { mean, size },
            _ => Counts::spread(mean, self.dispersion),
        }
    }
}

/// Fits a negative binomial, or a Poisson where counts are not over-dispersed.
///
/// # Errors
/// Why there is no model.
pub fn negative_binomial(data: Data<'_>) -> Result<Fit, Error> {
    let mut model = Model::new(data)?;
    let mut converged = model.steps(None)?;
    let (mut theta, mut settled) = (None, false);
    for _ in 0..ROUNDS {
        let found = best_theta(data.counts, &model.means, theta);
        settled = match (theta, found) {
            (Some(before), Some(found)) => (1.0 / found - 1.0 / before).abs() < SETTLED * NEAR.max(1.0 / found),
            (before, found) => before == found,
        };
        if settled {
            break;
        }
        theta = found;
        converged = model.steps(theta)?;
    }
    let theta_error = theta.and_then(|theta| {
        let (_, information) = score(data.counts, &model.means, theta);
        (information > 0.0).then(|| information.sqrt().recip())
    });
    let pairs = data.counts.iter().zip(&model.means);
    let likelihood = 2.0 * pairs.map(|(count, mean)| logarithm(*count, *mean, theta)).sum::<f64>();
    if !likelihood.is_finite() {
        return Err(Error::NoConvergence);
    }
    let mut fit = model.fit(theta, 1.0, converged && settled)?;
    (fit.theta_error, fit.likelihood) = (theta_error, Some(likelihood));
    Ok(fit)
}

/// Fits a Poisson whose variance is its mean times a dispersion, which may be below 1.
///
/// # Errors
/// Why there is no model.
pub fn quasi_poisson(data: Data<'_>) -> Result<Fit, Error> {
    let mut model = Model::new(data)?;
    let converged = model.steps(None)?;
    let pairs = data.counts.iter().zip(&model.means);
    let pearson: f64 = pairs.map(|(count, mean)| (count - mean).powi(2) / mean).sum();
    let dispersion = pearson / model.freedom();
    if !dispersion.is_finite() {
        return Err(Error::NoConvergence);
    }
    model.fit(None, dispersion, converged)
}

/// The coefficients on their way.
#[derive(Debug)]
struct Model<'a> {
    data: Data<'a>,
    coefficients: Vec<f64>,
    means: Vec<f64>,
    deviance: f64,
    taken: usize,
}

impl<'a> Model<'a> {
    fn new(data: Data<'a>) -> Result<Model<'a>, Error> {
        let (rows, columns) = (data.counts.len(), data.columns);
        let fits = (1..=MOST_COLUMNS).contains(&columns) && rows.checked_mul(columns) == Some(data.design.len());
        if !fits || data.offset.is_some_and(|offset| offset.len() != rows) {
            return Err(Error::Shape);
        }
        for (at, row) in data.design.chunks_exact(columns).enumerate() {
            let offset = data.offset.map_or(0.0, |offset| offset[at]);
            let known = (0.0..=MOST).contains(&data.counts[at]) && offset.is_finite();
            if !known || !row.iter().all(|number| number.is_finite()) {
                return Err(Error::NotFinite(at));
            }
        }
        if rows <= columns {
            return Err(Error::TooFewRows);
        }
        let model = Model {
            data,
            coefficients: vec![0.0; columns],
            means: data.counts.iter().map(|count| count + 0.1).collect(),
            deviance: f64::INFINITY,
            taken: 0,
        };
        match model.rotated(|_| (1.0, 0.0)).aliased() {
            Some(column) => Err(Error::Rank(column)),
            None => Ok(model),
        }
    }

    fn freedom(&self) -> f64 {
        as_number(self.data.counts.len() - self.data.columns)
    }

    fn offset(&self, row: usize) -> f64 {
        self.data.offset.map_or(0.0, |offset| offset[row])
    }

    /// The triangle of the design and the response that `row` says, both times the root of the weight that it says.
    fn rotated(&self, row: impl Fn(usize) -> (f64, f64)) -> Triangle {
        let columns = self.data.columns;
        let numbers = vec![0.0; columns * (columns + 1)];
        let (mut triangle, mut own) = (Triangle { columns, numbers }, vec![0.0; columns + 1]);
        for (at, numbers) in self.data.design.chunks_exact(columns).enumerate() {
            let (weight, response) = row(at);
            for (own, number) in own.iter_mut().zip(numbers.iter().chain([&response])) {
                *own = weight.sqrt() * number;
            }
            triangle.take(&mut own);
        }
        triangle
    }

    fn weighted(&self, theta: Option<f64>) -> Triangle {
        self.rotated(|row| {
            let (count, mean) = (self.data.counts[row], self.means[row]);
            let weight = theta.map_or(mean, |theta| mean / (1.0 + mean / theta));
            (weight, mean.ln() - self.offset(row) + (count - mean) / mean)
        })
    }

    /// Means and deviance of coefficients.
    fn judged(&self, coefficients: &[f64], theta: Option<f64>) -> (Vec<f64>, f64) {
        let rows = self.data.design.chunks_exact(self.data.columns).enumerate();
        // a mean that is no number above 0 any more could not be divided by
        let eta = |(at, row): (usize, &[f64])| self.offset(at) + product(row, coefficients);
        let means: Vec<f64> = rows.map(eta).map(|eta| eta.exp().max(f64::MIN_POSITIVE)).collect();
        let pairs = self.data.counts.iter().zip(&means);
        let deviance = pairs.map(|(count, mean)| unit_deviance(*count, *mean, theta)).sum();
        (means, deviance)
    }

    /// Steps for one theta, until the deviance no longer changes: whether it came to that.
    fn steps(&mut self, theta: Option<f64>) -> Result<bool, Error> {
        if self.taken > 0 {
            self.deviance = self.judged(&self.coefficients, theta).1;
        }
        for _ in 0..ROUNDS {
            let mut next = self.weighted(theta).solved();
            let (mut means, mut deviance) = self.judged(&next, theta);
            let slack = CONVERGED * (self.deviance.abs() + 0.1);
            let worse = |deviance: f64| !deviance.is_finite() || deviance > self.deviance + slack;
            for _ in 0..ROUNDS {
                if !worse(deviance) {
                    break;
                }
                for (next, own) in next.iter_mut().zip(&self.coefficients) {
                    *next = f64::midpoint(*next, *own);
                }
                (means, deviance) = self.judged(&next, theta);
            }
            if !deviance.is_finite() || next.iter().any(|next| !next.is_finite()) {
                return Err(Error::NoConvergence);
            }
            if worse(deviance) {
                // no step leads down from here
                return Ok(false);
            }
            let change = (self.deviance - deviance).abs();
            (self.coefficients, self.means, self.deviance) = (next, means, deviance);
            self.taken += 1;
            if change <= CONVERGED * (deviance.abs() + 0.1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fit(self, theta: Option<f64>, dispersion: f64, converged: bool) -> Result<Fit, Error> {
        let columns = self.data.columns;
        let triangle = self.weighted(theta);
        let one = |column: usize| -> Vec<f64> { (0..columns).map(|at| f64::from(at == column)).collect() };
        let error = |column: usize| (dispersion * triangle.variance(&one(column))).sqrt();
        let errors: Vec<f64> = (0..columns).map(error).collect();
        if !errors.iter().all(|error| error.is_finite()) {
            return Err(Error::NoConvergence);
        }
        Ok(Fit {
            freedom: self.freedom(),
            coefficients: self.coefficients,
            errors,
            theta,
            theta_error: None,
            likelihood: None,
            deviance: self.deviance,
            dispersion,
            steps: self.taken,
            converged,
            triangle,
        })
    }
}

/// An upper triangle with its response: what least squares need of all rows so far.
#[derive(Debug, Clone, PartialEq)]
struct Triangle {
    columns: usize,
    /// Row by row, each with its response at the end.
    numbers: Vec<f64>,
}

impl Triangle {
    /// Takes in a row and its response, which are lost, by a rotation for each column.
    fn take(&mut self, row: &mut [f64]) {
        for (column, numbers) in self.numbers.chunks_exact_mut(self.columns + 1).enumerate() {
            if row[column] == 0.0 {
                continue;
            }
            let length = numbers[column].hypot(row[column]);
            let (cosine, sine) = (numbers[column] / length, row[column] / length);
            for (number, own) in numbers[column..].iter_mut().zip(&mut row[column..]) {
                (*number, *own) = (cosine * *number + sine * *own, cosine * *own - sine * *number);
            }
        }
    }

    /// The first column that is one of those before it.
    fn aliased(&self) -> Option<usize> {
        let wide = self.columns + 1;
        (0..self.columns).find(|column| {
            let own = (0..=*column).fold(0.0, |own: f64, row| own.hypot(self.numbers[row * wide + column]));
            let left = self.numbers[column * wide + column].abs();
            left.is_nan() || left <= ALIASED * own
        })
    }

    /// The coefficients of least squares.
    fn solved(&self) -> Vec<f64> {
        let wide = self.columns + 1;
        let mut solved = vec![0.0; self.columns];
        for row in (0..self.columns).rev() {
            let numbers = &self.numbers[row * wide..(row + 1) * wide];
            let later = product(&numbers[row + 1..self.columns], &solved[row + 1..]);
            solved[row] = (numbers[self.columns] - later) / numbers[row];
        }
        solved
    }

    /// The variance of what is expected of a row, for a dispersion of 1.
    fn variance(&self, row: &[f64]) -> f64 {
        let wide = self.columns + 1;
        // R' a = row: it is the square of a
        let mut apart = row.to_vec();
        for at in 0..self.columns {
            let above = (0..at).map(|above| self.numbers[above * wide + at] * apart[above]);
            let above: f64 = above.sum();
            apart[at] = (apart[at] - above) / self.numbers[at * wide + at];
        }
        product(&apart, &apart)
    }
}

/// The sum of products of numbers in pairs.
fn product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// What a count adds to the deviance; `mean` is above 0.
fn unit_deviance(count: f64, mean: f64, theta: Option<f64>) -> f64 {
    let own = if count > 0.0 { deviance(count, mean) } else { mean };
    2.0 * (own - theta.map_or(0.0, |theta| deviance(count + theta, mean + theta)))
}

/// The logarithm of a count's likelihood, by saddle points, which keep the digits that a large theta costs (Loader
/// 2000).
fn logarithm(count: f64, mean: f64, theta: Option<f64>) -> f64 {
    match theta {
        None if count > 0.0 => -stirling_error(count) - deviance(count, mean) - 0.5 * (TAU * count).ln(),
        None => -mean,
        Some(theta) if count > 0.0 => {
            let (all, whole) = (theta + count, theta + mean);
            let apart = deviance(theta, all * (theta / whole)) + deviance(count, all * (mean / whole));
            let exponent = stirling_error(all) - stirling_error(theta) - stirling_error(count) - apart;
            exponent + 0.5 * (theta / (all * count * TAU)).ln()
        }
        Some(theta) => -theta * (mean / theta).ln_1p(),
    }
}

/// The theta of the highest likelihood for known means; `None` where that is a Poisson, and where all counts are 0,
/// which any theta explains.
fn best_theta(counts: &[f64], means: &[f64], near: Option<f64>) -> Option<f64> {
    let (mut low, mut high) = (THETAS.0.ln(), THETAS.1.ln());
    let rises = |theta: f64| score(counts, means, theta).0 > 0.0;
    if rises(THETAS.1) || !rises(THETAS.0) {
        return None;
    }
    let pairs = counts.iter().zip(means);
    let apart: f64 = pairs.map(|(count, mean)| (count / mean - 1.0).powi(2)).sum();
    let moment = as_number(counts.len()) / apart;
    // steps on the logarithm, kept between a lower and a higher one
    let mut at = near.unwrap_or(moment).clamp(THETAS.0, THETAS.1).ln();
    for _ in 0..ROUNDS {
        let theta = at.exp();
        let (slope, information) = score(counts, means, theta);
        if slope > 0.0 {
            low = at;
        } else {
            high = at;
        }
        let newton = at + slope / (information * theta);
        let inside = newton > low && newton < high;
        let next = if inside { newton } else { f64::midpoint(low, high) };
        let done = (next - at).abs() <= 1e-12 * (1.0 + theta * NEAR);
        at = next;
        if done {
            break;
        }
    }
    Some(at.exp())
}

/// The slope of the logarithm of the likelihood by theta, and the information: minus the slope of that.
///
/// Both are differences of what a large theta makes equal, so that they are taken of the remainders.
fn score(counts: &[f64], means: &[f64], theta: f64) -> (f64, f64) {
    let own = remainders(theta);
    let (mut slope, mut information) = (0.0, 0.0);
    for (count, mean) in counts.iter().zip(means) {
        let all = theta + count;
        let other = if *count > 0.0 { remainders(all) } else { own };
        let apart = (count - mean) / (mean + theta);
        slope += count / (2.0 * theta * all) + (own.0 - other.0) + remainder(apart, all / (mean + theta));
        information += count * (theta + all) / (2.0 * (theta * all).powi(2)) + (own.1 - other.1) - apart.powi(2) / all;
    }
    (slope, information)
}

/// `ln x - 1 / (2 x) - ψ(x)` and `ψ'(x) - 1 / x - 1 / (2 x²)`, for `x > 0` (Abramowitz and Stegun 6.3.18, 6.4.12).
fn remainders(x: f64) -> (f64, f64) {
    let (mut far, mut digamma, mut trigamma) = (x, 0.0, 0.0);
    while far < 12.0 {
        digamma += far.recip();
        trigamma += (far * far).recip();
        far += 1.0;
    }
    let square = (far * far).recip();
    let first = square
        * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square * (1.0 / 240.0 - square / 132.0))));
    let second = square / far
        * (1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square * (1.0 / 30.0 - square * 5.0 / 66.0))));
    if far > x {
        let own = x.recip();
        digamma += first + (x / far).ln() + 0.5 * (far.recip() - own);
        trigamma += second + far.recip() + 0.5 * square - own - 0.5 * own * own;
        return (digamma, trigamma);
    }
    (first, second)
}

/// `ln one_more - x`, where `one_more` is `1 + x` and above 0.
fn remainder(x: f64, one_more: f64) -> f64 {
    if x.abs() > 0.01 {
        return one_more.ln() - x;
    }
    let far = 1.0 / 5.0 - x * (1.0 / 6.0 - x * (1.0 / 7.0 - x * (1.0 / 8.0 - x / 9.0)));
    -x * x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * far)))
}

#[expect(clippy::cast_precision_loss, reason = "rows are far below 2^53")]
fn as_number(rows: usize) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::stat::random::{Stream, lane};

    /// Rows of a level, a wave and a slope, and counts of such means times a gamma of mean 1 and the given size.
    fn planted(rows: u32, size: Option<f64>, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let mut stream = Stream::keyed(seed, lane("glm"), 0, 0);
        let (mut design, mut counts) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let own = [1.0, (f64::from(row) * 0.9).sin(), f64::from(row) / f64::from(rows)];
            let mean = (1.5 + 0.6 * own[1] - 0.8 * own[2]).exp();
            // of whole size: the mean of as many exponentials
            let factor = match size {
                Some(size) => (0..size as u32).map(|_| stream.exponential(1.0)).sum::<f64>() / size,
                None => 1.0,
            };
            counts.push(stream.poisson(mean * factor) as f64);
            design.extend(own);
        }
        (design, counts)
    }

    fn data<'a>(counts: &'a [f64], design: &'a [f64]) -> Data<'a> {
        Data {
            counts,
            design,
            columns: design.len() / counts.len().max(1),
            offset: None,
        }
    }

    fn near(found: f64, expected: f64, within: f64) -> bool {
        (found - expected).abs() <= within
    }

    #[test]
    fn planted_coefficients_and_theta_are_found() {
        let (design, counts) = planted(20_000, Some(3.0), 7);
        let fit = negative_binomial(data(&counts, &design)).expect("a model");
        assert!(fit.converged, "{fit:?}");
        for ((found, error), expected) in fit.coefficients.iter().zip(&fit.errors).zip([1.5, 0.6, -0.8]) {
            assert!(*error < 0.05 && near(*found, expected, 4.0 * error), "{fit:?}");
        }
        let (theta, error) = (fit.theta.expect("theta"), fit.theta_error.expect("an error"));
        assert!(error < 0.15 && near(theta, 3.0, 4.0 * error), "{fit:?}");
        // a Poisson of the same means has no theta, and a dispersion about 1
        let (design, counts) = planted(20_000, None, 8);
        let quasi = quasi_poisson(data(&counts, &design)).expect("a model");
        assert!(near(quasi.dispersion, 1.0, 0.05) && quasi.likelihood.is_none());
    }

    #[test]
    fn a_level_alone_is_the_mean_and_its_theta_solves_the_equation_of_the_likelihood() {
        let counts = [0.0, 3.0, 1.0, 9.0, 2.0, 0.0, 14.0, 3.0];
        let design = [1.0; 8];
        let fit = negative_binomial(data(&counts, &design)).expect("a model");
        assert!(near(fit.coefficients[0], 4.0_f64.ln(), 1e-12));
        let theta = fit.theta.expect("theta");
        // the likelihood by its definition, with products in place of gamma functions
        let likelihood = |theta: f64| {
            let of = |count: &f64| {
                let whole = *count as u32;
                let rising: f64 = (0..whole)
                    .map(|k| ((theta + f64::from(k)) / f64::from(k + 1)).ln())
                    .sum();
                rising + theta * (theta / (theta + 4.0)).ln() + count * (4.0 / (theta + 4.0)).ln()
            };
            2.0 * counts.iter().map(of).sum::<f64>()
        };
        assert!(near(fit.likelihood.expect("a likelihood"), likelihood(theta), 1e-10));
        for other in [0.9, 0.99, 1.01, 1.1] {
            assert!(likelihood(theta) > likelihood(theta * other), "{other}");
        }
        let curve = (likelihood(theta + 1e-3) - 2.0 * likelihood(theta) + likelihood(theta - 1e-3)) / 1e-6;
        assert!(near(fit.theta_error.expect("an error"), (-2.0 / curve).sqrt(), 1e-4));
        // variance of a mean of 4, by row 4 + 16 / theta
        assert!(near(fit.errors[0], ((0.25 + 1.0 / theta) / 8.0).sqrt(), 1e-9));
    }

    #[test]
    fn counts_that_are_not_over_dispersed_are_a_poisson() {
        let even = [3.0, 4.0, 5.0, 4.0, 3.0, 5.0];
        let fit = negative_binomial(data(&even, &[1.0; 6])).expect("a model");
        assert_eq!((fit.theta, fit.theta_error, fit.converged), (None, None, true));
        assert!(near(fit.coefficients[0].exp(), 4.0, 1e-12));
        let factorials = 6.0_f64.ln() * 2.0 + 24.0_f64.ln() * 2.0 + 120.0_f64.ln() * 2.0;
        assert!(near(
            fit.likelihood.expect("a likelihood"),
            2.0 * (24.0 * 4.0_f64.ln() - 24.0 - factorials),
            1e-10
        ));
        assert_eq!(fit.spread(4.0), Counts::Poisson { mean: 4.0 });
        // silence has a mean of nothing, and knows nothing of its logarithm
        let silent = negative_binomial(data(&[0.0; 6], &[1.0; 6])).expect("a model");
        assert!(
            silent.theta.is_none() && silent.coefficients[0] < -20.0 && silent.errors[0] > 1e3,
            "{silent:?}"
        );
    }

    #[test]
    fn a_forecast_is_that_of_its_row() {
        let (design, counts) = planted(60, Some(2.0), 3);
        let fit = quasi_poisson(data(&counts, &design)).expect("a model");
        let row = [1.0, 0.25, 2.0];
        let found = fit.forecast(&row, 0.5).expect("a forecast");
        let eta = 0.5 + fit.coefficients[0] + 0.25 * fit.coefficients[1] + 2.0 * fit.coefficients[2];
        assert!(near(found.eta, eta, 1e-12) && near(found.mean, eta.exp(), 1e-9));
        assert!(near(
            fit.forecast(&[0.0, 1.0, 0.0], 0.0).expect("a forecast").error,
            fit.errors[1],
            1e-12
        ));
        // of a level and a step each side stands for itself: one over the counts that it has
        let sides = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let both = quasi_poisson(data(&[2.0, 5.0, 3.0, 9.0, 31.0], &sides)).expect("a model");
        for (row, counts) in [([1.0, 0.0], 10.0), ([1.0, 1.0], 40.0)] {
            let error = both.forecast(&row, 0.0).expect("a forecast").error;
            assert!(near(error, (both.dispersion / counts).sqrt(), 1e-9));
        }
        assert_eq!(fit.forecast(&row[..2], 0.0), None);
        assert_eq!(fit.forecast(&[1.0, f64::NAN, 0.0], 0.0), None);
        assert_eq!(fit.forecast(&row, 1e4), None);
    }

    #[test]
    fn what_is_no_model_has_its_reason() {
        let refused = |counts: &[f64], design: &[f64], columns| {
            let data = Data {
                counts,
                design,
                columns,
                offset: None,
            };
            let (own, quasi) = (negative_binomial(data).err(), quasi_poisson(data).err());
            assert_eq!(own, quasi);
            own
        };
        let twice = [1.0, 2.0, 5.0, 1.0, 3.0, 7.0, 1.0, 4.0, 9.0, 1.0, 9.0, 19.0];
        assert_eq!(refused(&[1.0, 2.0, 3.0, 4.0], &twice, 3), Some(Error::Rank(2)));
        assert_eq!(
            refused(&[1.0, 2.0, 3.0], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2),
            Some(Error::Rank(1))
        );
        assert_eq!(refused(&[1.0, 2.0], &[1.0, 0.0, 1.0, 1.0], 2), Some(Error::TooFewRows));
        assert_eq!(refused(&[], &[], 1), Some(Error::TooFewRows));
        assert_eq!(refused(&[], &[], 0), Some(Error::Shape));
        assert_eq!(refused(&[1.0], &[1.0; 65], 65), Some(Error::Shape));
        assert_eq!(refused(&[1.0, 2.0], &[1.0], 1), Some(Error::Shape));
        assert_eq!(refused(&[1.0, -1.0, f64::NAN], &[1.0; 3], 1), Some(Error::NotFinite(1)));
        assert_eq!(
            refused(&[1.0; 3], &[1.0, 1.0, f64::INFINITY], 1),
            Some(Error::NotFinite(2))
        );
        let offset = Data {
            offset: Some(&[0.0, 0.0]),
            ..data(&[1.0, 2.0, 3.0], &[1.0; 3])
        };
        assert_eq!(quasi_poisson(offset).err(), Some(Error::Shape));
    }

    #[test]
    fn remainders_keep_their_digits() {
        // mpmath 1.3, 40 digits
        for (x, digamma, trigamma) in DIGITS {
            let found = remainders(x);
            assert!(near(found.0, digamma, 1e-12 * digamma.abs()), "{x}: {found:?}");
            assert!(near(found.1, trigamma, 1e-11 * trigamma.abs()), "{x}: {found:?}");
        }
    }

    const DIGITS: [(f64, f64, f64); 4] = [
        (0.25, 0.841_159_172_256_374_8, 5.197_329_154_507_111),
        (3.0, 0.009_161_286_902_975_886, 0.006_045_177_959_337_548),
        (15.5, 3.467_168_187_064_716_6e-4, 4.471_909_836_442_016e-5),
        (1e6, 8.333_333_333_332_5e-14, 1.666_666_666_666_333_3e-19),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_constant_in_the_offset_moves_the_level_alone(seed in any::<u64>(), constant in -3.0..3.0_f64) {
            let (design, counts) = planted(80, Some(2.0), seed);
            let offset: Vec<f64> = (0..80).map(|row| f64::from(row % 7) * 0.1).collect();
            let moved: Vec<f64> = offset.iter().map(|offset| offset + constant).collect();
            let own = data(&counts, &design);
            let of = |offset| negative_binomial(Data { offset: Some(offset), ..own }).expect("a model");
            let (own, moved) = (of(&offset), of(&moved));
            prop_assert!(near(moved.coefficients[0], own.coefficients[0] - constant, 1e-6));
            for at in 1..3 {
                prop_assert!(near(moved.coefficients[at], own.coefficients[at], 1e-6));
            }
            prop_assert!(near(moved.deviance, own.deviance, 1e-6 * own.deviance));
            prop_assert!(near(moved.errors[1], own.errors[1], 1e-6));
        }

        #[test]
        fn whatever_counts_come_there_is_a_model_of_numbers_or_a_reason(
            counts in vec(prop_oneof![
                4 => (0..9_u32).prop_map(f64::from),
                2 => Just(0.0),
                1 => 0.0..1.0_f64,
                1 => (0..1_000_000_000_u32).prop_map(f64::from),
            ], 1..40),
            numbers in vec(prop_oneof![3 => -2.0..2.0_f64, 2 => Just(0.0), 1 => -1e6..1e6_f64], 80),
        ) {
            let rows = numbers.chunks_exact(2).take(counts.len());
            let design: Vec<f64> = rows.flat_map(|pair| [1.0, pair[0], pair[1]]).collect();
            let own = data(&counts, &design);
            for fit in [negative_binomial(own), quasi_poisson(own)].into_iter().flatten() {
                let known = [fit.deviance, fit.dispersion, fit.likelihood.unwrap_or(0.0), fit.theta.unwrap_or(1.0)];
                let mut known = known.iter().chain(&fit.coefficients).chain(&fit.errors);
                prop_assert!(known.all(|number| number.is_finite()), "{fit:?}");
                prop_assert!(fit.deviance >= 0.0 && fit.theta.is_none_or(|theta| theta > 0.0), "{fit:?}");
            }
        }

        #[test]
        fn residuals_of_a_poisson_have_no_part_of_any_column(seed in any::<u64>()) {
            let (design, counts) = planted(50, Some(1.0), seed);
            if let Ok(fit) = quasi_poisson(data(&counts, &design)) {
                for column in 0..3 {
                    let rows = design.chunks_exact(3).zip(&counts);
                    let part: f64 = rows.map(|(row, count)| {
                        row[column] * (count - fit.forecast(row, 0.0).map_or(f64::NAN, |found| found.mean))
                    }).sum();
                    prop_assert!(part.abs() < 1e-4 * (1.0 + counts.iter().sum::<f64>()), "{part}");
                }
            }
        }
    }
}
