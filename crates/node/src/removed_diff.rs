//! `NativeRemovedDiff`: how rows left two runs, compared.

use std::path::Path;

use gristmill_kernels::removed_diff::{Change, Changed, DiffInput, Outcome, RemovedDiff, Rule, Sample};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::guard::{guard, invalid, unsigned};

/// An input file of either run.
#[napi(object)]
pub struct NativeDiffInput {
    /// Its path, relative to the configuration.
    pub path: String,
    /// Whether the first run read it.
    pub before: bool,
    /// Whether the second run read it.
    pub after: bool,
}

/// A step and a rule within it, and what they did with the row.
#[napi(object)]
pub struct NativeRule {
    /// `removed`, `quarantined` or `routed`.
    pub outcome: String,
    /// Name of the step.
    pub step: String,
    /// Rule within the step.
    pub rule: String,
}

impl From<Rule> for NativeRule {
    fn from(rule: Rule) -> Self {
        let outcome = match rule.outcome {
            Outcome::Removed => "removed",
            Outcome::Quarantined => "quarantined",
            Outcome::Routed => "routed",
        };
        Self { outcome: outcome.to_owned(), step: rule.step, rule: rule.rule }
    }
}

/// A row by its identity.
#[napi(object)]
pub struct NativeDiffSample {
    /// Input file.
    pub file: String,
    /// Position in it.
    pub position: f64,
    /// Whether either run routed it, or a part of it.
    pub routed: bool,
}

/// Rows that changed alike.
#[napi(object)]
pub struct NativeChanged {
    /// `removed`, `routed`, `returned`, `moved`, `same` or `elsewhere`.
    pub change: String,
    /// Rule of the first run.
    pub before: Option<NativeRule>,
    /// Rule of the second run.
    pub after: Option<NativeRule>,
    /// How many rows.
    pub rows: f64,
    /// Some of them.
    pub samples: Vec<NativeDiffSample>,
}

impl From<Changed> for NativeChanged {
    fn from(changed: Changed) -> Self {
        let change = match changed.change {
            Change::Removed => "removed",
            Change::Routed => "routed",
            Change::Returned => "returned",
            Change::Moved => "moved",
            Change::Same => "same",
            Change::Elsewhere => "elsewhere",
        };
        let sample =
            |Sample { file, position, routed }| NativeDiffSample { file, position: position as f64, routed };
        Self {
            change: change.to_owned(),
            before: changed.before.map(Into::into),
            after: changed.after.map(Into::into),
            rows: changed.rows as f64,
            samples: changed.samples.into_iter().map(sample).collect(),
        }
    }
}

/// A comparison of how rows left two runs.
#[napi]
pub struct NativeRemovedDiff {
    inner: Option<RemovedDiff>,
}

impl NativeRemovedDiff {
    fn get(&mut self) -> Result<&mut RemovedDiff> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "comparison" })
    }
}

fn side(side: u32) -> Result<usize> {
    if side < 2 { Ok(side as usize) } else { Err(invalid("side", "must be 0 or 1")) }
}

#[napi]
impl NativeRemovedDiff {
    /// A comparison of runs over these inputs; `scratch` is a folder for files that go with it.
    #[napi(constructor)]
    pub fn new(inputs: Vec<NativeDiffInput>, scratch: String, samples: u32) -> Self {
        let input =
            |input: NativeDiffInput| DiffInput { path: input.path, read_by: [input.before, input.after] };
        let inputs = inputs.into_iter().map(input).collect();
        Self { inner: Some(RemovedDiff::new(inputs, Path::new(&scratch), samples as usize)) }
    }

    /// Adds a file of removed-row records of the first (0) or second (1) run, or of the rows that a step routed.
    #[napi]
    pub fn add_file(&mut self, of: u32, path: String, routed_by: Option<String>) -> napi::Result<()> {
        guard("diff.addFile", || self.get()?.add_file(side(of)?, Path::new(&path), routed_by.as_deref()))
    }

    /// Adds a record of the first (0) or second (1) run that could not be read.
    #[napi]
    pub fn add_quarantined(
        &mut self,
        of: u32,
        file: String,
        position: f64,
        code: String,
    ) -> napi::Result<()> {
        let rule = Rule { outcome: Outcome::Quarantined, step: "quarantine".to_owned(), rule: code };
        guard("diff.addQuarantined", || self.get()?.add_row(side(of)?, &file, unsigned(position), rule))
    }

    /// Compares and ends the comparison.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<Vec<NativeChanged>> {
        guard("diff.finish", || {
            let diff = self.inner.take().ok_or(KernelError::Disposed { what: "comparison" })?;
            Ok(diff.finish()?.into_iter().map(Into::into).collect())
        })
    }

    /// Forgets what was added and deletes its files.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
