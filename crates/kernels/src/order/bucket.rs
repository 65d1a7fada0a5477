//! One shuffle bucket: its blocks from every spill, sorted by key.

use arrow_array::{RecordBatch, UInt64Array};
use arrow_select::interleave::interleave_record_batch;

use crate::batch::Batch;
use crate::error::Result;
use crate::order::spill::{KEY, hidden};
use crate::order::verdict::Verdict;
use crate::removed::RemovedLog;

/// Sorts the rows of one bucket and hands them out batch by batch.
///
/// Blocks must be added in task order, then file order: rows with equal keys keep that order.
#[derive(Default)]
pub struct BucketSorter {
    parts: Vec<RecordBatch>,
    /// Key, part and row of what is kept; sorted by [`BucketSorter::sort`].
    order: Vec<(u64, u32, u32)>,
    next: usize,
    bytes: usize,
}

impl BucketSorter {
    /// Adds the rows of a block that `task` spilled, leaving out and recording the rows that `verdict` removes.
    ///
    /// # Errors
    /// `Internal` when the rows lack their keys.
    pub fn add(
        &mut self,
        record: &RecordBatch,
        task: u32,
        verdict: &Verdict,
        log: &mut RemovedLog,
    ) -> Result<()> {
        let batch = verdict.apply(record, task, log)?;
        let keys: &UInt64Array = hidden(record, KEY)?;
        let part = self.parts.len() as u32;
        self.order.extend(
            keys.values()
                .iter()
                .enumerate()
                .filter(|&(row, _)| batch.is_kept(row))
                .map(|(row, &key)| (key, part, row as u32)),
        );
        self.bytes += batch.bytes();
        self.parts.push(batch.record().clone());
        Ok(())
    }

    /// Sorts what was added; call once, before [`BucketSorter::next`].
    pub fn sort(&mut self) {
        self.order.sort_unstable();
    }

    /// The next rows in order, about `target_bytes` of them; `None` at the end.
    ///
    /// # Errors
    /// `Internal` from Arrow.
    pub fn next(&mut self, target_bytes: usize) -> Result<Option<Batch>> {
        let left = &self.order[self.next..];
        if left.is_empty() {
            return Ok(None);
        }
        let row_bytes = (self.bytes / self.order.len()).max(1);
        let take = (target_bytes / row_bytes).clamp(1, left.len());
        let indices: Vec<(usize, usize)> =
            left[..take].iter().map(|&(_, part, row)| (part as usize, row as usize)).collect();
        self.next += take;
        let parts: Vec<&RecordBatch> = self.parts.iter().collect();
        Ok(Some(Batch::from_record(interleave_record_batch(&parts, &indices)?)?))
    }
}
