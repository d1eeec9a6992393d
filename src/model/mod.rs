//! Models: one SELECT a file, its path is its table, its header says what one row is.
//!
//! The order is inferred from the tables each SELECT names. A model is refused, with its place,
//! when it breaks the grammar, the boundary (tokens, spatial products on anything but
//! `mart.citizen_alarm`), or the order.

pub mod boundary;
pub mod build;
pub mod check;
pub mod header;
pub mod lineage;
pub mod load;
pub mod pinned;
pub mod product;
pub mod spec;
pub mod window;

pub use build::{Builder, Built};
pub use check::Finding;
pub use header::{Check, Header};
pub use load::{Model, Models};
pub use product::Product;
