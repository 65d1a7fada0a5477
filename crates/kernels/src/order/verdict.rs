//! What the global steps at a boundary decided about the rows of one task or bucket.

use arrow_array::RecordBatch;

use crate::batch::Batch;
use crate::dedup::parts::Cuts;
use crate::dedup::verdicts::Decisions;
use crate::edits::Edits;
use crate::error::Result;
use crate::order::{sample, spill};
use crate::removed::RemovedLog;

/// Decisions to apply when spilled rows are read again, in the order the steps stand in the pipeline.
#[derive(Default)]
pub struct Verdict {
    /// Duplicates.
    pub duplicates: Option<Decisions>,
    /// Parts of texts that are duplicates; never beside a shuffle.
    pub cuts: Option<Cuts>,
    /// Sampling: seed, highest hash that stays, name of the step.
    pub sample: Option<(u64, u64, String)>,
}

impl Verdict {
    /// The rows of a spilled record batch; what is removed is recorded. `task` is the ordinal of the task
    /// that spilled them, 0 where decisions are grouped by task.
    ///
    /// # Errors
    /// `Internal` when `record` is not a spilled one.
    pub fn apply(&self, record: &RecordBatch, task: u32, log: &mut RemovedLog) -> Result<Batch> {
        let mut batch = spill::strip(record)?;
        if let Some(decisions) = &self.duplicates {
            decisions.apply(&mut batch, record, task, log)?;
        }
        if let Some((seed, threshold, step)) = &self.sample {
            sample::remove_above(&mut batch, *seed, *threshold, log, step)?;
        }
        Ok(batch)
    }

    /// Cuts the parts that are duplicates from a batch made from `record`; what is cut is recorded.
    ///
    /// # Errors
    /// `Internal` when `record` is not a spilled one.
    pub fn cut(
        &mut self,
        batch: &mut Batch,
        record: &RecordBatch,
        log: &mut RemovedLog,
        edits: &mut Edits,
    ) -> Result<()> {
        match &mut self.cuts {
            Some(cuts) => cuts.apply(batch, record, log, edits),
            None => Ok(()),
        }
    }
}
