//! What one task saw of the columns whose parameters are to be found.
//!
//! The task's file holds sorted runs of values, and one segment: JSON of a [`StepSeen`] for each step. Memory is
//! bounded: what is buffered over all columns is written as runs when it reaches a limit.

use std::path::Path;

use arrow_buffer::BooleanBuffer;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::exact_sum::{ExactSums, Totals};
use super::runs::Run;
use super::values::{Kind, Values, float_key, rows_with};
use super::{ColumnPlan, Find, StepPlan};
use crate::batch::Batch;
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::error::{KernelError, Result};

/// Bytes of values that a task holds before it writes them.
const BUFFER_BYTES: usize = 32 << 20;
/// What an entry of a table of counts takes beside its key.
const ENTRY_BYTES: usize = 48;

/// Steps whose parameters are found together.
#[derive(Debug, Clone, Deserialize)]
pub struct FitOptions {
    /// In the order of the pipeline.
    pub steps: Vec<FitStep>,
}

/// A step and the rows it will see.
#[derive(Debug, Clone, Deserialize)]
pub struct FitStep {
    /// What it does.
    pub plan: StepPlan,
    /// Columns without which a row is left out: it will have been removed.
    #[serde(default)]
    pub without: Vec<String>,
}

/// The place of a row, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Input file.
    pub file: String,
    /// Position in it.
    pub position: u64,
}

/// What a task saw of a column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnSeen {
    /// Rows with a value.
    pub values: u64,
    /// Rows without one.
    pub missing: u64,
    /// The first row that holds an infinity.
    pub infinite: Option<Place>,
    /// What was made of the values.
    pub found: Found,
}

/// What was made of a column's values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Found {
    /// For means and deviations.
    Sums(Totals),
    /// Keys of the smallest and the largest number.
    Extent {
        /// `u64::MAX` where there are none.
        low: u64,
        /// 0 where there are none.
        high: u64,
    },
    /// Sorted runs in the task's file: numbers for medians, counts for the rest.
    Runs {
        /// In the order they were written.
        runs: Vec<Run>,
    },
}

/// What a task saw for a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepSeen {
    /// Rows the step will see.
    pub rows: u64,
    /// Columns with something to be found, in the order of the step.
    pub columns: Vec<ColumnSeen>,
}

/// Gathers a task's rows.
pub struct Collector {
    steps: Vec<StepCollector>,
    file: SegmentWriter,
    limit: usize,
}

struct StepCollector {
    without: Vec<String>,
    rows: u64,
    columns: Vec<ColumnCollector>,
}

struct ColumnCollector {
    name: String,
    kind: Kind,
    values: u64,
    missing: u64,
    infinite: Option<Place>,
    gathered: Gathered,
    runs: Vec<Run>,
}

enum Gathered {
    Sums(Box<ExactSums>),
    Extent { low: u64, high: u64 },
    Numbers(Vec<u64>),
    Counts(FxHashMap<u64, u64>),
    Texts { counts: FxHashMap<Box<[u8]>, u64>, bytes: usize },
}

impl Collector {
    /// Creates the task's file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>, options: FitOptions) -> Result<Self> {
        let steps = options.steps.into_iter().map(|FitStep { plan, without }| StepCollector {
            without,
            rows: 0,
            columns: plan.columns.into_iter().filter_map(ColumnCollector::of).collect(),
        });
        Ok(Self { steps: steps.collect(), file: SegmentWriter::create(path)?, limit: BUFFER_BYTES })
    }

    /// Holds fewer bytes of values, for tests.
    #[cfg(test)]
    pub(super) fn limited(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Adds the selected rows of a batch.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch has other columns; `Io` when writing fails.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        for step in &mut self.steps {
            step.add(batch)?;
        }
        let columns = || self.steps.iter().flat_map(|step| &step.columns);
        if columns().map(ColumnCollector::buffered).sum::<usize>() >= self.limit {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for column in self.steps.iter_mut().flat_map(|step| &mut step.columns) {
            column.flush(&mut self.file)?;
        }
        Ok(())
    }

    /// Closes the file: its size, and one segment.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<(u64, Vec<Segment>)> {
        self.flush()?;
        let seen: Vec<StepSeen> = self.steps.into_iter().map(StepCollector::seen).collect();
        let json = serde_json::to_vec(&seen).map_err(KernelError::internal)?;
        self.file.append(0, &json)?;
        self.file.finish()
    }
}

impl StepCollector {
    fn add(&mut self, batch: &Batch) -> Result<()> {
        let mut rows = batch.kept().cloned();
        for name in &self.without {
            let there = rows_with(batch, name)?;
            rows = Some(match rows {
                Some(rows) => &rows & &there,
                None => there,
            });
        }
        self.rows += rows.as_ref().map_or(batch.rows(), BooleanBuffer::count_set_bits) as u64;
        for column in &mut self.columns {
            column.add(batch, rows.as_ref())?;
        }
        Ok(())
    }

    fn seen(self) -> StepSeen {
        StepSeen { rows: self.rows, columns: self.columns.into_iter().map(ColumnCollector::seen).collect() }
    }
}

impl ColumnCollector {
    fn of(plan: ColumnPlan) -> Option<Self> {
        let gathered = match plan.find? {
            Find::Mean => Gathered::Sums(Box::new(ExactSums::new(false))),
            Find::Standard => Gathered::Sums(Box::new(ExactSums::new(true))),
            Find::MinMax => Gathered::Extent { low: u64::MAX, high: 0 },
            Find::Median => Gathered::Numbers(Vec::new()),
            Find::MostFrequent | Find::Categories if plan.kind == Kind::String => {
                Gathered::Texts { counts: FxHashMap::default(), bytes: 0 }
            }
            Find::MostFrequent | Find::Categories => Gathered::Counts(FxHashMap::default()),
        };
        let ColumnPlan { name, kind, .. } = plan;
        Some(Self { name, kind, values: 0, missing: 0, infinite: None, gathered, runs: Vec::new() })
    }

    fn add(&mut self, batch: &Batch, rows: Option<&BooleanBuffer>) -> Result<()> {
        let values = match self.gathered {
            Gathered::Sums(_) | Gathered::Extent { .. } | Gathered::Numbers(_) => {
                Values::numbers(batch, &self.name)?
            }
            Gathered::Counts(_) | Gathered::Texts { .. } => Values::of(batch, &self.name, self.kind)?,
        };
        match rows {
            None => (0..batch.rows()).for_each(|row| self.add_row(batch, values, row)),
            Some(rows) => rows.set_indices().for_each(|row| self.add_row(batch, values, row)),
        }
        Ok(())
    }

    #[inline]
    fn add_row(&mut self, batch: &Batch, values: Values<'_>, row: usize) {
        if values.is_missing(row) {
            self.missing += 1;
            return;
        }
        self.values += 1;
        let number = values.number(row);
        if number.is_some_and(f64::is_infinite) {
            let place =
                || Place { file: batch.file_of(row).to_owned(), position: batch.position().value(row) };
            self.infinite.get_or_insert_with(place);
            return;
        }
        match &mut self.gathered {
            Gathered::Sums(sums) => sums.add(number.unwrap_or_default()),
            Gathered::Extent { low, high } => {
                let key = float_key(number.unwrap_or_default());
                *low = key.min(*low);
                *high = key.max(*high);
            }
            Gathered::Numbers(keys) => keys.push(float_key(number.unwrap_or_default())),
            Gathered::Counts(counts) => *counts.entry(values.small_key(row)).or_default() += 1,
            Gathered::Texts { counts, bytes } => {
                let Values::Text(texts) = values else { return };
                let text = texts.value(row).as_bytes();
                if let Some(count) = counts.get_mut(text) {
                    *count += 1;
                } else {
                    *bytes += text.len();
                    counts.insert(text.into(), 1);
                }
            }
        }
    }

    fn buffered(&self) -> usize {
        match &self.gathered {
            Gathered::Sums(_) | Gathered::Extent { .. } => 0,
            Gathered::Numbers(keys) => size_of_val(keys.as_slice()),
            Gathered::Counts(counts) => counts.len() * ENTRY_BYTES,
            Gathered::Texts { counts, bytes } => counts.len() * ENTRY_BYTES + bytes,
        }
    }

    fn flush(&mut self, file: &mut SegmentWriter) -> Result<()> {
        if self.buffered() == 0 {
            return Ok(());
        }
        let run = match &mut self.gathered {
            Gathered::Sums(_) | Gathered::Extent { .. } => return Ok(()),
            Gathered::Numbers(keys) => Run::of_numbers(file, keys)?,
            Gathered::Counts(counts) => {
                let counts = counts.drain().map(|(key, count)| (key.to_be_bytes(), count));
                Run::of_counts(file, counts.collect())?
            }
            Gathered::Texts { counts, bytes } => {
                *bytes = 0;
                Run::of_counts(file, counts.drain().collect())?
            }
        };
        self.runs.push(run);
        Ok(())
    }

    fn seen(self) -> ColumnSeen {
        let Self { values, missing, infinite, gathered, runs, .. } = self;
        let found = match gathered {
            Gathered::Sums(sums) => Found::Sums(sums.totals()),
            Gathered::Extent { low, high } => Found::Extent { low, high },
            Gathered::Numbers(_) | Gathered::Counts(_) | Gathered::Texts { .. } => Found::Runs { runs },
        };
        ColumnSeen { values, missing, infinite, found }
    }
}
