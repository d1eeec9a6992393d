//! The only maker of query sessions: which tables are visible, which statements may run, with which
//! bounds. It does not know where tables come from.

mod fault;
pub mod lineage;
mod parameter;
pub mod session;
pub mod taint;
mod traps;
mod unnest;

pub use parameter::{Parameter, Parameters};
pub use session::{Bounds, Rows, Session, references};
pub use taint::{Class, Classes};
pub use traps::traps;
