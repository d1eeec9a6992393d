//! Ingest: source files → contract → protection → `source.*`, with every row accounted for.
//!
//! A file is one batch, named by SHA-256 over contract, origin and content, and stored once. Its
//! commits go reject → ingest → source, each with that name, so that a run after a kill completes
//! what is missing. read = accepted + duplicate + rejected, for every batch.

mod account;
mod archive;
pub mod arrival;
pub mod batch;
mod cells;
mod conflict;
mod convert;
mod counts;
pub mod explain;
mod feed;
mod filter;
mod header;
mod history;
mod index;
pub mod infer;
mod json;
mod kernel;
mod known;
mod late;
mod lines;
mod open;
mod plain;
pub mod progress;
mod pull;
mod resend;
mod rows;
mod scan;
mod source;
mod span;
pub mod tables;
mod task;
mod work;

pub use account::{Outcome, Report};
pub use batch::Ingest;
pub use explain::{Explained, explain};
pub use open::head;
pub use progress::Progress;
pub use source::{Looked, Source};

/// The files in a ZIP archive; `None` for a source that is none.
///
/// # Errors
/// `Input` or `Limit` for an archive that is broken or built to do harm.
pub fn sources_in(source: &Source) -> crate::error::Result<Option<Vec<Source>>> {
    if source.ending() == "zip" {
        return archive::members(source).map(Some);
    }
    Ok(None)
}
