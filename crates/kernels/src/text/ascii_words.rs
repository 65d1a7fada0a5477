//! Words of ASCII text by the rules of UAX #29, 64 bytes at a time.
//!
//! A word ends every six bytes of English, and where it does cannot be foreseen: a loop over bytes waits for that more
//! than it works. Here the classes of 64 bytes become bit masks, and where words begin and end is arithmetic on masks:
//! letters, digits and connectors are in words (rules WB5, WB8 to WB10, WB13), a separator between two letters or two
//! digits is (WB6, WB7, WB11, WB12). What stands beside a character beyond ASCII is left to `segment.rs`.

use super::characters::{Break, Characters, Kind};

/// Bytes looked at together: the bits of a mask.
const WIDTH: usize = 64;

/// Classes of 64 bytes, a bit each, the first byte's lowest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Classes {
    letters: u64,
    digits: u64,
    connectors: u64,
    /// What joins two letters.
    between_letters: u64,
    /// What joins two digits.
    between_digits: u64,
    beyond_ascii: u64,
}

/// The words of a stretch of ASCII: as masks over at most 64 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsciiWords {
    /// First bytes of words that end within the stretch.
    starts: u64,
    /// Bytes after those words.
    ends: u64,
    letters: u64,
    /// Bytes of which words are made.
    inside: u64,
    /// Bytes that are looked at.
    pub next: usize,
    /// Whether there is a word at `next` that the masks cannot tell the end of.
    pub open: bool,
}

impl AsciiWords {
    /// The words of what `bytes` begin with.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        if let Some(block) = bytes.first_chunk() {
            return Self::of_block(block, &Classes::of(block));
        }
        let mut block = [b' '; WIDTH];
        block[..bytes.len()].copy_from_slice(bytes);
        let mut words = Self::of_block(&block, &Classes::of(&block));
        words.next = words.next.min(bytes.len());
        words
    }

    #[inline]
    fn of_block(block: &[u8; WIDTH], classes: &Classes) -> Self {
        let &Classes { letters, digits, connectors, between_letters, between_digits, beyond_ascii } = classes;
        // Bytes before the first beyond ASCII. The last of them may belong to a word that goes on after it.
        let length = beyond_ascii.trailing_zeros() as usize;
        let between = |mask: u64| (mask << 1) & (mask >> 1);
        let joins = (between_letters & between(letters)) | (between_digits & between(digits));
        let inside = letters | digits | connectors | joins;
        let (starts, ends) = (inside & !(inside << 1), !inside & (inside << 1));
        let known = below(length.saturating_sub(1));
        let ended = ends & known;
        // Starts and ends alternate: what begins after the last end that is known is the open word.
        let after = if ended == 0 { 0 } else { WIDTH - ended.leading_zeros() as usize - 1 };
        let open = starts & below(length) & !below(after);
        let next = if open == 0 { length } else { open.trailing_zeros() as usize };
        let whole = starts & below(next);
        // A connector without a letter or digit is no word.
        let mut alone = whole & connectors;
        let (mut starts, mut ends, mut inside) = (whole, ended, inside & below(next));
        while alone != 0 {
            let start = alone & alone.wrapping_neg();
            let end = ended & !(start | (start - 1));
            let end = end & end.wrapping_neg();
            let word = (end - 1) & !(start - 1);
            if word & (letters | digits) == 0 {
                (starts, ends, inside) = (starts & !start, ends & !end, inside & !word);
            }
            alone &= alone - 1;
        }
        debug_assert_eq!(starts.count_ones(), ends.count_ones(), "{block:?}");
        // A word at the start of which all bytes are taken up, or that stands before a character beyond ASCII.
        let open = open != 0 && (next == 0 || length < WIDTH);
        Self { starts, ends, letters, inside, next, open }
    }

    /// Calls `found` with first byte, byte after the last, and whether there is a letter, for each word.
    #[inline]
    pub fn each(&self, mut found: impl FnMut(usize, usize, bool)) {
        let (mut starts, mut ends) = (self.starts, self.ends);
        while starts != 0 {
            let (start, end) = (starts.trailing_zeros() as usize, ends.trailing_zeros() as usize);
            found(start, end, self.letters & below(end) & !below(start) != 0);
            starts &= starts - 1;
            ends &= ends - 1;
        }
    }

    /// How many words, how many with a letter, and the bytes of all.
    #[inline]
    pub fn counts(&self) -> (u32, u32, u32) {
        let words = self.starts.count_ones();
        let mut alphabetic = (self.starts & self.letters).count_ones();
        if alphabetic < words {
            alphabetic = 0;
            self.each(|_, _, letter| alphabetic += u32::from(letter));
        }
        (words, alphabetic, self.inside.count_ones())
    }
}

/// The lowest `count` bits, of at most 64.
#[inline]
fn below(count: usize) -> u64 {
    if count >= WIDTH { u64::MAX } else { (1 << count) - 1 }
}

impl Classes {
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn of(block: &[u8; WIDTH]) -> Self {
        // SAFETY: every x86-64 has SSE2.
        unsafe { Self::by_sse2(block) }
    }

    /// Sixteen bytes at a time.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "sse2")]
    fn by_sse2(block: &[u8; WIDTH]) -> Self {
        use std::arch::x86_64::{
            __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_movemask_epi8, _mm_or_si128,
            _mm_set_epi64x, _mm_set1_epi8,
        };
        let mut classes = Self::default();
        for (at, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let halves = bytes.as_chunks::<8>().0;
            let [low, high] = [halves[0], halves[1]].map(i64::from_le_bytes);
            let bytes = _mm_set_epi64x(high, low);
            let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
            let is = |byte: u8| _mm_cmpeq_epi8(bytes, all(byte));
            // Comparisons are signed: a range of `count` is moved to the lowest values there are.
            let within = |bytes: __m128i, from: u8, count: u8| {
                let moved = _mm_add_epi8(bytes, all(0x80_u8.wrapping_sub(from)));
                _mm_cmpgt_epi8(all(0x80 + count), moved)
            };
            let mask = |lanes: __m128i| u64::from(_mm_movemask_epi8(lanes).cast_unsigned()) << (16 * at);
            let either = [is(b'.'), is(b'\'')];
            let either = _mm_or_si128(either[0], either[1]);
            classes.letters |= mask(within(_mm_or_si128(bytes, all(0x20)), b'a', 26));
            classes.digits |= mask(within(bytes, b'0', 10));
            classes.connectors |= mask(is(b'_'));
            classes.between_letters |= mask(_mm_or_si128(either, is(b':')));
            classes.between_digits |= mask(_mm_or_si128(either, _mm_or_si128(is(b','), is(b';'))));
            classes.beyond_ascii |= mask(bytes);
        }
        classes
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of(block: &[u8; WIDTH]) -> Self {
        Self::by_table(block)
    }

    /// The same from the table of characters.
    #[cfg_attr(
        all(target_arch = "x86_64", not(test)),
        expect(dead_code, reason = "for other processors, and tests")
    )]
    fn by_table(block: &[u8; WIDTH]) -> Self {
        let table = Characters::table();
        let mut classes = Self::default();
        for (at, &byte) in block.iter().enumerate() {
            let bit = |is: bool| u64::from(is) << at;
            if byte >= 0x80 {
                classes.beyond_ascii |= bit(true);
                continue;
            }
            let class = table.ascii(byte).word_break();
            let either = matches!(class, Break::MidNumLet | Break::SingleQuote);
            classes.letters |= bit(class == Break::Letter);
            classes.digits |= bit(class == Break::Numeric);
            classes.connectors |= bit(class == Break::Connector);
            classes.between_letters |= bit(either || class == Break::MidLetter);
            classes.between_digits |= bit(either || class == Break::MidNum);
        }
        classes
    }
}

/// Kinds of a letter and of a digit, whose flags an ASCII word has.
pub(super) fn letter_and_digit(table: Characters) -> (Kind, Kind) {
    (table.ascii(b'a'), table.ascii(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn classes_are_those_of_the_table(bytes in prop::collection::vec(any::<u8>(), WIDTH)) {
            let block: &[u8; WIDTH] = bytes.first_chunk().unwrap();
            prop_assert_eq!(Classes::of(block), Classes::by_table(block));
        }
    }

    #[test]
    fn every_byte_has_its_class() {
        for from in (0..=u8::MAX).step_by(WIDTH) {
            let block = std::array::from_fn(|at| from + at as u8);
            assert_eq!(Classes::of(&block), Classes::by_table(&block), "from {from}");
        }
    }
}
