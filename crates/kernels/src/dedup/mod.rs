//! Deduplication.

pub mod exact;
pub mod keep;
pub mod minhash;
pub mod segments;
pub mod url;
pub mod verdicts;
