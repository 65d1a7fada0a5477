//! Cuts text into words: at white space, or as UAX #29 does with dictionaries for scripts without spaces.
//!
//! The cutters look at each character once, through the table of `characters.rs`. ASCII, most of the world's web text,
//! is cut 64 bytes at a time by `ascii_words.rs`.

use super::ascii_words::{AsciiWords, letter_and_digit};
use super::characters::{ALPHANUMERIC, Break, Characters, Kind, PICTOGRAPH, PUNCTUATION, SPACE, decode};
use super::dictionary;

/// What separates words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// White space, as `str.split` of Python: what the Gopher paper counts.
    Whitespace,
    /// Word boundaries of UAX #29; segments without a letter or digit are no words. Han characters are words of
    /// their own; Thai, Lao, Khmer and Burmese are cut by dictionary, and so is Japanese.
    Unicode,
}

/// How stretches of Han characters and kana are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Han {
    /// Each character of Han or Hiragana is a word, a run of Katakana is one: the language is known and not Japanese.
    Characters,
    /// By the dictionary: the language is Japanese.
    Dictionary,
    /// By the dictionary where a stretch holds kana: the language is not known.
    Guess,
}

/// One word of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Byte at which it begins.
    pub start: usize,
    /// Byte after its last.
    pub end: usize,
    /// Code points.
    pub characters: usize,
    /// Flags that at least one character has; `PUNCTUATION` says that at least one has it not.
    seen: u16,
}

impl Word {
    /// Whether at least one character has the flag. Not for `PUNCTUATION`.
    #[must_use]
    #[inline]
    pub fn any(&self, flag: u16) -> bool {
        self.seen & flag != 0
    }

    /// Whether all characters are punctuation.
    #[must_use]
    #[inline]
    pub fn is_symbol(&self) -> bool {
        self.seen & PUNCTUATION == 0
    }
}

#[inline]
fn seen(kind: Kind) -> u16 {
    kind.flags() ^ PUNCTUATION
}

/// Takes the words of a text, in order.
pub(super) trait Found {
    /// A word.
    fn word(&mut self, word: Word);

    /// Words of ASCII from byte `at` on.
    #[inline]
    fn ascii(&mut self, words: &AsciiWords, at: usize, table: Characters) {
        let (letter, digit) = letter_and_digit(table);
        words.each(|start, end, has_letter| {
            let seen = seen(if has_letter { letter } else { digit });
            self.word(Word { start: at + start, end: at + end, characters: end - start, seen });
        });
    }
}

struct Each<F>(F);

impl<F: FnMut(Word)> Found for Each<F> {
    #[inline]
    fn word(&mut self, word: Word) {
        (self.0)(word);
    }
}

/// Calls `found` for each word, in order.
#[inline]
pub fn each_word(text: &str, split: Split, han: Han, found: impl FnMut(Word)) {
    find_words(text, split, han, &mut Each(found));
}

/// Hands each word over, in order.
#[inline]
pub(super) fn find_words(text: &str, split: Split, han: Han, found: &mut impl Found) {
    match split {
        Split::Whitespace => at_white_space(text, found),
        Split::Unicode => {
            Unicode { text, bytes: text.as_bytes(), table: Characters::table(), han }.cut(found);
        }
    }
}

fn at_white_space(text: &str, found: &mut impl Found) {
    let bytes = text.as_bytes();
    let table = Characters::table();
    let kind_at = |at: usize| {
        if bytes[at] < 0x80 {
            return (table.ascii(bytes[at]), 1);
        }
        let (code_point, length) = decode(bytes, at);
        (table.of(code_point), length)
    };
    let mut at = 0;
    while at < bytes.len() {
        let (mut kind, mut length) = kind_at(at);
        let (start, mut flags, mut continued) = (at, 0, 0);
        while !kind.is(SPACE) {
            flags |= seen(kind);
            continued += length - 1;
            at += length;
            if at == bytes.len() {
                break;
            }
            (kind, length) = kind_at(at);
        }
        if at > start {
            found.word(Word { start, end: at, characters: at - start - continued, seen: flags });
        }
        at += length; // the space, if there is one
    }
}

struct Unicode<'a> {
    text: &'a str,
    bytes: &'a [u8],
    table: Characters,
    han: Han,
}

/// A word that is being read.
struct Open {
    start: usize,
    at: usize,
    continued: usize,
    flags: u16,
    /// Class of the last character that is no `Extend`.
    last: Break,
    /// Whether the last character is a zero-width joiner.
    joiner: bool,
}

const JOINER: u32 = 0x200d;
/// Classes of ASCII of which words are made.
const IN_WORDS: u32 = Break::Letter.bit() | Break::Numeric.bit() | Break::Connector.bit();

impl Unicode<'_> {
    #[inline]
    fn cut(&self, found: &mut impl Found) {
        let mut at = 0;
        while let Some(&byte) = self.bytes.get(at) {
            if byte >= 0x80 {
                at = self.beyond_ascii(at, found);
            } else if matches!(self.bytes.get(at + 1), Some(0x80..)) {
                // Alone among characters of another script, not worth a look at 64 bytes.
                let in_words = self.table.ascii(byte).class_bit() & IN_WORDS != 0;
                at = if in_words { self.word(at, found) } else { at + 1 };
            } else {
                let words = AsciiWords::of(&self.bytes[at..]);
                found.ascii(&words, at, self.table);
                at += words.next;
                if words.open {
                    at = self.word(at, found);
                }
            }
        }
    }

    /// A word, or none, that begins with a character beyond ASCII; where to go on.
    fn beyond_ascii(&self, at: usize, found: &mut impl Found) -> usize {
        let (kind, length) = self.kind_at(at);
        match kind.word_break() {
            Break::Letter | Break::Hebrew | Break::Numeric | Break::Connector => self.word(at, found),
            Break::Alone | Break::Hiragana | Break::Katakana => self.east_asian(at, found),
            Break::Complex => self.complex(at, found),
            Break::Extend if kind.is(ALPHANUMERIC) => self.alone(at, found, |_| false),
            _ => at + length,
        }
    }

    fn kind_at(&self, at: usize) -> (Kind, usize) {
        let (code_point, length) = decode(self.bytes, at);
        (self.table.of(code_point), length)
    }

    /// A word that begins with a letter, digit or connector: rules WB5 to `WB13b`.
    #[inline]
    fn word(&self, start: usize, found: &mut impl Found) -> usize {
        let mut open = Open { start, at: start, continued: 0, flags: 0, last: Break::Other, joiner: false };
        if !self.ascii_part(&mut open) {
            self.any_part(&mut open);
        }
        if open.flags & ALPHANUMERIC != 0 {
            found.word(Word {
                start,
                end: open.at,
                characters: open.at - start - open.continued,
                seen: open.flags,
            });
        }
        open.at
    }

    /// Reads on while there is ASCII alone; false when the word may go on beyond it.
    #[inline]
    fn ascii_part(&self, open: &mut Open) -> bool {
        while let Some(&byte) = self.bytes.get(open.at) {
            if byte >= 0x80 {
                return false;
            }
            let mut kind = self.table.ascii(byte);
            if kind.class_bit() & IN_WORDS != 0 {
                let (mut at, mut flags, mut last) = (open.at, open.flags, kind);
                while kind.class_bit() & IN_WORDS != 0 {
                    flags |= seen(kind);
                    last = kind;
                    at += 1;
                    match self.bytes.get(at) {
                        Some(&byte) if byte < 0x80 => kind = self.table.ascii(byte),
                        _ => break,
                    }
                }
                (open.at, open.flags, open.last) = (at, flags, last.word_break());
                continue;
            }
            let class = kind.word_break();
            // A separator inside a word, as in "don't" or "3.14": one character ahead decides.
            let wanted = match (open.last, class) {
                (Break::Letter, Break::MidLetter | Break::MidNumLet | Break::SingleQuote) => Break::Letter,
                (Break::Numeric, Break::MidNum | Break::MidNumLet | Break::SingleQuote) => Break::Numeric,
                _ => return !matches!(self.bytes.get(open.at + 1), Some(0x80..)) || class == Break::Other,
            };
            match self.bytes.get(open.at + 1) {
                Some(0x80..) => return false,
                Some(&next) if self.table.ascii(next).word_break() == wanted => {
                    open.flags |= seen(kind);
                    open.at += 1;
                }
                _ => return true,
            }
        }
        true
    }

    /// Reads on by all rules.
    fn any_part(&self, open: &mut Open) {
        while open.at < self.bytes.len() {
            let (code_point, length) = decode(self.bytes, open.at);
            let kind = self.table.of(code_point);
            let class = kind.word_break();
            let joined = match (open.last, class) {
                (Break::Other, _) if open.at == open.start => Some(class),
                (last, Break::Extend) => Some(last), // WB4
                (last, class) if binds(last) && binds(class) => pair_joins(last, class).then_some(class),
                (_, class) if open.joiner && kind.is(PICTOGRAPH) => Some(class),
                (last, class) => self.separator_joins(last, class, open.at + length),
            };
            let Some(last) = joined else { return };
            open.flags |= seen(kind);
            open.continued += length - 1;
            open.at += length;
            open.joiner = code_point == JOINER;
            open.last = last;
        }
    }

    /// What decides about the character after this one, if this one belongs to the word as a separator between two
    /// letters or digits or as the second of them: rules WB6 to `WB7c`, WB11, WB12.
    fn separator_joins(&self, last: Break, class: Break, after: usize) -> Option<Break> {
        let letter = matches!(last, Break::Letter | Break::Hebrew);
        let joins = match class {
            Break::MidLetter | Break::MidNumLet | Break::SingleQuote
                if letter && matches!(self.next_class(after), Break::Letter | Break::Hebrew) =>
            {
                true
            }
            Break::SingleQuote if last == Break::Hebrew => return Some(Break::Other), // `WB7a`: it ends the word.
            Break::DoubleQuote => last == Break::Hebrew && self.next_class(after) == Break::Hebrew,
            Break::MidNum | Break::MidNumLet | Break::SingleQuote => {
                last == Break::Numeric && self.next_class(after) == Break::Numeric
            }
            // The second half of a pair that was joined above.
            Break::Letter | Break::Hebrew => {
                matches!(last, Break::MidLetter | Break::MidNumLet | Break::SingleQuote | Break::DoubleQuote)
            }
            Break::Numeric => matches!(last, Break::MidNum | Break::MidNumLet | Break::SingleQuote),
            _ => false,
        };
        joins.then_some(class)
    }

    /// Class of the first character from `at` that is no `Extend`.
    fn next_class(&self, mut at: usize) -> Break {
        while at < self.bytes.len() {
            let (kind, length) = self.kind_at(at);
            if kind.word_break() != Break::Extend {
                return kind.word_break();
            }
            at += length;
        }
        Break::Other
    }

    /// One character with the marks that follow it, and as long as `next` wants it, the next one likewise.
    #[inline]
    fn alone(&self, start: usize, found: &mut impl Found, next: impl Fn(Kind) -> bool) -> usize {
        let (mut kind, mut length) = self.kind_at(start);
        let mut at = start;
        loop {
            let (start, mut flags, mut characters) = (at, seen(kind), 1);
            at += length;
            let more = loop {
                if at == self.bytes.len() || self.bytes[at] < 0x80 {
                    break false;
                }
                (kind, length) = self.kind_at(at);
                if kind.class_bit() != Break::Extend.bit() {
                    break next(kind);
                }
                at += length;
                flags |= seen(kind);
                characters += 1;
            };
            found.word(Word { start, end: at, characters, seen: flags });
            if !more {
                return at;
            }
        }
    }

    /// Han and kana: each by itself, or the whole stretch by the dictionary.
    fn east_asian(&self, start: usize, found: &mut impl Found) -> usize {
        if self.han != Han::Characters {
            let (end, kana) = self.stretch(start, |class| {
                matches!(class, Break::Alone | Break::Hiragana | Break::Katakana | Break::Extend)
            });
            if self.han == Han::Dictionary || kana {
                self.by_dictionary(start, end, found);
                return end;
            }
        }
        if self.kind_at(start).0.word_break() == Break::Katakana {
            self.word(start, found)
        } else {
            // Up to the end of the stretch at least: looked through once, it holds no kana where the language is not known.
            let together =
                Break::Alone.bit() | if self.han == Han::Characters { Break::Hiragana.bit() } else { 0 };
            self.alone(start, found, |kind| kind.class_bit() & together != 0)
        }
    }

    fn complex(&self, start: usize, found: &mut impl Found) -> usize {
        let (end, _) = self.stretch(start, |class| matches!(class, Break::Complex | Break::Extend));
        self.by_dictionary(start, end, found);
        end
    }

    /// Where the stretch of characters of the wanted classes ends, and whether it holds kana.
    fn stretch(&self, start: usize, wanted: impl Fn(Break) -> bool) -> (usize, bool) {
        let (mut at, mut kana) = (start, false);
        while at < self.bytes.len() && self.bytes[at] >= 0x80 {
            let (kind, length) = self.kind_at(at);
            let class = kind.word_break();
            if !wanted(class) {
                break;
            }
            kana |= matches!(class, Break::Hiragana | Break::Katakana);
            at += length;
        }
        (at, kana)
    }

    fn by_dictionary(&self, start: usize, end: usize, found: &mut impl Found) {
        dictionary::each_word(&self.text[start..end], |from, to| {
            let (mut flags, mut characters, mut at) = (0, 0, start + from);
            while at < start + to {
                let (kind, length) = self.kind_at(at);
                flags |= seen(kind);
                characters += 1;
                at += length;
            }
            if flags & ALPHANUMERIC != 0 {
                found.word(Word { start: start + from, end: start + to, characters, seen: flags });
            }
        });
    }
}

/// Classes that join with each other by the pair alone.
fn binds(class: Break) -> bool {
    matches!(class, Break::Letter | Break::Hebrew | Break::Numeric | Break::Connector | Break::Katakana)
}

/// Rules WB5, WB8 to WB10, WB13 to `WB13b`.
fn pair_joins(last: Break, class: Break) -> bool {
    let katakana = (last == Break::Katakana, class == Break::Katakana);
    match katakana {
        (false, false) | (true, true) => true,
        (true, false) => class == Break::Connector,
        (false, true) => last == Break::Connector,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation as _;

    fn words(text: &str, split: Split, han: Han) -> Vec<&str> {
        let mut found = Vec::new();
        each_word(text, split, han, |word| {
            let word_text = &text[word.start..word.end];
            assert_eq!(word.characters, word_text.chars().count(), "{word_text:?}");
            found.push(word_text);
        });
        found
    }

    fn unicode(text: &str) -> Vec<&str> {
        words(text, Split::Unicode, Han::Characters)
    }

    #[test]
    fn words_are_those_of_the_annex() {
        assert_eq!(
            unicode("The quick (“brown”) fox can’t jump 32.3 feet, right?"),
            ["The", "quick", "brown", "fox", "can’t", "jump", "32.3", "feet", "right"]
        );
        assert_eq!(
            unicode("a_b __ _ x:y 1,000.5 .5 don't' 3'4 I'm. e.g. 5a"),
            ["a_b", "x:y", "1,000.5", "5", "don't", "3'4", "I'm", "e.g", "5a"]
        );
        assert_eq!(
            unicode("中文字 カタカナ ひら 한국어 עברית’ \"1️⃣\" a\u{200d}🙂"),
            ["中", "文", "字", "カタカナ", "ひ", "ら", "한국어", "עברית", "1️⃣", "a\u{200d}🙂"]
        );
        assert_eq!(unicode("א'3 א'ב צה\"ל 3'א"), ["א'", "3", "א'ב", "צה\"ל", "3", "א"]);
        assert!(unicode("🙂 — … 🇩🇪 !!!").is_empty());
    }

    #[test]
    fn a_symbol_is_made_of_punctuation_alone() {
        let mut symbols = Vec::new();
        each_word("a - — b! ‹", Split::Whitespace, Han::Guess, |word| symbols.push(word.is_symbol()));
        assert_eq!(symbols, [false, true, true, false, false]);
    }

    proptest! {
        #[test]
        fn white_space_words_agree_with_the_standard_library(text in "(?s)[ab\u{a0}é漢\u{3000}\t\n !-]{0,30}") {
            let expected: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(words(&text, Split::Whitespace, Han::Guess), expected);
        }

        #[test]
        fn ascii_words_agree_with_another_library(text in "([ -~\n]|[a-z]{1,9}[ ._']?){0,60}") {
            let expected: Vec<&str> = text.unicode_words().collect();
            prop_assert_eq!(unicode(&text), expected);
        }

        #[test]
        fn words_agree_with_another_library(
            text in "([ab1_.,:'\"é\u{301}\u{200d}\u{ad}ñЖ٣漢字かカא״·’＿🙂 \n]|[a-z]{1,9}[ .’]|\\PC){0,60}"
        ) {
            // Where the two differ by design: scripts cut by dictionary; a mark belongs to a symbol before it there.
            // And the cedilla, which joins words since Unicode 17, the version there; ours is that of regex-syntax.
            prop_assume!(!text.chars().any(|c| matches!(c as u32, 0xb8 | 0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x19e0..=0x19ff | 0xa9e0..=0xa9fe | 0xaa60..=0xaa7f)));
            // It also forgets, at a pictograph after a joiner, what came before the joiner and that 🅰 is a letter.
            let pictograph = |c: char| Characters::table().of(c as u32).is(PICTOGRAPH);
            prop_assume!(!text.split('\u{200d}').skip(1).any(|after| after.starts_with(pictograph)));
            let core = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
            let expected: Vec<String> = text.unicode_words().map(core).collect();
            let got: Vec<String> = unicode(&text).into_iter().map(core).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
