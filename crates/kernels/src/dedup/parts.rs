//! Exact deduplication of parts of texts: a line or paragraph that stood earlier in the corpus is cut.
//!
//! Map: each task hashes the parts of its rows' texts and writes hash, row and number of the part, cut into
//! partitions by hash ([`PartKeyWriter`]). Reduce: [`decide`] goes through one partition of every task, in
//! order, and writes which parts were there before, grouped by task. The next stage cuts them ([`Cuts`]).
//!
//! Wenzek et al. 2020, "`CCNet`", section 3.1, does this with paragraphs, which there are lines. A part is
//! compared without the white space around it; the hash is XXH3-128, as for rows (see [`super::exact`]).
//! Memory of the reduce is that of the *different* parts of a partition: a line that stands on every page of
//! the web takes no more than one that stands on one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_buffer::BooleanBufferBuilder;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::exact::{Compare, Strings, partition};
use super::segments::{Segment, SegmentWriter};
use crate::batch::Batch;
use crate::edits::{Edit, Edits};
use crate::error::{KernelError, Result};
use crate::order::spill::{ROW, hidden};
use crate::removed::{Reason, RemovedLog};

/// Bytes of a part's hash, row and number.
const ENTRY_BYTES: usize = 24;
/// Parts that are gathered before they are written.
const GATHERED: usize = 1 << 19;
/// Rule of rows that are removed because all of their parts were cut.
const EMPTIED: &str = "emptied";

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// What ends with a line feed.
    Line,
    /// Lines up to an empty one.
    Paragraph,
}

/// Which parts are compared, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartOptions {
    /// The column.
    pub column: String,
    /// What a part is.
    pub by: Part,
    /// How parts are compared.
    pub normalize: Compare,
    /// Parts of fewer characters stay.
    pub min_characters: u32,
    /// Number of partitions, at least 1.
    pub partitions: u32,
}

/// Where the parts of a text end, in bytes, rising; the last is the text's length. White space after a part
/// belongs to it.
fn ends(text: &str, by: Part, ends: &mut Vec<usize>) {
    ends.clear();
    let (mut at, mut filled, mut after_empty) = (0, false, false);
    for line in text.split_inclusive('\n') {
        let empty = line.trim().is_empty();
        let starts = match by {
            Part::Line => at > 0,
            Part::Paragraph => filled && after_empty && !empty,
        };
        if starts {
            ends.push(at);
            filled = false;
        }
        filled |= !empty;
        after_empty = empty;
        at += line.len();
    }
    if at > 0 {
        ends.push(at);
    }
}

/// Keys of one task's parts.
pub struct PartKeyWriter {
    options: PartOptions,
    strings: Strings,
    file: SegmentWriter,
    parts: Vec<Entries>,
    gathered: usize,
    rows: u32,
    ends: Vec<usize>,
}

#[derive(Default, Clone)]
struct Entries {
    hash: Vec<u128>,
    row: Vec<u32>,
    part: Vec<u32>,
}

impl PartKeyWriter {
    /// Creates the key file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>, options: PartOptions) -> Result<Self> {
        Ok(Self {
            strings: Strings::new(options.normalize),
            file: SegmentWriter::create(path)?,
            parts: vec![Entries::default(); options.partitions as usize],
            options,
            gathered: 0,
            rows: 0,
            ends: Vec::new(),
        })
    }

    /// Adds the rows of a compacted batch, in the order they are spilled.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch lacks the column; `Io` when writing fails.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        let text = batch.text(&self.options.column)?;
        for row in 0..text.len() {
            if text.is_valid(row) {
                self.add_text(text.value(row));
            }
            self.rows += 1;
            if self.gathered >= GATHERED {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) {
        ends(text, self.options.by, &mut self.ends);
        let mut from = 0;
        for (part, &to) in self.ends.iter().enumerate() {
            let own = text[from..to].trim();
            from = to;
            if own.is_empty()
                || own.chars().nth(self.options.min_characters.saturating_sub(1) as usize).is_none()
            {
                continue;
            }
            let compared = self.strings.normal(own);
            if compared.is_empty() {
                continue;
            }
            let hash = xxh3_128(compared);
            let entries = &mut self.parts[partition(hash, self.options.partitions as usize)];
            entries.hash.push(hash);
            entries.row.push(self.rows);
            entries.part.push(part as u32);
            self.gathered += 1;
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        for (index, entries) in
            self.parts.iter_mut().enumerate().filter(|(_, entries)| !entries.hash.is_empty())
        {
            bytes.clear();
            bytes.extend(entries.hash.iter().flat_map(|hash| hash.to_le_bytes()));
            bytes.extend(entries.row.iter().chain(&entries.part).flat_map(|number| number.to_le_bytes()));
            self.file.append(index as u32, &bytes)?;
            *entries = Entries::default();
        }
        self.gathered = 0;
        Ok(())
    }

    /// Closes the key file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<(u64, Vec<Segment>)> {
        self.flush()?;
        self.file.finish()
    }
}

/// A segment of a task's key file.
#[derive(Debug, Clone)]
pub struct KeySegment {
    /// Ordinal of the task.
    pub task: u32,
    /// The key file.
    pub path: PathBuf,
    /// First byte of the segment.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// Decides one partition and writes to `path` which parts of each task's rows are cut, as pairs of row and part.
///
/// `inputs` are the partition's segments, in task order and in the order they were written.
///
/// # Errors
/// `Format` when a segment is damaged; `Io` when reading or writing fails.
pub fn decide(inputs: &[KeySegment], path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
    let mut seen: FxHashSet<u128> = FxHashSet::default();
    let mut file = SegmentWriter::create(path)?;
    let (mut bytes, mut cuts) = (Vec::new(), Vec::new());
    for input in inputs {
        let failed = |what| KernelError::io(what, &input.path);
        bytes.resize(input.length as usize, 0);
        let keys = File::open(&input.path).map_err(failed("open"))?;
        keys.read_exact_at(&mut bytes, input.offset).map_err(failed("read"))?;
        if !bytes.len().is_multiple_of(ENTRY_BYTES) {
            return Err(KernelError::format(
                "keys of parts",
                format!("{} bytes are no whole entries", bytes.len()),
            ));
        }
        let count = bytes.len() / ENTRY_BYTES;
        let (hashes, numbers) = bytes.split_at(count * size_of::<u128>());
        let (rows, parts) = numbers.split_at(count * size_of::<u32>());
        let ((hashes, _), (rows, _), (parts, _)) =
            (hashes.as_chunks(), rows.as_chunks::<4>(), parts.as_chunks::<4>());
        cuts.clear();
        for (&hash, (row, part)) in hashes.iter().zip(rows.iter().zip(parts)) {
            if !seen.insert(u128::from_le_bytes(hash)) {
                cuts.extend(row);
                cuts.extend(part);
            }
        }
        if !cuts.is_empty() {
            file.append(input.task, &cuts)?;
        }
    }
    file.finish()
}

/// The deduplication, as its records name it.
#[derive(Debug, Clone)]
pub struct CutBy {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// The column.
    pub column: String,
    /// What a part is.
    pub by: Part,
}

/// The parts to cut from one task's rows, over all partitions.
pub struct Cuts {
    by: CutBy,
    /// Rows and parts; rising once sorted.
    pairs: Vec<(u32, u32)>,
    sorted: bool,
}

impl Cuts {
    /// Cuts nothing yet.
    #[must_use]
    pub fn new(by: CutBy) -> Self {
        Self { by, pairs: Vec::new(), sorted: true }
    }

    /// Adds a segment of a decision file.
    ///
    /// # Errors
    /// `Format` when it is damaged.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let (pairs, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(KernelError::format("cuts", "the last pair is cut short"));
        }
        self.pairs.extend(pairs.iter().map(|pair| {
            let pair = u64::from_le_bytes(*pair);
            (pair as u32, (pair >> 32) as u32)
        }));
        self.sorted = false;
        Ok(())
    }

    fn of(&self, row: u32) -> &[(u32, u32)] {
        let from = self.pairs.partition_point(|&(other, _)| other < row);
        let length = self.pairs[from..].partition_point(|&(other, _)| other == row);
        &self.pairs[from..from + length]
    }

    /// Cuts the rows of `batch`, made from the spilled `record`. A row of which nothing is left is removed.
    ///
    /// # Errors
    /// `Internal` when `record` is not a spilled one; `ColumnMissing` or `ColumnType` when the column is.
    pub fn apply(
        &mut self,
        batch: &mut Batch,
        record: &RecordBatch,
        log: &mut RemovedLog,
        edits: &mut Edits,
    ) -> Result<()> {
        if !self.sorted {
            self.pairs.sort_unstable();
            self.sorted = true;
        }
        if self.pairs.is_empty() {
            return Ok(());
        }
        let CutBy { step, rule, column, by } = &self.by;
        let ordinals: &UInt32Array = hidden(record, ROW)?;
        let text: StringArray = batch.text(column)?.clone();
        let mut cut = StringBuilder::with_capacity(text.len(), text.value_data().len());
        let mut keep = BooleanBufferBuilder::new(text.len());
        let (mut bounds, mut left) = (Vec::new(), String::new());
        for (row, &ordinal) in ordinals.values().iter().enumerate() {
            let cuts = self.of(ordinal);
            if cuts.is_empty() || text.is_null(row) {
                cut.append_option(text.is_valid(row).then(|| text.value(row)));
                keep.append(true);
                continue;
            }
            ends(text.value(row), *by, &mut bounds);
            without(text.value(row), &bounds, cuts, &mut left);
            let filled = !left.trim().is_empty();
            keep.append(filled);
            cut.append_value(&left);
            if filled {
                let bytes = (text.value(row).len() - left.len()) as u64;
                edits.record(batch, row, Edit { step, rule, count: cuts.len() as u64, bytes });
            }
        }
        log.remove(batch, &keep.finish(), Reason { step, rule: EMPTIED, values: None, threshold: None })?;
        let field = batch.schema().field_with_name(column)?.clone();
        batch.set_column(field, std::sync::Arc::new(cut.finish()))
    }
}

/// Writes the parts that are not cut to `left`. Line feeds before a cut end of the text go with it.
fn without(text: &str, ends: &[usize], cuts: &[(u32, u32)], left: &mut String) {
    left.clear();
    let (mut from, mut next) = (0, 0);
    for (part, &to) in ends.iter().enumerate() {
        if cuts.get(next).is_some_and(|&(_, cut)| cut as usize == part) {
            next += 1;
        } else {
            left.push_str(&text[from..to]);
        }
        from = to;
    }
    if cuts.last().is_some_and(|&(_, cut)| cut as usize + 1 == ends.len()) {
        left.truncate(left.trim_end_matches(['\n', '\r']).len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Identity, TEXT};
    use crate::order::spill;
    use crate::test_folder::TestFolder;
    use arrow_array::ArrayRef;
    use arrow_schema::{DataType, Field};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn parts(text: &str, by: Part) -> Vec<&str> {
        let mut bounds = Vec::new();
        ends(text, by, &mut bounds);
        let starts = [0].into_iter().chain(bounds.iter().copied());
        starts.zip(&bounds).map(|(from, &to)| &text[from..to]).collect()
    }

    #[test]
    fn a_paragraph_ends_with_the_empty_lines_after_it() {
        assert_eq!(parts("\na\nb\n \n\nc\n", Part::Paragraph), ["\na\nb\n \n\n", "c\n"]);
        assert_eq!(parts("a\n\nb", Part::Line), ["a\n", "\n", "b"]);
        assert!(parts("", Part::Paragraph).is_empty());
    }

    fn batch(texts: &[String]) -> Batch {
        let identity = Identity::of_file(
            "f",
            (0..texts.len() as u64).collect(),
            StringArray::from(vec![None::<&str>; texts.len()]),
        );
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        Batch::new(identity, vec![(Field::new(TEXT, DataType::Utf8, true), column)]).unwrap()
    }

    /// What a loop over all rows leaves; `None` for a row of which nothing is left.
    fn expected(texts: &[String], by: Part) -> Vec<Option<String>> {
        let mut seen = FxHashSet::default();
        let mut left = Vec::new();
        for text in texts {
            let all = parts(text, by);
            let stays: Vec<bool> = all
                .iter()
                .map(|part| part.trim().is_empty() || seen.insert(part.trim().to_owned()))
                .collect();
            let mut out: String =
                all.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(part, _)| *part).collect();
            if stays.last() == Some(&false) {
                out.truncate(out.trim_end_matches(['\n', '\r']).len());
            }
            let whole = stays.iter().all(|&stays| stays);
            left.push((whole || !out.trim().is_empty()).then_some(out));
        }
        left
    }

    proptest! {
        #[test]
        fn what_stood_before_is_cut(
            tasks in prop::collection::vec(prop::collection::vec("[ab\n\r ]{0,12}", 0..6), 1..4),
            by in prop_oneof![Just(Part::Line), Just(Part::Paragraph)],
            partitions in 1_u32..4,
        ) {
            let folder = TestFolder::new();
            let options = PartOptions {
                column: TEXT.to_owned(),
                by,
                normalize: Compare::None,
                min_characters: 0,
                partitions,
            };
            let mut keys = Vec::new();
            for (task, texts) in tasks.iter().enumerate() {
                let path = folder.join(format!("{task}.keys"));
                let mut writer = PartKeyWriter::create(&path, options.clone()).unwrap();
                writer.add(&batch(texts)).unwrap();
                for Segment { group, offset, length, .. } in writer.finish().unwrap().1 {
                    keys.push((group, KeySegment { task: task as u32, path: path.clone(), offset, length }));
                }
            }
            let cut_by = || CutBy { step: "s".into(), rule: "line".into(), column: TEXT.into(), by };
            let mut cuts: Vec<Cuts> = tasks.iter().map(|_| Cuts::new(cut_by())).collect();
            for partition in 0..partitions {
                let own: Vec<_> =
                    keys.iter().filter(|(group, _)| *group == partition).map(|(_, key)| key.clone()).collect();
                let path = folder.join("cuts");
                let (_, segments) = decide(&own, &path).unwrap();
                let bytes = std::fs::read(&path).unwrap();
                for Segment { group, offset, length, .. } in segments {
                    cuts[group as usize].add(&bytes[offset as usize..(offset + length) as usize]).unwrap();
                }
            }
            let (mut log, mut edits) = (RemovedLog::default(), Edits::default());
            let mut left = Vec::new();
            for (texts, cuts) in tasks.iter().zip(&mut cuts) {
                let path = folder.join("rows.spill");
                let mut writer = spill::SpillWriter::create(&path, None, spill::Storage::Compressed).unwrap();
                writer.write(&batch(texts)).unwrap();
                let (_, blocks) = writer.finish().unwrap();
                let file = spill::SpillFile::open(&path).unwrap();
                for block in &blocks {
                    let record = file.read(&block.place).unwrap();
                    let mut rows = spill::strip(&record).unwrap();
                    cuts.apply(&mut rows, &record, &mut log, &mut edits).unwrap();
                    let text = rows.text(TEXT).unwrap().clone();
                    left.extend((0..rows.rows()).map(|row| rows.is_kept(row).then(|| text.value(row).to_owned())));
                }
            }
            prop_assert_eq!(left, expected(&tasks.concat(), by));
        }
    }
}
