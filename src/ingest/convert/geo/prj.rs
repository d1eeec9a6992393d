//! Reference systems of ESRI's `.prj` files.
//!
//! A system is told by its parameters, not by its name, which programs write as they like. What is not
//! told for certain has no name here, and the contract has to declare it.

/// A degree, as the unit of angles of both datums.
const DEGREE: &str = "unit[\"degree\",0.01745329";
/// Central meridian of the first zones in which China lies, degrees.
const FIRST_MERIDIAN: u32 = 75;
/// False easting of every grid, metres, behind the number of its zone.
const FALSE_EASTING: f64 = 500_000.0;
/// What the number of a zone counts for in an easting, metres.
const ZONE: f64 = 1_000_000.0;
/// False northing of the southern UTM grids, metres.
const SOUTHERN: f64 = 10_000_000.0;
/// Scale of UTM on its central meridian.
const UTM_SCALE: f64 = 0.9996;
/// UTM zones.
const UTM_ZONES: u32 = 60;

/// Zones of Gauss-Krüger: their width in degrees, how many there are, the number of the first, and the
/// EPSG codes of the first with its number in the easting and without.
const WIDE: Zones = Zones {
    width: 6,
    count: 11,
    first: 13,
    numbered: 4491,
    plain: 4502,
};
/// See [`WIDE`].
const NARROW: Zones = Zones {
    width: 3,
    count: 21,
    first: 25,
    numbered: 4513,
    plain: 4534,
};

struct Zones {
    width: u32,
    count: u32,
    first: u32,
    numbered: u32,
    plain: u32,
}

/// The name by which a contract declares the system of a `.prj` text: `wgs84`, `cgcs2000` or `epsg:N`.
///
/// `None` for every other datum (Xi'an 1980, Beijing 1954), projection and unit.
pub(in crate::ingest) fn crs_of_prj(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '\u{feff}')
        .flat_map(char::to_lowercase)
        .collect();
    let chinese = match quoted(&text, "geogcs[\"")? {
        "gcs_china_geodetic_coordinate_system_2000" => true,
        "gcs_wgs_1984" => false,
        _ => return None,
    };
    if number(&text, "primem[\"greenwich\",")? != 0.0 || !text.contains(DEGREE) {
        return None;
    }
    if text.starts_with("geogcs[") {
        let name = if chinese { "cgcs2000" } else { "wgs84" };
        return Some(name.to_owned());
    }
    let code = grid(&text, chinese)?;
    Some(format!("epsg:{code}"))
}

/// The EPSG code of a grid in metres.
fn grid(text: &str, chinese: bool) -> Option<u32> {
    let name = quoted(text, "projcs[\"").filter(|_| text.starts_with("projcs["))?;
    let projection = quoted(text, "projection[\"")?;
    let unit = text.rfind("unit[\"").map(|at| &text[at..])?;
    let metres = number(unit, "unit[\"meter\",").or_else(|| number(unit, "unit[\"metre\","))?;
    let parameter = |name: &str| number(text, &format!("parameter[\"{name}\","));
    let origin = parameter("latitude_of_origin")?;
    let known = ["gauss_kruger", "transverse_mercator"].contains(&projection);
    if !known || metres != 1.0 || origin != 0.0 {
        return None;
    }
    let meridian = parameter("central_meridian")?;
    let easting = parameter("false_easting")?;
    let northing = parameter("false_northing")?;
    let scale = parameter("scale_factor")?;
    if !chinese {
        let zone = (1..=UTM_ZONES).find(|zone| f64::from(*zone) * 6.0 - 183.0 == meridian)?;
        return match (easting == FALSE_EASTING && scale == UTM_SCALE, northing) {
            (true, 0.0) => Some(32_600 + zone),
            (true, SOUTHERN) => Some(32_700 + zone),
            _ => None,
        };
    }
    if northing != 0.0 || scale != 1.0 {
        return None;
    }
    // both widths have a zone about every second meridian, and there they are the same grid: without a
    // number in the easting the name decides, with a number the number does
    let narrow_name = name.contains("3_degree") || name.contains("3-degree");
    let kinds = if narrow_name { [NARROW, WIDE] } else { [WIDE, NARROW] };
    kinds.iter().find_map(|zones| zones.code(meridian, easting))
}

impl Zones {
    fn code(&self, meridian: f64, easting: f64) -> Option<u32> {
        let at = (0..self.count).find(|at| f64::from(FIRST_MERIDIAN + self.width * at) == meridian)?;
        if easting == FALSE_EASTING {
            Some(self.plain + at)
        } else if easting == f64::from(self.first + at) * ZONE + FALSE_EASTING {
            Some(self.numbered + at)
        } else {
            None
        }
    }
}

/// The quoted text behind a mark.
fn quoted<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The number behind a mark.
fn number(text: &str, mark: &str) -> Option<f64> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest.find([',', ']'])?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::crs::Crs;

    const CHINA: &str = "GEOGCS[\"GCS_China_Geodetic_Coordinate_System_2000\",DATUM[\"D_China_2000\",\
                         SPHEROID[\"CGCS2000\",6378137.0,298.257222101]],PRIMEM[\"Greenwich\",0.0],\
                         UNIT[\"Degree\",0.0174532925199433]]";
    const WORLD: &str = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,\
                         298.257223563]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]]";

    fn grid_text(name: &str, datum: &str, projection: &str, numbers: [f64; 4]) -> String {
        let [easting, northing, meridian, scale] = numbers;
        format!(
            "PROJCS[\"{name}\",{datum},PROJECTION[\"{projection}\"],PARAMETER[\"False_Easting\",{easting:.1}],\
             PARAMETER[\"False_Northing\",{northing:.1}],PARAMETER[\"Central_Meridian\",{meridian:.1}],\
             PARAMETER[\"Scale_Factor\",{scale}],PARAMETER[\"Latitude_Of_Origin\",0.0],UNIT[\"Meter\",1.0]]\n"
        )
    }

    #[test]
    fn degrees_are_told_by_their_datum() {
        assert_eq!(crs_of_prj(CHINA).as_deref(), Some("cgcs2000"));
        assert_eq!(crs_of_prj(WORLD).as_deref(), Some("wgs84"));
        assert_eq!(
            crs_of_prj(&CHINA.replace("China_Geodetic_Coordinate_System_2000", "Xian_1980")),
            None
        );
        assert_eq!(crs_of_prj(&WORLD.replace("0.0174532925199433", "0.015707963")), None);
        assert_eq!(crs_of_prj(&WORLD.replace("\"Greenwich\",0.0", "\"Paris\",2.3")), None);
    }

    #[test]
    fn grids_are_told_by_their_parameters() {
        let kruger = "Gauss_Kruger";
        let utm = "Transverse_Mercator";
        for (name, datum, projection, numbers, code) in [
            (
                "CGCS2000_3_Degree_GK_CM_120E",
                CHINA,
                kruger,
                [500_000.0, 0.0, 120.0, 1.0],
                4549,
            ),
            (
                "CGCS2000_3_Degree_GK_Zone_40",
                CHINA,
                kruger,
                [40_500_000.0, 0.0, 120.0, 1.0],
                4528,
            ),
            (
                "CGCS2000_3_Degree_GK_CM_117E",
                CHINA,
                kruger,
                [500_000.0, 0.0, 117.0, 1.0],
                4548,
            ),
            ("CGCS2000_GK_CM_117E", CHINA, kruger, [500_000.0, 0.0, 117.0, 1.0], 4509),
            (
                "CGCS2000_GK_Zone_20",
                CHINA,
                kruger,
                [20_500_000.0, 0.0, 117.0, 1.0],
                4498,
            ),
            ("somewhere", CHINA, kruger, [39_500_000.0, 0.0, 117.0, 1.0], 4527),
            (
                "WGS_1984_UTM_Zone_50N",
                WORLD,
                utm,
                [500_000.0, 0.0, 117.0, 0.9996],
                32_650,
            ),
            (
                "WGS_1984_UTM_Zone_50S",
                WORLD,
                utm,
                [500_000.0, 10_000_000.0, 117.0, 0.9996],
                32_750,
            ),
        ] {
            let found = crs_of_prj(&grid_text(name, datum, projection, numbers)).expect("a system");
            assert_eq!(found, format!("epsg:{code}"), "{name}");
            assert!(Crs::parse(&found).is_ok());
        }
    }

    #[test]
    fn what_is_not_told_for_certain_has_no_name() {
        let sound = grid_text("x", CHINA, "Gauss_Kruger", [500_000.0, 0.0, 117.0, 1.0]);
        assert!(crs_of_prj(&sound).is_some());
        for (part, other) in [
            ("\"Meter\",1.0", "\"Kilometer\",1000.0"),
            ("\"Meter\",1.0", "\"Meter\",0.5"),
            ("117.0", "117.25"),
            ("500000.0", "41500000.0"),
            ("Gauss_Kruger", "Mercator"),
            ("\"Scale_Factor\",1", "\"Scale_Factor\",0.9996"),
            ("China_Geodetic_Coordinate_System_2000", "Beijing_1954"),
            ("PROJCS", "COMPD_CS"),
        ] {
            assert_eq!(crs_of_prj(&sound.replace(part, other)), None, "{other}");
        }
        for text in ["", "PROJCS[\"", "GEOGCS[\"GCS_WGS_1984\"", "州"] {
            assert_eq!(crs_of_prj(text), None);
        }
    }
}
