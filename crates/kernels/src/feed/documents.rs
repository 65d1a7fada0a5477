//! The documents of a run as samples of their own: how long each is and where it lies.
//!
//! Both come from the shards' `.idx` files (see [`crate::formats::megatron`]), mapped and never read whole.

use std::path::PathBuf;

use super::dataset::Stretch;
use super::mapped::{MappedFile, Stated};
use crate::error::{KernelError, Result};

const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
const HEADER_BYTES: u64 = 34;

/// All documents of a run, in the order of its shards.
#[derive(Debug)]
pub struct Documents {
    indices: Vec<Index>,
    /// Documents up to the end of each shard.
    ends: Vec<u64>,
}

#[derive(Debug)]
struct Index {
    file: MappedFile,
    rows: u64,
    /// Bytes of an id.
    width: u64,
}

/// What the manifest says of one shard's index.
#[derive(Debug)]
pub struct IndexFile {
    /// The file.
    pub path: PathBuf,
    /// Its length and checksums.
    pub stated: Stated,
    /// Documents.
    pub rows: u64,
    /// Bytes of an id.
    pub width: u64,
}

impl Documents {
    /// Maps the indices.
    ///
    /// # Errors
    /// As [`MappedFile::open`]; `Format` when a file is no index of as many documents as stated.
    pub fn open(files: Vec<IndexFile>, check: bool) -> Result<Self> {
        let indices: Vec<Index> =
            files.into_iter().map(|file| Index::open(file, check)).collect::<Result<_>>()?;
        let ends = indices
            .iter()
            .scan(0, |end, index| {
                *end += index.rows;
                Some(*end)
            })
            .collect();
        Ok(Self { indices, ends })
    }

    /// Documents.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Ids of a document.
    ///
    /// # Errors
    /// `Format` when there is no such document; as [`MappedFile::bytes`].
    pub fn length(&self, document: u64) -> Result<u32> {
        let (shard, row) = self.place(document)?;
        self.indices[shard].length(row)
    }

    /// Where a document lies.
    ///
    /// # Errors
    /// As [`Documents::length`].
    pub fn stretch(&self, document: u64) -> Result<Stretch> {
        let (shard, row) = self.place(document)?;
        let index = &self.indices[shard];
        let from = index.number::<8>(index.offset_at(row))?;
        let from = u64::from_le_bytes(from) / index.width;
        Ok(Stretch { from, shard: shard as u32, length: index.length(row)? })
    }

    /// Asks the memory for where a document lies and how long it is.
    pub fn ask(&self, document: u64) {
        if let Ok((shard, row)) = self.place(document) {
            let index = &self.indices[shard];
            index.file.ask(index.offset_at(row));
            index.file.ask(HEADER_BYTES + 4 * row);
        }
    }

    /// The shard of a document, and its place there.
    fn place(&self, document: u64) -> Result<(usize, u64)> {
        let shard = self.ends.partition_point(|&end| end <= document);
        if shard == self.ends.len() {
            let reason = format!("there is no document {document} of {}", self.count());
            return Err(KernelError::format("megatron", reason));
        }
        let from = shard.checked_sub(1).map_or(0, |before| self.ends[before]);
        Ok((shard, document - from))
    }
}

impl Index {
    fn open(IndexFile { path, stated, rows, width }: IndexFile, check: bool) -> Result<Self> {
        let file = MappedFile::open(&path, stated, check)?;
        let whole = rows.checked_mul(20).and_then(|arrays| arrays.checked_add(HEADER_BYTES + 8));
        let header = file.bytes(0, file.len().min(HEADER_BYTES))?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let right =
            whole == Some(file.len()) && &header[..9] == MAGIC && number(9) == 1 && number(18) == rows;
        if !right {
            let reason = format!("{} is not an index of {rows} documents", path.display());
            return Err(KernelError::format("megatron", reason));
        }
        Ok(Self { file, rows, width })
    }

    fn number<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let bytes = self.file.bytes(at, at + N as u64)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    /// Where the first byte of a document is told.
    fn offset_at(&self, row: u64) -> u64 {
        HEADER_BYTES + 4 * self.rows + 8 * row
    }

    fn length(&self, row: u64) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number::<4>(HEADER_BYTES + 4 * row)?))
    }
}
