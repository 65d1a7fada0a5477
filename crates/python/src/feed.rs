//! The loader and its batches.

use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use gristmill_kernels::KernelError;
use gristmill_kernels::feed::batch;
use gristmill_kernels::feed::columns::Columns;
use gristmill_kernels::feed::component::Component;
use gristmill_kernels::feed::config::{Feed, FeedConfig};
use gristmill_kernels::feed::fields::{Dtype, Field};
use gristmill_kernels::feed::live::channel::Receiver;
use gristmill_kernels::feed::live::protocol::greeting;
use gristmill_kernels::feed::loader;
use gristmill_kernels::feed::masks::Static;
use gristmill_kernels::feed::pool::{AlignedBuffer, Slot};
use gristmill_kernels::feed::prefetch::Request;
use gristmill_kernels::feed::state::Cursor;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyError};
use pyo3::prelude::*;

use crate::array::{Array, Owner};

create_exception!(
    gristmill._native,
    NativeError,
    PyException,
    "A kernel's error: (code, message, hint or None)."
);

/// How long a wait goes on before Python may look at its signals, as Ctrl-C.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// A kernel's error as Python's.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
pub fn failed(error: KernelError) -> PyErr {
    let hint = if let KernelError::Feeder { hint, .. } = &error { Some(hint.clone()) } else { None };
    NativeError::new_err((error.code().to_owned(), error.to_string(), hint))
}

/// The different values of a column of the run's documents, as texts in their order.
#[pyfunction]
pub fn column_values(py: Python<'_>, run: &str, column: &str) -> PyResult<Vec<String>> {
    py.detach(|| Columns::open(Path::new(run), None, true)?.distinct(column)).map_err(failed)
}

/// A loader.
#[pyclass(frozen, module = "gristmill._native")]
pub struct Loader {
    loader: loader::Loader,
}

#[pymethods]
impl Loader {
    /// Opens the feed that `config` describes in JSON.
    #[new]
    fn new(py: Python<'_>, config: &str) -> PyResult<Self> {
        let config = FeedConfig::read(config).map_err(failed)?;
        let loader = py.detach(|| loader::Loader::open(&config)).map_err(failed)?;
        Ok(Self { loader })
    }

    /// A loader of what the feeder makes that has the other end of `socket`, which is taken over.
    #[staticmethod]
    fn live(py: Python<'_>, config: &str, socket: i32) -> PyResult<Self> {
        // SAFETY: the caller has detached the descriptor from its own socket object for this call.
        let socket = unsafe { UnixStream::from_raw_fd(socket) };
        let config = FeedConfig::read(config).map_err(failed)?;
        let mut receiver = Receiver::default();
        let greeting = loop {
            match py.detach(|| greeting(&socket, &mut receiver, PATIENCE)).map_err(failed)? {
                Some(greeting) => break greeting,
                None => py.check_signals()?,
            }
        };
        let feed = Feed::live(&config, socket, receiver, greeting).map_err(failed)?;
        Ok(Self { loader: loader::Loader::over(feed, &config).map_err(failed)? })
    }

    /// The next batch.
    fn next(&self, py: Python<'_>) -> PyResult<Batch> {
        loop {
            match py.detach(|| self.loader.next(PATIENCE)).map_err(failed)? {
                Request::Batch(inner) => return Ok(Batch { inner }),
                Request::Pending => py.check_signals()?,
            }
        }
    }

    /// Epoch and sample at which the next batch begins.
    #[getter]
    fn cursor(&self) -> (u64, u64) {
        let Cursor { epoch, samples } = self.loader.cursor();
        (epoch, samples)
    }

    /// Batches of the whole epoch that the next batch is of; `None` before it is known.
    #[getter]
    fn epoch_batches(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let epoch = self.loader.cursor().epoch;
        py.detach(|| self.loader.feed().plan.epoch_batches(epoch)).map_err(failed)
    }

    /// What is drawn from: place in the configuration, and samples.
    #[getter]
    fn components(&self) -> Vec<(u32, u64)> {
        let count = |component: &Component| (component.number(), component.sequences());
        self.loader.feed().components.iter().map(count).collect()
    }

    /// Memory of the largest batch.
    #[getter]
    fn batch_bytes(&self) -> usize {
        self.loader.feed().batch_bytes
    }

    /// Takes the memory of batches from Python: address, bytes, and the object that keeps them where they are.
    /// Nobody else may touch it before that object is let go.
    fn lend(&self, blocks: Vec<(usize, usize, Py<PyAny>)>) -> PyResult<()> {
        let lend = |(address, bytes, lender): (usize, usize, Py<PyAny>)| {
            let at = NonNull::new(std::ptr::with_exposed_provenance_mut(address));
            let at = at.ok_or_else(|| KernelError::internal("a buffer at address 0"))?;
            // SAFETY: `gristmill/device.py`, the one caller, hands over zeroed memory that it maps for this and
            // unmaps when the object goes, and keeps no reference of its own.
            unsafe { AlignedBuffer::lent(at, bytes, Box::new(lender)) }
        };
        let memory: Result<_, KernelError> = blocks.into_iter().map(lend).collect();
        memory.and_then(|memory| self.loader.lend(memory)).map_err(failed)
    }

    /// Samples of an epoch, of all ranks; `None` before it is known.
    #[getter]
    fn epoch_samples(&self) -> Option<u64> {
        self.loader.feed().plan.epoch_samples()
    }

    /// Positions of the longest rows.
    #[getter]
    fn seq_len(&self) -> u32 {
        self.loader.feed().length
    }

    /// The state as JSON.
    fn state(&self) -> PyResult<String> {
        self.loader.state().map_err(failed)
    }

    /// Goes to a saved state.
    fn load_state(&self, text: &str) -> PyResult<()> {
        self.loader.load_state(text).map_err(failed)
    }

    /// Goes to the start of an epoch.
    fn set_epoch(&self, epoch: u64) -> PyResult<()> {
        self.loader.set_epoch(epoch).map_err(failed)
    }

    /// What was measured, as JSON.
    fn stats(&self) -> PyResult<String> {
        serde_json::to_string(&self.loader.stats()).map_err(|error| failed(KernelError::internal(error)))
    }

    /// Ends the threads; batches stay valid.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.loader.close());
    }
}

/// One batch. It holds its buffer as its arrays do.
#[pyclass(frozen, module = "gristmill._native")]
pub struct Batch {
    inner: batch::Batch,
}

impl Batch {
    /// A vector in the batch's small memory, `from` bytes after its start.
    fn vector(&self, memory: &AlignedBuffer, from: usize, length: usize, dtype: Dtype) -> Array {
        let at = memory.address().as_ptr().wrapping_add(from);
        let at = NonNull::new(at).unwrap_or(memory.address());
        Array::new(at, length, None, dtype, Owner::Batch(Arc::clone(&self.inner.lease)))
    }

    /// A field that was made in the background, or is made now.
    fn matrix(&self, slot: &Slot, field: Field) -> Option<Array> {
        let (rows, columns) = (self.inner.filled.rows, Some(self.inner.filled.shape.columns()));
        let dtype = self.inner.feed().making.dtype_of(field);
        if let Some(offset) = self.inner.offset(field) {
            let at = NonNull::new(slot.matrices.address().as_ptr().wrapping_add(offset))?;
            return Some(Array::new(at, rows, columns, dtype, Owner::Batch(Arc::clone(&self.inner.lease))));
        }
        if let Some(mask) = self.inner.alike(field) {
            return self.shared(mask).ok();
        }
        let memory = self.inner.make(field)?;
        Some(Array::new(memory.address(), rows, columns, dtype, Owner::Own(memory)))
    }

    /// A mask that batches of this shape share.
    fn shared(&self, mask: Static) -> PyResult<Array> {
        let making = &self.inner.feed().making;
        let (rows, columns) = mask.extent(self.inner.filled.shape);
        let memory = self.inner.shared(mask).map_err(failed)?;
        Ok(Array::new(memory.address(), rows, Some(columns), mask.dtype(making), Owner::Shared(memory)))
    }
}

#[pymethods]
impl Batch {
    /// The array of that name; a `KeyError` when there is none.
    fn array(&self, name: &str) -> PyResult<Array> {
        let filled = self.inner.filled;
        let slot = self.inner.lease.slot().ok_or_else(|| failed(KernelError::internal("no slot")))?;
        let field = match name {
            "tokens" => Field::Tokens,
            "labels" => Field::Labels,
            "position_ids" => Field::PositionIds,
            "loss_mask" => Field::LossMask,
            "attention_mask" => Field::AttentionMask,
            "causal_mask" => return self.shared(Static::Causal),
            "cu_seqlens" => return Ok(self.vector(&slot.ends, 0, filled.ends, Dtype::Int32)),
            "sample_ids" => return Ok(self.vector(&slot.samples, 0, filled.rows, Dtype::Int64)),
            "dataset_ids" => {
                return Ok(self.vector(&slot.samples, filled.rows * 8, filled.rows, Dtype::Int64));
            }
            _ => return Err(PyKeyError::new_err(name.to_owned())),
        };
        self.matrix(slot, field).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    /// Positions of the longest segment.
    #[getter]
    fn max_seqlen(&self) -> u32 {
        self.inner.filled.longest
    }

    /// Rows that hold a sequence.
    #[getter]
    fn sequences(&self) -> usize {
        self.inner.filled.sequences
    }

    /// Ids, padding left out.
    #[getter]
    fn token_count(&self) -> u64 {
        self.inner.filled.tokens
    }

    /// The epoch it belongs to.
    #[getter]
    fn epoch(&self) -> u64 {
        self.inner.at.epoch
    }
}
