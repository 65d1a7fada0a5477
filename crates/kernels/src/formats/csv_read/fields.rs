//! Where a record of CSV ends, and its fields. Both follow the same four states.

use super::{CsvOptions, Value};

/// Bytes with a meaning.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
}

impl Dialect {
    /// The bytes of the options, which TypeScript has checked to be ASCII.
    pub fn new(options: &CsvOptions) -> Self {
        Self { delimiter: options.delimiter as u8, quote: options.quote.map(|quote| quote as u8) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote inside quotes: doubled, or closing.
    QuoteInQuoted,
}

/// Finds record ends in a stream.
pub(super) struct RecordEnd {
    dialect: Dialect,
    state: State,
}

impl RecordEnd {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, state: State::FieldStart }
    }

    pub(super) fn reset(&mut self) {
        self.state = State::FieldStart;
    }

    /// Whether the record so far ends inside quotes.
    pub(super) fn in_quotes(&self) -> bool {
        self.state == State::Quoted
    }

    /// Where the current record ends, past its `\n`.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(quote) = self.dialect.quote else {
            return memchr::memchr(b'\n', bytes).map(|at| at + 1);
        };
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                // A quote opens a field, or is the second of a doubled one; anything else is plain.
                State::FieldStart | State::QuoteInQuoted if rest[0] == quote => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::FieldStart | State::QuoteInQuoted => self.state = State::Unquoted,
                State::Unquoted => {
                    at += memchr::memchr2(self.dialect.delimiter, b'\n', rest)? + 1;
                    self.state = State::FieldStart;
                    if bytes[at - 1] == b'\n' {
                        return Some(at);
                    }
                }
                State::Quoted => {
                    at += memchr::memchr(quote, rest)? + 1;
                    self.state = State::QuoteInQuoted;
                }
            }
        }
        None
    }
}

/// One field of a record.
pub(super) struct Field<'a> {
    pub(super) value: Value<'a>,
    quoted: bool,
}

impl Field<'_> {
    /// Whether there is nothing, not even quotes.
    pub(super) fn is_null(&self) -> bool {
        !self.quoted && self.value.is_empty()
    }
}

/// Calls `take` with each field of a record and its number.
pub(super) fn each_field<'a>(record: &'a str, dialect: Dialect, mut take: impl FnMut(usize, Field<'a>)) {
    let mut rest = record;
    for nth in 0.. {
        let (field, length) = match dialect.quote {
            Some(quote) if rest.as_bytes().first() == Some(&quote) => quoted(rest, quote, dialect.delimiter),
            _ => unquoted(rest, dialect.delimiter),
        };
        take(nth, field);
        if length == rest.len() {
            return;
        }
        // The byte is the delimiter, which is ASCII.
        rest = &rest[length + 1..];
    }
}

/// A field without quotes at its start, and its length.
fn unquoted(rest: &str, delimiter: u8) -> (Field<'_>, usize) {
    let length = memchr::memchr(delimiter, rest.as_bytes()).unwrap_or(rest.len());
    (Field { value: rest[..length].into(), quoted: false }, length)
}

/// A field that starts with a quote, and its length.
fn quoted(rest: &str, quote: u8, delimiter: u8) -> (Field<'_>, usize) {
    let bytes = rest.as_bytes();
    let mut value = Value::Borrowed("");
    let mut at = 1;
    while let Some(length) = memchr::memchr(quote, &bytes[at..]) {
        let closing = at + length;
        if bytes.get(closing + 1) == Some(&quote) {
            // Doubled: one of the two belongs to the value.
            value += &rest[at..=closing];
            at = closing + 2;
        } else {
            value += &rest[at..closing];
            let (tail, length) = unquoted(&rest[closing + 1..], delimiter);
            value += tail.value;
            return (Field { value, quoted: true }, closing + 1 + length);
        }
    }
    // The quote is never closed: only of a record that is cut short, which its reader rejects.
    value += &rest[at..];
    (Field { value, quoted: true }, rest.len())
}
