//! `NativeBatch`: the handle JavaScript holds on a batch, and zero-copy views of its columns.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow_array::Array;
use arrow_buffer::{BooleanBuffer, Buffer};
use gristmill_kernels::{Batch, KernelError, Result, batch};
use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, Buffer as JsBuffer, JsValue as _, Object, ObjectRef, Uint8Array};
use napi_derive::napi;

use crate::guard::guard;

/// Bytes of live batches, counted at creation; tests assert that it returns to zero.
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// Addresses that live `ArrayBuffers` point at. V8 aborts the process when two external buffers share
/// an address, so a second view of the same memory is a copy.
static EXPORTED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Bytes held by batches that were not disposed.
#[napi]
pub fn live_batch_bytes() -> i64 {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// Handle on a batch. Dispose it: the collector does not see native memory.
#[napi]
pub struct NativeBatch {
    inner: Option<Batch>,
    counted: i64,
    views: Vec<ObjectRef>,
}

/// Buffers of one column, as the Arrow columnar format lays them out.
#[napi(object)]
pub struct NativeColumn<'env> {
    /// Arrow type, as in `Utf8` or `Int64`.
    pub data_type: String,
    /// Validity bitmap, least significant bit first; absent when no row is null.
    pub validity: Option<ArrayBuffer<'env>>,
    /// The data buffers in the order of the format: offsets before values.
    pub buffers: Vec<ArrayBuffer<'env>>,
    /// The first row's place in the buffers.
    pub offset: u32,
}

impl NativeBatch {
    pub(crate) fn wrap(inner: Batch) -> Self {
        let counted = inner.bytes() as i64;
        LIVE_BYTES.fetch_add(counted, Ordering::Relaxed);
        Self { inner: Some(inner), counted, views: Vec::new() }
    }

    pub(crate) fn get(&self) -> Result<&Batch> {
        self.inner.as_ref().ok_or(KernelError::Disposed { what: "batch" })
    }

    /// Lets `work` change the batch and counts its memory again.
    pub(crate) fn change<T>(&mut self, work: impl FnOnce(&mut Batch) -> Result<T>) -> Result<T> {
        let batch = self.inner.as_mut().ok_or(KernelError::Disposed { what: "batch" })?;
        let result = work(batch);
        let now = batch.bytes() as i64;
        LIVE_BYTES.fetch_add(now - self.counted, Ordering::Relaxed);
        self.counted = now;
        result
    }

    fn release(&mut self) {
        if self.inner.take().is_some() {
            LIVE_BYTES.fetch_sub(self.counted, Ordering::Relaxed);
        }
    }
}

impl Drop for NativeBatch {
    fn drop(&mut self) {
        self.release();
    }
}

#[napi]
impl NativeBatch {
    /// Rows, selected or not.
    #[napi(getter)]
    pub fn rows(&self) -> napi::Result<u32> {
        guard("batch.rows", || Ok(self.get()?.rows() as u32))
    }

    /// Selected rows.
    #[napi(getter)]
    pub fn kept_rows(&self) -> napi::Result<u32> {
        guard("batch.keptRows", || Ok(self.get()?.kept_rows() as u32))
    }

    /// Bytes of the buffers behind the columns.
    #[napi(getter)]
    pub fn bytes(&self) -> napi::Result<i64> {
        guard("batch.bytes", || Ok(self.get()?.bytes() as i64))
    }

    /// Names and Arrow types of the columns, the reserved ones first.
    #[napi]
    pub fn columns(&self) -> napi::Result<Vec<Vec<String>>> {
        guard("batch.columns", || {
            let schema = self.get()?.schema();
            Ok(schema.fields().iter().map(|f| vec![f.name().clone(), f.data_type().to_string()]).collect())
        })
    }

    /// The selection as a bitmap, least significant bit first; `null` when all rows are selected.
    #[napi]
    pub fn selection(&self) -> napi::Result<Option<Uint8Array>> {
        guard("batch.selection", || {
            Ok(self.get()?.kept().map(|kept| kept.sliced().as_slice().to_vec().into()))
        })
    }

    /// Ids of all rows: the user's, else "<file:position>".
    #[napi]
    pub fn ids(&self) -> napi::Result<Vec<String>> {
        guard("batch.ids", || {
            let batch = self.get()?;
            Ok((0..batch.rows()).map(|row| batch.id_of(row)).collect())
        })
    }

    /// Zero-copy view of a column's buffers. The `ArrayBuffers` are detached when the batch is disposed.
    #[napi]
    pub fn view<'env>(&mut self, env: &'env Env, name: String) -> napi::Result<NativeColumn<'env>> {
        let data = guard("batch.view", || Ok(self.get()?.column(&name)?.to_data()))?;
        let validity = data.nulls().map(|nulls| nulls.inner().sliced());
        let mut export = |buffer: &Buffer| -> napi::Result<ArrayBuffer<'env>> {
            let view = export_buffer(env, buffer)?;
            self.views.push(Object::from_raw(env.raw(), view.raw()).create_ref()?);
            Ok(view)
        };
        Ok(NativeColumn {
            data_type: data.data_type().to_string(),
            validity: validity.as_ref().map(&mut export).transpose()?,
            buffers: data.buffers().iter().map(&mut export).collect::<napi::Result<_>>()?,
            offset: data.offset() as u32,
        })
    }

    /// Keeps a row only where it is still kept and its bit in `bitmap` (least significant first) is set.
    #[napi]
    pub fn retain(&mut self, bitmap: Uint8Array) -> napi::Result<()> {
        guard("batch.retain", || {
            self.change(|batch| {
                let rows = batch.rows();
                if bitmap.len() * 8 < rows {
                    return Err(KernelError::internal(format!(
                        "bitmap of {} bytes for {rows} rows",
                        bitmap.len()
                    )));
                }
                batch.retain(&BooleanBuffer::new(Buffer::from(bitmap.as_ref()), 0, rows))
            })
        })
    }

    /// Makes the user columns the given `[from, to]` pairs.
    #[napi]
    pub fn project(&mut self, columns: Vec<Vec<String>>) -> napi::Result<()> {
        guard("batch.project", || {
            let pairs: Vec<(String, String)> = columns
                .into_iter()
                .map(|pair| match <[String; 2]>::try_from(pair) {
                    Ok([from, to]) => Ok((from, to)),
                    Err(_) => Err(KernelError::internal("project takes [from, to] pairs")),
                })
                .collect::<Result<_>>()?;
            self.change(|batch| batch.project(&pairs))
        })
    }

    /// Copies the selected rows together.
    #[napi]
    pub fn compact(&mut self) -> napi::Result<()> {
        guard("batch.compact", || self.change(Batch::compact))
    }

    /// The batch as an Arrow IPC stream (schema, one record batch), selected rows only.
    #[napi]
    pub fn to_ipc(&self) -> napi::Result<JsBuffer> {
        guard("batch.toIpc", || {
            let mut copy = self.get()?.clone();
            copy.compact()?;
            batch::to_ipc(copy.record()).map(Into::into)
        })
    }

    /// A batch from an Arrow IPC stream written by `toIpc`.
    #[napi(factory)]
    pub fn from_ipc(bytes: &[u8]) -> napi::Result<Self> {
        guard("batch.fromIpc", || Ok(Self::wrap(Batch::from_record(batch::from_ipc(Buffer::from(bytes))?)?)))
    }

    /// Frees the batch and detaches every view of it. Disposing twice is harmless.
    #[napi]
    pub fn dispose(&mut self, env: &Env) -> napi::Result<()> {
        self.release();
        for view in self.views.drain(..) {
            let object = view.get_value(env)?;
            // SAFETY: the reference was made by `view` from an ArrayBuffer of this environment.
            unsafe { napi::sys::napi_detach_arraybuffer(env.raw(), object.raw()) };
            view.unref(env)?;
        }
        Ok(())
    }
}

/// An `ArrayBuffer` over `bytes` bytes of memory, which lives until the `ArrayBuffer` is detached or
/// collected. What already has one is copied.
///
/// # Safety
/// `owner` must keep the memory alive and nothing may write to it meanwhile; the TypeScript face hands the
/// views out as read-only.
pub(crate) unsafe fn export<T: 'static>(
    env: &Env,
    at: *mut u8,
    bytes: usize,
    owner: T,
) -> napi::Result<ArrayBuffer<'_>> {
    let address = at as usize;
    let fresh = bytes > 0 && EXPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
    if !fresh {
        // SAFETY: the caller's promise; `owner` is dropped at the end.
        return ArrayBuffer::from_data(env, unsafe { std::slice::from_raw_parts(at, bytes) }.to_vec());
    }
    // SAFETY: `owner` keeps the memory alive until the finalizer runs, and nobody writes to it.
    unsafe {
        ArrayBuffer::from_external(env, at, bytes, owner, move |_, owner| {
            EXPORTED.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
            drop(owner);
        })
    }
}

/// An `ArrayBuffer` over the memory of an Arrow buffer.
fn export_buffer<'env>(env: &'env Env, buffer: &Buffer) -> napi::Result<ArrayBuffer<'env>> {
    // SAFETY: the clone keeps the memory alive; kernels never write to a buffer that is shared.
    unsafe { export(env, buffer.as_ptr().cast_mut(), buffer.len(), buffer.clone()) }
}
