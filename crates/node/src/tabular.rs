//! Bindings of the kernels for columns of tables.

use gristmill_kernels::tabular::StepPlan;
use gristmill_kernels::tabular::apply::{ApplyOptions, Table};
use gristmill_kernels::tabular::decide::{self, TaskSeen};
use gristmill_kernels::tabular::fit::Collector;
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::global::{parse, to_json};
use crate::guard::guard;
use crate::removed::NativeRemovedLog;

/// What one task saw of columns whose parameters are to be found.
#[napi]
pub struct NativeFitCollector {
    inner: Option<Collector>,
}

#[napi]
impl NativeFitCollector {
    /// Creates the file; `options` is JSON, see `FitOptions`.
    #[napi(factory)]
    pub fn create(path: String, options: String) -> napi::Result<Self> {
        guard("fit.create", || {
            Ok(Self { inner: Some(Collector::create(path, parse("fit options", &options)?)?) })
        })
    }

    /// Adds the selected rows of a batch.
    #[napi]
    pub fn add(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("fit.add", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "fit collector" })?.add(batch.get()?)
        })
    }

    /// Closes the file; JSON `{bytes, segments}`.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<String> {
        guard("fit.finish", || {
            let collector = self.inner.take().ok_or(KernelError::Disposed { what: "fit collector" })?;
            let (bytes, segments) = collector.finish()?;
            to_json(&serde_json::json!({ "bytes": bytes, "segments": segments }))
        })
    }

    /// Forgets the file; what was written stays for the engine to delete.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// Writes the parameters of step `index` of those whose columns the tasks looked at together; JSON
/// `{bytes, segments}`. Each of `plans` is JSON, see `StepPlan`.
#[napi]
pub fn decide_fit(
    plans: Vec<String>,
    index: u32,
    files: Vec<String>,
    segments: Vec<Buffer>,
    max_categories: u32,
    path: String,
) -> napi::Result<String> {
    guard("fit.decide", || {
        let plans =
            plans.iter().map(|plan| parse("step on columns", plan)).collect::<Result<Vec<StepPlan>>>()?;
        let seen = files.into_iter().zip(segments);
        let seen: Vec<TaskSeen> =
            seen.map(|(file, json)| TaskSeen { path: file.into(), json: json.into() }).collect();
        let (bytes, segments) =
            decide::resolve(&plans, index as usize, &seen, max_categories as usize, path)?;
        to_json(&serde_json::json!({ "bytes": bytes, "segments": segments }))
    })
}

/// A step on columns of a table, with its parameters.
#[napi]
pub struct NativeTable {
    inner: Table,
}

#[napi]
impl NativeTable {
    /// `parameters` is JSON, see `StepPlan`; `options`, too, see `ApplyOptions`.
    #[napi(constructor)]
    pub fn new(parameters: String, options: String) -> napi::Result<Self> {
        guard("table.new", || {
            let options: ApplyOptions = parse("table options", &options)?;
            Ok(Self { inner: Table::new(&parameters, options)? })
        })
    }

    /// Changes a batch; rows that a column drops are removed and recorded.
    #[napi]
    pub fn apply(
        &self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        step: String,
    ) -> napi::Result<()> {
        guard("table.apply", || {
            let log = removed.get()?;
            batch.change(|batch| self.inner.apply(batch, log, &step))
        })
    }
}
