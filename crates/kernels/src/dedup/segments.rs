//! Files of segments: what the tasks of a deduplication hand to each other, grouped by who will ask.

use std::path::Path;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::batch;
use crate::error::Result;
use crate::formats::shard_file::ShardFile;

/// A stretch of a key or decision file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Partition (key files) or group (decision files).
    pub group: u32,
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// XXH3-64 of the bytes, 16 hexadecimal digits.
    pub checksum: String,
}

/// A file of segments under construction.
pub struct SegmentWriter {
    file: ShardFile,
    segments: Vec<Segment>,
}

impl SegmentWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { file: ShardFile::create(path)?, segments: Vec::new() })
    }

    /// Bytes written so far; the offset of what comes next.
    pub fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Appends bytes that belong to no segment: a segment's content refers to them by offset.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn append_loose(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes)
    }

    /// Appends a segment.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn append(&mut self, group: u32, bytes: &[u8]) -> Result<()> {
        let checksum = format!("{:016x}", xxh3_64(bytes));
        let (offset, length) = (self.file.bytes(), bytes.len() as u64);
        self.segments.push(Segment { group, offset, length, checksum });
        self.file.append(bytes)
    }

    /// Appends a record batch as a segment.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn append_record(&mut self, group: u32, record: &RecordBatch) -> Result<()> {
        self.append(group, &batch::to_ipc(record)?)
    }

    /// Closes the file: its size and its segments.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<(u64, Vec<Segment>)> {
        Ok((self.file.finish()?.bytes, self.segments))
    }
}
