//! File formats: one file each; reading and writing of one format are named alike.

pub mod decompress;
pub mod jsonl;
pub mod parquet_write;
pub mod records;
pub mod shard_file;
