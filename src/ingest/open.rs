//! A source file as a stream of bytes that a reader of records understands, and its header.
//!
//! Fields stay as delivered bytes until a column asks for them, so that a broken character is charged
//! to its own field. Only encodings in which a delimiter or line end can lie inside a character are
//! turned into UTF-8 beforehand; a broken character there becomes a byte that no UTF-8 text holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Result as IoResult};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{DecoderResult, Encoding};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::contract::{Contract, Dialect, SourceFormat};
use crate::error::{Kind, Result, fail, io_error};
use crate::ingest::feed::Split;
use crate::ingest::progress::Progress;
use crate::ingest::scan::{Broken, Records, Scanner};
use crate::ingest::source::Source;
use crate::ingest::span::Span;
use crate::ingest::{archive, convert};
use crate::lake::digest::hex;

/// Bytes read at once where a file is only passed over.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of an area with its boundary: a coast has more corners than a record has fields.
const BOUNDARY_BYTES: usize = 32 << 20;
/// Bytes that a packed file may always unpack to.
pub(super) const HARMLESS_BYTES: u64 = 64 << 20;
/// How many bytes one packed byte may become; tables of numbers reach some twenty.
const MOST_GROWTH: u64 = 200;
/// A byte that is in no UTF-8 text: stands for what could not be decoded.
const UNDECODABLE: u8 = 0xFF;

/// Whether bytes that were packed grow beyond all measure, where so many are always harmless.
pub(super) fn overgrown(bytes: u64, packed: u64, harmless: u64) -> bool {
    bytes > harmless && bytes / packed.max(1) > MOST_GROWTH
}

/// Reads and counts the bytes that went by.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
    progress: Option<Arc<Progress>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.inner.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(progress) = &self.progress {
            progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// The bytes of a source, unpacked by the ending of its name.
pub(super) fn unpacked_bytes(source: &Source, progress: Option<Arc<Progress>>) -> IoResult<Box<dyn Read + Send>> {
    let counted = Counted {
        inner: source.reader()?,
        taken: Arc::default(),
        progress,
    };
    let packed = counted.taken.clone();
    let unpacked: Box<dyn Read + Send> = match source.ending().as_str() {
        "gz" => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, counted))),
        "zst" => Box::new(zstd::Decoder::new(counted)?),
        _ => return Ok(Box::new(counted)),
    };
    Ok(Box::new(Unpacked {
        inner: unpacked,
        packed,
        bytes: 0,
    }))
}

/// Refuses to unpack what grows beyond all measure.
struct Unpacked<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    bytes: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        let packed = self.packed.load(Ordering::Relaxed).max(1);
        if overgrown(self.bytes, packed, HARMLESS_BYTES) {
            let words = format!("{} bytes out of {packed}", self.bytes);
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, words));
        }
        Ok(count)
    }
}

/// The head of a source as a draft looks at it: its name, at most `most` bytes of text, and whether they
/// are all. The first file of an archive stands for it; what is no text comes as JSON lines.
///
/// # Errors
/// As the file system says, or as the format is broken.
pub fn head(path: &Path, most: u64) -> Result<(String, Vec<u8>, bool)> {
    let mut source = Source::from(path.to_owned());
    if source.ending() == "zip" {
        let first = archive::members(&source)?.into_iter().next();
        source = first.ok_or_else(|| fail(Kind::Input, "archive_empty", &[&path.display()]))?;
    }
    let failed = |cause: std::io::Error| io_error(path, &cause);
    let reader = match convert::sample(&source).map_err(failed)? {
        Some(reader) => reader,
        None => unpacked_bytes(&source, None).map_err(failed)?,
    };
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    let whole = bytes.len() as u64 <= most;
    Ok((source.path().display().to_string(), bytes, whole))
}

/// What tells a file from every other, 64 hexadecimal digits each.
#[derive(Debug)]
pub(super) struct Name {
    /// SHA-256 over contract, file name and content.
    pub batch_id: String,
    /// BLAKE3 of the content: no row of a large file can be named before all of it is read once, and
    /// this takes a quarter of the time of SHA-256.
    pub content: String,
    /// SHA-256 of the content, for whoever sent one.
    pub sha256: Option<String>,
}

/// BLAKE3 of bytes, 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(blake3::hash(bytes).as_bytes())
}

/// The name of a source under a contract, with its SHA-256 where that is asked for.
pub(super) fn name(contract: &str, source: &Source, with_sha256: bool) -> Result<Name> {
    let failed = |cause: std::io::Error| io_error(&source.path(), &cause);
    let mut content = blake3::Hasher::new();
    let mut sha256 = with_sha256.then(Sha256::new);
    let mut file = source.whole().map_err(failed)?;
    let mut buffer = vec![0u8; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        content.update(&buffer[..count]);
        if let Some(sha256) = &mut sha256 {
            sha256.update(&buffer[..count]);
        }
    }
    let content = hex(content.finalize().as_bytes());
    let named = format!("{contract}\n{}\n{content}", source.name());
    Ok(Name {
        batch_id: hex(&Sha256::digest(named)),
        content,
        sha256: sha256.map(|sha256| hex(&sha256.finalize())),
    })
}

/// Whether `byte` can be the second or a later byte of a character in this encoding.
fn lies_inside(encoding: &'static Encoding, byte: u8) -> bool {
    let name = encoding.name();
    match name {
        "UTF-16LE" | "UTF-16BE" => true,
        "gb18030" | "GBK" => (0x30..=0x39).contains(&byte) || (0x40..=0x7E).contains(&byte),
        "Big5" | "Shift_JIS" => (0x40..=0x7E).contains(&byte),
        _ => false,
    }
}

fn needs_decoding(contract: &Contract) -> bool {
    let dialect = &contract.dialect;
    let marks = [Some(dialect.delimiter), Some(b'\n'), dialect.quote, dialect.escape];
    marks
        .into_iter()
        .flatten()
        .any(|mark| lies_inside(contract.encoding, mark))
}

/// Turns another encoding into UTF-8 as it passes.
struct Decoded<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    input: Vec<u8>,
    /// Bytes of the input that were decoded already.
    used: usize,
    output: Vec<u8>,
    handed: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Decoded<R> {
        Decoded {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            handed: 0,
            ended: false,
        }
    }

    fn refill(&mut self) -> IoResult<()> {
        self.input.drain(..self.used);
        self.used = 0;
        let before = self.input.len();
        (&mut self.inner).take(1 << 18).read_to_end(&mut self.input)?;
        let last = self.input.len() == before;
        self.output.clear();
        self.handed = 0;
        loop {
            let room = self.output.len();
            self.output.resize(room + (self.input.len() - self.used) * 3 + 16, 0);
            let (outcome, read, written) = self.decoder.decode_to_utf8_without_replacement(
                &self.input[self.used..],
                &mut self.output[room..],
                last,
            );
            self.used += read;
            self.output.truncate(room + written);
            match outcome {
                DecoderResult::InputEmpty => break,
                DecoderResult::Malformed(..) => self.output.push(UNDECODABLE),
                DecoderResult::OutputFull => {}
            }
        }
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        while self.handed == self.output.len() {
            if self.ended {
                return Ok(0);
            }
            self.refill()?;
        }
        let count = buffer.len().min(self.output.len() - self.handed);
        buffer[..count].copy_from_slice(&self.output[self.handed..self.handed + count]);
        self.handed += count;
        Ok(count)
    }
}

/// Makes the line ends of old machines, a carriage return alone, ordinary ones.
struct Lines<R>(R);

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.0.read(buffer)?;
        returns(&mut buffer[..count]);
        Ok(count)
    }
}

fn returns(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte == b'\r' {
            *byte = b'\n';
        }
    }
}

/// Puts each element of a JSON list on a line of its own. Line ends inside an element become blanks:
/// in JSON they stand between tokens only.
struct Elements<R> {
    inner: R,
    depth: usize,
    in_text: bool,
    escaped: bool,
    begun: bool,
    ended: bool,
}

impl<R: Read> Elements<R> {
    fn new(inner: R) -> Elements<R> {
        Elements {
            inner,
            depth: 0,
            in_text: false,
            escaped: false,
            begun: false,
            ended: false,
        }
    }

    /// What a byte becomes.
    fn pass(&mut self, byte: u8) -> u8 {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return byte;
        }
        match byte {
            b'[' if !self.begun => {
                self.begun = true;
                b' '
            }
            b']' if self.begun && self.depth == 0 => {
                self.ended = true;
                b'\n'
            }
            b',' if self.depth == 0 => b'\n',
            b'{' | b'[' => {
                self.depth += 1;
                byte
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                byte
            }
            b'"' => {
                self.in_text = true;
                byte
            }
            b'\n' | b'\r' => b' ',
            _ => byte,
        }
    }
}

impl<R: Read> Read for Elements<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() && !self.ended {
            // a list that does not close was cut
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "a list without its end",
            ));
        }
        for byte in &mut buffer[..count] {
            *byte = self.pass(*byte);
        }
        Ok(count)
    }
}

/// Passes over the byte order mark in front of a text.
fn without_mark(mut reader: Box<dyn Read + Send>) -> IoResult<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(3);
    (&mut reader).take(3).read_to_end(&mut first)?;
    if first == b"\xef\xbb\xbf" {
        first.clear();
    }
    Ok(Box::new(std::io::Cursor::new(first).chain(reader)))
}

/// An opened source: its header read, its records not yet.
pub(super) struct Opened {
    pub reader: Box<dyn Read + Send>,
    /// Bytes that were read behind the header.
    pub carry: Vec<u8>,
    /// Names of the fields; empty where every record brings its own.
    pub names: Vec<String>,
    pub split: Split,
    /// Encoding of the bytes as they come out of `reader`.
    pub encoding: &'static Encoding,
    /// Line of the first record.
    pub first_line: u64,
    /// Bytes of one record.
    pub record_limit: usize,
}

/// Opens a source and reads its header.
///
/// # Errors
/// `Missing`, `Denied` or `Unavailable` as the file system says; `Input` for a header that is none.
pub(super) fn open(
    source: &Source,
    shown: &str,
    contract: &Contract,
    limit: usize,
    progress: Arc<Progress>,
) -> Result<Opened> {
    let failed = |cause: std::io::Error| io_error(&source.path(), &cause);
    if source.ending() == "zip" {
        // its files are sources of their own; one that comes here holds none, or says why it is refused
        archive::members(source)?;
        return Err(fail(Kind::Input, "archive_empty", &[&shown]));
    }
    if let Some(converted) = convert::open(source, contract).map_err(failed)? {
        return Ok(Opened {
            reader: converted.reader,
            carry: Vec::new(),
            names: converted.names,
            split: Split::Converted,
            encoding: encoding_rs::UTF_8,
            first_line: converted.first_line,
            record_limit: match contract.format {
                SourceFormat::Geojson | SourceFormat::Shapefile => limit.max(BOUNDARY_BYTES),
                _ => limit,
            },
        });
    }
    let mut reader = unpacked_bytes(source, Some(progress)).map_err(failed)?;
    let mut encoding = contract.encoding;
    if needs_decoding(contract) {
        reader = Box::new(Decoded::new(reader, encoding));
        encoding = encoding_rs::UTF_8;
    }
    if !matches!(contract.format, SourceFormat::Csv | SourceFormat::Postgres) {
        reader = without_mark(reader).map_err(failed)?;
        if contract.format == SourceFormat::Json {
            reader = Box::new(Elements::new(reader));
        }
        return Ok(Opened {
            reader,
            carry: Vec::new(),
            names: Vec::new(),
            split: Split::Lines,
            encoding,
            first_line: 1,
            record_limit: limit,
        });
    }
    let mut carry = Vec::new();
    let enough = limit.max(1 << 16) as u64;
    (&mut reader).take(enough).read_to_end(&mut carry).map_err(failed)?;
    if carry.starts_with(b"\xef\xbb\xbf") {
        carry.drain(..3);
    }
    if memchr::memchr(b'\n', &carry).is_none() && memchr::memchr(b'\r', &carry).is_some() {
        returns(&mut carry);
        reader = Box::new(Lines(reader));
    }
    let dialect = &contract.dialect;
    let mut first_line = 1;
    for _ in 0..dialect.skip_lines {
        let end = memchr::memchr(b'\n', &carry).map_or(carry.len(), |at| at + 1);
        carry.drain(..end);
        first_line += 1;
    }
    let names = match &dialect.names {
        Some(names) => names.clone(),
        None => {
            let (names, used, lines) = header(&carry, shown, dialect, encoding, limit)?;
            carry.drain(..used);
            first_line += lines;
            names
        }
    };
    Ok(Opened {
        reader,
        carry,
        names,
        split: Split::Delimited(dialect.clone()),
        encoding,
        first_line,
        record_limit: limit,
    })
}

/// These lines of a source, in UTF-8, by their numbers.
///
/// # Errors
/// `Missing`, `Denied` or `Unavailable` as the file system says.
pub(super) fn lines(source: &Source, contract: &Contract, wanted: &BTreeSet<u64>) -> Result<BTreeMap<u64, Vec<u8>>> {
    let failed = |cause: std::io::Error| io_error(&source.path(), &cause);
    let mut found = BTreeMap::new();
    let Some(last) = wanted.last() else {
        return Ok(found);
    };
    let mut reader = unpacked_bytes(source, None).map_err(failed)?;
    let mut encoding = contract.encoding;
    if needs_decoding(contract) {
        reader = Box::new(Decoded::new(reader, encoding));
        encoding = encoding_rs::UTF_8;
    }
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    for number in 1..=*last {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        if wanted.contains(&number) {
            let (text, _) = encoding.decode_without_bom_handling(&line);
            found.insert(number, text.trim_end().as_bytes().to_vec());
        }
    }
    Ok(found)
}

/// Catches the first record of a text.
#[derive(Default)]
struct First {
    fields: Option<Vec<Vec<u8>>>,
    line: usize,
    end: usize,
    broken: bool,
    text: Vec<u8>,
}

impl Records for First {
    fn record(&mut self, line: usize, whole: Span, fields: &[Span], side: &mut Vec<u8>) {
        if self.fields.is_none() && !self.broken {
            self.fields = Some(fields.iter().map(|span| span.of(&self.text, side).to_vec()).collect());
            (self.line, self.end) = (line, whole.end());
        }
    }
    fn broken(&mut self, _: usize, _: Span, _: Broken) {
        self.broken |= self.fields.is_none();
    }
}

/// The names in the first record, the bytes it takes, and its lines.
fn header(
    text: &[u8],
    shown: &str,
    dialect: &Dialect,
    encoding: &'static Encoding,
    limit: usize,
) -> Result<(Vec<String>, usize, u64)> {
    let mut first = First {
        text: text.to_vec(),
        ..First::default()
    };
    let mut side = Vec::new();
    Scanner::new(dialect, 0, limit).scan(text, &mut side, &mut first);
    let Some(fields) = first.fields else {
        if first.broken {
            return Err(fail(Kind::Input, "source_header_broken", &[&shown]));
        }
        return Ok((Vec::new(), text.len(), 0));
    };
    let names = fields.iter().map(|field| {
        let (name, _) = encoding.decode_without_bom_handling(field);
        name.trim().to_owned()
    });
    let line_end = memchr::memchr(b'\n', &text[first.end..]).map_or(text.len(), |at| first.end + at + 1);
    let lines = memchr::memchr_iter(b'\n', &text[..line_end]).count();
    Ok((names.collect(), line_end, lines as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: &'static Encoding, step: usize) -> Vec<u8> {
        struct Slowly<'a>(&'a [u8], usize);
        impl Read for Slowly<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
                let count = self.1.min(self.0.len()).min(buffer.len());
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut text = Vec::new();
        let mut reader = Decoded::new(Slowly(bytes, step), encoding);
        reader.read_to_end(&mut text).expect("no error");
        text
    }

    #[test]
    fn other_encodings_become_utf8_whatever_the_pieces() {
        let utf16: Vec<u8> = "\u{feff}编号,地点\n1,𠮷野家\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for step in [1, 2, 3, 5, 1000] {
            assert_eq!(
                decoded(&utf16, encoding_rs::UTF_16LE, step),
                "编号,地点\n1,𠮷野家\n".as_bytes()
            );
        }
        assert_eq!(decoded(b"\xb8g\xa4@|x\n", encoding_rs::BIG5, 1), "經一|x\n".as_bytes());
    }

    fn elements(text: &str) -> IoResult<String> {
        let mut out = String::new();
        Elements::new(text.as_bytes()).read_to_string(&mut out).map(|_| out)
    }

    #[test]
    fn the_elements_of_a_list_stand_on_lines_of_their_own() {
        let text = "[\n {\"a\": [1,\n2], \"b\": \"x],\\\"{y\"},\n {\"a\": {\"c\": 1}}\n]\n";
        let lines = elements(text).expect("a list");
        let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["{\"a\": [1, 2], \"b\": \"x],\\\"{y\"}", "{\"a\": {\"c\": 1}}"]);
        assert_eq!(elements("[]").expect("a list").trim(), "");
        assert!(elements("[{\"a\": 1}").is_err(), "a list that was cut");
        assert!(elements("").is_err());
    }

    #[test]
    fn what_is_no_character_stays_visible_as_such() {
        let text = decoded(b"a\xff,b\n", encoding_rs::BIG5, 2);
        assert!(std::str::from_utf8(&text).is_err() && text.contains(&UNDECODABLE));
    }
}
