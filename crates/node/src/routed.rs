//! `NativeRoutedRows`: the rows of one task that steps take to files of their own.

use gristmill_kernels::routed::RoutedRows;
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::guard::guard;
use crate::removed::NativeFinishedFile;

/// The routed rows of one step.
#[napi(object)]
pub struct NativeRoutedFile {
    /// Name of the step.
    pub step: String,
    /// Rows in the file.
    pub rows: f64,
    /// The file.
    pub file: NativeFinishedFile,
}

/// Routed rows of one task; native steps write into it.
#[napi]
#[derive(Default)]
pub struct NativeRoutedRows {
    inner: Option<RoutedRows>,
}

impl NativeRoutedRows {
    pub(crate) fn get(&mut self) -> Result<&mut RoutedRows> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "routed rows" })
    }
}

#[napi]
impl NativeRoutedRows {
    /// Counts rows only, until it is told where they go.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { inner: Some(RoutedRows::default()) }
    }

    /// From now on rows go to files `<base>.routed.<step>.parquet`, which only the owner may read.
    #[napi]
    pub fn write_to(&mut self, base: String) -> napi::Result<()> {
        guard("routed.writeTo", || {
            self.get()?.write_to(base);
            Ok(())
        })
    }

    /// Rows routed so far.
    #[napi(getter)]
    pub fn rows(&mut self) -> napi::Result<f64> {
        guard("routed.rows", || Ok(self.get()?.rows() as f64))
    }

    /// Closes the files.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<Vec<NativeRoutedFile>> {
        guard("routed.finish", || {
            let rows = self.inner.take().ok_or(KernelError::Disposed { what: "routed rows" })?;
            let files = rows.finish()?.into_iter();
            Ok(files
                .map(|routed| NativeRoutedFile {
                    step: routed.step,
                    rows: routed.rows as f64,
                    file: routed.file.into(),
                })
                .collect())
        })
    }

    /// Closes files without finishing them. Disposing twice is harmless.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
