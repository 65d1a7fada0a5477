//! The cache of arrays.
#![expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]

use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use gristmill_kernels::KernelError;
use gristmill_kernels::cache::{self, Claim, Dtype, Entry, Key, Maker, NewArray, Options};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

use crate::feed::{PATIENCE, failed};

/// An open cache.
#[pyclass(frozen, module = "gristmill._native")]
pub struct Cache {
    cache: cache::Cache,
}

#[pymethods]
impl Cache {
    /// Opens the cache, with bounds in bytes.
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        memory: u64,
        shared: u64,
        shared_folder: PathBuf,
        disk: u64,
    ) -> PyResult<Self> {
        let options = Options { path, memory, shared, shared_folder, disk };
        let cache = py.detach(|| cache::Cache::open(&options)).map_err(failed)?;
        Ok(Self { cache })
    }

    /// The entry of a key in parts, if it is there.
    fn find(&self, py: Python<'_>, parts: Vec<PyBackedBytes>) -> PyResult<Option<CacheEntry>> {
        let found = py.detach(|| self.cache.find(key_of(&parts))).map_err(failed)?;
        Ok(found.map(CacheEntry::of))
    }

    /// The entry, else the right to make it; waits while somebody else makes it.
    fn claim(
        &self,
        py: Python<'_>,
        parts: Vec<PyBackedBytes>,
    ) -> PyResult<(Option<CacheEntry>, Option<CacheMaker>)> {
        let key = key_of(&parts);
        loop {
            match py.detach(|| self.cache.claim(key, PATIENCE)).map_err(failed)? {
                Claim::Found(entry) => return Ok((Some(CacheEntry::of(entry)), None)),
                Claim::Make(maker) => return Ok((None, Some(CacheMaker { maker: Mutex::new(Some(maker)) }))),
                Claim::Busy => py.check_signals()?,
            }
        }
    }

    /// What was counted, as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let stats = py.detach(|| self.cache.stats()).map_err(failed)?;
        serde_json::to_string(&stats).map_err(|error| failed(KernelError::internal(error)))
    }
}

fn key_of(parts: &[PyBackedBytes]) -> Key {
    Key::of_parts(parts.iter().map(|part| &**part))
}

/// The right to make an entry, until it is stored or dropped.
#[pyclass(frozen, module = "gristmill._native")]
pub struct CacheMaker {
    maker: Mutex<Option<Maker>>,
}

/// Name, numpy's type string, shape and bytes.
type Given = (String, String, Vec<usize>, PyBackedBytes);

#[pymethods]
impl CacheMaker {
    /// Stores arrays and gives up the right.
    fn store(&self, py: Python<'_>, arrays: Vec<Given>) -> PyResult<CacheEntry> {
        let maker =
            self.take().ok_or_else(|| failed(KernelError::Disposed { what: "right to make an entry" }))?;
        let entry = py.detach(|| maker.store(&arrays.iter().map(new_array).collect::<Result<Vec<_>, _>>()?));
        Ok(CacheEntry::of(entry.map_err(failed)?))
    }

    /// Gives up the right.
    fn drop(&self) {
        self.take();
    }
}

impl CacheMaker {
    fn take(&self) -> Option<Maker> {
        self.maker.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn new_array((name, typestr, shape, bytes): &Given) -> gristmill_kernels::Result<NewArray<'_>> {
    let dtype = Dtype::of_typestr(typestr).ok_or_else(|| KernelError::Option {
        name: "arrays".to_owned(),
        reason: format!("array '{name}': a cache holds numbers and booleans, not '{typestr}'"),
    })?;
    let (name, bytes) = (name.as_str().into(), (&**bytes).into());
    Ok(NewArray { name, dtype, shape: shape.clone(), bytes })
}

/// The arrays of an entry.
#[pyclass(frozen, module = "gristmill._native")]
pub struct CacheEntry {
    entry: Arc<Entry>,
}

impl CacheEntry {
    fn of(entry: Arc<Entry>) -> Self {
        Self { entry }
    }
}

#[pymethods]
impl CacheEntry {
    /// Names and arrays, in the order they were stored.
    fn arrays(&self) -> PyResult<Vec<(String, CacheArray)>> {
        self.entry.places().iter().map(|place| Ok((place.name.clone(), self.at(place)?))).collect()
    }
}

impl CacheEntry {
    fn at(&self, place: &cache::ArrayPlace) -> PyResult<CacheArray> {
        let view =
            self.entry.view(place).ok_or_else(|| failed(KernelError::internal("an array without bytes")))?;
        let (at, shape, dtype) = (NonNull::from(view.bytes).cast(), view.shape.to_vec(), view.dtype);
        Ok(CacheArray { at, shape, dtype, _entry: Arc::clone(&self.entry) })
    }
}

/// An array that nobody may write to. It keeps its entry, and so do numpy's views of it.
#[pyclass(frozen, module = "gristmill._native")]
pub struct CacheArray {
    at: NonNull<u8>,
    shape: Vec<usize>,
    dtype: Dtype,
    _entry: Arc<Entry>,
}

// SAFETY: the memory belongs to the entry, which is Send, does not move and is never written to.
unsafe impl Send for CacheArray {}
// SAFETY: as above.
unsafe impl Sync for CacheArray {}

#[pymethods]
impl CacheArray {
    /// <https://numpy.org/doc/stable/reference/arrays.interface.html>, version 3.
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", self.dtype.typestr())?;
        interface.set_item("data", (self.at.as_ptr() as usize, true))?;
        interface.set_item("shape", pyo3::types::PyTuple::new(py, &self.shape)?)?;
        Ok(interface)
    }
}
