//! Reading a `tokenizer.json` of any version.

use serde_json::Value;
use tokenizers::pipeline::PipelinePostProcessor;

use super::regex_splits;
use super::tokenizer::{Loaded, failed};
use crate::error::{KernelError, Result};

/// The file as JSON.
pub(super) fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| KernelError::Tokenizer {
        reason: format!("the file starts like a tokenizer.json, but is not valid JSON: {error}"),
    })
}

/// Builds the tokenizer that the file describes.
pub(super) fn read(mut value: Value) -> Result<Loaded> {
    tokenizers::canonicalize_value(&mut value).map_err(failed)?;
    let mut post_processor = Value::Null;
    if let Some(root) = value.as_object_mut() {
        post_processor = root.remove("post_processor").unwrap_or_default();
        // Both are off anyway; a malformed one must not keep the file from loading.
        root.remove("truncation");
        root.remove("padding");
    }
    let post_processor: PipelinePostProcessor =
        tokenizers::post_processor_from_json(&post_processor.to_string()).map_err(failed)?;
    let highest_model_id = highest_id(&value["model"]["vocab"]);
    let canonical = value.to_string();
    drop(value);
    let pipeline = tokenizers::from_json(&canonical).map_err(failed)?;
    Ok(Loaded { pipeline: regex_splits::enable(pipeline)?, post_processor, highest_model_id })
}

/// The highest id of a model's vocabulary: a map to ids, or Unigram's list of [token, score].
fn highest_id(vocab: &Value) -> Option<u32> {
    match vocab {
        Value::Object(entries) => {
            entries.values().filter_map(Value::as_u64).max().and_then(|id| id.try_into().ok())
        }
        Value::Array(entries) => entries.len().checked_sub(1).and_then(|id| id.try_into().ok()),
        _ => None,
    }
}
