//! Where and how a call happened: street, named place, point, kind of place, way of reporting, priority. A pure function of the
//! call's key, so that every document of a call agrees; a repeated call shares the site of its main call. Writes no text.

use super::City;
use super::alarm::Call;
use super::category::{CATEGORIES, DEVICE, PATROL, PHONE, PLACE_KINDS, STREET};
use super::geometry::Point;
use super::names::PlaceKind;
use crate::stat::random::{Stream, lane};

const CALL: u64 = lane("call");
const SITE: u64 = lane("call site");

/// Where and how a call happened.
#[derive(Clone, Debug)]
pub struct Site {
    /// Index of the street it lies in.
    pub street: usize,
    /// Index of the place that names the address.
    pub place: usize,
    /// Position.
    pub point: Point,
    /// Index of the kind of place.
    pub kind: usize,
    /// Index of the way it was reported.
    pub mode: usize,
    /// Priority.
    pub priority: u8,
    /// House number, stable for the calls of one place.
    pub house: u64,
}

/// The details of a call.
pub fn locate(city: &City, county: usize, call: &Call) -> Site {
    let mut stream = Stream::keyed(city.plan.seed, SITE, county as u64, call.site_key);
    let category = &CATEGORIES[call.category];
    let mut kind = stream.pick(&city.rates.kinds[call.category]);
    let mode = stream.pick(&city.rates.modes[call.category]);
    let house = 1 + stream.below(180);
    let priority = draw_priority(category.priority, &mut stream);
    if let Some(planting) = call.planting.map(|number| &city.planted.plantings[number]) {
        // A landmark elsewhere in the street would pull the address away from the planted point.
        if (3..=6).contains(&kind) {
            kind = STREET;
        }
        let (street, place) = (planting.street, planting.place);
        return Site {
            street,
            place,
            point: planting.point(&mut stream),
            kind,
            mode: PHONE,
            priority,
            house,
        };
    }
    let street = city.gazetteer.pick_street(county, &mut stream);
    let place = choose_place(city, street, kind, category.is_traffic(), &mut stream);
    let is_landmark = landmark_of(kind) == Some(city.gazetteer.places[place].kind);
    let spread_m = match (is_landmark, city.gazetteer.counties[county].urban) {
        (true, _) => 45.0,
        (false, true) => 180.0,
        (false, false) => 320.0,
    };
    let anywhere = if is_landmark || category.is_traffic() {
        0.0
    } else {
        0.12
    };
    let mut point = if stream.chance(anywhere) {
        city.gazetteer.streets[street].ring.sample(&mut stream)
    } else {
        city.gazetteer.scatter(place, spread_m, &mut stream)
    };
    let mut site = Site {
        street,
        place,
        point,
        kind,
        mode,
        priority,
        house,
    };
    if call.site_key != call.key {
        // A second witness stands a few metres away, calls by telephone, and is no patrol and no device.
        let mut own = Stream::keyed(city.plan.seed, CALL, county as u64, call.key);
        let (east, north) = own.normal_pair();
        let near = point.moved(25.0 * east, 25.0 * north).rounded();
        if city.gazetteer.streets[street].ring.contains(near) {
            point = near;
        }
        site.point = point;
        site.mode = PHONE;
    }
    site
}

fn draw_priority(usual: u8, stream: &mut Stream) -> u8 {
    match stream.below(10) {
        0 => (usual + 1).min(4),
        1 => usual.saturating_sub(1).max(1),
        _ => usual,
    }
}

/// The landmark that a kind of place happens at, when the street has one.
fn landmark_of(kind: usize) -> Option<PlaceKind> {
    match PLACE_KINDS[kind] {
        "school" => Some(PlaceKind::School),
        "hospital" => Some(PlaceKind::Hospital),
        "venue" => Some(PlaceKind::Park),
        "transport" => Some(PlaceKind::Station),
        _ => None,
    }
}

fn choose_place(city: &City, street: usize, kind: usize, is_traffic: bool, stream: &mut Stream) -> usize {
    let gazetteer = &city.gazetteer;
    let places = gazetteer.streets[street].places.clone();
    let picked = gazetteer.pick_place(street, stream);
    if let Some(wanted) = landmark_of(kind) {
        return places
            .clone()
            .find(|&place| gazetteer.places[place].kind == wanted)
            .unwrap_or(picked);
    }
    let carries_traffic = |place: usize| matches!(gazetteer.places[place].kind, PlaceKind::Road | PlaceKind::Bridge);
    if is_traffic && !carries_traffic(picked) {
        // Every street begins with two roads.
        return places.start + stream.below(2) as usize;
    }
    picked
}

/// True when a person made the call, so that it has a name and a number to drop.
pub fn has_caller(site: &Site) -> bool {
    site.mode != PATROL && site.mode != DEVICE
}

#[cfg(test)]
mod tests {
    use super::super::alarm::visit_calls;
    use super::super::{CityPlan, files};
    use super::*;

    #[test]
    fn found_offences_come_from_patrols_and_accidents_lie_on_roads() -> std::io::Result<()> {
        let city = files(&CityPlan::scaled(2, 0.02));
        let (mut found, mut patrols) = (0.0, 0.0);
        visit_calls(&city, 9, &mut |call| {
            let site = locate(&city, 9, call);
            let category = &CATEGORIES[call.category];
            if category.code == "0204" || category.code == "0205" {
                found += 1.0;
                patrols += f64::from(u8::from(site.mode == PATROL));
            }
            let kind = city.gazetteer.places[site.place].kind;
            if category.is_traffic() && site.kind == STREET {
                assert!(matches!(kind, PlaceKind::Road | PlaceKind::Bridge));
            }
            Ok(())
        })?;
        assert!(patrols / found > 0.6, "{patrols} of {found}");
        Ok(())
    }
}
