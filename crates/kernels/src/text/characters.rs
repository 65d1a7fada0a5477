//! Classes of characters, as the published filters see them: one table look-up for each character.
//!
//! The filters were published as Python, so the classes are Python's: `str.isalpha`, `str.isspace`,
//! `str.splitlines`, and the lists of punctuation that datatrove 0.10.1 holds in `utils/text.py`. Word-break
//! classes are those of UAX #29, with what needs a dictionary set apart.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// `str.isalpha` of Python: general category L.
pub const ALPHABETIC: u16 = 1;
/// In datatrove's `PUNCTUATION_SET`: words of such characters alone are symbols.
pub const PUNCTUATION: u16 = 1 << 1;
/// `str.isspace` of Python.
pub const SPACE: u16 = 1 << 2;
/// Ends a line for `str.splitlines` of Python.
pub const LINE_END: u16 = 1 << 3;
/// In datatrove's `TERMINAL_PUNCTUATION`: ends a sentence in some script.
pub const TERMINAL: u16 = 1 << 4;
/// A letter or digit in the widest sense: what makes a segment a word (UAX #29, section 4.1).
pub const ALPHANUMERIC: u16 = 1 << 5;
/// A letter of the Latin script.
pub const LATIN: u16 = 1 << 6;
/// `Extended_Pictographic`: joined to what stands before by a zero-width joiner.
pub const PICTOGRAPH: u16 = 1 << 7;

/// General category P.
pub const PUNCTUATION_MARK: u16 = 1 << 12;

/// Where the word-break class begins in an entry of the table.
const BREAK_SHIFT: u32 = 8;

/// Word-break class (UAX #29, table 3), as far as words with a letter or digit need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Break {
    /// Neither joins words nor is one.
    Other = 0,
    /// A word by itself: Han, and letters and digits without a class of their own.
    Alone = 1,
    /// `ALetter`.
    Letter = 2,
    /// `Hebrew_Letter`.
    Hebrew = 3,
    /// `Numeric`.
    Numeric = 4,
    /// `ExtendNumLet`, as the underscore.
    Connector = 5,
    /// `Katakana`.
    Katakana = 6,
    /// Hiragana, which is `Alone` outside Japanese.
    Hiragana = 7,
    /// `MidLetter`, as the colon.
    MidLetter = 8,
    /// `MidNum`, as the comma.
    MidNum = 9,
    /// `MidNumLet`, as the full stop.
    MidNumLet = 10,
    /// The apostrophe.
    SingleQuote = 11,
    /// The quotation mark.
    DoubleQuote = 12,
    /// `Extend`, `Format` and `ZWJ`: belongs to what stands before.
    Extend = 13,
    /// Thai, Lao, Khmer and Burmese, which write no spaces: words are found by dictionary.
    Complex = 14,
}

const BREAKS: [Break; 15] = [
    Break::Other,
    Break::Alone,
    Break::Letter,
    Break::Hebrew,
    Break::Numeric,
    Break::Connector,
    Break::Katakana,
    Break::Hiragana,
    Break::MidLetter,
    Break::MidNum,
    Break::MidNumLet,
    Break::SingleQuote,
    Break::DoubleQuote,
    Break::Extend,
    Break::Complex,
];

/// Flags and word-break class of one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(u16);

impl Break {
    /// This class alone, as [`Kind::class_bit`] gives it.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Kind {
    /// The word-break class as one bit, for callers that ask whether it is one of several.
    #[must_use]
    #[inline]
    pub fn class_bit(self) -> u32 {
        1 << ((self.0 >> BREAK_SHIFT) & 15)
    }

    /// Whether any of the flags is set.
    #[must_use]
    #[inline]
    pub fn is(self, flags: u16) -> bool {
        self.0 & flags != 0
    }

    /// The flags alone.
    #[must_use]
    #[inline]
    pub fn flags(self) -> u16 {
        self.0 & ((1 << BREAK_SHIFT) - 1)
    }

    /// The word-break class.
    #[must_use]
    #[inline]
    pub fn word_break(self) -> Break {
        BREAKS[usize::from(self.0 >> BREAK_SHIFT) & 15]
    }
}

/// The classes of all characters; get it once for each document.
#[derive(Debug, Clone, Copy)]
pub struct Characters {
    all: &'static [u16],
    ascii: &'static [u16; 128],
}

static TABLE: LazyLock<Vec<u16>> = LazyLock::new(build);

impl Characters {
    /// The table, which is built on first use.
    ///
    /// # Panics
    /// Never: the table holds every code point.
    #[must_use]
    pub fn table() -> Self {
        let all = TABLE.as_slice();
        Self { all, ascii: all.first_chunk().expect("the table starts with ASCII") }
    }

    /// Class of an ASCII byte; of `byte % 128` for others.
    #[must_use]
    #[inline]
    pub fn ascii(self, byte: u8) -> Kind {
        Kind(self.ascii[usize::from(byte & 0x7f)])
    }

    /// Class of a code point.
    #[must_use]
    #[inline]
    pub fn of(self, code_point: u32) -> Kind {
        Kind(self.all.get(code_point as usize).copied().unwrap_or_default())
    }
}

/// The code point at `at` in UTF-8, and its length in bytes. `at` must be a character's first byte.
#[must_use]
#[inline]
pub fn decode(bytes: &[u8], at: usize) -> (u32, usize) {
    let tail = |byte: u8| u32::from(byte & 0x3f);
    // Three bytes first: most of what is beyond ASCII.
    match bytes[at..] {
        [first @ 0xe0..=0xef, second, third, ..] => {
            ((u32::from(first & 0x0f) << 12) | (tail(second) << 6) | tail(third), 3)
        }
        [first @ 0..=0x7f, ..] => (u32::from(first), 1),
        [first @ 0x80..=0xdf, second, ..] => ((u32::from(first & 0x1f) << 6) | tail(second), 2),
        [first, second, third, fourth, ..] => {
            ((u32::from(first & 0x07) << 18) | (tail(second) << 12) | (tail(third) << 6) | tail(fourth), 4)
        }
        _ => (u32::from(bytes[at]), 1), // no text
    }
}

/// The code point that ends before `end`, and its length in bytes.
#[must_use]
#[inline]
pub fn decode_last(bytes: &[u8], end: usize) -> (u32, usize) {
    let mut at = end - 1;
    while bytes[at] & 0xc0 == 0x80 {
        at -= 1;
    }
    let (code_point, length) = decode(bytes, at);
    (code_point, length)
}

/// `str.isspace`, as ranges.
const SPACES: &[(u32, u32)] = &[
    (0x9, 0xd),
    (0x1c, 0x20),
    (0x85, 0x85),
    (0xa0, 0xa0),
    (0x1680, 0x1680),
    (0x2000, 0x200a),
    (0x2028, 0x2029),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x3000, 0x3000),
];

/// `str.splitlines`, as ranges.
const LINE_ENDS: &[(u32, u32)] = &[(0xa, 0xd), (0x1c, 0x1e), (0x85, 0x85), (0x2028, 0x2029)];

/// `PUNCTUATION` of datatrove 0.10.1, as ranges; controls are in it.
#[rustfmt::skip]
const PUNCTUATION_RANGES: &[(u32, u32)] = &[
    (0x0, 0x8), (0xb, 0x1f), (0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x9f), (0xab, 0xab), (0xb4, 0xb4),
    (0xbb, 0xbb), (0x2013, 0x2014), (0x2019, 0x2019), (0x201c, 0x201e), (0x2026, 0x2026), (0x2236, 0x2236),
    (0x2501, 0x2501), (0x25ba, 0x25ba), (0x3001, 0x3002), (0x3008, 0x300d), (0x3010, 0x3011), (0xff01, 0xff01),
    (0xff05, 0xff05), (0xff08, 0xff09), (0xff0c, 0xff0c), (0xff0e, 0xff0e), (0xff11, 0xff11), (0xff1a, 0xff1b),
    (0xff1f, 0xff1f), (0xff5e, 0xff5e),
];

/// `TERMINAL_PUNCTUATION` of datatrove 0.10.1, as ranges.
#[rustfmt::skip]
const TERMINAL_RANGES: &[(u32, u32)] = &[
    (0x21, 0x21), (0x2e, 0x2e), (0x3f, 0x3f), (0x589, 0x589), (0x61d, 0x61f), (0x6d4, 0x6d4), (0x700, 0x702),
    (0x7f9, 0x7f9), (0x837, 0x837), (0x839, 0x839), (0x83d, 0x83e), (0x964, 0x965), (0x104a, 0x104b),
    (0x1362, 0x1362), (0x1367, 0x1368), (0x166e, 0x166e), (0x1735, 0x1736), (0x17d4, 0x17d6), (0x17d9, 0x17da),
    (0x1803, 0x1803), (0x1809, 0x1809), (0x1944, 0x1945), (0x1aa8, 0x1aab), (0x1b5a, 0x1b5b), (0x1b5e, 0x1b5f),
    (0x1b7d, 0x1b7e), (0x1c3b, 0x1c3c), (0x1c7e, 0x1c7f), (0x203c, 0x203d), (0x2047, 0x2049), (0x2e2e, 0x2e2e),
    (0x2e3c, 0x2e3c), (0x2e53, 0x2e54), (0x3002, 0x3002), (0xa4ff, 0xa4ff), (0xa60e, 0xa60f), (0xa6f3, 0xa6f3),
    (0xa6f7, 0xa6f7), (0xa876, 0xa877), (0xa8ce, 0xa8cf), (0xa92f, 0xa92f), (0xa9c8, 0xa9c9), (0xaa5d, 0xaa5f),
    (0xaaf0, 0xaaf1), (0xabeb, 0xabeb), (0xfe52, 0xfe52), (0xfe56, 0xfe57), (0xff01, 0xff01), (0xff0e, 0xff0e),
    (0xff1f, 0xff1f), (0xff61, 0xff61), (0x10a56, 0x10a57), (0x10f55, 0x10f59), (0x10f86, 0x10f89),
    (0x11047, 0x11048), (0x110be, 0x110c1), (0x11141, 0x11143), (0x111c5, 0x111c6), (0x111cd, 0x111cd),
    (0x111de, 0x111df), (0x11238, 0x11239), (0x1123b, 0x1123c), (0x112a9, 0x112a9), (0x1144b, 0x1144c),
    (0x115c2, 0x115c3), (0x115c9, 0x115d7), (0x11641, 0x11642), (0x1173c, 0x1173e), (0x11944, 0x11944),
    (0x11946, 0x11946), (0x11a42, 0x11a43), (0x11a9b, 0x11a9c), (0x11c41, 0x11c42), (0x11ef7, 0x11ef8),
    (0x11f43, 0x11f44), (0x16a6e, 0x16a6f), (0x16af5, 0x16af5), (0x16b37, 0x16b38), (0x16b44, 0x16b44),
    (0x16e98, 0x16e98), (0x1bc9f, 0x1bc9f), (0x1da88, 0x1da88),
];

fn build() -> Vec<u16> {
    let mut table = vec![0_u16; 0x11_0000];
    let mut flag = |flags: u16, ranges: &[(u32, u32)]| {
        for &(from, to) in ranges {
            table[from as usize..=to as usize].iter_mut().for_each(|entry| *entry |= flags);
        }
    };
    flag(ALPHABETIC, &property(r"\p{L}"));
    flag(PUNCTUATION, PUNCTUATION_RANGES);
    flag(PUNCTUATION | TERMINAL, TERMINAL_RANGES);
    flag(PUNCTUATION_MARK, &property(r"\p{P}"));
    flag(SPACE, SPACES);
    flag(LINE_END, LINE_ENDS);
    flag(ALPHANUMERIC, &property(r"[\p{Alphabetic}\p{N}]"));
    flag(LATIN, &property(r"[\p{Latin}&&\p{L}]"));
    flag(PICTOGRAPH, &property(r"\p{Extended_Pictographic}"));
    let mut class = |class: Break, ranges: &[(u32, u32)]| {
        let bits = u16::from(class as u8) << BREAK_SHIFT;
        for &(from, to) in ranges {
            let entries = &mut table[from as usize..=to as usize];
            for entry in entries {
                *entry = (*entry & 0xf0ff) | bits;
            }
        }
    };
    // Later lines win: the last two tailor what UAX #29 leaves to dictionaries.
    class(Break::Alone, &property(r"[\p{Alphabetic}\p{N}]"));
    class(Break::Letter, &property(r"\p{wb=ALetter}"));
    class(Break::Hebrew, &property(r"\p{wb=Hebrew_Letter}"));
    class(Break::Numeric, &property(r"\p{wb=Numeric}"));
    class(Break::Connector, &property(r"\p{wb=ExtendNumLet}"));
    class(Break::Katakana, &property(r"\p{wb=Katakana}"));
    class(Break::MidLetter, &property(r"\p{wb=MidLetter}"));
    class(Break::MidNum, &property(r"\p{wb=MidNum}"));
    class(Break::MidNumLet, &property(r"\p{wb=MidNumLet}"));
    class(Break::SingleQuote, &property(r"\p{wb=Single_Quote}"));
    class(Break::DoubleQuote, &property(r"\p{wb=Double_Quote}"));
    class(Break::Extend, &property(r"[\p{wb=Extend}\p{wb=Format}\p{wb=ZWJ}]"));
    class(Break::Hiragana, &property(r"[\p{Hiragana}&&\p{Alphabetic}]"));
    class(
        Break::Complex,
        &property(r"[[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{Alphabetic}\p{M}]--\p{wb=Numeric}]"),
    );
    table
}

/// Code points of a class in the syntax of regular expressions.
fn property(class: &str) -> Vec<(u32, u32)> {
    let parsed = regex_syntax::parse(class).expect("the classes above are constants");
    match parsed.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
        }
        // A class of one character.
        HirKind::Literal(literal) => decode_all(&literal.0),
        _ => unreachable!("a class of characters is a Unicode class"),
    }
}

fn decode_all(bytes: &[u8]) -> Vec<(u32, u32)> {
    let mut at = 0;
    std::iter::from_fn(|| {
        let (code_point, length) = (at < bytes.len()).then(|| decode(bytes, at))?;
        at += length;
        Some((code_point, code_point))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_as_python_says() {
        let table = Characters::table();
        let is = |c: char, flags| table.of(c as u32).is(flags);
        assert!(is('é', ALPHABETIC) && is('漢', ALPHABETIC) && is('ʰ', ALPHABETIC));
        assert!(!is('Ⅷ', ALPHABETIC) && is('Ⅷ', ALPHANUMERIC) && !is('5', ALPHABETIC));
        assert!(is('\u{1c}', SPACE) && is('\u{a0}', SPACE) && !is('\u{200b}', SPACE));
        assert!(is('\u{2028}', LINE_END) && !is('\u{1f}', LINE_END));
        assert!(
            is('。', TERMINAL) && is('。', PUNCTUATION) && is('\u{1}', PUNCTUATION) && !is('\t', PUNCTUATION)
        );
        assert!(is('ß', LATIN) && !is('я', LATIN));
        assert_eq!(table.of('ก' as u32).word_break(), Break::Complex);
        assert_eq!(table.of('๑' as u32).word_break(), Break::Numeric);
        assert_eq!(table.of('漢' as u32).word_break(), Break::Alone);
        assert_eq!(table.of('の' as u32).word_break(), Break::Hiragana);
        assert_eq!(table.ascii(b'_').word_break(), Break::Connector);
    }

    #[test]
    fn white_space_differs_from_unicode_in_four_separators_alone() {
        let table = Characters::table();
        let differ: Vec<char> =
            ('\0'..=char::MAX).filter(|&c| table.of(c as u32).is(SPACE) != c.is_whitespace()).collect();
        assert_eq!(differ, ['\u{1c}', '\u{1d}', '\u{1e}', '\u{1f}']);
    }

    #[test]
    fn decoding_agrees_with_the_standard_library() {
        let text = "aé漢🦀\0";
        let mut at = 0;
        for character in text.chars() {
            let expected = (character as u32, character.len_utf8());
            assert_eq!(decode(text.as_bytes(), at), expected);
            at += character.len_utf8();
            assert_eq!(decode_last(text.as_bytes(), at), expected);
        }
    }
}
