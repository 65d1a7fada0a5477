//! Exact deduplication: rows with equal keys are one row, and one of them is kept.
//!
//! Map: each task hashes its rows' keys to 128 bits and writes them, cut into partitions by hash, to one
//! key file ([`KeyWriter`]). Reduce: [`decide`] looks at one partition of every task and writes which rows
//! go and which row kept them out, grouped by who will ask: the task that spilled the row, or the shuffle
//! bucket it went to. The next stage applies its group ([`crate::dedup::verdicts::Decisions`]).
//!
//! Two different keys with one 128-bit hash (XXH3-128) would count as equal: at 10^12 rows the chance of
//! one such pair is below 10^-14. A row whose key columns are all null equals nothing.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeBinaryBuilder, Float64Builder, StringBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::batch::{self, Batch};
use crate::dedup::keep::{Keep, higher, priorities};
use crate::dedup::minhash::Normalize;
use crate::dedup::minhash::simplify::Simplified;
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::dedup::url::normalize_url;
use crate::dedup::verdicts::{RowPlace, VerdictWriter};
use crate::error::{KernelError, Result};
use crate::order::spill::Shuffle;

/// What strings are compared without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Compare {
    /// Nothing: byte for byte.
    #[default]
    None,
    /// What datatrove's `simplify_text` takes away; see [`simplify`](crate::dedup::minhash::simplify).
    Datatrove,
    /// What makes no difference in a URL; see [`url`](crate::dedup::url).
    Url,
}

/// What makes rows equal, and which stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactOptions {
    /// Columns that must all be equal.
    pub on: Vec<String>,
    /// How the strings among them are compared.
    #[serde(default)]
    pub normalize: Compare,
    /// Which row stays.
    pub keep: Keep,
    /// Number of partitions, at least 1.
    pub partitions: u32,
}

/// Keys of one task's rows, gathered by partition.
pub struct KeyWriter {
    options: ExactOptions,
    parts: KeyParts,
    rows: u32,
}

/// Keys, gathered by partition.
pub(super) struct KeyParts(Vec<KeyPart>);

#[derive(Default)]
struct KeyPart {
    hash: Vec<u128>,
    priority: Float64Builder,
    row: UInt32Builder,
    file: StringBuilder,
    position: UInt64Builder,
    id: StringBuilder,
}

impl KeyWriter {
    /// An empty set of keys.
    #[must_use]
    pub fn new(options: ExactOptions) -> Self {
        let parts = KeyParts::new(options.partitions);
        Self { options, parts, rows: 0 }
    }

    /// Adds the rows of a compacted batch, in the order they are spilled.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch lacks a key or priority column.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        let hashes = hash_rows(batch, &self.options)?;
        let priority = priorities(batch, &self.options.keep)?;
        for (row, hash) in hashes.into_iter().enumerate() {
            let Some(hash) = hash else { continue };
            let priority = priority.as_ref().and_then(|p| p.is_valid(row).then(|| p.value(row)));
            let place = RowPlace {
                run: None,
                task: 0,
                row: self.rows + row as u32,
                file: batch.file_of(row),
                position: batch.position().value(row),
                id: batch.id().is_valid(row).then(|| batch.id().value(row)),
            };
            self.parts.push(hash, priority, &place);
        }
        self.rows += batch.rows() as u32;
        Ok(())
    }

    /// Writes the key file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
        self.parts.finish(path)
    }
}

impl KeyParts {
    pub(super) fn new(partitions: u32) -> Self {
        Self((0..partitions).map(|_| KeyPart::default()).collect())
    }

    pub(super) fn push(&mut self, hash: u128, priority: Option<f64>, place: &RowPlace<'_>) {
        let index = partition(hash, self.0.len());
        let part = &mut self.0[index];
        part.hash.push(hash);
        part.priority.append_option(priority);
        part.row.append_value(place.row);
        part.file.append_value(place.file);
        part.position.append_value(place.position);
        part.id.append_option(place.id);
    }

    pub(super) fn finish(self, path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
        let mut file = SegmentWriter::create(path)?;
        for (index, part) in self.0.into_iter().enumerate() {
            if !part.hash.is_empty() {
                file.append_record(index as u32, &part.into_record()?)?;
            }
        }
        file.finish()
    }
}

impl KeyPart {
    fn into_record(mut self) -> Result<RecordBatch> {
        let mut hash = FixedSizeBinaryBuilder::with_capacity(self.hash.len(), 16);
        for value in &self.hash {
            hash.append_value(value.to_le_bytes())?;
        }
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        let schema = Schema::new(vec![
            field("hash", DataType::FixedSizeBinary(16)),
            field("priority", DataType::Float64),
            field("row", DataType::UInt32),
            field("file", DataType::Utf8),
            field("position", DataType::UInt64),
            field("id", DataType::Utf8),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(hash.finish()),
            Arc::new(self.priority.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.file.finish()),
            Arc::new(self.position.finish()),
            Arc::new(self.id.finish()),
        ];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// The partition of a hash.
pub(super) fn partition(hash: u128, partitions: usize) -> usize {
    ((hash >> 64) as u64 % partitions as u64) as usize
}

/// Hash of each row's key columns; `None` where all of them are null.
pub(super) fn hash_rows(batch: &Batch, options: &ExactOptions) -> Result<Vec<Option<u128>>> {
    let on = &options.on;
    let mut strings = Strings::new(options.normalize);
    if let [only] = &on[..]
        && let Ok(text) = batch.text(only)
    {
        return Ok(text.iter().map(|value| value.map(|value| xxh3_128(strings.normal(value)))).collect());
    }
    let columns: Vec<&ArrayRef> = on.iter().map(|name| batch.column(name)).collect::<Result<_>>()?;
    let mut hasher = Xxh3Default::new();
    (0..batch.rows())
        .map(|row| {
            if columns.iter().all(|column| column.is_null(row)) {
                return Ok(None);
            }
            hasher.reset();
            for (name, column) in on.iter().zip(&columns) {
                hash_value(&mut hasher, &mut strings, name, column, row)?;
            }
            Ok(Some(hasher.digest128()))
        })
        .collect()
}

/// Makes strings ready to be compared; reused from row to row.
#[derive(Default)]
pub(super) struct Strings {
    compare: Compare,
    simplified: Simplified,
    url: String,
}

impl Strings {
    pub(super) fn new(compare: Compare) -> Self {
        Self { compare, ..Self::default() }
    }

    pub(super) fn normal<'a>(&'a mut self, value: &'a str) -> &'a [u8] {
        match self.compare {
            Compare::None => value.as_bytes(),
            Compare::Datatrove => {
                self.simplified.set(value, Normalize::Datatrove);
                self.simplified.text().as_bytes()
            }
            Compare::Url => {
                normalize_url(value, &mut self.url);
                self.url.as_bytes()
            }
        }
    }
}

/// Adds one value, self-delimiting, so that ("a", "bc") and ("ab", "c") differ.
fn hash_value(
    hasher: &mut Xxh3Default,
    strings: &mut Strings,
    name: &str,
    column: &ArrayRef,
    row: usize,
) -> Result<()> {
    if column.is_null(row) {
        hasher.update(&[0]);
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => {
            let value = strings.normal(column.as_string::<i32>().value(row));
            hasher.update(&[1]);
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value);
        }
        DataType::Int64 => {
            hasher.update(&[2]);
            hasher.update(&column.as_primitive::<Int64Type>().value(row).to_le_bytes());
        }
        DataType::Float64 => {
            hasher.update(&[3]);
            hasher.update(&column.as_primitive::<Float64Type>().value(row).to_bits().to_le_bytes());
        }
        DataType::Boolean => hasher.update(&[4, u8::from(column.as_boolean().value(row))]),
        other => {
            return Err(KernelError::ColumnType {
                name: name.to_owned(),
                expected: "string, int64, float64 or boolean".to_owned(),
                got: other.to_string(),
            });
        }
    }
    Ok(())
}

/// Keys of one partition, from one task or from an earlier run's index.
#[derive(Debug, Clone)]
pub struct Keys<'a> {
    /// The earlier run, as the pipeline names it; its rows always stay.
    pub run: Option<String>,
    /// Ordinal of the task.
    pub task: u32,
    /// The segment.
    pub bytes: &'a [u8],
}

/// One task's keys of one partition, as loaded for the reduce.
struct TaskKeys {
    run: Option<String>,
    task: u32,
    record: RecordBatch,
}

impl TaskKeys {
    fn hash(&self) -> &FixedSizeBinaryArray {
        self.record.column(0).as_fixed_size_binary()
    }
    fn priority(&self, row: usize) -> Option<f64> {
        let column = self.record.column(1).as_primitive::<Float64Type>();
        column.is_valid(row).then(|| column.value(row))
    }
    fn row(&self, row: usize) -> u32 {
        self.record.column(2).as_primitive::<UInt32Type>().value(row)
    }
    fn file(&self, row: usize) -> &str {
        self.record.column(3).as_string::<i32>().value(row)
    }
    fn position(&self, row: usize) -> u64 {
        self.record.column(4).as_primitive::<UInt64Type>().value(row)
    }
    fn id(&self, row: usize) -> Option<&str> {
        let column = self.record.column(5).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn place(&self, row: usize) -> RowPlace<'_> {
        RowPlace {
            run: self.run.as_deref(),
            task: self.task,
            row: self.row(row),
            file: self.file(row),
            position: self.position(row),
            id: self.id(row),
        }
    }
}

/// Decides one partition and writes the verdicts to `path`.
///
/// `inputs` are the partition's segments: of earlier runs, in the order in which their rows win, then of every
/// task, in task order.
///
/// # Errors
/// `Format` when a segment is damaged; `Io` when writing fails.
pub fn decide(
    inputs: Vec<Keys<'_>>,
    keep: &Keep,
    shuffle: Option<Shuffle>,
    path: impl AsRef<Path>,
) -> Result<(u64, Vec<Segment>)> {
    let keys: Vec<TaskKeys> = inputs
        .into_iter()
        .map(|Keys { run, task, bytes }| {
            Ok(TaskKeys { run, task, record: batch::from_ipc(bytes.to_vec().into())? })
        })
        .collect::<Result<_>>()?;
    let best = keepers(&keys, keep);
    let mut verdicts = VerdictWriter::new(shuffle);
    for (index, part) in keys.iter().enumerate().filter(|(_, part)| part.run.is_none()) {
        let hashes = part.hash();
        for row in 0..hashes.len() {
            let (keeper_part, keeper_row) = best[&hash_at(hashes, row)];
            if (keeper_part as usize, keeper_row as usize) != (index, row) {
                let keeper = keys[keeper_part as usize].place(keeper_row as usize);
                verdicts.remove(&part.place(row), &keeper, None);
            }
        }
    }
    verdicts.finish(path)
}

fn hash_at(hashes: &FixedSizeBinaryArray, row: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(hashes.value(row));
    u128::from_le_bytes(bytes)
}

/// For each key, the part and row that stay. Parts are in row order, so "first" is the first one seen; rows of
/// earlier runs come before all and are never replaced.
fn keepers(keys: &[TaskKeys], keep: &Keep) -> FxHashMap<u128, (u32, u32)> {
    let rows = keys.iter().map(|part| part.record.num_rows()).sum();
    let mut best: FxHashMap<u128, (u32, u32)> =
        FxHashMap::with_capacity_and_hasher(rows, rustc_hash::FxBuildHasher);
    for (index, part) in keys.iter().enumerate() {
        let hashes = part.hash();
        for row in 0..hashes.len() {
            let here = (index as u32, row as u32);
            best.entry(hash_at(hashes, row))
                .and_modify(|there| {
                    let wins = match keep {
                        _ if keys[there.0 as usize].run.is_some() => false,
                        Keep::First => false,
                        Keep::Last => true,
                        Keep::Longest | Keep::Highest { .. } => {
                            let held = keys[there.0 as usize].priority(there.1 as usize);
                            higher(part.priority(row), held)
                        }
                    };
                    if wins {
                        *there = here;
                    }
                })
                .or_insert(here);
        }
    }
    best
}
