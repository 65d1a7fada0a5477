//! `NativeMegatronWriter`: the Megatron shards of one task.

use gristmill_kernels::formats::megatron::{MegatronShard, MegatronWriter};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::guard;
use crate::removed::NativeFinishedFile;

/// A file of a shard.
#[napi(object)]
pub struct NativeTokenShardFile {
    /// What its name ends with, as in `.bin`.
    pub suffix: String,
    /// The file.
    pub file: NativeFinishedFile,
}

/// A finished shard.
#[napi(object)]
pub struct NativeTokenShard {
    /// Documents.
    pub rows: f64,
    /// Token ids.
    pub tokens: f64,
    /// Its `.bin`, `.idx` and `.docs.parquet`.
    pub files: Vec<NativeTokenShardFile>,
}

impl From<MegatronShard> for NativeTokenShard {
    fn from(shard: MegatronShard) -> Self {
        let files = shard.files.into_iter();
        Self {
            rows: shard.rows as f64,
            tokens: shard.tokens as f64,
            files: files
                .map(|(suffix, file)| NativeTokenShardFile { suffix: suffix.to_owned(), file: file.into() })
                .collect(),
        }
    }
}

/// Shards under construction.
#[napi]
pub struct NativeMegatronWriter {
    inner: Option<MegatronWriter>,
}

impl NativeMegatronWriter {
    fn get(&mut self) -> Result<&mut MegatronWriter> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "shard writer" })
    }
}

#[napi]
impl NativeMegatronWriter {
    /// Shards named `<baseName>.<number><suffix>` in `folder`; no file is made before the first row.
    #[napi(constructor)]
    pub fn new(folder: String, base_name: String, vocabulary_size: u32) -> Self {
        Self { inner: Some(MegatronWriter::new(folder, &base_name, vocabulary_size)) }
    }

    /// Appends the selected rows of a batch.
    #[napi]
    pub fn write(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("megatron.write", || self.get()?.write(batch.get()?))
    }

    /// Closes the last shard and returns all.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<Vec<NativeTokenShard>> {
        guard("megatron.finish", || {
            let writer = self.inner.take().ok_or(KernelError::Disposed { what: "shard writer" })?;
            Ok(writer.finish()?.into_iter().map(Into::into).collect())
        })
    }

    /// Lets go of the files, finished or not.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}
