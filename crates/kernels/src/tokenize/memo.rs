//! Ids of texts that came before, so that identical texts need not be tokenised again.
//!
//! Within a batch, a text is tokenised once: its ids are copied from the row that had it first. Over batches, the ids
//! of a text are kept when it comes the second time. Keeping them at once was measured to slow texts that never come
//! again by a tenth, since every one of them then passes through memory that no cache of the processor holds.
//!
//! There is one memo for a tokenizer in a process, whatever the number of workers. Texts are found by XXH3-128 of
//! their bytes, seeded with the rules; equal hashes are taken for equal texts. It holds two generations, each at most
//! half of the bound: what is used stays in the younger one, and when that is full, the older one is forgotten.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tokenizers::pipeline::PipelineToken;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::error::Result;

/// What a memo may take, in bytes.
const BOUND: usize = 32 << 20;
/// Parts that are locked apart, so that workers do not wait for each other.
const SHARDS: usize = 32;
const GENERATION: usize = BOUND / SHARDS / 2;
/// Texts with more ids are not kept: one would push many shorter ones out, and long texts repeat less.
const LONGEST: usize = GENERATION / 16 / size_of::<PipelineToken>();
/// Texts of which is known that they came once; a power of two. A newer one takes an older one's place.
const SEEN: usize = 1 << 17;
/// Bytes of a text's place in a table that is half full.
const PLACE: usize = 2 * size_of::<(u128, (u32, u32))>();

/// The hash of a text and of the rules it is tokenised by.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextHash(u128);

impl TextHash {
    pub(super) fn new(text: &str, rules: u64) -> Self {
        Self(xxh3_128_with_seed(text.as_bytes(), rules))
    }
}

#[derive(Default)]
struct Generation {
    places: FxHashMap<u128, (u32, u32)>,
    ids: Vec<PipelineToken>,
}

impl Generation {
    fn get(&self, hash: u128) -> Option<&[PipelineToken]> {
        let &(from, to) = self.places.get(&hash)?;
        self.ids.get(from as usize..to as usize)
    }

    fn bytes_with(&self, ids: usize) -> usize {
        (self.ids.len() + ids) * size_of::<PipelineToken>() + (self.places.len() + 1) * PLACE
    }

    fn clear(&mut self) {
        self.places.clear();
        self.ids.clear();
    }
}

#[derive(Default)]
struct Shard {
    young: Generation,
    old: Generation,
}

impl Shard {
    fn insert(&mut self, hash: u128, ids: &[PipelineToken]) {
        if self.young.bytes_with(ids.len()) > GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let from = self.young.ids.len();
        self.young.ids.extend_from_slice(ids);
        self.young.places.insert(hash, (from as u32, self.young.ids.len() as u32));
    }
}

/// Ids of texts by hash.
pub(super) struct Memo {
    shards: [Mutex<Shard>; SHARDS],
    /// The upper half of a text's hash, at the place that the lower half names.
    seen: Box<[AtomicU64]>,
}

impl Default for Memo {
    fn default() -> Self {
        Self { shards: Default::default(), seen: (0..SEEN).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Memo {
    /// Whether the text was met before; from now on it was.
    fn meet(&self, hash: TextHash) -> bool {
        let upper = (hash.0 >> 64) as u64;
        // Nothing is published by it: who misses another thread's mark tokenises once more.
        self.seen[hash.0 as usize % SEEN].swap(upper, Ordering::Relaxed) == upper
    }

    fn shard(&self, hash: TextHash) -> std::sync::MutexGuard<'_, Shard> {
        // The highest bits; the tables take the lowest.
        let index = (hash.0 >> 123) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the ids of a text that came before; false when it did not, or was forgotten.
    fn recall(&self, hash: TextHash, out: &mut Vec<PipelineToken>) -> bool {
        let mut shard = self.shard(hash);
        if let Some(ids) = shard.young.get(hash.0) {
            out.extend_from_slice(ids);
            return true;
        }
        let Some(ids) = shard.old.get(hash.0) else { return false };
        let from = out.len();
        out.extend_from_slice(ids);
        shard.insert(hash.0, &out[from..]);
        true
    }

    /// Keeps the ids of a text.
    fn keep(&self, hash: TextHash, ids: &[PipelineToken]) {
        if ids.len() <= LONGEST {
            self.shard(hash).insert(hash.0, ids);
        }
    }
}

/// The texts of one batch.
pub(super) struct Repeats<'a> {
    memo: &'a Memo,
    /// Where the ids of each text are in the batch's.
    rows: FxHashMap<u128, Range<usize>>,
}

impl<'a> Repeats<'a> {
    pub(super) fn new(memo: &'a Memo) -> Self {
        Self { memo, rows: FxHashMap::default() }
    }

    /// Appends the ids of a text to those of the batch, calling `make` where they are not known; false then.
    pub(super) fn append(
        &mut self,
        hash: TextHash,
        out: &mut Vec<PipelineToken>,
        make: impl FnOnce(&mut Vec<PipelineToken>) -> Result<()>,
    ) -> Result<bool> {
        let from = out.len();
        if let Some(row) = self.rows.get(&hash.0) {
            out.extend_from_within(row.clone());
            return Ok(true);
        }
        let met = self.memo.meet(hash);
        let known = met && self.memo.recall(hash, out);
        if !known {
            make(out)?;
            if met {
                self.memo.keep(hash, &out[from..]);
            }
        }
        self.rows.insert(hash.0, from..out.len());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(memo: &Memo) -> usize {
        let of = |generation: &Generation| generation.ids.len() * 4 + generation.places.len() * PLACE;
        memo.shards
            .iter()
            .map(|shard| shard.lock().unwrap())
            .map(|shard| of(&shard.young) + of(&shard.old))
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_recalled_is_what_was_kept(
            texts in prop::collection::vec((0..40_u32, 0..LONGEST + 2), 1..400),
        ) {
            let memo = Memo::default();
            for (text, length) in texts {
                // The ids follow from the text, as a tokenizer's do.
                let length = length * (text as usize + 1) / 40;
                let ids: Vec<PipelineToken> = (0..length as u32).map(|at| (at * 7 + text).into()).collect();
                let hash = TextHash::new(&format!("{text} {length}"), 0);
                let mut out = vec![PipelineToken::from(5_u32)];
                if memo.recall(hash, &mut out) {
                    prop_assert!(out[1..].iter().map(|id| id.id()).eq(ids.iter().map(|id| id.id())));
                } else {
                    prop_assert_eq!(out.len(), 1);
                    memo.keep(hash, &ids);
                    prop_assert_eq!(memo.recall(hash, &mut out), length <= LONGEST);
                }
                prop_assert!(bytes(&memo) <= BOUND);
            }
        }
    }

    #[test]
    fn a_text_is_made_once_in_a_batch_and_twice_in_all() {
        let memo = Memo::default();
        let mut made = 0;
        for batch in 0..4 {
            let (mut repeats, mut out) = (Repeats::new(&memo), Vec::new());
            for row in 0..3 {
                let known = repeats.append(TextHash::new("one", 0), &mut out, |out| {
                    made += 1;
                    out.push(7_u32.into());
                    Ok(())
                });
                assert_eq!(known.unwrap(), row > 0 || batch > 1);
            }
            assert_eq!(out.iter().map(|id| id.id()).collect::<Vec<_>>(), [7, 7, 7]);
        }
        assert_eq!(made, 2);
    }

    #[test]
    fn rules_are_kept_apart() {
        let memo = Memo::default();
        memo.keep(TextHash::new("one", 0), &[1_u32.into()]);
        assert!(!memo.recall(TextHash::new("one", 1), &mut Vec::new()));
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let memo = Memo::default();
        let (used, unused) = (TextHash(0), TextHash(1));
        memo.keep(used, &[1_u32.into()]);
        memo.keep(unused, &[2_u32.into()]);
        let ids = vec![PipelineToken::from(3_u32); LONGEST];
        for text in 0..64 {
            memo.keep(TextHash(2 + text), &ids); // all in the first shard
            assert!(memo.recall(used, &mut Vec::new()));
        }
        assert!(!memo.recall(unused, &mut Vec::new()));
    }
}
