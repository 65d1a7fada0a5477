//! `NativePiiFinder`: private data in text.

use gristmill_kernels::Result;
use gristmill_kernels::pii::{Finder, Kind, apply};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::edits::NativeEdits;
use crate::guard::{guard, invalid};
use crate::removed::NativeRemovedLog;
use crate::routed::NativeRoutedRows;

/// A kind of private data with a text: what is put in its place, or the column that counts it.
#[napi(object)]
pub struct NativePiiText {
    /// Name of the kind.
    pub kind: String,
    /// The text.
    pub text: String,
}

/// Private data at a place of a text.
#[napi(object)]
pub struct NativePiiMatch {
    /// Name of the kind.
    pub kind: String,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

fn kind(name: &str) -> Result<Kind> {
    Kind::named(name).ok_or_else(|| invalid("kinds", format!("there is no kind '{name}'")))
}

/// Names of the kinds, in the order of the rules.
#[napi]
pub fn pii_kinds() -> Vec<String> {
    Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
}

/// Finds private data of chosen kinds.
#[napi]
pub struct NativePiiFinder {
    inner: Finder,
}

#[napi]
impl NativePiiFinder {
    /// Looks for `kinds`.
    #[napi(constructor)]
    pub fn new(kinds: Vec<String>) -> napi::Result<Self> {
        guard("pii.new", || {
            let kinds = kinds.iter().map(|name| kind(name)).collect::<Result<Vec<_>>>()?;
            Ok(Self { inner: Finder::new(&kinds)? })
        })
    }

    /// The matches of one text, in order.
    #[napi]
    pub fn find(&self, text: String) -> napi::Result<Vec<NativePiiMatch>> {
        guard("pii.find", || {
            let mut found = Vec::new();
            self.inner.find(&text, &mut found);
            let matches = found.iter().map(|one| NativePiiMatch {
                kind: one.kind.name().to_owned(),
                start: one.start as u32,
                end: one.end as u32,
            });
            Ok(matches.collect())
        })
    }

    /// Puts a text in place of each match, one for each kind; returns how many rows changed.
    #[napi]
    pub fn replace(
        &self,
        batch: &mut NativeBatch,
        edits: &mut NativeEdits,
        step: String,
        column: String,
        instead: Vec<NativePiiText>,
    ) -> napi::Result<u32> {
        guard("pii.replace", || {
            let mut texts: [String; Kind::ALL.len()] = Default::default();
            for NativePiiText { kind: name, text } in instead {
                texts[kind(&name)? as usize] = text;
            }
            let edits = edits.get()?;
            batch.change(|batch| {
                apply::replace(&self.inner, batch, &column, &texts, (edits, &step)).map(|rows| rows as u32)
            })
        })
    }

    /// Removes the rows with a match; returns how many.
    #[napi]
    pub fn remove(
        &self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        step: String,
        column: String,
    ) -> napi::Result<u32> {
        guard("pii.remove", || {
            let log = removed.get()?;
            batch.change(|batch| {
                apply::remove(&self.inner, batch, &column, (log, &step)).map(|rows| rows as u32)
            })
        })
    }

    /// Takes the rows with a match to the file of routed rows; returns how many.
    #[napi]
    pub fn route(
        &self,
        batch: &mut NativeBatch,
        routed: &mut NativeRoutedRows,
        step: String,
        column: String,
    ) -> napi::Result<u32> {
        guard("pii.route", || {
            let rows = routed.get()?;
            batch.change(|batch| {
                apply::route(&self.inner, batch, &column, (rows, &step)).map(|rows| rows as u32)
            })
        })
    }

    /// Sets a column of counts for each kind given.
    #[napi]
    pub fn annotate(
        &self,
        batch: &mut NativeBatch,
        column: String,
        columns: Vec<NativePiiText>,
    ) -> napi::Result<()> {
        guard("pii.annotate", || {
            let names = columns.into_iter().map(|one| Ok((kind(&one.kind)?, one.text)));
            let names = names.collect::<Result<Vec<_>>>()?;
            batch.change(|batch| apply::annotate(&self.inner, batch, &column, &names))
        })
    }
}
