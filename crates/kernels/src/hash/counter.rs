//! Counts of hashes within one document: an open-addressing table that is reused for the next.

/// How often each key was added; keys are hashes that are mixed already, as those of [`super::fold`].
///
/// The index holds 4 bytes a slot and points into dense entries in the order in which keys were first seen, so
/// that the table of an ordinary document stays in the first-level cache and emptying it costs little.
#[derive(Debug, Default)]
pub struct Counter {
    /// Entry plus one; 0 is empty.
    index: Vec<u32>,
    keys: Vec<u64>,
    counts: Vec<u32>,
}

const SMALLEST: usize = 64;
/// Expected keys beyond this are not made room for in advance: a long text repeats its words.
const LARGEST_EXPECTED: usize = 1 << 15;

impl Counter {
    /// Forgets all keys and makes room for about `expected`.
    pub fn reset(&mut self, expected: usize) {
        let slots = (expected.min(LARGEST_EXPECTED) * 2).next_power_of_two().max(SMALLEST);
        self.index.clear();
        self.index.resize(slots, 0);
        self.keys.clear();
        self.counts.clear();
    }

    /// Counts a key; returns its entry.
    #[inline]
    pub fn add(&mut self, key: u64) -> u32 {
        let mask = self.index.len() - 1;
        let mut slot = key as usize & mask;
        loop {
            let entry = self.index[slot];
            if entry == 0 {
                return self.insert(slot, key);
            }
            if self.keys[entry as usize - 1] == key {
                self.counts[entry as usize - 1] += 1;
                return entry - 1;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Counts a key; whether it was there already.
    #[inline]
    pub fn seen(&mut self, key: u64) -> bool {
        let entry = self.add(key);
        self.counts[entry as usize] > 1
    }

    /// How often the key of an entry was added.
    #[inline]
    pub fn count(&self, entry: u32) -> u32 {
        self.counts[entry as usize]
    }

    fn insert(&mut self, slot: usize, key: u64) -> u32 {
        self.keys.push(key);
        self.counts.push(1);
        let entry = self.keys.len() as u32;
        self.index[slot] = entry;
        if self.keys.len() * 2 > self.index.len() {
            self.grow();
        }
        entry - 1
    }

    fn grow(&mut self) {
        let slots = self.index.len() * 2;
        self.index.clear();
        self.index.resize(slots, 0);
        for (entry, &key) in (1_u32..).zip(&self.keys) {
            let mut slot = key as usize & (slots - 1);
            while self.index[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.index[slot] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_agree_with_a_map(keys in prop::collection::vec(0_u64..200, 0..400), spread in 0_u32..60, expected in 0_usize..300) {
            let mut counter = Counter::default();
            for _ in 0..2 {
                counter.reset(expected);
                let mut map = rustc_hash::FxHashMap::<u64, u32>::default();
                let entries: Vec<u32> = keys.iter().map(|key| counter.add(key << spread)).collect();
                for key in &keys {
                    *map.entry(key << spread).or_default() += 1;
                }
                for (key, entry) in keys.iter().zip(entries) {
                    prop_assert_eq!(counter.count(entry), map[&(key << spread)]);
                }
            }
        }
    }
}
