//! Measures of one text. None of them allocates.

/// Unicode code points: bytes that do not continue a character. Runs at memory speed.
#[must_use]
pub fn code_points(text: &str) -> usize {
    // Blocks short enough for 8-bit counters: sixteen or more lanes add per instruction, where a
    // `usize` sum would widen every byte to eight.
    text.as_bytes()
        .chunks(u8::MAX as usize)
        .map(|block| usize::from(block.iter().map(|&byte| u8::from(starts_character(byte))).sum::<u8>()))
        .sum()
}

/// Whether a byte of UTF-8 is the first of a character.
fn starts_character(byte: u8) -> bool {
    byte.cast_signed() >= -0x40
}

/// Stretches between white space (the Unicode property `White_Space`).
#[must_use]
pub fn words(text: &str) -> usize {
    if !text.is_ascii() {
        return text.split_whitespace().count();
    }
    // A word starts where a byte is no space and the one before is, or there is none. As above, in
    // blocks of 8-bit counters, each block looking at the byte before it.
    let bytes = text.as_bytes();
    let starts = |before: u8, byte: u8| u8::from(is_ascii_space(before) & !is_ascii_space(byte));
    let first = usize::from(bytes.first().is_some_and(|&byte| !is_ascii_space(byte)));
    let rest = bytes.get(1..).unwrap_or_default();
    first
        + bytes
            .chunks(u8::MAX as usize)
            .zip(rest.chunks(u8::MAX as usize))
            .map(|(before, block)| {
                let pairs = before.iter().zip(block);
                usize::from(pairs.map(|(&before, &byte)| starts(before, byte)).sum::<u8>())
            })
            .sum::<usize>()
}

/// White space of ASCII: U+000B too, which `is_ascii_whitespace` leaves out.
fn is_ascii_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

/// Lines ended by a line feed, plus an unended last one; an empty text has none.
#[must_use]
pub fn lines(text: &str) -> usize {
    let feeds = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    feeds + usize::from(!text.is_empty() && !text.ends_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn measures_agree_with_the_standard_library(text in "(?s)[a-c\u{b}\u{85}\u{a0}\u{3000}é漢😀 \t\r\n]{0,600}|\\PC{0,80}") {
            prop_assert_eq!(code_points(&text), text.chars().count());
            prop_assert_eq!(words(&text), text.split_whitespace().count());
            prop_assert_eq!(lines(&text), text.split_inclusive('\n').count());
        }
    }
}
