//! The user's lists of words, domains and addresses: an entry a line, or given with the options.
//!
//! Lists reach millions of entries, so what is made of them is made once in a process (see `shared.rs`). A line
//! that cannot be an entry is an error with its number: a list that is half understood removes the wrong rows.

use std::path::PathBuf;
use std::sync::Arc;

use memchr::memchr_iter;
use serde::{Deserialize, Deserializer};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{KernelError, Result};
use crate::shared::Shared;

/// An entry of more bytes is taken for a file that is no list.
const LONGEST: usize = 4096;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where the entries of a list are.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum List {
    /// A file with an entry a line; empty lines and lines that start with `#` are none.
    File {
        /// The file.
        path: PathBuf,
        /// As the user wrote it, for messages.
        name: String,
    },
    /// The entries.
    Entries(Vec<String>),
}

/// A list that was read.
#[derive(Debug)]
pub struct Entries<'a> {
    option: &'a str,
    list: &'a List,
    text: &'a str,
}

impl Entries<'_> {
    /// The option the list is for.
    #[must_use]
    pub fn option(&self) -> &str {
        self.option
    }

    /// Calls `take` for each entry, without white space at its ends.
    ///
    /// # Errors
    /// `Option` with the line and what `take` says against it, or what no entry can be.
    pub fn each(&self, mut take: impl FnMut(&str) -> Result<(), String>) -> Result<()> {
        let mut checked = |entry: &str| {
            if entry.len() > LONGEST {
                return Err(format!("the entry is longer than {LONGEST} bytes"));
            }
            if let Some(control) = entry.chars().find(|c| c.is_control() && *c != '\t') {
                return Err(format!("the entry holds a control character, {control:?}"));
            }
            take(entry)
        };
        match self.list {
            List::Entries(entries) => {
                for entry in entries {
                    checked(entry.trim()).map_err(|reason| self.error(&format!("'{entry}': {reason}")))?;
                }
            }
            List::File { name, .. } => {
                for (line, entry) in self.text.lines().map(str::trim).enumerate() {
                    if entry.is_empty() || entry.starts_with('#') {
                        continue;
                    }
                    checked(entry)
                        .map_err(|reason| self.error(&format!("{name}, line {}: {reason}", line + 1)))?;
                }
            }
        }
        Ok(())
    }

    fn error(&self, reason: &str) -> KernelError {
        KernelError::Option { name: self.option.to_owned(), reason: reason.to_owned() }
    }
}

/// Reads a hash as it crosses from JavaScript: 32 hexadecimal digits, or null.
///
/// # Errors
/// When it is something else.
pub(super) fn content_hash<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u128>, D::Error> {
    let digits = Option::<String>::deserialize(from)?;
    digits.map(|digits| u128::from_str_radix(&digits, 16)).transpose().map_err(serde::de::Error::custom)
}

/// What `make` makes of lists, each with the option it is for, and the hash of all of them. With that hash the
/// files are read only when the process does not hold the value yet, and must still have that content.
///
/// # Errors
/// `Io` when a file cannot be read; `Option` when it is not UTF-8, has a broken line, or has changed.
pub fn of_lists<T>(
    shared: &Shared<T>,
    lists: &[(&str, &List)],
    content_hash: Option<u128>,
    make: impl FnOnce(&[Entries<'_>]) -> Result<T>,
) -> Result<(Arc<T>, u128)> {
    let read = || -> Result<(Vec<String>, u128)> {
        let mut hash = Xxh3::new();
        let mut texts = Vec::with_capacity(lists.len());
        for (option, list) in lists {
            let text = read(option, list)?;
            let inline = if let List::Entries(entries) = list { entries.join("\n") } else { String::new() };
            for part in [option, text.as_str(), &inline] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
            texts.push(text);
        }
        Ok((texts, hash.digest128()))
    };
    let make_of = |texts: Vec<String>| {
        let entries: Vec<Entries<'_>> =
            lists.iter().zip(&texts).map(|(&(option, list), text)| Entries { option, list, text }).collect();
        make(&entries)
    };
    let Some(expected) = content_hash else {
        let (texts, hash) = read()?;
        return Ok((shared.get_or_make(hash, || make_of(texts))?, hash));
    };
    let value = shared.get_or_make(expected, || {
        let (texts, hash) = read()?;
        if hash == expected {
            return make_of(texts);
        }
        let reason = "a list changed since the run was planned".to_owned();
        Err(KernelError::Option { name: "lists".to_owned(), reason })
    })?;
    Ok((value, expected))
}

fn read(option: &str, list: &List) -> Result<String> {
    let List::File { path, name } = list else { return Ok(String::new()) };
    let bytes = std::fs::read(path).map_err(KernelError::io("read", path))?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = memchr_iter(b'\n', &error.as_bytes()[..valid]).count() + 1;
        let reason = format!("{name}, line {line}: not UTF-8");
        KernelError::Option { name: option.to_owned(), reason }
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Result<Vec<String>> {
        let list = List::File { path: PathBuf::new(), name: "bad.txt".to_owned() };
        let mut found = Vec::new();
        Entries { option: "words", list: &list, text }.each(|entry| {
            found.push(entry.to_owned());
            if entry == "x" { Err("no x".to_owned()) } else { Ok(()) }
        })?;
        Ok(found)
    }

    #[test]
    fn entries_are_lines_but_for_comments() {
        assert_eq!(entries("# words\n a \r\n\n漢 字\tb\n").unwrap(), ["a", "漢 字\tb"]);
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, message) in [
            ("a\n\nx", "option 'words': bad.txt, line 3: no x"),
            ("a\0b", "line 1: the entry holds a control character, '\\0'"),
            (&"a".repeat(LONGEST + 1), "longer than 4096 bytes"),
        ] {
            let error = entries(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_list_that_is_not_text_or_has_changed_is_refused() {
        static SHARED: Shared<Vec<String>> = Shared::new();
        let path = std::env::temp_dir().join(format!("gristmill-list-{}.txt", std::process::id()));
        std::fs::write(&path, b"\xef\xbb\xbfa\nb").unwrap();
        let list = List::File { path: path.clone(), name: "list.txt".to_owned() };
        let of = |hash| {
            of_lists(&SHARED, &[("words", &list)], hash, |lists| {
                let mut all = Vec::new();
                lists[0].each(|entry| {
                    all.push(entry.to_owned());
                    Ok(())
                })?;
                Ok(all)
            })
        };
        let (words, hash) = of(None).unwrap();
        assert_eq!(*words, ["a", "b"]);
        std::fs::write(&path, b"a\n\xff").unwrap();
        assert_eq!(*of(Some(hash)).unwrap().0, ["a", "b"]);
        assert!(of(None).unwrap_err().to_string().contains("list.txt, line 2: not UTF-8"));
        std::fs::write(&path, b"c").unwrap();
        assert!(of(Some(hash + 1)).unwrap_err().to_string().contains("changed since"));
        std::fs::remove_file(&path).unwrap();
    }
}
