//! `NativeQualityFilter`: the published filters.

use gristmill_kernels::quality::{self, Curate, Held};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::edits::NativeEdits;
use crate::guard::guard;
use crate::removed::NativeRemovedLog;

/// A measure of a row, held against a limit where there is one.
#[napi(object)]
pub struct NativeHeldMeasure {
    /// The rule; the measure's name where no rule is in force.
    pub name: String,
    /// NaN where there was nothing to measure.
    pub value: f64,
    /// The limit of the row's language.
    pub threshold: Option<f64>,
    /// Whether the row passes the rule.
    pub passes: Option<bool>,
}

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

    /// All measures of a row, each with the rules in force for its language.
    #[napi]
    pub fn held(&mut self, batch: &mut NativeBatch, row: u32) -> napi::Result<Vec<NativeHeldMeasure>> {
        guard("quality.held", || {
            let held = batch.change(|batch| self.inner.held(batch, row as usize))?;
            Ok(held
                .into_iter()
                .map(|Held { name, value, threshold, passes }| NativeHeldMeasure {
                    name,
                    value,
                    threshold,
                    passes,
                })
                .collect())
        })
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
