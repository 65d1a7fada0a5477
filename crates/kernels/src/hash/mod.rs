//! Hashing: block checksums of shards, keys of rows.

pub mod blocks;
pub mod counter;
pub mod crc32c;
pub mod fold;

/// XXH3-128 (seed 0) of bytes: names of tasks, fingerprints of configuration.
#[must_use]
pub fn digest128(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}
