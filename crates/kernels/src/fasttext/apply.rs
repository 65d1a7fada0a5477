//! A model on the rows of a batch: labels and scores as columns, and the rows that fail them removed.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::{Array, Float64Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field};
use rustc_hash::FxHashSet;

use super::model::{Model, Scratch};
use super::source::unusable;
use crate::batch::Batch;
use crate::error::Result;
use crate::removed::{Reason, RemovedLog};

/// What becomes of the rows of a batch.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
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

/// Sets the columns of labels and scores, both null for a text without words, and removes the rows that fail.
/// Rows that are not selected are not read. Returns how many rows were removed.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there; `Model` when the model has no such label.
pub fn apply(
    model: &Model,
    scratch: &mut Scratch,
    batch: &mut Batch,
    options: &ApplyOptions,
    (removed, step): (&mut RemovedLog, &str),
) -> Result<u64> {
    let (labels, scores) = classify(model, scratch, batch, options)?;
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    batch.set_column(field(&options.label_column, DataType::Utf8), Arc::new(labels.clone()))?;
    batch.set_column(field(&options.score_column, DataType::Float64), Arc::new(scores.clone()))?;
    let mut left = 0;
    let reason = |rule, threshold| Reason { step, rule, values: Some(&scores), threshold };
    if let Some(keep) = &options.keep {
        let keep: FxHashSet<&str> = keep.iter().map(String::as_str).collect();
        let kept = BooleanBuffer::collect_bool(batch.rows(), |row| {
            labels.is_valid(row) && keep.contains(labels.value(row))
        });
        left += removed.remove(batch, &kept, reason("keep", None))?;
    }
    if let Some(min) = options.min_score {
        let kept =
            BooleanBuffer::collect_bool(batch.rows(), |row| scores.is_valid(row) && scores.value(row) >= min);
        left += removed.remove(batch, &kept, reason("minScore", Some(min)))?;
    }
    Ok(left)
}

fn classify(
    model: &Model,
    scratch: &mut Scratch,
    batch: &Batch,
    options: &ApplyOptions,
) -> Result<(StringArray, Float64Array)> {
    let texts = batch.text(&options.column)?;
    let measured = options.label.as_ref().map(|label| label_of(model, label)).transpose()?;
    let mut labels = StringBuilder::with_capacity(texts.len(), texts.len() * 3);
    let mut scores = Float64Builder::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let text = text.filter(|_| batch.is_kept(row));
        let answer = text.and_then(|text| match measured {
            None => model.top(text, scratch).map(|best| (best, best.score)),
            Some(label) => model.top_and(text, label, scratch),
        });
        labels.append_option(answer.map(|(best, _)| &model.labels()[best.label]));
        scores.append_option(answer.map(|(_, score)| f64::from(score)));
    }
    Ok((labels.finish(), scores.finish()))
}

fn label_of(model: &Model, label: &str) -> Result<usize> {
    let found = model.labels().iter().position(|one| one == label);
    found.ok_or_else(|| unusable(format!("the model has no label '{label}'")))
}
