//! One copy in a process of what is large and never changes: models, indexes of benchmarks. Worker threads share
//! it, and it stays from one task to the next.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// How many values of a kind are kept; a run uses one or two, and a program that goes through many must not grow.
const KEPT: usize = 4;

/// A value that is there or is being made; whoever comes second waits for the first.
type Cell<T> = Arc<Mutex<Option<Arc<T>>>>;

/// Values by the hash of what they were made from.
pub struct Shared<T> {
    /// The most recently used last.
    cells: Mutex<Vec<(u128, Cell<T>)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Shared<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { cells: Mutex::new(Vec::new()) }
    }

    /// The value of that hash, made by `make` when the process does not hold it. A failure is not kept: what it
    /// complained about may be mended before the next call.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make(&self, hash: u128, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let cell = self.cell(hash);
        let mut value = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(Arc::clone(value));
        }
        let new = Arc::new(make()?);
        *value = Some(Arc::clone(&new));
        Ok(new)
    }

    fn cell(&self, hash: u128) -> Cell<T> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, cell) = match cells.iter().position(|(other, _)| *other == hash) {
            Some(place) => cells.remove(place),
            None => (hash, Cell::default()),
        };
        cells.push((hash, Arc::clone(&cell)));
        if cells.len() > KEPT {
            cells.remove(0);
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::KernelError;

    #[test]
    fn values_are_made_once_and_failures_are_tried_again() {
        let shared = Shared::new();
        let fails = || shared.get_or_make(1, || Err(KernelError::internal("no"))).is_err();
        assert!(fails() && fails());
        assert_eq!(*shared.get_or_make(1, || Ok("made")).unwrap(), "made");
        assert_eq!(*shared.get_or_make(1, || Ok("again")).unwrap(), "made");
        for other in 2..=KEPT as u128 + 1 {
            shared.get_or_make(other, || Ok("other")).unwrap();
        }
        assert_eq!(*shared.get_or_make(1, || Ok("again")).unwrap(), "again");
    }
}
