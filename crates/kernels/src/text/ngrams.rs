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

use super::spans::Span;
use crate::hash::counter::Counter;
use crate::hash::fold;

/// Bytes of joined words that are compared first: four Han characters, two to three English words.
const PREFIX: usize = 12;

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
    /// Whether the `level`-gram from each word on occurs twice; not known for level 0.
    repeats: Vec<bool>,
    level: usize,
    /// Words from which on the first bytes occur twice; `None` until they are asked for.
    candidates: Option<Vec<u32>>,
    entries: Vec<u32>,
}

impl Ngrams {
    /// Takes the words of a document.
    pub fn load(&mut self, text: &str, words: &[Span]) {
        self.joined.clear();
        self.starts.clear();
        self.characters.clear();
        self.level = 0;
        self.candidates = None;
        let ascii = text.is_ascii();
        let mut characters = 0;
        for word in words {
            let bytes = &text.as_bytes()[word.start as usize..word.end as usize];
            self.starts.push(self.joined.len() as u32);
            self.characters.push(characters);
            self.joined.extend_from_slice(bytes);
            characters += if ascii {
                bytes.len() as u32
            } else {
                bytes.iter().map(|&byte| u32::from(byte.cast_signed() >= -0x40)).sum()
            };
        }
        self.starts.push(self.joined.len() as u32);
        self.characters.push(characters);
        self.joined.extend_from_slice(&[0; PREFIX + 4]);
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
        let candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None => self.find_candidates(shortest),
        };
        self.counter.reset(candidates.len());
        let (mut repeated, mut next) = (0, 0);
        for &at in &candidates {
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
        self.candidates = Some(candidates);
        repeated
    }

    /// Words from which on an n-gram of `shortest` or more words may occur twice.
    fn find_candidates(&mut self, shortest: usize) -> Vec<u32> {
        let words = self.starts.len() - 1;
        self.counter.reset(words);
        self.entries.clear();
        for &start in &self.starts[..words] {
            let start = start as usize;
            self.entries.push(self.counter.add(fold::hash(&self.joined[start..start + PREFIX])));
        }
        let is_short = |at: usize| {
            let end = self.starts[(at + shortest).min(words)];
            ((end - self.starts[at]) as usize) < PREFIX
        };
        (0..words)
            .filter(|&at| self.counter.count(self.entries[at]) > 1 || is_short(at))
            .map(|at| at as u32)
            .collect()
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
            for n in tops {
                prop_assert_eq!(ngrams.top(&spans, n), plain_top(&words, n), "top {}", n);
            }
            let shortest = lengths.iter().copied().min().unwrap_or(1);
            for n in lengths {
                prop_assert_eq!(ngrams.duplicates(n, shortest), plain_duplicates(&words, n), "duplicates {}", n);
            }
        }
    }
}
