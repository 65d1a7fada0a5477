//! What two runs removed, compared row by row, in bounded memory.
//!
//! The records of both runs become numbers (input file, position, rule), are sorted in runs that go to
//! scratch files, and are merged. A row is known by its identity; a step that cuts a row into several
//! leaves several records of one identity, which are compared as a multiset of rules.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{KernelError, Result};
use crate::formats::untrusted;

/// Records that are sorted in memory: 64 MiB.
const RUN_RECORDS: usize = 4 << 20;
/// Buffer of each scratch file while it is merged.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of a record in a scratch file.
const RECORD_BYTES: usize = 16;
/// Columns of a removed-row record that are compared.
const COMPARED: [&str; 4] = ["file", "position", "step", "rule"];

/// A removal as numbers; ordered by the row's identity, then by the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    file: u32,
    position: u64,
    rule: u32,
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&self.file.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.position.to_le_bytes());
        bytes[12..].copy_from_slice(&self.rule.to_le_bytes());
        bytes
    }

    fn of_bytes(bytes: [u8; RECORD_BYTES]) -> Self {
        let (file, rest) = bytes.split_at(4);
        let (position, rule) = rest.split_at(8);
        let number =
            |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        Self { file: number(file) as u32, position: number(position), rule: number(rule) as u32 }
    }
}

/// A step and a rule within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
}

/// What became of rows, from the first run to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Removed by the second run alone.
    Removed,
    /// Removed by the first run alone.
    Returned,
    /// Removed by both, by other rules.
    Moved,
    /// Removed by both, by the same rule.
    Same,
    /// Removed by the run whose input it is; the other has no such input.
    Elsewhere,
}

/// Rows that changed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What became of them.
    pub change: Change,
    /// Rule of the first run.
    pub before: Option<Rule>,
    /// Rule of the second run.
    pub after: Option<Rule>,
    /// How many rows.
    pub rows: u64,
    /// Some of them, drawn by a hash of their identity: input file and position.
    pub samples: Vec<(String, u64)>,
}

/// An input file of either run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffInput {
    /// Its path, relative to the configuration.
    pub path: String,
    /// Whether the first and the second run read it.
    pub read_by: [bool; 2],
}

/// A comparison under construction.
pub struct RemovedDiff {
    inputs: Vec<DiffInput>,
    places: FxHashMap<String, u32>,
    rules: Vec<Rule>,
    numbers: FxHashMap<Rule, u32>,
    sides: [Sorter; 2],
    samples: usize,
}

impl RemovedDiff {
    /// A comparison of runs over `inputs`, with up to `samples` rows of each kind; `scratch` is a folder for
    /// files that are deleted with the comparison.
    #[must_use]
    pub fn new(inputs: Vec<DiffInput>, scratch: &Path, samples: usize) -> Self {
        Self::with_run(inputs, scratch, samples, RUN_RECORDS)
    }

    fn with_run(inputs: Vec<DiffInput>, scratch: &Path, samples: usize, run: usize) -> Self {
        let places =
            inputs.iter().enumerate().map(|(place, input)| (input.path.clone(), place as u32)).collect();
        let side = |name: &str| Sorter::new(scratch.join(format!("diff-{name}")), run);
        Self {
            inputs,
            places,
            rules: Vec::new(),
            numbers: FxHashMap::default(),
            sides: [side("a"), side("b")],
            samples,
        }
    }

    /// Adds a file of removed-row records of run `side` (0 or 1).
    ///
    /// # Errors
    /// `Io` when it cannot be read; `Format` when it is no such file; `Internal` when it names an input that
    /// neither run has.
    pub fn add_file(&mut self, side: usize, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(KernelError::io("open", path))?;
        let broken = |reason: String| KernelError::format("parquet", format!("{}: {reason}", path.display()));
        let mut batches = untrusted::decode(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let schema = builder.parquet_schema();
            let leaves: Vec<usize> = (0..schema.num_columns())
                .filter(|&leaf| COMPARED.contains(&schema.get_column_root(leaf).name()))
                .collect();
            let mask = ProjectionMask::leaves(schema, leaves);
            builder.with_projection(mask).with_batch_size(8192).build()
        })
        .map_err(broken)?;
        while let Some(batch) = untrusted::decode(|| batches.next().transpose()).map_err(broken)? {
            self.add_batch(side, &batch).map_err(|error| broken(error.to_string()))?;
        }
        Ok(())
    }

    fn add_batch(&mut self, side: usize, batch: &RecordBatch) -> Result<()> {
        let text = |name: &str| -> Result<&StringArray> {
            let column = batch.column_by_name(name).filter(|column| *column.data_type() == DataType::Utf8);
            column
                .map(AsArray::as_string)
                .ok_or_else(|| KernelError::format("removed", format!("no text column '{name}'")))
        };
        let [file, step, rule] = [text("file")?, text("step")?, text("rule")?];
        let position = batch
            .column_by_name("position")
            .and_then(|column| column.as_primitive_opt::<UInt64Type>())
            .ok_or_else(|| KernelError::format("removed", "no column 'position' of whole numbers"))?;
        // Neighbouring records mostly share their file and their rule.
        let mut last_file: Option<(&str, u32)> = None;
        let mut last_rule: Option<(&str, &str, u32)> = None;
        for row in 0..batch.num_rows() {
            let path = file.value(row);
            let place = match last_file {
                Some((same, place)) if same == path => place,
                _ => self.place(path)?,
            };
            last_file = Some((path, place));
            let (step, rule) = (step.value(row), rule.value(row));
            let number = match last_rule {
                Some((same_step, same_rule, number)) if same_step == step && same_rule == rule => number,
                _ => self.number(step, rule),
            };
            last_rule = Some((step, rule, number));
            self.sides[side].push(Record { file: place, position: position.value(row), rule: number })?;
        }
        Ok(())
    }

    /// Adds one row that left run `side` in another way than through a step.
    ///
    /// # Errors
    /// `Internal` when neither run has the input; `Io` when scratch cannot be written.
    pub fn add_row(&mut self, side: usize, file: &str, position: u64, step: &str, rule: &str) -> Result<()> {
        let record = Record { file: self.place(file)?, position, rule: self.number(step, rule) };
        self.sides[side].push(record)
    }

    fn place(&self, path: &str) -> Result<u32> {
        self.places
            .get(path)
            .copied()
            .ok_or_else(|| KernelError::internal(format!("{path} is no input of either run")))
    }

    fn number(&mut self, step: &str, rule: &str) -> u32 {
        let rule = Rule { step: step.to_owned(), rule: rule.to_owned() };
        if let Some(&number) = self.numbers.get(&rule) {
            return number;
        }
        let number = self.rules.len() as u32;
        self.rules.push(rule.clone());
        self.numbers.insert(rule, number);
        number
    }

    /// Compares: the kinds of change there are, by kind and rules in the order they were first seen.
    ///
    /// # Errors
    /// `Io` when scratch files cannot be read.
    pub fn finish(self) -> Result<Vec<Changed>> {
        let Self { inputs, rules, sides: [before, after], samples, .. } = self;
        let mut tally = Tally { inputs: &inputs, samples, groups: FxHashMap::default() };
        let mut before = before.finish()?.peekable_rows()?;
        let mut after = after.finish()?.peekable_rows()?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        while let Some(identity) = before.identity().into_iter().chain(after.identity()).min() {
            before.take(identity, &mut a)?;
            after.take(identity, &mut b)?;
            tally.compare(identity, &mut a, &mut b);
        }
        Ok(tally.finish(&rules))
    }
}

/// Kind of change and the numbers of its rules.
type GroupKey = (Change, Option<u32>, Option<u32>);

#[derive(Default)]
struct Group {
    rows: u64,
    /// The rows with the smallest hashes; the largest of them on top.
    samples: BinaryHeap<(u64, u32, u64)>,
}

struct Tally<'a> {
    inputs: &'a [DiffInput],
    samples: usize,
    groups: FxHashMap<GroupKey, Group>,
}

impl Tally<'_> {
    /// Compares the rules that removed one row in both runs; empties the lists.
    fn compare(&mut self, identity: (u32, u64), a: &mut Vec<u32>, b: &mut Vec<u32>) {
        a.retain(|rule| {
            let Some(same) = b.iter().position(|other| other == rule) else { return true };
            b.swap_remove(same);
            self.add((Change::Same, Some(*rule), Some(*rule)), identity);
            false
        });
        b.sort_unstable();
        let both = a.len().min(b.len());
        for (&before, &after) in a.iter().zip(b.iter()) {
            self.add((Change::Moved, Some(before), Some(after)), identity);
        }
        let [in_a, in_b] = self.inputs[identity.0 as usize].read_by;
        for &rule in &a[both..] {
            self.add((if in_b { Change::Returned } else { Change::Elsewhere }, Some(rule), None), identity);
        }
        for &rule in &b[both..] {
            self.add((if in_a { Change::Removed } else { Change::Elsewhere }, None, Some(rule)), identity);
        }
        a.clear();
        b.clear();
    }

    fn add(&mut self, key: GroupKey, (file, position): (u32, u64)) {
        let group = self.groups.entry(key).or_default();
        group.rows += 1;
        if self.samples == 0 || key.0 == Change::Same {
            return;
        }
        let path = &self.inputs[file as usize].path;
        let hash = xxh3_64_with_seed(path.as_bytes(), position);
        if group.samples.len() < self.samples {
            group.samples.push((hash, file, position));
        } else if group.samples.peek().is_some_and(|&(largest, ..)| hash < largest) {
            group.samples.pop();
            group.samples.push((hash, file, position));
        }
    }

    fn finish(self, rules: &[Rule]) -> Vec<Changed> {
        let mut groups: Vec<(GroupKey, Group)> = self.groups.into_iter().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        let rule = |number: Option<u32>| number.map(|number| rules[number as usize].clone());
        let changed = groups.into_iter().map(|((change, before, after), group)| Changed {
            change,
            before: rule(before),
            after: rule(after),
            rows: group.rows,
            samples: (group.samples.into_sorted_vec().into_iter())
                .map(|(_, file, position)| (self.inputs[file as usize].path.clone(), position))
                .collect(),
        });
        changed.collect()
    }
}

/// Sorts records: in memory, and in scratch files when there are many.
struct Sorter {
    prefix: PathBuf,
    limit: usize,
    records: Vec<Record>,
    files: Vec<ScratchFile>,
}

/// Deleted when it is dropped.
struct ScratchFile(PathBuf);

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // What cannot be deleted lies in a scratch folder, which its owner deletes.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sorter {
    fn new(prefix: PathBuf, limit: usize) -> Self {
        Self { prefix, limit, records: Vec::new(), files: Vec::new() }
    }

    fn push(&mut self, record: Record) -> Result<()> {
        self.records.push(record);
        if self.records.len() >= self.limit { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        self.records.sort_unstable();
        let path = self.prefix.with_extension(self.files.len().to_string());
        let file = File::create(&path).map_err(KernelError::io("create", &path))?;
        self.files.push(ScratchFile(path.clone()));
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        for record in self.records.drain(..) {
            file.write_all(&record.to_bytes()).map_err(KernelError::io("write", &path))?;
        }
        file.flush().map_err(KernelError::io("write", &path))
    }

    fn finish(mut self) -> Result<Merge> {
        self.records.sort_unstable();
        let mut runs = vec![Run::Memory(std::mem::take(&mut self.records).into_iter())];
        for scratch in std::mem::take(&mut self.files) {
            let file = File::open(&scratch.0).map_err(KernelError::io("open", &scratch.0))?;
            runs.push(Run::File(BufReader::with_capacity(BUFFER_BYTES, file), scratch));
        }
        let mut heads = BinaryHeap::new();
        for (at, run) in runs.iter_mut().enumerate() {
            if let Some(record) = run.next()? {
                heads.push(Reverse((record, at)));
            }
        }
        Ok(Merge { runs, heads })
    }
}

enum Run {
    Memory(std::vec::IntoIter<Record>),
    File(BufReader<File>, ScratchFile),
}

impl Run {
    fn next(&mut self) -> Result<Option<Record>> {
        match self {
            Self::Memory(records) => Ok(records.next()),
            Self::File(file, scratch) => {
                let mut bytes = [0; RECORD_BYTES];
                match file.read_exact(&mut bytes) {
                    Ok(()) => Ok(Some(Record::of_bytes(bytes))),
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(KernelError::io("read", &scratch.0)(error)),
                }
            }
        }
    }
}

/// All records in order.
struct Merge {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
}

impl Merge {
    fn next(&mut self) -> Result<Option<Record>> {
        let Some(Reverse((record, at))) = self.heads.pop() else { return Ok(None) };
        if let Some(following) = self.runs[at].next()? {
            self.heads.push(Reverse((following, at)));
        }
        Ok(Some(record))
    }

    fn peekable_rows(mut self) -> Result<Rows> {
        let head = self.next()?;
        Ok(Rows { records: self, head })
    }
}

/// Records row by row.
struct Rows {
    records: Merge,
    head: Option<Record>,
}

impl Rows {
    fn identity(&self) -> Option<(u32, u64)> {
        self.head.map(|record| (record.file, record.position))
    }

    /// Moves the rules of a row's records into `rules`.
    fn take(&mut self, identity: (u32, u64), rules: &mut Vec<u32>) -> Result<()> {
        while let Some(record) = self.head.filter(|record| (record.file, record.position) == identity) {
            rules.push(record.rule);
            self.head = self.records.next()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = (u8, u64, u8);

    fn diff(a: &[Row], b: &[Row], run: usize) -> Vec<Changed> {
        let inputs = ["both", "a", "b"]
            .map(|path| DiffInput { path: path.to_owned(), read_by: [path != "b", path != "a"] })
            .to_vec();
        let folder = std::env::temp_dir().join(format!(
            "gristmill-diff-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let mut diff = RemovedDiff::with_run(inputs.clone(), &folder, 2, run);
        for (side, rows) in [a, b].into_iter().enumerate() {
            for &(file, position, rule) in rows {
                let path = inputs[usize::from(file)].path.clone();
                diff.add_row(side, &path, position, "filter", &rule.to_string()).unwrap();
            }
        }
        let changed = diff.finish().unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "scratch files are left");
        std::fs::remove_dir_all(&folder).unwrap();
        changed
    }

    #[test]
    fn rows_are_told_apart_by_what_became_of_them() {
        let a = [(0, 1, 1), (0, 2, 1), (0, 3, 1), (1, 9, 1)];
        let b = [(0, 2, 1), (0, 3, 2), (0, 4, 2), (2, 9, 2)];
        let got: Vec<_> = diff(&a, &b, 1000)
            .into_iter()
            .map(|c| (c.change, c.before.map(|r| r.rule), c.after.map(|r| r.rule), c.rows, c.samples))
            .collect();
        let (one, two) = (Some("1".to_owned()), Some("2".to_owned()));
        let at = |file: &str, position| vec![(file.to_owned(), position)];
        assert_eq!(
            got,
            [
                (Change::Removed, None, two.clone(), 1, at("both", 4)),
                (Change::Returned, one.clone(), None, 1, at("both", 1)),
                (Change::Moved, one.clone(), two.clone(), 1, at("both", 3)),
                (Change::Same, one.clone(), one.clone(), 1, vec![]),
                (Change::Elsewhere, None, two, 1, at("b", 9)),
                (Change::Elsewhere, one, None, 1, at("a", 9)),
            ]
        );
    }

    proptest! {
        #[test]
        fn sorting_in_files_changes_nothing_and_every_record_is_counted(
            a in prop::collection::vec((0_u8..2, 0_u64..20, 0_u8..3), 0..60),
            b in prop::collection::vec((0_u8..1, 0_u64..20, 0_u8..3), 0..60),
        ) {
            let whole = diff(&a, &b, 1000);
            prop_assert_eq!(&diff(&a, &b, 7), &whole);
            let sum = |side: fn(&Changed) -> bool| whole.iter().filter(|c| side(c)).map(|c| c.rows).sum::<u64>();
            prop_assert_eq!(sum(|c| c.before.is_some()), a.len() as u64);
            prop_assert_eq!(sum(|c| c.after.is_some()), b.len() as u64);
        }
    }
}
