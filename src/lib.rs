//! Fenghuo (烽火): data-fusion analytics of a city police data centre and its county sub-centres.
//!
//! Places, times and processes are scored; people never are. This page is the table of contents,
//! lowest rank first; a module imports only from ranks below its own (docs/architecture.md).

pub mod message; // -1 the catalogue of everything said to people, zh and en

pub mod error; // 0  what can go wrong, and what the caller should do

pub mod config; // 1  settings as values, the site's files
pub mod place; // 1  cells, reference systems, distances, views
pub mod time; // 1  clock and calendar

pub mod contract; // 2  what a source promises, judged value by value
pub mod protect; // 2  tokens, lexicon, identifier patterns
pub mod stat; // 2  statistics on slices

pub mod func; // 3  SQL functions

pub mod city; // 3  the seeded synthetic city

pub mod lake; // 4  Delta tables, releases, leases

pub mod audit; // 5  who asked for what, and what left, in a chain

pub mod engine; // 6  query sessions, the taint walk

pub mod model; // 7  SELECTs in order, checked and built

pub mod ingest; // 8  source files to source tables
pub mod share; // 8  what leaves, through the gate
pub mod warn; // 8  what was done about a warning
pub mod workbook; // 8  Markdown with SQL becomes a page

pub mod pipeline; // 9  definition, plan, run, release
pub mod serve; // 9  the door for those who pull

pub mod cli; // 10  one thin file a command

pub use error::{Error, Result};
