//! Bindings of what a task leaves beside its spill for the decision that follows.

use gristmill_kernels::dedup::exact::KeyWriter;
use gristmill_kernels::dedup::minhash::MinhashOptions;
use gristmill_kernels::dedup::minhash::keys::BandKeyWriter;
use gristmill_kernels::dedup::parts::PartKeyWriter;
use gristmill_kernels::dedup::segments::Segment;
use gristmill_kernels::tabular::fit::Collector;
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::global::{parse, to_json};
use crate::guard::guard;

/// A file of segments, as JSON `{bytes, segments}`.
pub(crate) fn segment_file((bytes, segments): (u64, Vec<Segment>)) -> Result<String> {
    to_json(&serde_json::json!({ "bytes": bytes, "segments": segments }))
}

enum Keys {
    /// Of whole rows, held until the end.
    Exact(KeyWriter, String),
    /// Bands of signatures, held until the end.
    Bands(BandKeyWriter, String),
    /// Of parts of texts, written as they come.
    Parts(PartKeyWriter),
    /// What was seen of columns whose parameters are to be found.
    Fit(Collector),
}

/// Keys of one task's rows.
#[napi]
pub struct NativeKeyWriter {
    inner: Option<Keys>,
}

#[napi]
impl NativeKeyWriter {
    /// Keys of whole rows; `options` is JSON, see `ExactOptions`.
    #[napi(factory)]
    pub fn exact(path: String, options: String) -> napi::Result<Self> {
        guard("keys.exact", || {
            Ok(Keys::Exact(KeyWriter::new(parse("exact-dedup options", &options)?), path).into())
        })
    }

    /// Band keys; `options` is JSON, see `MinhashOptions`.
    #[napi(factory)]
    pub fn bands(path: String, options: String, partitions: u32) -> napi::Result<Self> {
        guard("keys.bands", || {
            let options: MinhashOptions = parse("minhash-dedup options", &options)?;
            Ok(Keys::Bands(BandKeyWriter::new(&options, partitions), path).into())
        })
    }

    /// Keys of parts of texts; `options` is JSON, see `PartOptions`.
    #[napi(factory)]
    pub fn parts(path: String, options: String) -> napi::Result<Self> {
        guard("keys.parts", || {
            Ok(Keys::Parts(PartKeyWriter::create(path, parse("exact-dedup options", &options)?)?).into())
        })
    }

    /// What the task saw of columns; `options` is JSON, see `FitOptions`.
    #[napi(factory)]
    pub fn fit(path: String, options: String) -> napi::Result<Self> {
        guard("keys.fit", || Ok(Keys::Fit(Collector::create(path, parse("fit options", &options)?)?).into()))
    }

    /// Adds the rows of a compacted batch.
    #[napi]
    pub fn add(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("keys.add", || {
            let batch = batch.get()?;
            match self.inner.as_mut().ok_or(KernelError::Disposed { what: "key writer" })? {
                Keys::Exact(writer, _) => writer.add(batch),
                Keys::Bands(writer, _) => writer.add(batch),
                Keys::Parts(writer) => writer.add(batch),
                Keys::Fit(collector) => collector.add(batch),
            }
        })
    }

    /// Completes the file; JSON `{bytes, segments}`.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<String> {
        guard("keys.finish", || {
            segment_file(match self.inner.take().ok_or(KernelError::Disposed { what: "key writer" })? {
                Keys::Exact(writer, path) => writer.finish(path)?,
                Keys::Bands(writer, path) => writer.finish(path)?,
                Keys::Parts(writer) => writer.finish()?,
                Keys::Fit(collector) => collector.finish()?,
            })
        })
    }

    /// Forgets the keys; what was written stays for the engine to delete.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

impl From<Keys> for NativeKeyWriter {
    fn from(keys: Keys) -> Self {
        Self { inner: Some(keys) }
    }
}
