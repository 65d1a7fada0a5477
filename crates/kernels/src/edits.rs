//! The record of each edit: which rule cut or masked how much of which row's text.
//!
//! An edit changes a row that stays; rows that leave are in [`crate::removed`]. What was cut is not stored,
//! only how often a rule applied and how many bytes it took away, so that the record is safe to share.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::batch::Batch;
use crate::error::Result;
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::shard_file::FinishedFile;

/// One rule's work on one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// Name of the step.
    pub step: &'a str,
    /// Rule within the step.
    pub rule: &'a str,
    /// How often the rule applied, as in lines cut or matches masked.
    pub count: u64,
    /// UTF-8 bytes of the text that the rule took away or replaced.
    pub bytes: u64,
}

/// What a rule edited in all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditCount {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// Rows it edited.
    pub rows: u64,
    /// How often it applied.
    pub count: u64,
    /// UTF-8 bytes it took away or replaced.
    pub bytes: u64,
}

/// Edits of one task, in the order they were made.
#[derive(Default)]
pub struct Edits {
    id: StringBuilder,
    file: StringBuilder,
    position: UInt64Builder,
    step: StringBuilder,
    rule: StringBuilder,
    count: UInt64Builder,
    bytes: UInt64Builder,
    records: u64,
    by_rule: Vec<EditCount>,
}

/// Schema of `edits/*.parquet`.
#[must_use]
pub fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("id", DataType::Utf8),
        field("file", DataType::Utf8),
        field("position", DataType::UInt64),
        field("step", DataType::Utf8),
        field("rule", DataType::Utf8),
        field("count", DataType::UInt64),
        field("bytes", DataType::UInt64),
    ]))
}

impl Edits {
    /// Records so far: one for each row and rule.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Edits by rule, in the order the rules first made one.
    pub fn by_rule(&self) -> &[EditCount] {
        &self.by_rule
    }

    /// Records what a rule did to a row; a rule that did not apply leaves no record.
    pub fn record(&mut self, batch: &Batch, row: usize, edit: Edit<'_>) {
        let Edit { step, rule, count, bytes } = edit;
        if count == 0 {
            return;
        }
        self.id.append_value(batch.id_of(row));
        self.file.append_value(batch.file_of(row));
        self.position.append_value(batch.position().value(row));
        self.step.append_value(step);
        self.rule.append_value(rule);
        self.count.append_value(count);
        self.bytes.append_value(bytes);
        self.records += 1;
        match self.by_rule.iter_mut().find(|total| total.step == step && total.rule == rule) {
            Some(total) => {
                total.rows += 1;
                total.count += count;
                total.bytes += bytes;
            }
            None => self.by_rule.push(EditCount {
                step: step.to_owned(),
                rule: rule.to_owned(),
                rows: 1,
                count,
                bytes,
            }),
        }
    }

    /// Writes the records to a Parquet file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self, path: impl AsRef<Path>) -> Result<FinishedFile> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.file.finish()),
            Arc::new(self.position.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.rule.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.bytes.finish()),
        ];
        let mut writer = ParquetWriter::create(path, schema())?;
        writer.write(&RecordBatch::try_new(schema(), columns)?)?;
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;
    use arrow_array::StringArray;

    #[test]
    fn edits_are_summed_by_rule_and_idle_rules_leave_no_record() {
        let ids = StringArray::from(vec![Some("a"), None]);
        let batch = Batch::new(Identity::of_file("f.jsonl", vec![0, 9], ids), vec![]).unwrap();
        let mut edits = Edits::default();
        let edit = |rule, count, bytes| Edit { step: "c4-quality", rule, count, bytes };
        edits.record(&batch, 0, edit("javascript", 2, 30));
        edits.record(&batch, 0, edit("policy", 0, 0));
        edits.record(&batch, 1, edit("javascript", 1, 5));
        assert_eq!(edits.records(), 2);
        assert_eq!(
            edits.by_rule(),
            [EditCount {
                step: "c4-quality".into(),
                rule: "javascript".into(),
                rows: 2,
                count: 3,
                bytes: 35
            }]
        );
    }
}
