//! Hashing: block checksums of shards, keys of rows.

pub mod blocks;
