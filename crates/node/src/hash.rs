//! What checking finished files needs: checksums per MiB block of a stream that JavaScript reads, and the
//! row count of a Parquet footer.

use gristmill_kernels::formats::parquet_footer;
use gristmill_kernels::formats::shard_file::FinishedFile;
use gristmill_kernels::hash::blocks::BlockHasher;
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::guard::guard;
use crate::removed::NativeFinishedFile;

/// Hashes a stream block by block, as the writers of shards do.
#[napi]
#[derive(Default)]
pub struct NativeBlockHasher {
    inner: Option<BlockHasher>,
}

impl NativeBlockHasher {
    fn get(&mut self) -> Result<&mut BlockHasher> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "block hasher" })
    }
}

#[napi]
impl NativeBlockHasher {
    /// A hasher that has seen nothing.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { inner: Some(BlockHasher::default()) }
    }

    /// Adds bytes; cuts between calls do not matter.
    #[napi]
    pub fn update(&mut self, bytes: &[u8]) -> napi::Result<()> {
        guard("blockHasher.update", || {
            self.get()?.update(bytes);
            Ok(())
        })
    }

    /// Ends the stream; `path` is passed through.
    #[napi]
    pub fn finish(&mut self, path: String) -> napi::Result<NativeFinishedFile> {
        guard("blockHasher.finish", || {
            let hasher = self.inner.take().ok_or(KernelError::Disposed { what: "block hasher" })?;
            Ok(FinishedFile::of_hashes(path, &hasher.finish()).into())
        })
    }
}

/// Rows of a Parquet file, from the encoded metadata of its footer (what lies before the last 8 bytes).
#[napi]
pub fn parquet_footer_rows(metadata: &[u8]) -> napi::Result<f64> {
    guard("parquetFooterRows", || parquet_footer::rows(metadata).map(|rows| rows as f64))
}
