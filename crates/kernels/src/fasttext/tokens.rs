//! Where the words of a text are, as fastText reads it: 64 bytes at a time, since where a word ends cannot be foreseen.

/// Bytes looked at together: the bits of a mask.
const WIDTH: usize = 64;

/// First byte and byte after the last of each word.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    /// Where the bytes behind `edges` begin, and those after them.
    from: usize,
    next: usize,
    /// Bytes that are in a word where the one before is not, or the other way round.
    edges: u64,
    /// Whether the last byte looked at is in a word.
    inside: bool,
}

impl<'a> Tokens<'a> {
    pub fn of(text: &'a [u8]) -> Self {
        Self { text, from: 0, next: 0, edges: 0, inside: false }
    }

    #[inline]
    fn edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
            let spaces = rest.first_chunk().map_or_else(|| spaces(&filled(rest)), spaces);
            self.edges = !spaces ^ (!spaces << 1 | u64::from(self.inside));
            self.inside = spaces >> (WIDTH - 1) == 0;
            (self.from, self.next) = (self.next, self.next + WIDTH);
        }
        let edge = self.from + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(edge)
    }
}

impl Iterator for Tokens<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.edge()?;
        Some((start, self.edge().unwrap_or(self.text.len())))
    }
}

#[cold]
fn filled(rest: &[u8]) -> [u8; WIDTH] {
    let mut block = [b' '; WIDTH];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Where fastText ends a word, a bit each, the first byte's lowest; the line feed, which ends its text, is a space here.
#[cfg(target_arch = "x86_64")]
#[inline]
fn spaces(block: &[u8; WIDTH]) -> u64 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { spaces_by_sse2(block) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn spaces_by_sse2(block: &[u8; WIDTH]) -> u64 {
    use std::arch::x86_64::{
        _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };
    block.as_chunks::<16>().0.iter().enumerate().fold(0, |mask, (at, bytes)| {
        let halves = bytes.as_chunks::<8>().0;
        let [low, high] = [halves[0], halves[1]].map(i64::from_le_bytes);
        let bytes = _mm_set_epi64x(high, low);
        let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
        let is = |byte: u8| _mm_cmpeq_epi8(bytes, all(byte));
        // Comparisons are signed: the five from tab to carriage return are moved to the lowest values there are.
        let control = _mm_cmpgt_epi8(all(0x80 + 5), _mm_add_epi8(bytes, all(0x80 - b'\t')));
        let lanes = _mm_or_si128(control, _mm_or_si128(is(b' '), is(0)));
        mask | u64::from(_mm_movemask_epi8(lanes).cast_unsigned()) << (16 * at)
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn spaces(block: &[u8; WIDTH]) -> u64 {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r' | 0);
    block.iter().enumerate().fold(0, |mask, (at, &byte)| mask | u64::from(is_space(byte)) << at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_stand_between_spaces(text in "([ \t\n\u{b}\u{c}\r\0]|[a\u{8}\u{e}\u{1f}!\u{85}\u{a0}语]{1,40}){0,40}") {
            let spaces = [' ', '\n', '\r', '\t', '\u{b}', '\u{c}', '\0'];
            let expected: Vec<&str> = text.split(spaces).filter(|word| !word.is_empty()).collect();
            let found: Vec<&str> = Tokens::of(text.as_bytes()).map(|(start, end)| &text[start..end]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
