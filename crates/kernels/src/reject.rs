//! Records that could not be read. Bad input is data: a reader returns these beside the rows.

/// How many bytes of a rejected record are kept.
pub const KEPT_BYTES: usize = 64 << 10;

/// One record that goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Input file, relative to the configuration.
    pub file: String,
    /// Byte offset in the decompressed stream, or row number.
    pub offset: u64,
    /// Bytes of the whole record; 0 where the format has none (a row of a columnar file).
    pub length: u64,
    /// Stable code of the reason, as in `json-syntax`; `docs/quarantine.md` lists them.
    pub code: &'static str,
    /// The reason for a person.
    pub reason: String,
    /// The first [`KEPT_BYTES`] bytes of the record; empty where they are kept by reference only.
    pub bytes: Vec<u8>,
}

impl Reject {
    /// A reject of a record whose bytes are at hand.
    #[must_use]
    pub fn of_bytes(
        file: &str,
        offset: u64,
        record: &[u8],
        code: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            offset,
            length: record.len() as u64,
            code,
            reason: reason.into(),
            bytes: record[..record.len().min(KEPT_BYTES)].to_vec(),
        }
    }
}
