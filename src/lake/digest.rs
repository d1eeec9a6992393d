//! "The same rows": the sum of the SHA-256 of every row, whatever order they were written in.
//!
//! One definition for release digests, replay and tests. `ingested_at` is left out, because it says
//! when we looked and not what was there. A row is hashed in arrow's comparable row encoding; hashes
//! are added in four words of 64 bits, so that rows can leave the sum as they came, and a table of which
//! one day is exchanged need not be read as a whole (an incremental multiset hash: Clarke et al.,
//! Asiacrypt 2003; it tells accidents apart, not forgeries).

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::error::{Kind, Result, fail};

/// Columns that say when we looked.
const LEFT_OUT: [&str; 1] = ["ingested_at"];

/// Collects rows and ends in their digest.
#[derive(Debug)]
pub struct RowDigest {
    converter: RowConverter,
    columns: Vec<usize>,
    sums: [u64; 4],
    rows: u64,
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
            sums: [0; 4],
            rows: 0,
        })
    }

    /// Goes on from the digest of so many rows; `None` for a text that is none.
    #[must_use]
    pub fn starting_at(mut self, digest: &str, rows: u64) -> Option<RowDigest> {
        if digest.len() != 64 || !digest.is_ascii() {
            return None;
        }
        for (at, sum) in self.sums.iter_mut().enumerate() {
            *sum = u64::from_str_radix(&digest[16 * at..16 * (at + 1)], 16).ok()?;
        }
        self.rows = rows;
        Some(self)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `Bug` where the batch is of another schema.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        self.each(batch, u64::wrapping_add)
    }

    /// Takes rows out that were added before.
    ///
    /// # Errors
    /// As [`RowDigest::update`].
    pub fn forget(&mut self, batch: &RecordBatch) -> Result<()> {
        self.each(batch, u64::wrapping_sub)
    }

    fn each(&mut self, batch: &RecordBatch, add: fn(u64, u64) -> u64) -> Result<()> {
        let columns: Vec<_> = self.columns.iter().map(|at| batch.column(*at).clone()).collect();
        let rows = self
            .converter
            .convert_columns(&columns)
            .map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?;
        self.rows = add(self.rows, batch.num_rows() as u64);
        for row in &rows {
            let hash = Sha256::digest(row.as_ref());
            for (sum, word) in self.sums.iter_mut().zip(hash.as_chunks::<8>().0) {
                *sum = add(*sum, u64::from_be_bytes(*word));
            }
        }
        Ok(())
    }

    /// Adds the rows of another digest of the same columns.
    fn join(&mut self, other: &RowDigest) {
        self.rows += other.rows;
        for (sum, word) in self.sums.iter_mut().zip(other.sums) {
            *sum = sum.wrapping_add(word);
        }
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest, 64 hexadecimal digits.
    pub fn finish(&self) -> String {
        self.sums.iter().map(|sum| format!("{sum:016x}")).collect()
    }
}

/// Rows of one part of a running digest.
const PART_ROWS: usize = 65_536;
/// Parts that are under way at once.
const PARTS: usize = 2;

/// A digest that threads compute while rows go on: a sum has no order.
#[derive(Debug)]
pub struct RunningDigest {
    schema: SchemaRef,
    all: RowDigest,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    parts: VecDeque<JoinHandle<Result<RowDigest>>>,
}

impl RunningDigest {
    /// Goes on from a digest of rows of `schema`.
    pub fn new(schema: SchemaRef, from: RowDigest) -> RunningDigest {
        RunningDigest {
            schema,
            all: from,
            waiting: Vec::new(),
            waiting_rows: 0,
            parts: VecDeque::new(),
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `Bug` where the batch is of another schema.
    pub async fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        self.waiting.push(batch.clone());
        self.waiting_rows += batch.num_rows();
        if self.waiting_rows < PART_ROWS {
            return Ok(());
        }
        if self.parts.len() >= PARTS {
            self.join().await?;
        }
        self.begin();
        Ok(())
    }

    fn begin(&mut self) {
        let (schema, waiting) = (self.schema.clone(), std::mem::take(&mut self.waiting));
        self.waiting_rows = 0;
        self.parts.push_back(tokio::task::spawn_blocking(move || {
            let mut part = RowDigest::new(&schema)?;
            waiting.iter().try_for_each(|batch| part.update(batch))?;
            Ok(part)
        }));
    }

    async fn join(&mut self) -> Result<()> {
        if let Some(part) = self.parts.pop_front() {
            let part = part
                .await
                .map_err(|cause| fail(Kind::Bug, "digest_type", &[]).because(cause))?;
            self.all.join(&part?);
        }
        Ok(())
    }

    /// The digest of all rows.
    ///
    /// # Errors
    /// As [`RunningDigest::update`].
    pub async fn finish(mut self) -> Result<RowDigest> {
        self.begin();
        while !self.parts.is_empty() {
            self.join().await?;
        }
        Ok(self.all)
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len().div_ceil(2)).map(|at| text.get(2 * at..2 * at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
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
    fn rows_leave_as_they_came() {
        let rows = |ids: &[i64]| {
            let ids = Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
            RecordBatch::try_from_iter([("n", ids)]).expect("a batch")
        };
        let new = || RowDigest::new(&rows(&[]).schema()).expect("known types");
        let (mut all, mut some) = (new(), new());
        all.update(&rows(&[1, 2, 2, 3])).expect("same schema");
        some.update(&rows(&[2, 3])).expect("same schema");
        let mut shrunk = new().starting_at(&all.finish(), all.rows()).expect("a digest");
        shrunk.forget(&rows(&[1, 2])).expect("same schema");
        assert_eq!((shrunk.finish(), shrunk.rows()), (some.finish(), 2));
        assert!(new().starting_at("0", 0).is_none());
    }

    #[test]
    fn order_batches_and_the_time_of_looking_do_not_matter_but_every_row_does() {
        let one = digest(&[(1, "a", 5), (2, "b", 5), (2, "b", 5), (3, "", 5)], 1);
        assert_eq!(one, digest(&[(3, "", 9), (2, "b", 9), (1, "a", 9), (2, "b", 9)], 2));
        assert_ne!(one, digest(&[(1, "a", 5), (2, "b", 5), (3, "", 5), (3, "", 5)], 1));
    }
}
