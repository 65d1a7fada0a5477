//! Order of rows: spill files between stages, and the global shuffle.

pub mod bucket;
pub mod sample;
pub mod shuffle;
pub mod spill;
pub mod verdict;
