//! `NativeGroupCounts`: rows counted by where they come from.

use gristmill_kernels::groups::{GroupCounts, StepGroups, ValueCount};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::guard;

/// Rows of one value of one grouping column, or of a pair of values.
#[napi(object)]
pub struct NativeValueCount {
    /// The column: `source` or `lang`; `source,lang` for a pair.
    pub column: String,
    /// The value.
    pub value: String,
    /// The value of the second column of a pair.
    pub other_value: Option<String>,
    /// Rows that have it.
    pub rows: f64,
}

impl From<ValueCount> for NativeValueCount {
    fn from(count: ValueCount) -> Self {
        Self {
            column: count.column.to_owned(),
            value: count.value,
            other_value: count.other,
            rows: count.rows as f64,
        }
    }
}

/// Rows of a step by the values of the grouping columns.
#[napi(object)]
pub struct NativeStepGroups {
    /// Name of the step.
    pub step: String,
    /// Rows by column and value.
    pub counts: Vec<NativeValueCount>,
    /// Columns that have too many values to be counted.
    pub left_out: Vec<String>,
}

impl NativeStepGroups {
    pub(crate) fn new(step: &str, counts: &GroupCounts) -> Self {
        Self {
            step: step.to_owned(),
            counts: counts.counts().into_iter().map(Into::into).collect(),
            left_out: counts.left_out().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Counts rows that enter a step and those it removes, by the values of the columns `source` and `lang`.
#[napi]
#[derive(Default)]
pub struct NativeGroupCounts {
    inner: StepGroups,
}

#[napi]
impl NativeGroupCounts {
    /// Nothing counted yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the selected rows of a batch that comes to the step.
    #[napi]
    pub fn enter(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("groups.enter", || {
            self.inner.enter(batch.get()?);
            Ok(())
        })
    }

    /// Counts the rows that the step removed from the batch that entered last.
    #[napi]
    pub fn leave(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("groups.leave", || self.inner.leave(batch.get()?))
    }

    /// Rows that entered, as those of `step`.
    #[napi]
    pub fn entered(&self, step: String) -> NativeStepGroups {
        NativeStepGroups::new(&step, self.inner.entered())
    }

    /// Rows that were removed, as those of `step`.
    #[napi]
    pub fn removed(&self, step: String) -> NativeStepGroups {
        NativeStepGroups::new(&step, self.inner.removed())
    }
}
