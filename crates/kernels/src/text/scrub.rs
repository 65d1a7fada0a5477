//! Control characters and white space: what is clean, and how the rest is cleaned.
//!
//! Each rule comes as a check that runs at memory speed over clean text, and a rewrite of the rest.

use super::normalize::Controls;

/// Bytes checked at a time: long enough for the vectorised loop, short enough to stop early.
const BLOCK: usize = 4096;

/// Whether no byte starts something that [`clean_controls`] would change.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy operators branch and stop the loop from being vectorised"
)]
pub fn controls_are_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    let unclean = |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\n') | (byte == 0x7f);
    let c0 = bytes.chunks(BLOCK).any(|block| block.iter().fold(false, |any, &byte| any | unclean(byte)));
    // U+0080 to U+009F are C2 80 to C2 9F.
    !c0 && (text.is_ascii() || !memchr::memchr_iter(0xc2, bytes).any(|at| bytes[at + 1] < 0xa0))
}

/// Removes C0 and C1 controls and DEL, or puts a space in place of each. Tab and line feed stay; carriage
/// return (with a line feed after it, as one) and U+0085 are line ends and become line feeds.
pub fn clean_controls(text: &str, mode: Controls, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\t' | '\n' => out.push(character),
            '\r' => {
                rest.next_if_eq(&'\n');
                out.push('\n');
            }
            '\u{85}' => out.push('\n'),
            _ if character.is_control() => {
                if mode == Controls::Space {
                    out.push(' ');
                }
            }
            _ => out.push(character),
        }
    }
}

/// Whether [`clean_whitespace`] would change nothing.
#[expect(clippy::needless_bitwise_bool, reason = "as above")]
pub fn whitespace_is_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return true };
    if is_space(first) || is_space(last) {
        return false;
    }
    // Blocks overlap by two, so that every byte is seen with the two that follow it. The last two bytes
    // need no look: `last` is no space, so nothing starts there but a carriage return before it.
    let mut from = 0;
    while from + 2 < bytes.len() {
        let to = (from + BLOCK).min(bytes.len() - 2);
        let unclean = bytes[from..to].iter().zip(&bytes[from + 1..]).zip(&bytes[from + 2..]).fold(
            false,
            |any, ((&a, &b), &c)| {
                let blank = |byte: u8| (byte == b' ') | (byte == b'\t');
                let feed = |byte: u8| byte == b'\n';
                any | (a == b'\r') | blank(a) & (blank(b) | feed(b)) | feed(a) & feed(b) & feed(c)
            },
        );
        if unclean {
            return false;
        }
        from = to;
    }
    bytes.len() < 2 || bytes[bytes.len() - 2] != b'\r'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Carriage returns (with a line feed after them, as one) become line feeds; of a run of spaces and tabs
/// one space stays, of a lone tab the tab; none stays at the end of a line; of a run of line feeds two
/// stay; none of these stays at the ends of the text.
pub fn clean_whitespace(text: &str, out: &mut String) {
    let start = out.len();
    let mut feeds = 0_usize;
    // The blanks met since the last other character, written once it is known what follows.
    let mut blanks: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' => blanks = Some(if blanks.is_some() { ' ' } else { character }),
            '\r' | '\n' => {
                if character == '\r' {
                    rest.next_if_eq(&'\n');
                }
                blanks = None;
                feeds += 1;
            }
            _ => {
                if out.len() > start {
                    (0..feeds.min(2)).for_each(|_| out.push('\n'));
                    out.extend(blanks);
                }
                out.push(character);
                (feeds, blanks) = (0, None);
            }
        }
    }
}
