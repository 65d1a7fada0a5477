//! Lines and paragraphs, as Python cuts them. The lines of a batch that line feeds separate are found once for each
//! version of its text and shared by the steps that look at lines.

use std::sync::Arc;

use arrow_array::Array;
use memchr::{memchr, memchr_iter};

use super::characters::{self, Characters, LINE_END, SPACE};
use super::spans::{Span, Spans};
use super::windows::any_window;
use crate::batch::Batch;
use crate::error::Result;
use crate::hash::fold;

/// The lines of all rows of a text column that were selected when they were found: what line feeds separate, as
/// `text.split("\n")` of Python has it.
#[derive(Debug)]
pub struct Lines {
    spans: Spans,
    /// Whether [`split_lines`] knows no other ends in a row.
    feeds_alone: Vec<bool>,
}

/// The lines of one row.
#[derive(Debug, Clone, Copy)]
pub struct RowLines<'a> {
    spans: &'a [Span],
    feeds_alone: bool,
}

impl Lines {
    fn find(batch: &Batch, column: &str) -> Result<Self> {
        let text = batch.text(column)?;
        let mut feeds_alone = vec![false; text.len()];
        let spans = Spans::find(batch, text, text.values().len() / 64 + text.len(), |row, text, spans| {
            feeds_alone[row] = has_feeds_alone(text);
            push_lines(text, spans);
        });
        Ok(Self { spans, feeds_alone })
    }

    /// Lines of a row; none for a row that was removed before they were found.
    pub fn of(&self, row: usize) -> RowLines<'_> {
        RowLines { spans: self.spans.of(row), feeds_alone: self.feeds_alone[row] }
    }
}

impl<'a> RowLines<'a> {
    /// The lines of one text, in a list of the caller's.
    pub fn of(text: &str, spans: &'a mut Vec<Span>) -> Self {
        spans.clear();
        push_lines(text, spans);
        Self { spans, feeds_alone: has_feeds_alone(text) }
    }

    /// Where each line lies.
    #[must_use]
    pub fn spans(self) -> &'a [Span] {
        self.spans
    }
}

fn push_lines(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        spans.push(Span { start: start as u32, end: end as u32, hash: fold::hash(&bytes[start..end]) });
        start = end + 1;
    }
}

/// The lines of a batch's column: those found before, where the text has not changed since.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when the column is not utf8.
pub fn lines_of(batch: &mut Batch, column: &str) -> Result<Arc<Lines>> {
    if let Some(lines) = known_lines(batch, column)? {
        return Ok(lines);
    }
    let lines = Arc::new(Lines::find(batch, column)?);
    batch.remember_lines(Arc::clone(&lines));
    Ok(lines)
}

/// The lines of a batch's column if they were found before.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when the column is not utf8.
pub fn known_lines(batch: &Batch, column: &str) -> Result<Option<Arc<Lines>>> {
    let text = batch.text(column)?;
    Ok(batch.known_lines().filter(|lines| lines.spans.are_of(text)).cloned())
}

/// Calls `line` as [`split_lines`] does; `known` are the lines of this text, where they were found before.
pub fn python_lines<'a>(text: &'a str, known: Option<RowLines<'_>>, line: impl FnMut(&'a str)) {
    match known {
        Some(RowLines { spans, feeds_alone: true }) => {
            // Python has no line after the last line feed.
            let ended = spans.last().is_some_and(|last| last.start == last.end);
            spans[..spans.len() - usize::from(ended)].iter().map(|span| span.of(text)).for_each(line);
        }
        Some(_) => split_at_any_end(text, line),
        None => split_lines(text, line),
    }
}

/// Calls `line` for each line as `str.splitlines` of Python gives them, without their ends; `\r\n` is one end.
pub fn split_lines<'a>(text: &'a str, mut line: impl FnMut(&'a str)) {
    if !has_feeds_alone(text) {
        return split_at_any_end(text, line);
    }
    let mut rest = text;
    while let Some(end) = memchr(b'\n', rest.as_bytes()) {
        line(&rest[..end]);
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        line(rest);
    }
}

/// Whether a text is sure to have no line end but line feeds. One pass at the speed of memory, so that ordinary text
/// can be searched for line feeds afterwards, instead of being looked up byte by byte.
fn has_feeds_alone(text: &str) -> bool {
    !any_window(text.as_bytes(), |[first, second, third, _]| {
        (first < 0x20 && first != b'\n' && first != b'\t')
            || (first == 0xc2 && second == 0x85)
            || (first == 0xe2 && second == 0x80 && third & 0xfe == 0xa8)
    })
}

fn split_at_any_end<'a>(text: &'a str, mut line: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let table = Characters::table();
    let ascii = text.is_ascii();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        // Every line end is a control, U+0085 (C2 85) or U+2028/9 (E2 80 A8/A9).
        let length = if byte < 0x20 {
            usize::from(table.ascii(byte).is(LINE_END))
        } else if ascii || (byte != 0xc2 && byte != 0xe2) {
            0
        } else {
            let (code_point, length) = characters::decode(bytes, at);
            if table.of(code_point).is(LINE_END) { length } else { 0 }
        };
        if length == 0 {
            at += 1;
            continue;
        }
        line(&text[start..at]);
        at += length + usize::from(byte == b'\r' && bytes.get(at + 1) == Some(&b'\n'));
        start = at;
    }
    if start < bytes.len() {
        line(&text[start..]);
    }
}

/// Calls `part` for each part of `re.split(r"\n{least,}", text)`.
pub fn split_at_line_feeds<'a>(text: &'a str, least: usize, mut part: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = memchr(b'\n', &bytes[at..]) {
        let from = at + found;
        let run = bytes[from..].iter().take_while(|&&byte| byte == b'\n').count();
        at = from + run;
        if run >= least {
            part(&text[start..from]);
            start = at;
        }
    }
    part(&text[start..]);
}

/// `str.strip` of Python.
#[must_use]
pub fn strip(text: &str) -> &str {
    strip_end(strip_start(text))
}

/// `str.lstrip` of Python.
#[must_use]
pub fn strip_start(text: &str) -> &str {
    let table = Characters::table();
    text.trim_start_matches(|c: char| table.of(c as u32).is(SPACE))
}

/// `str.rstrip` of Python.
#[must_use]
pub fn strip_end(text: &str) -> &str {
    let table = Characters::table();
    text.trim_end_matches(|c: char| table.of(c as u32).is(SPACE))
}

/// [`strip`] of a text where it is.
pub fn strip_in_place(text: &mut String) {
    text.truncate(strip_end(text).len());
    let blank = text.len() - strip_start(text).len();
    text.drain(..blank);
}

/// Whether a text holds white space alone, or nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    strip_start(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        split_lines(text, |line| found.push(line));
        found
    }

    fn parts(text: &str, least: usize) -> Vec<&str> {
        let mut found = Vec::new();
        split_at_line_feeds(text, least, |part| found.push(part));
        found
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(lines("a\nb\r\nc\rd\x0be\x1cf\u{85}g\u{2028}h"), ["a", "b", "c", "d", "e", "f", "g", "h"]);
        assert_eq!(lines("\n\na\n"), ["", "", "a"]);
        assert_eq!(lines("\u{2019}â\n"), ["\u{2019}â"]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn parts_are_those_of_a_regular_expression() {
        assert_eq!(parts("\na\n\nb\n", 1), ["", "a", "b", ""]);
        assert_eq!(parts("a\nb\n\n\nc", 2), ["a\nb", "c"]);
        assert_eq!(parts("", 2), [""]);
    }

    proptest! {
        #[test]
        fn lines_found_before_are_the_same(text in "[ab\u{85}\u{2019}\n\r]{0,8}|[ab\n\t ]{0,300}") {
            let mut spans = Vec::new();
            let known = RowLines::of(&text, &mut spans);
            let feeds: Vec<&str> = known.spans().iter().map(|span| span.of(&text)).collect();
            prop_assert_eq!(feeds, text.split('\n').collect::<Vec<_>>());
            let mut found = Vec::new();
            python_lines(&text, Some(known), |line| found.push(line));
            prop_assert_eq!(found, lines(&text));
        }

        #[test]
        fn parts_agree_with_the_regular_expression(text in "[a\n]{0,20}", least in 1_usize..4) {
            let expected: Vec<&str> =
                regex::Regex::new(&format!("\n{{{least},}}")).unwrap().split(&text).collect();
            prop_assert_eq!(parts(&text, least), expected);
        }

        #[test]
        fn lines_and_their_ends_are_the_text(text in "[aé\u{85}\u{2028}\u{2029}\u{2026}\n\r\x0b]{0,20}") {
            let expected: Vec<&str> = regex::Regex::new("\r\n|[\n\r\x0b\x0c\x1c-\x1e\u{85}\u{2028}\u{2029}]")
                .unwrap()
                .split(&text)
                .collect();
            let got = lines(&text);
            let last = expected.len() - usize::from(expected.last() == Some(&""));
            prop_assert_eq!(got, expected[..last].to_vec());
        }
    }
}
