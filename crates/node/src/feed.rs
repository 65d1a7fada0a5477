//! `NativeFeed`: batches of a finished run, and views of their memory.

use std::sync::Arc;
use std::time::Duration;

use gristmill_kernels::feed::batch::Batch;
use gristmill_kernels::feed::config::FeedConfig;
use gristmill_kernels::feed::fields::Field;
use gristmill_kernels::feed::loader::Loader;
use gristmill_kernels::feed::pool::{AlignedBuffer, Slot};
use gristmill_kernels::feed::prefetch::Request;
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask};
use napi::{Env, Task};
use napi_derive::napi;

use crate::batch::export;
use crate::guard::{guard, invalid, unsigned};

/// A loader of prepared shards; `src/kernels/feed.ts` is its typed face.
#[napi]
pub struct NativeFeed {
    loader: Arc<Loader>,
}

#[napi]
impl NativeFeed {
    /// Opens the feed that `config` describes in JSON: a `FeedConfig` of the kernel.
    #[napi(constructor)]
    pub fn new(config: String) -> napi::Result<Self> {
        guard("feed.open", || Ok(Self { loader: Arc::new(Loader::open(&FeedConfig::read(&config)?)?) }))
    }

    /// The next batch; `null` when there is none after so many milliseconds.
    #[napi(ts_return_type = "Promise<NativeFeedBatch | null>")]
    pub fn next(&self, patience_ms: u32) -> AsyncTask<NextBatch> {
        let patience = Duration::from_millis(patience_ms.into());
        AsyncTask::new(NextBatch { loader: Arc::clone(&self.loader), patience })
    }

    /// The epoch of the next batch.
    #[napi(getter)]
    pub fn epoch(&self) -> napi::Result<f64> {
        guard("feed.epoch", || Ok(self.loader.cursor().epoch as f64))
    }

    /// Batches of the whole epoch that the next batch is of.
    #[napi(getter)]
    pub fn epoch_batches(&self) -> napi::Result<f64> {
        guard("feed.epochBatches", || {
            let epoch = self.loader.cursor().epoch;
            Ok(self.loader.feed().plan.epoch_batches(epoch)?.unwrap_or_default() as f64)
        })
    }

    /// Samples of an epoch, of all ranks.
    #[napi(getter)]
    pub fn epoch_samples(&self) -> napi::Result<f64> {
        guard("feed.epochSamples", || Ok(self.loader.feed().plan.epoch_samples().unwrap_or_default() as f64))
    }

    /// Positions of the longest rows.
    #[napi(getter)]
    pub fn seq_len(&self) -> u32 {
        self.loader.feed().length
    }

    /// The state after the last batch handed over, as JSON.
    #[napi]
    pub fn state(&self) -> napi::Result<String> {
        guard("feed.state", || self.loader.state())
    }

    /// Goes to a saved state.
    #[napi]
    pub fn load_state(&self, text: String) -> napi::Result<()> {
        guard("feed.loadState", || self.loader.load_state(&text))
    }

    /// Goes to the start of an epoch.
    #[napi]
    pub fn set_epoch(&self, epoch: f64) -> napi::Result<()> {
        guard("feed.setEpoch", || self.loader.set_epoch(unsigned(epoch)))
    }

    /// What was measured, as JSON.
    #[napi]
    pub fn stats(&self) -> napi::Result<String> {
        guard("feed.stats", || serde_json::to_string(&self.loader.stats()).map_err(KernelError::internal))
    }

    /// Ends the threads; batches stay valid. Closing twice is harmless.
    #[napi]
    pub fn close(&self) -> napi::Result<()> {
        guard("feed.close", || {
            self.loader.close();
            Ok(())
        })
    }
}

/// Waits for a batch on a thread of the pool.
pub struct NextBatch {
    loader: Arc<Loader>,
    patience: Duration,
}

impl Task for NextBatch {
    type Output = Option<Batch>;
    type JsValue = Option<NativeFeedBatch>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        guard("feed.next", || {
            Ok(match self.loader.next(self.patience)? {
                Request::Batch(batch) => Some(batch),
                Request::Pending => None,
            })
        })
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(output.map(|inner| NativeFeedBatch { inner: Some(inner) }))
    }
}

/// Facts of a batch.
#[napi(object)]
pub struct NativeFeedFacts {
    /// Rows, those of padding included.
    pub rows: u32,
    /// Positions of a row.
    pub columns: u32,
    /// Rows that hold a sequence.
    pub sequences: u32,
    /// Tokens, padding left out.
    pub tokens: f64,
    /// The epoch it belongs to.
    pub epoch: f64,
    /// Positions of the longest segment.
    pub longest: u32,
}

/// One batch. Its buffer goes back when it and every view of it are gone. It refers to no view, so that one
/// that nobody disposes can be collected.
#[napi]
pub struct NativeFeedBatch {
    inner: Option<Batch>,
}

fn field_named(name: &str) -> Result<Field> {
    serde_json::from_value(name.into()).map_err(|error| invalid("field", error))
}

impl NativeFeedBatch {
    fn get(&self) -> Result<&Batch> {
        self.inner.as_ref().ok_or(KernelError::Disposed { what: "batch" })
    }

    fn slot(&self) -> Result<&Slot> {
        self.get()?.lease.slot().ok_or_else(|| KernelError::internal("no slot"))
    }

    /// A copy of `bytes` bytes of a small buffer.
    fn copy<'env>(
        &self,
        env: &'env Env,
        kernel: &'static str,
        pick: impl FnOnce(&Slot) -> &AlignedBuffer,
        bytes: impl FnOnce(&Batch) -> usize,
    ) -> napi::Result<ArrayBuffer<'env>> {
        let memory = guard(kernel, || {
            let bytes = bytes(self.get()?);
            Ok(pick(self.slot()?).to_vec(bytes))
        })?;
        ArrayBuffer::from_data(env, memory)
    }
}

#[napi]
impl NativeFeedBatch {
    /// What is known of it.
    #[napi]
    pub fn facts(&self) -> napi::Result<NativeFeedFacts> {
        guard("feedBatch.facts", || {
            let batch = self.get()?;
            Ok(NativeFeedFacts {
                rows: batch.filled.rows as u32,
                columns: batch.filled.shape.columns() as u32,
                sequences: batch.filled.sequences as u32,
                tokens: batch.filled.tokens as f64,
                epoch: batch.at.epoch as f64,
                longest: batch.filled.longest,
            })
        })
    }

    /// The memory of all fields that were made in the background, without copying.
    #[napi]
    pub fn matrices<'env>(&self, env: &'env Env) -> napi::Result<ArrayBuffer<'env>> {
        let (at, bytes, owner) = guard("feedBatch.matrices", || {
            let batch = self.get()?;
            let positions = batch.filled.rows * batch.filled.shape.columns();
            let (_, bytes) = batch.feed().making.layout(positions);
            Ok((self.slot()?.matrices.address(), bytes, Arc::clone(&batch.lease)))
        })?;
        // SAFETY: the lease keeps the slot, and so its buffer, where it is; nothing writes to a lent slot.
        unsafe { export(env, at.as_ptr(), bytes, owner) }
    }

    /// First byte of a field in the matrices; `null` when it was not asked for.
    #[napi]
    pub fn offset(&self, field: String) -> napi::Result<Option<f64>> {
        guard("feedBatch.offset", || Ok(self.get()?.offset(field_named(&field)?).map(|offset| offset as f64)))
    }

    /// A field in memory of its own; `null` for tokens and labels.
    #[napi]
    pub fn make<'env>(&self, env: &'env Env, field: String) -> napi::Result<Option<ArrayBuffer<'env>>> {
        let memory = guard("feedBatch.make", || {
            let (batch, field) = (self.get()?, field_named(&field)?);
            let positions = batch.filled.rows * batch.filled.shape.columns();
            let bytes = positions * batch.feed().making.dtype_of(field).bytes();
            Ok(batch.make(field).map(|memory| memory.to_vec(bytes)))
        })?;
        memory.map(|memory| ArrayBuffer::from_data(env, memory)).transpose()
    }

    /// Ends of the documents over the flattened batch, as 32-bit numbers, 0 first.
    #[napi]
    pub fn ends<'env>(&self, env: &'env Env) -> napi::Result<ArrayBuffer<'env>> {
        self.copy(env, "feedBatch.ends", |slot| &slot.ends, |batch| batch.filled.ends * 4)
    }

    /// For each row the sample, then for each row the dataset, as 64-bit numbers; −1 where there is none.
    #[napi]
    pub fn samples<'env>(&self, env: &'env Env) -> napi::Result<ArrayBuffer<'env>> {
        self.copy(env, "feedBatch.samples", |slot| &slot.samples, |batch| batch.filled.rows * 16)
    }

    /// Gives the batch up and detaches `matrices`, its memory if that was looked at. Disposing twice is
    /// harmless.
    #[napi]
    pub fn dispose(&mut self, matrices: Option<ArrayBuffer<'_>>) -> napi::Result<()> {
        self.inner = None;
        matrices.map_or(Ok(()), ArrayBuffer::detach)
    }
}
