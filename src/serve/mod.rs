//! The door for those who pull: the read side of the Delta Sharing protocol, over TLS alone.
//!
//! Every request is recorded before it is answered and when its answer has ended (audit/). What a recipient may read
//! is decided by its token, its grants and the present release, never by the text it sends; files are named by the
//! digest of their bytes and found among those that the recipient may have. Nothing is filtered: a file leaves whole
//! or not at all.

mod answer;
pub mod bundle;
mod crowd;
mod door;
mod files;
mod json;
mod link;
mod network;
mod protocol;
mod state;

pub use door::{Parts, ROOT, Server, bind, listen, tls};
pub use state::Watched;
