//! One copy of each model in a process, whatever the number of workers: models reach gigabytes.

use std::path::Path;
use std::sync::Arc;

use super::model::Model;
use super::source::unusable;
use crate::error::Result;
use crate::shared::Shared;

static MODELS: Shared<Model> = Shared::new();

/// The model of a file. With `content_hash` (from [`Model::content_hash`]) the file is read only when the
/// process does not hold the model yet, and must still have that content.
///
/// # Errors
/// As [`Model::open`]; `Model` when the file has changed.
pub fn of_file(path: &Path, content_hash: Option<u128>) -> Result<Arc<Model>> {
    let Some(hash) = content_hash else {
        let model = Model::open(path)?;
        return MODELS.get_or_make(model.content_hash(), || Ok(model));
    };
    MODELS.get_or_make(hash, || {
        let model = Model::open(path)?;
        if model.content_hash() == hash {
            return Ok(model);
        }
        Err(unusable(format!("{} changed since the run was planned", path.display())))
    })
}
