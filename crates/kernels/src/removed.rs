//! The record of each removed row: the answer to "why is this row not in the output?".

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, UInt64Builder};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use crate::batch::{Batch, TEXT};
use crate::error::Result;
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::shard_file::FinishedFile;
use crate::groups::GroupCounts;

/// Where the row that made another one superfluous lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// Its id.
    pub id: String,
    /// Its input file.
    pub file: String,
    /// Its position in the file.
    pub position: u64,
    /// The earlier run it is a row of, as the pipeline names that run; `None` for a row of this one.
    pub run: Option<String>,
    /// The cluster it heads, where rows are only alike.
    pub cluster: Option<Cluster>,
}

/// A set of rows that one row stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The same for all its rows, and for no other row.
    pub name: String,
    /// Number of its rows, the one that stays among them.
    pub size: u64,
}

/// What removed a set of rows.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a> {
    /// Name of the step.
    pub step: &'a str,
    /// Rule within the step.
    pub rule: &'a str,
    /// Measured value of each row of the batch, where the rule measures; null where there was nothing to.
    pub values: Option<&'a Float64Array>,
    /// What the value was held against.
    pub threshold: Option<f64>,
}

/// How many rows a rule removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCount {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// Rows it removed.
    pub rows: u64,
}

/// The texts of the removed rows.
#[derive(Default)]
struct Texts {
    column: StringBuilder,
    /// Whether texts are taken now; rows that are removed meanwhile have null.
    taken: bool,
}

/// Removed rows of one task, in the order they were removed.
#[derive(Default)]
pub struct RemovedLog {
    id: StringBuilder,
    file: StringBuilder,
    position: UInt64Builder,
    step: StringBuilder,
    rule: StringBuilder,
    value: Float64Builder,
    threshold: Float64Builder,
    keeper: StringBuilder,
    keeper_file: StringBuilder,
    keeper_position: UInt64Builder,
    keeper_run: StringBuilder,
    cluster: StringBuilder,
    cluster_size: UInt64Builder,
    rows: u64,
    by_rule: Vec<RuleCount>,
    by_group: Vec<(String, GroupCounts)>,
    text: Option<Texts>,
}

/// Schema of `removed/*.parquet`.
#[must_use]
pub fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
    Arc::new(Schema::new(vec![
        field("id", DataType::Utf8, false),
        field("file", DataType::Utf8, false),
        field("position", DataType::UInt64, false),
        field("step", DataType::Utf8, false),
        field("rule", DataType::Utf8, false),
        field("value", DataType::Float64, true),
        field("threshold", DataType::Float64, true),
        field("keeper", DataType::Utf8, true),
        field("keeper_file", DataType::Utf8, true),
        field("keeper_position", DataType::UInt64, true),
        field("keeper_run", DataType::Utf8, true),
        field("cluster", DataType::Utf8, true),
        field("cluster_size", DataType::UInt64, true),
    ]))
}

/// The schema with a last column for the texts, where they are kept.
fn schema_with_text() -> SchemaRef {
    let text = Arc::new(Field::new(TEXT, DataType::Utf8, true));
    let fields: Fields = schema().fields().iter().cloned().chain([text]).collect();
    Arc::new(Schema::new(fields))
}

impl RemovedLog {
    /// Keeps the texts of the rows, too; to be said before the first row.
    pub fn keep_texts(&mut self) {
        self.text = Some(Texts { taken: true, ..Texts::default() });
    }

    /// Says whether the texts of rows recorded from here on are taken, in a log that keeps texts.
    pub fn take_text(&mut self, taken: bool) {
        if let Some(text) = &mut self.text {
            text.taken = taken;
        }
    }

    /// Removed rows by step and by the values of the grouping columns.
    pub fn by_group(&self) -> &[(String, GroupCounts)] {
        &self.by_group
    }

    /// Rows recorded so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows by rule, in the order the rules first removed one.
    pub fn by_rule(&self) -> &[RuleCount] {
        &self.by_rule
    }

    /// Clears the rows where `keep` is false from the selection and records those that were still in.
    /// Returns how many that were.
    ///
    /// # Errors
    /// `Internal` when `keep` has another length than the batch.
    pub fn remove(&mut self, batch: &mut Batch, keep: &BooleanBuffer, reason: Reason<'_>) -> Result<u64> {
        let mut removed = 0;
        for row in (!keep).set_indices() {
            if batch.is_kept(row) {
                self.record(batch, row, reason, None);
                removed += 1;
            }
        }
        if removed > 0 {
            batch.retain(keep)?;
        }
        Ok(removed)
    }

    /// Records one row without touching the selection.
    pub fn record(&mut self, batch: &Batch, row: usize, reason: Reason<'_>, keeper: Option<&Keeper>) {
        if let Some(text) = &mut self.text {
            let texts = batch.column(TEXT).ok().filter(|_| text.taken);
            let texts = texts.and_then(|column| column.as_any().downcast_ref::<StringArray>());
            text.column
                .append_option(texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row)));
        }
        self.id.append_value(batch.id_of(row));
        self.file.append_value(batch.file_of(row));
        self.position.append_value(batch.position().value(row));
        self.step.append_value(reason.step);
        self.rule.append_value(reason.rule);
        self.value.append_option(
            reason.values.filter(|values| values.is_valid(row)).map(|values| values.value(row)),
        );
        self.threshold.append_option(reason.threshold);
        self.keeper.append_option(keeper.map(|keeper| &keeper.id));
        self.keeper_file.append_option(keeper.map(|keeper| &keeper.file));
        self.keeper_position.append_option(keeper.map(|keeper| keeper.position));
        self.keeper_run.append_option(keeper.and_then(|keeper| keeper.run.as_ref()));
        let cluster = keeper.and_then(|keeper| keeper.cluster.as_ref());
        self.cluster.append_option(cluster.map(|cluster| &cluster.name));
        self.cluster_size.append_option(cluster.map(|cluster| cluster.size));
        self.rows += 1;
        let group = self.by_group.iter().position(|(step, _)| step == reason.step).unwrap_or_else(|| {
            self.by_group.push((reason.step.to_owned(), GroupCounts::default()));
            self.by_group.len() - 1
        });
        self.by_group[group].1.add_row(batch, row);
        match self.by_rule.iter_mut().find(|count| count.step == reason.step && count.rule == reason.rule) {
            Some(count) => count.rows += 1,
            None => self.by_rule.push(RuleCount {
                step: reason.step.to_owned(),
                rule: reason.rule.to_owned(),
                rows: 1,
            }),
        }
    }

    /// Writes the records to a Parquet file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self, path: impl AsRef<Path>) -> Result<FinishedFile> {
        let schema = if self.text.is_some() { schema_with_text() } else { schema() };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.file.finish()),
            Arc::new(self.position.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.rule.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.threshold.finish()),
            Arc::new(self.keeper.finish()),
            Arc::new(self.keeper_file.finish()),
            Arc::new(self.keeper_position.finish()),
            Arc::new(self.keeper_run.finish()),
            Arc::new(self.cluster.finish()),
            Arc::new(self.cluster_size.finish()),
        ];
        if let Some(text) = &mut self.text {
            columns.push(Arc::new(text.column.finish()));
        }
        let mut writer = ParquetWriter::create(path, Arc::clone(&schema))?;
        writer.write(&RecordBatch::try_new(schema, columns)?)?;
        writer.finish()
    }
}
