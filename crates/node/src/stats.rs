//! `NativeStats`: statistics of the rows of one task; and all tasks' added up.

use std::path::PathBuf;

use gristmill_kernels::stats::collect::Collector;
use gristmill_kernels::stats::merge::{MergeOptions, Merged, merge};
use gristmill_kernels::stats::shares::{self, StepShare};
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid, unsigned};
use crate::removed::NativeFinishedFile;

/// Statistics of one task.
#[napi]
pub struct NativeStats {
    inner: Option<Collector>,
}

#[napi]
impl NativeStats {
    /// Nothing counted yet; options are JSON.
    #[napi(constructor)]
    pub fn new(options: String) -> napi::Result<Self> {
        guard("stats.new", || {
            let options = serde_json::from_str(&options).map_err(|error| invalid("stats", error))?;
            Ok(Self { inner: Some(Collector::new(options)) })
        })
    }

    /// Counts the selected rows of a batch, which stay as they are.
    #[napi]
    pub fn add(&mut self, batch: &mut NativeBatch) -> napi::Result<()> {
        guard("stats.add", || {
            let stats = self.inner.as_mut().ok_or(KernelError::Disposed { what: "statistics" })?;
            batch.change(|batch| stats.add(batch))
        })
    }

    /// Writes what was counted to a file, and ends the counting.
    #[napi]
    pub fn finish(&mut self, path: String) -> napi::Result<NativeFinishedFile> {
        guard("stats.finish", || {
            let stats = self.inner.take().ok_or(KernelError::Disposed { what: "statistics" })?;
            stats.finish(path).map(Into::into)
        })
    }

    /// Forgets what was counted. Disposing twice is harmless.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// Adds the files of tasks up, in order, on a thread of the pool. The files are `<prefix><name>.parquet`; they and
/// the summary come as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn merge_stats(
    tasks: Vec<String>,
    options: String,
    prefix: String,
) -> napi::Result<AsyncTask<MergeStats>> {
    guard("stats.merge", || {
        let options = serde_json::from_str(&options).map_err(|error| invalid("stats", error))?;
        let tasks = tasks.into_iter().map(PathBuf::from).collect();
        Ok(AsyncTask::new(MergeStats { tasks, options, prefix }))
    })
}

/// A merge under way.
pub struct MergeStats {
    tasks: Vec<PathBuf>,
    options: MergeOptions,
    prefix: String,
}

impl Task for MergeStats {
    type Output = Merged;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        guard("stats.merge", || merge(&self.tasks, &self.options, &self.prefix))
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        guard("stats.merge", || serde_json::to_string(&output).map_err(KernelError::internal))
    }
}

/// Rows of one value of a column, or of a pair of values, at one step.
#[napi(object)]
pub struct NativeStepShare {
    /// Name of the step.
    pub step: String,
    /// `source` or `lang`; `source,lang` for a pair.
    pub column: String,
    /// Its value.
    pub value: String,
    /// The value of the second column of a pair.
    pub other_value: Option<String>,
    /// Rows that entered the step.
    pub rows_in: f64,
    /// Those among them that it removed.
    pub removed: f64,
}

/// Writes what steps kept and removed to a Parquet file.
#[napi]
pub fn write_step_shares(path: String, shares: Vec<NativeStepShare>) -> napi::Result<NativeFinishedFile> {
    guard("stats.writeShares", || -> Result<NativeFinishedFile> {
        let shares: Vec<StepShare> = shares
            .into_iter()
            .map(|share| StepShare {
                step: share.step,
                column: share.column,
                value: share.value,
                other_value: share.other_value,
                rows_in: unsigned(share.rows_in),
                removed: unsigned(share.removed),
            })
            .collect();
        shares::write(path, &shares).map(Into::into)
    })
}
