//! The global shuffle: rows are ordered by a seeded hash of their identity.
//!
//! A row's key depends on nothing but the seed and the row, so the order is the same for any split of the
//! work. Rows are cut into buckets by the key's upper bits (so buckets are in key order), and each bucket
//! is sorted in memory. Ties, which a 64-bit key makes rare, keep input order.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use arrow_array::Array;

use crate::batch::Batch;

/// Key of a row: XXH3-64 with `seed` over file, position and, where there is one, id (the children of a
/// chunked row differ by id alone). `scratch` is reused between calls.
#[must_use]
pub fn key(file: &str, position: u64, id: Option<&str>, seed: u64, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    scratch.extend_from_slice(file.as_bytes());
    scratch.push(0);
    scratch.extend_from_slice(&position.to_le_bytes());
    scratch.extend_from_slice(id.unwrap_or_default().as_bytes());
    xxh3_64_with_seed(scratch, seed)
}

/// Key of each row of a batch.
#[must_use]
pub fn keys(batch: &Batch, seed: u64) -> Vec<u64> {
    let mut scratch = Vec::with_capacity(128);
    let (position, id) = (batch.position(), batch.id());
    (0..batch.rows())
        .map(|row| {
            let id = id.is_valid(row).then(|| id.value(row));
            key(batch.file_of(row), position.value(row), id, seed, &mut scratch)
        })
        .collect()
}

/// The bucket of a key: buckets divide the range of keys evenly and are in key order.
#[must_use]
pub fn bucket(key: u64, buckets: u32) -> u32 {
    ((u128::from(key) * u128::from(buckets)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buckets_keep_the_order_of_keys(a in any::<u64>(), b in any::<u64>(), buckets in 1_u32..5000) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(bucket(low, buckets) <= bucket(high, buckets));
            prop_assert!(bucket(high, buckets) < buckets);
        }
    }
}
