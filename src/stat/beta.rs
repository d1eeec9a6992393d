//! The regularised incomplete beta function, for tails of the negative binomial and of Student's t.
//!
//! Written here for the same reason as `gamma`: tails need ten good digits whatever the parameters.

use std::f64::consts::PI;

use super::gamma::{deviance, stirling_error};

/// `I_x(a, b)` and `1 - I_x(a, b)`, the smaller with full relative accuracy; `y = 1 - x` is given apart so that no
/// digit is lost near 1. `a, b > 0`, `0 ≤ x ≤ 1`. Source: DLMF 8.17; continued fraction 8.17.22.
#[must_use]
pub fn regularised(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    // the fraction converges fast on the near side of the mean
    if x <= (a + 1.0) / (a + b + 2.0) {
        let lower = (front(a, b, x, y) * fraction(a, b, x) / a).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (front(b, a, y, x) * fraction(b, a, y) / b).min(1.0);
        (1.0 - upper, upper)
    }
}

/// `x^a · y^b / B(a, b)` by Loader's saddle point (2000).
fn front(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let exponent = stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y);
    exponent.exp() * (a * b / (2.0 * PI * n)).sqrt()
}

/// The continued fraction, by the modified Lentz method (Numerical Recipes 6.4).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let some = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / some(1.0 - (a + b) * x / (a + 1.0)));
    let mut h = d;
    for m in 1..1_000_000_u32 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / some(1.0 + even * d);
        c = some(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / some(1.0 + odd * d);
        c = some(1.0 + odd / c);
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    h
}

/// `P(|T| ≥ t)` of Student's t with `freedom` degrees; `freedom > 0`.
#[must_use]
pub fn student_two_sided(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    let whole = freedom + square;
    regularised(freedom / 2.0, 0.5, freedom / whole, square / whole).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-12 * expected.abs()
    }

    #[test]
    fn small_whole_parameters_are_binomial_sums() {
        // I_x(a, b) is the chance of a or more successes in a + b - 1
        for (a, b, x) in [(2, 3, 0.3), (1, 1, 0.7), (4, 2, 0.05), (3, 8, 0.9)] {
            let n = a + b - 1;
            let choose = |k: i32| (0..k).fold(1.0, |all, at| all * f64::from(n - at) / f64::from(at + 1));
            let sum: f64 = (a..=n)
                .map(|k| choose(k) * f64::powi(x, k) * (1.0 - x).powi(n - k))
                .sum();
            let found = regularised(f64::from(a), f64::from(b), x, 1.0 - x);
            assert!(close(found.0, sum), "{a} {b} {x}: {found:?} {sum}");
        }
        assert_eq!(regularised(2.0, 3.0, 0.0, 1.0), (0.0, 1.0));
        assert_eq!(regularised(2.0, 3.0, 1.0, 0.0), (1.0, 0.0));
    }

    #[test]
    fn student_meets_its_closed_forms() {
        // one degree is Cauchy, two have a root
        for t in [0.1, 1.0, 3.0, 40.0_f64] {
            assert!(close(student_two_sided(t, 1.0), 2.0 / PI * (1.0 / t).atan()), "{t}");
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            assert!((student_two_sided(t, 2.0) - two).abs() < 1e-14, "{t}");
        }
    }
}
