//! Protection: keyed tokens, the forbidden-field lexicon, identifier patterns, suppression of small counts.
//!
//! Pure: keys arrive as bytes, texts as slices. Nothing here can be switched off by a query.

pub mod lexicon;
pub mod mac;
mod numbers;
pub mod scan;
pub mod suppress;

pub use mac::{MacKey, Renewal, Seal, SiteKey, TokenClass};
