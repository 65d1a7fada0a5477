//! The n-grams of all items, and what a document shares with them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::words::{Word, each_word, mix};

/// Words of the shortest item that is looked for as a whole.
pub const LEAST_WORDS: usize = 8;
/// Base of the polynomial that makes one hash of those of an n-gram's words.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
/// Bits of the filter that most n-grams of a document do not pass.
const FILTER_BITS: u32 = 22;

/// One item of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its file, a place in [`Index::files`].
    pub file: u32,
    /// Its row in the file, from 0.
    pub row: u64,
    /// The field `id`, else file and row, joined by a colon.
    pub id: String,
    /// Different n-grams it has.
    ngrams: u32,
}

/// An item that is too short to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Name of its file.
    pub file: String,
    /// Its row in the file, from 0.
    pub row: u64,
    /// How many words it has.
    pub words: u64,
}

/// n-grams of items by hash.
pub struct Index {
    files: Vec<String>,
    items: Vec<Item>,
    unusable: Vec<Unusable>,
    /// Lengths of n-grams there are, in rising order.
    lengths: Vec<Length>,
    /// n-grams by hash; each a number.
    ngrams: FxHashMap<u64, u32>,
    /// The items that have an n-gram are `owners[starts[n]..starts[n + 1]]`.
    owners: Vec<u32>,
    starts: Vec<u32>,
    /// One bit for each hash there is.
    filter: Vec<u64>,
    content_hash: u128,
}

/// An n-gram of an item in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hit {
    ngram: u32,
    /// Bytes of the document.
    start: usize,
    end: usize,
}

/// What a document shares with the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contamination {
    /// The item with the largest share, the first of equals: a place in [`Index::items`].
    pub item: u32,
    /// Share of its n-grams that the document holds.
    pub share: f64,
    /// The first of them: bytes of the document.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

/// What is kept from document to document.
#[derive(Default)]
pub struct Scratch {
    /// The last words, as many as the longest n-gram has and one more; a power of two.
    ring: Vec<Word>,
    /// The rolling hash of each length.
    rolling: Vec<u64>,
    hits: Vec<Hit>,
    seen: FxHashSet<u32>,
    counts: FxHashMap<u32, u32>,
}

/// A length of n-grams.
#[derive(Debug, Clone, Copy)]
struct Length {
    words: usize,
    /// What the first word of an n-gram is multiplied with.
    highest: u64,
}

impl Length {
    fn new(words: usize) -> Self {
        Self { words, highest: (1..words).fold(1_u64, |power, _| power.wrapping_mul(BASE)) }
    }

    /// Moves a rolling hash on by a word; `left` is the word that falls out.
    #[inline]
    fn roll(self, rolling: u64, word: Word, left: Option<Word>) -> u64 {
        let rest = left.map_or(rolling, |left| rolling.wrapping_sub(left.hash.wrapping_mul(self.highest)));
        rest.wrapping_mul(BASE).wrapping_add(word.hash)
    }

    /// The hash of an n-gram; those of different lengths must not meet.
    #[inline]
    fn hash(self, rolling: u64) -> u64 {
        mix(rolling ^ self.words as u64)
    }
}

#[inline]
fn filter_place(hash: u64) -> (usize, u64) {
    let bit = hash >> (64 - FILTER_BITS);
    ((bit / 64) as usize, 1 << (bit % 64))
}

impl Index {
    /// Names of the benchmark files.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The items that are looked for.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items that are too short, in the order of the files.
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// XXH3-128 of the files, their names, the fields and the length of n-grams.
    pub fn content_hash(&self) -> u128 {
        self.content_hash
    }

    /// The item of which a document holds the largest share, if it holds anything of one.
    pub fn find(&self, text: &str, scratch: &mut Scratch) -> Option<Contamination> {
        self.look_up(text, scratch);
        let best = scratch.counts.iter().map(|(&item, &count)| (self.share(item, count), item));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let (share, item) = best?;
        let hit = scratch.hits.iter().find(|hit| self.owners_of(hit.ngram).contains(&item))?;
        Some(Contamination { item, share, start: hit.start, end: hit.end })
    }

    /// The stretches of a document that are n-grams of items of which it holds more than `threshold`, in order,
    /// each with its file.
    pub fn stretches(&self, text: &str, threshold: f64, scratch: &mut Scratch) -> Vec<(usize, usize, u32)> {
        self.look_up(text, scratch);
        let is_contaminated = |item: &u32| self.share(*item, scratch.counts[item]) > threshold;
        let stretch = |hit: &Hit| {
            let owner = self.owners_of(hit.ngram).iter().find(|item| is_contaminated(item))?;
            Some((hit.start, hit.end, self.items[*owner as usize].file))
        };
        let mut stretches: Vec<_> = scratch.hits.iter().filter_map(stretch).collect();
        stretches.sort_unstable();
        stretches
    }

    fn share(&self, item: u32, count: u32) -> f64 {
        f64::from(count) / f64::from(self.items[item as usize].ngrams)
    }

    fn owners_of(&self, ngram: u32) -> &[u32] {
        &self.owners[self.starts[ngram as usize] as usize..self.starts[ngram as usize + 1] as usize]
    }

    /// Finds all hits, in order of their ends, and counts the different n-grams of each item. However long the
    /// document is, only its last words are kept.
    fn look_up(&self, text: &str, scratch: &mut Scratch) {
        let Scratch { ring, rolling, hits, seen, counts } = scratch;
        hits.clear();
        seen.clear();
        counts.clear();
        rolling.clear();
        rolling.resize(self.lengths.len(), 0);
        let longest = self.lengths.last().map_or(0, |length| length.words);
        ring.resize((longest + 1).next_power_of_two(), Word::default());
        let mask = ring.len() - 1;
        let mut count = 0;
        each_word(text, |word| {
            ring[count & mask] = word;
            count += 1;
            for (length, rolling) in self.lengths.iter().zip(&mut *rolling) {
                let left = (count > length.words).then(|| ring[(count - 1 - length.words) & mask]);
                *rolling = length.roll(*rolling, word, left);
                if count < length.words {
                    continue;
                }
                let Some(ngram) = self.ngram(length.hash(*rolling)) else { continue };
                hits.push(Hit { ngram, start: ring[(count - length.words) & mask].start, end: word.end });
                if seen.insert(ngram) {
                    for &item in self.owners_of(ngram) {
                        *counts.entry(item).or_default() += 1;
                    }
                }
            }
        });
    }

    #[inline]
    fn ngram(&self, hash: u64) -> Option<u32> {
        let (block, bit) = filter_place(hash);
        if self.filter[block] & bit == 0 {
            return None;
        }
        self.ngrams.get(&hash).copied()
    }
}

/// An index that is being made.
pub(super) struct Builder {
    ngram: usize,
    files: Vec<String>,
    items: Vec<Item>,
    unusable: Vec<Unusable>,
    lengths: FxHashSet<usize>,
    ngrams: FxHashMap<u64, u32>,
    /// n-gram and item, once for each n-gram an item has.
    pairs: Vec<(u32, u32)>,
    words: Vec<Word>,
}

impl Builder {
    pub fn new(ngram: usize) -> Self {
        Self {
            ngram,
            files: Vec::new(),
            items: Vec::new(),
            unusable: Vec::new(),
            lengths: FxHashSet::default(),
            ngrams: FxHashMap::default(),
            pairs: Vec::new(),
            words: Vec::new(),
        }
    }

    pub fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// Adds an item of the file begun last.
    pub fn add(&mut self, text: &str, id: Option<String>, row: u64) {
        let words = &mut self.words;
        words.clear();
        each_word(text, |word| words.push(word));
        let file = self.files.len() - 1;
        let length = Length::new(words.len().min(self.ngram));
        if length.words < self.ngram.min(LEAST_WORDS) {
            let words = words.len() as u64;
            self.unusable.push(Unusable { file: self.files[file].clone(), row, words });
            return;
        }
        let item = self.items.len() as u32;
        let first_pair = self.pairs.len();
        let mut rolling = 0;
        for (at, &word) in words.iter().enumerate() {
            rolling = length.roll(rolling, word, at.checked_sub(length.words).map(|left| words[left]));
            if at + 1 >= length.words {
                let next = self.ngrams.len() as u32;
                self.pairs.push((*self.ngrams.entry(length.hash(rolling)).or_insert(next), item));
            }
        }
        self.pairs[first_pair..].sort_unstable();
        let mut distinct = self.pairs.split_off(first_pair);
        distinct.dedup();
        let id = id.unwrap_or_else(|| format!("{}:{row}", self.files[file]));
        self.items.push(Item { file: file as u32, row, id, ngrams: distinct.len() as u32 });
        self.pairs.append(&mut distinct);
        self.lengths.insert(length.words);
    }

    pub fn finish(mut self, content_hash: u128) -> Index {
        self.pairs.sort_unstable();
        let mut starts = vec![0_u32; self.ngrams.len() + 1];
        for (ngram, _) in &self.pairs {
            starts[*ngram as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for &hash in self.ngrams.keys() {
            let (block, bit) = filter_place(hash);
            filter[block] |= bit;
        }
        let mut lengths: Vec<Length> = self.lengths.into_iter().map(Length::new).collect();
        lengths.sort_unstable_by_key(|length| length.words);
        Index {
            files: self.files,
            items: self.items,
            unusable: self.unusable,
            lengths,
            ngrams: self.ngrams,
            owners: self.pairs.into_iter().map(|(_, item)| item).collect(),
            starts,
            filter,
            content_hash,
        }
    }
}
