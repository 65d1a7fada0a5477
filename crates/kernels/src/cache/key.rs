//! What an entry is found by.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// XXH3-128 of what an entry was made from and how. Equal keys are taken for equal inputs: among a billion
/// different ones, two share a key with a probability of about 10⁻²¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

impl Key {
    /// The key of an input's hash and a configuration's hash, 128 bits each.
    #[must_use]
    pub fn new(content: u128, configuration: u128) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&content.to_le_bytes());
        bytes[16..].copy_from_slice(&configuration.to_le_bytes());
        Self(xxh3_128(&bytes))
    }

    /// The key of several parts, each taken with its length: moving a byte from one to the next gives
    /// another key.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Xxh3Default::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest128())
    }

    /// The one with this number, as [`Key::number`] gave it.
    #[must_use]
    pub fn of_number(number: u128) -> Self {
        Self(number)
    }

    /// The key as a number.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0
    }

    /// The key of a file name; `None` when it is none.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let lower = name.len() == 32 && !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'+');
        if lower { u128::from_str_radix(name, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
