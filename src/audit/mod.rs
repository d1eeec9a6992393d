//! The audit: who asked for what, what was decided, and what then left, in a chain that cannot be changed unseen.
//!
//! Every line begins with the SHA-256 of the line before it and of itself. `decided` is on the disk before the first
//! byte leaves, `ended` says what left. Checkpoints carry a MAC of the chain under the site's key and are kept apart;
//! the head of the chain goes out with every answer, so that those who pull are witnesses of it (Crosby and Wallach
//! 2009). Each month has a file of its own, which can be laid away after its time.

mod chain;
mod months;
mod record;
mod table;
mod verify;

pub use chain::{Chain, Decision, Entry, Head, Line};
pub use record::Audit;
pub use table::{batches, schema, table};
pub use verify::{Broken, Verdict, verify};
