//! Bindings of the kernels for columns of tables.

use gristmill_kernels::Result;
use gristmill_kernels::tabular::StepPlan;
use gristmill_kernels::tabular::apply::{ApplyOptions, Table};
use gristmill_kernels::tabular::decide::{self, TaskSeen};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::global::parse;
use crate::guard::guard;
use crate::keys::segment_file;
use crate::removed::NativeRemovedLog;

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
        segment_file(decide::resolve(&plans, index as usize, &seen, max_categories as usize, path)?)
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
