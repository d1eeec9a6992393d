//! Quantiles of the gamma and the normal distribution.
//!
//! Inverses of the incomplete gamma function of `gamma`, and the normal quantile that follows from
//! shape 1/2. They deliberately do not cover shapes below 0.5. `2x` at `P(a, x) = p` is the `p`
//! quantile of chi-squared with `2a` degrees of freedom.

use super::gamma::{ln_gamma, poisson_mass, regularised};

/// The smallest shape the inverses are checked for.
const MIN_SHAPE: f64 = 0.5;
/// From this shape on the Cornish-Fisher expansion is exact to 1e-12 and iteration only slow.
const LARGE_SHAPE: f64 = 1e7;
/// Tails below this are refused: at shape 0.5 their limit, about the tail squared, comes near the
/// smallest number.
const MIN_TAIL: f64 = 1e-100;

/// `x` with `P(shape, x) = tail`: a lower limit. Relative error < 1e-10 for shapes from 0.5.
///
/// `None` unless `shape ≥ 0.5`, finite, and `1e-100 ≤ tail < 1`.
#[must_use]
pub fn inverse_lower(shape: f64, tail: f64) -> Option<f64> {
    inverse(shape, tail, Tail::Lower)
}

/// `x` with `Q(shape, x) = tail`: an upper limit. Relative error < 1e-10 for shapes from 0.5.
///
/// `None` unless `shape ≥ 0.5`, finite, and `1e-100 ≤ tail < 1`.
#[must_use]
pub fn inverse_upper(shape: f64, tail: f64) -> Option<f64> {
    inverse(shape, tail, Tail::Upper)
}

/// The standard normal value that is exceeded with probability `tail`; `None` unless `1e-100 ≤ tail
/// < 1`.
#[must_use]
pub fn normal_upper(tail: f64) -> Option<f64> {
    if tail > 0.5 {
        // 1 - tail is exact here (Sterbenz), so nothing is lost by turning round
        return normal_upper(1.0 - tail).map(|z| -z);
    }
    if tail == 0.5 {
        return Some(0.0);
    }
    inverse_upper(0.5, 2.0 * tail).map(|x| (2.0 * x).sqrt())
}

#[derive(Clone, Copy, PartialEq)]
enum Tail {
    Lower,
    Upper,
}

fn inverse(shape: f64, tail: f64, side: Tail) -> Option<f64> {
    let in_domain = shape >= MIN_SHAPE && shape.is_finite() && (MIN_TAIL..1.0).contains(&tail);
    if !in_domain {
        return None;
    }
    if shape >= LARGE_SHAPE {
        let z = normal_upper(tail)?;
        return Some(cornish_fisher(shape, if side == Tail::Lower { -z } else { z }));
    }
    Some(solve(shape, tail, side))
}

/// Newton's steps on the logarithm of the tail, kept inside a shrinking bracket.
///
/// The logarithm of either tail is concave in `ln x`, so that a step towards the root never passes
/// far beyond it and extreme tails need no more rounds than ordinary ones.
fn solve(shape: f64, tail: f64, side: Tail) -> f64 {
    let (mut low, mut high) = (0.0_f64, f64::INFINITY);
    let mut x = first_guess(shape, tail, side);
    for _ in 0..200 {
        let (lower, upper) = regularised(shape, x);
        let here = if side == Tail::Lower { lower } else { upper };
        let too_far_right = (here > tail) == (side == Tail::Lower);
        if too_far_right {
            high = x;
        } else {
            low = x;
        }
        // density · x = shape · mass, so this is the derivative of ln(tail) by ln(x)
        let slope = shape * poisson_mass(shape, x) / here;
        let error = (here / tail).ln();
        let step = if side == Tail::Lower {
            -error / slope
        } else {
            error / slope
        };
        let newton = x * step.exp();
        let next = if newton > low && newton < high {
            newton
        } else {
            middle(low, high, x)
        };
        let done = (next - x).abs() <= 4.0 * f64::EPSILON * x;
        x = next;
        if done {
            break;
        }
    }
    x
}

/// A point well inside the bracket where Newton's step left it or was no number.
fn middle(low: f64, high: f64, x: f64) -> f64 {
    if high.is_infinite() {
        2.0 * x
    } else if low == 0.0 {
        high / 2.0
    } else {
        f64::midpoint(low, high)
    }
}

/// Wilson and Hilferty's cube (1931) with the rough normal quantile of Abramowitz & Stegun 26.2.22.
fn first_guess(shape: f64, tail: f64, side: Tail) -> f64 {
    let t = (-2.0 * tail.min(1.0 - tail).ln()).sqrt();
    let size = t - (2.307_53 + t * 0.270_61) / (1.0 + t * (0.992_29 + t * 0.044_81));
    let to_the_right = (side == Tail::Upper) == (tail < 0.5);
    let z = if to_the_right { size } else { -size };
    let cube = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt());
    if cube > 0.2 {
        return shape * cube.powi(3);
    }
    // far in the left tail P(a, x) is nearly x^a / Γ(a + 1)
    let lower = if side == Tail::Lower { tail } else { 1.0 - tail };
    ((lower.ln() + ln_gamma(shape + 1.0)) / shape)
        .exp()
        .clamp(f64::MIN_POSITIVE, shape)
}

/// The quantile of gamma(shape) at normal deviate `z`, to terms of 1/shape (Abramowitz & Stegun
/// 26.4.13 form).
fn cornish_fisher(shape: f64, z: f64) -> f64 {
    let (root, z2) = (shape.sqrt(), z * z);
    shape + z * root + (z2 - 1.0) / 3.0 + (z2 - 7.0) * z / (36.0 * root)
        - (3.0 * z2 * z2 + 7.0 * z2 - 16.0) / (810.0 * shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, relative: f64) -> bool {
        (found - expected).abs() <= relative * expected.abs()
    }

    #[test]
    fn inverses_undo_the_function_over_shapes_and_tails() {
        for shape in [0.5, 1.0, 1.5, 2.0, 7.0, 31.0, 400.0, 12_345.0, 1e6] {
            for tail in [1e-100, 1e-30, 1e-9, 1e-4, 0.025, 0.3, 0.5, 0.7, 0.975, 0.9999] {
                let low = inverse_lower(shape, tail).unwrap();
                let high = inverse_upper(shape, tail).unwrap();
                // a relative error e in x moves the tail by e·slope
                let slope = |x: f64, part: f64| 1.0 + shape * poisson_mass(shape, x) / part;
                let lower = regularised(shape, low).0;
                assert!(
                    close(lower, tail, 1e-12 * slope(low, tail)),
                    "P {shape} {tail}: {low} {lower}"
                );
                let upper = regularised(shape, high).1;
                assert!(
                    close(upper, tail, 1e-12 * slope(high, tail)),
                    "Q {shape} {tail}: {high} {upper}"
                );
            }
        }
    }

    #[test]
    fn the_expansion_for_large_shapes_joins_the_iteration() {
        let shape = LARGE_SHAPE * 0.999_999;
        for tail in [1e-12, 0.0005, 0.025, 0.25, 0.9] {
            let z = normal_upper(tail).unwrap();
            assert!(
                close(cornish_fisher(shape, z), solve(shape, tail, Tail::Upper), 1e-12),
                "{tail}"
            );
            assert!(
                close(cornish_fisher(shape, -z), solve(shape, tail, Tail::Lower), 1e-12),
                "{tail}"
            );
        }
    }

    #[test]
    fn normal_quantiles_meet_scipy() {
        for (tail, expected) in [
            (0.25, 0.6744897501960817),
            (0.1, 1.2815515655446004),
            (0.05, 1.6448536269514729),
            (0.025, 1.9599639845400545),
            (0.005, 2.575829303548901),
            (0.0005, 3.2905267314918945),
            (1e-06, 4.753424308822899),
            (1e-15, 7.941345326170998),
            (1e-100, 21.273453560965322),
        ] {
            assert!(close(normal_upper(tail).unwrap(), expected, 1e-11), "{tail}");
        }
        assert_eq!(normal_upper(0.5), Some(0.0));
        assert!(close(normal_upper(0.975).unwrap(), -1.959_963_984_540_054, 1e-12));
    }

    #[test]
    fn arguments_outside_the_domain_give_none() {
        for (shape, tail) in [
            (0.4, 0.5),
            (f64::NAN, 0.5),
            (f64::INFINITY, 0.5),
            (1.0, 0.0),
            (1.0, 1.0),
            (1.0, f64::NAN),
            (1.0, -0.1),
        ] {
            assert_eq!((inverse_lower(shape, tail), inverse_upper(shape, tail)), (None, None));
        }
    }
}
