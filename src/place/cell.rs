//! H3 cells as 64-bit integers, the way tables hold them.
//!
//! A thin layer over `h3o` that trades panics and wrapped angles for `None`: a cell that comes from
//! a table may be any integer. It deliberately offers no compaction, no polygon filling and no
//! travel distance. Cells are those of H3 version 4 (<https://h3geo.org>); the top bit of an index
//! is always 0, so that it fits a BIGINT.

use h3o::{CellIndex, LatLng, Resolution};

use super::crs::on_earth;

/// The widest neighbourhood [`ring`] makes: 30 301 cells. A larger radius is a join, not a list.
pub const MAX_RING: u32 = 100;

/// The finest resolution of H3.
pub const MAX_RESOLUTION: u8 = 15;

/// The cell of WGS-84 (lon, lat) degrees at a resolution 0..=15; `None` off the earth or beyond 15.
///
/// ```
/// let cell = fenghuo::place::cell::cell(117.1848, 34.2618, 9);
/// assert!(cell.is_some_and(fenghuo::place::cell::valid));
/// ```
#[must_use]
pub fn cell(lon: f64, lat: f64, resolution: u8) -> Option<i64> {
    // h3o would wrap a longitude of 400 degrees silently
    if !on_earth(lon, lat) {
        return None;
    }
    let resolution = Resolution::try_from(resolution).ok()?;
    Some(pack(LatLng::new(lat, lon).ok()?.to_cell(resolution)))
}

/// Whether an integer is an H3 cell.
#[must_use]
pub fn valid(cell: i64) -> bool {
    unpack(cell).is_some()
}

/// The resolution of a cell, 0..=15; `None` for an integer that is no cell.
#[must_use]
pub fn resolution(cell: i64) -> Option<u8> {
    unpack(cell).map(|index| u8::from(index.resolution()))
}

/// The centre (lon, lat) of a cell, degrees; `None` for an integer that is no cell.
#[must_use]
pub fn centre(cell: i64) -> Option<(f64, f64)> {
    unpack(cell).map(|index| degrees(LatLng::from(index)))
}

/// The corners (lon, lat) of a cell in degrees, anticlockwise, the first not repeated; `None` for
/// no cell.
///
/// Six corners for a hexagon, five for one of the twelve pentagons, a few more where a cell crosses
/// a face of the icosahedron. Longitudes of a cell on the date line do not wrap together.
#[must_use]
pub fn boundary(cell: i64) -> Option<Vec<(f64, f64)>> {
    unpack(cell).map(|index| index.boundary().iter().copied().map(degrees).collect())
}

/// Every cell within `k` steps of `cell`, itself included, ascending; `None` for no cell or `k` >
/// [`MAX_RING`].
///
/// `1 + 3k(k+1)` cells, fewer around a pentagon.
#[must_use]
pub fn ring(cell: i64, k: u32) -> Option<Vec<i64>> {
    if k > MAX_RING {
        return None;
    }
    let mut cells: Vec<i64> = unpack(cell)?.grid_disk::<Vec<_>>(k).into_iter().map(pack).collect();
    cells.sort_unstable();
    Some(cells)
}

/// The cell of a coarser resolution, or of its own, that holds a cell; `None` for no cell or a finer resolution.
#[must_use]
pub fn parent(cell: i64, resolution: u8) -> Option<i64> {
    let resolution = Resolution::try_from(resolution).ok()?;
    unpack(cell)?.parent(resolution).map(pack)
}

/// The usual hexadecimal text of a cell, lower case without a prefix; `None` for no cell.
#[must_use]
pub fn text(cell: i64) -> Option<String> {
    unpack(cell).map(|index| format!("{index:x}"))
}

/// Reads the hexadecimal text of a cell; `None` for anything else.
#[must_use]
pub fn from_text(text: &str) -> Option<i64> {
    text.parse::<CellIndex>().ok().map(pack)
}

fn pack(index: CellIndex) -> i64 {
    u64::from(index).cast_signed()
}

fn unpack(cell: i64) -> Option<CellIndex> {
    CellIndex::try_from(cell.cast_unsigned()).ok()
}

fn degrees(point: LatLng) -> (f64, f64) {
    (point.lng(), point.lat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the H3 documentation: 37.3615593, -122.0553238 at resolution 5 is 85283473fffffff.
    const DOCUMENTED: i64 = 0x0852_8347_3fff_ffff;

    #[test]
    fn the_documented_point_falls_into_the_documented_cell() {
        assert_eq!(cell(-122.055_323_8, 37.361_559_3, 5), Some(DOCUMENTED));
        assert_eq!(text(DOCUMENTED).as_deref(), Some("85283473fffffff"));
        assert_eq!(from_text("85283473fffffff"), Some(DOCUMENTED));
        assert_eq!(resolution(DOCUMENTED), Some(5));
    }

    #[test]
    fn the_centre_of_a_cell_lies_in_it_and_its_corners_surround_it() {
        let home = cell(117.184_811, 34.261_792, 9).unwrap();
        let (lon, lat) = centre(home).unwrap();
        assert_eq!(cell(lon, lat, 9), Some(home));
        let corners = boundary(home).unwrap();
        assert_eq!(corners.len(), 6);
        let mean = corners
            .iter()
            .fold((0.0, 0.0), |sum, c| (sum.0 + c.0 / 6.0, sum.1 + c.1 / 6.0));
        assert!((mean.0 - lon).abs() < 1e-5 && (mean.1 - lat).abs() < 1e-5);
    }

    #[test]
    fn a_ring_is_sorted_holds_its_centre_and_has_the_expected_size() {
        let home = cell(117.184_811, 34.261_792, 9).unwrap();
        for (k, size) in [(0, 1), (1, 7), (2, 19), (10, 331)] {
            let cells = ring(home, k).unwrap();
            assert_eq!(cells.len(), size);
            assert!(cells.is_sorted() && cells.contains(&home));
        }
        assert_eq!(ring(home, MAX_RING + 1), None);
    }

    #[test]
    fn a_pentagon_has_five_neighbours() {
        let pentagon = from_text("8009fffffffffff").unwrap();
        assert_eq!(ring(pentagon, 1).map(|cells| cells.len()), Some(6));
    }

    #[test]
    fn integers_that_are_no_cell_and_points_off_the_earth_give_none() {
        for wrong in [0, -1, 1, i64::MIN, i64::MAX] {
            assert!(!valid(wrong));
            assert_eq!(
                (centre(wrong), boundary(wrong), ring(wrong, 1), text(wrong)),
                (None, None, None, None)
            );
        }
        assert_eq!(cell(34.26, 117.18, 9), None);
        assert_eq!(cell(f64::NAN, 34.0, 9), None);
        assert_eq!(cell(117.0, 34.0, 16), None);
        assert_eq!(from_text("not a cell"), None);
    }
}
