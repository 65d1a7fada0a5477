//! Shingle sets of the rows that are candidates, written by the task that spilled them.
//!
//! The sets come first, each as u64 rising, little-endian; then, for each group, one segment that says
//! whose they are, where they lie, and what decides about their rows. A group is read row by row from the
//! file, so that it need not fit into memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use rustc_hash::FxHashMap;

use super::MinhashOptions;
use super::shingles::Shingler;
use crate::batch::TEXT;
use crate::dedup::index;
use crate::dedup::keep::{Keep, priorities};
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::dedup::verdicts::RowPlace;
use crate::error::{KernelError, Result};
use crate::order::spill::{ROW, hidden, strip};

/// Writes the sets of one task's candidates.
pub struct SetWriter {
    file: SegmentWriter,
    shingler: Shingler,
    keep: Keep,
    /// Group of each wanted row.
    wanted: FxHashMap<u32, u32>,
    groups: BTreeMap<u32, Members>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Members {
    row: UInt32Builder,
    priority: Float64Builder,
    offset: UInt64Builder,
    shingles: UInt32Builder,
    file: StringBuilder,
    position: UInt64Builder,
    id: StringBuilder,
}

impl SetWriter {
    /// Creates the file. `wanted` are pairs of row and group, as the components' file has them.
    ///
    /// # Errors
    /// `Io` when it cannot be created; `Format` when `wanted` is damaged.
    pub fn create(path: impl AsRef<Path>, options: &MinhashOptions, wanted: &[u8]) -> Result<Self> {
        let (pairs, rest) = wanted.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(KernelError::format("candidates", "the last pair is cut short"));
        }
        let wanted = pairs
            .iter()
            .map(|pair| {
                let pair = u64::from_le_bytes(*pair);
                (pair as u32, (pair >> 32) as u32)
            })
            .collect();
        Ok(Self {
            file: SegmentWriter::create(path)?,
            shingler: Shingler::new(options.shingles),
            keep: options.keep.clone(),
            wanted,
            groups: BTreeMap::new(),
            bytes: Vec::new(),
        })
    }

    /// Adds the wanted rows of a spilled block.
    ///
    /// # Errors
    /// `Internal` when `record` is not a spilled one; `Io` when writing fails.
    pub fn add(&mut self, record: &RecordBatch) -> Result<()> {
        let ordinals: &UInt32Array = hidden(record, ROW)?;
        let batch = strip(record)?;
        let text = batch.text(TEXT)?;
        let priority = priorities(&batch, &self.keep)?;
        for (row, &ordinal) in ordinals.values().iter().enumerate() {
            let priority = priority.as_ref().and_then(|p| p.is_valid(row).then(|| p.value(row)));
            let place = RowPlace {
                run: None,
                task: 0,
                row: ordinal,
                file: batch.file_of(row),
                position: batch.position().value(row),
                id: batch.id().is_valid(row).then(|| batch.id().value(row)),
            };
            self.add_row(&place, priority, if text.is_valid(row) { text.value(row) } else { "" })?;
        }
        Ok(())
    }

    /// Adds the wanted rows of an earlier run's index.
    ///
    /// # Errors
    /// `Format` when the index is damaged; `Io` when reading or writing fails.
    pub fn add_index(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut rows: Vec<u32> = self.wanted.keys().copied().collect();
        rows.sort_unstable();
        index::texts(path.as_ref(), &rows, |place, text| self.add_row(place, None, text))
    }

    fn add_row(&mut self, place: &RowPlace<'_>, priority: Option<f64>, text: &str) -> Result<()> {
        let Some(&group) = self.wanted.get(&place.row) else { return Ok(()) };
        let set = self.shingler.set(text);
        let members = self.groups.entry(group).or_default();
        members.row.append_value(place.row);
        members.priority.append_option(priority);
        members.offset.append_value(self.file.bytes());
        members.shingles.append_value(set.len() as u32);
        members.file.append_value(place.file);
        members.position.append_value(place.position);
        members.id.append_option(place.id);
        self.bytes.clear();
        self.bytes.extend(set.iter().flat_map(|hash| hash.to_le_bytes()));
        self.file.append_loose(&self.bytes)
    }

    /// Writes the groups and closes the file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<(u64, Vec<Segment>)> {
        for (group, members) in self.groups {
            self.file.append_record(group, &members.into_record()?)?;
        }
        self.file.finish()
    }
}

impl Members {
    fn into_record(mut self) -> Result<RecordBatch> {
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        let schema = Schema::new(vec![
            field("row", DataType::UInt32),
            field("priority", DataType::Float64),
            field("offset", DataType::UInt64),
            field("shingles", DataType::UInt32),
            field("file", DataType::Utf8),
            field("position", DataType::UInt64),
            field("id", DataType::Utf8),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.row.finish()),
            Arc::new(self.priority.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.shingles.finish()),
            Arc::new(self.file.finish()),
            Arc::new(self.position.finish()),
            Arc::new(self.id.finish()),
        ];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}
