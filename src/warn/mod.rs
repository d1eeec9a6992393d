//! The life of a warning: what people did about it, in the city and in its counties.

mod action;
pub mod backtest;
pub mod call;
pub mod hint;
pub mod life;
pub mod replay;
pub mod table;
pub mod truth;

/// The folder of a site in which actions lie, until they are read.
pub const INBOX: &str = "inbox/warning_action";

pub use action::{Act, Action, Result as Outcome, lines, read};
