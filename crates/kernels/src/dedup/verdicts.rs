//! What a deduplication decided: which rows go, and which row made each superfluous.
//!
//! The decision is written by [`VerdictWriter`], grouped by who will ask: the task that spilled the row, or
//! the shuffle bucket it went to. The next stage applies its group ([`Decisions`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::{DataType, Field, Schema};
use rustc_hash::FxHashMap;

use crate::batch::{self, Batch};
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::error::Result;
use crate::order::shuffle;
use crate::order::spill::{ROW, Shuffle, hidden};
use crate::removed::{Cluster, Keeper, Reason, RemovedLog};

/// A row as decisions know it.
#[derive(Debug, Clone, Copy)]
pub struct RowPlace<'a> {
    /// The earlier run it is a row of, as the pipeline names that run; `None` for a row of this one.
    pub run: Option<&'a str>,
    /// Ordinal of the task that spilled it.
    pub task: u32,
    /// Its ordinal in the task's output.
    pub row: u32,
    /// Its input file.
    pub file: &'a str,
    /// Its position in the file.
    pub position: u64,
    /// The user's id.
    pub id: Option<&'a str>,
}

impl RowPlace<'_> {
    /// The shuffle bucket the row was spilled to.
    fn bucket(&self, shuffle: Shuffle) -> u32 {
        let mut scratch = Vec::new();
        let key = shuffle::key(self.file, self.position, self.id, shuffle.seed, &mut scratch);
        shuffle::bucket(key, shuffle.buckets)
    }

    /// A name of the row that no other row of the run has: the name of the cluster it heads.
    pub fn cluster_name(&self) -> String {
        let mut scratch = Vec::new();
        let key = match self.run {
            None => shuffle::key(self.file, self.position, self.id, 0, &mut scratch),
            // Another run may have read a file of the same name.
            Some(run) => {
                let file = format!("{run}\n{}", self.file);
                shuffle::key(&file, self.position, self.id, 0, &mut scratch)
            }
        };
        format!("{key:016x}")
    }
}

/// What was found of a near-duplicate.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// Similarity to the keeper.
    pub value: f64,
    /// Name of its cluster.
    pub cluster: &'a str,
    /// Rows in the cluster, the keeper among them.
    pub cluster_size: u64,
}

#[derive(Default)]
struct Group {
    task: UInt32Builder,
    row: UInt32Builder,
    keeper: StringBuilder,
    keeper_file: StringBuilder,
    keeper_position: UInt64Builder,
    value: Float64Builder,
    cluster: StringBuilder,
    cluster_size: UInt64Builder,
    keeper_run: StringBuilder,
}

/// Gathers verdicts and writes them.
///
/// Groups are task ordinals, or buckets when a shuffle follows; within a task-grouped file the bytes of a
/// group do not depend on ordinals, so that inserting a task leaves the others' verdicts as they were.
pub struct VerdictWriter {
    shuffle: Option<Shuffle>,
    groups: BTreeMap<u32, Group>,
}

impl VerdictWriter {
    /// No verdicts yet.
    #[must_use]
    pub fn new(shuffle: Option<Shuffle>) -> Self {
        Self { shuffle, groups: BTreeMap::new() }
    }

    /// Adds that `row` goes, because of `keeper`.
    pub fn remove(&mut self, row: &RowPlace<'_>, keeper: &RowPlace<'_>, measured: Option<Measured<'_>>) {
        let group = self.shuffle.map_or(row.task, |shuffle| row.bucket(shuffle));
        let group = self.groups.entry(group).or_default();
        group.task.append_value(if self.shuffle.is_some() { row.task } else { 0 });
        group.row.append_value(row.row);
        match keeper.id {
            Some(id) => group.keeper.append_value(id),
            None => group.keeper.append_value(format!("{}:{}", keeper.file, keeper.position)),
        }
        group.keeper_file.append_value(keeper.file);
        group.keeper_position.append_value(keeper.position);
        group.value.append_option(measured.map(|measured| measured.value));
        group.cluster.append_option(measured.map(|measured| measured.cluster));
        group.cluster_size.append_option(measured.map(|measured| measured.cluster_size));
        group.keeper_run.append_option(keeper.run);
    }

    /// Writes all groups to `path`.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<(u64, Vec<Segment>)> {
        let mut file = SegmentWriter::create(path)?;
        for (group, verdicts) in self.groups {
            file.append_record(group, &verdicts.into_record()?)?;
        }
        file.finish()
    }
}

impl Group {
    fn into_record(mut self) -> Result<RecordBatch> {
        let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
        let schema = Schema::new(vec![
            field("task", DataType::UInt32, false),
            field("row", DataType::UInt32, false),
            field("keeper", DataType::Utf8, false),
            field("keeper_file", DataType::Utf8, false),
            field("keeper_position", DataType::UInt64, false),
            field("value", DataType::Float64, true),
            field("cluster", DataType::Utf8, true),
            field("cluster_size", DataType::UInt64, true),
            field("keeper_run", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.task.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.keeper.finish()),
            Arc::new(self.keeper_file.finish()),
            Arc::new(self.keeper_position.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.cluster.finish()),
            Arc::new(self.cluster_size.finish()),
            Arc::new(self.keeper_run.finish()),
        ];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// The deduplication that decided, as its records name it.
#[derive(Debug, Clone, Default)]
pub struct DecidedBy {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// What values were held against.
    pub threshold: Option<f64>,
}

/// The verdicts of one group over all partitions, ready to be applied.
#[derive(Default)]
pub struct Decisions {
    by: DecidedBy,
    parts: Vec<RecordBatch>,
    removed: FxHashMap<(u32, u32), (u32, u32)>,
}

impl Decisions {
    /// Removes nothing yet.
    #[must_use]
    pub fn new(by: DecidedBy) -> Self {
        Self { by, ..Self::default() }
    }

    /// Adds a segment of a decision file.
    ///
    /// # Errors
    /// `Format` when it is damaged.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let record = batch::from_ipc(bytes.to_vec().into())?;
        let part = self.parts.len() as u32;
        let task: &UInt32Array = record.column(0).as_primitive();
        let row: &UInt32Array = record.column(1).as_primitive();
        for (index, (&task, &row)) in task.values().iter().zip(row.values()).enumerate() {
            self.removed.insert((task, row), (part, index as u32));
        }
        self.parts.push(record);
        Ok(())
    }

    /// Whether nothing is removed.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
    }

    /// Removes the decided rows of `batch`, made from the spilled `record` of `task`, and records them.
    /// `task` is 0 where the decisions are grouped by task.
    ///
    /// # Errors
    /// `Internal` when `record` is not a spilled one.
    pub fn apply(
        &self,
        batch: &mut Batch,
        record: &RecordBatch,
        task: u32,
        log: &mut RemovedLog,
    ) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let ordinals: &UInt32Array = hidden(record, ROW)?;
        let verdict = |ordinal: u32| self.removed.get(&(task, ordinal)).copied();
        let values: Float64Array =
            ordinals.values().iter().map(|&row| verdict(row).and_then(|place| self.value(place))).collect();
        let DecidedBy { step, rule, threshold } = &self.by;
        let reason = Reason { step, rule, values: Some(&values), threshold: *threshold };
        let mut keep = BooleanBufferBuilder::new(ordinals.len());
        for (row, &ordinal) in ordinals.values().iter().enumerate() {
            let verdict = verdict(ordinal);
            keep.append(verdict.is_none());
            if let Some(place) = verdict {
                log.record(batch, row, reason, Some(&self.keeper(place)));
            }
        }
        batch.retain(&keep.finish())
    }

    fn value(&self, (part, index): (u32, u32)) -> Option<f64> {
        let values = self.parts[part as usize].column(5).as_primitive::<Float64Type>();
        values.is_valid(index as usize).then(|| values.value(index as usize))
    }

    fn keeper(&self, (part, index): (u32, u32)) -> Keeper {
        let (part, index) = (&self.parts[part as usize], index as usize);
        let text = |column: usize| -> &StringArray { part.column(column).as_string::<i32>() };
        let number = |column: usize| part.column(column).as_primitive::<UInt64Type>().value(index);
        Keeper {
            id: text(2).value(index).to_owned(),
            file: text(3).value(index).to_owned(),
            position: number(4),
            run: text(8).is_valid(index).then(|| text(8).value(index).to_owned()),
            cluster: text(6)
                .is_valid(index)
                .then(|| Cluster { name: text(6).value(index).to_owned(), size: number(7) }),
        }
    }
}
