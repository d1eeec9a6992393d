//! Contracts: what a source file promises, column by column, and how each value is judged.
//!
//! Pure: texts in, values and reasons out. Reading files and writing tables is ingest's work.

pub mod codes;
pub mod column;
pub mod file;
pub mod resolve;
pub mod value;

pub use codes::CodeList;
pub use column::{Column, ColumnType, Protect};
pub use resolve::{Contract, Counts, Known, Land, Measure, Origin, SourceFormat, contracts};
pub use value::{Reason, Value};
