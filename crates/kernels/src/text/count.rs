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
    if text.is_ascii() {
        let mut after_space = true;
        let mut words = 0;
        for byte in text.bytes() {
            // U+000B is White_Space, which `is_ascii_whitespace` leaves out.
            let space = matches!(byte, b' ' | b'\t'..=b'\r');
            words += usize::from(after_space & !space);
            after_space = space;
        }
        words
    } else {
        text.split_whitespace().count()
    }
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
