//! `NativeShardFile`: a hashing file for what JavaScript writes itself (quarantined records).

use gristmill_kernels::KernelError;
use gristmill_kernels::formats::shard_file::ShardFile;
use napi_derive::napi;

use crate::guard::guard;
use crate::removed::NativeFinishedFile;

/// A local file under construction that hashes what passes through it.
#[napi]
pub struct NativeShardFile {
    inner: Option<ShardFile>,
}

#[napi]
impl NativeShardFile {
    /// Creates (or truncates) the file.
    #[napi(factory)]
    pub fn create(path: String) -> napi::Result<Self> {
        guard("file.create", || Ok(Self { inner: Some(ShardFile::create(path)?) }))
    }

    /// Appends bytes.
    #[napi]
    pub fn append(&mut self, bytes: &[u8]) -> napi::Result<()> {
        guard("file.append", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "file" })?.append(bytes)
        })
    }

    /// Closes the file.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<NativeFinishedFile> {
        guard("file.finish", || {
            let file = self.inner.take().ok_or(KernelError::Disposed { what: "file" })?;
            file.finish().map(Into::into)
        })
    }

    /// Closes the file without its checksums.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
