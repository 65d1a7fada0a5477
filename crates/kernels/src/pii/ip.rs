//! Public IP addresses. Those that belong to nobody in particular are no private data: private (RFC 1918,
//! RFC 4193), documentation (RFC 5737, RFC 3849, RFC 9637), loopback, link-local, multicast, shared (RFC 6598),
//! benchmarking (RFC 2544), reserved and unspecified addresses, and all of IPv6 outside global unicast, `2000::/3`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{is_digit_at, is_word_at, run_end};

/// Bytes before an address that may say what it is.
const NEAR: usize = 64;
/// Words before four numbers that make them a version or the number of a section.
const NOT_ADDRESSES: [&str; 28] = [
    "version",
    "versions",
    "ver",
    "v",
    "release",
    "section",
    "sections",
    "sec",
    "chapter",
    "rev",
    "revision",
    "build",
    "firmware",
    "clause",
    "table",
    "figure",
    "appendix",
    "zlib",
    "gcc",
    "openssl",
    "sqlite",
    "kernel",
    "firefox",
    "chrome",
    "python",
    "ironpython",
    "oid",
    "thunderbird",
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 0, 0))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [first, second, third, ..] = address.segments();
    let documentation = (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    let benchmarking = first == 0x2001 && second == 2 && third == 0;
    first & 0xe000 == 0x2000 && !documentation && !benchmarking
}

/// The IPv4 address whose first digit is at `start`.
pub(super) fn v4_at(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let before = start.checked_sub(1);
    if is_word_at(text, before) || (before.is_some_and(|at| matches!(text[at], b'.' | b'-' | b'+'))) {
        return None;
    }
    let mut octets = [0; 4];
    let mut place = start;
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            if text.get(place) != Some(&b'.') {
                return None;
            }
            place += 1;
        }
        let end = run_end(text, place, |byte| byte.is_ascii_digit());
        let digits = text.get(place..end).filter(|digits| (1..=3).contains(&digits.len()))?;
        if digits.len() > 1 && digits[0] == b'0' {
            return None;
        }
        *octet =
            u8::try_from(digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))).ok()?;
        place = end;
    }
    let goes_on = is_word_at(text, Some(place))
        || (matches!(text.get(place), Some(b'.' | b'-' | b'+')) && is_word_at(text, Some(place + 1)));
    let public = is_public_v4(Ipv4Addr::from(octets));
    (public && !goes_on && !is_numbering(text, start, place, octets)).then_some((start, place))
}

/// Whether four numbers are a version or a heading: by the word before, or by a heading's form.
fn is_numbering(text: &[u8], start: usize, end: usize, octets: [u8; 4]) -> bool {
    // Only what is near counts: a line may be a whole document, and hold a million addresses.
    let near = start.saturating_sub(NEAR);
    let line = memchr::memrchr(b'\n', &text[near..start]).map(|newline| near + newline + 1);
    let line = line.or((near == 0).then_some(0));
    let before = text[line.unwrap_or(near)..start].trim_ascii_end();
    // `__version__ = "1.2.3.4"`, `Version: 1.2.3.4`, `library==1.2.3.4`, `Browser/1.2.3.4`
    let length = before.iter().rposition(|byte| !b" \t\"'=([_.:".contains(byte)).map_or(0, |at| at + 1);
    let (named, joint) = before.split_at(length);
    let word = named.iter().rposition(|byte| !byte.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    let product = named.strip_suffix(b"/").map_or(&[][..], |rest| {
        &rest[rest.iter().rposition(|byte| !byte.is_ascii_alphabetic()).map_or(0, |at| at + 1)..]
    });
    if named.ends_with("§".as_bytes())
        || joint.windows(2).any(|two| two == b"==")
        || product.first().is_some_and(u8::is_ascii_uppercase)
        || NOT_ADDRESSES.iter().any(|not| named[word..].eq_ignore_ascii_case(not.as_bytes()))
    {
        return true;
    }
    let heading = text.get(end) == Some(&b' ') && text.get(end + 1).is_some_and(u8::is_ascii_uppercase);
    line.is_some() && before.is_empty() && heading && octets.iter().all(|&octet| octet < 30)
}

/// The IPv6 address around the `:` at `colon`, which is its first.
pub(super) fn v6_around(text: &[u8], colon: usize) -> Option<(usize, usize)> {
    let digits = text[..colon].iter().rev().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let start = colon - digits;
    let before = start.checked_sub(1);
    if digits > 4 || is_word_at(text, before) || before.is_some_and(|at| matches!(text[at], b':' | b'.')) {
        return None;
    }
    let end = run_end(text, colon, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    // The full stop of a sentence, or the colon before what follows.
    let mut end = start + text[start..end].iter().rposition(|byte| *byte != b'.')? + 1;
    if text[..end].ends_with(b":") && !text[..end].ends_with(b"::") {
        end -= 1;
    }
    if is_word_at(text, Some(end)) || end - start > 45 || is_digit_at(text, Some(end)) {
        return None;
    }
    // `Note of 2004::` announces a block of code in reStructuredText; a network says how long it is.
    if end - start == 6 && text[..end].ends_with(b"::") && text.get(end) != Some(&b'/') {
        return None;
    }
    let address: Ipv6Addr = str::from_utf8(&text[start..end]).ok()?.parse().ok()?;
    is_public_v6(address).then_some((start, end))
}
