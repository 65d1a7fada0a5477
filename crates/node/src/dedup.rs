//! Bindings of deduplications beside rows of one run: indexes of earlier runs, parts of texts.

use gristmill_kernels::KernelError;
use gristmill_kernels::dedup::index::{self, IndexOptions, IndexWriter};
use gristmill_kernels::dedup::parts::{self, KeySegment};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::global::parse;
use crate::guard::{guard, unsigned};
use crate::keys::segment_file;
use crate::removed::NativeFinishedFile;

/// The index of the rows of one task that a deduplication left.
#[napi]
pub struct NativeIndexWriter {
    inner: Option<IndexWriter>,
}

#[napi]
impl NativeIndexWriter {
    /// Creates the file; `options` is JSON, see `IndexOptions`.
    #[napi(factory)]
    pub fn create(path: String, options: String) -> napi::Result<Self> {
        guard("index.create", || {
            let options: IndexOptions = parse("deduplication", &options)?;
            Ok(Self { inner: Some(IndexWriter::create(path, options)?) })
        })
    }

    /// Adds the selected rows of a batch.
    #[napi]
    pub fn add(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("index.add", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "index writer" })?.add(batch.get()?)
        })
    }

    /// Rows so far.
    #[napi(getter)]
    pub fn rows(&mut self) -> napi::Result<f64> {
        guard("index.rows", || {
            let writer = self.inner.as_ref().ok_or(KernelError::Disposed { what: "index writer" })?;
            Ok(writer.rows() as f64)
        })
    }

    /// Closes the file.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<NativeFinishedFile> {
        guard("index.finish", || {
            let writer = self.inner.take().ok_or(KernelError::Disposed { what: "index writer" })?;
            writer.finish().map(Into::into)
        })
    }

    /// Forgets the file; what was written stays for the engine to delete.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// Writes the keys of an index file as a key file; JSON `{bytes, segments}`. `options` is JSON, see
/// `IndexOptions`.
#[napi]
pub fn write_index_keys(
    index: String,
    options: String,
    partitions: u32,
    path: String,
) -> napi::Result<String> {
    guard("index.keys", || {
        let options: IndexOptions = parse("deduplication", &options)?;
        segment_file(index::write_keys(index, &options, partitions, path)?)
    })
}

/// A segment of a task's key file.
#[napi(object)]
pub struct NativeKeySegment {
    /// Ordinal of the task.
    pub task: u32,
    /// The key file.
    pub path: String,
    /// First byte of the segment.
    pub offset: f64,
    /// Its length in bytes.
    pub length: f64,
}

/// Decides one partition of a deduplication of parts; JSON `{bytes, segments}`. Segments come in task order.
#[napi]
pub fn decide_parts(segments: Vec<NativeKeySegment>, path: String) -> napi::Result<String> {
    guard("dedup.parts", || {
        let inputs: Vec<KeySegment> = segments
            .into_iter()
            .map(|NativeKeySegment { task, path, offset, length }| KeySegment {
                task,
                path: path.into(),
                offset: unsigned(offset),
                length: unsigned(length),
            })
            .collect();
        segment_file(parts::decide(&inputs, path)?)
    })
}
