//! `NativeExport`: a finished run in the format of another loader.

use std::sync::Arc;

use gristmill_kernels::KernelError;
use gristmill_kernels::export::{Export, ExportConfig, ExportReport};
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;

use crate::guard::{guard, invalid};

/// An export; `src/kernels/export.ts` is its typed face.
#[napi]
pub struct NativeExport {
    inner: Arc<Export>,
}

#[napi]
impl NativeExport {
    /// Opens the run that `config` names in JSON, an `ExportConfig` of the kernel. Writes nothing.
    #[napi(constructor)]
    pub fn new(config: String) -> napi::Result<Self> {
        guard("export.open", || {
            let config: ExportConfig =
                serde_json::from_str(&config).map_err(|error| invalid("export options", error))?;
            Ok(Self { inner: Arc::new(Export::open(config)?) })
        })
    }

    /// Samples to export.
    #[napi(getter)]
    pub fn samples(&self) -> f64 {
        self.inner.samples() as f64
    }

    /// Samples written so far.
    #[napi(getter)]
    pub fn written(&self) -> f64 {
        self.inner.written() as f64
    }

    /// Lets the threads stop after the batch they are at.
    #[napi]
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Writes the export; its report as JSON, `null` when it was stopped.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn run(&self) -> AsyncTask<RunExport> {
        AsyncTask::new(RunExport { inner: Arc::clone(&self.inner) })
    }
}

/// Writes an export on a thread of the pool, and on its own.
pub struct RunExport {
    inner: Arc<Export>,
}

impl Task for RunExport {
    type Output = Option<ExportReport>;
    type JsValue = Option<String>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        guard("export.run", || self.inner.run())
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        guard("export.report", || {
            output.map(|report| serde_json::to_string(&report).map_err(KernelError::internal)).transpose()
        })
    }
}
