//! Contracts: what a source file promises, column by column, and how each value is judged.
//!
//! Pure: texts in, values and reasons out. Reading files and writing tables is ingest's work.

pub mod codes;
pub mod column;
pub mod dialect;
pub mod file;
pub mod kinds;
pub mod number;
mod reading;
pub mod resolve;
pub mod source_sql;
pub mod value;

pub use codes::CodeList;
pub use column::{Column, ColumnType, Protect};
pub use dialect::Dialect;
pub use kinds::{Complete, Conflict, Land, MessageObject, Pull, Resend, SourceFormat};
pub use resolve::{Contract, Counts, Known, Measure, Origin, contracts};
pub use value::{Reason, Value};
