//! What the writers of `export` have in common: rows go in, one file comes out.
//!
//! The columns of the rows are those of the schema a writer was made for; a field that is not nullable has
//! no null in the whole export.

use std::path::Path;

use arrow_array::RecordBatch;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{KernelError, Result};
use crate::formats::arrow_write::ArrowFileWriter;
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// A finished file of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleShard {
    /// The file.
    pub file: FinishedFile,
    /// XXH3-64 of the whole file, 16 hexadecimal digits, where the format's index states it.
    pub hash: Option<String>,
}

impl From<FinishedFile> for SampleShard {
    fn from(file: FinishedFile) -> Self {
        Self { file, hash: None }
    }
}

/// A file of samples under construction.
pub trait SampleWriter {
    /// Appends rows.
    ///
    /// # Errors
    /// `Format` when a value has no form in the format; `Io` when writing fails.
    fn write(&mut self, rows: &RecordBatch) -> Result<()>;

    /// Closes the file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    fn finish(self: Box<Self>) -> Result<SampleShard>;
}

impl SampleWriter for ArrowFileWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        Self::write(self, rows)
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        Self::finish(*self).map(Into::into)
    }
}

impl SampleWriter for ParquetWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        Self::write(self, rows)
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        Self::finish(*self).map(Into::into)
    }
}

/// Samples behind a table of their offsets, as MDS shards and LitData chunks have them: u32 n, u32 × (n + 1)
/// offsets in the file, a head, the samples. Held in memory until it is written, for the table comes first.
#[derive(Default)]
pub struct OffsetShard {
    /// The samples.
    pub samples: Vec<u8>,
    ends: Vec<usize>,
}

impl OffsetShard {
    /// Ends the sample whose bytes were appended.
    pub fn end_sample(&mut self) {
        self.ends.push(self.samples.len());
    }

    /// Writes the file.
    ///
    /// # Errors
    /// `Format` when it would be larger than offsets of 32 bits reach; `Io` when writing fails.
    pub fn write(self, path: &Path, head: &[u8]) -> Result<SampleShard> {
        let start = 4 * (self.ends.len() + 2) + head.len();
        let too_large = || {
            let reason = "a shard of more than 4 GiB: the format's offsets have 32 bits, so no sample may be \
                          larger, and the shard size must be smaller";
            KernelError::format("export", reason)
        };
        let mut table = Vec::with_capacity(start);
        table.extend_from_slice(&u32::try_from(self.ends.len()).map_err(|_| too_large())?.to_le_bytes());
        for end in std::iter::once(0).chain(self.ends) {
            table.extend_from_slice(&u32::try_from(start + end).map_err(|_| too_large())?.to_le_bytes());
        }
        table.extend_from_slice(head);
        let mut file = ShardFile::create(path)?;
        let mut hash = Xxh3::new();
        for part in [&table, &self.samples] {
            file.append(part)?;
            hash.update(part);
        }
        Ok(SampleShard { file: file.finish()?, hash: Some(format!("{:016x}", hash.digest())) })
    }
}
