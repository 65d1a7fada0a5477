//! Repeated n-grams of words within one document, as datatrove 0.10.1 measures them
//! (`find_top_duplicate` and `find_all_duplicate` of `gopher_repetition_filter.py`).
//!
//! Counting every n-gram for nine values of n would touch a table nine times for each word. Instead:
//!
//! - An n-gram that occurs twice is made of shorter ones that occur twice. Only where all of these repeat is the
//!   next n looked at; after 2-grams that is a small part of ordinary text.
//! - Duplicate n-grams are compared with their words joined *without* separators, so word boundaries do not
//!   count and the rule above does not hold. But equal texts begin with equal bytes: a table over the first
//!   [`PREFIX`] bytes from each word on says where a longer n-gram can occur twice at all.
//!
//! Both only leave out what cannot repeat; the results are those of the plain loops, which the tests hold them against.
//!
//! A table tells keys apart, and a branch that looks for a key cannot be foreseen. Numbers by hash alone need no branch;
//! they say at least how often a key was there. That is enough to see which words a repeated n-gram can begin with, and
//! that the top n-gram of ordinary text is far below any limit.

use super::spans::Span;
use crate::hash::counter::Counter;
use crate::hash::fold;

/// Bytes of joined words that are compared first: four Han characters, two to three English words.
const PREFIX: usize = 12;
/// Numbers for each word: one word in so many has another's, at most.
const SPREAD: usize = 8;
/// A text of millions of words gets by with fewer.
const MOST_NUMBERS: usize = 1 << 24;
/// Bytes of a word that are copied at once.
const SHORT: usize = 16;

/// The words of one document, and tables that are reused for the next.
#[derive(Debug, Default)]
pub struct Ngrams {
    /// The bytes of all words one after the other, then zeros.
    joined: Vec<u8>,
    /// Where each word begins in `joined`, and the end of the last.
    starts: Vec<u32>,
    /// Code points before each word, and of all.
    characters: Vec<u32>,
    counter: Counter,
    /// How often hashes were there, at least, by some of their bits.
    numbers: Vec<u8>,
    /// Words from which on an n-gram may occur twice, with how often it occurs at most.
    repeated: Vec<(u32, u32)>,
    /// The n of those n-grams; 0 before they were looked for.
    counted: usize,
    /// Whether the `level`-gram from each word on occurs twice; not known for level 0.
    repeats: Vec<bool>,
    level: usize,
    /// Words from which on the first bytes occur twice; not known until they are asked for.
    candidates: Vec<u32>,
    has_candidates: bool,
    entries: Vec<u32>,
}

impl Ngrams {
    /// Takes the words of a document.
    pub fn load(&mut self, text: &str, words: &[Span]) {
        self.joined.clear();
        self.starts.clear();
        self.characters.clear();
        self.level = 0;
        self.counted = 0;
        self.has_candidates = false;
        let (ascii, bytes) = (text.is_ascii(), text.as_bytes());
        let mut characters = 0;
        for word in words {
            let (start, end) = (word.start as usize, word.end as usize);
            self.starts.push(self.joined.len() as u32);
            self.characters.push(characters);
            match bytes[start..].first_chunk::<SHORT>() {
                // A copy of a fixed size is one instruction.
                Some(short) if end - start <= SHORT => {
                    let length = self.joined.len() + end - start;
                    self.joined.extend_from_slice(short);
                    self.joined.truncate(length);
                }
                _ => self.joined.extend_from_slice(&bytes[start..end]),
            }
            characters += if ascii {
                word.end - word.start
            } else {
                bytes[start..end].iter().map(|&byte| u32::from(byte.cast_signed() >= -0x40)).sum()
            };
        }
        self.starts.push(self.joined.len() as u32);
        self.characters.push(characters);
        self.joined.extend_from_slice(&[0; PREFIX + 4]);
    }

    /// What [`Ngrams::top`] gives is at most this; `None` where it has to be asked. `shortest` is the smallest `n` that
    /// will be asked of this document. `words` are those that were loaded.
    pub fn top_at_most(&mut self, words: &[Span], n: usize, shortest: usize) -> Option<u64> {
        let grams = (words.len() + 1).checked_sub(n).filter(|&grams| grams > 0 && shortest > 0)?;
        if self.counted != shortest {
            self.count_ngrams(words, shortest);
        }
        let size = |at: usize| u64::from(self.characters[at + n] - self.characters[at] + n as u32 - 1);
        // Where none occurs twice, the first is the most frequent.
        let mut top = size(0);
        // An n-gram occurs no more often than what it begins with.
        for &(at, count) in self.repeated.iter().take_while(|&&(at, _)| (at as usize) < grams) {
            if count == u32::from(u8::MAX) {
                return None;
            }
            top = top.max(size(at as usize) * u64::from(count));
        }
        Some(top)
    }

    fn count_ngrams(&mut self, words: &[Span], n: usize) {
        let gram =
            |gram: &[Span]| gram[1..].iter().fold(gram[0].hash, |key, word| fold::join(key, word.hash));
        let slots = self.clear_numbers(words.len());
        self.entries.clear();
        for words in words.windows(n) {
            let slot = self.number(gram(words), slots);
            self.entries.push(slot);
        }
        self.repeated.clear();
        self.repeated.resize(self.entries.len(), (0, 0));
        let mut kept = 0;
        for (at, &slot) in self.entries.iter().enumerate() {
            let count = u32::from(self.numbers[slot as usize]);
            // Written whether it stays or not: a branch could not be foreseen.
            self.repeated[kept] = (at as u32, count);
            kept += usize::from(count > 1);
        }
        self.repeated.truncate(kept);
        self.counted = n;
    }

    /// Code points of the most frequent n-gram, its words joined by spaces, times its occurrences; of equally
    /// frequent ones the first. `None` when there are fewer than `n` words. `words` are those that were loaded.
    pub fn top(&mut self, words: &[Span], n: usize) -> Option<u64> {
        let grams = (words.len() + 1).checked_sub(n).filter(|&grams| grams > 0 && n > 0)?;
        let may_repeat = |known: &[bool], level: usize, at: usize| {
            level == 0 || known[at..=at + n - level].iter().all(|&repeats| repeats)
        };
        let level = if self.level < n { self.level } else { 0 };
        self.counter.reset(if level == 0 { grams } else { grams / 8 });
        self.entries.clear();
        for at in 0..grams {
            self.entries.push(if may_repeat(&self.repeats, level, at) {
                let rest = &words[at + 1..at + n];
                self.counter.add(rest.iter().fold(words[at].hash, |key, word| fold::join(key, word.hash)))
            } else {
                u32::MAX
            });
        }
        self.repeats.clear();
        let (mut first, mut most) = (0, 1);
        for (at, &entry) in self.entries.iter().enumerate() {
            let count = if entry == u32::MAX { 1 } else { self.counter.count(entry) };
            self.repeats.push(count > 1);
            if count > most {
                (first, most) = (at, count);
            }
        }
        self.level = n;
        let characters = self.characters[first + n] - self.characters[first] + (n as u32 - 1);
        Some(u64::from(characters) * u64::from(most))
    }

    /// Code points in n-grams, their words joined without separators, that occurred before; the words of one that
    /// did are skipped. `shortest` is the smallest `n` that will be asked of this document.
    pub fn duplicates(&mut self, n: usize, shortest: usize) -> u64 {
        let words = self.starts.len() - 1;
        if !self.has_candidates {
            self.find_candidates(shortest);
        }
        self.counter.reset(self.candidates.len());
        let (mut repeated, mut next) = (0, 0);
        for &at in &self.candidates {
            let at = at as usize;
            if at < next || at + n > words {
                continue;
            }
            let gram = &self.joined[self.starts[at] as usize..self.starts[at + n] as usize];
            if self.counter.seen(fold::hash(gram)) {
                repeated += u64::from(self.characters[at + n] - self.characters[at]);
                next = at + n;
            }
        }
        repeated
    }

    /// Words from which on an n-gram of `shortest` or more words may occur twice.
    fn find_candidates(&mut self, shortest: usize) {
        let words = self.starts.len() - 1;
        let slots = self.clear_numbers(words);
        self.entries.clear();
        for at in 0..words {
            let slot = self.number(self.prefix(at), slots);
            self.entries.push(slot);
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        candidates.resize(words, 0);
        let mut kept = 0;
        for (at, &slot) in self.entries.iter().enumerate() {
            candidates[kept] = at as u32;
            kept += usize::from(self.numbers[slot as usize] > 1 || self.is_short(at, shortest));
        }
        candidates.truncate(kept);
        // Some only share a number; a table tells them apart now that few are left.
        self.counter.reset(kept);
        self.entries.clear();
        for &at in &candidates {
            let entry = self.counter.add(self.prefix(at as usize));
            self.entries.push(entry);
        }
        let mut entries = self.entries.iter();
        candidates.retain(|&at| {
            let repeats = entries.next().is_some_and(|&entry| self.counter.count(entry) > 1);
            repeats || self.is_short(at as usize, shortest)
        });
        (self.candidates, self.has_candidates) = (candidates, true);
    }

    /// Whether an n-gram of `shortest` words from a word on has fewer bytes than are compared first.
    #[inline]
    fn is_short(&self, at: usize, shortest: usize) -> bool {
        let end = self.starts[(at + shortest).min(self.starts.len() - 1)];
        ((end - self.starts[at]) as usize) < PREFIX
    }

    /// Hash of the first bytes from a word on.
    #[inline]
    fn prefix(&self, at: usize) -> u64 {
        let start = self.starts[at] as usize;
        fold::hash(&self.joined[start..start + PREFIX])
    }

    /// Sets the numbers of so many keys to 0; returns how many numbers there are.
    fn clear_numbers(&mut self, keys: usize) -> usize {
        let slots = (keys * SPREAD).next_power_of_two().min(MOST_NUMBERS);
        self.numbers.clear();
        self.numbers.resize(slots, 0);
        slots
    }

    /// Counts a key; returns the place of its number, which stays at 255.
    #[inline]
    fn number(&mut self, key: u64, slots: usize) -> u32 {
        let slot = key as usize & (slots - 1);
        self.numbers[slot] = self.numbers[slot].saturating_add(1);
        slot as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::segment::{Han, Split, each_word};
    use proptest::prelude::*;

    fn spans(text: &str) -> Vec<Span> {
        let mut found = Vec::new();
        each_word(text, Split::Whitespace, Han::Guess, |word| {
            let hash = fold::hash(&text.as_bytes()[word.start..word.end]);
            found.push(Span { start: word.start as u32, end: word.end as u32, hash });
        });
        found
    }

    /// The loops of datatrove, word for word.
    fn plain_top(words: &[&str], n: usize) -> Option<u64> {
        let grams: Vec<String> = words.windows(n).map(|gram| gram.join(" ")).collect();
        let count = |gram: &String| grams.iter().filter(|other| *other == gram).count();
        let most = grams.iter().map(count).max()?;
        let first = grams.iter().find(|gram| count(gram) == most)?;
        Some((first.chars().count() * most) as u64)
    }

    fn plain_duplicates(words: &[&str], n: usize) -> u64 {
        let mut unique = std::collections::BTreeSet::new();
        let (mut repeated, mut at) = (0, 0);
        while at + n <= words.len() {
            let gram = words[at..at + n].concat();
            if unique.contains(&gram) {
                repeated += gram.chars().count() as u64;
                at += n;
            } else {
                unique.insert(gram);
                at += 1;
            }
        }
        repeated
    }

    #[test]
    fn a_repeated_phrase_is_found_at_every_length() {
        let text = "one two three four five six one two three four five six";
        let words = spans(text);
        let mut ngrams = Ngrams::default();
        ngrams.load(text, &words);
        assert_eq!(ngrams.top(&words, 2), Some(14));
        assert!(ngrams.top_at_most(&words, 3, 2).is_some_and(|most| (26..60).contains(&most)));
        assert_eq!(ngrams.top(&words, 13), None);
        assert_eq!(ngrams.duplicates(5, 5), 19);
        assert_eq!(ngrams.duplicates(6, 5), 22);
        assert_eq!(ngrams.duplicates(7, 5), 0);
    }

    proptest! {
        #[test]
        fn results_are_those_of_the_plain_loops(
            words in prop::collection::vec("[ab]{1,2}|1|11|é|漢字|twelve-bytes|many letters", 0..60),
            tops in prop::collection::vec(1_usize..5, 0..4),
            lengths in prop::collection::vec(1_usize..11, 0..4),
        ) {
            let text = words.join(" ");
            let words: Vec<&str> = text.split_whitespace().collect();
            let spans = spans(&text);
            let mut ngrams = Ngrams::default();
            ngrams.load("x", &[]);
            ngrams.load(&text, &spans);
            let smallest = tops.iter().copied().min().unwrap_or(1);
            for n in tops {
                let top = plain_top(&words, n);
                let most = ngrams.top_at_most(&spans, n, smallest);
                prop_assert!(most.is_none_or(|most| Some(most) >= top), "{:?} is not as much as {:?}", most, top);
                prop_assert_eq!(ngrams.top(&spans, n), top, "top {}", n);
            }
            let shortest = lengths.iter().copied().min().unwrap_or(1);
            for n in lengths {
                prop_assert_eq!(ngrams.duplicates(n, shortest), plain_duplicates(&words, n), "duplicates {}", n);
            }
        }
    }
}
