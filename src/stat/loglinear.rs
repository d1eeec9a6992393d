//! A log-linear model of counts with a level for each group and one slope: `ln mu = level + slope · time`.
//!
//! Fitted by iteratively re-weighted least squares (McCullagh and Nelder 1989). With one factor and one slope the normal
//! equations fall apart into sums over the groups, so that a step costs one pass over the rows. Variances follow the
//! quasi-Poisson form: the dispersion times the mean.

/// Changes of the deviance below this end the iteration, as a share of it.
const CONVERGED: f64 = 1e-14;
/// Steps at most: a group without any event moves towards minus infinity for as long as it is let.
const STEPS: usize = 200;

/// What is fitted.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// The counts.
    pub counts: &'a [f64],
    /// Their times; the forecast is for time 0.
    pub times: &'a [f64],
    /// Their groups, counted from 0.
    pub groups: &'a [usize],
    /// The number of groups; those without a row are left out.
    pub number: usize,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The level of each group, at time 0.
    pub levels: Vec<f64>,
    /// The slope, where there is one.
    pub slope: Option<f64>,
    /// The expected counts.
    pub means: Vec<f64>,
    /// How far each count decides its own expectation, 0 to 1.
    pub leverages: Vec<f64>,
    /// Rows less parameters.
    pub freedom: f64,
    /// Pearson's dispersion, not less than 0.
    pub dispersion: f64,
    /// Working weights by group, mean times by group, and their scatter: what variances follow from.
    weight: Vec<f64>,
    middle: Vec<f64>,
    scatter: f64,
}

impl Fit {
    /// The variance of the slope, for a dispersion of 1.
    #[must_use]
    pub fn slope_variance(&self) -> f64 {
        1.0 / self.scatter
    }

    /// The variance of a group's level at time 0, for a dispersion of 1.
    #[must_use]
    pub fn level_variance(&self, group: usize) -> f64 {
        let apart = match self.slope {
            Some(_) => self.middle[group].powi(2) / self.scatter,
            None => 0.0,
        };
        1.0 / self.weight[group] + apart
    }
}

/// Fits a model, with a slope or without, to counts with prior weights. `None` where there are no more rows than
/// parameters, or where times do not tell a slope.
#[must_use]
pub fn fit(data: Data<'_>, weights: &[f64], with_slope: bool) -> Option<Fit> {
    let rows = data.counts.len();
    let mut used = vec![false; data.number];
    data.groups.iter().for_each(|group| used[*group] = true);
    let parameters = used.iter().filter(|used| **used).count() + usize::from(with_slope);
    if rows <= parameters {
        return None;
    }
    let mut means: Vec<f64> = data.counts.iter().map(|count| count + 0.1).collect();
    let mut linear: Vec<f64> = means.iter().map(|mean| mean.ln()).collect();
    let logs: Vec<f64> = data
        .counts
        .iter()
        .map(|count| if *count > 0.0 { count.ln() } else { 0.0 })
        .collect();
    let mut sums = Sums::new(data.number);
    let (mut levels, mut slope, mut before) = (vec![f64::NAN; data.number], 0.0, f64::INFINITY);
    for _ in 0..STEPS {
        sums.take(data, weights, &means, &linear);
        slope = match with_slope {
            true if sums.scatter > 0.0 => sums.together / sums.scatter,
            true => return None,
            false => 0.0,
        };
        for (group, level) in levels.iter_mut().enumerate().filter(|(group, _)| used[*group]) {
            *level = sums.response[group] - slope * sums.middle[group];
        }
        let mut deviance = 0.0;
        for row in 0..rows {
            let (count, weight) = (data.counts[row], weights[row]);
            linear[row] = levels[data.groups[row]] + slope * data.times[row];
            means[row] = linear[row].exp();
            let logarithm = if count > 0.0 {
                count * (logs[row] - linear[row])
            } else {
                0.0
            };
            deviance += 2.0 * weight * (logarithm - (count - means[row]));
        }
        if !deviance.is_finite() {
            return None;
        }
        if (deviance - before).abs() / (deviance.abs() + 0.1) < CONVERGED {
            break;
        }
        before = deviance;
    }
    sums.take(data, weights, &means, &linear);
    let leverage = |row: usize| {
        let group = data.groups[row];
        let apart = match with_slope {
            true => (data.times[row] - sums.middle[group]).powi(2) / sums.scatter,
            false => 0.0,
        };
        weights[row] * means[row] * (1.0 / sums.weight[group] + apart)
    };
    let pearson = (0..rows).map(|row| weights[row] * (data.counts[row] - means[row]).powi(2) / means[row]);
    #[expect(clippy::cast_precision_loss, reason = "few rows")]
    let freedom = (rows - parameters) as f64;
    Some(Fit {
        dispersion: pearson.sum::<f64>() / freedom,
        leverages: (0..rows).map(leverage).collect(),
        slope: with_slope.then_some(slope),
        levels,
        means,
        freedom,
        weight: sums.weight,
        middle: sums.middle,
        scatter: sums.scatter,
    })
}

/// The sums of one step, by group: working weights, means of times and of the working response; over all groups the
/// scatter of times about their group's mean, and that of times with responses.
#[derive(Debug)]
struct Sums {
    weight: Vec<f64>,
    middle: Vec<f64>,
    response: Vec<f64>,
    scatter: f64,
    together: f64,
}

impl Sums {
    fn new(groups: usize) -> Sums {
        Sums {
            weight: vec![0.0; groups],
            middle: vec![0.0; groups],
            response: vec![0.0; groups],
            scatter: 0.0,
            together: 0.0,
        }
    }

    fn take(&mut self, data: Data<'_>, weights: &[f64], means: &[f64], linear: &[f64]) {
        for sum in [&mut self.weight, &mut self.middle, &mut self.response] {
            sum.fill(0.0);
        }
        let working = |row: usize| linear[row] + (data.counts[row] - means[row]) / means[row];
        for (row, group) in data.groups.iter().enumerate() {
            let weight = weights[row] * means[row];
            self.weight[*group] += weight;
            self.middle[*group] += weight * data.times[row];
            self.response[*group] += weight * working(row);
        }
        for group in 0..self.weight.len() {
            if self.weight[group] > 0.0 {
                self.middle[group] /= self.weight[group];
                self.response[group] /= self.weight[group];
            }
        }
        (self.scatter, self.together) = (0.0, 0.0);
        for (row, group) in data.groups.iter().enumerate() {
            let apart = data.times[row] - self.middle[*group];
            let weight = weights[row] * means[row] * apart;
            self.scatter += weight * apart;
            self.together += weight * (working(row) - self.response[*group]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_follow_the_model_are_met() {
        let times: Vec<f64> = (0..40).map(|at| f64::from(at) - 50.0).collect();
        let groups: Vec<usize> = (0..40).map(|at| at % 3).collect();
        let levels = [3.0, 2.0, 4.5];
        let counts: Vec<f64> = times
            .iter()
            .zip(&groups)
            .map(|(time, group)| (levels[*group] + 0.02 * time).exp())
            .collect();
        let data = Data {
            counts: &counts,
            times: &times,
            groups: &groups,
            number: 4,
        };
        let found = fit(data, &[1.0; 40], true).expect("a fit");
        for (group, level) in levels.iter().enumerate() {
            assert!((found.levels[group] - level).abs() < 1e-10, "{found:?}");
        }
        assert!((found.slope.expect("a slope") - 0.02).abs() < 1e-12 && found.dispersion < 1e-20);
        // the leverages of all rows are the parameters, of which the empty group has none
        assert!((found.leverages.iter().sum::<f64>() - 4.0).abs() < 1e-9);
        assert!((found.freedom - 36.0).abs() < 1e-12);
        // without a slope a level is the mean of its group
        let flat = fit(data, &[1.0; 40], false).expect("a fit");
        let own = counts
            .iter()
            .zip(&groups)
            .filter(|(_, group)| **group == 0)
            .map(|(count, _)| *count);
        let (sum, rows) = own.fold((0.0, 0.0), |(sum, rows), count| (sum + count, rows + 1.0));
        assert!((flat.levels[0].exp() - sum / rows).abs() < 1e-9);
    }

    #[test]
    fn too_few_rows_and_times_that_tell_nothing_are_no_model() {
        let data = |times| Data {
            counts: &[1.0, 2.0, 3.0],
            times,
            groups: &[0, 0, 0],
            number: 1,
        };
        assert!(fit(data(&[1.0, 1.0, 1.0]), &[1.0; 3], true).is_none());
        assert!(fit(data(&[1.0, 2.0, 3.0]), &[1.0; 3], true).is_some());
        let two = Data {
            counts: &[1.0, 2.0],
            times: &[1.0, 2.0],
            groups: &[0, 0],
            number: 1,
        };
        assert!(fit(two, &[1.0; 2], true).is_none());
    }
}
