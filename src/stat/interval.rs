//! Intervals for a share and for a count.
//!
//! What a table shows next to a percentage or a small number, so that nobody reads chance as
//! change. It deliberately offers no Wald interval (it fails on small counts) and no
//! overdispersion: a count that is not Poisson needs a model, not an interval.

use super::quantile::{inverse_lower, inverse_upper, normal_upper};

/// Wilson's score interval (Wilson 1927, without continuity correction) for `successes` of `n`
/// trials.
///
/// Returns (lower, upper) as shares in 0..=1, `level` being the two-sided confidence such as 0.95.
/// `None` for `n < 1`, `successes` outside `0..=n`, or a level not strictly between 0 and 1.
///
/// ```
/// let (lower, upper) = fenghuo::stat::interval::wilson(7, 10, 0.95).unwrap_or_default();
/// assert!((lower - 0.396_8).abs() < 1e-4 && (upper - 0.892_2).abs() < 1e-4);
/// ```
#[must_use]
pub fn wilson(successes: i64, n: i64, level: f64) -> Option<(f64, f64)> {
    wilson_at(successes, n, deviate(level)?)
}

/// The normal deviate `z` of a two-sided level, 1.96 for 0.95; `None` for a level not strictly
/// between 0 and 1.
#[must_use]
pub fn deviate(level: f64) -> Option<f64> {
    normal_upper(tail(level)?)
}

/// [`wilson`] at a known [`deviate`], for many rows of one level: finding `z` costs far more than
/// the rest.
#[must_use]
pub fn wilson_at(successes: i64, n: i64, z: f64) -> Option<(f64, f64)> {
    if n < 1 || !(0..=n).contains(&successes) {
        return None;
    }
    let trials = n as f64;
    let share = successes as f64 / trials;
    let weight = z * z / trials;
    let centre = (share + weight / 2.0) / (1.0 + weight);
    let half = (weight * (share * (1.0 - share) + weight / 4.0)).sqrt() / (1.0 + weight);
    // the ends are 0 and 1 in exact arithmetic; rounding would leave them just beside
    let lower = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let upper = if successes == n { 1.0 } else { (centre + half).min(1.0) };
    Some((lower, upper))
}

/// Garwood's exact interval (1936) for the mean of a Poisson count `n`.
///
/// Returns (lower, upper) in the unit of the count; lower is 0 for a count of 0. `level` is the
/// two-sided confidence such as 0.95. Relative error < 1e-10. `None` for `n < 0` or a level not
/// strictly between 0 and 1.
///
/// ```
/// // the "rule of three": no event seen still allows 3.69 expected ones, two-sided
/// let (lower, upper) = fenghuo::stat::interval::poisson(0, 0.95).unwrap_or_default();
/// assert!(lower == 0.0 && (upper - 3.688_879).abs() < 1e-6);
/// ```
#[must_use]
pub fn poisson(n: i64, level: f64) -> Option<(f64, f64)> {
    if n < 0 {
        return None;
    }
    let tail = tail(level)?;
    let count = n as f64;
    let lower = if n == 0 { 0.0 } else { inverse_lower(count, tail)? };
    Some((lower, inverse_upper(count + 1.0, tail)?))
}

/// The probability left on each side by a two-sided level.
fn tail(level: f64) -> Option<f64> {
    (level > 0.0 && level < 1.0).then_some((1.0 - level) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, relative: f64) -> bool {
        (found - expected).abs() <= relative * expected.abs()
    }

    #[test]
    fn poisson_limits_meet_scipy_chi_squared_quantiles() {
        // chi2.ppf((1-level)/2, 2n)/2 and chi2.isf((1-level)/2, 2n+2)/2
        for (n, level, lower, upper) in [
            (0, 0.95, 0.0, 3.6888794541139354),
            (0, 0.999, 0.0, 7.600902459542081),
            (1, 0.5, 0.2876820724517809, 2.6926345288896956),
            (1, 0.95, 0.025317807984289897, 5.571643390938898),
            (1, 0.999, 0.0005001250416822987, 9.998677497623804),
            (2, 0.95, 0.24220927854396507, 7.22468766772396),
            (5, 0.9, 1.97014956805953, 10.513034908741536),
            (5, 0.99, 1.0779282406523196, 14.149759411023012),
            (10, 0.95, 4.7953886961324335, 18.39035604201778),
            (10, 0.999, 2.6990331060328105, 25.25555937926597),
            (30, 0.95, 20.240874021420915, 42.82686539480766),
            (100, 0.8, 87.41763649959366, 114.07453713067454),
            (100, 0.95, 81.36399125092315, 121.62679379242638),
            (100, 0.99, 76.12049584368918, 128.76058012010245),
            (1000, 0.95, 938.9730184076952, 1063.952136016302),
            (12345, 0.95, 12128.18090789908, 12564.722206913333),
            (12345, 0.999, 11982.668638512507, 12714.897797315136),
            (1000000, 0.95, 998040.9833402939, 1001961.9119454322),
            (100000000, 0.95, 99980401.30732474, 100019601.58707914),
            (100000000, 0.99, 99974243.585266, 100025761.17146054),
        ] {
            let found = poisson(n, level).unwrap();
            assert!(
                close(found.0, lower, 1e-10) && close(found.1, upper, 1e-10),
                "{n} {level}: {found:?}"
            );
        }
    }

    #[test]
    fn wilson_limits_meet_statsmodels() {
        for (successes, n, level, lower, upper) in [
            (7, 10, 0.95, 0.39677814746114537, 0.8922087325936989),
            (0, 10, 0.95, 0.0, 0.2775327998628892),
            (10, 10, 0.95, 0.7224672001371107, 0.9999999999999999),
            (1, 3, 0.5, 0.1828172501586131, 0.5277418231406088),
            (50, 100, 0.99, 0.37527962504483986, 0.6247203749551602),
            (123, 4567, 0.999, 0.02009906517404971, 0.03600343376421811),
            (999999, 1000000, 0.9, 0.999995517561529, 0.9999997769077474),
        ] {
            let found = wilson(successes, n, level).unwrap();
            assert!(
                (found.0 - lower).abs() < 1e-11 && (found.1 - upper).abs() < 1e-11,
                "{successes}/{n} {level}: {found:?}"
            );
        }
    }

    #[test]
    fn none_of_n_starts_at_zero_and_all_of_n_ends_at_one() {
        for n in [1, 10, 1_000_000] {
            assert_eq!(wilson(0, n, 0.95).map(|limits| limits.0), Some(0.0));
            assert_eq!(wilson(n, n, 0.95).map(|limits| limits.1), Some(1.0));
        }
        assert_eq!(poisson(0, 0.95).map(|limits| limits.0), Some(0.0));
    }

    #[test]
    fn the_largest_counts_return_at_once_and_stay_ordered() {
        let (lower, upper) = poisson(i64::MAX, 0.99).unwrap();
        assert!(lower < upper && close(lower, upper, 1e-8));
        let (lower, upper) = wilson(i64::MAX / 2, i64::MAX, 0.99).unwrap();
        assert!(lower < 0.5 && upper > 0.5 - 1e-8);
    }

    #[test]
    fn impossible_counts_and_levels_give_none() {
        for level in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
            assert_eq!((poisson(3, level), wilson(1, 3, level)), (None, None));
        }
        assert_eq!(poisson(-1, 0.95), None);
        for (successes, n) in [(0, 0), (4, 3), (-1, 3), (0, -1)] {
            assert_eq!(wilson(successes, n, 0.95), None);
        }
    }
}
