//! The conductor: a definition becomes a plan, a plan becomes a run, a run becomes a release.
//!
//! Order inside a run: ingest → build → check → release → workbooks. A failed model or
//! check holds its branch; what fails after the release never withdraws it.

pub mod backfill;
mod build;
pub mod changes;
pub mod definition;
pub mod dirt;
pub mod environment;
pub mod erase;
pub mod files;
mod intake;
pub mod leftovers;
pub mod notice;
pub mod notify;
pub mod openlineage;
pub mod pages;
pub mod plan;
pub mod pull;
pub mod purge;
pub mod record;
pub mod renew;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod upkeep;
pub mod waiver;
mod warn;

pub use definition::Definition;
pub use plan::{Plan, Reason};
pub use run::{Outcome, Request, Run, Watch};
