//! `NativeClassifier`: a fastText model, shared by all threads of the process.

use std::path::Path;
use std::sync::Arc;

use gristmill_kernels::fasttext::apply::{self, ApplyOptions};
use gristmill_kernels::fasttext::{Model, Scratch, cache};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid};
use crate::removed::NativeRemovedLog;

/// What becomes of the rows of a batch.
#[napi(object)]
pub struct NativeClassifyOptions {
    /// Text column that is read.
    pub column: String,
    /// Column that gets the best label.
    pub label_column: String,
    /// Column that gets the score.
    pub score_column: String,
    /// The label whose score it is; the best label's without it.
    pub label: Option<String>,
    /// Rows whose best label is none of these are removed, under the rule `keep`.
    pub keep: Option<Vec<String>>,
    /// Rows with a lower score are removed, under the rule `minScore`.
    pub min_score: Option<f64>,
}

impl From<NativeClassifyOptions> for ApplyOptions {
    fn from(options: NativeClassifyOptions) -> Self {
        let NativeClassifyOptions { column, label_column, score_column, label, keep, min_score } = options;
        Self { column, label_column, score_column, label, keep, min_score }
    }
}

/// The best label of a text.
#[napi(object)]
pub struct NativeLabel {
    /// The label without `__label__`.
    pub label: String,
    /// Its score.
    pub score: f64,
}

/// Handle on a model, with what one thread keeps from text to text.
#[napi]
pub struct NativeClassifier {
    inner: Option<(Arc<Model>, Scratch)>,
}

impl NativeClassifier {
    fn get(&mut self) -> Result<&mut (Arc<Model>, Scratch)> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "classifier" })
    }
}

#[napi]
impl NativeClassifier {
    /// Reads a `.bin` or `.ftz` file. With `content_hash` the file is read only when the process does not
    /// hold it yet, and must have that content.
    #[napi(factory)]
    pub fn load(path: String, content_hash: Option<String>) -> napi::Result<Self> {
        guard("classifier.load", || {
            let hash = content_hash.map(|hash| u128::from_str_radix(&hash, 16)).transpose();
            let hash = hash.map_err(|error| invalid("contentHash", error))?;
            Ok(Self { inner: Some((cache::of_file(Path::new(&path), hash)?, Scratch::default())) })
        })
    }

    /// XXH3-128 of the file, 32 hexadecimal digits.
    #[napi(getter)]
    pub fn content_hash(&mut self) -> napi::Result<String> {
        guard("classifier.contentHash", || Ok(format!("{:032x}", self.get()?.0.content_hash())))
    }

    /// The labels without `__label__`, as the file orders them.
    #[napi(getter)]
    pub fn labels(&mut self) -> napi::Result<Vec<String>> {
        guard("classifier.labels", || Ok(self.get()?.0.labels().to_vec()))
    }

    /// The best label of one text; none when it has no words.
    #[napi]
    pub fn top(&mut self, text: String) -> napi::Result<Option<NativeLabel>> {
        guard("classifier.top", || {
            let (model, scratch) = self.get()?;
            let best = model.top(&text, scratch);
            Ok(best.map(|best| NativeLabel {
                label: model.labels()[best.label].clone(),
                score: f64::from(best.score),
            }))
        })
    }

    /// Sets the columns of labels and scores and removes the rows that fail; returns how many.
    #[napi]
    pub fn apply(
        &mut self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        step: String,
        options: NativeClassifyOptions,
    ) -> napi::Result<u32> {
        guard("classifier.apply", || {
            let (model, scratch) = self.get()?;
            let (options, log) = (options.into(), removed.get()?);
            batch.change(|batch| {
                apply::apply(model, scratch, batch, &options, (log, &step)).map(|rows| rows as u32)
            })
        })
    }

    /// Lets go of the model; the process keeps it for the next user.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
