//! Sampling a fixed number of rows: the rows with the smallest hashes of their identity.
//!
//! The hash is another one than the shuffle's, so that a sample's rows spread over all shuffle buckets.

use std::collections::BinaryHeap;

use arrow_array::Float64Array;
use arrow_buffer::BooleanBuffer;

use crate::batch::Batch;
use crate::error::Result;
use crate::order::shuffle;
use crate::removed::{Reason, RemovedLog};

/// Added to the seed: 2^64 divided by the golden ratio, an arbitrary odd number.
const SALT: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sample hash of each row.
#[must_use]
pub fn hashes(batch: &Batch, seed: u64) -> Vec<u64> {
    shuffle::keys(batch, seed.wrapping_add(SALT))
}

/// Collects the smallest hashes of a task's rows.
pub struct Smallest {
    count: usize,
    seed: u64,
    heap: BinaryHeap<u64>,
}

impl Smallest {
    /// Collects up to `count` hashes.
    #[must_use]
    pub fn new(count: usize, seed: u64) -> Self {
        Self { count, seed, heap: BinaryHeap::new() }
    }

    /// Adds the selected rows of a batch.
    pub fn add(&mut self, batch: &Batch) {
        for (row, hash) in hashes(batch, self.seed).into_iter().enumerate() {
            if !batch.is_kept(row) {
                continue;
            }
            if self.heap.len() < self.count {
                self.heap.push(hash);
            } else if self.heap.peek().is_some_and(|&largest| hash < largest) {
                self.heap.pop();
                self.heap.push(hash);
            }
        }
    }

    /// The hashes, rising.
    #[must_use]
    pub fn finish(self) -> Vec<u64> {
        self.heap.into_sorted_vec()
    }
}

/// Removes and records the rows whose hash is above `threshold`.
///
/// # Errors
/// `Internal` from the selection.
pub fn remove_above(
    batch: &mut Batch,
    seed: u64,
    threshold: u64,
    log: &mut RemovedLog,
    step: &str,
) -> Result<()> {
    let hashes = hashes(batch, seed);
    let keep: BooleanBuffer = hashes.iter().map(|&hash| hash <= threshold).collect();
    // As shares of the range of hashes: what a person can read.
    let share = |hash: u64| hash as f64 / 2_f64.powi(64);
    let values = Float64Array::from_iter_values(hashes.iter().map(|&hash| share(hash)));
    let reason = Reason { step, rule: "count", values: Some(&values), threshold: Some(share(threshold)) };
    log.remove(batch, &keep, reason)?;
    Ok(())
}
