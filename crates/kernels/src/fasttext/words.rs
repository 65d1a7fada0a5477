//! The features of words seen before: most words of a text are among a few thousand, and looking one up is
//! far cheaper than hashing its n-grams.
//!
//! Only the lists of rows are kept, not their sums, so that the order of additions stays fastText's.

use super::dictionary::{Dictionary, Token, hash_word};

/// Places of the table; a power of two.
const PLACES: usize = 1 << 17;
/// The table is emptied when this many are taken.
const MOST_WORDS: usize = PLACES / 2;
/// Row numbers that are kept at most.
const MOST_ROWS: usize = 1 << 21;
/// Longer words are rare, or runs of a script without spaces, which do not come again.
pub(super) const LONGEST: usize = 32;

/// A word of at most [`LONGEST`] bytes as four numbers: its first and last bytes, overlapping where it is
/// short. Together with the length they are the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Key {
    parts: [u64; 4],
    length: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: Key,
    hash: u32,
    start: u32,
    count: u32,
}

impl Key {
    #[inline]
    fn of(text: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        let word = &text[start..end];
        let eight =
            |from: usize| word[from..].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let parts = if length >= 8 {
            let last = eight(length - 8);
            if length > 16 { [eight(0), last, eight(8), eight(length - 16)] } else { [eight(0), last, 0, 0] }
        } else if let Some(bytes) = text[start..].first_chunk::<8>() {
            // The bytes after the word are shifted out.
            [u64::from_le_bytes(*bytes) << (64 - 8 * length), 0, 0, 0]
        } else {
            [word.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)) << (64 - 8 * length), 0, 0, 0]
        };
        Self { parts, length: length as u32 }
    }

    #[inline]
    fn place(&self) -> usize {
        let mixed = self.parts.iter().fold(u64::from(self.length), |hash, part| {
            (hash.rotate_left(23) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        (mixed >> 44) as usize & (PLACES - 1)
    }
}

/// Words with their rows.
pub(super) struct Words {
    entries: Vec<Entry>,
    taken: usize,
    /// Rows of the entries, then those of a token that is no word.
    rows: Vec<u32>,
    kept: usize,
}

/// A word as the model sees it.
pub(super) struct Seen<'a> {
    pub token: Token,
    /// fastText's hash of the word; 0 for what is no word.
    pub hash: u32,
    pub rows: &'a [u32],
}

impl Default for Words {
    fn default() -> Self {
        Self { entries: vec![Entry::default(); PLACES], taken: 0, rows: Vec::new(), kept: 0 }
    }
}

impl Words {
    /// The features of the word at `start..end` of `text`: of 1 to [`LONGEST`] bytes.
    #[inline]
    pub fn look_up(&mut self, dictionary: &Dictionary, text: &[u8], start: usize, end: usize) -> Seen<'_> {
        let key = Key::of(text, start, end);
        let mut place = key.place();
        loop {
            let entry = &self.entries[place];
            if entry.key == key {
                let rows = &self.rows[entry.start as usize..][..entry.count as usize];
                return Seen { token: Token::Word, hash: entry.hash, rows };
            }
            if entry.key.length == 0 {
                break;
            }
            place = (place + 1) & (PLACES - 1);
        }
        if self.taken == MOST_WORDS || self.kept > MOST_ROWS {
            self.clear();
            place = key.place();
        }
        self.add(dictionary, &text[start..end], key, place)
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, dictionary: &Dictionary, word: &[u8], key: Key, place: usize) -> Seen<'_> {
        let kept = self.kept;
        self.rows.truncate(kept);
        let hash = hash_word(word);
        let token = dictionary.features(word, hash, &mut self.rows);
        if token == Token::Word {
            let count = (self.rows.len() - kept) as u32;
            self.entries[place] = Entry { key, hash, start: kept as u32, count };
            self.taken += 1;
            self.kept = self.rows.len();
        }
        Seen { token, hash, rows: &self.rows[kept..] }
    }

    fn clear(&mut self) {
        self.entries.fill(Entry::default());
        self.taken = 0;
        self.kept = 0;
        self.rows.clear();
    }
}
