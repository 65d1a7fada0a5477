//! `NativeFileLock`: a kernel lock on a file.

use gristmill_kernels::lock::FileLock;
use napi_derive::napi;

use crate::guard::guard;

/// A held lock; `src/kernels/lock.ts` is its typed face.
#[napi]
pub struct NativeFileLock {
    inner: Option<FileLock>,
}

#[napi]
impl NativeFileLock {
    /// Locks the file, creating it when there is none; `null` when somebody else holds the lock.
    #[napi]
    pub fn try_acquire(path: String) -> napi::Result<Option<NativeFileLock>> {
        guard("lock.tryAcquire", || Ok(FileLock::try_acquire(path)?.map(|lock| Self { inner: Some(lock) })))
    }

    /// Gives the lock up. Releasing twice is harmless.
    #[napi]
    pub fn release(&mut self) -> napi::Result<()> {
        guard("lock.release", || self.inner.take().map_or(Ok(()), FileLock::release))
    }
}
