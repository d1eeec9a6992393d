//! Parquet files as JSON lines.

use std::io::{Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::sync::Mutex;

use arrow::json::LineDelimitedWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::{Converted, Out, piped};
use crate::ingest::source::ReadSeek;

/// Rows turned at once: a dictionary can make a large text of every one of them.
const BATCH_ROWS: usize = 64;
/// Bytes of text made at once, about.
const BATCH_BYTES: usize = 1 << 20;

fn broken(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, cause.to_string())
}

/// One reader that is asked from several places, in turn.
struct Shared {
    reader: Mutex<Box<dyn ReadSeek>>,
    bytes: u64,
}

impl Shared {
    fn at(&self, start: u64, buffer: &mut [u8]) -> IoResult<usize> {
        let mut reader = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reader.seek(SeekFrom::Start(start))?;
        reader.read(buffer)
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.bytes
    }
}

/// The file from one place on.
struct From {
    shared: std::sync::Arc<Shared>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.shared.at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[derive(Clone)]
struct Chunks(std::sync::Arc<Shared>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = std::io::BufReader<From>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(std::io::BufReader::new(From {
            shared: self.0.clone(),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        // a footer that lies about lengths is refused before memory is taken for it
        if start.saturating_add(length as u64) > self.0.bytes {
            return Err(ParquetError::EOF("a range behind the end of the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        let mut from = From {
            shared: self.0.clone(),
            at: start,
        };
        from.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Opens a Parquet file; only columns that `wanted` names are read.
///
/// # Errors
/// `InvalidData` for what is no Parquet file.
pub(in crate::ingest) fn open(mut file: Box<dyn ReadSeek>, wanted: &dyn Fn(&str) -> bool) -> IoResult<Converted> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let shared = Shared {
        reader: Mutex::new(file),
        bytes,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(Chunks(std::sync::Arc::new(shared))).map_err(broken)?;
    let schema = builder.schema().clone();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let roots: Vec<usize> = (0..names.len()).filter(|at| wanted(&names[*at])).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(broken)?;
    let reader = piped(move |out: &mut Out| {
        for batch in batches {
            let batch = batch.map_err(broken)?;
            // of large rows fewer at once, so that the texts of them all never stand beside each other
            let step = (BATCH_ROWS * BATCH_BYTES / batch.get_array_memory_size().max(1)).clamp(1, BATCH_ROWS);
            for from in (0..batch.num_rows()).step_by(step) {
                let mut text = Vec::new();
                let mut writer = LineDelimitedWriter::new(&mut text);
                let rows = batch.slice(from, step.min(batch.num_rows() - from));
                writer.write(&rows).map_err(broken)?;
                writer.finish().map_err(broken)?;
                out.lines(&text)?;
            }
        }
        Ok(())
    });
    Ok(Converted {
        names,
        first_line: 1,
        reader,
    })
}
