//! Texts before they are cut into shingles, and where their words end.
//!
//! [`Normalize::Datatrove`] gives the same text as datatrove 0.10.1's `simplify_text` with its defaults, in
//! the same order: lower case; numbers, with one decimal part, become `0`; punctuation becomes a space; runs
//! of white space become one space and go at both ends; canonical decomposition without the non-spacing
//! marks. Details that decide are Python's: what is white space (U+001C to U+001F are), what is a decimal
//! digit (category Nd), what lower case is. One difference is left: decomposition is done character by
//! character, so two marks that are *spacing* and stand in non-canonical order stay as they are.
//!
//! ASCII costs a table look-up a byte; other characters of the basic plane that stay as they are, one more.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::Normalize;

/// datatrove's `PUNCTUATION` without its controls, which are U+0000 to U+001F but for tab, line feed and
/// U+0020, and U+007F to U+009F.
const PUNCTUATION: &str =
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»";
/// What may stand between a number and its decimal part.
const DECIMAL_SEPARATORS: [char; 7] = ['.', ',', '\u{60c}', '\u{66b}', '\u{2396}', '\u{2397}', '\u{2398}'];
/// Bytes that a word's hash may read past the end.
pub(crate) const PADDING: usize = 16;

/// What becomes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// It stays, or its table has another byte for it.
    Keep,
    /// A space.
    Space,
    /// A decimal digit.
    Digit,
    /// A word of its own.
    Alone,
    /// Lower case, decomposition or both change it.
    Other,
}

/// A text made ready: its bytes, and the ends of its words.
#[derive(Debug, Default)]
pub struct Simplified {
    /// The text, words separated by spaces, then [`PADDING`] bytes of anything.
    buffer: Vec<u8>,
    length: usize,
    /// Where each word ends. The next one starts there, or after the spaces that follow; it may be empty.
    ends: Vec<u32>,
    words: usize,
}

impl Simplified {
    /// The text as it is cut into shingles.
    ///
    /// # Panics
    /// Never: it is made of whole characters.
    #[must_use]
    pub fn text(&self) -> &str {
        let start = self.buffer[..self.length].iter().take_while(|&&byte| byte == b' ').count();
        std::str::from_utf8(&self.buffer[start..self.length]).expect("whole characters")
    }

    /// The bytes with the padding after them.
    pub(crate) fn padded(&self) -> &[u8] {
        &self.buffer[..self.length + PADDING]
    }

    pub(crate) fn word_ends(&self) -> &[u32] {
        &self.ends[..self.words]
    }

    /// Makes a text ready. Texts are shorter than 2 GiB: they come from one Arrow column.
    pub fn set(&mut self, text: &str, normalize: Normalize) {
        let mut writer = Writer { out: &mut self.buffer, ends: &mut self.ends, at: 0, words: 0, last: b' ' };
        match normalize {
            Normalize::None => writer.plain(text),
            // The only letter whose lower case depends on its neighbours.
            Normalize::Datatrove if text.contains('Σ') => writer.datatrove(&text.to_lowercase()),
            Normalize::Datatrove => writer.datatrove(text),
        }
        (self.length, self.words) = writer.finish();
    }
}

/// Bytes written between looks at the room that is left.
const STRETCH: usize = 4096;
/// What a character becomes at most: U+1D160 and its like decompose into three of four bytes each, and none
/// that has a lower case of several characters decomposes as far.
const CHARACTER: usize = 32;

struct Writer<'a> {
    /// As long as it needs to be; what is written ends at `at`.
    out: &'a mut Vec<u8>,
    ends: &'a mut Vec<u32>,
    at: usize,
    words: usize,
    /// The last byte written; 0 after a mark was dropped. datatrove has joined white space by then, so a
    /// mark that stood alone leaves two spaces.
    last: u8,
}

impl Writer<'_> {
    fn plain(&mut self, text: &str) {
        self.run(text, &PLAIN_ASCII, |character| {
            if is_python_space(character) {
                Class::Space
            } else if is_unspaced(character) {
                Class::Alone
            } else {
                Class::Keep
            }
        });
    }

    fn datatrove(&mut self, text: &str) {
        let tables = &*TABLES;
        self.run(text, &DATATROVE_ASCII, |character| match tables.classes.get(character as usize) {
            Some(&class) => class,
            None => tables.classify(character),
        });
    }

    #[inline]
    fn run(&mut self, text: &str, ascii: &[u8; 256], classify: impl Fn(char) -> Class) {
        let bytes = text.as_bytes();
        let mut read = 0;
        while read < bytes.len() {
            self.reserve();
            let stretch = read + STRETCH.min(bytes.len() - read);
            while read < stretch {
                // Between characters of other scripts there is little ASCII to look for.
                if bytes[read] < 0x80 {
                    read += self.ascii(&bytes[read..stretch], ascii);
                    if read == stretch {
                        break;
                    }
                }
                let character = decode(&bytes[read..]);
                match classify(character) {
                    Class::Keep => self.push_character(&bytes[read..], character.len_utf8()),
                    Class::Space => self.space(),
                    Class::Digit => {
                        self.push(b"0");
                        read += number_length(&text[read..]);
                        break;
                    }
                    Class::Alone => {
                        self.end_word();
                        self.push_character(&bytes[read..], character.len_utf8());
                        self.end_word();
                    }
                    Class::Other => self.other(character),
                }
                read += character.len_utf8();
            }
        }
    }

    /// Makes room for a stretch of text: three times its bytes, and the character that ends it.
    fn reserve(&mut self) {
        let (bytes, ends) =
            (self.at + 3 * STRETCH + CHARACTER + PADDING, self.words + 2 * STRETCH + CHARACTER);
        if self.out.len() < bytes {
            self.out.resize(bytes.max(2 * self.out.len()), 0);
        }
        if self.ends.len() < ends {
            self.ends.resize(ends.max(2 * self.ends.len()), 0);
        }
    }

    /// Writes bytes by the table up to one for which it has 0; how many. Without a branch but that one:
    /// where words end cannot be foreseen.
    #[inline]
    fn ascii(&mut self, bytes: &[u8], table: &[u8; 256]) -> usize {
        let out = &mut self.out[self.at..][..bytes.len()];
        let ends = &mut self.ends[self.words..][..bytes.len()];
        let (mut written, mut ended, mut last) = (0, 0, self.last);
        let mut read = 0;
        for &byte in bytes {
            let mapped = table[byte as usize];
            if mapped == 0 || written >= out.len() || ended >= ends.len() {
                break;
            }
            let (space, after_space) = (usize::from(mapped == b' '), usize::from(last == b' '));
            out[written] = mapped;
            ends[ended] = (self.at + written) as u32;
            ended += space & !after_space;
            written += 1 - (space & after_space);
            last = mapped;
            read += 1;
        }
        self.at += written;
        self.words += ended;
        self.last = last;
        read
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.out[self.at] = byte;
            self.at += 1;
            self.last = byte;
        }
    }

    /// The character that a text begins with: four bytes, of which those after it are written over.
    #[inline]
    fn push_character(&mut self, text: &[u8], length: usize) {
        match (text.first_chunk::<4>(), self.out[self.at..].first_chunk_mut::<4>()) {
            (Some(from), Some(to)) => {
                *to = *from;
                self.at += length;
                self.last = from[length - 1];
            }
            _ => self.push(&text[..length]),
        }
    }

    /// Ends a word, unless the last one ended here.
    #[inline]
    fn end_word(&mut self) {
        let at = self.at as u32;
        if self.words == 0 || self.ends[self.words - 1] != at {
            self.ends[self.words] = at;
            self.words += 1;
        }
    }

    #[inline]
    fn space(&mut self) {
        if self.last != b' ' {
            self.end_word();
            self.push(b" ");
        }
    }

    /// Lower case, then decomposition without non-spacing marks.
    fn other(&mut self, character: char) {
        if let '\u{ac00}'..='\u{d7a3}' = character {
            return self.hangul(u32::from(character) - 0xac00);
        }
        let tables = &*TABLES;
        for lower in character.to_lowercase() {
            match tables.classify_lower(lower) {
                Class::Space => self.space(),
                Class::Alone => {
                    self.end_word();
                    self.decompose(lower, tables);
                    self.end_word();
                }
                _ => self.decompose(lower, tables),
            }
        }
    }

    fn decompose(&mut self, character: char, tables: &Tables) {
        for part in std::iter::once(character).nfd() {
            if tables.is_mark(part) {
                self.last = 0;
            } else {
                self.push(part.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }

    /// The letters of the Hangul syllable of that number, by arithmetic: the Unicode Standard, section 3.12. Korean is
    /// made of nothing else, and the general way takes ten times as long.
    fn hangul(&mut self, syllable: u32) {
        const NO_LAST: u32 = 0x11a7;
        let letters = [0x1100 + syllable / 588, 0x1161 + syllable % 588 / 28, NO_LAST + syllable % 28];
        for letter in letters.into_iter().filter(|&letter| letter != NO_LAST) {
            self.push(&[0xe1, 0x80 | (letter >> 6 & 0x3f) as u8, 0x80 | (letter & 0x3f) as u8]);
        }
    }

    /// Length of the text, and number of words.
    fn finish(mut self) -> (usize, usize) {
        self.reserve();
        self.end_word();
        while self.at > 0 && self.out[self.at - 1] == b' ' {
            self.at -= 1;
        }
        (self.at, self.words)
    }
}

/// The character that valid UTF-8 starts with; U+0000 at the end.
#[inline]
fn decode(bytes: &[u8]) -> char {
    let tail = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(0) & 0x3f);
    let first = u32::from(bytes.first().copied().unwrap_or(0));
    let code = match first {
        0..0x80 => first,
        0x80..0xe0 => (first & 0x1f) << 6 | tail(1),
        0xe0..0xf0 => (first & 0x0f) << 12 | tail(1) << 6 | tail(2),
        _ => (first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3),
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Length of the number that `text` starts with, with one decimal part.
fn number_length(text: &str) -> usize {
    let digits = digits(text);
    let mut rest = text[digits..].chars();
    if rest.next().is_some_and(|next| DECIMAL_SEPARATORS.contains(&next)) {
        let decimals = self::digits(rest.as_str());
        if decimals > 0 {
            return text.len() - rest.as_str().len() + decimals;
        }
    }
    digits
}

/// Length of the decimal digits that `text` starts with.
fn digits(text: &str) -> usize {
    text.find(|character| !is_digit(character)).unwrap_or(text.len())
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
        || (!character.is_ascii() && character.is_numeric() && TABLES.is_digit(character))
}

/// White space as Python's `\s` and `str.strip` see it.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Whether a character is of a script that is written without spaces between words: Thai and Lao, Tibetan,
/// Myanmar, Khmer, Kana, Han.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3005..=0x3007 | 0x3040..=0x30ff
        | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0xff66..=0xff9f
        | 0x20000..=0x3ffff)
}

/// What an ASCII byte becomes; 0: look at the character.
static PLAIN_ASCII: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let space = matches!(byte as u8, b'\t'..=b'\r' | 0x1c..=0x20);
        table[byte] = if space { b' ' } else { byte as u8 };
        byte += 1;
    }
    table
};

static DATATROVE_ASCII: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let lower = (byte as u8).to_ascii_lowercase();
        // Every ASCII punctuation mark is in the list, and so is every control.
        table[byte] = match lower {
            b'0'..=b'9' => 0,
            b'a'..=b'z' => lower,
            _ => b' ',
        };
        byte += 1;
    }
    table
};

struct Tables {
    /// Of the basic plane.
    classes: Vec<Class>,
    /// Decimal digits (category Nd) beyond ASCII, rising.
    digits: Vec<char>,
    /// Non-spacing marks (category Mn), rising.
    marks: Vec<char>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

impl Tables {
    fn new() -> Self {
        let all = |pattern: &str, wanted: fn(char) -> bool| -> Vec<char> {
            let category = Regex::new(pattern).expect("a category of Unicode");
            let mut buffer = [0; 4];
            ('\u{80}'..=char::MAX)
                .filter(|&character| {
                    wanted(character) && category.is_match(character.encode_utf8(&mut buffer))
                })
                .collect()
        };
        let mut tables = Self {
            classes: Vec::new(),
            digits: all(r"\p{Nd}", char::is_numeric),
            marks: all(r"\p{Mn}", is_combining_mark),
        };
        tables.classes = (0..=0xffff_u32)
            .map(|code| char::from_u32(code).map_or(Class::Keep, |character| tables.classify(character)))
            .collect();
        tables
    }

    fn classify(&self, character: char) -> Class {
        let mut lower = character.to_lowercase();
        if lower.next() != Some(character) || lower.next().is_some() {
            return Class::Other;
        }
        match self.classify_lower(character) {
            Class::Space => Class::Space,
            Class::Digit => Class::Digit,
            class => {
                let mut parts = std::iter::once(character).nfd();
                let same =
                    parts.next() == Some(character) && parts.next().is_none() && !self.is_mark(character);
                if same { class } else { Class::Other }
            }
        }
    }

    /// Of a character that is its own lower case, before decomposition.
    fn classify_lower(&self, character: char) -> Class {
        if self.is_digit(character) {
            // Before punctuation: the full-width one is on datatrove's list, but is a number by then.
            Class::Digit
        } else if is_python_space(character)
            || PUNCTUATION.contains(character)
            || ('\u{7f}'..='\u{9f}').contains(&character)
        {
            Class::Space
        } else if is_unspaced(character) {
            Class::Alone
        } else {
            Class::Keep
        }
    }

    fn is_digit(&self, character: char) -> bool {
        character.is_ascii_digit() || self.digits.binary_search(&character).is_ok()
    }

    fn is_mark(&self, character: char) -> bool {
        self.marks.binary_search(&character).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn simplify(text: &str, normalize: Normalize) -> String {
        let mut simplified = Simplified::default();
        simplified.set(text, normalize);
        simplified.text().to_owned()
    }

    fn words(text: &str, normalize: Normalize) -> Vec<String> {
        let mut simplified = Simplified::default();
        simplified.set(text, normalize);
        let mut start = 0;
        simplified
            .word_ends()
            .iter()
            .map(|&end| {
                let word = &simplified.buffer[start..end as usize];
                start = end as usize;
                String::from_utf8(word.to_vec()).unwrap().trim_start_matches(' ').to_owned()
            })
            .filter(|word| !word.is_empty())
            .collect()
    }

    #[test]
    fn texts_are_as_datatrove_makes_them() {
        let check = |text, expected| assert_eq!(simplify(text, Normalize::Datatrove), expected, "{text:?}");
        check("  Hello,\tWORLD!  ", "hello world");
        check("1,234,567.89 or 3.x", "0 0 or 0 x");
        check("Café ÀÉÎ naïve", "cafe aei naive");
        check("ΟΔΥΣΣΕΥΣ", "οδυσσευς");
        check("“Quoted”—text…", "quoted text");
        let letters: String = "한국어 가힣".nfd().collect();
        check("한국어 가힣", &letters);
        check("a\u{1c}b\u{85}c", "a b c");
        check("a \u{301} b", "a  b");
        check("\u{301} b", "b");
        check("٣٫٥ ５．５", "0 0 0");
        check("", "");
    }

    #[test]
    fn scripts_without_spaces_have_a_word_for_each_character() {
        assert_eq!(
            words("Die 床前明月光, said he", Normalize::None),
            ["Die", "床", "前", "明", "月", "光", ",", "said", "he"]
        );
    }

    proptest! {
        /// Against the plain way: one character after the other, Rust's own functions.
        #[test]
        fn a_plain_loop_gives_the_same(text in "(?s)[a-z A-Z0-9.,\u{0}-\u{ff}éÀ“”—ß\u{130}\u{301}\u{1d160}ｶ床٣가-힣 \n]{0,200}") {
            let lower = text.to_lowercase();
            let numbers = Regex::new(r"\p{Nd}+([.,،٫⎖⎗⎘]\p{Nd}+)?").unwrap().replace_all(&lower, "0");
            let spaced: String = numbers
                .chars()
                .map(|c| if PUNCTUATION.contains(c) || is_python_space(c) || c.is_control() { ' ' } else { c })
                .collect();
            let joined = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            let mark = Regex::new(r"\p{Mn}").unwrap();
            let decomposed: String = joined.nfd().collect();
            let expected = mark.replace_all(&decomposed, "");
            prop_assert_eq!(simplify(&text, Normalize::Datatrove), expected.trim_matches(' '));
        }

        #[test]
        fn words_are_what_white_space_separates(text in "[a-zA-Z0-9.,é \n\t]{0,300}") {
            let expected: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(words(&text, Normalize::None), expected);
        }
    }
}
