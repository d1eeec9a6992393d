//! `bh_fdr(p DOUBLE) DOUBLE`
//!
//! The false discovery rate at which each test of the partition would be the last one kept: `bh_fdr(p) OVER (PARTITION BY
//! run)`, and those at or below 0.05 are kept. The partition must be just the tests that were made. A row without a
//! p-value, or with a number that is none, is NULL and not counted. Source: Benjamini and Hochberg 1995.
//!
//! ```sql
//! SELECT cell, bh_fdr(p) OVER () AS q FROM (VALUES ('a', 0.001), ('b', 0.04), ('c', 0.7)) AS t (cell, p)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::columns::{doubles, known};
use super::gathered::{Columns, Of};
use super::options::Options;
use super::partition::Whole;
use crate::stat::rates::discovery;

/// What is asked.
#[derive(Debug)]
pub(super) struct BhFdr;

impl Whole for BhFdr {
    const NAME: &'static str = "bh_fdr";
    const FORMS: &'static [Columns] = &[&[("p", Of::Number)]];

    fn options() -> Vec<&'static str> {
        Vec::new()
    }

    fn of(_options: &Options) -> Result<Self> {
        Ok(BhFdr)
    }

    fn returns() -> DataType {
        DataType::Float64
    }

    fn answer(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        Ok(doubles(discovery(&known(&columns[0]))))
    }
}
