//! ZIP archives: the files in them, each a source of its own.
//!
//! Nothing is ever extracted to disk, so that names can do no harm; an archive that is built to do harm
//! is refused as a whole all the same. Sizes that its directory states are checked while its members are
//! read.

use std::io::{BufReader, Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom, Take};

use encoding_rs::GB18030;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Kind, Result, fail, io_error};
use crate::ingest::open::{HARMLESS_BYTES, overgrown};
use crate::ingest::source::{ReadSeek, Source};

/// Entries of an archive.
const MOST_ENTRIES: usize = 1_000;
/// Bytes that all members of an archive unpack to.
const MOST_BYTES: u64 = 64 << 30;
/// Bytes of a member's name.
const MOST_NAME: usize = 255;

/// A file in an archive.
#[derive(Debug, Clone)]
pub(super) struct Member {
    name: String,
    /// Its bytes, unpacked, as the archive states them.
    pub bytes: u64,
    packed: u64,
    start: u64,
    crc: u32,
    deflated: bool,
    /// The parts of a shapefile beside it.
    siblings: Vec<Member>,
}

impl Member {
    /// Its name in messages and in the account: one word, with `!` between folders.
    pub fn shown(&self) -> String {
        self.name.replace('/', "!")
    }

    /// The file of the same name with another ending.
    pub fn sibling(&self, ending: &str) -> Option<Member> {
        let of = |name: &str| name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        let found = self
            .siblings
            .iter()
            .find(|sibling| of(&sibling.name).as_deref() == Some(ending));
        found.cloned()
    }

    /// Its bytes, unpacked, out of its archive.
    ///
    /// # Errors
    /// `InvalidData` at the end of bytes that are not those the archive promises.
    pub fn reader(&self, mut archive: Box<dyn ReadSeek>) -> IoResult<Box<dyn Read + Send>> {
        archive.seek(SeekFrom::Start(self.start))?;
        let packed: Take<Box<dyn ReadSeek>> = archive.take(self.packed);
        let inner: Box<dyn Read + Send> = if self.deflated {
            Box::new(DeflateDecoder::new(BufReader::with_capacity(1 << 16, packed)))
        } else {
            Box::new(packed)
        };
        Ok(Box::new(Checked {
            inner,
            left: self.bytes,
            crc: Crc::new(),
            expected: self.crc,
        }))
    }
}

/// Holds what is unpacked against what the archive promised.
struct Checked<R> {
    inner: R,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.inner.read(buffer)?;
        let broken = |words: &str| Err(Error::new(ErrorKind::InvalidData, words));
        if count as u64 > self.left {
            return broken("a member of an archive is longer than stated");
        }
        self.left -= count as u64;
        self.crc.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() && (self.left > 0 || self.crc.sum() != self.expected) {
            return broken("a member of an archive is not what was packed");
        }
        Ok(count)
    }
}

/// Bytes that a name is written in: UTF-8, or the encoding of Chinese machines.
fn decoded(raw: &[u8]) -> Option<String> {
    match std::str::from_utf8(raw) {
        Ok(name) => Some(name.to_owned()),
        Err(_) => GB18030
            .decode_without_bom_handling_and_without_replacement(raw)
            .map(|name| name.into_owned()),
    }
}

/// Why a name is none that a file can have.
fn bad_name(name: &str) -> bool {
    let climbs = name.split(['/', '\\']).any(|part| part == "..");
    let rooted = name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':');
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    climbs || rooted || name.len() > MOST_NAME || name.chars().any(hidden)
}

/// Whether a member is a file that somebody sent, not what a machine put beside it.
fn is_sent(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    !name.starts_with("__MACOSX/") && !file.is_empty() && !file.starts_with('.')
}

/// Endings of the parts of a shapefile beside the shapes.
const SHAPE_PARTS: [&str; 9] = ["dbf", "shx", "prj", "cpg", "sbn", "sbx", "qix", "xml", "shp.xml"];

/// The files in an archive, in the order of their names; the parts of a shapefile go with its shapes.
///
/// # Errors
/// `Input` for what is no archive or is built to do harm, `Limit` for one beyond all measure, else as
/// the file system or the store says.
pub(super) fn members(source: &Source) -> Result<Vec<Source>> {
    let path = source.path();
    let reader = source.outer().map_err(|cause| io_error(&path, &cause))?;
    let shown = path.display();
    let refuse = |why: &str| fail(Kind::Input, "archive_refused", &[&shown, &why]);
    let broken = |cause: zip::result::ZipError| match cause {
        zip::result::ZipError::Io(cause) => io_error(&path, &cause),
        other => refuse("—").because(other),
    };
    let mut archive = ZipArchive::new(BufReader::new(reader)).map_err(broken)?;
    if archive.len() > MOST_ENTRIES {
        let error = fail(Kind::Limit, "archive_entries", &[&shown, &archive.len(), &MOST_ENTRIES]);
        return Err(error);
    }
    if archive.has_duplicate_names() || archive.has_overlapping_entries().map_err(broken)? {
        return Err(refuse("overlap"));
    }
    let mut found = Vec::new();
    let (mut packed, mut bytes) = (0u64, 0u64);
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(broken)?;
        let name = decoded(entry.name_raw()).filter(|name| !bad_name(name));
        let name = name.ok_or_else(|| refuse("name"))?;
        let link = entry.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000);
        if link || entry.encrypted() {
            return Err(refuse(if link { "link" } else { "encrypted" }));
        }
        if entry.is_dir() || !is_sent(&name) {
            continue;
        }
        if name.to_ascii_lowercase().ends_with(".zip") {
            return Err(refuse("nested"));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => return Err(refuse(&other.to_string())),
        };
        packed += entry.compressed_size();
        bytes = bytes.saturating_add(entry.size());
        found.push(Member {
            name,
            bytes: entry.size(),
            packed: entry.compressed_size(),
            // of its header here; of its bytes below
            start: entry.header_start(),
            crc: entry.crc32(),
            deflated,
            siblings: Vec::new(),
        });
    }
    if bytes > MOST_BYTES || overgrown(bytes, packed, HARMLESS_BYTES) {
        return Err(fail(Kind::Limit, "archive_growth", &[&shown, &bytes, &packed]));
    }
    let mut reader = archive.into_inner();
    for member in &mut found {
        member.start = data_start(&mut reader, member.start).map_err(|cause| io_error(&path, &cause))?;
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    let mut shown: Vec<String> = found.iter().map(Member::shown).collect();
    shown.sort();
    // two files that are called alike in messages would be two versions of one
    if shown.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refuse("name"));
    }
    Ok(with_parts(found)
        .into_iter()
        .map(|member| source.with(member))
        .collect())
}

/// Where the bytes of an entry begin: behind its own header, whose name and extra field can differ in
/// length from those of the directory (APPNOTE 4.3.7).
fn data_start(reader: &mut (impl Read + Seek), header: u64) -> IoResult<u64> {
    const FIXED: u64 = 30;
    let mut lengths = [0u8; 4];
    reader.seek(SeekFrom::Start(header + FIXED - 4))?;
    reader.read_exact(&mut lengths)?;
    let [name, extra] = [[lengths[0], lengths[1]], [lengths[2], lengths[3]]].map(u16::from_le_bytes);
    Ok(header + FIXED + u64::from(name) + u64::from(extra))
}

/// Gives the parts of shapefiles to their shapes.
fn with_parts(mut found: Vec<Member>) -> Vec<Member> {
    let stem = |name: &str| {
        name.rsplit_once('.')
            .map(|(stem, ending)| (stem.to_owned(), ending.to_ascii_lowercase()))
    };
    let shapes: Vec<String> = found
        .iter()
        .filter_map(|member| stem(&member.name).filter(|(_, ending)| ending == "shp"))
        .map(|(stem, _)| stem)
        .collect();
    let is_part = |member: &Member| {
        stem(&member.name).is_some_and(|(stem, ending)| {
            let own = stem.trim_end_matches(".shp").to_owned();
            SHAPE_PARTS.contains(&ending.as_str()) && shapes.contains(&own)
        })
    };
    let (parts, mut rest): (Vec<Member>, Vec<Member>) = found.drain(..).partition(is_part);
    for member in &mut rest {
        if let Some((own, _)) = stem(&member.name).filter(|(_, ending)| ending == "shp") {
            let belongs = |part: &&Member| stem(&part.name).is_some_and(|(stem, _)| stem == own);
            member.siblings = parts.iter().filter(belongs).cloned().collect();
        }
    }
    rest
}
