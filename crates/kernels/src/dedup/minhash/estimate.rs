//! What a near-duplicate deduplication takes, before it runs.

use super::components::BUFFER_BYTES;
use super::keys::ENTRY_BYTES;

/// Candidates among ten rows: web corpora have two to four.
const CANDIDATES_OF_TEN: u64 = 3;
/// Of four keys of a candidate, those that another row has.
const SHARED_OF_FOUR: u64 = 3;
/// Bytes of a key with its row while a partition is sorted: a file's entry, and one in memory.
const SORTED_BYTES: u64 = ENTRY_BYTES as u64 + 16;

/// The size of a corpus.
#[derive(Debug, Clone, Copy)]
pub struct Corpus {
    /// Rows that reach the step.
    pub rows: u64,
    /// Bands of a signature.
    pub bands: u32,
    /// Partitions of the keys.
    pub partitions: u32,
}

/// An estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Most memory at a time, besides what a run always takes.
    pub memory_bytes: u64,
    /// Keys and buckets on disk. Shingle sets come on top: eight bytes a shingle of a candidate.
    pub disk_bytes: u64,
}

impl Estimate {
    /// Of a corpus, with so many partitions at work at a time.
    #[must_use]
    pub fn new(Corpus { rows, bands, partitions }: Corpus, workers: u32) -> Self {
        let keys = rows * u64::from(bands);
        let shared = keys * CANDIDATES_OF_TEN / 10 * SHARED_OF_FOUR / 4;
        let sorting = keys / u64::from(partitions.max(1)) * SORTED_BYTES * u64::from(workers);
        // A root and a size for each row, and buffers that double as they grow.
        let joining = rows * 8 + 2 * (shared * 4).min(BUFFER_BYTES as u64);
        // Buckets are written twice: by partition, and by group with each group's candidates.
        let buckets = shared * 4 * 5 / 4;
        let candidates = rows * CANDIDATES_OF_TEN / 10 * 8;
        Self {
            // One after the other, but allocators keep what was sorted in.
            memory_bytes: sorting + joining,
            disk_bytes: keys * ENTRY_BYTES as u64 + 2 * buckets + candidates,
        }
    }
}
