//! `NativeQualityFilter`: the published filters.

use gristmill_kernels::quality::{self, Curate};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::edits::NativeEdits;
use crate::guard::guard;
use crate::removed::NativeRemovedLog;

/// A filter with its options.
#[napi]
pub struct NativeQualityFilter {
    inner: Box<dyn Curate>,
}

#[napi]
impl NativeQualityFilter {
    /// The filter of that name; options are JSON.
    #[napi(constructor)]
    pub fn new(name: String, options: String) -> napi::Result<Self> {
        guard("quality.open", || Ok(Self { inner: quality::open(&name, &options)? }))
    }

    /// XXH3-128 of the files it read, 32 hexadecimal digits, where there are any.
    #[napi(getter)]
    pub fn content_hash(&self) -> napi::Result<Option<String>> {
        guard("quality.contentHash", || Ok(self.inner.content_hash().map(|hash| format!("{hash:032x}"))))
    }

    /// Runs over the selected rows; returns how many were removed.
    #[napi]
    pub fn run(
        &mut self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        edits: &mut NativeEdits,
        step: String,
    ) -> napi::Result<u32> {
        guard("quality.run", || {
            let (removed, edits) = (removed.get()?, edits.get()?);
            batch.change(|batch| self.inner.run(batch, removed, edits, &step).map(|rows| rows as u32))
        })
    }
}
