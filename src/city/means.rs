//! The people and means of the city's stations: where crews stand, how many officers there are by month, which units are on duty
//! by shift; and what is wrong with them on purpose. Counts only, never a name or a call sign.

use std::io::{self, Write};

use super::City;
use super::dialect::Encoding;
use super::geometry::Point;
use super::names::PlaceKind;
use super::sheet::{Fate, FeedCount, Fields, Sheet};
use super::text::{Moment, push_degrees, push_number, push_padded};
use super::truth::{DutyTruth, StaffingTruth};
use crate::stat::random::{Stream, lane};

const STAFF: u64 = lane("staffing");
const POST: u64 = lane("police post");

/// Inhabitants of the model city for each officer of its county bureaux.
const PEOPLE_PER_OFFICER: u32 = 1_100;
/// Months of staffing, the newest that of the last day.
const MONTHS: i32 = 12;
/// The newest months in which what is planted holds.
const SHORT_MONTHS: i32 = 3;
/// Streets of a county for each police post.
const STREETS_PER_POST: usize = 4;

/// The three shifts of a day: name, hour at which it begins, units of a balanced station per ten, those of the planted one.
const SHIFTS: [(&str, i64, u64, u64); 3] = [("night", 0, 2, 2), ("day", 8, 4, 7), ("evening", 16, 4, 1)];
/// Length of a shift.
const SHIFT_HOURS: u64 = 8;

/// A police station: one serves two neighbouring streets.
#[derive(Debug)]
pub struct Station {
    /// Index of its county.
    pub county: usize,
    /// Its number within the county, from 1.
    pub number: u64,
    /// Index of its first street.
    pub street: usize,
    /// Streets that it serves.
    pub streets: usize,
}

/// Number of the station of a county that serves a street.
pub fn station_number(city: &City, county: usize, street: usize) -> u64 {
    1 + (street - city.gazetteer.counties[county].streets.start) as u64 / 2
}

/// Writes the code of a station.
pub fn push_station(city: &City, county: usize, number: u64, out: &mut String) {
    out.push_str(city.gazetteer.counties[county].code);
    out.push('9');
    push_padded(out, number, 2);
}

fn station_code(city: &City, station: &Station) -> String {
    let mut code = String::new();
    push_station(city, station.county, station.number, &mut code);
    code
}

/// Officers of a county bureau, its stations included.
fn officers_of(city: &City, county: usize) -> u64 {
    u64::from(city.gazetteer.counties[county].population / PEOPLE_PER_OFFICER)
}

/// All stations, county by county.
pub fn stations(city: &City) -> Vec<Station> {
    let mut all = Vec::new();
    for (county, row) in city.gazetteer.counties.iter().enumerate() {
        for street in row.streets.clone().step_by(2) {
            all.push(Station {
                county,
                number: station_number(city, county, street),
                street,
                streets: row.streets.len().min(street - row.streets.start + 2) - (street - row.streets.start),
            });
        }
    }
    all
}

/// Which of so many the seed chooses; strides keep several choices apart.
fn turn(city: &City, stride: u64, among: usize) -> usize {
    (city.plan.seed.wrapping_mul(stride) % among.max(1) as u64) as usize
}

/// The county whose stations have too few of its officers in the newest months.
fn short_county(city: &City) -> usize {
    turn(city, 5, city.gazetteer.counties.len())
}

/// The station with too few community officers in the newest months, in another county.
fn short_station(city: &City, all: &[Station]) -> usize {
    let among: Vec<usize> = (0..all.len())
        .filter(|at| all[*at].county != short_county(city) && all[*at].streets == 2)
        .collect();
    among[turn(city, 7, among.len())]
}

/// The station whose units are on duty by day when its calls come in the evening.
fn unbalanced_station(city: &City, all: &[Station]) -> usize {
    let among: Vec<usize> = (0..all.len())
        .filter(|at| all[*at].streets == 2 && city.gazetteer.streets[all[*at].street].weight > 0.8)
        .collect();
    among[turn(city, 3, among.len())]
}

/// The months up to that of the last day, as the first day of each, the oldest first.
fn months(city: &City) -> Vec<i32> {
    let (mut year, mut month, _) = super::text::civil(city.last_day);
    let mut days = Vec::new();
    for _ in 0..MONTHS {
        let first = chrono::NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        days.push(first.signed_duration_since(chrono::NaiveDate::default()).num_days() as i32);
        (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    }
    days.reverse();
    days
}

/// Officers of a unit in a month: all, those for communities, those in the front line.
#[derive(Clone, Copy, Debug)]
struct Staff {
    officers: u64,
    community: u64,
    front_line: u64,
}

/// Officers of a station in a month; `back` counts months before the newest.
fn staff(city: &City, all: &[Station], at: usize, back: i32) -> Staff {
    let station = &all[at];
    let row = &city.gazetteer.counties[station.county];
    let is_short = station.county == short_county(city) && back < SHORT_MONTHS;
    let at_stations = officers_of(city, station.county) as f64 * if is_short { 0.33 } else { 0.47 };
    let mut stream = Stream::keyed(city.plan.seed, STAFF, at as u64, 0);
    // a third of them evenly, the rest by the size of the streets
    let weight = |street: usize| city.gazetteer.streets[street].weight;
    let whole: f64 = row.streets.clone().map(weight).sum();
    let own: f64 = (station.street..station.street + station.streets).map(weight).sum();
    let stations = row.streets.len().div_ceil(2) as f64;
    let officers = (at_stations * (own / whole * 2.0 + 1.0 / stations) / 3.0)
        .round()
        .max(6.0);
    let usual = 0.43 + 0.1 * stream.uniform();
    let is_thin = at == short_station(city, all) && back < SHORT_MONTHS;
    // one month of another station falls short by itself, which is no breach yet
    let is_decoy = at == (short_station(city, all) + 9) % all.len() && back == 1;
    let share = if is_thin || is_decoy { 0.29 } else { usual };
    Staff {
        officers: officers as u64,
        community: (officers * share).ceil() as u64,
        front_line: (officers * 0.85).round() as u64,
    }
}

/// Writes where crews stand: stations, police posts, and the hospitals that they bring people to.
pub fn write_sites(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let header = "site_no,kind,county,area,org,name_zh,name_en,lon,lat,crews";
    let mut sheet = Sheet::start(out, Encoding::Utf8, header);
    let mut fields = Fields::default();
    let mut number = 0;
    let mut row = |kind: &str, street: usize, name: [String; 2], point: Point, crews: u64, sheet: &mut Sheet<'_>| {
        number += 1;
        let county = city.gazetteer.streets[street].county;
        fields.begin();
        let site_no = fields.next();
        site_no.push('S');
        push_padded(site_no, number, 4);
        fields.push(kind);
        fields.push(city.gazetteer.counties[county].code);
        fields.push(&city.gazetteer.streets[street].code);
        push_station(city, county, station_number(city, county, street), fields.next());
        name.iter().for_each(|name| fields.push(name));
        push_degrees(fields.next(), point.lon);
        push_degrees(fields.next(), point.lat);
        push_number(fields.next(), crews);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)
    };
    for station in stations(city) {
        let street = &city.gazetteer.streets[station.street];
        let name = [
            format!("{}派出所", street.name.zh),
            format!("{} police station", street.name.en),
        ];
        row("station", station.street, name, street.centre, 3, &mut sheet)?;
    }
    for (county, ground) in city.gazetteer.counties.iter().enumerate() {
        for post in 0..ground.streets.len() / STREETS_PER_POST {
            let mut stream = Stream::keyed(city.plan.seed, POST, county as u64, post as u64);
            let street = ground.streets.start + stream.pick(&ground.street_sums);
            let place = &city.gazetteer.places[city.gazetteer.pick_place(street, &mut stream)];
            let name = [
                format!("{}警务站", place.name.zh),
                format!("{} police post", place.name.en),
            ];
            row("police_post", street, name, place.point, 1, &mut sheet)?;
        }
    }
    for place in city
        .gazetteer
        .places
        .iter()
        .filter(|place| place.kind == PlaceKind::Hospital)
    {
        let name = [place.name.zh.clone(), place.name.en.clone()];
        row("hospital", place.street, name, place.point, 0, &mut sheet)?;
    }
    sheet.finish()
}

/// Writes the officers of counties and stations, month by month.
pub fn write_staffing(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let header = "org,level,county,counted_at,officers,community_officers,front_line_officers,auxiliaries,mode";
    let mut sheet = Sheet::start(out, Encoding::Utf8, header);
    let mut fields = Fields::default();
    let all = stations(city);
    let months = months(city);
    for (at_month, day) in months.iter().enumerate() {
        let back = MONTHS - 1 - at_month as i32;
        let mut row = |org: &str, level: &str, county: usize, staff: Staff, sheet: &mut Sheet<'_>| {
            let urban = city.gazetteer.counties[county].urban;
            fields.begin();
            fields.push(org);
            fields.push(level);
            fields.push(city.gazetteer.counties[county].code);
            Moment::at(*day, 0).push_local(fields.next());
            for count in [
                staff.officers,
                staff.community,
                staff.front_line,
                staff.officers * 3 / 2,
            ] {
                push_number(fields.next(), count);
            }
            fields.push(if urban { "two_teams_one_room" } else { "all_community" });
            fields.join(&mut sheet.row);
            sheet.end(Fate::Accepted)
        };
        for (county, ground) in city.gazetteer.counties.iter().enumerate() {
            let officers = officers_of(city, county);
            let community = (0..all.len()).filter(|at| all[*at].county == county);
            let community = community.map(|at| staff(city, &all, at, back).community).sum();
            let whole = Staff {
                officers,
                community,
                front_line: officers * 4 / 5,
            };
            row(ground.code, "county", county, whole, &mut sheet)?;
        }
        for (at, station) in all.iter().enumerate() {
            let own = staff(city, &all, at, back);
            row(&station_code(city, station), "station", station.county, own, &mut sheet)?;
        }
    }
    sheet.finish()
}

/// Writes the units on duty by station and shift.
pub fn write_shifts(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mut sheet = Sheet::start(out, Encoding::Utf8, "org,county,shift,starts_at,hours,units");
    let mut fields = Fields::default();
    let all = stations(city);
    let odd = unbalanced_station(city, &all);
    let codes: Vec<String> = all.iter().map(|station| station_code(city, station)).collect();
    for day in city.first_day..=city.last_day {
        for (at, station) in all.iter().enumerate() {
            for (name, hour, usual, planted) in SHIFTS {
                let tenths = if at == odd { planted } else { usual };
                fields.begin();
                fields.push(&codes[at]);
                fields.push(city.gazetteer.counties[station.county].code);
                fields.push(name);
                Moment::at(day, hour * 3_600).push_local(fields.next());
                push_number(fields.next(), SHIFT_HOURS);
                push_number(fields.next(), tenths);
                fields.join(&mut sheet.row);
                sheet.end(Fate::Accepted)?;
            }
        }
    }
    sheet.finish()
}

/// Rows of the three files, about: sites, staffing, shifts.
pub fn rows(city: &City) -> [u64; 3] {
    let stations = stations(city).len() as u64;
    let counties = city.gazetteer.counties.len() as u64;
    let days = (city.last_day - city.first_day + 1) as u64;
    [stations * 2, (stations + counties) * MONTHS as u64, stations * 3 * days]
}

/// Who has too few officers where, as planted.
pub fn short(city: &City) -> Vec<StaffingTruth> {
    let all = stations(city);
    let months = months(city);
    let since = super::text::date_text(months[(MONTHS - SHORT_MONTHS) as usize]);
    let county = city.gazetteer.counties[short_county(city)].code;
    let station = station_code(city, &all[short_station(city, &all)]);
    vec![
        StaffingTruth {
            org: county.to_owned(),
            ratio: "station_share",
            first_month: since.clone(),
        },
        StaffingTruth {
            org: station,
            ratio: "community_share",
            first_month: since,
        },
    ]
}

/// Whose units are on duty at the wrong time, as planted.
pub fn unbalanced(city: &City) -> Vec<DutyTruth> {
    let all = stations(city);
    let station = station_code(city, &all[unbalanced_station(city, &all)]);
    vec![DutyTruth {
        org: station,
        shift: "evening",
    }]
}

#[cfg(test)]
mod tests {
    use super::super::{CityPlan, files};
    use super::*;

    #[test]
    fn stations_serve_every_street_once_and_what_is_planted_is_short() {
        for seed in 1..12 {
            let city = files(&CityPlan::scaled(seed, 0.02));
            let all = stations(&city);
            assert_eq!(
                all.iter().map(|station| station.streets).sum::<usize>(),
                city.gazetteer.streets.len()
            );
            let share = |county: usize, back: i32| {
                let own = (0..all.len()).filter(|at| all[*at].county == county);
                let at_stations: u64 = own.map(|at| staff(&city, &all, at, back).officers).sum();
                at_stations as f64 / officers_of(&city, county) as f64
            };
            for county in 0..city.gazetteer.counties.len() {
                let planted = county == short_county(&city);
                assert_eq!(
                    share(county, 0) < 0.4,
                    planted,
                    "seed {seed}: {county} has {}",
                    share(county, 0)
                );
                assert!(share(county, SHORT_MONTHS) >= 0.4, "seed {seed}: {county}");
            }
            let thin = staff(&city, &all, short_station(&city, &all), 0);
            assert!(thin.community * 10 < thin.officers * 4, "seed {seed}: {thin:?}");
        }
    }
}
