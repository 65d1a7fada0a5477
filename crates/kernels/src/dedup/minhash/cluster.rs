//! The decision about one group of components: candidates compared by their sets, in the order in which rows
//! are to be kept.
//!
//! A row is compared with the *leaders* of its buckets, at most [`LEADERS`] of each. Greedy: leaders are rows
//! that stay; a row goes if one of them is similar enough, and the first such leader, in keeper order, is
//! its keeper. Transitive: leaders are the first rows, and rows that are similar enough, or joined by a
//! chain of such rows, are one cluster, of which the first stays.
//!
//! A bucket with a million rows costs what its leaders cost: rows beyond are compared, but lead nobody. Each
//! row that a full bucket could not take as a leader is counted.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Clustering, buckets};
use crate::batch;
use crate::dedup::keep::Keep;
use crate::dedup::segments::Segment;
use crate::dedup::verdicts::{Measured, RowPlace, VerdictWriter};
use crate::error::{KernelError, Result};
use crate::order::spill::Shuffle;

/// Leaders of a bucket.
pub const LEADERS: usize = 64;
/// Bytes of leaders' sets kept in memory; others are read again.
const CACHE_BYTES: usize = 64 << 20;
/// Files held open by a group.
const OPEN_FILES: usize = 128;

/// The part of a group that one task has, or one file of an earlier run's index.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// The earlier run, as the pipeline names it; its rows stay, and come before all others.
    pub run: Option<String>,
    /// Ordinal of the task.
    pub task: u32,
    /// Rows of the parts before it.
    pub base: u32,
    /// Its file of sets.
    pub sets: PathBuf,
    /// Its segment of the group.
    pub members: &'a [u8],
}

/// How a group is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterOptions {
    /// Similarity from which rows are duplicates.
    pub threshold: f64,
    /// Which row stays.
    pub keep: Keep,
    /// How clusters form.
    pub cluster: Clustering,
}

/// What was written and what was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clustered {
    /// Size of the file.
    pub bytes: u64,
    /// Its segments.
    pub segments: Vec<Segment>,
    /// Pairs of rows that were compared.
    pub compared: u64,
    /// Times that a row could not become a leader because its bucket had [`LEADERS`].
    pub overflow: u64,
}

/// Decides a group and writes the verdicts to `path`. `parts` are in the order of their bases: those of earlier
/// runs, then tasks.
///
/// # Errors
/// `Format` when a file is damaged; `Io` when reading or writing fails.
pub fn decide(
    parts: &[Part<'_>],
    bucket_bytes: &[&[u8]],
    options: &ClusterOptions,
    shuffle: Option<Shuffle>,
    path: impl AsRef<Path>,
) -> Result<Clustered> {
    let members = Members::load(parts, &options.keep)?;
    let mut group = Group {
        buckets: Buckets::load(bucket_bytes, &members)?,
        sets: Sets { members: &members, cache: FxHashMap::default(), cached: 0 },
        threshold: options.threshold,
        leaders: Vec::new(),
        compared: 0,
        overflow: 0,
    };
    let keepers = match options.cluster {
        Clustering::Greedy => group.greedy()?,
        Clustering::Transitive => group.transitive()?,
    };
    let (compared, overflow) = (group.compared, group.overflow);
    let mut sizes = vec![0_u64; keepers.len()];
    for keeper in &keepers {
        sizes[keeper.row as usize] += 1;
    }
    let mut verdicts = VerdictWriter::new(shuffle);
    for (row, keeper) in keepers.iter().enumerate() {
        if keeper.row as usize != row {
            let place = members.place(keeper.row as usize);
            let cluster = place.cluster_name();
            let measured = Measured {
                value: keeper.similarity,
                cluster: &cluster,
                cluster_size: sizes[keeper.row as usize],
            };
            verdicts.remove(&members.place(row), &place, Some(measured));
        }
    }
    let (bytes, segments) = verdicts.finish(path)?;
    Ok(Clustered { bytes, segments, compared, overflow })
}

/// Because of whom a row goes; itself if it stays.
#[derive(Debug, Clone, Copy)]
struct Keeper {
    row: u32,
    similarity: f64,
}

/// The rows of a group, by their place in keeper order.
struct Members {
    parts: Vec<Loaded>,
    /// Files of sets, by part, as many as may be open.
    open: RefCell<FxHashMap<u32, File>>,
    /// Part and row in it.
    order: Vec<(u32, u32)>,
    /// How many of the first are of earlier runs.
    known: usize,
    /// From a row's number over all tasks to its place.
    places: FxHashMap<u32, u32>,
}

struct Loaded {
    run: Option<String>,
    task: u32,
    record: RecordBatch,
    sets: PathBuf,
}

impl Members {
    fn load(parts: &[Part<'_>], keep: &Keep) -> Result<Self> {
        let mut loaded = Vec::with_capacity(parts.len());
        // Priority, highest first, then the number over all tasks.
        // Rows of earlier runs come before all.
        let mut order: Vec<(bool, f64, u32, (u32, u32))> = Vec::new();
        let mut known = 0;
        for (index, part) in parts.iter().enumerate() {
            let record = batch::from_ipc(part.members.to_vec().into())?;
            let rows = record.column(0).as_primitive::<UInt32Type>();
            let priority = record.column(1).as_primitive::<Float64Type>();
            for row in 0..record.num_rows() {
                let value = if priority.is_valid(row) { priority.value(row) } else { f64::NEG_INFINITY };
                let value = if value.is_nan() { f64::NEG_INFINITY } else { value };
                order.push((
                    part.run.is_none(),
                    value,
                    part.base + rows.value(row),
                    (index as u32, row as u32),
                ));
            }
            known += part.run.as_ref().map_or(0, |_| record.num_rows());
            loaded.push(Loaded { run: part.run.clone(), task: part.task, record, sets: part.sets.clone() });
        }
        let last = *keep == Keep::Last;
        order.sort_unstable_by(|a, b| {
            let input = if last { b.2.cmp(&a.2) } else { a.2.cmp(&b.2) };
            a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(input)
        });
        let places = order.iter().enumerate().map(|(place, &(.., row, _))| (row, place as u32)).collect();
        let order = order.into_iter().map(|(.., at)| at).collect();
        Ok(Self { parts: loaded, open: RefCell::default(), order, known, places })
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    fn place(&self, row: usize) -> RowPlace<'_> {
        let (part, at) = self.order[row];
        let Loaded { run, task, record, .. } = &self.parts[part as usize];
        let at = at as usize;
        let id = record.column(6).as_string::<i32>();
        RowPlace {
            run: run.as_deref(),
            task: *task,
            row: record.column(0).as_primitive::<UInt32Type>().value(at),
            file: record.column(4).as_string::<i32>().value(at),
            position: record.column(5).as_primitive::<UInt64Type>().value(at),
            id: id.is_valid(at).then(|| id.value(at)),
        }
    }

    fn shingles(&self, row: usize) -> usize {
        let (part, at) = self.order[row];
        self.parts[part as usize].record.column(3).as_primitive::<UInt32Type>().value(at as usize) as usize
    }

    /// Reads the set of a row.
    fn read(&self, row: usize) -> Result<Box<[u64]>> {
        let (part, at) = self.order[row];
        let Loaded { record, sets: path, .. } = &self.parts[part as usize];
        let offset = record.column(2).as_primitive::<UInt64Type>().value(at as usize);
        let mut open = self.open.borrow_mut();
        if !open.contains_key(&part) {
            if open.len() >= OPEN_FILES {
                open.clear();
            }
            open.insert(part, File::open(path).map_err(KernelError::io("open", path))?);
        }
        let mut bytes = vec![0; self.shingles(row) * size_of::<u64>()];
        open[&part].read_exact_at(&mut bytes, offset).map_err(KernelError::io("read", path))?;
        let (hashes, _) = bytes.as_chunks();
        Ok(hashes.iter().map(|&hash| u64::from_le_bytes(hash)).collect())
    }
}

/// Which buckets each row is in.
struct Buckets {
    /// Bounds of each row's stretch of `of_row`.
    bounds: Vec<u32>,
    of_row: Vec<u32>,
    count: usize,
}

impl Buckets {
    fn load(segments: &[&[u8]], members: &Members) -> Result<Self> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        // Near-identical documents meet in many bands: a bucket with the same rows says nothing new.
        let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
        let mut count = 0;
        for segment in segments {
            let words = buckets::words(segment)?;
            let mut rest = &words[..];
            while let Some((bucket, after)) = buckets::split_first(rest)? {
                rest = after;
                let hash = xxh3_64(&bucket.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<_>>());
                if seen.insert(hash, bucket.len()) == Some(bucket.len()) {
                    continue;
                }
                for row in bucket {
                    let place = members.places.get(row);
                    let place =
                        place.ok_or_else(|| KernelError::format("buckets", "a row is in no task's sets"))?;
                    pairs.push((*place, count));
                }
                count += 1;
            }
        }
        pairs.sort_unstable();
        let mut bounds = vec![0; members.len() + 1];
        for (row, _) in &pairs {
            bounds[*row as usize + 1] += 1;
        }
        for row in 0..members.len() {
            bounds[row + 1] += bounds[row];
        }
        Ok(Self {
            bounds,
            of_row: pairs.into_iter().map(|(_, bucket)| bucket).collect(),
            count: count as usize,
        })
    }

    fn of(&self, row: usize) -> &[u32] {
        &self.of_row[self.bounds[row] as usize..self.bounds[row + 1] as usize]
    }
}

/// Sets of leaders, as many as fit.
struct Sets<'a> {
    members: &'a Members,
    cache: FxHashMap<u32, Box<[u64]>>,
    cached: usize,
}

impl Sets<'_> {
    fn leader(&mut self, row: u32) -> Result<&[u64]> {
        if !self.cache.contains_key(&row) {
            let set = self.members.read(row as usize)?;
            self.cached += set.len() * size_of::<u64>();
            if self.cached > CACHE_BYTES {
                self.cache.clear();
                self.cached = set.len() * size_of::<u64>();
            }
            self.cache.insert(row, set);
        }
        Ok(&self.cache[&row])
    }
}

struct Group<'a> {
    buckets: Buckets,
    sets: Sets<'a>,
    threshold: f64,
    /// Of each bucket, rising.
    leaders: Vec<Vec<u32>>,
    compared: u64,
    overflow: u64,
}

impl Group<'_> {
    fn greedy(&mut self) -> Result<Vec<Keeper>> {
        self.leaders = vec![Vec::new(); self.buckets.count];
        let mut keepers = Vec::with_capacity(self.sets.members.len());
        let mut candidates = Vec::new();
        for row in 0..self.sets.members.len() {
            let mut own = None;
            let mut found = None;
            candidates.clear();
            if row >= self.sets.members.known {
                self.candidates(row, &mut candidates);
            }
            for &leader in &candidates {
                if let Some(similarity) = self.similar(row, leader, &mut own)? {
                    found = Some(Keeper { row: leader, similarity });
                    break;
                }
            }
            if found.is_none() {
                self.lead(row);
            }
            keepers.push(found.unwrap_or(Keeper { row: row as u32, similarity: 1.0 }));
        }
        Ok(keepers)
    }

    fn transitive(&mut self) -> Result<Vec<Keeper>> {
        self.leaders = vec![Vec::new(); self.buckets.count];
        let rows = self.sets.members.len();
        let mut root: Vec<u32> = (0..rows as u32).collect();
        let mut candidates = Vec::new();
        for row in 0..rows {
            let mut own = None;
            candidates.clear();
            if row >= self.sets.members.known {
                self.candidates(row, &mut candidates);
            }
            for &leader in &candidates {
                let (a, b) = (find(&mut root, row as u32), find(&mut root, leader));
                if a != b && self.similar(row, leader, &mut own)?.is_some() {
                    root[a.max(b) as usize] = a.min(b);
                }
            }
            self.lead(row);
        }
        (0..rows as u32)
            .map(|row| {
                // A chain may lead from one row of an earlier run to another: both stay.
                let known = (row as usize) < self.sets.members.known;
                let keeper = if known { row } else { find(&mut root, row) };
                let similarity = if keeper == row { 1.0 } else { self.measure(row, keeper)? };
                Ok(Keeper { row: keeper, similarity })
            })
            .collect()
    }

    /// Leaders of a row's buckets, rising, each once.
    fn candidates(&self, row: usize, candidates: &mut Vec<u32>) {
        for &bucket in self.buckets.of(row) {
            candidates.extend(&self.leaders[bucket as usize]);
        }
        candidates.sort_unstable();
        candidates.dedup();
    }

    fn lead(&mut self, row: usize) {
        for &bucket in self.buckets.of(row) {
            let leaders = &mut self.leaders[bucket as usize];
            if leaders.len() < LEADERS {
                leaders.push(row as u32);
            } else {
                self.overflow += 1;
            }
        }
    }

    /// The similarity of a row and a leader if it reaches the threshold. `own` holds the row's set once read.
    fn similar(&mut self, row: usize, leader: u32, own: &mut Option<Box<[u64]>>) -> Result<Option<f64>> {
        let members = self.sets.members;
        let (a, b) = (members.shingles(row), members.shingles(leader as usize));
        // |A ∩ B| ≤ min and |A ∪ B| ≥ max, so sets of very different sizes need no look.
        // Divided as the similarity is, so that rounding decides nothing.
        if a.min(b) as f64 / (a.max(b) as f64) < self.threshold {
            return Ok(None);
        }
        self.compared += 1;
        if own.is_none() {
            *own = Some(members.read(row)?);
        }
        let Some(own) = own.as_deref() else { return Ok(None) };
        Ok(jaccard_at_least(own, self.sets.leader(leader)?, self.threshold))
    }

    fn measure(&mut self, row: u32, keeper: u32) -> Result<f64> {
        let own = self.sets.members.read(row as usize)?;
        Ok(jaccard_at_least(&own, self.sets.leader(keeper)?, 0.0).unwrap_or(0.0))
    }
}

fn find(root: &mut [u32], mut row: u32) -> u32 {
    while root[row as usize] != row {
        let above = root[root[row as usize] as usize];
        root[row as usize] = above;
        row = above;
    }
    row
}

/// |A ∩ B| / |A ∪ B| of two rising sets, if it is at least `threshold`. Two empty sets have 1.
#[must_use]
pub fn jaccard_at_least(a: &[u64], b: &[u64], threshold: f64) -> Option<f64> {
    /// Elements merged between looks at whether the threshold is still in reach.
    const STRETCH: usize = 64;
    let total = a.len() + b.len();
    if total == 0 {
        return Some(1.0);
    }
    // J ≥ t means |A ∩ B| ≥ t/(1+t)·(|A|+|B|); one less, so that rounding decides nothing.
    let needed = (threshold / (1.0 + threshold) * total as f64) - 1.0;
    let (mut at_a, mut at_b, mut shared) = (0, 0, 0_usize);
    while at_a < a.len() && at_b < b.len() {
        let reachable = shared + (a.len() - at_a).min(b.len() - at_b);
        if (reachable as f64) < needed {
            return None;
        }
        for _ in 0..STRETCH {
            if at_a == a.len() || at_b == b.len() {
                break;
            }
            let (x, y) = (a[at_a], b[at_b]);
            shared += usize::from(x == y);
            at_a += usize::from(x <= y);
            at_b += usize::from(y <= x);
        }
    }
    let jaccard = shared as f64 / (total - shared) as f64;
    (jaccard >= threshold).then_some(jaccard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn similarity_is_that_of_the_sets(
            a in prop::collection::btree_set(0_u64..400, 0..300),
            b in prop::collection::btree_set(0_u64..400, 0..300),
            threshold in 0.0_f64..=1.0,
        ) {
            let rising = |set: &BTreeSet<u64>| set.iter().copied().collect::<Vec<_>>();
            let union = a.union(&b).count();
            let exact = if union == 0 { 1.0 } else { a.intersection(&b).count() as f64 / union as f64 };
            let measured = jaccard_at_least(&rising(&a), &rising(&b), threshold);
            prop_assert_eq!(measured, (exact >= threshold).then_some(exact));
            // A similarity reaches itself, whatever is rounded on the way.
            prop_assert_eq!(jaccard_at_least(&rising(&a), &rising(&b), exact), Some(exact));
        }
    }
}
