//! What the writers of `export` have in common: rows go in, one file comes out.
//!
//! The columns of the rows are those of the schema a writer was made for; a field that is not nullable has
//! no null in the whole export.

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{KernelError, Result};
use crate::formats::arrow_write::ArrowFileWriter;
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// A finished file of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleShard {
    /// The file.
    pub file: FinishedFile,
    /// What the format's index states of it, where it has one.
    pub stated: Option<Stated>,
    /// The same of what it decompresses to, where it is compressed.
    pub raw: Option<Stated>,
}

/// What an index states of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of all of it, 16 hexadecimal digits.
    pub hash: String,
}

impl From<FinishedFile> for SampleShard {
    fn from(file: FinishedFile) -> Self {
        Self { file, stated: None, raw: None }
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

/// Samples behind a table of their offsets, as MDS shards and `LitData` chunks have them: u32 n, u32 × (n + 1)
/// offsets in the file, a head, the samples. Held in memory until it is written, for the table comes first.
pub struct OffsetShard {
    /// The samples.
    pub samples: Vec<u8>,
    ends: Vec<usize>,
}

impl OffsetShard {
    /// No samples yet; there will be about so many bytes of them.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // Memory that is not touched costs nothing, moving what is there as it grows does.
        Self { samples: Vec::with_capacity((bytes + bytes / 16) as usize), ends: Vec::new() }
    }

    /// Ends the sample whose bytes were appended.
    pub fn end_sample(&mut self) {
        self.ends.push(self.samples.len());
    }

    /// Writes the file, with `zstd` as one frame.
    ///
    /// # Errors
    /// `Format` when it would be larger than offsets of 32 bits reach; `Io` when writing fails.
    pub fn write(self, path: &Path, head: &[u8], zstd: bool) -> Result<SampleShard> {
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
        let bytes = (table.len() + self.samples.len()) as u64;
        let mut hash = Xxh3::new();
        let parts = [&table, &self.samples];
        for part in parts {
            hash.update(part);
        }
        let content = Stated { bytes, hash: format!("{:016x}", hash.digest()) };
        let mut file = Hashed { file: ShardFile::create(path)?, hash: Xxh3::new() };
        if !zstd {
            for part in parts {
                file.file.append(part)?;
            }
            return Ok(SampleShard { file: file.file.finish()?, stated: Some(content), raw: None });
        }
        compress(&parts, bytes, &mut file).map_err(KernelError::io("write", path))?;
        let hash = format!("{:016x}", file.hash.digest());
        let file = file.file.finish()?;
        Ok(SampleShard { stated: Some(Stated { bytes: file.bytes, hash }), file, raw: Some(content) })
    }
}

/// One frame that says how long its content is, as the readers of these formats need it.
fn compress(parts: &[&Vec<u8>], bytes: u64, file: &mut Hashed) -> std::io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)?;
    encoder.set_pledged_src_size(Some(bytes))?;
    for part in parts {
        encoder.write_all(part)?;
    }
    encoder.finish()?;
    Ok(())
}

/// A file whose hash is taken as a whole.
struct Hashed {
    file: ShardFile,
    hash: Xxh3,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
