//! Native memory as numpy sees it.

use std::ptr::NonNull;
use std::sync::Arc;

use gristmill_kernels::feed::fields::Dtype;
use gristmill_kernels::feed::pool::{AlignedBuffer, Lease};
use gristmill_kernels::feed::prefetch::Prefetcher;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Who keeps the memory alive; a batch's buffer goes back when the last of its arrays dies.
pub enum Owner {
    /// The buffer of a batch.
    Batch(Arc<Lease<Prefetcher>>),
    /// Memory of its own.
    Own(AlignedBuffer),
    /// A mask that batches share.
    Shared(Arc<AlignedBuffer>),
}

/// A C-contiguous array. `numpy.asarray` makes a view of it, without copying, through
/// `__array_interface__`; the buffer protocol is part of the stable ABI from Python 3.11 on only.
#[pyclass(frozen, module = "gristmill._native")]
pub struct Array {
    at: NonNull<u8>,
    rows: usize,
    /// 0 for a vector.
    columns: usize,
    dtype: Dtype,
    owner: Owner,
}

// SAFETY: the memory belongs to `owner`, which is Send; `at` points into it and moves with it.
unsafe impl Send for Array {}
// SAFETY: nothing here reads or writes the memory; numpy does, under its own rules.
unsafe impl Sync for Array {}

impl Array {
    /// A vector (no columns) or matrix at `at`, which must lie in the owner's memory.
    pub fn new(at: NonNull<u8>, rows: usize, columns: Option<usize>, dtype: Dtype, owner: Owner) -> Self {
        Self { at, rows, columns: columns.unwrap_or(0), dtype, owner }
    }
}

#[pymethods]
impl Array {
    /// <https://numpy.org/doc/stable/reference/arrays.interface.html>, version 3.
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kind = match self.dtype {
            Dtype::Int32 => "<i4",
            Dtype::Int64 => "<i8",
            Dtype::Bool => "|b1",
            Dtype::Float16 => "<f2",
            // numpy has none; `dtype` says what the bits are.
            Dtype::BFloat16 => "<i2",
            Dtype::Float32 => "<f4",
        };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", kind)?;
        interface.set_item("data", (self.at.as_ptr() as usize, false))?;
        if self.columns == 0 {
            interface.set_item("shape", (self.rows,))?;
        } else {
            interface.set_item("shape", (self.rows, self.columns))?;
        }
        Ok(interface)
    }

    /// Name of the type of its numbers.
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.dtype {
            Dtype::Int32 => "int32",
            Dtype::Int64 => "int64",
            Dtype::Bool => "bool",
            Dtype::Float16 => "float16",
            Dtype::BFloat16 => "bfloat16",
            Dtype::Float32 => "float32",
        }
    }

    /// Whether other batches have the same memory.
    #[getter]
    fn shared(&self) -> bool {
        matches!(self.owner, Owner::Shared(_))
    }

    /// Whether the memory is a batch's buffer, which goes back to the pool.
    #[getter]
    fn pooled(&self) -> bool {
        matches!(self.owner, Owner::Batch(_))
    }
}
