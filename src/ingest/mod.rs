//! Ingest: source files → contract → protection → `source.*`, with every row accounted for.
//!
//! A file is one batch, named by SHA-256 over contract, origin and content, and stored once. Its
//! commits go reject → ingest → source, each with that name, so that a run after a kill completes
//! what is missing. read = accepted + duplicate + rejected, for every batch.

pub mod arrival;
pub mod batch;
mod counts;
pub mod explain;
mod feed;
mod filter;
mod header;
mod json;
mod kernel;
mod known;
mod open;
pub mod progress;
mod resend;
mod rows;
mod scan;
pub mod tables;
mod work;

pub use batch::{Ingest, Outcome, Report};
pub use explain::{Explained, explain};
pub use progress::Progress;
