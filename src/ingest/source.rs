//! Records of a source file with the lines they start on. Fields stay as delivered bytes until a
//! column asks for them, so that a broken character is charged to its own field.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use encoding_rs::Encoding;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::contract::{Contract, Reason, SourceFormat};
use crate::error::{Result, io_error};
use crate::ingest::progress::Progress;
use crate::lake::digest::hex;

/// Reads and counts the bytes that went by.
struct Counted<R> {
    inner: R,
    progress: Option<Arc<Progress>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(progress) = &self.progress {
            progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }
}

const BUFFER_BYTES: usize = 1 << 18;

fn open(path: &Path, progress: Option<Arc<Progress>>) -> std::io::Result<Box<dyn Read + Send>> {
    let counted = Counted {
        inner: File::open(path)?,
        progress,
    };
    Ok(if path.extension().is_some_and(|ending| ending == "gz") {
        Box::new(MultiGzDecoder::new(counted))
    } else {
        Box::new(counted)
    })
}

/// The name of a batch: SHA-256 over contract, file name and content. 64 hexadecimal digits.
pub(super) fn batch_id(contract: &str, path: &Path) -> Result<String> {
    let failed = |cause: std::io::Error| io_error(path, &cause);
    let origin = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(format!("{contract}\n{origin}\n"));
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0u8; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..count]);
    }
}

/// Passes the rest of a line without keeping it.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (count, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(count);
        if done {
            return Ok(());
        }
    }
}

/// The records of a file.
pub(super) enum Source {
    /// Delimited text.
    Csv {
        reader: Box<csv::Reader<Box<dyn Read + Send>>>,
        record: csv::ByteRecord,
        width: usize,
        encoding: &'static Encoding,
    },
    /// One JSON object a line.
    Ndjson {
        reader: BufReader<Box<dyn Read + Send>>,
        line: u64,
        text: Vec<u8>,
        object: serde_json::Map<String, serde_json::Value>,
    },
}

/// What came next.
pub(super) enum Next {
    /// A record that starts on this line.
    Record(u64),
    /// A record that is none, with what was found.
    Bad(u64, Reason, String),
    /// No more.
    End,
}

impl Source {
    /// Opens a file and reads its header; the names are empty for NDJSON.
    pub(super) fn open(path: &Path, contract: &Contract, progress: Arc<Progress>) -> Result<(Source, Vec<String>)> {
        let failed = |cause: std::io::Error| io_error(path, &cause);
        let bytes = open(path, Some(progress)).map_err(failed)?;
        if contract.format == SourceFormat::Ndjson {
            let reader = BufReader::with_capacity(BUFFER_BYTES, bytes);
            return Ok((
                Source::Ndjson {
                    reader,
                    line: 0,
                    text: Vec::new(),
                    object: serde_json::Map::new(),
                },
                Vec::new(),
            ));
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(contract.delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        reader
            .read_byte_record(&mut record)
            .map_err(|cause| failed(cause.into()))?;
        let names = record
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let field = if at == 0 {
                    field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field)
                } else {
                    field
                };
                contract.encoding.decode_without_bom_handling(field).0.trim().to_owned()
            })
            .collect::<Vec<_>>();
        let width = names.len();
        Ok((
            Source::Csv {
                reader: Box::new(reader),
                record,
                width,
                encoding: contract.encoding,
            },
            names,
        ))
    }

    /// Moves to the next record.
    pub(super) fn advance(&mut self, path: &Path, limit: usize) -> Result<Next> {
        let failed = |cause: std::io::Error| io_error(path, &cause);
        match self {
            Source::Csv {
                reader, record, width, ..
            } => {
                if !reader.read_byte_record(record).map_err(|cause| failed(cause.into()))? {
                    return Ok(Next::End);
                }
                let line = record.position().map_or(0, csv::Position::line);
                if record.as_slice().len() > limit {
                    return Ok(Next::Bad(
                        line,
                        Reason::TooLarge,
                        format!("{} bytes", record.as_slice().len()),
                    ));
                }
                if record.len() != *width {
                    return Ok(Next::Bad(
                        line,
                        Reason::Ragged,
                        format!("{} fields, expected {width}", record.len()),
                    ));
                }
                Ok(Next::Record(line))
            }
            Source::Ndjson {
                reader,
                line,
                text,
                object,
            } => loop {
                text.clear();
                if reader
                    .by_ref()
                    .take(limit as u64 + 1)
                    .read_until(b'\n', text)
                    .map_err(failed)?
                    == 0
                {
                    return Ok(Next::End);
                }
                *line += 1;
                if text.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                if text.len() > limit {
                    skip_line(reader).map_err(failed)?;
                    return Ok(Next::Bad(*line, Reason::TooLarge, format!("over {limit} bytes")));
                }
                return Ok(match serde_json::from_slice(text) {
                    Ok(serde_json::Value::Object(found)) => {
                        *object = found;
                        Next::Record(*line)
                    }
                    Ok(_) => Next::Bad(*line, Reason::Json, "not an object".to_owned()),
                    Err(cause) => Next::Bad(*line, Reason::Json, format!("column {}", cause.column())),
                });
            },
        }
    }

    /// The text of a field: by position of the header, or by name in a JSON object.
    pub(super) fn field(&self, at: usize, name: &str) -> Result<Cow<'_, str>, Reason> {
        match self {
            Source::Csv { record, encoding, .. } => {
                let bytes = record.get(at).unwrap_or_default();
                if *encoding == encoding_rs::UTF_8 {
                    return std::str::from_utf8(bytes)
                        .map(Cow::Borrowed)
                        .map_err(|_| Reason::Undecodable);
                }
                encoding
                    .decode_without_bom_handling_and_without_replacement(bytes)
                    .ok_or(Reason::Undecodable)
            }
            Source::Ndjson { object, .. } => Ok(match object.get(name) {
                None | Some(serde_json::Value::Null) => Cow::Borrowed(""),
                // what lies inside passed no contract and no lexicon
                Some(serde_json::Value::Object(_) | serde_json::Value::Array(_)) => return Err(Reason::Type),
                Some(serde_json::Value::String(text)) => Cow::Borrowed(text),
                Some(other) => Cow::Owned(other.to_string()),
            }),
        }
    }

    /// The names in this record that a contract may not know; only JSON objects have their own.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        match self {
            Source::Csv { .. } => None,
            Source::Ndjson { object, .. } => Some(object.keys()),
        }
        .into_iter()
        .flatten()
    }

    /// The content of the record in parts, for its identity: fields keep their borders, and a line
    /// is the same with and without its end.
    pub(super) fn content(&self) -> Vec<&[u8]> {
        match self {
            Source::Csv { record, .. } => record.iter().collect(),
            Source::Ndjson { text, .. } => vec![text.trim_ascii()],
        }
    }
}
