//! Buckets: the rows of one partition that share a band key.
//!
//! From here on a row is one number over all tasks: its task's base, the number of rows before it, plus its
//! ordinal in the task. The file is a sequence of u32: the size of a bucket, then its rows, rising.

use std::path::Path;

use super::keys::{ENTRY_BYTES, decode};
use crate::error::{KernelError, Result};
use crate::formats::shard_file::ShardFile;

/// Writes the buckets of two rows or more to `path`; the file's size.
///
/// `inputs` are the partition's segments of every task, each with the task's base. What is written does not
/// depend on their order. Rows below `known` are of earlier runs: they stay whatever they share, so buckets of
/// them alone are left out.
///
/// # Errors
/// `Format` when a segment is damaged; `Io` when writing fails.
pub fn write(inputs: &[(u32, &[u8])], known: u32, path: impl AsRef<Path>) -> Result<u64> {
    let count = inputs.iter().map(|(_, bytes)| bytes.len() / ENTRY_BYTES).sum();
    let mut entries: Vec<(u64, u32)> = Vec::with_capacity(count);
    for &(base, bytes) in inputs {
        entries.extend(decode(bytes)?.map(|(key, row)| (key, base + row)));
    }
    entries.sort_unstable();
    entries.dedup();
    let mut file = ShardFile::create(path)?;
    let mut bytes: Vec<u8> = Vec::new();
    let decides = |bucket: &&[(u64, u32)]| bucket.len() > 1 && bucket.iter().any(|&(_, row)| row >= known);
    for bucket in entries.chunk_by(|a, b| a.0 == b.0).filter(decides) {
        bytes.extend((bucket.len() as u32).to_le_bytes());
        bytes.extend(bucket.iter().flat_map(|(_, row)| row.to_le_bytes()));
        if bytes.len() >= 1 << 20 {
            file.append(&bytes)?;
            bytes.clear();
        }
    }
    file.append(&bytes)?;
    Ok(file.finish()?.bytes)
}

/// The bucket that `words` starts with, and what follows.
///
/// # Errors
/// `Format` when it ends early.
pub fn split_first(words: &[u32]) -> Result<Option<(&[u32], &[u32])>> {
    let Some((&size, rest)) = words.split_first() else { return Ok(None) };
    let bucket = rest.split_at_checked(size as usize).filter(|_| size > 0);
    bucket.map(Some).ok_or_else(|| KernelError::format("buckets", "a bucket ends early"))
}

/// Bytes as u32.
///
/// # Errors
/// `Format` when they are no multiple of four.
pub fn words(bytes: &[u8]) -> Result<Vec<u32>> {
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(KernelError::format("buckets", format!("{} bytes are no whole words", bytes.len())));
    }
    Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
}
