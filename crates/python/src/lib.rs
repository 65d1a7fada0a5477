//! What Python sees of the kernels: the feed and the cache, as the private module `gristmill._native`.
//!
//! Types across, errors across, panics caught (`PyO3` does that); no algorithm. The typed face that users
//! import is `python/gristmill`.

mod array;
mod cache;
mod feed;

use pyo3::prelude::*;

/// The native half of the package `gristmill`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NativeError", module.py().get_type::<feed::NativeError>())?;
    module.add_class::<array::Array>()?;
    module.add_class::<cache::Cache>()?;
    module.add_class::<cache::CacheArray>()?;
    module.add_class::<cache::CacheEntry>()?;
    module.add_class::<cache::CacheMaker>()?;
    module.add_class::<feed::Loader>()?;
    module.add_class::<feed::Batch>()?;
    module.add_function(wrap_pyfunction!(feed::column_values, module)?)
}
