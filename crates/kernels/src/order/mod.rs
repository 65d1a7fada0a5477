//! Order of rows: spill files between stages, and the global shuffle.

pub mod bucket;
pub mod shuffle;
pub mod spill;
