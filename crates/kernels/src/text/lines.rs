//! Lines and paragraphs, as Python cuts them.

use super::characters::{self, Characters, LINE_END, SPACE};

/// Calls `line` for each line as `str.splitlines` of Python gives them, without their ends; `\r\n` is one end.
pub fn split_lines<'a>(text: &'a str, mut line: impl FnMut(&'a str)) {
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
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
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
