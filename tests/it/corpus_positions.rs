//! Positions as sources deliver them: the place each names, or that it names none.

use fenghuo::place::crs::Crs;
use fenghuo::place::suspect::degrees;

const CASES: &str = include_str!("corpus/positions.csv");
/// Degrees; the expected places have six decimals.
const TOLERANCE: f64 = 2e-6;
const EARTH: [f64; 4] = [-180.0, -90.0, 180.0, 90.0];

fn place(crs: Crs, bounds: [f64; 4], x: &str, y: &str) -> Option<(f64, f64)> {
    let number = |text: &str| {
        if crs.is_projected() {
            text.parse::<f64>().ok()
        } else {
            degrees(text)
        }
    };
    let (lon, lat) = crs.to_wgs84(number(x)?, number(y)?);
    let [west, south, east, north] = bounds;
    ((west..=east).contains(&lon) && (south..=north).contains(&lat)).then_some((lon, lat))
}

/// Exactly `N` numbers.
fn numbers<const N: usize>(text: &str, separator: char) -> [f64; N] {
    let found: Vec<f64> = text
        .split(separator)
        .map(|part| part.parse().expect("a number"))
        .collect();
    found.try_into().expect("as many numbers as needed")
}

/// What is wrong with a case, if anything.
fn mismatch(case: &csv::StringRecord) -> Option<String> {
    let [crs, bounds, x, y, expected] = std::array::from_fn(|at| case.get(at).unwrap_or_default());
    let crs = match Crs::parse(crs) {
        Ok(crs) => crs,
        Err(problem) => return Some(problem.to_string()),
    };
    let bounds = if bounds.is_empty() { EARTH } else { numbers(bounds, ';') };
    let found = place(crs, bounds, x, y);
    let expected = (expected != "reject").then(|| numbers::<2>(expected, ' '));
    let same = match (found, expected) {
        (None, None) => true,
        (Some((lon, lat)), Some([east, north])) => (lon - east).abs() <= TOLERANCE && (lat - north).abs() <= TOLERANCE,
        _ => false,
    };
    (!same).then(|| format!("{crs} {x} {y}: found {found:?}, expected {expected:?}"))
}

#[test]
fn every_position_of_the_corpus_is_its_place_or_none() {
    let mut reader = csv::Reader::from_reader(CASES.as_bytes());
    let mut cases = 0;
    let mut mismatches = Vec::new();
    for case in reader.records() {
        let case = case.expect("five columns");
        cases += 1;
        let line = case.position().map_or(0, csv::Position::line);
        mismatches.extend(mismatch(&case).map(|what| format!("positions.csv:{line}: {what}")));
    }
    assert!(cases >= 60, "{cases} cases");
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
}
