//! One copy of each model in a process, whatever the number of workers: models reach gigabytes.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::model::Model;
use super::source::unusable;
use crate::error::{KernelError, Result};

/// How many models are kept; a run uses one or two, and a program that goes through many must not grow.
const KEPT: usize = 4;

/// A model, or why it cannot be had; whoever comes second waits for the first.
type Cell = Arc<OnceLock<std::result::Result<Arc<Model>, String>>>;

/// By content hash; the most recently used last.
static ENTRIES: Mutex<Vec<(u128, Cell)>> = Mutex::new(Vec::new());

/// The model of a file. With `content_hash` (from [`Model::content_hash`]) the file is read only when the
/// process does not hold the model yet, and must still have that content.
///
/// # Errors
/// As [`Model::open`]; `Model` when the file has changed.
pub fn of_file(path: &Path, content_hash: Option<u128>) -> Result<Arc<Model>> {
    let Some(hash) = content_hash else {
        let model = Arc::new(Model::open(path)?);
        let cell = cell(model.content_hash());
        let held = cell.get_or_init(|| Ok(Arc::clone(&model)));
        return Ok(Arc::clone(held.as_ref().unwrap_or(&model)));
    };
    let cell = cell(hash);
    let loaded = cell.get_or_init(|| match Model::open(path) {
        Ok(model) if model.content_hash() == hash => Ok(Arc::new(model)),
        Ok(_) => Err(format!("{} changed since the run was planned", path.display())),
        Err(KernelError::Model { reason }) => Err(reason),
        Err(other) => Err(other.to_string()),
    });
    loaded.clone().map_err(unusable)
}

fn cell(content_hash: u128) -> Cell {
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = match entries.iter().position(|(hash, _)| *hash == content_hash) {
        Some(place) if entries[place].1.get().is_none_or(|loaded| loaded.is_ok()) => entries.remove(place),
        // What failed once may succeed when the file is put back.
        Some(place) => {
            entries.remove(place);
            (content_hash, Cell::default())
        }
        None => (content_hash, Cell::default()),
    };
    let cell = Arc::clone(&entry.1);
    entries.push(entry);
    if entries.len() > KEPT {
        entries.remove(0);
    }
    cell
}
