//! Register files: households of invented people with valid-looking numbers, some registered twice. They exist to prove that only
//! counts survive an ingest; nothing in the project may read a single row of them.

use std::io::{self, Write};

use super::City;
use super::dialect::Encoding;
use super::dirt::Dirt;
use super::geometry::Point;
use super::names::{push_check_digit, push_person, push_phone};
use super::sheet::{Fate, FeedCount, Fields, Sheet};
use super::text::{push_date, push_degrees, push_number, push_padded};
use crate::stat::random::{Stream, cumulate, lane};

const HOUSEHOLD: u64 = lane("household");
const RESIDENT: u64 = lane("resident");

/// Share of people who appear twice with another address.
const REGISTERED_TWICE: f64 = 0.003;
const DIRT_RATE: f64 = 0.0005;
const REASONS: [&str; 3] = ["type", "missing", "range"];
const ID_NO: usize = 0;
const BIRTH_DATE: usize = 3;
const LON: usize = 6;

/// Identity numbers draw their six free digits and sequence from this many values, each used once.
const SUFFIXES: u64 = 10_000_000;
/// Shares no factor with [`SUFFIXES`], so that multiplying by it shuffles without collision.
const SHUFFLE: u64 = 7_368_787;

/// Five-year age bands from 0 to 85 and over, in tenths of a percent: a core district and a rural county.
const AGES_URBAN: [f64; 18] = [
    54., 57., 52., 35., 44., 67., 104., 81., 72., 79., 87., 79., 58., 52., 32., 21., 15., 12.,
];
const AGES_RURAL: [f64; 18] = [
    59., 80., 84., 41., 30., 67., 74., 52., 54., 75., 96., 66., 49., 60., 44., 31., 18., 18.,
];

/// People a county registers, and the number of those before it in the city.
pub fn quota(city: &City, county: usize) -> (u64, u64) {
    let total: u64 = city
        .gazetteer
        .counties
        .iter()
        .map(|row| u64::from(row.population))
        .sum();
    let upto = |count: usize| {
        let people: u64 = city.gazetteer.counties[..count]
            .iter()
            .map(|row| u64::from(row.population))
            .sum();
        (u128::from(people) * u128::from(city.plan.residents) / u128::from(total.max(1))) as u64
    };
    (upto(county + 1) - upto(county), upto(county))
}

/// What a row says about where somebody lives.
struct Dwelling {
    number: u64,
    point: Point,
}

/// One row to be written.
struct Entry<'a> {
    person: u64,
    identity: u64,
    dwelling: &'a Dwelling,
    defect: &'static str,
}

/// Everything the rows of one county share.
struct Register<'a> {
    city: &'a City,
    county: usize,
    before: u64,
    ages: Vec<f64>,
    fields: Fields,
}

/// Writes a county's register.
pub fn write_register(city: &City, county: usize, out: &mut dyn Write) -> io::Result<FeedCount> {
    let header = "id_no,name,phone,birth_date,household_no,register_kind,lon,lat,updated_on";
    let row = &city.gazetteer.counties[county];
    let (people, before) = quota(city, county);
    let ages = cumulate(if row.urban { AGES_URBAN } else { AGES_RURAL });
    let mut register = Register {
        city,
        county,
        before,
        ages,
        fields: Fields::default(),
    };
    let mut dirt = Dirt::of(city.plan.seed, "population", county, DIRT_RATE, &REASONS);
    let mut sheet = Sheet::start(out, Encoding::Utf8, header);
    let (mut person, mut household) = (0, 0);
    let mut twice = None;
    while person < people {
        let mut stream = Stream::keyed(city.plan.seed, HOUSEHOLD, county as u64, household);
        let members = 1 + stream.poisson(row.household_size - 1.0);
        let dwelling = Dwelling {
            number: household + 1,
            point: city.gazetteer.home(county, city.plan.seed, household),
        };
        for _ in 0..members.min(people - person) {
            let entry = Entry {
                person,
                identity: before + person,
                dwelling: &dwelling,
                defect: "",
            };
            register.write(&entry, Fate::Accepted, &mut sheet)?;
            if let Some((reason, number)) = dirt.due() {
                // Numbers from the far end of the range, which real people reach last; a block for each county.
                let identity = SUFFIXES - 1 - (county as u64 * 10_000 + number % 10_000);
                let entry = Entry {
                    person: people + number,
                    identity,
                    dwelling: &dwelling,
                    defect: reason,
                };
                register.write(&entry, Fate::Rejected(reason), &mut sheet)?;
            }
            // The second registration follows a household later, at another address.
            if let Some(earlier) = twice.take_if(|(_, since)| *since < household) {
                register.write_again(earlier.0, household, &mut sheet)?;
            }
            if twice.is_none() && stream.chance(REGISTERED_TWICE) {
                twice = Some((person, household));
            }
            person += 1;
        }
        household += 1;
    }
    if let Some((earlier, _)) = twice {
        register.write_again(earlier, household, &mut sheet)?;
    }
    sheet.finish()
}

impl Register<'_> {
    /// The same person at another address, by which a reader must not count them twice.
    fn write_again(&mut self, person: u64, household: u64, sheet: &mut Sheet<'_>) -> io::Result<()> {
        let other = household | 1 << 40;
        let point = self.city.gazetteer.home(self.county, self.city.plan.seed, other);
        let dwelling = Dwelling {
            number: 90_000_000 + household,
            point,
        };
        let entry = Entry {
            person,
            identity: self.before + person,
            dwelling: &dwelling,
            defect: "",
        };
        self.write(&entry, Fate::Duplicate, sheet)
    }

    fn write(&mut self, entry: &Entry<'_>, fate: Fate, sheet: &mut Sheet<'_>) -> io::Result<()> {
        let mut stream = Stream::keyed(self.city.plan.seed, RESIDENT, self.county as u64, entry.person);
        let age = 5.0 * stream.pick(&self.ages) as f64 + 5.0 * stream.uniform();
        let birth = self.city.last_day - (age * 365.25) as i32;
        let fields = &mut self.fields;
        fields.begin();
        push_identity(entry.identity % SUFFIXES, self.city.plan.seed, birth, fields.next());
        push_person(&mut stream, fields.next());
        push_phone(&mut stream, fields.next());
        push_date(fields.next(), birth, "");
        let household = fields.next();
        household.push_str(self.city.gazetteer.counties[self.county].code);
        push_padded(household, entry.dwelling.number, 8);
        let kind = [1, 1, 1, 1, 1, 1, 1, 1, 2, 3][stream.below(10) as usize];
        push_number(fields.next(), if stream.chance(0.02) { 5 } else { kind });
        push_degrees(fields.next(), entry.dwelling.point.lon);
        push_degrees(fields.next(), entry.dwelling.point.lat);
        let updated = self.city.last_day - stream.below(730) as i32;
        push_date(fields.next(), updated, "-");
        match entry.defect {
            "type" => fields.set(BIRTH_DATE, "20130230"),
            "missing" => fields.set(ID_NO, ""),
            "range" => fields.set(LON, "999"),
            _ => {}
        }
        fields.join(&mut sheet.row);
        sheet.end(fate)
    }
}

/// Writes an identity number that no two of ten million people share: region 99, four shuffled digits, birth date, three more.
fn push_identity(index: u64, seed: u64, birth: i32, out: &mut String) {
    let suffix = (index * SHUFFLE + seed % SUFFIXES) % SUFFIXES;
    out.push_str("99");
    push_padded(out, suffix / 1_000, 4);
    push_date(out, birth, "");
    push_padded(out, suffix % 1_000, 3);
    push_check_digit(out);
}

#[cfg(test)]
mod tests {
    use super::super::{CityPlan, files};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_valid_and_only_second_registrations_repeat() -> io::Result<()> {
        let city = files(&CityPlan::scaled(9, 0.02));
        let mut seen = BTreeSet::new();
        let (mut rows, mut repeated, mut expected, mut people) = (0, 0, 0, 0);
        for county in 0..city.gazetteer.counties.len() {
            let mut bytes = Vec::new();
            let count = write_register(&city, county, &mut bytes)?;
            expected += count.duplicate;
            people += count.accepted;
            assert_eq!(count.accepted, quota(&city, county).0);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split(',').collect();
                let is_dirty = fields[ID_NO].is_empty() || fields[BIRTH_DATE] == "20130230" || fields[LON] == "999";
                let Some(digits) = fields[ID_NO].get(..17) else {
                    continue;
                };
                let mut digits = digits.to_owned();
                push_check_digit(&mut digits);
                assert_eq!(digits, fields[ID_NO]);
                if !is_dirty {
                    rows += 1;
                    repeated += u64::from(!seen.insert(digits));
                }
            }
        }
        assert_eq!(people, city.plan.residents);
        assert_eq!((rows, repeated), (people + expected, expected));
        assert!(repeated > 0);
        Ok(())
    }
}
