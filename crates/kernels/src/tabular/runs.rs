//! Sorted runs of a column's values on disk: what exact medians, modes and categories need, in bounded memory.
//!
//! Two forms. A run of *numbers* is keys of eight bytes, rising: the value at a rank over all runs is found by
//! bisection, which touches a few places of each. A run of *counts* is distinct keys, rising, each with how often it
//! occurred: runs are merged, and every key is seen once, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::dedup::segments::SegmentWriter;
use crate::error::{KernelError, Result};

const KEY: usize = size_of::<u64>();
/// Keys that bisection holds in memory for each run: 32 KiB.
const WINDOW: u64 = 4096;
/// Bytes that a merge reads at a time from each run.
const READ_BYTES: usize = 64 * 1024;

/// Where a run lies in its task's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    offset: u64,
    length: u64,
    /// XXH3-64 of the bytes: whoever names a task after the run's place names it after its content, too.
    checksum: u64,
}

impl Run {
    fn append(file: &mut SegmentWriter, bytes: &[u8]) -> Result<Self> {
        let run = Self { offset: file.bytes(), length: bytes.len() as u64, checksum: xxh3_64(bytes) };
        file.append_loose(bytes)?;
        Ok(run)
    }

    /// Writes keys, which it sorts and takes.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn of_numbers(file: &mut SegmentWriter, keys: &mut Vec<u64>) -> Result<Self> {
        keys.sort_unstable();
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        keys.clear();
        Self::append(file, &bytes)
    }

    /// Writes counts of distinct keys, which it sorts.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn of_counts<K: AsRef<[u8]> + Ord>(
        file: &mut SegmentWriter,
        mut counts: Vec<(K, u64)>,
    ) -> Result<Self> {
        counts.sort_unstable();
        let mut bytes = Vec::new();
        for (key, count) in &counts {
            let key = key.as_ref();
            bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        Self::append(file, &bytes)
    }
}

/// A run and the file it lies in.
pub type Placed<'a> = (&'a Path, &'a Run);

fn read(path: &Path, offset: u64, bytes: &mut [u8]) -> Result<()> {
    // Opened each time: a merge of thousands of tasks would hold as many files.
    let mut file = File::open(path).map_err(KernelError::io("open", path))?;
    file.seek(SeekFrom::Start(offset)).map_err(KernelError::io("read", path))?;
    file.read_exact(bytes).map_err(KernelError::io("read", path))
}

fn key_at(bytes: &[u8]) -> u64 {
    let mut key = [0; KEY];
    key.copy_from_slice(bytes);
    u64::from_le_bytes(key)
}

/// A run of numbers under bisection: keys before `from` are too small, those from `to` too large.
struct Narrowing {
    path: PathBuf,
    offset: u64,
    from: u64,
    to: u64,
    /// The keys from a place on, once few are left.
    loaded: Option<(u64, Vec<u64>)>,
}

impl Narrowing {
    fn of((path, run): Placed<'_>) -> Self {
        let to = run.length / KEY as u64;
        Self { path: path.to_owned(), offset: run.offset, from: 0, to, loaded: None }
    }

    fn key(&mut self, at: u64) -> Result<u64> {
        if self.loaded.is_none() && self.to - self.from <= WINDOW {
            let mut bytes = vec![0; (self.to - self.from) as usize * KEY];
            read(&self.path, self.offset + self.from * KEY as u64, &mut bytes)?;
            self.loaded = Some((self.from, bytes.chunks_exact(KEY).map(key_at).collect()));
        }
        if let Some((first, keys)) = &self.loaded {
            return Ok(keys[(at - first) as usize]);
        }
        let mut bytes = [0; KEY];
        read(&self.path, self.offset + at * KEY as u64, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// How many keys are at most `limit`.
    fn up_to(&mut self, limit: u64) -> Result<u64> {
        let (mut from, mut to) = (self.from, self.to);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.key(middle)? <= limit { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }
}

/// The key at `rank` (from 0) of all runs of numbers together; there must be that many.
///
/// # Errors
/// `Io` when a file cannot be read.
pub fn key_at_rank(runs: &[Placed<'_>], rank: u64) -> Result<u64> {
    let mut runs: Vec<Narrowing> = runs.iter().map(|&run| Narrowing::of(run)).collect();
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        let ends = runs.iter_mut().map(|run| run.up_to(middle)).collect::<Result<Vec<_>>>()?;
        if ends.iter().sum::<u64>() > rank {
            high = middle;
            runs.iter_mut().zip(ends).for_each(|(run, end)| run.to = end);
        } else {
            low = middle + 1;
            runs.iter_mut().zip(ends).for_each(|(run, end)| run.from = end);
        }
    }
    Ok(low)
}

/// Reads a run of counts, a piece at a time.
struct Reader {
    path: PathBuf,
    /// The first byte of the file that was not read yet, and the end of the run.
    next: u64,
    end: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    fn of((path, run): Placed<'_>) -> Self {
        Self {
            path: path.to_owned(),
            next: run.offset,
            end: run.offset + run.length,
            bytes: Vec::new(),
            at: 0,
        }
    }

    /// The next bytes; they stay until the call after.
    fn take(&mut self, wanted: usize) -> Result<&[u8]> {
        let held = self.bytes.len() - self.at;
        if held < wanted {
            let more = ((wanted - held).max(READ_BYTES) as u64).min(self.end - self.next) as usize;
            self.bytes.drain(..self.at);
            self.at = 0;
            self.bytes.resize(held + more, 0);
            read(&self.path, self.next, &mut self.bytes[held..])?;
            self.next += more as u64;
        }
        let broken = || KernelError::format("run of counts", format!("{} ends early", self.path.display()));
        let taken = self.bytes.get(self.at..self.at + wanted).ok_or_else(broken)?;
        self.at += wanted;
        Ok(taken)
    }

    fn entry(&mut self) -> Result<Option<(Vec<u8>, u64)>> {
        if self.at == self.bytes.len() && self.next == self.end {
            return Ok(None);
        }
        let length = key_at(self.take(KEY)?) as usize;
        let key = self.take(length)?.to_vec();
        let count = key_at(self.take(KEY)?);
        Ok(Some((key, count)))
    }
}

/// Calls `each` with every distinct key of the runs of counts, rising, and how often it occurred in all; ends where
/// it returns false.
///
/// # Errors
/// `Io` when a file cannot be read, `Format` when it is cut off, and what `each` returns.
pub fn merge(runs: &[Placed<'_>], mut each: impl FnMut(&[u8], u64) -> Result<bool>) -> Result<()> {
    let mut readers: Vec<Reader> = runs.iter().map(|&run| Reader::of(run)).collect();
    let mut heap = BinaryHeap::with_capacity(readers.len());
    for (index, reader) in readers.iter_mut().enumerate() {
        heap.extend(reader.entry()?.map(|(key, count)| Reverse((key, index, count))));
    }
    while let Some(Reverse((key, index, mut count))) = heap.pop() {
        heap.extend(readers[index].entry()?.map(|(next, more)| Reverse((next, index, more))));
        while heap.peek().is_some_and(|Reverse((next, ..))| *next == key) {
            let Some(Reverse((_, other, more))) = heap.pop() else { break };
            count += more;
            heap.extend(readers[other].entry()?.map(|(next, more)| Reverse((next, other, more))));
        }
        if !each(&key, count)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::test_folder::TestFolder;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_rank_is_that_of_the_sorted_whole(
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![0_u64..40, any::<u64>()], 0..50), 1..5)
        ) {
            let folder = TestFolder::new();
            let path = folder.join("runs");
            let mut file = SegmentWriter::create(&path).unwrap();
            let runs: Vec<Run> =
                parts.iter().map(|part| Run::of_numbers(&mut file, &mut part.clone()).unwrap()).collect();
            file.finish().unwrap();
            let placed: Vec<Placed<'_>> = runs.iter().map(|run| (path.as_path(), run)).collect();
            let mut sorted = parts.concat();
            sorted.sort_unstable();
            for (rank, &key) in sorted.iter().enumerate() {
                prop_assert_eq!(key_at_rank(&placed, rank as u64).unwrap(), key);
            }
        }

        #[test]
        fn a_merge_counts_every_key_once_in_order(
            parts in prop::collection::vec(prop::collection::btree_map("[ab]{0,3}", 1_u64..9, 0..20), 1..5)
        ) {
            let folder = TestFolder::new();
            let path = folder.join("runs");
            let mut file = SegmentWriter::create(&path).unwrap();
            let mut expected = BTreeMap::new();
            let mut runs = Vec::new();
            for part in &parts {
                for (key, count) in part {
                    *expected.entry(key.clone().into_bytes()).or_insert(0) += count;
                }
                let counts: Vec<(&str, u64)> = part.iter().rev().map(|(key, count)| (key.as_str(), *count)).collect();
                runs.push(Run::of_counts(&mut file, counts).unwrap());
            }
            file.finish().unwrap();
            let placed: Vec<Placed<'_>> = runs.iter().map(|run| (path.as_path(), run)).collect();
            let mut got = Vec::new();
            merge(&placed, |key, count| {
                got.push((key.to_vec(), count));
                Ok(true)
            })
            .unwrap();
            prop_assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_run_larger_than_what_is_held_in_memory() {
        let folder = TestFolder::new();
        let path = folder.join("runs");
        let mut file = SegmentWriter::create(&path).unwrap();
        let runs: Vec<Run> = (0..3_u64)
            .map(|run| {
                let mut keys: Vec<u64> = (0..20_000).map(|key| key * 3 + run).collect();
                Run::of_numbers(&mut file, &mut keys).unwrap()
            })
            .collect();
        let texts: Vec<(String, u64)> = (0..3).map(|key| (key.to_string().repeat(100_000), 1)).collect();
        let long = Run::of_counts(&mut file, texts.clone()).unwrap();
        file.finish().unwrap();
        let placed: Vec<Placed<'_>> = runs.iter().map(|run| (path.as_path(), run)).collect();
        for rank in [0, 1, 29_999, 30_000, 59_999] {
            assert_eq!(key_at_rank(&placed, rank).unwrap(), rank);
        }
        let mut keys = Vec::new();
        merge(&[(&path, &long)], |key, _| {
            keys.push(String::from_utf8(key.to_vec()).unwrap());
            Ok(true)
        })
        .unwrap();
        assert_eq!(keys, texts.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    }
}
