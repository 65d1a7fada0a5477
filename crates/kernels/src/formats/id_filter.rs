//! `NNNNN.bloom`: which ids a shard may hold, for shards whose format has no such filter of its own.
//!
//! The bytes are those of a Bloom filter in a Parquet file (header, split blocks, XXH64), so that one reader,
//! [`bloom_may_hold`](super::parquet_read::bloom_may_hold), serves both.

use std::path::Path;

use arrow_array::StringArray;
use parquet::bloom_filter::Sbbf;

use crate::error::{KernelError, Result};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Share of the ids a shard does not hold that its filter lets pass.
const FALSE_POSITIVES: f64 = 0.01;
/// Ids a filter is made for, at least and at most: up to 8 MiB until it is folded to what it holds.
const IDS: (u64, u64) = (1 << 10, 1 << 22);

/// The filter of one shard under construction.
pub struct IdFilter {
    filter: Sbbf,
}

impl IdFilter {
    /// An empty filter for a shard of about so many rows; more are let in, at a higher share of false answers.
    ///
    /// # Errors
    /// `Internal` never: the share is one.
    pub fn new(rows: u64) -> Result<Self> {
        let filter = Sbbf::new_with_ndv_fpp(rows.clamp(IDS.0, IDS.1), FALSE_POSITIVES);
        Ok(Self { filter: filter.map_err(KernelError::internal)? })
    }

    /// Lets ids in.
    pub fn add(&mut self, ids: &StringArray) {
        for id in ids.iter().flatten() {
            self.filter.insert(id);
        }
    }

    /// Writes the filter, as small as its share of false answers allows.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self, path: impl AsRef<Path>) -> Result<FinishedFile> {
        self.filter.fold_to_target_fpp(FALSE_POSITIVES);
        let mut bytes = Vec::new();
        self.filter.write(&mut bytes).map_err(KernelError::internal)?;
        let mut file = ShardFile::create(path)?;
        file.append(&bytes)?;
        file.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::parquet_read::bloom_may_hold;

    #[test]
    fn every_id_passes_and_few_others() {
        let folder = std::env::temp_dir();
        // As made for, fewer by far, and more than made for.
        for (made_for, held) in [(5_000, 5_000), (1 << 22, 3), (1, 2_000)] {
            let path = folder.join(format!("gristmill-ids-{}-{held}.bloom", std::process::id()));
            let mut filter = IdFilter::new(made_for).unwrap();
            let ids = |range: std::ops::Range<u32>| range.map(|n| Some(format!("id-{n}"))).collect();
            filter.add(&ids(0..held / 2));
            filter.add(&ids(held / 2..held));
            let file = filter.finish(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert!((0..held).all(|n| bloom_may_hold(&bytes, &format!("id-{n}")).unwrap()));
            let passed = (0..10_000).filter(|n| bloom_may_hold(&bytes, &format!("no-{n}")).unwrap()).count();
            assert!(passed < if u64::from(held) > made_for.max(1024) { 2_000 } else { 200 }, "{passed}");
            assert!(file.bytes < 64 + u64::from(held) * 4, "{} bytes for {held} ids", file.bytes);
        }
    }
}
