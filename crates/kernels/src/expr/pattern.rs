//! `like` patterns: `%` matches any run of characters, `_` one code point, the rest itself.

use regex::Regex;

use crate::error::{KernelError, Result};

/// A compiled pattern; the common forms need no regular expression.
#[derive(Debug)]
pub enum Pattern {
    /// No wildcard.
    Exact(String),
    /// `text%`
    Prefix(String),
    /// `%text`
    Suffix(String),
    /// `%text%`
    Part(String),
    /// Anything else.
    General(Regex),
}

impl Pattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// `Option` when it is too large to compile.
    pub fn new(pattern: &str) -> Result<Self> {
        let inner = pattern.trim_matches('%');
        if !inner.contains(['%', '_']) {
            let open = (pattern.starts_with('%'), pattern.ends_with('%'));
            let inner = inner.to_owned();
            return Ok(match open {
                (false, false) => Self::Exact(inner),
                (false, true) => Self::Prefix(inner),
                (true, false) => Self::Suffix(inner),
                (true, true) => Self::Part(inner),
            });
        }
        let mut regex = String::from("(?s)^");
        for character in pattern.chars() {
            match character {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        Regex::new(&regex)
            .map(Self::General)
            .map_err(|error| KernelError::Option { name: "like".to_owned(), reason: error.to_string() })
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(whole) => text == whole,
            Self::Prefix(start) => text.starts_with(start.as_str()),
            Self::Suffix(end) => text.ends_with(end.as_str()),
            Self::Part(part) => memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Self::General(regex) => regex.is_match(text),
        }
    }
}

/// Why a regular expression cannot be compiled, in one line; `None` when it can.
#[must_use]
pub fn regex_problem(pattern: &str) -> Option<String> {
    match Regex::new(pattern) {
        Ok(_) => None,
        // The crate draws the pattern with a caret over several lines and ends in "error: reason".
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            Some(last.trim_start_matches("error: ").to_owned())
        }
    }
}
