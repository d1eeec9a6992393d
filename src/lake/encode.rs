//! How rows become Parquet: the encoding of each column, and row groups made on any thread.
//!
//! Which encoding suits a column was measured (docs/benchmarks.md): instants as deltas, positions as
//! byte streams, random numbers as they are, everything else by dictionary. A row group is encoded
//! where its rows are, without the file it ends up in, so that workers need no order among themselves.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::error::{Kind, Result, fail};

/// Rows of one page: what a reader that knows the place of a value has to decode.
const PAGE_ROWS: usize = 20_000;
/// Bytes of a dictionary beyond which texts are written as they are.
const DICTIONARY_BYTES: usize = 256 << 10;
/// Rows below which a row group is packed by a codec without a working memory of its own: setting up
/// zstd for every column of a small group costs more than it saves.
const SMALL_ROWS: usize = 32_768;

/// What is known of a table's columns beyond their types.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Columns of random numbers, such as tokens: neither codec nor dictionary nor statistics help.
    pub random: Vec<String>,
    /// Columns whose texts hardly repeat.
    pub unique: Vec<String>,
}

/// The rows of a file in memory.
pub(super) fn rows<R: ChunkReader + 'static>(
    bytes: R,
) -> Result<impl Iterator<Item = Result<arrow::array::RecordBatch>>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(broken)?;
    Ok(reader.map(|batch| batch.map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))))
}

/// Encodes row groups of one table.
#[derive(Clone)]
pub struct Encoder {
    schema: SchemaRef,
    factory: Arc<ArrowRowGroupWriterFactory>,
    small: Arc<ArrowRowGroupWriterFactory>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// One row group, encoded.
#[derive(Debug)]
pub struct Encoded {
    chunks: Vec<ArrowColumnChunk>,
    /// Its rows.
    pub rows: u64,
}

fn broken(cause: ParquetError) -> crate::Error {
    fail(Kind::Bug, "batch_shape", &[]).because(cause)
}

/// The codec of row groups of the usual size.
fn dense() -> Result<Compression> {
    ZstdLevel::try_new(1).map(Compression::ZSTD).map_err(broken)
}

/// The properties of a table's files.
fn properties(schema: &Schema, layout: &Layout, codec: Compression) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("fenghuo ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_max_row_group_row_count(None);
    for field in schema.fields() {
        let path = || ColumnPath::from(field.name().as_str());
        let plain = |builder: parquet::file::properties::WriterPropertiesBuilder| {
            builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::PLAIN)
        };
        if layout.random.contains(field.name()) {
            builder = plain(builder)
                .set_column_compression(path(), Compression::UNCOMPRESSED)
                .set_column_statistics_enabled(path(), EnabledStatistics::None);
        } else if layout.unique.contains(field.name()) {
            builder = plain(builder).set_column_statistics_enabled(path(), EnabledStatistics::Chunk);
        } else if matches!(field.data_type(), DataType::Timestamp(_, _)) {
            builder = builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
        } else if matches!(field.name().as_str(), "lon" | "lat") && *field.data_type() == DataType::Float64 {
            builder = builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_statistics_enabled(path(), EnabledStatistics::Chunk);
        } else if field.name() == "source_line" {
            builder = builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path(), EnabledStatistics::Chunk);
        }
    }
    Ok(builder.build())
}

/// A writer of one file of the table; it shares schema and properties with the encoder.
pub(super) fn file(schema: &SchemaRef, layout: &Layout) -> Result<SerializedFileWriter<Vec<u8>>> {
    Ok(writer(schema, layout, dense()?)?.0)
}

fn writer(
    schema: &SchemaRef,
    layout: &Layout,
    codec: Compression,
) -> Result<(SerializedFileWriter<Vec<u8>>, ArrowRowGroupWriterFactory)> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties(schema, layout, codec)?)
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)
        .and_then(ArrowWriter::into_serialized_writer)
        .map_err(broken)
}

impl Encoder {
    /// An encoder of rows of `schema`.
    ///
    /// # Errors
    /// `Bug` for a type that Parquet lacks.
    pub(super) fn new(schema: SchemaRef, layout: &Layout) -> Result<Encoder> {
        let (_, factory) = writer(&schema, layout, dense()?)?;
        let (_, small) = writer(&schema, layout, Compression::LZ4_RAW)?;
        Ok(Encoder {
            schema,
            factory: Arc::new(factory),
            small: Arc::new(small),
        })
    }

    /// The columns of the arrays to encode: the table's without its partition column.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Encodes a row group of `rows` rows from slices of them, each an array a column.
    ///
    /// # Errors
    /// `Bug` where the arrays are not of the schema; whatever `slices` fails with.
    pub fn encode(&self, rows: usize, slices: impl IntoIterator<Item = Result<Vec<ArrayRef>>>) -> Result<Encoded> {
        let factory = if rows < SMALL_ROWS { &self.small } else { &self.factory };
        let mut writers = factory.create_column_writers(0).map_err(broken)?;
        let mut rows = 0;
        for slice in slices {
            let slice = slice?;
            rows += slice.first().map_or(0, |array| array.len() as u64);
            let mut leaves = writers.iter_mut();
            for (array, field) in slice.iter().zip(self.schema.fields()) {
                for leaf in compute_leaves(field, array).map_err(broken)? {
                    let writer = leaves.next().ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
                    writer.write(&leaf).map_err(broken)?;
                }
            }
        }
        let chunks = writers.into_iter().map(|writer| writer.close().map_err(broken));
        Ok(Encoded {
            chunks: chunks.collect::<Result<_>>()?,
            rows,
        })
    }
}

impl Encoded {
    /// Appends the row group to a file.
    pub(super) fn append_to(self, file: &mut SerializedFileWriter<Vec<u8>>) -> Result<()> {
        let mut group = file.next_row_group().map_err(broken)?;
        for chunk in self.chunks {
            chunk.append_to_row_group(&mut group).map_err(broken)?;
        }
        group.close().map_err(broken)?;
        Ok(())
    }
}
