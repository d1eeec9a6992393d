//! Ingest: source files → contract → protection → `source.*`, with every row accounted for.
//!
//! A file is one batch, named by SHA-256 over contract, origin and content, and stored once. Its
//! commits go reject → ingest → source, each with that name, so that a run after a kill completes
//! what is missing. read = accepted + duplicate + rejected, for every batch.

mod account;
pub mod arrival;
pub mod batch;
mod counts;
pub mod explain;
mod feed;
mod filter;
mod header;
mod history;
pub mod infer;
mod json;
mod kernel;
mod known;
mod late;
mod open;
mod plain;
pub mod progress;
mod resend;
mod rows;
mod scan;
pub mod tables;
mod task;
mod work;

pub use batch::{Ingest, Outcome, Report};
pub use explain::{Explained, explain};
pub use open::unpacked;
pub use progress::Progress;
