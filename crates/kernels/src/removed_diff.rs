//! How rows left two runs, compared row by row, in bounded memory.
//!
//! The records of both runs (removed, quarantined and routed rows) become numbers (input file, position, rule),
//! are sorted in runs that go to scratch files, and are merged. A row is known by its identity; a step that cuts a row into several
//! leaves several records of one identity, which are compared as a multiset of rules.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{KernelError, Result};
use crate::formats::untrusted;
use crate::routed;

/// Records that are sorted in memory: 64 MiB.
const RUN_RECORDS: usize = 4 << 20;
/// Buffer of each scratch file while it is merged.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of a record in a scratch file.
const RECORD_BYTES: usize = 16;
/// Columns of a removed-row record that are compared.
const COMPARED: [&str; 4] = ["file", "position", "step", "rule"];
/// Where routed rows have their file and position, whatever the user's columns after them are called.
const ROUTED_PLACE: [usize; 2] = [1, 2];

/// A row that left, as numbers; ordered by the row's identity, then by the rule.
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

/// How a row left a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A step removed it.
    Removed,
    /// It could not be read.
    Quarantined,
    /// A step took it to a file of its own, where its text must stay.
    Routed,
}

/// A step and a rule within it, and what they did with the row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// How the row left.
    pub outcome: Outcome,
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
}

/// What became of rows, from the first run to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Kept by the first run; removed, or not read, by the second.
    Removed,
    /// Kept by the first run, routed by the second.
    Routed,
    /// Kept by the second run alone.
    Returned,
    /// Left both, by other rules or in another way.
    Moved,
    /// Left both, by the same rule.
    Same,
    /// Left the run whose input it is; the other has no such input.
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
    /// Some of them, drawn by a hash of their identity.
    pub samples: Vec<Sample>,
}

/// A row by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its input file.
    pub file: String,
    /// Its position in it.
    pub position: u64,
    /// Whether either run routed it, or a part of it.
    pub routed: bool,
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

    /// Adds a file of removed-row records of run `side` (0 or 1), or of the rows that a step routed.
    ///
    /// # Errors
    /// `Io` when it cannot be read; `Format` when it is no such file; `Internal` when it names an input that
    /// neither run has.
    pub fn add_file(&mut self, side: usize, path: &Path, routed_by: Option<&str>) -> Result<()> {
        let file = File::open(path).map_err(KernelError::io("open", path))?;
        let broken = |reason: String| KernelError::format("parquet", format!("{}: {reason}", path.display()));
        let mut batches = untrusted::decode(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let schema = builder.parquet_schema();
            let compared = |leaf: &usize| {
                let name = schema.get_column_root(*leaf).name();
                match routed_by {
                    None => COMPARED.contains(&name),
                    Some(_) => ROUTED_PLACE.contains(leaf) || name == routed::RULE,
                }
            };
            let mask = ProjectionMask::leaves(schema, (0..schema.num_columns()).filter(compared));
            builder.with_projection(mask).with_batch_size(8192).build()
        })
        .map_err(broken)?;
        while let Some(batch) = untrusted::decode(|| batches.next().transpose()).map_err(broken)? {
            self.add_batch(side, &batch, routed_by).map_err(|error| broken(error.to_string()))?;
        }
        Ok(())
    }

    fn add_batch(&mut self, side: usize, batch: &RecordBatch, routed_by: Option<&str>) -> Result<()> {
        let (outcome, file, position, rule) = match routed_by {
            None => {
                (Outcome::Removed, named(batch, "file")?, named(batch, "position")?, named(batch, "rule")?)
            }
            Some(_) => (Outcome::Routed, batch.column(0), batch.column(1), named(batch, routed::RULE)?),
        };
        let (file, rule) = (text(file)?, text(rule)?);
        let steps = if routed_by.is_none() { Some(text(named(batch, "step")?)?) } else { None };
        let position = position
            .as_primitive_opt::<UInt64Type>()
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
            let step = steps.map_or(routed_by.unwrap_or_default(), |steps| steps.value(row));
            let rule = rule.value(row);
            let number = match last_rule {
                Some((same_step, same_rule, number)) if same_step == step && same_rule == rule => number,
                _ => self.number(Rule { outcome, step: step.to_owned(), rule: rule.to_owned() }),
            };
            last_rule = Some((step, rule, number));
            self.sides[side].push(Record { file: place, position: position.value(row), rule: number })?;
        }
        Ok(())
    }

    /// Adds one row that left run `side`.
    ///
    /// # Errors
    /// `Internal` when neither run has the input; `Io` when scratch cannot be written.
    pub fn add_row(&mut self, side: usize, file: &str, position: u64, rule: Rule) -> Result<()> {
        let record = Record { file: self.place(file)?, position, rule: self.number(rule) };
        self.sides[side].push(record)
    }

    fn place(&self, path: &str) -> Result<u32> {
        self.places
            .get(path)
            .copied()
            .ok_or_else(|| KernelError::internal(format!("{path} is no input of either run")))
    }

    fn number(&mut self, rule: Rule) -> u32 {
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
        let mut tally = Tally { inputs: &inputs, rules: &rules, samples, groups: FxHashMap::default() };
        let mut before = before.finish()?.peekable_rows()?;
        let mut after = after.finish()?.peekable_rows()?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        while let Some(identity) = before.identity().into_iter().chain(after.identity()).min() {
            before.take(identity, &mut a)?;
            after.take(identity, &mut b)?;
            tally.compare(identity, &mut a, &mut b);
        }
        Ok(tally.finish())
    }
}

fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| KernelError::format("removed", format!("no column '{name}'")))
}

fn text(column: &ArrayRef) -> Result<&StringArray> {
    column.as_string_opt().ok_or_else(|| KernelError::format("removed", "a column is not text"))
}

/// Kind of change and the numbers of its rules.
type GroupKey = (Change, Option<u32>, Option<u32>);

#[derive(Default)]
struct Group {
    rows: u64,
    /// The rows with the smallest hashes, the largest of them on top: hash, file, position, whether it was routed.
    samples: BinaryHeap<(u64, u32, u64, bool)>,
}

struct Tally<'a> {
    inputs: &'a [DiffInput],
    rules: &'a [Rule],
    samples: usize,
    groups: FxHashMap<GroupKey, Group>,
}

impl Tally<'_> {
    /// Compares the rules by which one row left both runs; empties the lists.
    fn compare(&mut self, identity: (u32, u64), a: &mut Vec<u32>, b: &mut Vec<u32>) {
        let rules = self.rules;
        let outcome = |rule: u32| rules[rule as usize].outcome;
        let routed = a.iter().chain(b.iter()).any(|&rule| outcome(rule) == Outcome::Routed);
        a.retain(|rule| {
            let Some(same) = b.iter().position(|other| other == rule) else { return true };
            b.swap_remove(same);
            self.add((Change::Same, Some(*rule), Some(*rule)), identity, routed);
            false
        });
        b.sort_unstable();
        let both = a.len().min(b.len());
        for (&before, &after) in a.iter().zip(b.iter()) {
            self.add((Change::Moved, Some(before), Some(after)), identity, routed);
        }
        let [in_a, in_b] = self.inputs[identity.0 as usize].read_by;
        for &rule in &a[both..] {
            let change = if in_b { Change::Returned } else { Change::Elsewhere };
            self.add((change, Some(rule), None), identity, routed);
        }
        for &rule in &b[both..] {
            let change = match outcome(rule) {
                _ if !in_a => Change::Elsewhere,
                Outcome::Routed => Change::Routed,
                Outcome::Removed | Outcome::Quarantined => Change::Removed,
            };
            self.add((change, None, Some(rule)), identity, routed);
        }
        a.clear();
        b.clear();
    }

    fn add(&mut self, key: GroupKey, (file, position): (u32, u64), routed: bool) {
        let group = self.groups.entry(key).or_default();
        group.rows += 1;
        if self.samples == 0 || key.0 == Change::Same {
            return;
        }
        let path = &self.inputs[file as usize].path;
        let hash = xxh3_64_with_seed(path.as_bytes(), position);
        if group.samples.len() < self.samples {
            group.samples.push((hash, file, position, routed));
        } else if group.samples.peek().is_some_and(|&(largest, ..)| hash < largest) {
            group.samples.pop();
            group.samples.push((hash, file, position, routed));
        }
    }

    fn finish(self) -> Vec<Changed> {
        let mut groups: Vec<(GroupKey, Group)> = self.groups.into_iter().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        let rule = |number: Option<u32>| number.map(|number| self.rules[number as usize].clone());
        let file = |file: u32| self.inputs[file as usize].path.clone();
        let changed = groups.into_iter().map(|((change, before, after), group)| Changed {
            change,
            before: rule(before),
            after: rule(after),
            rows: group.rows,
            samples: (group.samples.into_sorted_vec().into_iter())
                .map(|(_, place, position, routed)| Sample { file: file(place), position, routed })
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

    /// Input, position, rule, and how the row left by it.
    type Row = (u8, u64, u8, Outcome);

    const OUTCOMES: [Outcome; 3] = [Outcome::Removed, Outcome::Quarantined, Outcome::Routed];

    fn inputs() -> Vec<DiffInput> {
        ["both", "a", "b"]
            .map(|path| DiffInput { path: path.to_owned(), read_by: [path != "b", path != "a"] })
            .to_vec()
    }

    fn rule(rule: u8, outcome: Outcome) -> Rule {
        Rule { outcome, step: "filter".to_owned(), rule: rule.to_string() }
    }

    fn diff(a: &[Row], b: &[Row], samples: usize, run: usize) -> Vec<Changed> {
        let folder = std::env::temp_dir().join(format!(
            "gristmill-diff-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let mut diff = RemovedDiff::with_run(inputs(), &folder, samples, run);
        for (side, rows) in [a, b].into_iter().enumerate() {
            for &(file, position, number, outcome) in rows {
                let path = &inputs()[usize::from(file)].path;
                diff.add_row(side, path, position, rule(number, outcome)).unwrap();
            }
        }
        let changed = diff.finish().unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "scratch files are left");
        std::fs::remove_dir_all(&folder).unwrap();
        changed
    }

    proptest! {
        /// A row has one fate in each run: none, or a rule by which it left.
        #[test]
        fn every_pair_of_fates_has_its_kind_of_change(
            fates in prop::collection::vec((
                0_u8..3,
                prop::option::of((0_u8..2, prop::sample::select(OUTCOMES.to_vec()))),
                prop::option::of((0_u8..2, prop::sample::select(OUTCOMES.to_vec()))),
            ), 0..80),
        ) {
            let mut sides: [Vec<Row>; 2] = [Vec::new(), Vec::new()];
            let mut expected: Vec<(Change, Option<Rule>, Option<Rule>, Sample)> = Vec::new();
            for (position, &(file, before, after)) in (0_u64..).zip(&fates) {
                // A run without the input has nothing to say of it.
                let (before, after) = (before.filter(|_| file != 2), after.filter(|_| file != 1));
                for (side, fate) in [before, after].into_iter().enumerate() {
                    sides[side].extend(fate.map(|(rule, outcome)| (file, position, rule, outcome)));
                }
                let change = match (before, after) {
                    (None, None) => continue,
                    (before, after) if before == after => Change::Same,
                    (Some(_), Some(_)) => Change::Moved,
                    _ if file != 0 => Change::Elsewhere,
                    (Some(_), None) => Change::Returned,
                    (None, Some((_, Outcome::Routed))) => Change::Routed,
                    (None, Some(_)) => Change::Removed,
                };
                let routed = [before, after].iter().flatten().any(|fate| fate.1 == Outcome::Routed);
                let of = |fate: Option<(u8, Outcome)>| fate.map(|(number, outcome)| rule(number, outcome));
                let file = inputs()[usize::from(file)].path.clone();
                expected.push((change, of(before), of(after), Sample { file, position, routed }));
            }
            let changes = diff(&sides[0], &sides[1], usize::MAX, 1000);
            let rows: u64 = changes.iter().map(|one| one.rows).sum();
            prop_assert_eq!(rows, expected.len() as u64);
            for Changed { change, before, after, rows, samples } in changes {
                let mut own: Vec<&Sample> = expected.iter()
                    .filter(|one| (one.0, &one.1, &one.2) == (change, &before, &after))
                    .map(|one| &one.3)
                    .collect();
                prop_assert_eq!(rows, own.len() as u64);
                own.retain(|_| change != Change::Same);
                let mut got: Vec<&Sample> = samples.iter().collect();
                got.sort_by_key(|sample| sample.position);
                prop_assert_eq!(got, own);
            }
        }

        #[test]
        fn sorting_in_files_changes_nothing_and_every_record_is_counted(
            a in prop::collection::vec((0_u8..2, 0_u64..20, 0_u8..3, prop::sample::select(OUTCOMES.to_vec())), 0..60),
            b in prop::collection::vec((0_u8..1, 0_u64..20, 0_u8..3, prop::sample::select(OUTCOMES.to_vec())), 0..60),
        ) {
            let whole = diff(&a, &b, 2, 1000);
            prop_assert_eq!(&diff(&a, &b, 2, 7), &whole);
            let sum = |side: fn(&Changed) -> bool| whole.iter().filter(|c| side(c)).map(|c| c.rows).sum::<u64>();
            prop_assert_eq!(sum(|c| c.before.is_some()), a.len() as u64);
            prop_assert_eq!(sum(|c| c.after.is_some()), b.len() as u64);
        }
    }
}
