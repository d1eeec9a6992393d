//! "The same rows": SHA-256 over the canonically sorted rows, whatever order they were written in.
//!
//! One definition for release digests, replay and tests. `ingested_at` is left out, because it says
//! when we looked and not what was there. A row is hashed in arrow's comparable row encoding; the
//! hashes are sorted, so that memory is 16 bytes a row.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

use crate::error::{Kind, Result, fail};

/// Columns that say when we looked.
const LEFT_OUT: [&str; 1] = ["ingested_at"];

/// Collects rows and ends in their digest.
#[derive(Debug)]
pub struct RowDigest {
    converter: RowConverter,
    columns: Vec<usize>,
    hashes: Vec<[u8; 16]>,
}

impl RowDigest {
    /// A digest of rows of `schema`.
    ///
    /// # Errors
    /// `Bug` where a column's type has no canonical encoding.
    pub fn new(schema: &Schema) -> Result<RowDigest> {
        let columns: Vec<usize> = (0..schema.fields().len())
            .filter(|at| !LEFT_OUT.contains(&schema.field(*at).name().as_str()))
            .collect();
        let fields = columns
            .iter()
            .map(|at| SortField::new(schema.field(*at).data_type().clone()))
            .collect();
        let converter =
            RowConverter::new(fields).map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?;
        Ok(RowDigest {
            converter,
            columns,
            hashes: Vec::new(),
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `Bug` where the batch is of another schema.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns: Vec<_> = self.columns.iter().map(|at| batch.column(*at).clone()).collect();
        let rows = self
            .converter
            .convert_columns(&columns)
            .map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?;
        self.hashes.extend(rows.iter().map(|row| {
            let mut short = [0u8; 16];
            short.copy_from_slice(&Sha256::digest(row.as_ref())[..16]);
            short
        }));
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The digest, 64 hexadecimal digits.
    pub fn finish(mut self) -> String {
        self.hashes.sort_unstable();
        let mut all = Sha256::new();
        for hash in &self.hashes {
            all.update(hash);
        }
        hex(&all.finalize())
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn digest(rows: &[(i64, &str, i64)], batches: usize) -> String {
        let batch = RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef,
            ),
            (
                "text",
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            ),
            (
                "ingested_at",
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
            ),
        ])
        .expect("a batch");
        let mut digest = RowDigest::new(&batch.schema()).expect("known types");
        let step = rows.len() / batches;
        for at in 0..batches {
            digest.update(&batch.slice(at * step, step)).expect("same schema");
        }
        digest.finish()
    }

    #[test]
    fn order_batches_and_the_time_of_looking_do_not_matter_but_every_row_does() {
        let one = digest(&[(1, "a", 5), (2, "b", 5), (2, "b", 5), (3, "", 5)], 1);
        assert_eq!(one, digest(&[(3, "", 9), (2, "b", 9), (1, "a", 9), (2, "b", 9)], 2));
        assert_ne!(one, digest(&[(1, "a", 5), (2, "b", 5), (3, "", 5), (3, "", 5)], 1));
    }
}
