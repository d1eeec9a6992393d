//! Zones: for each place its neighbours in their order, as far as a circle may reach, and the cylinders on them.

use super::super::stop::Stop;
use super::{Cylinder, Data, MOST_EVENTS, MOST_MEMBERS, Metric, Model, Refused, Scan, ratio};
use crate::place::distance::metres;

/// The circles around every place.
#[derive(Debug)]
pub(super) struct Zones {
    /// Places.
    pub places: usize,
    /// Days of the longest cylinder.
    pub windows: usize,
    /// Events.
    pub all: f64,
    /// Where the members of each centre begin, one longer than the places.
    pub starts: Vec<usize>,
    /// Members in their order.
    pub members: Vec<u32>,
    /// Whether a circle ends after a member: those that are equally far enter together.
    pub ends: Vec<bool>,
    /// Events (permutation) or population of the circle up to each member.
    pub sizes: Vec<f64>,
    /// What is expected of a unit of size in the last day, two days, ….
    pub expected: Vec<f64>,
}

impl Zones {
    /// The zones of a scan.
    pub(super) fn new(scan: &Scan, data: Data<'_>, stop: &Stop) -> Result<Zones, Refused> {
        let places = data.x.len();
        let all = checked(scan, data)?;
        let mut of_place = vec![0.0; places];
        let mut of_day = vec![0.0; data.days];
        for (place, day, number) in data.events {
            of_place[*place as usize] += f64::from(*number);
            of_day[*day as usize] += f64::from(*number);
        }
        let size = match scan.model {
            Model::Permutation => of_place,
            Model::Poisson | Model::PoissonByDay => data.population.to_vec(),
        };
        let whole: f64 = size.iter().sum();
        if whole <= 0.0 {
            return Err(Refused::TooFew);
        }
        let windows = scan.most_days.min(data.days);
        let mut zones = Zones {
            places,
            windows,
            all,
            starts: vec![0],
            members: Vec::new(),
            ends: Vec::new(),
            sizes: Vec::new(),
            expected: expected(scan.model, &of_day, all / whole, windows),
        };
        // the least excess over the cap is a rounding of sums
        let most = scan.most_share * whole + 1e-9;
        for centre in 0..places {
            stop.asked()?;
            zones.grow(scan, data, centre, &size, most)?;
        }
        Ok(zones)
    }

    /// Adds the circles around a place.
    fn grow(&mut self, scan: &Scan, data: Data<'_>, centre: usize, size: &[f64], most: f64) -> Result<(), Refused> {
        let mut order: Vec<(f64, u32)> = Vec::with_capacity(self.places);
        for place in 0..self.places {
            let far = match scan.metric {
                Metric::Plane => (data.x[place] - data.x[centre]).hypot(data.y[place] - data.y[centre]),
                Metric::Sphere => {
                    metres(data.x[place], data.y[place], data.x[centre], data.y[centre]).ok_or(Refused::Invalid)?
                }
            };
            if scan.most_radius.is_none_or(|most| far <= most) {
                order.push((far, place as u32));
            }
        }
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut held, first) = (0.0, self.members.len());
        for (at, (far, place)) in order.iter().enumerate() {
            held += size[*place as usize];
            if held > most {
                break;
            }
            self.members.push(*place);
            self.ends.push(order.get(at + 1).is_none_or(|(next, _)| next > far));
            self.sizes.push(held);
        }
        // members behind the last circle are in none
        while self.members.len() > first && self.ends.last() == Some(&false) {
            self.members.pop();
            self.ends.pop();
            self.sizes.pop();
        }
        if self.members.len() > MOST_MEMBERS {
            return Err(Refused::TooMany);
        }
        self.starts.push(self.members.len());
        Ok(())
    }

    /// Events of each place in the last day, two days, …: rows of [`Zones::windows`].
    pub(super) fn observed(&self, data: Data<'_>) -> Vec<f64> {
        let mut counts = vec![0.0; self.places * self.windows];
        for (place, day, number) in data.events {
            let back = data.days - 1 - *day as usize;
            if back < self.windows {
                counts[*place as usize * self.windows + back] += f64::from(*number);
            }
        }
        for row in counts.chunks_exact_mut(self.windows) {
            for at in 1..row.len() {
                row[at] += row[at - 1];
            }
        }
        counts
    }

    /// The best cylinder around a place.
    pub(super) fn best(&self, centre: usize, counts: &[f64], least: u64) -> Cylinder {
        let members = self.starts[centre]..self.starts[centre + 1];
        let (mut inside, mut best) = (vec![0.0; self.windows], (0.0, 0, 0, 0.0, 0.0));
        for at in members.clone() {
            let row = self.members[at] as usize * self.windows;
            for (window, value) in inside.iter_mut().enumerate() {
                *value += counts[row + window];
            }
            if !self.ends[at] {
                continue;
            }
            for (window, value) in inside.iter().enumerate() {
                let expected = self.expected[window] * self.sizes[at];
                if *value >= least as f64 {
                    let llr = ratio(*value, expected, self.all);
                    if llr > best.0 {
                        best = (llr, at + 1, window + 1, *value, expected);
                    }
                }
            }
        }
        let (llr, end, days, observed, expected) = best;
        let mut places: Vec<u32> = self.members.get(members.start..end).unwrap_or_default().to_vec();
        places.sort_unstable();
        Cylinder {
            centre: centre as u32,
            members: places,
            days,
            observed: observed as u64,
            expected,
            llr,
        }
    }
}

/// The number of events, where everything that is read is sound.
fn checked(scan: &Scan, data: Data<'_>) -> Result<f64, Refused> {
    let places = data.x.len();
    if places < 2 || data.days == 0 || scan.most_days == 0 {
        return Err(Refused::TooFew);
    }
    if places > u32::MAX as usize {
        return Err(Refused::TooMany);
    }
    let by_population = scan.model != Model::Permutation;
    let coordinates = data.x.iter().chain(data.y).all(|value| value.is_finite());
    let people = data.population.iter().all(|value| value.is_finite() && *value >= 0.0);
    let inside = |(place, day, _): &(u32, u32, u32)| (*place as usize) < places && (*day as usize) < data.days;
    let sizes = data.y.len() == places && (!by_population || data.population.len() == places);
    if !coordinates || !sizes || (by_population && !people) || !data.events.iter().all(inside) {
        return Err(Refused::Invalid);
    }
    match data.events.iter().map(|(_, _, number)| u64::from(*number)).sum::<u64>() {
        0 => Err(Refused::TooFew),
        events if events > MOST_EVENTS => Err(Refused::TooMany),
        events => Ok(events as f64),
    }
}

/// What is expected of a unit of size in the last day, two days, …; `rate` is that of the whole time.
fn expected(model: Model, of_day: &[f64], rate: f64, windows: usize) -> Vec<f64> {
    let all: f64 = of_day.iter().sum();
    let mut part = 0.0;
    let newest = of_day.iter().rev().take(windows).zip(1_u32..);
    let parts = newest.map(|(day, days)| match model {
        Model::Permutation | Model::PoissonByDay => {
            part += day;
            part / all
        }
        Model::Poisson => f64::from(days) / of_day.len() as f64,
    });
    parts.map(|part| part * rate).collect()
}
