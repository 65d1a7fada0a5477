//! File formats: one file each; reading and writing of one format are named alike.

pub mod arrow_read;
pub mod arrow_write;
pub mod columnar;
pub mod csv_read;
pub mod decompress;
pub mod docs_table;
pub mod id_filter;
pub mod json_value;
pub mod jsonl;
pub mod jsonl_write;
pub mod megatron;
pub mod npy;
pub mod parquet_footer;
pub mod parquet_prune;
pub mod parquet_read;
pub mod parquet_write;
pub mod rechunk;
pub mod records;
pub mod row_layout;
pub mod row_shards;
pub mod shard_file;
pub mod text_read;
pub mod untrusted;
pub mod zstd_frames;
