//! A look through a workbook before it is opened: how far it unpacks, and whether its sheets name cells
//! that a sheet has. The reader of sheets counts with both before it looks.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Seek};

use quick_xml::events::{BytesStart, Event};

use crate::ingest::open::overgrown;

/// Bytes that all parts of a workbook unpack to.
const MOST_BYTES: u64 = 2 << 30;
/// Bytes that the texts and styles of a workbook unpack to; they are held in memory.
const MOST_HELD: u64 = 256 << 20;
/// Bytes that a workbook may always unpack to.
const HARMLESS_BYTES: u64 = 32 << 20;
/// Bytes of one element or text.
const MOST_ELEMENT: usize = 4 << 20;
/// Letters and digits of a cell's name, `XFD1048576`.
const NAME_PARTS: (usize, usize) = (3, 7);
/// The first bytes of an encrypted workbook, and of one in the format before 2007.
const COMPOUND_FILE: [u8; 4] = [0xD0, 0xCF, 0x11, 0xE0];

pub(super) fn invalid(words: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, words.into())
}

/// Unpacks every part of a workbook once, without keeping anything: what its directory states can be a
/// lie.
///
/// # Errors
/// `InvalidData` for what is no workbook or names impossible cells, `FileTooLarge` beyond all measure.
pub(super) fn measured(book: &mut (impl Read + Seek)) -> Result<()> {
    let mut first = [0; 4];
    let read = book.read(&mut first)?;
    book.rewind()?;
    if first[..read] == COMPOUND_FILE {
        return Err(invalid(
            "an encrypted workbook, or an old .xls: save it as .xlsx without a password",
        ));
    }
    let mut archive = zip::ZipArchive::new(&mut *book).map_err(|cause| invalid(cause.to_string()))?;
    let mut all = Measure::default();
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).map_err(|cause| invalid(cause.to_string()))?;
        all.packed += part.compressed_size().max(1);
        all.part = 0;
        all.since = 0;
        let name = String::from_utf8_lossy(part.name_raw()).to_ascii_lowercase();
        // texts, styles, the list of sheets: everything but the sheets and pictures is held
        let is_held = name.ends_with(".xml") && !name.contains("worksheets/");
        all.most = if is_held { MOST_HELD } else { MOST_BYTES };
        let mut reader = BufReader::new(Guarded {
            inner: &mut part,
            measure: &mut all,
        });
        let is_xml = name.ends_with(".xml") || name.ends_with(".rels");
        if is_xml || reader.fill_buf()?.trim_ascii_start().starts_with(b"<") {
            look_through(reader)?;
        } else {
            reader.get_mut().measure.since = usize::MAX;
            std::io::copy(&mut reader, &mut std::io::sink())?;
        }
    }
    book.rewind()
}

/// What was unpacked so far.
#[derive(Default)]
struct Measure {
    all: u64,
    packed: u64,
    part: u64,
    /// Bytes that this part may have.
    most: u64,
    /// Bytes since the end of the last element; the largest number where a part has none.
    since: usize,
}

/// Reads a part and stops where it grows beyond all measure.
struct Guarded<'a, R> {
    inner: R,
    measure: &'a mut Measure,
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(buffer)?;
        let measure = &mut *self.measure;
        measure.all += count as u64;
        measure.part += count as u64;
        let (all, packed) = (measure.all, measure.packed);
        let grown = overgrown(all, packed, HARMLESS_BYTES);
        if measure.since != usize::MAX {
            measure.since = match memchr::memrchr(b'>', &buffer[..count]) {
                Some(end) => count - end - 1,
                None => measure.since + count,
            };
        }
        let swollen = measure.since != usize::MAX && measure.since > MOST_ELEMENT;
        if measure.part > measure.most || all > MOST_BYTES || grown || swollen {
            let words = format!("a workbook that unpacks to more than {all} bytes out of {packed}");
            return Err(Error::new(ErrorKind::FileTooLarge, words));
        }
        Ok(count)
    }
}

/// Holds the cells that a part names against those that a sheet has, and the numbers of its shared texts
/// against what a number is: the reader takes the first text for what is none.
fn look_through(reader: impl BufRead) -> Result<()> {
    let mut reader = quick_xml::Reader::from_reader(reader);
    reader.config_mut().check_end_names = false;
    let mut buffer = Vec::new();
    let (mut shared, mut value) = (false, false);
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        match event {
            Ok(Event::Eof) => return Ok(()),
            Ok(Event::Start(element) | Event::Empty(element)) => match element.local_name().as_ref() {
                "c" => {
                    cell_name(&element, "r")?;
                    let kind = element
                        .try_get_attribute("t")
                        .map_err(|cause| invalid(cause.to_string()))?;
                    shared = kind.is_some_and(|kind| kind.value == "s");
                }
                "row" => cell_name(&element, "r")?,
                "dimension" => cell_name(&element, "ref")?,
                "v" => value = true,
                _ => {}
            },
            Ok(Event::Text(text)) if shared && value => {
                if !text.trim_ascii().bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(invalid("a cell names a text that is not among the shared strings"));
                }
            }
            Ok(Event::End(_)) => value = false,
            Ok(_) => {}
            Err(quick_xml::Error::Io(cause)) => return Err(Error::new(cause.kind(), cause.to_string())),
            // what is no XML, the reader of sheets will say, where it reads the part at all
            Err(_) => return Ok(()),
        }
    }
}

/// Holds an attribute against `A1`, `3` or `A1:B2`, the first not behind the second.
fn cell_name(element: &BytesStart<'_>, attribute: &str) -> Result<()> {
    let wrong = || invalid("a sheet names a cell that no sheet has");
    for found in element.attributes().with_checks(false) {
        let found = found.map_err(|_| wrong())?;
        if found.key.local_name().as_ref() == attribute && !is_name(found.value.as_bytes()) {
            return Err(wrong());
        }
    }
    Ok(())
}

fn is_name(name: &[u8]) -> bool {
    let part = |name: &[u8]| -> Option<(u64, u64)> {
        let letters = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let digits = &name[letters..];
        if letters > NAME_PARTS.0 || digits.len() > NAME_PARTS.1 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let column = name[..letters]
            .iter()
            .fold(0, |sum, byte| sum * 26 + u64::from(byte & 31));
        Some((
            column,
            digits.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')),
        ))
    };
    match name.iter().position(|byte| *byte == b':') {
        None => part(name).is_some(),
        Some(at) => match (part(&name[..at]), part(&name[at + 1..])) {
            (Some(first), Some(second)) => first.0 <= second.0 && first.1 <= second.1,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_names_that_a_sheet_gives_them() {
        let sound = |xml: &str| look_through(xml.as_bytes()).is_ok();
        for xml in [
            "<dimension ref=\"A1:XFD1048576\"/><row r=\"1\"><c r=\"A1\" s=\"1\" t=\"s\"><v>0</v></c></row>",
            "<c r=\"A1\" t=\"str\"><v>say r=\"ZZZZ99\"</v></c>",
            "<hyperlink ref=\"B2:A1\"/>",
        ] {
            assert!(sound(xml), "{xml}");
        }
        for xml in [
            "<c r=\"ABCD1\"/>",
            "<c\tr = 'A99999999999'/>",
            "<row r=\"4294967295\"/>",
            "<dimension ref=\"B2:A1\"/>",
            "<x:c r=\"1A\"/>",
            "<c r=\"A1\" t=\"s\"><v>-1</v></c>",
        ] {
            assert!(!sound(xml), "{xml}");
        }
    }
}
