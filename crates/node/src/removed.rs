//! `NativeRemovedLog`: the removed rows of one task.

use arrow_buffer::{BooleanBuffer, Buffer};
use gristmill_kernels::formats::shard_file::FinishedFile;
use gristmill_kernels::removed::{Reason, RemovedLog};
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::{Float64Array, Uint8Array};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::groups::NativeStepGroups;
use crate::guard::guard;

/// A file written by a kernel, with its checksums.
#[napi(object)]
pub struct NativeFinishedFile {
    /// Local path.
    pub path: String,
    /// Length in bytes.
    pub bytes: f64,
    /// XXH3-64 over the block hashes, 16 hexadecimal digits.
    pub checksum: String,
    /// XXH3-64 of each MiB block, concatenated.
    pub blocks: String,
}

impl From<FinishedFile> for NativeFinishedFile {
    fn from(file: FinishedFile) -> Self {
        Self { path: file.path, bytes: file.bytes as f64, checksum: file.checksum, blocks: file.blocks }
    }
}

/// How many rows a rule removed.
#[napi(object)]
pub struct NativeRuleCount {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// Rows it removed.
    pub rows: f64,
}

/// Removed rows of one task; native steps write into it.
#[napi]
#[derive(Default)]
pub struct NativeRemovedLog {
    inner: Option<RemovedLog>,
}

impl NativeRemovedLog {
    pub(crate) fn get(&mut self) -> Result<&mut RemovedLog> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "removed log" })
    }
}

#[napi]
impl NativeRemovedLog {
    /// An empty log.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { inner: Some(RemovedLog::default()) }
    }

    /// Keeps the texts of the rows, too; to be said before the first row.
    #[napi]
    pub fn keep_texts(&mut self) -> napi::Result<()> {
        guard("removed.keepTexts", || {
            self.get()?.keep_texts();
            Ok(())
        })
    }

    /// Says whether the texts of rows recorded from here on are taken, in a log that keeps texts.
    #[napi]
    pub fn take_text(&mut self, taken: bool) -> napi::Result<()> {
        guard("removed.takeText", || {
            self.get()?.take_text(taken);
            Ok(())
        })
    }

    /// Rows by step and by the values of the columns `source` and `lang`.
    #[napi]
    pub fn by_group(&mut self) -> napi::Result<Vec<NativeStepGroups>> {
        guard("removed.byGroup", || {
            let groups = self.get()?.by_group().iter();
            Ok(groups.map(|(step, counts)| NativeStepGroups::new(step, counts)).collect())
        })
    }

    /// Rows recorded so far.
    #[napi(getter)]
    pub fn rows(&mut self) -> napi::Result<f64> {
        guard("removed.rows", || Ok(self.get()?.rows() as f64))
    }

    /// Rows by rule.
    #[napi]
    pub fn by_rule(&mut self) -> napi::Result<Vec<NativeRuleCount>> {
        guard("removed.byRule", || {
            let counts = self.get()?.by_rule().iter();
            Ok(counts
                .map(|count| NativeRuleCount {
                    step: count.step.clone(),
                    rule: count.rule.clone(),
                    rows: count.rows as f64,
                })
                .collect())
        })
    }

    /// Removes the rows whose bit in `keep` (least significant first) is clear; returns how many.
    #[napi]
    pub fn remove(
        &mut self,
        batch: &mut NativeBatch,
        keep: Uint8Array,
        step: String,
        rule: String,
        values: Option<Float64Array>,
        threshold: Option<f64>,
    ) -> napi::Result<u32> {
        guard("removed.remove", || {
            let log = self.get()?;
            batch.change(|batch| {
                let rows = batch.rows();
                if keep.len() * 8 < rows {
                    return Err(KernelError::internal(format!(
                        "bitmap of {} bytes for {rows} rows",
                        keep.len()
                    )));
                }
                let keep = BooleanBuffer::new(Buffer::from(keep.as_ref()), 0, rows);
                let values = values.map(|values| arrow_array::Float64Array::from(values.to_vec()));
                let reason = Reason { step: &step, rule: &rule, values: values.as_ref(), threshold };
                log.remove(batch, &keep, reason).map(|removed| removed as u32)
            })
        })
    }

    /// Writes the records to a Parquet file and ends the log.
    #[napi]
    pub fn finish(&mut self, path: String) -> napi::Result<NativeFinishedFile> {
        guard("removed.finish", || {
            let log = self.inner.take().ok_or(KernelError::Disposed { what: "removed log" })?;
            log.finish(path).map(Into::into)
        })
    }

    /// Forgets the records.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
