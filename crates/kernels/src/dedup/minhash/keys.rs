//! Band keys of one task's rows, cut into partitions by key.
//!
//! A segment is n keys (u64) and then the n rows (u32) they belong to, little-endian.

use std::path::Path;

use arrow_array::Array;

use super::MinhashOptions;
use super::bands::Bands;
use super::shingles::Shingler;
use super::signature::Signer;
use crate::batch::{Batch, TEXT};
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::error::{KernelError, Result};

/// Bytes of a key with its row.
pub const ENTRY_BYTES: usize = 12;

/// Computes band keys; reused from row to row.
pub struct BandKeys {
    bands: Bands,
    shingler: Shingler,
    signer: Signer,
    scratch: Vec<u8>,
}

impl BandKeys {
    /// For rows compared by `options`.
    #[must_use]
    pub fn new(options: &MinhashOptions) -> Self {
        let bands = Bands { bands: options.bands, rows: options.rows };
        Self {
            bands,
            shingler: Shingler::new(options.shingles),
            signer: Signer::new((bands.bands * bands.rows) as usize),
            scratch: Vec::new(),
        }
    }

    /// The keys of a text, one a band; none for a text without shingles, which is no duplicate of anything.
    pub fn of(&mut self, text: &str) -> Option<impl Iterator<Item = u64>> {
        let shingles = self.shingler.sequence(text);
        if shingles.is_empty() {
            return None;
        }
        let signature = self.signer.sign(shingles);
        Some(self.bands.keys(signature, &mut self.scratch))
    }
}

/// Computes and gathers band keys.
pub struct BandKeyWriter {
    keys: BandKeys,
    parts: BandParts,
    rows: u32,
}

/// Band keys with their rows, gathered by partition.
pub struct BandParts(Vec<(Vec<u64>, Vec<u32>)>);

impl BandKeyWriter {
    /// An empty set of keys, for at least one partition.
    #[must_use]
    pub fn new(options: &MinhashOptions, partitions: u32) -> Self {
        Self { keys: BandKeys::new(options), parts: BandParts::new(partitions), rows: 0 }
    }

    /// Adds the rows of a compacted batch, in the order they are spilled. A row without shingles has no
    /// keys: it is no duplicate of anything.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when there is no utf8 column `text`.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        let text = batch.text(TEXT)?;
        for row in (0..text.len()).filter(|&row| text.is_valid(row)) {
            for key in self.keys.of(text.value(row)).into_iter().flatten() {
                self.parts.push(key, self.rows + row as u32);
            }
        }
        self.rows += text.len() as u32;
        Ok(())
    }

    /// Writes the key file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
        self.parts.finish(path)
    }
}

impl BandParts {
    /// For at least one partition.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        Self(vec![(Vec::new(), Vec::new()); partitions as usize])
    }

    /// Adds a key of a row.
    pub fn push(&mut self, key: u64, row: u32) {
        let part = partition(key, self.0.len());
        let (keys, rows) = &mut self.0[part];
        keys.push(key);
        rows.push(row);
    }

    /// Writes the key file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
        let mut file = SegmentWriter::create(path)?;
        for (index, (keys, rows)) in self.0.into_iter().enumerate() {
            if !keys.is_empty() {
                file.append(index as u32, &encode(&keys, &rows))?;
            }
        }
        file.finish()
    }
}

/// The partition of a key: they divide the range of keys evenly.
fn partition(key: u64, partitions: usize) -> usize {
    ((u128::from(key) * partitions as u128) >> 64) as usize
}

/// The bytes of a segment.
#[must_use]
pub fn encode(keys: &[u64], rows: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(keys.len() * ENTRY_BYTES);
    bytes.extend(keys.iter().flat_map(|key| key.to_le_bytes()));
    bytes.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
    bytes
}

/// The keys of a segment with their rows.
///
/// # Errors
/// `Format` when the length is no multiple of an entry's.
pub fn decode(bytes: &[u8]) -> Result<impl Iterator<Item = (u64, u32)>> {
    if !bytes.len().is_multiple_of(ENTRY_BYTES) {
        return Err(KernelError::format("band keys", format!("{} bytes are no whole entries", bytes.len())));
    }
    let (keys, rows) = bytes.split_at(bytes.len() / ENTRY_BYTES * size_of::<u64>());
    let (keys, _) = keys.as_chunks();
    let (rows, _) = rows.as_chunks();
    Ok(keys.iter().zip(rows).map(|(&key, &row)| (u64::from_le_bytes(key), u32::from_le_bytes(row))))
}
