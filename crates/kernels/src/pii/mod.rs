//! Private data in text: finding it, and masking it or removing the rows that hold it.
//!
//! Finds what has a form of its own: addresses, numbers with a checksum or a known plan, keys with a known
//! start. Names and street addresses have none and are not looked for. What is found is never copied into a
//! record: matches are kinds and places.
//!
//! | file | finds |
//! |---|---|
//! | `email.rs` | e-mail addresses |
//! | `phone.rs` | phone numbers: international, Chinese, North American |
//! | `ip.rs` | public IPv4 and IPv6 addresses |
//! | `numbers.rs` | credit cards, IBANs, Chinese resident identity numbers |
//! | `secrets.rs` | API keys and private keys |
//! | `scan.rs` | all of them, in one pass |
//! | `apply.rs` | what becomes of the rows |

pub mod apply;
mod email;
mod ip;
mod numbers;
mod phone;
mod scan;
mod secrets;
#[cfg(test)]
mod tests;

pub use scan::Finder;

/// A kind of private data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A public IPv4 or IPv6 address.
    Ip,
    /// The number of a payment card.
    CreditCard,
    /// An international bank account number.
    Iban,
    /// A Chinese resident identity number.
    ResidentId,
    /// A key or token of a service.
    ApiKey,
    /// A private key in PEM or PGP armour.
    PrivateKey,
}

impl Kind {
    /// All kinds, in the order of the rules.
    pub const ALL: [Self; 8] = [
        Self::Email,
        Self::Phone,
        Self::Ip,
        Self::CreditCard,
        Self::Iban,
        Self::ResidentId,
        Self::ApiKey,
        Self::PrivateKey,
    ];

    /// The name users write, also the rule in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Ip => "ip",
            Self::CreditCard => "credit-card",
            Self::Iban => "iban",
            Self::ResidentId => "resident-id",
            Self::ApiKey => "api-key",
            Self::PrivateKey => "private-key",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Private data at `start..end` of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// Whether the byte at `place`, if there is one, is a letter or digit of ASCII or an underscore.
fn is_word_at(text: &[u8], place: Option<usize>) -> bool {
    place.and_then(|place| text.get(place)).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn is_digit_at(text: &[u8], place: Option<usize>) -> bool {
    place.and_then(|place| text.get(place)).is_some_and(u8::is_ascii_digit)
}

/// Where a run of bytes that `belongs` accepts ends, from `start` on.
fn run_end(text: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    text[start..].iter().position(|&byte| !belongs(byte)).map_or(text.len(), |length| start + length)
}

/// Whether a comma at `place` parts thousands, as in `1,234`, and not values.
fn is_thousands_at(text: &[u8], place: usize) -> bool {
    text[place] == b',' && run_end(text, place + 1, |byte| byte.is_ascii_digit()) == place + 4
}
