//! Counts of n-grams in bounded memory: exact while all different ones have room, else with a stated error.
//!
//! A table holds several lists (an n of a group each) that share one room. When it is full, the longest list is cut,
//! and then the one that is the longest now, until half of the room is free: a list keeps its most frequent n-grams,
//! and the count of the first that goes is taken off each that stays. So a count is never too high, and too low by no more than the sum
//! of what was taken off, which is the list's *error*; an n-gram that is not in a list did not occur more often than
//! that. This is the summary of Misra and Gries (1982) in the form that can be merged: Agarwal et al. 2012,
//! "Mergeable summaries", section 2; errors of merged lists add up.
//!
//! A list that never had to give way has the error 0 and all its counts are exact. What is in a table depends on the
//! n-grams and their order alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::hash::fold;

/// Bytes of the longest n-gram that is counted: what is longer (a file in base64 is one word) says nothing.
pub const MAX_NGRAM_BYTES: usize = 256;

/// Room of a table.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Different n-grams in all lists.
    pub entries: usize,
    /// Bytes of their texts.
    pub bytes: usize,
}

/// 24 bytes an entry, 4 to 16 of the index, and the text: about 70 MiB at most.
pub const ROOM: Room = Room { entries: 1 << 20, bytes: 32 << 20 };

/// Lists of n-grams that share a room.
#[derive(Debug)]
pub struct NgramTable {
    lists: Vec<NgramList>,
    room: Room,
    entries: usize,
    bytes: usize,
}

/// The n-grams of one group and n.
#[derive(Debug, Default)]
pub struct NgramList {
    /// Occurrences of all n-grams, those forgotten included.
    pub total: u64,
    /// By how much a count may be too low.
    pub error: u64,
    /// In the order in which they came.
    entries: Vec<Entry>,
    /// Entry plus one by hash, open addressing; 0 is empty.
    index: Vec<u32>,
    /// The n-grams one after the other.
    text: String,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    count: u64,
    start: u32,
    length: u16,
}

const SMALLEST_INDEX: usize = 16;
/// A cut takes one in so many n-grams at least. In most lists it takes all that occurred once, which are many more.
const LEAST_SHARE: usize = 16;

/// The hash of an n-gram from those of its words.
#[must_use]
pub fn hash_words(mut words: impl Iterator<Item = u64>) -> u64 {
    let first = words.next().unwrap_or_default();
    words.fold(first, fold::join)
}

/// The hash of an n-gram from its words, joined by spaces; words hold none.
#[must_use]
pub fn hash_of(ngram: &str) -> u64 {
    hash_words(ngram.split(' ').map(|word| fold::hash(word.as_bytes())))
}

impl NgramTable {
    /// A table of so many empty lists.
    #[must_use]
    pub fn new(lists: usize, room: Room) -> Self {
        let lists = (0..lists).map(|_| NgramList::default()).collect();
        Self { lists, room, entries: 0, bytes: 0 }
    }

    /// Adds an empty list.
    pub fn push(&mut self) {
        self.lists.push(NgramList::default());
    }

    /// The lists.
    pub fn lists(&self) -> &[NgramList] {
        &self.lists
    }

    /// Takes all lists out.
    pub fn take(&mut self) -> Vec<NgramList> {
        (self.entries, self.bytes) = (0, 0);
        std::mem::take(&mut self.lists)
    }

    /// Counts an n-gram.
    #[inline]
    pub fn count(&mut self, list: usize, hash: u64, ngram: &str) {
        self.lists[list].total += 1;
        self.add(list, hash, ngram, 1);
    }

    /// Takes up what was left out of a list that is being merged.
    pub fn absorb(&mut self, list: usize, total: u64, error: u64) {
        self.lists[list].total += total;
        self.lists[list].error += error;
    }

    /// Adds occurrences of an n-gram that are in the total already.
    #[inline]
    pub fn add(&mut self, list: usize, hash: u64, ngram: &str, count: u64) {
        if self.lists[list].add(hash, ngram, count) {
            self.entries += 1;
            self.bytes += ngram.len();
            if self.entries > self.room.entries || self.bytes > self.room.bytes {
                self.make_room();
            }
        }
    }

    /// Cuts the longest list by a little, again and again, until half of the room is free.
    #[cold]
    fn make_room(&mut self) {
        let lengths = self.lists.iter().enumerate().map(|(at, list)| (list.len(), Reverse(at)));
        let mut longest: BinaryHeap<_> = lengths.collect();
        while self.entries > self.room.entries / 2 || self.bytes > self.room.bytes / 2 {
            let Some((length, Reverse(at))) = longest.pop().filter(|(length, _)| *length > 0) else { return };
            let list = &mut self.lists[at];
            let bytes = list.text.len();
            list.cut(length - (length / LEAST_SHARE).max(1));
            self.entries -= length - list.len();
            self.bytes -= bytes - list.text.len();
            longest.push((list.len(), Reverse(at)));
        }
    }
}

impl NgramList {
    /// Different n-grams in the list.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The n-grams and their counts, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|entry| (self.ngram(entry), entry.count))
    }

    /// As [`NgramList::iter`], with the hashes.
    pub fn hashed(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.entries.iter().map(|entry| (self.ngram(entry), entry.hash, entry.count))
    }

    /// The most frequent n-grams, of equally frequent ones the first bytewise.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.iter().collect();
        let order = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
        if most < all.len() {
            all.select_nth_unstable_by(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all
    }

    fn ngram(&self, entry: &Entry) -> &str {
        &self.text[entry.start as usize..entry.start as usize + usize::from(entry.length)]
    }

    /// Adds occurrences; whether the n-gram is a new one.
    #[inline]
    fn add(&mut self, hash: u64, ngram: &str, count: u64) -> bool {
        if self.index.is_empty() {
            self.index.resize(SMALLEST_INDEX, 0);
        }
        let mask = self.index.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(at) = (self.index[slot] as usize).checked_sub(1) {
            let entry = self.entries[at];
            if entry.hash == hash && self.ngram(&entry) == ngram {
                self.entries[at].count += count;
                return false;
            }
            slot = (slot + 1) & mask;
        }
        let start = self.text.len() as u32;
        self.text.push_str(ngram);
        self.entries.push(Entry { hash, count, start, length: ngram.len() as u16 });
        self.index[slot] = self.entries.len() as u32;
        if self.entries.len() * 2 > self.index.len() {
            self.rebuild_index();
        }
        true
    }

    fn rebuild_index(&mut self) {
        let slots = (self.entries.len() * 4).next_power_of_two().max(SMALLEST_INDEX);
        self.index.clear();
        self.index.resize(slots, 0);
        for (entry, place) in self.entries.iter().zip(1_u32..) {
            let mut slot = entry.hash as usize & (slots - 1);
            while self.index[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.index[slot] = place;
        }
    }

    /// Forgets the least frequent n-grams until no more than so many are left.
    fn cut(&mut self, longest: usize) {
        if self.entries.len() <= longest {
            return;
        }
        let mut counts: Vec<u64> = self.entries.iter().map(|entry| entry.count).collect();
        let (_, &mut off, _) = counts.select_nth_unstable_by(longest, |a, b| b.cmp(a));
        let mut text = String::new();
        let before = std::mem::take(&mut self.text);
        self.entries.retain_mut(|entry| {
            if entry.count <= off {
                return false;
            }
            let start = text.len() as u32;
            text.push_str(&before[entry.start as usize..entry.start as usize + usize::from(entry.length)]);
            (entry.count, entry.start) = (entry.count - off, start);
            true
        });
        self.text = text;
        self.error += off;
        self.entries.shrink_to_fit();
        self.rebuild_index();
    }
}
