//! Keys of services, told by the form their issuer gives them, and private keys in armour.

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Kind, Match, is_word_at, run_end};
use crate::error::{KernelError, Result};

/// Characters a key goes on with.
#[derive(Debug, Clone, Copy)]
enum Alphabet {
    Alphanumeric,
    /// Also `-` and `_`.
    Url,
    /// Upper case and digits.
    Upper,
    Hexadecimal,
    /// Also `+` and `/`.
    Base64,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hexadecimal => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b'A'..=b'F'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
        }
    }
}

/// What a key looks like: its start, and parts of an alphabet, of least and most length, joined by a dot.
struct Form {
    start: &'static str,
    parts: &'static [(Alphabet, usize, usize)],
}

use Alphabet::{Alphanumeric, Base64, Hexadecimal, Upper, Url};

macro_rules! forms {
    ($($start:literal: $(($alphabet:ident, $least:expr, $most:expr))+;)+) => {
        &[$(Form { start: $start, parts: &[$(($alphabet, $least, $most)),+] }),+]
    };
}

/// As the issuers document them, or as their own scanners look for them.
const FORMS: &[Form] = forms! {
    "AKIA": (Upper, 16, 16);
    "ASIA": (Upper, 16, 16);
    "ABIA": (Upper, 16, 16);
    "ACCA": (Upper, 16, 16);
    "ghp_": (Alphanumeric, 36, 251);
    "gho_": (Alphanumeric, 36, 251);
    "ghu_": (Alphanumeric, 36, 251);
    "ghs_": (Alphanumeric, 36, 251);
    "ghr_": (Alphanumeric, 36, 251);
    "github_pat_": (Url, 60, 100);
    "glpat-": (Url, 20, 64);
    "xoxb-": (Url, 20, 100);
    "xoxp-": (Url, 20, 100);
    "xoxa-": (Url, 20, 100);
    "xoxr-": (Url, 20, 100);
    "xoxs-": (Url, 20, 100);
    "xapp-": (Url, 20, 160);
    "sk_live_": (Alphanumeric, 16, 247);
    "sk_test_": (Alphanumeric, 16, 247);
    "rk_live_": (Alphanumeric, 16, 247);
    "rk_test_": (Alphanumeric, 16, 247);
    "whsec_": (Base64, 32, 64);
    "AIza": (Url, 35, 35);
    "GOCSPX-": (Url, 28, 28);
    "ya29.": (Url, 40, 400);
    "sk-proj-": (Url, 40, 200);
    "sk-ant-": (Url, 40, 200);
    "sk-or-v1-": (Hexadecimal, 64, 64);
    "sk-": (Alphanumeric, 32, 64);
    "hf_": (Alphanumeric, 34, 40);
    "npm_": (Alphanumeric, 36, 36);
    "pypi-AgE": (Url, 50, 400);
    "SG.": (Url, 20, 24) (Url, 39, 50);
    "dop_v1_": (Hexadecimal, 64, 64);
    "shpat_": (Hexadecimal, 32, 32);
    "shpss_": (Hexadecimal, 32, 32);
    "SK": (Hexadecimal, 32, 32);
    "LTAI": (Alphanumeric, 16, 26);
    "AKID": (Alphanumeric, 32, 36);
    "eyJ": (Url, 10, 2000) (Url, 10, 8000) (Url, 20, 1000);
    "https://hooks.slack.com/services/T": (Base64, 30, 60);
    "dckr_pat_": (Url, 27, 27);
    "lin_api_": (Alphanumeric, 40, 40);
    "gsk_": (Alphanumeric, 48, 56);
    "tvly-": (Alphanumeric, 32, 40);
};

/// Names whose value is a secret of AWS: 40 characters that have no form of their own.
const AWS_SECRETS: [&str; 4] =
    ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "aws_secret_key", "SecretAccessKey"];
const ARMOUR: &str = "-----BEGIN ";
/// Bytes of the longest private key in armour; those of RSA with 16,384 bits have 13,000.
const LONGEST_BODY: usize = 1 << 16;

/// Looks for the starts of all of them at once.
pub(super) struct Secrets {
    starts: AhoCorasick,
}

impl Secrets {
    pub fn new() -> Result<Self> {
        let starts = FORMS.iter().map(|form| form.start).chain(AWS_SECRETS).chain([ARMOUR]);
        let starts = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(starts);
        Ok(Self { starts: starts.map_err(KernelError::internal)? })
    }

    /// Adds what is found, in order.
    pub fn find(&self, text: &[u8], found: &mut Vec<Match>) {
        let mut done = 0;
        for start in self.starts.find_iter(text) {
            if start.start() < done {
                continue;
            }
            let pattern = start.pattern().as_usize();
            let secret = if let Some(form) = FORMS.get(pattern) {
                key(text, start.start(), form).map(|end| (Kind::ApiKey, start.start(), end))
            } else if pattern < FORMS.len() + AWS_SECRETS.len() {
                aws_secret(text, start.end()).map(|(from, end)| (Kind::ApiKey, from, end))
            } else {
                private_key(text, start.start()).map(|end| (Kind::PrivateKey, start.start(), end))
            };
            if let Some((kind, start, end)) = secret {
                done = end;
                found.push(Match { kind, start, end });
            }
        }
    }
}

fn key(text: &[u8], start: usize, form: &Form) -> Option<usize> {
    let joined = is_word_at(text, start.checked_sub(1))
        || start.checked_sub(1).is_some_and(|at| matches!(text[at], b'-' | b'/' | b'+' | b'.'));
    if joined {
        return None;
    }
    let mut end = start + form.start.len();
    for (number, &(alphabet, least, most)) in form.parts.iter().enumerate() {
        if number > 0 {
            if text.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let part = end;
        end = run_end(text, part, |byte| alphabet.has(byte));
        if !(least..=most).contains(&(end - part)) {
            return None;
        }
    }
    (!is_word_at(text, Some(end)) && is_varied(&text[start + form.start.len()..end])).then_some(end)
}

/// Whether a key was made by chance: not one letter over and over, as in `sk_live_xxxxxxxxxxxx`, and not words.
fn is_varied(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in body {
        seen[usize::from(byte)] = true;
    }
    let distinct = seen.iter().filter(|&&seen| seen).count();
    let has_digit = body.iter().any(u8::is_ascii_digit);
    let longest_run = body.chunk_by(|a, b| a == b).map(<[u8]>::len).max().unwrap_or(0);
    distinct >= 8 && has_digit && longest_run < 6
}

/// The value after a name, as in `aws_secret_access_key = "…"`.
fn aws_secret(text: &[u8], name_end: usize) -> Option<(usize, usize)> {
    let start =
        run_end(text, name_end, |byte| matches!(byte, b' ' | b'\t' | b'=' | b':' | b'"' | b'\'' | b'>'));
    if start == name_end || start - name_end > 8 {
        return None;
    }
    let end = run_end(text, start, |byte| Base64.has(byte));
    (end - start == 40 && text.get(end) != Some(&b'=') && is_varied(&text[start..end]))
        .then_some((start, end))
}

/// The end of a private key in armour that starts at `start`: of its last line, or, where that is missing, of
/// its body. A header that no key follows is talk about keys.
fn private_key(text: &[u8], start: usize) -> Option<usize> {
    let label_start = start + ARMOUR.len();
    let label_end = label_start
        + memchr::memmem::find(
            text.get(label_start..label_start + 48.min(text.len() - label_start))?,
            b"-----",
        )?;
    let label = &text[label_start..label_end];
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let body = label_end + "-----".len();
    // Lines of base64, headers as in `Proc-Type: 4,ENCRYPTED`, and line ends written out in JSON.
    let in_body = |byte: u8| {
        Base64.has(byte)
            || matches!(
                byte,
                b'=' | b'\n'
                    | b'\r'
                    | b'\\'
                    | b' '
                    | b'\t'
                    | b':'
                    | b','
                    | b'-'
                    | b'.'
                    | b'"'
                    | b'\''
                    | b'('
                    | b')'
                    | b'>'
            )
    };
    let footer = [b"-----END ", label, b"-----"].concat();
    let reach = text.len().min(body + LONGEST_BODY);
    // The next line of armour, if it is the footer: never another key's, and looked for once.
    let next = memchr::memmem::find(&text[body..reach], b"-----").map(|at| body + at);
    let end = match next {
        Some(at) if text[at..].starts_with(&footer) && text[body..at].iter().all(|&byte| in_body(byte)) => {
            at + footer.len()
        }
        _ => run_end(text, body, |byte| {
            Base64.has(byte) || matches!(byte, b'=' | b'\n' | b'\r' | b'\\' | b' ')
        }),
    };
    let longest_line = text[body..end].split(|&byte| !Base64.has(byte)).map(<[u8]>::len).max().unwrap_or(0);
    (longest_line >= 24 && is_varied(&text[body..end])).then_some(end)
}
