//! A strict JSON scanner (RFC 8259) over one record.
//!
//! It does not build values: it walks them, hands out raw slices, and decodes strings straight into a
//! column. Nesting is kept on an explicit stack, so depth costs memory in proportion and never the
//! thread's stack.

use crate::formats::records::column::TextColumn;

/// Why a record, or one value of it, cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code.
    pub code: &'static str,
    /// For a person, with the byte's place in the record.
    pub reason: String,
}

/// What kind of value was walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Float,
    /// A string.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Kind {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer | Self::Float => "a number",
            Self::String => "a string",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }
}

/// Result of a scan.
pub type Scan<T> = Result<T, Fault>;

/// Walks one record.
pub struct Scanner<'a, 's> {
    text: &'a str,
    at: usize,
    /// Open brackets of the value being skipped.
    stack: &'s mut Vec<u8>,
}

impl<'a, 's> Scanner<'a, 's> {
    /// A scanner at the start of `text`; `stack` is scratch space.
    pub fn new(text: &'a str, stack: &'s mut Vec<u8>) -> Self {
        Self { text, at: 0, stack }
    }

    /// Where the scanner is.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The text between two places, both at the edge of a token.
    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    /// The byte at the scanner, if any.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over whitespace.
    pub fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// A syntax fault at the scanner.
    #[cold]
    pub fn expected(&self, what: &str) -> Fault {
        let got = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "the end of the record".to_owned(),
            Some(character) => format!("{character:?}"),
        };
        Fault { code: "json-syntax", reason: format!("at byte {}: expected {what}, got {got}", self.at) }
    }

    /// Steps over a key and its colon; returns the raw key between its quotes, and whether it has escapes.
    ///
    /// # Errors
    /// `json-syntax`.
    pub fn key(&mut self) -> Scan<(&'a str, bool)> {
        self.whitespace();
        if !self.eat(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        let from = self.at;
        let escaped = self.skip_string()?;
        let raw = &self.text[from..self.at - 1];
        self.whitespace();
        if !self.eat(b':') {
            return Err(self.expected("':'"));
        }
        Ok((raw, escaped))
    }

    /// Steps over any value, checking all of it.
    ///
    /// # Errors
    /// `json-syntax`.
    pub fn skip_value(&mut self) -> Scan<Kind> {
        self.whitespace();
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            _ => return self.scalar(),
        };
        self.stack.clear();
        loop {
            if self.open_or_scalar()? {
                continue;
            }
            if self.close()? {
                return Ok(kind);
            }
        }
    }

    /// At the start of a value inside a container: true when the next thing is again a value.
    fn open_or_scalar(&mut self) -> Scan<bool> {
        self.whitespace();
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.at += 1;
                self.whitespace();
                // Brackets close with the byte two after the one that opens, in ASCII.
                if self.eat(open + 2) {
                    return Ok(false);
                }
                self.stack.push(open);
                if open == b'{' {
                    self.key()?;
                }
                Ok(true)
            }
            _ => self.scalar().map(|_| false),
        }
    }

    /// After a value: closes what ends here. True when nothing is open any more, false at the next value.
    fn close(&mut self) -> Scan<bool> {
        while let Some(&open) = self.stack.last() {
            self.whitespace();
            if self.eat(b',') {
                if open == b'{' {
                    self.key()?;
                }
                return Ok(false);
            }
            if !self.eat(open + 2) {
                return Err(self.expected(if open == b'{' { "',' or '}'" } else { "',' or ']'" }));
            }
            self.stack.pop();
        }
        Ok(true)
    }

    fn scalar(&mut self) -> Scan<Kind> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.skip_string().map(|_| Kind::String)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::Boolean(true)),
            Some(b'f') => self.literal("false", Kind::Boolean(false)),
            Some(b'n') => self.literal("null", Kind::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Scan<Kind> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(kind);
        }
        Err(self.expected("a value"))
    }

    fn digits(&mut self) -> Scan<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.expected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Scan<Kind> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        let mut kind = Kind::Integer;
        if self.eat(b'.') {
            kind = Kind::Float;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            kind = Kind::Float;
            let _sign = self.eat(b'-') || self.eat(b'+');
            self.digits()?;
        }
        Ok(kind)
    }

    /// Past the opening quote: steps over the string; true when it has escapes.
    fn skip_string(&mut self) -> Scan<bool> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            self.at += plain_run(&bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.in_string()),
            }
        }
    }

    #[cold]
    fn in_string(&self) -> Fault {
        match self.peek() {
            None => self.expected("'\"' to end a string"),
            Some(_) => self.expected("no control character in a string"),
        }
    }

    /// At the opening quote: decodes the string into the staged value of `out`.
    ///
    /// A lone surrogate is no syntax error, but such a string has no UTF-8; the fault then comes as the
    /// inner result and the string has been stepped over.
    ///
    /// # Errors
    /// `json-syntax`; `json-surrogate` inside.
    pub fn string_into(&mut self, out: &mut TextColumn) -> Scan<Scan<()>> {
        let bytes = self.text.as_bytes();
        let quote = self.at;
        self.at += 1;
        loop {
            let from = self.at;
            self.at += plain_run(&bytes[from..]);
            out.push_str(&self.text[from..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Ok(()));
                }
                Some(b'\\') => match self.escape()? {
                    Escape::Character(character) => out.push_char(character),
                    Escape::LoneSurrogate(at) => {
                        self.skip_string()?;
                        return Ok(Err(Fault {
                            code: "json-surrogate",
                            reason: format!(
                                "at byte {at}: a lone surrogate in the string at byte {quote}, which has no UTF-8"
                            ),
                        }));
                    }
                },
                _ => return Err(self.in_string()),
            }
        }
    }

    /// At a backslash: steps over the escape.
    fn escape(&mut self) -> Scan<Escape> {
        let backslash = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => plain as char,
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(backslash);
            }
            _ => return Err(self.expected("an escape: one of \"\\/bfnrtu")),
        };
        self.at += 1;
        Ok(Escape::Character(character))
    }

    /// Past `\u`: four hexadecimal digits, and the other half of a surrogate pair if it follows.
    fn unicode_escape(&mut self, backslash: usize) -> Scan<Escape> {
        let unit = self.hex4()?;
        if let Some(character) = char::from_u32(unit) {
            return Ok(Escape::Character(character));
        }
        let is_high = unit < 0xDC00;
        if is_high && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            let resume = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).map_or(Escape::LoneSurrogate(backslash), Escape::Character));
            }
            // The second escape stands for itself.
            self.at = resume;
        }
        Ok(Escape::LoneSurrogate(backslash))
    }

    fn hex4(&mut self) -> Scan<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| (byte as char).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

enum Escape {
    Character(char),
    /// The place of its backslash.
    LoneSurrogate(usize),
}

/// Length of the start of `bytes` without a quote, a backslash or a control character.
///
/// Blocks of 32 are tested at once (the fold compiles to vector compares), the last block word by word.
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    for block in bytes.chunks_exact(32) {
        let special = block.iter().fold(0_u8, |found, &byte| {
            found | u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
        });
        if special != 0 {
            break;
        }
        at += 32;
    }
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| <[u8; 8]>::try_from(word).ok()) {
        let mask = special_mask(u64::from_le_bytes(word));
        if mask != 0 {
            return at + (mask.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = &bytes[at..];
    at + tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(tail.len())
}

/// The high bit of each special byte of a little-endian word; bits above the lowest one may be false.
///
/// Zero-in-word of Mycroft (1987): `(x - 0x01…) & !x & 0x80…`. A borrow only spoils bytes above a true hit.
fn special_mask(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let below = |limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equals = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    (below(0x20) | equals(b'"') | equals(b'\\')) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_run_ends_where_a_plain_loop_says(bytes in prop::collection::vec(
            prop_oneof![8 => 0x20_u8..=0xff, 1 => Just(b'"'), 1 => Just(b'\\'), 1 => any::<u8>()], 0..100,
        )) {
            let expected = bytes
                .iter()
                .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
                .unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), expected);
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let depth = 1_000_000;
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(Scanner::new(&text, &mut Vec::new()).skip_value(), Ok(Kind::Array));
        let open = Scanner::new(&"[".repeat(depth), &mut Vec::new()).skip_value();
        assert_eq!(open.unwrap_err().reason, "at byte 1000000: expected a value, got the end of the record");
    }
}
