//! The dictionary of a model: its words and labels, and which rows of the input matrix a word stands for.
//!
//! A known word has a row of its own; every word, known or not, has the rows of its character n-grams, found
//! by hash. Quantised models keep a part of those rows only (pruning).

use std::io::Read;
use std::ops::Range;

use super::source::{Source, unusable};
use crate::error::Result;

/// What fastText reads at the end of a line; ends the text where it is written out.
pub(super) const END_OF_LINE: &[u8] = b"</s>";
/// What a label starts with. fastText does not store another prefix chosen in training.
pub(super) const LABEL_PREFIX: &str = "__label__";
/// An empty place of the hash table.
const EMPTY: u32 = u32::MAX;
/// Bytes of a long word whose n-grams are found at a time.
const PIECE_BYTES: usize = 1 << 12;

/// A piece of a word, with its brackets, the buckets of its n-grams and their rows; kept from word to word.
#[derive(Default)]
pub(super) struct Piece {
    bracketed: Vec<u8>,
    buckets: Vec<u32>,
    rows: Vec<u32>,
}

/// The settings of training that prediction needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct NgramSettings {
    /// Words of the longest word n-gram.
    pub words: usize,
    /// Characters of the shortest and the longest n-gram of a word.
    pub shortest: usize,
    pub longest: usize,
    /// n-grams are hashed into so many rows.
    pub buckets: u32,
}

/// What a token of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word,
    /// Labels in a text are skipped.
    Label,
    EndOfLine,
}

pub(super) struct Dictionary {
    words: u32,
    labels: Vec<String>,
    /// How often each label occurred in training.
    label_counts: Vec<i64>,
    /// All words and labels one after the other, and where each ends.
    spellings: Vec<u8>,
    ends: Vec<usize>,
    /// Words and labels by hash, with their hashes; open addressing.
    table: Vec<(u32, u32)>,
    /// Bytes of the longest of them.
    longest: usize,
    ngrams: NgramSettings,
    buckets: Divisor,
    pruned: Option<Pruned>,
    /// The rows of the kept n-grams in the file, until [`Dictionary::take_rows`].
    pruned_rows: Vec<u32>,
}

/// Remainders of division by one number, without dividing (Lemire, Kaser and Kurz 2019, arXiv:1902.01961).
struct Divisor {
    divisor: u32,
    inverse: u64,
}

impl Divisor {
    fn new(divisor: u32) -> Self {
        Self { divisor, inverse: (u64::MAX / u64::from(divisor.max(1))).wrapping_add(1) }
    }

    #[inline]
    fn remainder(&self, value: u32) -> u32 {
        let fraction = self.inverse.wrapping_mul(u64::from(value));
        ((u128::from(fraction) * u128::from(self.divisor)) >> 64) as u32
    }
}

/// FNV-1a as fastText computes it: bytes are signed, so those from 0x80 flip the upper bits too.
#[inline]
pub(super) fn hash_byte(hash: u32, byte: u8) -> u32 {
    (hash ^ i32::from(byte.cast_signed()).cast_unsigned()).wrapping_mul(16_777_619)
}

const HASH_START: u32 = 2_166_136_261;

#[inline]
pub(super) fn hash_word(word: &[u8]) -> u32 {
    word.iter().fold(HASH_START, |hash, &byte| hash_byte(hash, byte))
}

/// Which buckets a pruned model kept, and their rows: a bitmap with counts, since most are asked for in vain
/// and the bitmap of two million buckets fits a core's own cache.
struct Pruned {
    /// A bit for each bucket that is there.
    bits: Vec<u64>,
    /// For every 64 buckets, the row of the first that is there; the others follow.
    before: Vec<u32>,
}

impl Pruned {
    /// The buckets, and the rows that the file has for them in their order. `words` rows come before them.
    fn new(mut pairs: Vec<(u32, u32)>, words: u32, buckets: u32) -> (Self, Vec<u32>) {
        // The last one counts where a bucket occurs twice, as in fastText's map.
        pairs.reverse();
        pairs.sort_by_key(|&(bucket, _)| bucket);
        pairs.dedup_by_key(|pair| pair.0);
        let mut bits = vec![0_u64; buckets as usize / 64 + 1];
        for &(bucket, _) in &pairs {
            bits[bucket as usize / 64] |= 1 << (bucket % 64);
        }
        let before = bits.iter().scan(words, |before, block| {
            *before += block.count_ones();
            Some(*before - block.count_ones())
        });
        (Self { before: before.collect(), bits }, pairs.into_iter().map(|(_, row)| row).collect())
    }

    #[inline]
    fn has(&self, bucket: u32) -> bool {
        self.bits[bucket as usize / 64] >> (bucket % 64) & 1 != 0
    }

    /// The row of a bucket that is there.
    #[inline]
    fn row(&self, bucket: u32) -> u32 {
        let block = bucket as usize / 64;
        let lower = self.bits[block] & ((1 << (bucket % 64)) - 1);
        self.before[block] + lower.count_ones()
    }

    /// Adds the rows of the buckets that are there. Whether one is cannot be foreseen, so nothing branches on it: the
    /// look-ups of many n-grams, which wait for memory, go on side by side.
    fn add_rows(&self, buckets: &[u32], rows: &mut Vec<u32>) {
        let first = rows.len();
        rows.resize(first + buckets.len(), 0);
        let (mut kept, found) = (0, &mut rows[first..]);
        for &bucket in buckets {
            found[kept] = bucket;
            kept += usize::from(self.has(bucket));
        }
        for bucket in &mut found[..kept] {
            *bucket = self.row(*bucket);
        }
        rows.truncate(first + kept);
    }
}

impl Dictionary {
    pub fn read<R: Read>(source: &mut Source<R>, ngrams: NgramSettings) -> Result<Self> {
        let entries = source.count("the number of words and labels")?;
        let words = source.count("the number of words")?;
        let labels = source.count("the number of labels")?;
        source.i64("the number of tokens")?;
        let pruned = source.i64("the number of kept n-grams")?;
        if words + labels != entries {
            return Err(unusable(format!(
                "the file is damaged: {words} words and {labels} labels are not {entries} entries"
            )));
        }
        if labels == 0 {
            return Err(unusable("the model has no labels"));
        }
        source.expect(entries as u64, 10, "the dictionary")?;
        let (mut spellings, mut ends) = (Vec::new(), Vec::with_capacity(entries));
        let mut label_counts = Vec::with_capacity(labels);
        for entry in 0..entries {
            source.until_zero(&mut spellings, "the dictionary")?;
            ends.push(spellings.len());
            let count = source.i64("the dictionary")?;
            let is_label = source.flag("the kind of an entry")?;
            if is_label != (entry >= words) {
                return Err(unusable("the file is damaged: words and labels are not in order"));
            }
            if is_label {
                label_counts.push(count);
            }
        }
        let pruned = match u64::try_from(pruned) {
            Err(_) => None,
            Ok(count) => Some(read_pruned(source, count, words, ngrams)?),
        };
        let (pruned, pruned_rows) = pruned.unzip();
        let mut dictionary = Self {
            words: words as u32,
            labels: Vec::new(),
            label_counts,
            spellings,
            ends,
            table: Vec::new(),
            longest: 0,
            ngrams,
            buckets: Divisor::new(ngrams.buckets),
            pruned,
            pruned_rows: pruned_rows.unwrap_or_default(),
        };
        dictionary.labels = (words..entries).map(|entry| dictionary.label_name(entry)).collect();
        dictionary.index();
        Ok(dictionary)
    }

    fn label_name(&self, entry: usize) -> String {
        let spelling = String::from_utf8_lossy(self.spelling(entry));
        spelling.strip_prefix(LABEL_PREFIX).unwrap_or(&spelling).to_owned()
    }

    fn spelling(&self, entry: usize) -> &[u8] {
        let start = if entry == 0 { 0 } else { self.ends[entry - 1] };
        &self.spellings[start..self.ends[entry]]
    }

    fn index(&mut self) {
        self.table = vec![(0, EMPTY); (self.ends.len() * 2).next_power_of_two()];
        for entry in 0..self.ends.len() {
            self.longest = self.longest.max(self.spelling(entry).len());
            let hash = hash_word(self.spelling(entry));
            let place = self.place(self.spelling(entry), hash);
            // The last one counts where a word occurs twice, as in fastText's table.
            self.table[place] = (hash, entry as u32);
        }
    }

    /// Where a spelling is in the table, or the empty place where it would be.
    fn place(&self, spelling: &[u8], hash: u32) -> usize {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let (known, entry) = self.table[place];
            if entry == EMPTY || (known == hash && self.spelling(entry as usize) == spelling) {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    pub fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    pub fn is_pruned(&self) -> bool {
        self.pruned.is_some()
    }

    /// Rows of the file's matrix that words and n-grams may point at.
    pub fn rows(&self) -> u64 {
        let ngrams = match &self.pruned {
            None => self.ngrams.buckets,
            Some(_) => self.pruned_rows.iter().max().map_or(0, |row| row - self.words + 1),
        };
        u64::from(self.words) + u64::from(ngrams)
    }

    /// For a pruned model: how many rows stay where they are, and which follow them, so that the row of an n-gram is
    /// its place among those that were kept.
    pub fn take_rows(&mut self) -> Option<(usize, Vec<u32>)> {
        self.pruned.is_some().then(|| (self.words as usize, std::mem::take(&mut self.pruned_rows)))
    }

    pub fn word_ngrams(&self) -> usize {
        self.ngrams.words
    }

    /// Bytes of the longest word; of longer ones nobody needs the hash for [`Dictionary::features`].
    pub fn longest_word(&self) -> usize {
        self.longest
    }

    /// Calls `each` with the rows of a word, in pieces: a text without white space is one word. `hash` is the
    /// word's.
    pub fn features(&self, word: &[u8], hash: u32, piece: &mut Piece, mut each: impl FnMut(&[u32])) -> Token {
        let (token, row) = self.whole(word, hash);
        each(row.as_slice());
        if token != Token::Word || self.ngrams.longest == 0 {
            return token;
        }
        let length = word.len() + 2;
        // Far enough that the longest n-gram of a piece is whole; a character has at most four bytes.
        let reach = 4 * (self.ngrams.longest + 1);
        let Piece { bracketed, buckets, rows } = piece;
        for start in (0..length).step_by(PIECE_BYTES) {
            let end = length.min(start + PIECE_BYTES);
            // A byte before, so that only the first bracket is at the front.
            let from = start.saturating_sub(1);
            let to = length.min(end + reach);
            bracketed.clear();
            buckets.clear();
            rows.clear();
            if from == 0 {
                bracketed.push(b'<');
            }
            bracketed.extend_from_slice(&word[from.max(1) - 1..to.min(length - 1) - 1]);
            if to == length {
                bracketed.push(b'>');
            }
            self.ngrams_of(bracketed, start - from..end - from, buckets);
            match &self.pruned {
                None => rows.extend(buckets.iter().map(|bucket| self.words + bucket)),
                Some(pruned) => pruned.add_rows(buckets, rows),
            }
            each(rows);
        }
        token
    }

    /// What a token is and, for a known word, its own row.
    fn whole(&self, word: &[u8], hash: u32) -> (Token, Option<u32>) {
        let found = if word.len() > self.longest { EMPTY } else { self.table[self.place(word, hash)].1 };
        let row = (found < self.words).then_some(found);
        let token = if word == END_OF_LINE {
            Token::EndOfLine
        } else if row.is_none() && (found != EMPTY || word.starts_with(LABEL_PREFIX.as_bytes())) {
            Token::Label
        } else {
            Token::Word
        };
        (token, row)
    }

    /// Adds the buckets of the character n-grams of `<word>` that begin at the bytes `starts`. Characters are what
    /// UTF-8 says, of any bytes.
    fn ngrams_of(&self, bracketed: &[u8], starts: Range<usize>, buckets: &mut Vec<u32>) {
        let NgramSettings { shortest, longest, .. } = self.ngrams;
        let continues = |byte: &u8| byte & 0xC0 == 0x80;
        for start in starts {
            if continues(&bracketed[start]) {
                continue;
            }
            let (mut hash, mut rest) = (HASH_START, &bracketed[start..]);
            for length in 1..=longest {
                // Most characters are of one byte or of three; those are told apart without a loop.
                match rest {
                    [] => break,
                    [one, after @ ..] if !after.first().is_some_and(continues) => {
                        hash = hash_byte(hash, *one);
                        rest = after;
                    }
                    [one, two, three, after @ ..]
                        if continues(two) && continues(three) && !after.first().is_some_and(continues) =>
                    {
                        hash = hash_byte(hash_byte(hash_byte(hash, *one), *two), *three);
                        rest = after;
                    }
                    [one, after @ ..] => {
                        let others = after.iter().take_while(|byte| continues(byte)).count();
                        hash = after[..others]
                            .iter()
                            .fold(hash_byte(hash, *one), |hash, &byte| hash_byte(hash, byte));
                        rest = &after[others..];
                    }
                }
                // A bracket alone is no n-gram.
                if length >= shortest && !(length == 1 && (start == 0 || rest.is_empty())) {
                    buckets.push(self.buckets.remainder(hash));
                }
            }
        }
    }

    /// The row of a word n-gram; none when it was pruned.
    #[inline]
    pub fn word_ngram_row(&self, hash: u64) -> Option<u32> {
        let bucket = (hash % u64::from(self.ngrams.buckets)) as u32;
        match &self.pruned {
            None => Some(self.words + bucket),
            Some(pruned) => pruned.has(bucket).then(|| pruned.row(bucket)),
        }
    }
}

fn read_pruned<R: Read>(
    source: &mut Source<R>,
    count: u64,
    words: usize,
    NgramSettings { buckets, .. }: NgramSettings,
) -> Result<(Pruned, Vec<u32>)> {
    source.expect(count, 8, "the kept n-grams")?;
    let mut pairs = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let bucket = source.count("a kept n-gram")? as u32;
        let row = source.count("the row of a kept n-gram")?;
        let row = u32::try_from(words + row).ok().filter(|_| bucket < buckets);
        pairs.push((
            bucket,
            row.ok_or_else(|| unusable("the file is damaged: a kept n-gram is out of range"))?,
        ));
    }
    Ok(Pruned::new(pairs, words as u32, buckets))
}

#[cfg(test)]
mod tests {
    use super::Divisor;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn remainders_are_those_of_division(value in any::<u32>(), divisor in 1..i32::MAX.cast_unsigned()) {
            prop_assert_eq!(Divisor::new(divisor).remainder(value), value % divisor);
            prop_assert_eq!(Divisor::new(1).remainder(value), 0);
        }
    }
}
