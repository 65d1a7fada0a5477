//! File formats: one file each; reading and writing of one format are named alike.

pub mod docs_table;
pub mod megatron;
pub mod npy;
pub mod parquet_footer;
pub mod parquet_write;
pub mod rechunk;
pub mod row_layout;
pub mod shard_file;
