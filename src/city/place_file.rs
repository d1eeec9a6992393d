//! The two small reference files: areas with their boundaries, and named places. Always UTF-8, WGS-84 and clean: what describes the
//! ground is maintained by the centre itself.

use std::io::{self, Write};

use super::City;
use super::dialect::Encoding;
use super::geometry::{Point, Ring};
use super::sheet::{Fate, FeedCount, Fields, Sheet};
use super::text::{push_degrees, push_padded};

/// Writes counties and streets with their boundaries.
pub fn write_areas(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mut sheet = Sheet::start(out, Encoding::Utf8, "code,kind,county,name_zh,name_en,lon,lat,boundary");
    let mut fields = Fields::default();
    for county in &city.gazetteer.counties {
        let labels = [county.code, "county", county.code, county.name.0, county.name.1];
        fill_area(&mut fields, labels, county.ring.centre(), &county.ring);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    for street in &city.gazetteer.streets {
        let county = city.gazetteer.counties[street.county].code;
        let labels = [&street.code, "street", county, &street.name.zh, &street.name.en];
        fill_area(&mut fields, labels, street.centre, &street.ring);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

fn fill_area(fields: &mut Fields, labels: [&str; 5], centre: Point, ring: &Ring) {
    fields.begin();
    for label in labels {
        fields.push(label);
    }
    push_degrees(fields.next(), centre.lon);
    push_degrees(fields.next(), centre.lat);
    ring.write_wkt(fields.next());
}

/// Writes roads and landmarks.
pub fn write_place_names(city: &City, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mut sheet = Sheet::start(out, Encoding::Utf8, "place_no,kind,county,area,name_zh,name_en,lon,lat");
    let mut fields = Fields::default();
    for (number, place) in city.gazetteer.places.iter().enumerate() {
        let street = &city.gazetteer.streets[place.street];
        fields.begin();
        let place_no = fields.next();
        place_no.push('P');
        push_padded(place_no, number as u64 + 1, 5);
        fields.push(place.kind.code());
        fields.push(city.gazetteer.counties[street.county].code);
        fields.push(&street.code);
        fields.push(&place.name.zh);
        fields.push(&place.name.en);
        push_degrees(fields.next(), place.point.lon);
        push_degrees(fields.next(), place.point.lat);
        fields.join(&mut sheet.row);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::super::{CityPlan, files};
    use super::*;

    #[test]
    fn boundaries_are_quoted_polygons() -> io::Result<()> {
        let city = files(&CityPlan::small(1));
        let mut bytes = Vec::new();
        let count = write_areas(&city, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text.lines().count() as u64, count.read + 1);
        for line in text.lines().skip(1) {
            assert!(line.contains(",\"POLYGON ((") && line.ends_with("))\""), "{line}");
        }
        Ok(())
    }
}
