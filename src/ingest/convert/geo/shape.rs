//! Shapefiles as JSON lines: geometry of the `.shp`, attributes of the `.dbf`, in the order of both.
//!
//! The reader of the `shapefile` crate believes the counts of a record before it has the bytes. Here a
//! record of the `.shp` is read by its length, as far as there are bytes, and no count in it reaches
//! beyond it. The `.shx` is not needed: records stand in the file in their order, or the file is refused.

use std::io::{BufReader, Error, ErrorKind, Read, Result, copy, sink};

use encoding_rs::Encoding;

use super::dbf::Table;
use super::{BUFFER_BYTES, CENTRE_LAT, CENTRE_LON, GEOMETRY, Place, Row, bytes, invalid, write_numbers};
use crate::contract::Reason;
use crate::ingest::convert::Out;
use crate::ingest::source::ReadSeek;
use crate::place::polygon::{Ring, holds, midst, signed_area};

/// Bytes of one record of a `.shp`; half a million points with heights and measures have 16 million.
const MOST_SHAPE_BYTES: u64 = 32 << 20;
/// Corners and boxes looked at until the holes of one record have their shells.
const MOST_STEPS: usize = 200_000_000;
/// First number of a `.shp`.
const FILE_CODE: i32 = 9994;
/// Bytes before the first record of a `.shp`.
const HEADER_BYTES: usize = 100;
/// Bytes before the content of a record of a `.shp`.
const RECORD_HEADER_BYTES: u64 = 8;
/// Where a polygon states its rings: behind its kind and its box.
const COUNTS_AT: usize = 36;
/// Where the first points of the rings stand.
const STARTS_AT: usize = 44;
/// Bytes of a point on the map.
const POINT_BYTES: usize = 16;

/// The files of a shapefile.
pub(in crate::ingest) struct Shape {
    /// The geometry.
    pub shp: Box<dyn ReadSeek>,
    /// The attributes.
    pub dbf: Box<dyn ReadSeek>,
    /// Encoding of the attributes and their names.
    pub encoding: &'static Encoding,
}

/// Names of the attributes of a `.dbf`, and of what stands beside them.
///
/// # Errors
/// `InvalidData` for what is no table, `UnexpectedEof` for a part of one.
pub(in crate::ingest) fn names(dbf: impl Read, encoding: &'static Encoding) -> Result<Vec<String>> {
    let table = Table::open(dbf, encoding)?;
    let mut names: Vec<String> = table.fields.into_iter().map(|field| field.name).collect();
    for own in [GEOMETRY, CENTRE_LON, CENTRE_LAT] {
        if !names.iter().any(|name| name == own) {
            names.push(own.to_owned());
        }
    }
    Ok(names)
}

/// Writes the records of a shapefile in their order; a deleted one is an empty line.
///
/// Texts are trimmed, dates are `YYYY-MM-DD`, numbers have no needless fraction, and what is no number,
/// date or truth value though it should be goes to the contract as the text it is. A value of a kind that
/// shapefiles do not have (memo, time stamp) is an empty list, which no contract takes. A record with a
/// text that is none in its encoding is refused, as is one whose shape is broken or beyond 32 MiB.
///
/// # Errors
/// `InvalidData` for what is no shapefile, for records out of order and for two files of different
/// length, `UnexpectedEof` for files that end early, and what the files and `out` say.
pub(in crate::ingest) fn shapefile(shape: Shape, out: &mut Out) -> Result<()> {
    let mut shapes = Shapes::open(BufReader::with_capacity(BUFFER_BYTES, shape.shp))?;
    let mut table = Table::open(BufReader::with_capacity(BUFFER_BYTES, shape.dbf), shape.encoding)?;
    let mut content = Vec::new();
    loop {
        match (shapes.advance(&mut content)?, table.advance()?) {
            (true, true) => {}
            (false, false) => return Ok(()),
            (true, false) => return Err(invalid("the .dbf has fewer records than the .shp")),
            (false, true) => return Err(invalid("the .dbf has more records than the .shp")),
        }
        if table.deleted() {
            out.blank()?;
            continue;
        }
        match (table.attributes(), place(&content)) {
            (Err(field), _) => out.refuse(Reason::Undecodable, field)?,
            (Ok(_), None) => out.refuse(Reason::Area, GEOMETRY)?,
            (Ok(attributes), Some(place)) => out.object(&Row {
                attributes: &attributes,
                place: &place,
                id: None,
            })?,
        }
    }
}

fn int(content: &[u8], at: usize) -> Option<i32> {
    bytes(content, at).map(i32::from_le_bytes)
}

fn float(content: &[u8], at: usize) -> Option<f64> {
    bytes(content, at).map(f64::from_le_bytes)
}

/// The records of a `.shp`.
struct Shapes<R> {
    reader: R,
    /// Bytes that the file states to have behind the last record.
    left: u64,
    /// Number of the last record; the first has 1, or 0 with some programs.
    number: Option<i32>,
}

impl<R: Read> Shapes<R> {
    fn open(mut reader: R) -> Result<Shapes<R>> {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header)?;
        let code = bytes(&header, 0).map(i32::from_be_bytes);
        // lengths count words of two bytes
        let length = bytes(&header, 24).map_or(0, |words| u64::from(u32::from_be_bytes(words)) * 2);
        let left = length.checked_sub(HEADER_BYTES as u64);
        match left.filter(|_| code == Some(FILE_CODE)) {
            Some(left) => Ok(Shapes {
                reader,
                left,
                number: None,
            }),
            None => Err(invalid("no .shp file")),
        }
    }

    /// Reads the next record; one that is too large leaves no content, as no sound record does.
    fn advance(&mut self, content: &mut Vec<u8>) -> Result<bool> {
        content.clear();
        if self.left < RECORD_HEADER_BYTES {
            return Ok(false);
        }
        let (mut number, mut words) = ([0; 4], [0; 4]);
        self.reader.read_exact(&mut number)?;
        self.reader.read_exact(&mut words)?;
        let number = i32::from_be_bytes(number);
        let sound = match self.number {
            None => (0..=1).contains(&number),
            Some(last) => last.checked_add(1) == Some(number),
        };
        if !sound {
            let words = format!("record {number} of the .shp stands out of order; write the shapefile anew");
            return Err(invalid(words));
        }
        self.number = Some(number);
        let length = u64::from(u32::from_be_bytes(words)) * 2;
        let left = self.left - RECORD_HEADER_BYTES;
        self.left = left
            .checked_sub(length)
            .ok_or_else(|| invalid(format!("record {number} is longer than its .shp")))?;
        // the memory grows with the bytes that come, whatever length is stated
        let mut record = self.reader.by_ref().take(length);
        let read = if length > MOST_SHAPE_BYTES {
            copy(&mut record, &mut sink())?
        } else {
            record.read_to_end(content)? as u64
        };
        if read < length {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(true)
    }
}

/// Where a record of a `.shp` is; `None` where it is broken.
fn place(content: &[u8]) -> Option<Place> {
    let kind = match int(content, 0)? {
        0 => return Some(Place::default()),
        // heights and measures stand behind what is read
        1 | 11 | 21 => {
            let (x, y) = (float(content, 4)?, float(content, 12)?);
            return Some(Place::point(&x.to_string(), &y.to_string()));
        }
        5 | 15 | 25 => return Some(Place::area("Polygon", &polygons(rings(content)?)?, write_numbers)),
        3 | 13 | 23 => "PolyLine",
        8 | 18 | 28 => "MultiPoint",
        31 => "MultiPatch",
        _ => return None,
    };
    Some(Place::other(kind))
}

fn rings(content: &[u8]) -> Option<Vec<Ring>> {
    let count = |at| int(content, at).and_then(|count| usize::try_from(count).ok());
    let (parts, points) = (count(COUNTS_AT)?, count(COUNTS_AT + 4)?);
    let (starts, rest) = content.get(STARTS_AT..)?.split_at_checked(parts.checked_mul(4)?)?;
    let points_bytes = rest.get(..points.checked_mul(POINT_BYTES)?)?;
    let mut starts: Vec<usize> = starts
        .chunks_exact(4)
        .filter_map(|start| usize::try_from(int(start, 0)?).ok())
        .collect();
    // more rings than points would take memory without taking bytes
    if starts.len() != parts || parts > points {
        return None;
    }
    starts.push(points);
    let ring = |ends: &[usize]| -> Option<Ring> {
        let own = points_bytes.get(ends[0].checked_mul(POINT_BYTES)?..ends[1].checked_mul(POINT_BYTES)?)?;
        own.chunks_exact(POINT_BYTES)
            .map(|point| float(point, 0).zip(float(point, 8)))
            .collect()
    };
    starts.windows(2).map(ring).collect()
}

/// A shell with its holes, and what is needed to find the holes.
struct Shell {
    size: f64,
    low: (f64, f64),
    high: (f64, f64),
    rings: Vec<Ring>,
}

impl Shell {
    fn new(ring: Ring) -> Shell {
        let corner = |start: f64, choose: fn(f64, f64) -> f64| {
            let x = ring.iter().map(|point| point.0).fold(start, choose);
            (x, ring.iter().map(|point| point.1).fold(start, choose))
        };
        Shell {
            size: signed_area(&ring).abs(),
            low: corner(f64::INFINITY, f64::min),
            high: corner(f64::NEG_INFINITY, f64::max),
            rings: vec![ring],
        }
    }

    fn near(&self, (x, y): (f64, f64)) -> bool {
        (self.low.0..=self.high.0).contains(&x) && (self.low.1..=self.high.1).contains(&y)
    }
}

/// Gives holes, which run counter-clockwise in a shapefile, to the smallest shells around them. A hole
/// without a shell stands for itself, and rings that all run counter-clockwise are shells that were
/// written the wrong way round. `None` where this would take too long.
fn polygons(rings: Vec<Ring>) -> Option<Vec<Vec<Ring>>> {
    let turned = rings.iter().all(|ring| signed_area(ring) > 0.0);
    let (holes, shells): (Vec<Ring>, Vec<Ring>) =
        rings.into_iter().partition(|ring| !turned && signed_area(ring) > 0.0);
    let mut shells: Vec<Shell> = shells.into_iter().map(Shell::new).collect();
    let (mut alone, mut left) = (Vec::new(), MOST_STEPS);
    for hole in holes {
        let mut found: Option<usize> = None;
        // its corners may lie on the shell, its inside does not
        if let Some(point) = midst(std::slice::from_ref(&hole)) {
            left = left.checked_sub(shells.len())?;
            for (at, shell) in shells.iter().enumerate().filter(|(_, shell)| shell.near(point)) {
                left = left.checked_sub(shell.rings[0].len())?;
                let smaller = found.is_none_or(|known| shell.size < shells[known].size);
                if smaller && holds(&shell.rings[0], point) {
                    found = Some(at);
                }
            }
        }
        match found {
            Some(at) => shells[at].rings.push(hole),
            None => alone.push(vec![hole]),
        }
    }
    Some(shells.into_iter().map(|shell| shell.rings).chain(alone).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use encoding_rs::{GBK, UTF_8};
    use shapefile::{Point, Polygon, PolygonRing, ShapeWriter};

    use super::super::dbf::tests::dbf;
    use super::*;
    use crate::ingest::convert::lines_of;
    use crate::place::crs::Crs;
    use crate::place::polygon::boundary;

    const FIELD: (&[u8], u8, u8) = (b"A", b'C', 1);
    const BLANK: &[u8] = b"  ";

    fn shp(polygons: &[Polygon]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = ShapeWriter::new(&mut file);
        for polygon in polygons {
            writer.write_shape(polygon).expect("a shape");
        }
        drop(writer);
        file.into_inner()
    }

    fn square(x: f64, side: f64) -> Vec<Point> {
        [(0.0, 0.0), (0.0, side), (side, side), (side, 0.0), (0.0, 0.0)]
            .map(|(east, north)| Point::new(x + east, x + north))
            .to_vec()
    }

    fn lines(shp: Vec<u8>, dbf: Vec<u8>, encoding: &'static Encoding) -> Result<Vec<String>> {
        lines_of(move |out| {
            let shape = Shape {
                shp: Box::new(Cursor::new(shp)),
                dbf: Box::new(Cursor::new(dbf)),
                encoding,
            };
            shapefile(shape, out)
        })
    }

    fn one(x: f64) -> Polygon {
        Polygon::new(PolygonRing::Outer(square(x, 1.0)))
    }

    #[test]
    fn attributes_are_decoded_and_deleted_records_keep_their_place() {
        let (name, _, _) = GBK.encode("名称");
        let (text, _, _) = GBK.encode("铜山");
        let fields: [(&[u8], u8, u8); 5] = [
            (&name[..], b'C', 8),
            (b"CODE", b'N', 20),
            (b"DAY", b'D', 8),
            (b"OPEN", b'L', 1),
            (b"AREA", b'F', 19),
        ];
        let record = |flag: u8, name: &[u8], rest: &str| {
            let mut record = vec![flag];
            record.extend_from_slice(name);
            record.resize(9, b' ');
            record.extend_from_slice(rest.as_bytes());
            record
        };
        let rest = |code: &str, day: &str, open: &str, area: &str| format!("{code:>20}{day:>8}{open}{area:>19}");
        let records = [
            record(
                b' ',
                &text,
                &rest("320300000000000001", "20240131", "T", "1.23450000000e+003"),
            ),
            record(b'*', b"gone", &rest("", "00000000", "?", "")),
            record(b' ', b"", &rest("12.500000", "00000000", "?", &"*".repeat(19))),
            record(b' ', &text[..3], &rest("1", "", "F", "1")),
        ];
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let file = dbf(&fields, &records);
        let expected = [
            "名称",
            "CODE",
            "DAY",
            "OPEN",
            "AREA",
            "geometry",
            "centre_lon",
            "centre_lat",
        ];
        assert_eq!(names(file.as_slice(), GBK).expect("names"), expected);
        let found = lines(shp(&[one(0.0), one(10.0), one(20.0), one(30.0)]), file, GBK).expect("lines");
        assert_eq!(
            found,
            [
                r#"{"名称":"铜山","CODE":320300000000000001,"DAY":"2024-01-31","OPEN":true,"AREA":1234.5,"geometry":"POLYGON ((0 0, 0 1, 1 1, 1 0, 0 0))","centre_lon":0.5,"centre_lat":0.5}"#,
                "",
                r#"{"名称":null,"CODE":12.5,"DAY":null,"OPEN":null,"AREA":null,"geometry":"POLYGON ((20 20, 20 21, 21 21, 21 20, 20 20))","centre_lon":20.5,"centre_lat":20.5}"#,
                "!undecodable 名称",
            ]
        );
    }

    #[test]
    fn holes_go_to_their_shells() {
        let mut hole = square(1.0, 2.0);
        hole.reverse();
        let shape = Polygon::with_rings(vec![
            PolygonRing::Outer(square(50.0, 5.0)),
            PolygonRing::Inner(hole),
            PolygonRing::Outer(square(0.0, 9.0)),
        ]);
        let found = lines(shp(&[shape]), dbf(&[FIELD], &[BLANK]), UTF_8).expect("lines");
        let row: serde_json::Value = serde_json::from_str(&found[0]).expect("an object");
        assert_eq!(
            row["geometry"],
            "MULTIPOLYGON (((50 50, 50 55, 55 55, 55 50, 50 50)), \
             ((0 0, 0 9, 9 9, 9 0, 0 0), (1 1, 3 1, 3 3, 1 3, 1 1)))"
        );
        let text = row["geometry"].as_str().expect("a text");
        assert!(boundary(text, Crs::Wgs84).is_ok());
    }

    #[test]
    fn files_that_do_not_belong_together_are_errors() {
        let table = |records: usize| dbf(&[FIELD], &vec![BLANK; records]);
        let two = || shp(&[one(0.0), one(10.0)]);
        assert_eq!(lines(two(), table(2), UTF_8).expect("lines").len(), 2);
        for (shapes, records) in [
            (two(), table(1)),
            (two(), table(3)),
            (vec![0; 200], table(0)),
            (two(), vec![9; 40]),
        ] {
            let kind = lines(shapes, records, UTF_8).expect_err("an error").kind();
            assert!(matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof));
        }
        for end in 0..two().len() {
            assert!(lines(two()[..end].to_vec(), table(2), UTF_8).is_err(), "{end}");
        }
        let mut swapped = two();
        swapped[HEADER_BYTES + 3] = 2;
        assert!(lines(swapped, table(2), UTF_8).is_err());
    }

    #[test]
    fn every_damaged_byte_ends_well() {
        let (file, table) = (shp(&[one(0.0)]), dbf(&[FIELD], &[BLANK]));
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                drop(lines(damaged, table.clone(), UTF_8));
            }
        }
        for at in 0..table.len() {
            let mut damaged = table.clone();
            damaged[at] = 0xff;
            drop(lines(file.clone(), damaged, GBK));
        }
        // two thousand million points in a record without any
        let mut hollow = vec![0; STARTS_AT];
        hollow[0] = 5;
        hollow[COUNTS_AT + 4..].copy_from_slice(&i32::MAX.to_le_bytes());
        assert_eq!(place(&hollow), None);
        assert_eq!(place(&[]), None);
        assert_eq!(place(&[3, 0, 0, 0]), Some(Place::other("PolyLine")));
        assert_eq!(place(&[0, 0, 0, 0]), Some(Place::default()));
    }
}
