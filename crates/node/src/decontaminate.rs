//! `NativeContaminationIndex`: the n-grams of benchmarks, shared by all threads of the process.

use std::sync::Arc;

use gristmill_kernels::decontaminate::apply::{self, CutOptions};
use gristmill_kernels::decontaminate::{BenchmarkFile, Index, Scratch, load};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::edits::NativeEdits;
use crate::guard::{guard, invalid};
use crate::removed::NativeRemovedLog;

/// A benchmark on a local disk.
#[napi(object)]
pub struct NativeBenchmarkFile {
    /// Where it lies.
    pub path: String,
    /// What records call it.
    pub name: String,
}

/// An item that is too short to be looked for.
#[napi(object)]
pub struct NativeUnusableItem {
    /// Name of its file.
    pub file: String,
    /// Its row in the file, from 0.
    pub row: f64,
    /// How many words it has.
    pub words: f64,
}

/// How documents are cut.
#[napi(object)]
pub struct NativeCutOptions {
    /// Documents that hold more than this share of an item's n-grams are cut.
    pub threshold: f64,
    /// Characters that go with an n-gram on either side.
    pub around: u32,
    /// Pieces with fewer characters are dropped.
    pub least_characters: u32,
    /// A document that falls into more pieces is removed.
    pub most_pieces: u32,
}

/// Handle on an index, with what one thread keeps from text to text.
#[napi]
pub struct NativeContaminationIndex {
    inner: Option<(Arc<Index>, Scratch)>,
}

impl NativeContaminationIndex {
    fn get(&mut self) -> Result<&mut (Arc<Index>, Scratch)> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "contamination index" })
    }
}

#[napi]
impl NativeContaminationIndex {
    /// Reads benchmark files. With `content_hash` they are read only when the process does not hold the index
    /// yet, and must have that content.
    #[napi(factory)]
    pub fn load(
        files: Vec<NativeBenchmarkFile>,
        fields: Vec<String>,
        ngram: u32,
        content_hash: Option<String>,
    ) -> napi::Result<Self> {
        guard("decontaminate.load", || {
            let hash = content_hash.map(|hash| u128::from_str_radix(&hash, 16)).transpose();
            let hash = hash.map_err(|error| invalid("contentHash", error))?;
            let files =
                files.into_iter().map(|file| BenchmarkFile { path: file.path.into(), name: file.name });
            let index = load(&files.collect::<Vec<_>>(), &fields, ngram as usize, hash)?;
            Ok(Self { inner: Some((index, Scratch::default())) })
        })
    }

    /// A hash of the files and of how they were read, 32 hexadecimal digits.
    #[napi(getter)]
    pub fn content_hash(&mut self) -> napi::Result<String> {
        guard("decontaminate.contentHash", || Ok(format!("{:032x}", self.get()?.0.content_hash())))
    }

    /// How many items are looked for.
    #[napi(getter)]
    pub fn items(&mut self) -> napi::Result<f64> {
        guard("decontaminate.items", || Ok(self.get()?.0.items().len() as f64))
    }

    /// The items that are too short.
    #[napi(getter)]
    pub fn unusable(&mut self) -> napi::Result<Vec<NativeUnusableItem>> {
        guard("decontaminate.unusable", || {
            let items = self.get()?.0.unusable().iter().map(|item| NativeUnusableItem {
                file: item.file.clone(),
                row: item.row as f64,
                words: item.words as f64,
            });
            Ok(items.collect())
        })
    }

    /// Removes the rows that hold more than `threshold` of an item's n-grams; returns how many.
    #[napi]
    pub fn remove(
        &mut self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        step: String,
        column: String,
        threshold: f64,
    ) -> napi::Result<u32> {
        guard("decontaminate.remove", || {
            let (index, scratch) = self.get()?;
            let log = removed.get()?;
            batch.change(|batch| {
                let rows = apply::remove(index, scratch, batch, (&column, threshold), (log, &step))?;
                Ok(rows as u32)
            })
        })
    }

    /// Cuts the n-grams out of the rows that hold more than a share of an item's, and removes those of which
    /// too little is left; returns how many were cut.
    #[napi]
    pub fn cut(
        &mut self,
        batch: &mut NativeBatch,
        edits: &mut NativeEdits,
        removed: &mut NativeRemovedLog,
        step: String,
        column: String,
        options: NativeCutOptions,
    ) -> napi::Result<u32> {
        guard("decontaminate.cut", || {
            let (index, scratch) = self.get()?;
            let (edits, removed) = (edits.get()?, removed.get()?);
            let threshold = options.threshold;
            let options = CutOptions {
                around: options.around as usize,
                least_characters: options.least_characters as usize,
                most_pieces: options.most_pieces as usize,
            };
            batch.change(|batch| {
                let what = (&*column, threshold, options);
                Ok(apply::cut(index, scratch, batch, what, (edits, removed, &step))? as u32)
            })
        })
    }

    /// Sets the columns `contamination`, `contamination_item` and `contamination_ngram`.
    #[napi]
    pub fn annotate(&mut self, batch: &mut NativeBatch, column: String) -> napi::Result<()> {
        guard("decontaminate.annotate", || {
            let (index, scratch) = self.get()?;
            batch.change(|batch| apply::annotate(index, scratch, batch, &column))
        })
    }

    /// Lets go of the index; the process keeps it for the next user.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
