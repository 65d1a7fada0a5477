//! The feed: from shards to the training loop.
//!
//! What comes when is a pure function of seed, configuration and step: [`permutation`] orders a dataset
//! without storing the order, [`mixture`] draws from several, [`order`] joins them, and [`plan`] cuts
//! batches, by length and cost in [`buckets`], which ranks only divide. [`dataset`] maps a finished run,
//! [`component`] is a run or a part of one by the values of a column ([`columns`]), [`gather`] copies one
//! batch out of it, [`loader`] does so in the background into the buffers of a [`pool`], and
//! [`state`] is what a resume needs. In [`live`] the samples come from a process that runs a pipeline meanwhile.

pub mod batch;
pub mod buckets;
pub mod codes;
pub mod columns;
pub mod component;
pub mod config;
pub mod dataset;
pub mod documents;
pub mod fields;
pub mod gather;
pub mod global_batch;
pub mod live;
pub mod loader;
pub(crate) mod manifest;
pub mod mapped;
pub mod masks;
pub mod mesh;
pub mod mixture;
pub mod order;
pub mod permutation;
pub mod plan;
pub mod pool;
pub mod prefetch;
pub mod shares;
pub mod shuffle;
pub mod state;
pub mod stats;
