//! Deduplication.

pub mod exact;
pub mod index;
pub mod keep;
pub mod minhash;
pub mod parts;
pub mod segments;
pub mod url;
pub mod verdicts;
