//! The calendar baseline: is this hour odd for this hour of the week?
//!
//! The same slot of each of the last periods gives a mean and a sample variance; the limit is a quantile of the negative
//! binomial with them, or of the Poisson where counts vary no more than chance lets them.

use super::counts::Counts;
use super::quantile::normal_upper;
use super::series::{Reason, Series};

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calendar {
    period: usize,
    periods: usize,
    alpha: f64,
    floor: f64,
}

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The mean, not below the floor.
    pub expected: f64,
    /// The sample variance.
    pub variance: f64,
    /// The size of the negative binomial; `None` for a Poisson.
    pub size: Option<f64>,
    /// The limit.
    pub upper: f64,
    /// The chance of such a count or a higher one.
    pub p: f64,
    /// Whether the count is above the limit.
    pub alarm: bool,
}

impl Calendar {
    /// Slots of a period and periods back, 2 or more; the one-sided level; the least mean, above 0. `None` for others.
    #[must_use]
    pub fn new(period: usize, periods: usize, alpha: f64, floor: f64) -> Option<Calendar> {
        normal_upper(alpha).filter(|_| alpha > 0.0)?;
        let fits = period >= 1 && periods >= 2 && floor > 0.0 && floor.is_finite();
        fits.then_some(Calendar {
            period,
            periods,
            alpha,
            floor,
        })
    }

    /// The verdict on a row.
    ///
    /// # Errors
    /// Why there is none.
    pub fn at(&self, series: &Series, at: usize) -> Result<Verdict, Reason> {
        let count = series.count(at)?;
        let mut same = Vec::with_capacity(self.periods);
        for back in 1..=self.periods {
            same.push(series.back(at, back * self.period)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "few periods")]
        let n = self.periods as f64;
        let mean = same.iter().sum::<f64>() / n;
        let variance = same.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let expected = mean.max(self.floor);
        let counts = match variance > expected {
            true => Counts::spread(expected, variance / expected),
            false => Counts::Poisson { mean: expected },
        };
        let upper = counts.upper(self.alpha);
        Ok(Verdict {
            expected,
            variance,
            size: match counts {
                Counts::NegativeBinomial { size, .. } => Some(size),
                Counts::Poisson { .. } => None,
            },
            upper,
            p: counts.at_least(count),
            alarm: count > upper,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_slots_alone_decide() {
        let calendar = Calendar::new(3, 4, 0.01, 0.05).expect("a baseline");
        // busy, quiet, silent; and a surge in the silent slot
        let mut counts: Vec<Option<f64>> = (0..15).map(|at| Some([50.0, 5.0, 0.0][at % 3])).collect();
        counts[14] = Some(3.0);
        let slots: Vec<i64> = (0..15).collect();
        let series = Series::new(&slots, &counts, 1);
        let verdict = |at| calendar.at(&series, at).expect("a verdict");
        assert!(!verdict(12).alarm && !verdict(13).alarm && verdict(14).alarm);
        assert_eq!((verdict(12).expected, verdict(14).expected), (50.0, 0.05));
        assert_eq!(calendar.at(&series, 11), Err(Reason::History));
        // a hole elsewhere does not concern it
        counts[4] = None;
        let holed = Series::new(&slots, &counts, 1);
        assert_eq!(calendar.at(&holed, 12).expect("a verdict"), verdict(12));
        assert_eq!(calendar.at(&holed, 13), Err(Reason::Unknown));
        for (period, periods, alpha, floor) in [
            (0, 4, 0.01, 0.1),
            (3, 1, 0.01, 0.1),
            (3, 4, 0.0, 0.1),
            (3, 4, 0.01, 0.0),
        ] {
            assert_eq!(Calendar::new(period, periods, alpha, floor), None);
        }
    }
}
