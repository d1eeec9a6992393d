//! What a planner and a crew have to know about the ground: where no camera may look, what is dangerous where, and which stations
//! were merged. UTF-8 and clean, since the centre keeps these lists itself; the change log is the site's own reference file.

use std::io::{self, Write};

use super::City;
use super::dialect::Encoding;
use super::geometry::Ring;
use super::names::PlaceKind;
use super::sheet::{Fate, FeedCount, Fields, Sheet};
use super::text::{date_text, push_date, push_degrees, push_padded};
use super::truth::ExclusionTruth;
use crate::stat::random::{Stream, lane};

const HAZARD: u64 = lane("hazard site");

/// Half the side of an exclusion zone.
const ZONE_HALF_M: f64 = 400.0;
/// Exclusion zones of the city.
const ZONES: usize = 4;
/// What a zone keeps from view.
const REASONS: [&str; 4] = ["lodging_room", "dormitory", "nursing_room", "bath_toilet_changing"];
/// Kind, Chinese and English suffix of dangerous sites.
const HAZARDS: [(&str, &str, &str); 4] = [
    ("gas", "燃气站", "gas station"),
    ("chemicals", "化工库", "chemical store"),
    ("electricity", "变电所", "substation"),
    ("water", "水库闸", "reservoir gate"),
];
/// Every so many streets have one.
const STREETS_PER_HAZARD: usize = 3;

/// Places of an exclusion zone: busy ones where no camera was ever put up, so that a ranking of gaps would propose them.
fn excluded(city: &City) -> Vec<usize> {
    let places = &city.gazetteer.places;
    let mut blind: Vec<usize> = (0..places.len())
        .filter(|at| places[*at].is_blind && places[*at].kind != PlaceKind::Road)
        .collect();
    let busy = |at: &usize| {
        let street = &city.gazetteer.streets[places[*at].street];
        let people = city.gazetteer.counties[street.county].population;
        places[*at].weight * street.weight * f64::from(people)
    };
    blind.sort_by(|a, b| busy(b).total_cmp(&busy(a)).then(a.cmp(b)));
    blind.truncate(ZONES);
    blind
}

fn zone(city: &City, place: usize) -> Ring {
    let middle = city.gazetteer.places[place].point;
    let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
    Ring {
        corners: corners
            .map(|(east, north)| middle.moved(east * ZONE_HALF_M, north * ZONE_HALF_M).rounded())
            .to_vec(),
    }
}

/// The zones where no camera may look.
pub fn zones(city: &City) -> Vec<ExclusionTruth> {
    let describe = |(number, place): (usize, usize)| {
        let middle = city.gazetteer.places[place].point;
        ExclusionTruth {
            reason: REASONS[number % REASONS.len()],
            lon: middle.lon,
            lat: middle.lat,
            half_side_m: ZONE_HALF_M,
        }
    };
    excluded(city).into_iter().enumerate().map(describe).collect()
}

/// Writes the zones where no camera may look.
pub fn write_zones(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mut sheet = Sheet::start(out, Encoding::Utf8, "zone_no,county,reason,boundary");
    let mut fields = Fields::default();
    for (number, place) in excluded(city).into_iter().enumerate() {
        let street = city.gazetteer.places[place].street;
        fields.begin();
        let zone_no = fields.next();
        zone_no.push('Z');
        push_padded(zone_no, number as u64 + 1, 3);
        fields.push(city.gazetteer.counties[city.gazetteer.streets[street].county].code);
        fields.push(REASONS[number % REASONS.len()]);
        zone(city, place).write_wkt(fields.next());
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

/// Streets with a dangerous site.
fn dangerous(city: &City) -> impl Iterator<Item = usize> {
    (0..city.gazetteer.streets.len()).step_by(STREETS_PER_HAZARD)
}

/// Rows of the two files: zones and dangerous sites.
pub fn rows(city: &City) -> [u64; 2] {
    [ZONES as u64, dangerous(city).count() as u64]
}

/// Writes dangerous sites, each with the days between which its entry holds.
pub fn write_hazards(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let header = "hazard_no,kind,county,area,name_zh,name_en,lon,lat,recorded_on,holds_until";
    let mut sheet = Sheet::start(out, Encoding::Utf8, header);
    let mut fields = Fields::default();
    for (number, street) in dangerous(city).enumerate() {
        let mut stream = Stream::keyed(city.plan.seed, HAZARD, street as u64, 0);
        let row = &city.gazetteer.streets[street];
        let (kind, zh, en) = HAZARDS[stream.below(HAZARDS.len() as u64) as usize];
        let place = city.gazetteer.pick_place(street, &mut stream);
        let point = city.gazetteer.scatter(place, 120.0, &mut stream);
        // some entries have lapsed: what is no longer known to hold must not be told
        let recorded = city.last_day - 30 - stream.below(600) as i32;
        fields.begin();
        let hazard_no = fields.next();
        hazard_no.push('H');
        push_padded(hazard_no, number as u64 + 1, 4);
        fields.push(kind);
        fields.push(city.gazetteer.counties[row.county].code);
        fields.push(&row.code);
        let name = &city.gazetteer.places[place].name;
        fields.push(&format!("{}{zh}", name.zh));
        fields.push(&format!("{} {en}", name.en));
        push_degrees(fields.next(), point.lon);
        push_degrees(fields.next(), point.lat);
        push_date(fields.next(), recorded, "-");
        push_date(fields.next(), recorded + 500, "-");
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

/// Writes the site's change log: the station that was merged into its neighbour.
pub fn write_change_log(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let merged = &city.planted.merged;
    let code = |street: usize| city.gazetteer.streets[street].code.as_str();
    write!(
        out,
        "-- 口径变更：并所、换码等，一事一行；基线在此断开。 Merged stations and new codes, a row each: baselines break here.\n\
         -- @grain change_no\n\
         -- @check unique(change_no)\n\
         -- @check accepted(kind, 'area', 'category')\n\
         SELECT * FROM (VALUES\n  ('1', 'area', '{}', '{}', '{}', DATE '{}')\n\
         ) AS change (change_no, kind, county, code_from, code_into, first_day)\n",
        city.gazetteer.counties[merged.county].code,
        code(merged.from_street),
        code(merged.into_street),
        date_text(merged.first_day),
    )?;
    Ok(FeedCount {
        read: 1,
        accepted: 1,
        ..FeedCount::default()
    })
}
