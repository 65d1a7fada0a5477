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

/// A piece of a long word, with its brackets, and the rows of its n-grams; kept from word to word.
#[derive(Default)]
pub(super) struct Piece {
    bracketed: Vec<u8>,
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
    /// Words and labels by hash; open addressing.
    table: Vec<u32>,
    ngrams: NgramSettings,
    buckets: Divisor,
    pruned: Option<Pruned>,
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
    /// For every 64 buckets, which are there, and how many are before.
    blocks: Vec<(u64, u32)>,
    rows: Vec<u32>,
}

impl Pruned {
    fn new(mut pairs: Vec<(u32, u32)>, buckets: u32) -> Self {
        // The last one counts where a bucket occurs twice, as in fastText's map.
        pairs.reverse();
        pairs.sort_by_key(|&(bucket, _)| bucket);
        pairs.dedup_by_key(|pair| pair.0);
        let mut blocks = vec![(0_u64, 0_u32); buckets as usize / 64 + 1];
        for &(bucket, _) in &pairs {
            blocks[bucket as usize / 64].0 |= 1 << (bucket % 64);
        }
        let mut before = 0;
        for block in &mut blocks {
            block.1 = before;
            before += block.0.count_ones();
        }
        Self { blocks, rows: pairs.into_iter().map(|(_, row)| row).collect() }
    }

    #[inline]
    fn row(&self, bucket: u32) -> Option<u32> {
        let (bits, before) = self.blocks[bucket as usize / 64];
        let bit = 1_u64 << (bucket % 64);
        (bits & bit != 0).then(|| self.rows[(before + (bits & (bit - 1)).count_ones()) as usize])
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
        let mut dictionary = Self {
            words: words as u32,
            labels: Vec::new(),
            label_counts,
            spellings,
            ends,
            table: Vec::new(),
            ngrams,
            buckets: Divisor::new(ngrams.buckets),
            pruned,
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
        self.table = vec![EMPTY; (self.ends.len() * 2).next_power_of_two()];
        for entry in 0..self.ends.len() {
            let place = self.place(self.spelling(entry), hash_word(self.spelling(entry)));
            // The last one counts where a word occurs twice, as in fastText's table.
            self.table[place] = entry as u32;
        }
    }

    /// Where a spelling is in the table, or the empty place where it would be.
    fn place(&self, spelling: &[u8], hash: u32) -> usize {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        while self.table[place] != EMPTY && self.spelling(self.table[place] as usize) != spelling {
            place = (place + 1) & mask;
        }
        place
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

    /// Rows that words and n-grams may point at.
    pub fn rows(&self) -> u64 {
        let ngrams = match &self.pruned {
            None => self.ngrams.buckets,
            Some(pruned) => pruned.rows.iter().max().map_or(0, |row| row - self.words + 1),
        };
        u64::from(self.words) + u64::from(ngrams)
    }

    pub fn word_ngrams(&self) -> usize {
        self.ngrams.words
    }

    /// Adds the rows of a word to `rows`; `hash` is the word's.
    pub fn features(&self, word: &[u8], hash: u32, rows: &mut Vec<u32>) -> Token {
        // Most words are short: their copy with the brackets stays off the heap.
        let mut short = [0; 64];
        let length = word.len() + 2;
        let Some(bracketed) = short.get_mut(..length) else {
            let mut piece = Piece::default();
            return self.features_in_pieces(word, hash, &mut piece, |some| rows.extend_from_slice(some));
        };
        let (token, row) = self.whole(word, hash);
        rows.extend(row);
        if token == Token::Word && self.ngrams.longest > 0 {
            bracketed[0] = b'<';
            bracketed[1..length - 1].copy_from_slice(word);
            bracketed[length - 1] = b'>';
            self.ngrams_of(bracketed, 0..length, rows);
        }
        token
    }

    /// As [`Dictionary::features`] for a word of any length: its rows come in pieces, in the same order. A text
    /// without white space is one word.
    pub fn features_in_pieces(
        &self,
        word: &[u8],
        hash: u32,
        piece: &mut Piece,
        mut each: impl FnMut(&[u32]),
    ) -> Token {
        let (token, row) = self.whole(word, hash);
        each(row.as_slice());
        if token != Token::Word || self.ngrams.longest == 0 {
            return token;
        }
        let length = word.len() + 2;
        // Far enough that the longest n-gram of a piece is whole; a character has at most four bytes.
        let reach = 4 * (self.ngrams.longest + 1);
        let Piece { bracketed, rows } = piece;
        for start in (0..length).step_by(PIECE_BYTES) {
            let end = length.min(start + PIECE_BYTES);
            // A byte before, so that only the first bracket is at the front.
            let from = start.saturating_sub(1);
            let to = length.min(end + reach);
            bracketed.clear();
            rows.clear();
            if from == 0 {
                bracketed.push(b'<');
            }
            bracketed.extend_from_slice(&word[from.max(1) - 1..to.min(length - 1) - 1]);
            if to == length {
                bracketed.push(b'>');
            }
            self.ngrams_of(bracketed, start - from..end - from, rows);
            each(rows);
        }
        token
    }

    /// What a token is and, for a known word, its own row.
    fn whole(&self, word: &[u8], hash: u32) -> (Token, Option<u32>) {
        let found = self.table[self.place(word, hash)];
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

    /// Adds the rows of the character n-grams of `<word>` that begin at the bytes `starts`. Characters are what
    /// UTF-8 says, of any bytes.
    fn ngrams_of(&self, bracketed: &[u8], starts: Range<usize>, rows: &mut Vec<u32>) {
        let NgramSettings { shortest, longest, .. } = self.ngrams;
        let continues = |byte: &u8| byte & 0xC0 == 0x80;
        for start in starts {
            if continues(&bracketed[start]) {
                continue;
            }
            let mut hash = HASH_START;
            let mut rest = bracketed[start..].iter().peekable();
            for length in 1..=longest {
                let Some(&byte) = rest.next() else { break };
                hash = hash_byte(hash, byte);
                while let Some(&byte) = rest.next_if(|byte| continues(byte)) {
                    hash = hash_byte(hash, byte);
                }
                // A bracket alone is no n-gram.
                if length >= shortest && !(length == 1 && (start == 0 || rest.len() == 0)) {
                    rows.extend(self.bucket_row(self.buckets.remainder(hash)));
                }
            }
        }
    }

    /// The row of the n-grams that hash to a bucket; none when it was pruned.
    #[inline]
    pub fn bucket_row(&self, bucket: u32) -> Option<u32> {
        match &self.pruned {
            None => Some(self.words + bucket),
            Some(pruned) => pruned.row(bucket),
        }
    }

    /// The row of a word n-gram; none when it was pruned.
    #[inline]
    pub fn word_ngram_row(&self, hash: u64) -> Option<u32> {
        self.bucket_row((hash % u64::from(self.ngrams.buckets)) as u32)
    }
}

fn read_pruned<R: Read>(
    source: &mut Source<R>,
    count: u64,
    words: usize,
    NgramSettings { buckets, .. }: NgramSettings,
) -> Result<Pruned> {
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
    Ok(Pruned::new(pairs, buckets))
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
