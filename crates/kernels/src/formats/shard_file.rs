//! A local file under construction that hashes what passes through it.
//!
//! Every writer of shards goes through this one, so that each published file has its block checksums.
//! Writing is buffered; [`ShardFile::finish`] flushes but does not sync: the engine syncs off the
//! worker's thread before it publishes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{KernelError, Result};
use crate::hash::blocks::{BlockHasher, BlockHashes};

/// Buffer between the writer and the operating system.
const BUFFER_BYTES: usize = 256 << 10;

/// A file under construction.
pub struct ShardFile {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: BlockHasher,
    bytes: u64,
}

/// A finished file: where it is and what it hashes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedFile {
    /// Local path.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-64 over the block hashes, 16 hexadecimal digits.
    pub checksum: String,
    /// XXH3-64 of each MiB block, 16 hexadecimal digits each, concatenated.
    pub blocks: String,
}

impl FinishedFile {
    /// The file at `path` whose bytes hash to `hashes`.
    #[must_use]
    pub fn of_hashes(path: String, hashes: &BlockHashes) -> Self {
        let mut blocks = String::with_capacity(hashes.blocks.len() * 16);
        for hash in &hashes.blocks {
            // Writing to a string cannot fail.
            let _ = write!(blocks, "{hash:016x}");
        }
        Self { path, bytes: hashes.bytes, checksum: format!("{:016x}", hashes.digest()), blocks }
    }
}

impl ShardFile {
    /// Creates (or truncates) the file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::create(&path).map_err(KernelError::io("create", &path))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hasher: BlockHasher::default(),
            bytes: 0,
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `Io`, with the disk-full code where that is the cause.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(KernelError::io("write", &self.path))
    }

    /// Flushes, closes and sums up.
    ///
    /// # Errors
    /// `Io` when the last bytes cannot be written.
    pub fn finish(self) -> Result<FinishedFile> {
        let mut file = self.file;
        file.flush().map_err(KernelError::io("write", &self.path))?;
        Ok(FinishedFile::of_hashes(self.path.to_string_lossy().into_owned(), &self.hasher.finish()))
    }
}

impl Write for ShardFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.append(bytes).map_err(|error| match error {
            KernelError::Io { source, .. } => source,
            other => std::io::Error::other(other.to_string()),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
