//! One copy of each tokenizer in a process, whatever the number of workers.
//!
//! A tokenizer takes a third of a second and 30 MB to load, so worker threads share it, and it stays
//! from one task to the next.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use super::tokenizer::{LoadOptions, Tokenizer};
use crate::error::{KernelError, Result};

/// How many tokenizers are kept; a run uses one, and a program that goes through many must not grow.
const KEPT: usize = 4;

/// A tokenizer, or why it cannot be had; whoever comes second waits for the first.
type Cell = Arc<OnceLock<std::result::Result<Arc<Tokenizer>, String>>>;

struct Entry {
    content_hash: u128,
    options: LoadOptions,
    cell: Cell,
}

/// The most recently used last.
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// The tokenizer of a file's bytes.
///
/// # Errors
/// As [`Tokenizer::load`].
pub fn of_bytes(bytes: &[u8], options: &LoadOptions) -> Result<Arc<Tokenizer>> {
    let cell = entry(xxh3_128(bytes), options);
    let loaded = cell.get_or_init(|| match Tokenizer::load(bytes, options) {
        Ok(tokenizer) => Ok(Arc::new(tokenizer)),
        Err(KernelError::Tokenizer { reason }) => Err(reason),
        Err(other) => Err(other.to_string()),
    });
    loaded.clone().map_err(|reason| KernelError::Tokenizer { reason })
}

/// The tokenizer of a file. With `content_hash` (from [`Tokenizer::content_hash`]) the file is read
/// only when the process does not hold the tokenizer yet, and must still have that content.
///
/// # Errors
/// As [`Tokenizer::load`]; `Io` when the file cannot be read; `Tokenizer` when it has changed.
pub fn of_file(path: &Path, content_hash: Option<u128>, options: &LoadOptions) -> Result<Arc<Tokenizer>> {
    if let Some(hash) = content_hash
        && let Some(Ok(tokenizer)) = entry_if_any(hash, options).as_deref().and_then(OnceLock::get)
    {
        return Ok(Arc::clone(tokenizer));
    }
    let bytes = std::fs::read(path).map_err(KernelError::io("read", path))?;
    if content_hash.is_some_and(|hash| hash != xxh3_128(&bytes)) {
        return Err(KernelError::Tokenizer {
            reason: format!("{} changed since the run was planned", path.display()),
        });
    }
    of_bytes(&bytes, options)
}

fn entry_if_any(content_hash: u128, options: &LoadOptions) -> Option<Cell> {
    let entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = entries.iter().find(|e| e.content_hash == content_hash && e.options == *options)?;
    Some(Arc::clone(&entry.cell))
}

fn entry(content_hash: u128, options: &LoadOptions) -> Cell {
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let found = entries.iter().position(|e| e.content_hash == content_hash && e.options == *options);
    let entry = match found {
        Some(index) => entries.remove(index),
        None => Entry { content_hash, options: options.clone(), cell: Cell::default() },
    };
    let cell = Arc::clone(&entry.cell);
    entries.push(entry);
    if entries.len() > KEPT {
        entries.remove(0);
    }
    cell
}
