//! File formats: one file each; reading and writing of one format are named alike.

pub mod parquet_footer;
pub mod parquet_write;
pub mod shard_file;
