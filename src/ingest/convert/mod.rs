//! Sources that are no text, as JSON lines: sheets, Parquet, boundaries, messages.
//!
//! Each becomes one JSON object a line and goes the way of every other source, so that contracts,
//! protection and the account hold for all of them alike. A line is a row of the source; a row that is
//! empty is an empty line. Nothing is written anywhere: lines pass through a small queue in memory.

mod columnar;
mod geo;
mod sheet;
mod viid;
mod workbook;

use std::io::{Error, ErrorKind, Read, Result};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::contract::{Contract, Reason, SourceFormat};
use crate::ingest::header::folded;
use crate::ingest::source::Source;
use crate::place::crs::Crs;

/// Bytes handed over at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait to be read.
const CHUNKS: usize = 4;
/// A place where every shifted system differs from the true one, degrees.
const REFERENCE: (f64, f64) = (117.2, 34.3);
/// Bytes of a .prj file that are looked at.
const MOST_PRJ: u64 = 64 << 10;
/// Begins a line that is a refusal, not a record; no JSON text begins with it.
pub(super) const REFUSED: u8 = b'!';

/// A source as JSON lines.
pub(super) struct Converted {
    /// Names of the fields; empty where every record brings its own.
    pub names: Vec<String>,
    /// Line of the source that the first line stands for.
    pub first_line: u64,
    /// The lines.
    pub reader: Box<dyn Read + Send>,
}

/// A source of a format that is no text; `None` for the others.
///
/// # Errors
/// `InvalidData` for what is not of the format, `FileTooLarge` for what is built to do harm, else as the
/// file system or the store says.
pub(super) fn open(source: &Source, contract: &Contract) -> Result<Option<Converted>> {
    let of_records = |reader| {
        Some(Converted {
            names: Vec::new(),
            first_line: 1,
            reader,
        })
    };
    Ok(match contract.format {
        // a page of a database comes as CSV
        SourceFormat::Csv | SourceFormat::Ndjson | SourceFormat::Json | SourceFormat::Postgres => None,
        SourceFormat::Xlsx => {
            let dialect = &contract.dialect;
            let names = dialect.names.clone();
            let sheet = sheet::open(source.seekable()?, contract.sheet.clone(), dialect.skip_lines, names)?;
            Some(sheet)
        }
        SourceFormat::Parquet => {
            let known: Vec<String> = contract.source_names().map(folded).collect();
            let wanted = |name: &str| known.contains(&folded(name));
            Some(columnar::open(source.seekable()?, &wanted)?)
        }
        SourceFormat::Geojson => {
            let reader = super::open::unpacked_bytes(source, None)?;
            of_records(piped(move |out| geo::geojson(reader, out)))
        }
        SourceFormat::Shapefile => {
            same_system(source, contract)?;
            let missing = || Error::new(ErrorKind::NotFound, "no .dbf beside the shapes");
            let mut dbf = source.sibling("dbf")?.ok_or_else(missing)?;
            let names = geo::names(&mut dbf, contract.encoding)?;
            std::io::Seek::rewind(&mut dbf)?;
            let shape = geo::Shape {
                shp: source.seekable()?,
                dbf,
                encoding: contract.encoding,
            };
            Some(Converted {
                names,
                first_line: 1,
                reader: piped(move |out| geo::shapefile(shape, out)),
            })
        }
        SourceFormat::Gat1400(object) => {
            let reader = super::open::unpacked_bytes(source, None)?;
            of_records(piped(move |out| viid::messages(reader, object, out)))
        }
    })
}

/// A source that is no text as JSON lines, where there is no contract yet; `None` for texts.
///
/// # Errors
/// As [`open`].
pub(super) fn sample(source: &Source) -> Result<Option<Box<dyn Read + Send>>> {
    Ok(match source.ending().as_str() {
        "xlsx" => Some(sheet::open(source.seekable()?, None, 0, None)?.reader),
        "parquet" => Some(columnar::open(source.seekable()?, &|_| true)?.reader),
        "geojson" => {
            let reader = super::open::unpacked_bytes(source, None)?;
            Some(piped(move |out| geo::geojson(reader, out)))
        }
        _ => None,
    })
}

/// Holds what a shapefile says of its reference system against the contract. Most say nothing, or
/// something that names no system; what is declared holds then.
fn same_system(source: &Source, contract: &Contract) -> Result<()> {
    let Some(prj) = source.sibling("prj")? else {
        return Ok(());
    };
    let mut text = Vec::new();
    prj.take(MOST_PRJ).read_to_end(&mut text)?;
    // what names a system is ASCII, whatever stands around it
    let said = geo::crs_of_prj(&String::from_utf8_lossy(&text));
    // degrees of WGS-84 and of CGCS2000 are the same numbers
    let degrees = |crs: Crs| (!crs.is_projected()).then(|| crs.to_wgs84(REFERENCE.0, REFERENCE.1));
    let same = |said: Crs| said == contract.crs || degrees(said).is_some() && degrees(said) == degrees(contract.crs);
    match said {
        Some(said) if Crs::parse(&said).is_ok_and(|said| !same(said)) => {
            let words = format!("its .prj says {said}, the contract says {}", contract.crs);
            Err(Error::new(ErrorKind::InvalidData, words))
        }
        _ => Ok(()),
    }
}

/// Where lines go.
pub(super) struct Out {
    sender: SyncSender<Result<Vec<u8>>>,
    chunk: Vec<u8>,
}

impl Out {
    /// One record.
    ///
    /// # Errors
    /// `BrokenPipe` where nobody reads any more.
    pub fn object(&mut self, object: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.chunk, object)?;
        self.end_line()
    }

    /// Whole lines, each with its end.
    ///
    /// # Errors
    /// `BrokenPipe` where nobody reads any more.
    pub fn lines(&mut self, lines: &[u8]) -> Result<()> {
        self.chunk.extend_from_slice(lines);
        if self.chunk.len() >= CHUNK_BYTES {
            return self.flush();
        }
        Ok(())
    }

    /// A row without values: it counts as a line and is no record.
    ///
    /// # Errors
    /// `BrokenPipe` where nobody reads any more.
    pub fn blank(&mut self) -> Result<()> {
        self.end_line()
    }

    /// A record that does not come in, why, and the name of what it holds.
    ///
    /// # Errors
    /// `BrokenPipe` where nobody reads any more.
    pub fn refuse(&mut self, why: Reason, what: &str) -> Result<()> {
        self.chunk.push(REFUSED);
        self.chunk.extend_from_slice(why.code().as_bytes());
        self.chunk.push(b' ');
        self.chunk.extend(what.bytes().filter(|byte| *byte != b'\n'));
        self.end_line()
    }

    fn end_line(&mut self) -> Result<()> {
        self.chunk.push(b'\n');
        if self.chunk.len() >= CHUNK_BYTES {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        self.sender
            .send(Ok(chunk))
            .map_err(|_| Error::from(ErrorKind::BrokenPipe))
    }
}

/// The other end of the queue.
struct Lines {
    receiver: Receiver<Result<Vec<u8>>>,
    chunk: Vec<u8>,
    handed: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.handed == self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => (self.chunk, self.handed) = (chunk?, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.handed);
        buffer[..count].copy_from_slice(&self.chunk[self.handed..self.handed + count]);
        self.handed += count;
        Ok(count)
    }
}

/// Runs `work` on a thread of its own and gives what it writes; the thread ends with the reader.
pub(super) fn piped(work: impl FnOnce(&mut Out) -> Result<()> + Send + 'static) -> Box<dyn Read + Send> {
    let (sender, receiver) = sync_channel(CHUNKS);
    std::thread::spawn(move || {
        let mut out = Out {
            sender,
            chunk: Vec::with_capacity(CHUNK_BYTES),
        };
        let outcome = work(&mut out).and_then(|()| out.flush());
        if let Err(cause) = outcome {
            // a reader that is gone hears of nothing, and needs not to
            drop(out.sender.send(Err(cause)));
        }
    });
    Box::new(Lines {
        receiver,
        chunk: Vec::new(),
        handed: 0,
    })
}

#[cfg(test)]
pub(super) fn lines_of(work: impl FnOnce(&mut Out) -> Result<()> + Send + 'static) -> Result<Vec<String>> {
    let mut text = String::new();
    piped(work).read_to_string(&mut text)?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_pass_in_order_and_an_error_ends_them() {
        let lines = lines_of(|out| {
            out.object(&serde_json::json!({"a": "x\ny"}))?;
            out.blank()?;
            out.refuse(Reason::Forbidden, "Face")
        });
        assert_eq!(
            lines.expect("lines"),
            ["{\"a\":\"x\\ny\"}", "", "!forbidden_object Face"]
        );
        let broken = lines_of(|out| {
            out.blank()?;
            Err(Error::new(ErrorKind::InvalidData, "no sheet"))
        });
        assert_eq!(broken.expect_err("an error").kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_reader_that_goes_ends_the_work() {
        let (sender, ended) = sync_channel(1);
        let mut reader = piped(move |out| {
            let outcome = (0..1_000_000).try_for_each(|n| out.object(&n));
            sender.send(outcome.is_err()).expect("somebody waits");
            Ok(())
        });
        reader.read_exact(&mut [0; 8]).expect("bytes");
        drop(reader);
        assert!(ended.recv().expect("the work ended"));
    }
}
