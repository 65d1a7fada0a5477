//! What one task counted, in a file: lists of n-grams, then a directory that says where each lies.
//!
//! ```text
//! lists       zstd of: for each n-gram its count (LEB128), its bytes (LEB128) and its UTF-8
//! directory   zstd of JSON
//! u64         where the directory begins, little-endian
//! u64         bytes of the directory before compression
//! ```
//!
//! Such files are scratch of one version: the format may change with any.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::collect::Group;
use super::lengths::Lengths;
use super::ngrams::{NgramList, NgramTable, hash_of};
use crate::error::{KernelError, Result};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Most bytes of a list or of a directory: thousands of groups take a few megabytes.
const LONGEST: u64 = 1 << 30;
const TRAILER: u64 = 16;
const ZSTD_LEVEL: i32 = 1;

/// What is in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Directory {
    /// Whether each grouping had too many groups to be one.
    pub left_out: Vec<bool>,
    /// The groups, in the order of their first rows.
    pub groups: Vec<GroupPart>,
}

/// One group in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupPart {
    /// The grouping whose group it is; none when it is a part of several.
    pub of: Option<usize>,
    /// Its value of each grouping column.
    pub values: Vec<Option<String>>,
    /// Its rows.
    pub lengths: Lengths,
    /// Its lists, one for each n.
    pub lists: Vec<ListPart>,
}

/// One list in a file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ListPart {
    /// Occurrences of all n-grams.
    pub total: u64,
    /// By how much counts may be too low.
    pub error: u64,
    offset: u64,
    length: u64,
    /// Bytes before compression.
    unpacked: u64,
}

pub(super) fn write(
    path: impl AsRef<Path>,
    left_out: Vec<bool>,
    groups: &[Group],
    lists: &[NgramList],
    sizes: usize,
) -> Result<FinishedFile> {
    let mut file = ShardFile::create(path)?;
    let mut parts = Vec::with_capacity(groups.len());
    for (at, group) in groups.iter().enumerate() {
        let mut own = Vec::with_capacity(sizes);
        for list in &lists[at * sizes..(at + 1) * sizes] {
            let unpacked = encode(list);
            let packed = pack(&unpacked)?;
            let offset = file.bytes();
            file.append(&packed)?;
            let (length, unpacked) = (packed.len() as u64, unpacked.len() as u64);
            own.push(ListPart { total: list.total, error: list.error, offset, length, unpacked });
        }
        let values = group.values.iter().map(|value| value.as_deref().map(str::to_owned)).collect();
        parts.push(GroupPart { of: group.of, values, lengths: group.lengths.clone(), lists: own });
    }
    let directory =
        serde_json::to_vec(&Directory { left_out, groups: parts }).map_err(KernelError::internal)?;
    let start = file.bytes();
    file.append(&pack(&directory)?)?;
    file.append(&start.to_le_bytes())?;
    file.append(&(directory.len() as u64).to_le_bytes())?;
    file.finish()
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).map_err(KernelError::internal)
}

fn encode(list: &NgramList) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (ngram, count) in list.iter() {
        put(&mut bytes, count);
        put(&mut bytes, ngram.len() as u64);
        bytes.extend_from_slice(ngram.as_bytes());
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A file open for reading.
pub struct PartialFile<'a> {
    path: &'a Path,
    file: File,
    bytes: u64,
}

impl<'a> PartialFile<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// `Io` when it cannot be opened.
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(KernelError::io("read", path))?;
        let bytes = file.metadata().map_err(KernelError::io("read", path))?.len();
        Ok(Self { path, file, bytes })
    }

    /// Reads the directory.
    ///
    /// # Errors
    /// `Io`; `Format` when the file is damaged.
    pub fn directory(&mut self) -> Result<Directory> {
        let end = self.bytes.checked_sub(TRAILER).ok_or_else(|| self.damaged("it is too short"))?;
        let trailer = self.read(end, TRAILER)?;
        let number =
            |at: usize| trailer[at..at + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let (start, unpacked) = (number(0), number(8));
        if start > end {
            return Err(self.damaged("its end makes no sense"));
        }
        let bytes = self.unpack(start, end - start, unpacked)?;
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(error))
    }

    /// Adds a list of the file to a list of a table.
    ///
    /// # Errors
    /// `Io`; `Format` when the file is damaged.
    pub fn add_to(&mut self, table: &mut NgramTable, list: usize, part: &ListPart) -> Result<()> {
        table.absorb(list, part.total, part.error);
        let bytes = self.unpack(part.offset, part.length, part.unpacked)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let entry = take(&mut rest).and_then(|count| {
                let length = usize::try_from(take(&mut rest)?).ok()?;
                let (ngram, after) = rest.split_at_checked(length)?;
                rest = after;
                Some((std::str::from_utf8(ngram).ok()?, count))
            });
            let (ngram, count) = entry.ok_or_else(|| self.damaged("a list does not end where it should"))?;
            table.add(list, hash_of(ngram), ngram, count);
        }
        Ok(())
    }

    fn unpack(&mut self, offset: u64, length: u64, unpacked: u64) -> Result<Vec<u8>> {
        if unpacked > LONGEST {
            return Err(self.damaged("it states a length that makes no sense"));
        }
        let packed = self.read(offset, length)?;
        zstd::bulk::decompress(&packed, unpacked as usize).map_err(|error| self.damaged(error))
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>> {
        if offset.checked_add(length).is_none_or(|end| end > self.bytes) {
            return Err(self.damaged("it ends too early"));
        }
        let mut bytes = vec![0; length as usize];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(KernelError::io("read", self.path))?;
        Ok(bytes)
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> KernelError {
        KernelError::format("statistics of a task", format!("{}: {reason}", self.path.display()))
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}
