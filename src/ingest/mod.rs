//! Ingest: source files → contract → protection → `source.*`, with every row accounted for.
//!
//! A file is one batch, named by SHA-256 over contract, origin and content, and stored once. Its
//! commits go reject → ingest → source, each with that name, so that a run after a kill completes
//! what is missing. read = accepted + duplicate + rejected, for every batch.

pub mod batch;
mod counts;
mod header;
pub mod progress;
mod rows;
mod source;
pub mod tables;

pub use batch::{Ingest, Outcome, Report};
pub use progress::Progress;
