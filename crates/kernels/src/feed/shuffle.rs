//! The order of one dataset in one epoch: as it lies, shuffled as a whole, or block by block.
//!
//! A block shuffle is for storage on which far-apart reads are dear. The dataset is cut into blocks of
//! samples that lie together; blocks come in random order, and within a group of some blocks samples are
//! shuffled. A reader so works on a group of stretches at a time, and what is near in the file can only
//! meet within a group. Like the whole shuffle it needs no memory that grows with the dataset.

use serde::{Deserialize, Serialize};

use super::permutation::{Permutation, derive};

/// How samples are ordered within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Shuffle {
    /// As they lie.
    None,
    /// Any order is as likely as any other.
    Full,
    /// Blocks in random order, samples shuffled within groups of blocks.
    Block {
        /// Samples of a block.
        block: u64,
        /// Blocks of a group.
        group: u64,
    },
}

/// The order of `length` samples in one epoch.
#[derive(Debug, Clone)]
pub struct EpochOrder {
    length: u64,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    None,
    Full(Permutation),
    Block(BlockOrder),
}

impl EpochOrder {
    /// The order that `key` names.
    #[must_use]
    pub fn new(shuffle: Shuffle, length: u64, key: u64) -> Self {
        let kind = match shuffle {
            Shuffle::None => Kind::None,
            Shuffle::Full => Kind::Full(Permutation::new(length, key)),
            Shuffle::Block { block, group } => {
                Kind::Block(BlockOrder::new(length, block.max(1), group.max(1), key))
            }
        };
        Self { length, kind }
    }

    /// The sample that comes at `position`, which must be below the length.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        debug_assert!(position < self.length);
        match &self.kind {
            Kind::None => position,
            Kind::Full(order) => order.at(position),
            Kind::Block(order) => order.at(position),
        }
    }
}

#[derive(Debug, Clone)]
struct BlockOrder {
    length: u64,
    block: u64,
    group: u64,
    key: u64,
    /// Order of the whole blocks.
    blocks: Permutation,
    whole: u64,
    /// The place among all blocks of the last, short one; past the end when there is none.
    short_at: u64,
}

impl BlockOrder {
    fn new(length: u64, block: u64, group: u64, key: u64) -> Self {
        let whole = length / block;
        let short_at = if length.is_multiple_of(block) { u64::MAX } else { derive(key, &[1]) % (whole + 1) };
        Self {
            length,
            block,
            group,
            key,
            blocks: Permutation::new(whole, derive(key, &[0])),
            whole,
            short_at,
        }
    }

    /// First position of the block that comes as number `place`.
    fn start(&self, place: u64) -> u64 {
        let start = place.saturating_mul(self.block);
        let start = if place > self.short_at { start - self.block + self.length % self.block } else { start };
        start.min(self.length)
    }

    /// The number of the block that holds a position.
    fn place(&self, position: u64) -> u64 {
        let short_start = self.short_at.saturating_mul(self.block);
        let short = self.length % self.block;
        if position < short_start {
            position / self.block
        } else if position < short_start + short {
            self.short_at
        } else {
            self.short_at + 1 + (position - short_start - short) / self.block
        }
    }

    fn at(&self, position: u64) -> u64 {
        let group = self.place(position) / self.group;
        let from = self.start(group * self.group);
        let to = self.start((group + 1).saturating_mul(self.group));
        let within = Permutation::new(to - from, derive(self.key, &[2, group]));
        let position = from + within.at(position - from);
        let place = self.place(position);
        let block = match place.cmp(&self.short_at) {
            std::cmp::Ordering::Less => self.blocks.at(place),
            std::cmp::Ordering::Equal => self.whole,
            std::cmp::Ordering::Greater => self.blocks.at(place - 1),
        };
        block * self.block + position - self.start(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(shuffle: Shuffle, length: u64, key: u64) -> Vec<u64> {
        let order = EpochOrder::new(shuffle, length, key);
        (0..length).map(|position| order.at(position)).collect()
    }

    proptest! {
        #[test]
        fn every_sample_comes_once(
            length in 1_u64..2000,
            block in 1_u64..100,
            group in 1_u64..20,
            key in any::<u64>(),
        ) {
            for shuffle in [Shuffle::None, Shuffle::Full, Shuffle::Block { block, group }] {
                let mut all = order(shuffle, length, key);
                all.sort_unstable();
                prop_assert!(all.iter().copied().eq(0..length));
            }
        }

        #[test]
        fn a_group_touches_no_more_than_its_blocks(
            length in 1_u64..2000,
            block in 1_u64..100,
            group in 1_u64..20,
            key in any::<u64>(),
        ) {
            let all = order(Shuffle::Block { block, group }, length, key);
            // A group is at most `group` blocks, and positions of one may straddle two groups.
            for positions in all.chunks((block * group) as usize) {
                let mut blocks: Vec<u64> = positions.iter().map(|sample| sample / block).collect();
                blocks.sort_unstable();
                blocks.dedup();
                prop_assert!(blocks.len() as u64 <= 3 * group);
            }
        }
    }

    /// How far batches differ from each other in a property that whole blocks share, as a multiple of what
    /// it would be with samples drawn at random: 1 is a perfect shuffle.
    fn unevenness(shuffle: Shuffle, block: u64, batch: usize) -> f64 {
        let property = |sample: u64| derive(9, &[sample / block]) as f64 / u64::MAX as f64;
        let means: Vec<f64> = order(shuffle, 1 << 18, 3)
            .chunks_exact(batch)
            .map(|batch| batch.iter().map(|&sample| property(sample)).sum::<f64>() / batch.len() as f64)
            .collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let variance = means.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / means.len() as f64;
        variance * batch as f64 * 12.0
    }

    /// A batch of a block shuffle draws from `group` blocks, so of what a block's samples share it sees
    /// `group` values and no more: batches differ by about 1 + batch / group times what they need to. This
    /// is what docs/feed.md states.
    #[test]
    fn the_quality_of_a_block_shuffle() {
        let (block, batch) = (64, 64);
        let full = unevenness(Shuffle::Full, block, batch);
        assert!((0.9..1.1).contains(&full), "{full}");
        for group in [4, 16, 64] {
            let got = unevenness(Shuffle::Block { block, group }, block, batch);
            let stated = 1.0 + batch as f64 / group as f64;
            assert!((0.75 * stated..1.25 * stated).contains(&got), "{group}: {got}, stated {stated}");
        }
        let none = unevenness(Shuffle::None, block, batch);
        assert!(none > 50.0, "{none}");
    }

    #[test]
    fn keys_name_orders() {
        for shuffle in [Shuffle::Full, Shuffle::Block { block: 10, group: 4 }] {
            assert_ne!(order(shuffle, 1000, 1), order(shuffle, 1000, 2));
            assert_eq!(order(shuffle, 1000, 1), order(shuffle, 1000, 1));
        }
    }
}
