//! Components: rows joined by buckets over all partitions, dealt out to groups that can be decided alone.
//!
//! No bucket has rows of two components, so whatever is decided within one is decided for good. Memory is
//! eight bytes a row of the corpus, besides a partition's buckets and a bounded buffer.

use std::fs;
use std::path::{Path, PathBuf};

use super::buckets;
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::error::{KernelError, Result};

/// Bytes gathered for all groups before they are written.
pub(super) const BUFFER_BYTES: usize = 64 << 20;

/// What [`deal`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// Size of the file.
    pub bytes: u64,
    /// Segments: below the number of tasks, the task's candidates, as pairs of row and group; from there
    /// on, the buckets of a group. A group may have several segments.
    pub segments: Vec<Segment>,
    /// Number of groups.
    pub groups: u32,
    /// Rows that are candidates.
    pub candidates: u64,
    /// Rows of the largest component.
    pub largest: u64,
}

/// Joins the buckets of `files` and writes who belongs where to `path`.
///
/// `bases` are the tasks' bases and, last, the number of all rows. A group has `target` rows or is one
/// component; groups are dealt in the order of the components' first rows.
///
/// # Errors
/// `Format` when a file is damaged; `Io` when reading or writing fails.
pub fn deal(files: &[PathBuf], bases: &[u32], target: u32, path: impl AsRef<Path>) -> Result<Dealt> {
    let rows = bases.last().copied().unwrap_or(0);
    let mut forest = Forest::new(rows);
    for_each_bucket(files, rows, |bucket| {
        for &row in &bucket[1..] {
            forest.join(bucket[0], row);
        }
        Ok(())
    })?;
    let assigned = forest.assign(target.max(1));
    let mut file = SegmentWriter::create(path)?;
    for (task, range) in bases.windows(2).enumerate() {
        let mut bytes = Vec::new();
        for row in range[0]..range[1] {
            if let Some(group) = assigned.group_of(row) {
                bytes.extend((row - range[0]).to_le_bytes());
                bytes.extend(group.to_le_bytes());
            }
        }
        if !bytes.is_empty() {
            file.append(task as u32, &bytes)?;
        }
    }
    let first = bases.len().saturating_sub(1) as u32;
    let mut buffers: Vec<Vec<u8>> = vec![Vec::new(); assigned.groups as usize];
    let mut buffered = 0;
    for_each_bucket(files, rows, |bucket| {
        let Some(group) = assigned.group_of(bucket[0]) else { return Ok(()) };
        let buffer = &mut buffers[group as usize];
        buffer.extend((bucket.len() as u32).to_le_bytes());
        buffer.extend(bucket.iter().flat_map(|row| row.to_le_bytes()));
        buffered += (bucket.len() + 1) * size_of::<u32>();
        if buffered >= BUFFER_BYTES {
            buffered = 0;
            flush(&mut file, &mut buffers, first)?;
        }
        Ok(())
    })?;
    flush(&mut file, &mut buffers, first)?;
    let (bytes, segments) = file.finish()?;
    let Assigned { groups, candidates, largest, .. } = assigned;
    Ok(Dealt { bytes, segments, groups, candidates, largest })
}

fn flush(file: &mut SegmentWriter, buffers: &mut [Vec<u8>], first: u32) -> Result<()> {
    for (group, buffer) in buffers.iter_mut().enumerate().filter(|(_, buffer)| !buffer.is_empty()) {
        file.append(first + group as u32, buffer)?;
        *buffer = Vec::new();
    }
    Ok(())
}

fn for_each_bucket(files: &[PathBuf], rows: u32, mut visit: impl FnMut(&[u32]) -> Result<()>) -> Result<()> {
    for file in files {
        let bytes = fs::read(file).map_err(KernelError::io("read", file))?;
        let words = buckets::words(&bytes)?;
        drop(bytes);
        let mut rest = &words[..];
        while let Some((bucket, after)) = buckets::split_first(rest)? {
            if bucket.last().is_some_and(|&row| row >= rows) {
                return Err(KernelError::format("buckets", "a row is out of range"));
            }
            visit(bucket)?;
            rest = after;
        }
    }
    Ok(())
}

/// Disjoint sets of rows, each with its smallest row as the root.
struct Forest {
    parent: Vec<u32>,
}

impl Forest {
    fn new(rows: u32) -> Self {
        Self { parent: (0..rows).collect() }
    }

    fn find(&mut self, mut row: u32) -> u32 {
        while self.parent[row as usize] != row {
            let above = self.parent[self.parent[row as usize] as usize];
            self.parent[row as usize] = above;
            row = above;
        }
        row
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// Deals components to groups, in the order of their roots.
    fn assign(mut self, target: u32) -> Assigned {
        let mut sizes = vec![0_u32; self.parent.len()];
        for row in 0..self.parent.len() as u32 {
            let root = self.find(row);
            self.parent[row as usize] = root;
            sizes[root as usize] += 1;
        }
        let (mut groups, mut held, mut candidates, mut largest) = (0, 0_u32, 0, 0);
        // Sizes of roots become their groups.
        for size in &mut sizes {
            if *size < 2 {
                *size = u32::MAX;
                continue;
            }
            let rows = *size;
            if groups == 0 || held >= target {
                groups += 1;
                held = 0;
            }
            *size = groups - 1;
            held = held.saturating_add(rows);
            candidates += u64::from(rows);
            largest = largest.max(u64::from(rows));
        }
        Assigned { parent: self.parent, group: sizes, groups, candidates, largest }
    }
}

struct Assigned {
    /// The root of each row.
    parent: Vec<u32>,
    /// The group of each root; `u32::MAX` for a row that is alone.
    group: Vec<u32>,
    groups: u32,
    candidates: u64,
    largest: u64,
}

impl Assigned {
    fn group_of(&self, row: u32) -> Option<u32> {
        let group = self.group[self.parent[row as usize] as usize];
        (group != u32::MAX).then_some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::minhash::keys;
    use crate::test_folder::TestFolder;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Keys of 20 rows in three tasks, over two partitions.
    fn entries() -> impl Strategy<Value = Vec<Vec<(u64, u32)>>> {
        prop::collection::vec(prop::collection::vec((0_u64..12, 0_u32..20), 0..40), 2)
    }

    proptest! {
        #[test]
        fn rows_that_share_keys_are_in_one_group_with_their_buckets(parts in entries(), target in 1_u32..8) {
            let folder = TestFolder::new();
            let bases = [0_u32, 7, 7, 20];
            let mut files = Vec::new();
            let mut buckets_expected: BTreeSet<Vec<u32>> = BTreeSet::new();
            for (index, part) in parts.iter().enumerate() {
                // Rows below 7 are the first task's, the rest the third's.
                let of = |from: u32, to: u32| {
                    let own = part.iter().filter(|(_, row)| (from..to).contains(row));
                    let (keys, rows): (Vec<u64>, Vec<u32>) = own.map(|&(key, row)| (key, row - from)).unzip();
                    keys::encode(&keys, &rows)
                };
                let path = folder.join(format!("{index}.buckets"));
                buckets::write(&[(7, &of(7, 20)), (0, &of(0, 7))], 0, &path).unwrap();
                files.push(path);
                for key in 0..12 {
                    let rows: BTreeSet<u32> =
                        part.iter().filter(|entry| entry.0 == key).map(|entry| entry.1).collect();
                    if rows.len() > 1 {
                        buckets_expected.insert(rows.into_iter().collect());
                    }
                }
            }
            let path = folder.join("groups");
            let dealt = deal(&files, &bases, target, &path).unwrap();
            let bytes = fs::read(&path).unwrap();
            let part = |segment: &Segment| -> Vec<u32> {
                buckets::words(&bytes[segment.offset as usize..][..segment.length as usize]).unwrap()
            };
            let mut group_of = [None; 20];
            for segment in dealt.segments.iter().filter(|segment| segment.group < 3) {
                for pair in part(segment).chunks_exact(2) {
                    group_of[(bases[segment.group as usize] + pair[0]) as usize] = Some(pair[1]);
                }
            }
            let mut found = BTreeSet::new();
            for segment in dealt.segments.iter().filter(|segment| segment.group >= 3) {
                let words = part(segment);
                let mut rest = &words[..];
                while let Some((bucket, after)) = buckets::split_first(rest).unwrap() {
                    for &row in bucket {
                        prop_assert_eq!(group_of[row as usize], Some(segment.group - 3));
                    }
                    found.insert(bucket.to_vec());
                    rest = after;
                }
            }
            prop_assert_eq!(&found, &buckets_expected);
            let in_buckets: BTreeSet<u32> = found.iter().flatten().copied().collect();
            prop_assert_eq!(dealt.candidates, in_buckets.len() as u64);
            prop_assert_eq!(group_of.iter().flatten().count(), in_buckets.len());
            prop_assert!(group_of.iter().flatten().all(|&group| group < dealt.groups));
        }
    }
}
