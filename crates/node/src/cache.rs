//! `NativeCache`: a cache folder, to look at, prune and verify. Its entries are read by Rust and Python.

use std::path::Path;

use gristmill_kernels::cache::{Cache, Held};
use napi_derive::napi;

use crate::guard::{guard, unsigned};

/// What lies in a level.
#[napi(object)]
pub struct NativeCacheLevel {
    /// Finished entries.
    pub entries: f64,
    /// Their bytes.
    pub bytes: f64,
}

impl From<Held> for NativeCacheLevel {
    fn from(held: Held) -> Self {
        Self { entries: held.entries as f64, bytes: held.bytes as f64 }
    }
}

/// What lies in a cache and what all processes counted since it was made.
#[napi(object)]
pub struct NativeCacheContents {
    /// On disk.
    pub disk: NativeCacheLevel,
    /// In shared memory, while a process has the cache open.
    pub shared: Option<NativeCacheLevel>,
    /// Found in the memory of the process that asked.
    pub memory_hits: f64,
    /// Found in shared memory.
    pub shared_hits: f64,
    /// Found on disk.
    pub disk_hits: f64,
    /// Found nowhere.
    pub misses: f64,
    /// Removed to make room.
    pub evictions: f64,
    /// Found damaged and removed.
    pub corrupt: f64,
    /// Not stored, for want of room.
    pub refused: f64,
    /// Not stored, because writing failed.
    pub failed_writes: f64,
}

/// A cache that exists; `src/kernels/cache.ts` is its typed face.
#[napi]
pub struct NativeCache {
    inner: Cache,
}

#[napi]
impl NativeCache {
    /// Opens a cache that exists.
    #[napi(factory)]
    pub fn existing(path: String) -> napi::Result<Self> {
        guard("cache.existing", || Ok(Self { inner: Cache::existing(Path::new(&path))? }))
    }

    /// What lies in it.
    #[napi]
    pub fn contents(&self) -> napi::Result<NativeCacheContents> {
        guard("cache.contents", || {
            let found = self.inner.contents()?;
            let counted = found.lifetime;
            Ok(NativeCacheContents {
                disk: found.disk.into(),
                shared: found.shared.map(Into::into),
                memory_hits: counted.memory_hits as f64,
                shared_hits: counted.shared_hits as f64,
                disk_hits: counted.disk_hits as f64,
                misses: counted.misses as f64,
                evictions: counted.evictions as f64,
                corrupt: counted.corrupt as f64,
                refused: counted.refused as f64,
                failed_writes: counted.failed_writes as f64,
            })
        })
    }

    /// Removes entries, the longest unused first, until at most so many bytes stay.
    #[napi]
    pub fn prune(&self, bytes: f64) -> napi::Result<()> {
        guard("cache.prune", || self.inner.prune(unsigned(bytes)))
    }

    /// Reads every entry and removes damaged ones; returns how many those were.
    #[napi]
    pub fn verify(&self) -> napi::Result<f64> {
        guard("cache.verify", || self.inner.verify().map(|damaged| damaged as f64))
    }
}
