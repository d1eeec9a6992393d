//! The table of the eleven counties. Names and codes are invented (no real division begins with 99); populations and household
//! sizes keep the proportions of a real prefecture, because rates per head depend on them. Ground and streets are drawn elsewhere.

/// What is fixed about a county before anything is drawn.
#[derive(Debug)]
pub struct CountyRow {
    /// Six-digit code.
    pub code: &'static str,
    /// Chinese and English.
    pub name: (&'static str, &'static str),
    /// Inhabitants of the model city; only proportions matter.
    pub population: u32,
    /// Mean household size.
    pub household_size: f64,
    /// True for the core districts and the zone.
    pub urban: bool,
    /// Columns and rows of streets.
    pub grid: (usize, usize),
}

const fn county(
    code: &'static str,
    name: (&'static str, &'static str),
    population: u32,
    household_size: f64,
    urban: bool,
    grid: (usize, usize),
) -> CountyRow {
    CountyRow {
        code,
        name,
        population,
        household_size,
        urban,
        grid,
    }
}

/// The eleven county rows, in the order of the corners in geometry.rs.
#[rustfmt::skip]
pub const COUNTIES: [CountyRow; 11] = [
    county("990101", ("砚溪区", "Yanxi District"), 425_143, 2.46, true, (3, 3)),
    county("990102", ("鹤桥区", "Heqiao District"), 471_566, 2.59, true, (4, 2)),
    county("990103", ("墨泉区", "Moquan District"), 453_555, 2.85, true, (4, 3)),
    county("990104", ("松坪区", "Songping District"), 619_784, 2.47, true, (4, 3)),
    county("990105", ("云砾区", "Yunli District"), 1_237_760, 2.85, false, (4, 4)),
    county("990106", ("霜川县", "Shuangchuan County"), 935_200, 2.66, false, (5, 3)),
    county("990107", ("沙棠县", "Shatang County"), 1_038_337, 2.83, false, (4, 4)),
    county("990108", ("芦汀县", "Luting County"), 1_088_553, 2.92, false, (4, 4)),
    county("990109", ("雁岫市", "Yanxiu City"), 969_922, 2.89, false, (3, 5)),
    county("990110", ("石榆市", "Shiyu City"), 1_462_563, 2.94, false, (4, 4)),
    county("990171", ("青原开发区", "Qingyuan Development Zone"), 381_407, 2.80, true, (3, 2)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_in_the_invented_range() {
        assert!(
            COUNTIES
                .iter()
                .all(|row| row.code.starts_with("9901") && row.code.len() == 6)
        );
        assert!(COUNTIES.iter().all(|row| (6..=16).contains(&(row.grid.0 * row.grid.1))));
        let people: u32 = COUNTIES.iter().map(|row| row.population).sum();
        assert!((9_000_000..9_200_000).contains(&people));
    }
}
