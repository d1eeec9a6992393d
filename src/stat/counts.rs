//! Counts by chance: the Poisson and the negative binomial distribution, their tails and limits.

use super::{beta, gamma, quantile};

/// Beyond this size a negative binomial is a Poisson, to the digits that tails have.
const LARGEST_SIZE: f64 = 1e8;

/// No forecast of events is above it; limits of larger means are left open.
const LARGEST_MEAN: f64 = 1e9;

/// How counts are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Counts {
    /// With a variance like the mean.
    Poisson {
        /// The mean, 0 or more.
        mean: f64,
    },
    /// With a variance of `mean + mean² / size`.
    NegativeBinomial {
        /// The mean, above 0.
        mean: f64,
        /// The size, above 0.
        size: f64,
    },
}

impl Counts {
    /// Counts with a mean and a variance of `phi` times it; Poisson where `phi` is 1 or less.
    #[must_use]
    pub fn spread(mean: f64, phi: f64) -> Counts {
        let size = mean / (phi - 1.0);
        match phi > 1.0 && mean > 0.0 && size < LARGEST_SIZE {
            true => Counts::NegativeBinomial { mean, size },
            false => Counts::Poisson { mean },
        }
    }

    /// The mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Counts::Poisson { mean } | Counts::NegativeBinomial { mean, .. } => mean,
        }
    }

    /// The standard deviation.
    #[must_use]
    pub fn deviation(self) -> f64 {
        match self {
            Counts::Poisson { mean } => mean.sqrt(),
            Counts::NegativeBinomial { mean, size } => (mean + mean * mean / size).sqrt(),
        }
    }

    /// The chance of `count` or more; `count` is a whole number. No number for a mean above a thousand million.
    #[must_use]
    pub fn at_least(self, count: f64) -> f64 {
        if count <= 0.0 {
            return 1.0;
        }
        if self.mean().is_nan() || self.mean() > LARGEST_MEAN {
            return f64::NAN;
        }
        match self {
            Counts::Poisson { mean } => gamma::regularised(count, mean).0,
            Counts::NegativeBinomial { mean, size } => {
                let whole = size + mean;
                beta::regularised(count, size, mean / whole, size / whole).0
            }
        }
    }

    /// The least limit that is exceeded with a chance of `alpha` at most; `0 < alpha < 1`. Infinite for a mean above a
    /// thousand million.
    #[must_use]
    pub fn upper(self, alpha: f64) -> f64 {
        if self.mean().is_nan() || self.mean() > LARGEST_MEAN {
            return f64::INFINITY;
        }
        let z = quantile::normal_upper(alpha).unwrap_or(0.0);
        let guess = (self.mean() + z * self.deviation()).round().max(0.0);
        let fits = |limit: f64| self.at_least(limit + 1.0) <= alpha;
        // steps that double lead to both sides of it, halving between them leads to it
        let mut step = 1.0;
        let (mut low, mut high) = match fits(guess) {
            true => {
                let mut low = guess - step;
                while low >= 0.0 && fits(low) {
                    step *= 2.0;
                    low -= step;
                }
                (low.max(-1.0), guess)
            }
            false => {
                let mut high = guess + step;
                while !fits(high) {
                    step *= 2.0;
                    high += step;
                }
                (guess, high)
            }
        };
        while high - low > 1.0 {
            let middle = ((low + high) / 2.0).floor();
            if fits(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_limits_meet_sums_of_masses() {
        let families = [
            Counts::Poisson { mean: 0.3 },
            Counts::Poisson { mean: 40.0 },
            Counts::spread(9.09, 1.726),
            Counts::spread(300.0, 40.0),
            Counts::spread(0.02, 3.0),
        ];
        for counts in families {
            // masses by the recurrence of each family
            let mut mass = match counts {
                Counts::Poisson { mean } => (-mean).exp(),
                Counts::NegativeBinomial { mean, size } => (size / (size + mean)).powf(size),
            };
            let (mut below, mut k) = (0.0, 0.0);
            while k < 400.0 {
                let tail = counts.at_least(k);
                assert!(
                    (tail - (1.0 - below)).abs() < 1e-12,
                    "{counts:?} at {k}: {tail} {}",
                    1.0 - below
                );
                below += mass;
                mass *= match counts {
                    Counts::Poisson { mean } => mean / (k + 1.0),
                    Counts::NegativeBinomial { mean, size } => (size + k) / (k + 1.0) * mean / (size + mean),
                };
                k += 1.0;
            }
            for alpha in [0.5, 0.1, 0.005, 1e-6] {
                let upper = counts.upper(alpha);
                assert!(counts.at_least(upper + 1.0) <= alpha, "{counts:?}");
                assert!(
                    upper == 0.0 || counts.at_least(upper) > alpha,
                    "{counts:?} {alpha}: {upper}"
                );
            }
        }
        assert_eq!(Counts::Poisson { mean: 0.0 }.upper(0.01), 0.0);
        // a tail of nothing is nothing, and not less
        assert!((0.0..=1.0).contains(&Counts::spread(1e-11, 98_368.0).at_least(900_000.0)));
        assert_eq!(Counts::spread(5.0, 1.0), Counts::Poisson { mean: 5.0 });
    }
}
