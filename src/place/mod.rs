//! Where things are: reference systems, H3 cells, metre grids, distances and fields of view.
//!
//! Pure functions over plain numbers, in degrees and metres. This module does not read files, does
//! not know Arrow or SQL, and does not guess a reference system: a source declares its own.

pub mod cell;
pub mod cell_cache;
pub mod crs;
pub mod distance;
pub mod polygon;
pub mod project;
pub mod suspect;
pub mod view;

mod shift;
