//! What an export knows of a shard it has written, while it runs and in `_export.json`.

use serde::{Deserialize, Serialize};

use crate::formats::sample_shard::{SampleShard, Stated};

/// A written shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Its name below `work/`, while the export runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scratch: String,
    /// Samples in it.
    pub samples: u64,
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 over the hashes of its blocks.
    pub checksum: String,
    /// XXH3-64 of each MiB block.
    pub blocks: String,
    /// What the format's index states of it, while the export runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Stated>,
    /// The same of what it decompresses to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Stated>,
}

impl ShardRecord {
    /// The record of a shard that was just written.
    pub fn new(scratch: String, samples: u64, shard: SampleShard) -> Self {
        let SampleShard { file, stated, raw } = shard;
        Self {
            scratch,
            samples,
            bytes: file.bytes,
            checksum: file.checksum,
            blocks: file.blocks,
            stated,
            raw,
        }
    }
}
