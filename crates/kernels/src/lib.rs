//! Pure Rust kernels of Gristmill.
//!
//! Everything that touches bytes lives here: parsing, text, hashing, tokenising, packing and the hot
//! paths of formats. No binding types, no policy: thresholds, defaults and scheduling belong to the
//! TypeScript layers, and the seam to them is `crates/node`.

pub mod batch;
pub mod cache;
pub mod decontaminate;
pub mod dedup;
pub mod edits;
pub mod error;
pub mod export;
pub mod expr;
pub mod fasttext;
pub mod feed;
pub mod formats;
pub mod groups;
pub mod hash;
pub mod lock;
pub mod order;
pub mod pack;
pub mod pii;
pub mod quality;
pub mod reject;
pub mod removed;
pub mod removed_diff;
pub mod routed;
pub mod rows;
pub mod shared;
pub mod stats;
pub mod tabular;
#[cfg(test)]
mod test_folder;
pub mod text;
pub mod tokenize;

pub use batch::Batch;
pub use error::{KernelError, Result};
