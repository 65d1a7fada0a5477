//! The features of words seen before: most words of a text are among a few thousand, and looking one up is
//! far cheaper than hashing its n-grams.
//!
//! Only the lists of rows are kept, not their sums, so that the order of additions stays fastText's.

use super::dictionary::{Dictionary, Piece, Token, hash_word};
use crate::hash::fold::number_within;

/// Places of the table; a power of two.
const PLACES: usize = 1 << 17;
/// The table is emptied when this many are taken. An entry's number has 16 bits, of which all ones are none's.
const MOST_WORDS: usize = PLACES / 2 - 1;
/// Row numbers that are kept at most.
const MOST_ROWS: usize = 1 << 21;
/// Longer words are rare, addresses, or runs of a script without spaces: few of them come again.
pub(super) const LONGEST: usize = 16;
/// Words that are looked up together.
pub(super) const TOGETHER: usize = 16;
/// A place of the table without a word.
const EMPTY: u32 = u32::MAX;
/// Most words have at most so many rows.
const FEW_ROWS: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The bytes of the word as a number. Zeros are white space, so no two words have the same.
    key: u128,
    hash: u32,
    start: u32,
    count: u32,
}

/// A hash of a word's key.
#[inline]
fn mixed(key: u128) -> u64 {
    let [low, high] = [key as u64, (key >> 64) as u64];
    (low.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ high).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A word on its way through the table.
#[derive(Debug, Clone, Copy, Default)]
struct Sought {
    key: u128,
    mixed: u64,
    /// What the table has where the word would be first, then the number of its entry; [`EMPTY`] for neither.
    found: u32,
}

/// Words with their rows.
pub(super) struct Words {
    /// For each place the number of an entry, and 16 bits of the word's hash above it.
    table: Vec<u32>,
    /// In the order the words came, so that frequent ones lie close together.
    entries: Vec<Entry>,
    /// Rows of the entries, then those of a token that is no word.
    rows: Vec<u32>,
    sought: [Sought; TOGETHER],
    piece: Piece,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            table: vec![EMPTY; PLACES],
            entries: Vec::new(),
            rows: Vec::new(),
            sought: Default::default(),
            piece: Piece::default(),
        }
    }
}

impl Words {
    /// Appends the rows of at most [`TOGETHER`] words of `text` to `rows`; each is of 1 to [`LONGEST`] bytes. Calls
    /// `each` with what a word is and fastText's hash of it; when that says no, the words after it are left out.
    ///
    /// A word waits for the table, and then for its entry; how many rows it has cannot be foreseen, so no word after it
    /// would begin before that is known. Hence all wait for the table at once, then for the entries.
    pub fn look_up(
        &mut self,
        dictionary: &Dictionary,
        (text, words): (&[u8], &[(usize, usize)]),
        rows: &mut Vec<u32>,
        mut each: impl FnMut(Token, u32) -> bool,
    ) {
        for (sought, &(start, end)) in self.sought.iter_mut().zip(words) {
            let key = number_within(text, start, end);
            let mixed = mixed(key);
            *sought = Sought { key, mixed, found: self.table[first_place(mixed)] };
        }
        for sought in &mut self.sought[..words.len()] {
            let number = sought.found & u32::from(u16::MAX);
            let known = self.entries.get(number as usize).is_some_and(|entry| entry.key == sought.key);
            sought.found = if known { number } else { EMPTY };
        }
        let mut current = true;
        for (index, &(start, end)) in words.iter().enumerate() {
            let Sought { key, mixed, found } = self.sought[index];
            let found = if found == EMPTY || !current { self.find(key, mixed) } else { Ok(found as usize) };
            let (token, hash, from, count) = match found {
                Ok(number) => {
                    let Entry { hash, start, count, .. } = self.entries[number];
                    (Token::Word, hash, start as usize, count as usize)
                }
                Err(mut place) => {
                    if self.entries.len() == MOST_WORDS || self.rows.len() > MOST_ROWS {
                        self.clear();
                        (place, current) = (first_place(mixed), false);
                    }
                    self.add(dictionary, &text[start..end], (key, mixed), place)
                }
            };
            match self.rows[from..].first_chunk::<FEW_ROWS>() {
                // A copy of a fixed size is one of a few instructions.
                Some(few) if count <= FEW_ROWS => {
                    let length = rows.len() + count;
                    rows.extend_from_slice(few);
                    rows.truncate(length);
                }
                _ => rows.extend_from_slice(&self.rows[from..][..count]),
            }
            if !each(token, hash) {
                return;
            }
        }
    }

    /// The entry of a word, or the place where it would be.
    fn find(&self, key: u128, mixed: u64) -> Result<usize, usize> {
        let mut place = first_place(mixed);
        loop {
            let found = self.table[place];
            if found == EMPTY {
                return Err(place);
            }
            let number = (found & u32::from(u16::MAX)) as usize;
            if found >> 16 == tag(mixed) && self.entries[number].key == key {
                return Ok(number);
            }
            place = (place + 1) & (PLACES - 1);
        }
    }

    /// Finds out what a token is, its hash, and where its rows begin and how many they are; keeps it where it is a word.
    #[cold]
    #[inline(never)]
    fn add(
        &mut self,
        dictionary: &Dictionary,
        word: &[u8],
        (key, mixed): (u128, u64),
        place: usize,
    ) -> (Token, u32, usize, usize) {
        let start = self.entries.last().map_or(0, |last| (last.start + last.count) as usize);
        self.rows.truncate(start);
        let hash = hash_word(word);
        let rows = &mut self.rows;
        let token = dictionary.features(word, hash, &mut self.piece, |some| rows.extend_from_slice(some));
        let count = self.rows.len() - start;
        if token == Token::Word {
            self.table[place] = tag(mixed) << 16 | self.entries.len() as u32;
            self.entries.push(Entry { key, hash, start: start as u32, count: count as u32 });
        }
        (token, hash, start, count)
    }

    fn clear(&mut self) {
        self.table.fill(EMPTY);
        self.entries.clear();
        self.rows.clear();
    }
}

/// Where a word is looked for first.
#[inline]
fn first_place(mixed: u64) -> usize {
    (mixed >> 44) as usize & (PLACES - 1)
}

/// Bits of the hash that are kept beside an entry's number.
#[inline]
fn tag(mixed: u64) -> u32 {
    (mixed >> 28) as u32 & u32::from(u16::MAX)
}
