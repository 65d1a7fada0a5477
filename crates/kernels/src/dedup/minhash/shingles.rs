//! From text to shingle hashes: each shingle is 64 bits, and a document is the set of them.
//!
//! A word's hash is 64 bits of folded multiplications; a shingle's is a polynomial over its words' hashes,
//! mixed, so that a shingle costs the same whatever its size. Two different shingles of a pair of documents
//! with 10,000 shingles each share a hash with a chance of about 10^-11; similarities are of sets of hashes.

use super::simplify::Simplified;
use super::{ShingleOptions, Unit};

/// Odd constants without structure: digits of the golden ratio, of e and of pi.
const SEED: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xadf8_5458_a2bb_4a9b, 0x243f_6a88_85a3_08d3];

/// Cuts texts into shingles; reused from row to row.
#[derive(Debug)]
pub struct Shingler {
    options: ShingleOptions,
    text: Simplified,
    /// Hash of each word or character.
    units: Vec<u64>,
    hashes: Vec<u64>,
}

impl Shingler {
    /// A shingler.
    #[must_use]
    pub fn new(options: ShingleOptions) -> Self {
        Self { options, text: Simplified::default(), units: Vec::new(), hashes: Vec::new() }
    }

    /// The hash of each shingle, in text order, repeats among them. Empty for a text without words.
    pub fn sequence(&mut self, text: &str) -> &[u64] {
        self.text.set(text, self.options.normalize);
        self.units.clear();
        match self.options.shingle {
            Unit::Word => hash_words(&self.text, &mut self.units),
            Unit::Char => {
                self.units.extend(self.text.text().chars().map(|c| fold(u64::from(c) ^ SEED[0], SEED[1])));
            }
        }
        self.hashes.clear();
        roll(&self.units, self.options.size as usize, &mut self.hashes);
        &self.hashes
    }

    /// The set of shingle hashes, rising.
    pub fn set(&mut self, text: &str) -> &[u64] {
        self.sequence(text);
        self.hashes.sort_unstable();
        self.hashes.dedup();
        &self.hashes
    }
}

/// 128-bit product, folded: every bit of the result depends on every bit of both.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash_words(text: &Simplified, units: &mut Vec<u64>) {
    let bytes = text.padded();
    let mut start = 0;
    for &end in text.word_ends() {
        let end = end as usize;
        while start < end && bytes[start] == b' ' {
            start += 1;
        }
        if start < end {
            units.push(hash_word(bytes, start, end));
            start = end;
        }
    }
}

/// Hash of `bytes[start..end]`; 16 bytes after the end may be read.
#[inline]
fn hash_word(bytes: &[u8], start: usize, end: usize) -> u64 {
    let load = |at: usize| -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let masked = |at: usize, length: usize| load(at) & (u64::MAX >> (64 - 8 * length));
    let length = end - start;
    if length <= 8 {
        return fold(masked(start, length) ^ SEED[0], SEED[1] ^ length as u64);
    }
    let mut hash = SEED[2] ^ length as u64;
    let mut at = start;
    while end - at > 16 {
        hash = fold(load(at) ^ SEED[0], load(at + 8) ^ hash);
        at += 16;
    }
    let first = (end - at).min(8);
    let second = end - at - first;
    let tail = if second == 0 { 0 } else { masked(at + 8, second) };
    fold(masked(at, first) ^ SEED[0], tail ^ SEED[1] ^ hash)
}

/// Hashes of all windows of `size` units; of all units when there are fewer.
fn roll(units: &[u64], size: usize, hashes: &mut Vec<u64>) {
    const BASE: u64 = 0x9fb2_1c65_1e98_df25;
    if units.is_empty() {
        return;
    }
    let size = size.min(units.len());
    let leaving = (0..size).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut state = 0_u64;
    for &unit in &units[..size] {
        state = state.wrapping_mul(BASE).wrapping_add(unit);
    }
    let count = units.len() - size + 1;
    hashes.reserve(count);
    hashes.push(mix(state));
    for (&old, &new) in units[..count - 1].iter().zip(&units[size..]) {
        state = state.wrapping_mul(BASE).wrapping_add(new).wrapping_sub(old.wrapping_mul(leaving));
        hashes.push(mix(state));
    }
}

#[inline]
fn mix(state: u64) -> u64 {
    fold(state ^ SEED[2], SEED[0])
}
