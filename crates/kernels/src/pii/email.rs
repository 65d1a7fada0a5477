//! E-mail addresses: a dot-atom, `@`, and a domain name of ASCII with a top-level domain of letters
//! (RFC 5321, section 4.1.2, without quoted local parts and address literals).

use super::run_end;

/// Longest local part and domain (RFC 5321, section 4.5.3.1).
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;
/// Endings that are names of files or, after a matrix product in code, of methods; none is a top-level domain.
const OTHER_ENDINGS: [&str; 46] = [
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "bmp",
    "ico",
    "css",
    "scss",
    "js",
    "jsx",
    "mjs",
    "ts",
    "tsx",
    "html",
    "htm",
    "json",
    "yml",
    "yaml",
    "toml",
    "txt",
    "xml",
    "pdf",
    "php",
    "exe",
    "jar",
    "whl",
    "inv",
    "transpose",
    "shape",
    "astype",
    "dot",
    "reshape",
    "conj",
    "copy",
    "values",
    "flatten",
    "item",
    "real",
    "imag",
    "diag",
    "sum",
    "mean",
    "max",
    "min",
];

/// The address around the `@` at `at`.
pub(super) fn around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = local_start(text, at)?;
    let end = domain_end(text, at + 1)?;
    // `git@host:path` names a repository, `user@host:22` a place to log in.
    let path = text.get(end) == Some(&b':')
        && text.get(end + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'~'));
    (!path).then_some((start, end))
}

fn local_start(text: &[u8], at: usize) -> Option<usize> {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let from = at.saturating_sub(LONGEST_LOCAL + 1);
    let length = text[from..at].iter().rev().take_while(|&&byte| belongs(byte)).count();
    let mut start = at - length;
    // `@user@host` is a name on a social network, `user:password@host` part of an address of a page.
    if start > 0 && text[start - 1] == b'@' {
        return None;
    }
    // After the last sign that tells a path or a query from an address.
    if let Some(cut) = text[start..at].iter().rposition(|byte| b"/=?&|`".contains(byte)) {
        start += cut + 1;
    }
    // What is allowed in front of an address is far more often punctuation around it.
    while start < at && !text[start].is_ascii_alphanumeric() && text[start] != b'_' {
        start += 1;
    }
    let local = &text[start..at];
    let fits = !local.is_empty()
        && local.len() <= LONGEST_LOCAL
        && !local.ends_with(b".")
        && !local.windows(2).any(|pair| pair == b"..")
        && local.iter().any(u8::is_ascii_alphanumeric);
    fits.then_some(start)
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let end = run_end(text, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let mut end = start + text[start..end].iter().rposition(u8::is_ascii_alphanumeric)? + 1;
    if text.get(end).is_some_and(|&byte| byte == b'_' || byte == b'@') || end - start > LONGEST_DOMAIN {
        return None;
    }
    if let Some(doubled) = text[start..end].windows(2).position(|pair| pair == b"..") {
        end = start + doubled;
    }
    let domain = &text[start..end];
    let labels = || domain.split(|&byte| byte == b'.');
    let fits = labels().all(|label| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with(b"-") && !label.ends_with(b"-")
    });
    let top = labels().next_back()?;
    let is_top = (top.len() >= 2 && top.len() <= 24 && top.iter().all(u8::is_ascii_alphabetic))
        || top.to_ascii_lowercase().starts_with(b"xn--");
    let is_other = OTHER_ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending.as_bytes()));
    (fits && is_top && !is_other && labels().count() >= 2).then_some(end)
}
