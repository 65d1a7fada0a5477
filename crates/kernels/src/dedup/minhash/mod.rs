//! Near-duplicates: documents whose sets of shingles overlap, found by `MinHash` and confirmed by counting.
//!
//! A document is the set of its shingles, and two documents are alike as far as the Jaccard similarity of
//! their sets, |A ∩ B| / |A ∪ B|, reaches a threshold (Broder 1997, "On the resemblance and containment of
//! documents"). Comparing all pairs is out of the question, so (Leskovec, Rajaraman and Ullman, "Mining of
//! Massive Datasets", chapter 3) each document gets a signature of minima under many permutations, the
//! signature is cut into bands, and documents that agree in a whole band are candidates. Candidates are
//! then compared by the true Jaccard similarity of their sets, so that bands need only recall.
//!
//! The files, in the order rows meet them:
//!
//! 1. [`simplify`], [`shingles`], [`signature`], [`bands`]: from text to band keys. [`keys`] writes them,
//!    cut into partitions by key, beside the spill.
//! 2. [`buckets`]: one partition of every task's keys gives the sets of rows that share a key.
//! 3. [`components`]: buckets joined over all partitions; each component belongs to one group.
//! 4. [`sets`]: each task reads its spill again and writes the shingle sets of rows that are candidates.
//! 5. [`cluster`]: one group, decided: who stays, who goes, and because of whom.

pub mod bands;
pub mod buckets;
pub mod cluster;
pub mod components;
pub mod estimate;
pub mod keys;
pub mod sets;
pub mod shingles;
pub mod signature;
pub mod simplify;

use serde::{Deserialize, Serialize};

use crate::dedup::keep::Keep;

/// What a shingle is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Words: what white space separates; in scripts written without spaces each character is one.
    Word,
    /// Characters (code points).
    Char,
}

/// What is done to a text before it is cut into shingles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Normalize {
    /// Only runs of white space become single spaces.
    None,
    /// As datatrove's `simplify_text`; see [`simplify`].
    Datatrove,
}

/// How a text becomes a set of shingles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShingleOptions {
    /// What a shingle is made of.
    pub shingle: Unit,
    /// How many of them make one, at least 1. A shorter text is one shingle, an empty one none.
    pub size: u32,
    /// What comes before.
    pub normalize: Normalize,
}

/// How a cluster forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clustering {
    /// A row goes only if a row that stays is similar enough to it.
    Greedy,
    /// A row goes if a chain of similar rows leads to the one that stays.
    Transitive,
}

/// A near-duplicate deduplication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinhashOptions {
    /// How texts become shingles.
    #[serde(flatten)]
    pub shingles: ShingleOptions,
    /// Similarity from which rows are duplicates.
    pub threshold: f64,
    /// Bands of the signature.
    pub bands: u32,
    /// Minima in a band.
    pub rows: u32,
    /// Which row stays.
    pub keep: Keep,
    /// How clusters form.
    pub cluster: Clustering,
}
