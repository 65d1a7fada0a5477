//! napi-rs bindings of the Gristmill kernels.
//!
//! Converts, guards and delegates: types across, errors across as data, panics caught. No algorithm
//! lives here, and `src/kernels` is the only importer.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over by value")]
#![cfg_attr(
    test,
    allow(dead_code, clippy::allow_attributes, reason = "napi registers its functions in no test build")
)]

mod batch;
mod cache;
mod classifier;
mod columnar;
mod decontaminate;
mod dedup;
mod edits;
mod export;
mod expression;
mod feed;
mod feeder;
mod global;
mod groups;
mod guard;
mod hash;
mod items;
mod keys;
mod lock;
mod megatron;
mod megatron_read;
mod near_dedup;
mod packing;
mod pii;
mod quality;
mod readers;
mod removed;
mod removed_diff;
mod routed;
mod row_shards;
mod rows;
mod shard_file;
mod stats;
mod tabular;
mod text;
mod tokenizer;

/// Native memory is allocated by mimalloc: worker threads allocate and free batches on different
/// threads, where the system allocator keeps what was freed (measured as resident memory that never
/// falls between tasks).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Version of the kernels; part of every task's name.
#[napi_derive::napi]
pub fn kernel_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
