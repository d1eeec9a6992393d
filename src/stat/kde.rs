//! How dense events lie about a point: kernel density in events per square kilometre.
//!
//! Around each event lies a hill of volume 1 and width `bandwidth`; the density at a point is the height of all hills
//! there (Silverman 1986). With `u` for distance by bandwidth `h`: quartic `3/(π h²) (1 − u²)²`, Epanechnikov
//! `2/(π h²) (1 − u²)`, both 0 from `u = 1` on, Gaussian `1/(2π h²) exp(−u²/2)`. Places are metres in a plane. Nothing
//! is done about the edge of an area: near it the density is too low.

use std::f64::consts::PI;

use super::stop::{Stop, Stopped};

/// The shape of the hill around an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// `(1 − u²)²`, smooth at its foot.
    Quartic,
    /// `1 − u²`.
    Epanechnikov,
    /// `exp(−u²/2)`, without an end.
    Gaussian,
}

/// Something that happened somewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Metres east.
    pub x: f64,
    /// Metres north.
    pub y: f64,
    /// For how many it counts, 0 or more; 1 for an event like any other.
    pub weight: f64,
}

/// Why there is no density; numbers are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The bandwidth, or what is left of its square, is not a number above 0.
    Bandwidth,
    /// The place of this event is no number, or farther than 10¹² bandwidths from the origin.
    Event(usize),
    /// The weight of this event is negative or not finite, alone or with those before it.
    Weight(usize),
    /// The place of this point, as with events.
    Point(usize),
    /// The work was told to stop.
    Stopped,
}

impl From<Stopped> for Unfit {
    fn from(_: Stopped) -> Unfit {
        Unfit::Stopped
    }
}

/// Squares to each side of a point's own beyond which hills are not seen, where a Gaussian one is 2 · 10⁻²² of its top.
const GAUSSIAN_REACH: i32 = 10;
/// What is left out of a Gaussian density at most, as a share of it and in events per km².
const LEFT_OUT: (f64, f64) = (1e-11, 1e-14);
/// Bandwidths from the origin up to which places are told apart to a thousandth of one.
const FAR: f64 = 1e12;
const SQUARE_METRES: f64 = 1e6;

/// The density at each point (x, y), events per km²; 0 everywhere without events. Compact kernels look only at events
/// in the nine squares of a bandwidth about a point; what a Gaussian leaves out is below 10⁻¹¹ of the density or
/// 10⁻¹⁴ per km².
///
/// # Errors
/// Why there is none.
pub fn density(
    kernel: Kernel,
    bandwidth: f64,
    events: &[Event],
    points: &[(f64, f64)],
    stop: &Stop,
) -> Result<Vec<f64>, Unfit> {
    let hills = Hills::new(kernel, bandwidth, events)?;
    let mut densities = Vec::with_capacity(points.len());
    for (at, (x, y)) in points.iter().enumerate() {
        stop.asked()?;
        densities.push(hills.at(*x, *y).ok_or(Unfit::Point(at))?);
    }
    Ok(densities)
}

/// Events sorted by their square of a bandwidth: those of neighbouring squares of a row follow one another.
#[derive(Debug)]
struct Hills {
    kernel: Kernel,
    bandwidth: f64,
    /// The top of a hill of weight 1, per km².
    top: f64,
    events: Vec<Event>,
    squares: Vec<(i64, i64)>,
    weight: f64,
}

impl Hills {
    fn new(kernel: Kernel, bandwidth: f64, events: &[Event]) -> Result<Hills, Unfit> {
        let share = match kernel {
            Kernel::Quartic => 3.0 / PI,
            Kernel::Epanechnikov => 2.0 / PI,
            Kernel::Gaussian => 1.0 / (2.0 * PI),
        };
        let top = share / (bandwidth * bandwidth) * SQUARE_METRES;
        if !(bandwidth > 0.0 && top > 0.0 && top.is_finite()) {
            return Err(Unfit::Bandwidth);
        }
        let mut weight = 0.0;
        let mut placed = Vec::with_capacity(events.len());
        for (at, event) in events.iter().enumerate() {
            weight += event.weight;
            if !(event.weight >= 0.0 && weight * top < f64::INFINITY) {
                return Err(Unfit::Weight(at));
            }
            let square = square(event.x / bandwidth, event.y / bandwidth).ok_or(Unfit::Event(at))?;
            placed.push((square, *event));
        }
        // a stable sort: equal events give equal sums however often they are asked for
        placed.sort_by_key(|(square, _)| *square);
        let (squares, events) = placed.into_iter().unzip();
        Ok(Hills {
            kernel,
            bandwidth,
            top,
            events,
            squares,
            weight,
        })
    }

    /// The density at a point; `None` where the point is nowhere.
    fn at(&self, x: f64, y: f64) -> Option<f64> {
        let square = square(x / self.bandwidth, y / self.bandwidth)?;
        let apart = |event: &Event| ((event.x - x) / self.bandwidth).powi(2) + ((event.y - y) / self.bandwidth).powi(2);
        let sum = match self.kernel {
            Kernel::Quartic => {
                let height = |event: &Event| event.weight * (1.0 - apart(event)).max(0.0).powi(2);
                self.near(square, 1).map(height).sum::<f64>()
            }
            Kernel::Epanechnikov => {
                let height = |event: &Event| event.weight * (1.0 - apart(event)).max(0.0);
                self.near(square, 1).map(height).sum()
            }
            Kernel::Gaussian => {
                let height = |event: &Event| event.weight * (-0.5 * apart(event)).exp();
                let near = self.near(square, GAUSSIAN_REACH.into()).map(height).sum::<f64>();
                // what no square in reach holds is farther away than the reach
                let rest = self.weight * (-0.5 * f64::from(GAUSSIAN_REACH).powi(2)).exp();
                if rest <= LEFT_OUT.0 * near || rest * self.top <= LEFT_OUT.1 {
                    near
                } else {
                    self.events.iter().map(height).sum()
                }
            }
        };
        // a sum of nothing is -0
        Some(sum * self.top + 0.0)
    }

    /// The events of all squares up to `reach` squares to each side.
    fn near(&self, (row, column): (i64, i64), reach: i64) -> impl Iterator<Item = &Event> {
        let rows = row - reach..=row + reach;
        rows.flat_map(move |row| {
            let first = self.squares.partition_point(|square| *square < (row, column - reach));
            let held = self.squares[first..].partition_point(|square| *square <= (row, column + reach));
            &self.events[first..first + held]
        })
    }
}

/// The square of a place in bandwidths, by row and column.
fn square(x: f64, y: f64) -> Option<(i64, i64)> {
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers far below 2^63")]
    let whole = |value: f64| (value.abs() <= FAR).then(|| value.floor() as i64);
    Some((whole(y)?, whole(x)?))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const KERNELS: [Kernel; 3] = [Kernel::Quartic, Kernel::Epanechnikov, Kernel::Gaussian];

    fn event(x: f64, y: f64, weight: f64) -> Event {
        Event { x, y, weight }
    }

    fn at(kernel: Kernel, bandwidth: f64, events: &[Event], points: &[(f64, f64)]) -> Vec<f64> {
        density(kernel, bandwidth, events, points, &Stop::default()).expect("a density")
    }

    /// All events, by the formula.
    fn plain(kernel: Kernel, h: f64, events: &[Event], (x, y): (f64, f64)) -> f64 {
        let height = |event: &Event| {
            let u2 = ((event.x - x).powi(2) + (event.y - y).powi(2)) / (h * h);
            let height = match kernel {
                Kernel::Gaussian => (-u2 / 2.0).exp() / (2.0 * PI),
                _ if u2 >= 1.0 => 0.0,
                Kernel::Quartic => 3.0 / PI * (1.0 - u2).powi(2),
                Kernel::Epanechnikov => 2.0 / PI * (1.0 - u2),
            };
            event.weight * height / (h * h) * 1e6
        };
        events.iter().map(height).sum()
    }

    #[test]
    fn one_event_is_a_hill() {
        let events = [event(1_000.0, -500.0, 2.0)];
        let points = [
            (1_000.0, -500.0),
            (1_150.0, -500.0),
            (1_000.0, -800.0),
            (1_000.0, -801.0),
        ];
        // 300 m: the square is 0.09 km²; at half of the bandwidth 1 − u² is 3/4
        let quartic = at(Kernel::Quartic, 300.0, &events, &points);
        let top = 2.0 * 3.0 / (PI * 0.09);
        assert!((quartic[0] - top).abs() < 1e-12 && (quartic[1] - top * 0.5625).abs() < 1e-12);
        assert_eq!(quartic[2..], [0.0, 0.0]);
        let round = at(Kernel::Epanechnikov, 300.0, &events, &points);
        let top = 2.0 * 2.0 / (PI * 0.09);
        assert!((round[0] - top).abs() < 1e-12 && (round[1] - top * 0.75).abs() < 1e-12);
        let bell = at(Kernel::Gaussian, 300.0, &events, &points);
        let top = 2.0 / (2.0 * PI * 0.09);
        assert!((bell[0] - top).abs() < 1e-12 && (bell[2] - top * (-0.5_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_hill_has_the_volume_of_its_weight() {
        let events = [event(0.0, 0.0, 1.0), event(310.0, -170.0, 2.5)];
        let axis = || (-240..240).map(|step| f64::from(step) * 10.0 + 5.0);
        let points: Vec<_> = axis().flat_map(|x| axis().map(move |y| (x, y))).collect();
        for kernel in KERNELS {
            let volume: f64 = at(kernel, 250.0, &events, &points).iter().sum::<f64>() * 1e-4;
            assert!((volume - 3.5).abs() < 1e-3, "{kernel:?} {volume}");
        }
    }

    #[test]
    fn a_far_gaussian_is_met_where_it_can_be_seen() {
        // narrow hills are high enough to be seen from eleven bandwidths and more
        let events = [event(0.0, 0.0, 1.0), event(-0.003, 0.0, 1e6)];
        let points: Vec<_> = (0..40).map(|step| (f64::from(step) * 0.001, 0.0)).collect();
        for (value, point) in at(Kernel::Gaussian, 0.001, &events, &points).iter().zip(points) {
            let expected = plain(Kernel::Gaussian, 0.001, &events, point);
            assert!(
                (value - expected).abs() <= 1e-12 + 1e-10 * expected,
                "{point:?} {value} {expected}"
            );
        }
    }

    #[test]
    fn what_has_no_density_is_named() {
        let stop = Stop::default();
        let good = event(0.0, 0.0, 1.0);
        let why = |bandwidth, events: &[Event], points: &[(f64, f64)]| {
            density(Kernel::Quartic, bandwidth, events, points, &stop).err()
        };
        for bandwidth in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-200, 1e200] {
            assert_eq!(why(bandwidth, &[good], &[(0.0, 0.0)]), Some(Unfit::Bandwidth));
        }
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(why(1.0, &[good, event(0.0, 0.0, weight)], &[]), Some(Unfit::Weight(1)));
        }
        for place in [f64::NAN, f64::INFINITY, -1e13] {
            assert_eq!(why(1.0, &[event(place, 0.0, 1.0)], &[]), Some(Unfit::Event(0)));
            assert_eq!(why(1.0, &[good], &[(0.0, 0.0), (0.0, place)]), Some(Unfit::Point(1)));
        }
        assert_eq!(at(Kernel::Gaussian, 1.0, &[], &[(0.0, 0.0)]), [0.0]);
        stop.now();
        assert_eq!(why(1.0, &[good], &[(0.0, 0.0)]), Some(Unfit::Stopped));
    }

    proptest! {
        #[test]
        fn squares_change_nothing(
            places in vec((-900..900_i32, -900..900_i32, 0..4_u8), 0..40),
            points in vec((-900..900_i32, -900..900_i32), 1..10),
            bandwidth in 1..400_u16,
            kernel in prop_oneof![Just(Kernel::Quartic), Just(Kernel::Epanechnikov), Just(Kernel::Gaussian)],
        ) {
            let placed = |(x, y, weight): &(i32, i32, u8)| event((*x).into(), (*y).into(), (*weight).into());
            let events: Vec<_> = places.iter().map(placed).collect();
            let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| ((*x).into(), (*y).into())).collect();
            let values = at(kernel, bandwidth.into(), &events, &points);
            for (value, point) in values.iter().zip(&points) {
                let expected = plain(kernel, bandwidth.into(), &events, *point);
                prop_assert!((value - expected).abs() <= 1e-12 + 1e-10 * expected, "{point:?} {value} {expected}");
            }
            // all places moved by whole squares and a half
            let by = 1.5 * f64::from(bandwidth) - 7_000.0;
            let events: Vec<_> = events.iter().map(|own| event(own.x + by, own.y - by, own.weight)).collect();
            let points: Vec<_> = points.iter().map(|(x, y)| (x + by, y - by)).collect();
            for (value, moved) in values.iter().zip(at(kernel, bandwidth.into(), &events, &points)) {
                prop_assert!((value - moved).abs() <= 1e-12 + 1e-10 * value, "{value} {moved}");
            }
        }
    }
}
