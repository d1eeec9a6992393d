//! What leaves the city: shares, the gate that nothing small passes, and the attack that tries it.
//!
//! A share is a SELECT of `sql/share/` and a file of `pipelines/shares/` that says for whom, why and until when. Its
//! rows go into a table of their own, which holds nothing that its readers may not have.

pub mod attack;
pub mod bundle;
pub mod client;
pub mod definition;
pub mod desk;
pub mod gate;
pub mod memory;
mod nested;
pub mod offer;
pub mod profile;
pub mod publish;
pub mod recipient;
mod rows;

pub use attack::Attacked;
pub use definition::{Class, Share};
pub use publish::{Published, Publisher};
