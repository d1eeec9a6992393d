//! The regularised incomplete gamma function.
//!
//! Written here because exact Poisson limits need ten good digits and no small pure-Rust crate
//! promises them. It deliberately does not cover complex arguments. With `P(a, x)` the lower and
//! `Q(a, x) = 1 - P(a, x)` the upper part (DLMF 8.2.4); the inverses are in `quantile`.

use std::f64::consts::PI;

/// `P(shape, x)` and `Q(shape, x)`, each computed so that the smaller has full relative accuracy.
///
/// `shape > 0`, `x ≥ 0`. The series (DLMF 8.11.4) below the mean, Lentz's continued fraction (DLMF
/// 8.9.2) above; both take about `9·sqrt(shape)` rounds near the mean.
#[must_use]
pub fn regularised(shape: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if shape.is_nan() || x.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if x == f64::INFINITY {
        return (1.0, 0.0);
    }
    let mass = poisson_mass(shape, x);
    if x < shape + 1.0 {
        let lower = (mass * lower_series(shape, x)).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (mass * shape * upper_fraction(shape, x)).min(1.0);
        (1.0 - upper, upper)
    }
}

/// `Γ(shape + 1) · P / (x^shape · e^-x)`.
fn lower_series(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, shape);
    // terms shrink geometrically once k passes x, which it does at once here
    while term > sum * f64::EPSILON * 0.1 {
        k += 1.0;
        term *= x / k;
        sum += term;
    }
    sum
}

/// `Γ(shape) · Q / (x^shape · e^-x)`, by the modified Lentz method (Numerical Recipes 6.2).
fn upper_fraction(shape: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - shape;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut h = d;
    for i in 1..1_000_000_u32 {
        let i = f64::from(i);
        let a = -i * (i - shape);
        b += 2.0;
        d = a * d + b;
        d = if d.abs() < TINY { TINY } else { d };
        c = b + a / c;
        c = if c.abs() < TINY { TINY } else { c };
        d = 1.0 / d;
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    h
}

/// The chance that a standard normal value is `z` or more.
pub(super) fn normal_tail(z: f64) -> f64 {
    let (lower, upper) = regularised(0.5, z * z / 2.0);
    if z > 0.0 { upper / 2.0 } else { 0.5 + lower / 2.0 }
}

/// `x^shape · e^-x / Γ(shape + 1)` by Loader's saddle point (2000), which keeps digits where powers
/// lose them.
pub(super) fn poisson_mass(shape: f64, x: f64) -> f64 {
    (-stirling_error(shape) - deviance(shape, x)).exp() / (2.0 * PI * shape).sqrt()
}

/// `ln Γ(n + 1) - ln(sqrt(2πn) · (n/e)^n)`.
pub(super) fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let m = 1.0 / (n * n);
    let tail = 1.0 / 1188.0 * m;
    (1.0 / 12.0 - m * (1.0 / 360.0 - m * (1.0 / 1260.0 - m * (1.0 / 1680.0 - tail)))) / n
}

/// `n·ln(n/x) + x - n` without cancellation near `x = n` (Loader's bd0).
pub(super) fn deviance(n: f64, x: f64) -> f64 {
    if (n - x).abs() >= 0.1 * (n + x) {
        return n * (n / x).ln() + x - n;
    }
    let v = (n - x) / (n + x);
    let mut sum = (n - x) * v;
    let (mut power, mut odd) = (2.0 * n * v, 1.0);
    loop {
        power *= v * v;
        odd += 2.0;
        let next = sum + power / odd;
        // a sum that is no number never meets itself
        if next == sum || next.is_nan() {
            return next;
        }
        sum = next;
    }
}

/// `ln Γ(x)` for `x > 0`, by Lanczos' approximation with Godfrey's coefficients (g = 607/128, n =
/// 15).
pub(super) fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_997_1;
    const REST: [f64; 14] = [
        57.156_235_665_862_92,
        -59.597_960_355_475_49,
        14.136_097_974_741_746,
        -0.491_913_816_097_620_2,
        3.399_464_998_481_189e-5,
        4.652_362_892_704_858e-5,
        -9.837_447_530_487_956e-5,
        1.580_887_032_249_125e-4,
        -2.102_644_417_241_049e-4,
        2.174_396_181_152_126_5e-4,
        -1.643_181_065_367_639e-4,
        8.441_822_398_385_275e-5,
        -2.619_083_840_158_141e-5,
        3.689_918_265_953_162e-6,
    ];
    let (mut sum, mut k) = (FIRST, x);
    for coefficient in REST {
        k += 1.0;
        sum += coefficient / k;
    }
    let t = x + 5.242_187_5;
    (x + 0.5) * t.ln() - t + (2.506_628_274_631_000_7 * sum / x).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, relative: f64) -> bool {
        (found - expected).abs() <= relative * expected.abs()
    }

    #[test]
    fn what_is_no_number_ends() {
        assert!(normal_tail(f64::NAN).is_nan());
        assert_eq!((normal_tail(f64::INFINITY), normal_tail(f64::NEG_INFINITY)), (0.0, 1.0));
        assert!(deviance(f64::NAN, 1.0).is_nan() && regularised(2.0, f64::NAN).0.is_nan());
    }

    #[test]
    fn the_logarithm_of_gamma_meets_factorials_and_the_root_of_pi() {
        assert!(close(ln_gamma(0.5), PI.sqrt().ln(), 1e-14));
        assert!(close(ln_gamma(11.0), 3_628_800_f64.ln(), 1e-14));
    }

    #[test]
    fn shape_one_is_the_exponential_distribution() {
        for x in [1e-9, 0.1, 1.0, 3.0, 50.0] {
            let (lower, upper) = regularised(1.0, x);
            assert!(
                close(lower, -(-x).exp_m1(), 1e-13) && close(upper, (-x).exp(), 1e-13),
                "{x}"
            );
        }
    }

    #[test]
    fn the_two_parts_meet_reference_values() {
        // mpmath 1.3, 40 digits
        for (shape, x, lower, upper) in [
            (0.5, 0.01, 0.1124629160182849, 0.8875370839817152),
            (0.5, 1.0, 0.8427007929497149, 0.15729920705028513),
            (2.0, 9.0, 0.9987659019591332, 0.0012340980408667955),
            (10.0, 4.0, 0.008132242796933864, 0.9918677572030662),
            (16.0, 16.0, 0.5332551086122792, 0.46674489138772074),
            (30.5, 80.0, 0.999999999918831, 8.116898334938776e-11),
            (1000.0, 950.0, 0.05505468623073803, 0.9449453137692619),
            (1000.0, 1200.0, 0.9999999987118394, 1.2881606086281433e-09),
            (100000.0, 100200.0, 0.7366620100051987, 0.2633379899948013),
        ] {
            let found = regularised(shape, x);
            assert!(
                close(found.0, lower, 1e-12) && close(found.1, upper, 1e-12),
                "{shape} {x}: {found:?}"
            );
        }
    }
}
