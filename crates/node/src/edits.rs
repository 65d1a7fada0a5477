//! `NativeEdits`: the edits of one task.

use gristmill_kernels::edits::{Edit, Edits};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, unsigned};
use crate::removed::NativeFinishedFile;

/// What a rule edited in all rows.
#[napi(object)]
pub struct NativeEditCount {
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
    /// Rows it edited.
    pub rows: f64,
    /// How often it applied.
    pub count: f64,
    /// UTF-8 bytes it took away or replaced.
    pub bytes: f64,
}

/// Edits of one task; native steps write into it.
#[napi]
#[derive(Default)]
pub struct NativeEdits {
    inner: Option<Edits>,
}

impl NativeEdits {
    pub(crate) fn get(&mut self) -> Result<&mut Edits> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "edits" })
    }
}

#[napi]
impl NativeEdits {
    /// No edits yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { inner: Some(Edits::default()) }
    }

    /// Records so far: one for each row and rule.
    #[napi(getter)]
    pub fn records(&mut self) -> napi::Result<f64> {
        guard("edits.records", || Ok(self.get()?.records() as f64))
    }

    /// Edits by rule, in the order the rules first made one.
    #[napi]
    pub fn by_rule(&mut self) -> napi::Result<Vec<NativeEditCount>> {
        guard("edits.byRule", || {
            let counts = self.get()?.by_rule().iter();
            Ok(counts
                .map(|total| NativeEditCount {
                    step: total.step.clone(),
                    rule: total.rule.clone(),
                    rows: total.rows as f64,
                    count: total.count as f64,
                    bytes: total.bytes as f64,
                })
                .collect())
        })
    }

    /// Records what a rule did to a row; a count of 0 leaves no record.
    #[napi]
    pub fn record(
        &mut self,
        batch: &NativeBatch,
        row: u32,
        step: String,
        rule: String,
        count: f64,
        bytes: f64,
    ) -> napi::Result<()> {
        guard("edits.record", || {
            let batch = batch.get()?;
            if row as usize >= batch.rows() {
                return Err(KernelError::internal(format!("row {row} of a batch of {}", batch.rows())));
            }
            let edit = Edit { step: &step, rule: &rule, count: unsigned(count), bytes: unsigned(bytes) };
            self.get()?.record(batch, row as usize, edit);
            Ok(())
        })
    }

    /// Writes the records to a Parquet file and ends the collection.
    #[napi]
    pub fn finish(&mut self, path: String) -> napi::Result<NativeFinishedFile> {
        guard("edits.finish", || {
            let edits = self.inner.take().ok_or(KernelError::Disposed { what: "edits" })?;
            edits.finish(path).map(Into::into)
        })
    }

    /// Forgets the records.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
