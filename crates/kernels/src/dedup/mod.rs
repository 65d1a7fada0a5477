//! Deduplication.

pub mod exact;
