//! Arrow IPC files: record batches of a fixed size, no compression, plain columns without dictionaries, so
//! that readers map them straight into memory.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, SchemaRef};

use crate::error::{KernelError, Result};
use crate::formats::rechunk::{Limits, Rechunk};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// A record batch of the file.
const RECORD_BATCH: Limits = Limits { rows: 64 << 10, bytes: 8 << 20 };

/// An Arrow IPC file under construction.
pub struct ArrowFileWriter {
    chunks: Rechunk,
    writer: FileWriter<ShardFile>,
    path: PathBuf,
}

impl ArrowFileWriter {
    /// Creates the file for rows of `schema`.
    ///
    /// # Errors
    /// `Io` when the file cannot be created; `Format` when the format has no such type.
    pub fn create(path: impl AsRef<Path>, schema: SchemaRef) -> Result<Self> {
        Self::with_limits(path, schema, RECORD_BATCH)
    }

    /// As [`ArrowFileWriter::create`], with record batches of another size.
    ///
    /// # Errors
    /// As [`ArrowFileWriter::create`].
    pub fn with_limits(path: impl AsRef<Path>, schema: SchemaRef, record_batch: Limits) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = ShardFile::create(&path)?;
        let writer = FileWriter::try_new(file, &schema).map_err(|error| broken(&path, error))?;
        Ok(Self { chunks: Rechunk::new(schema, record_batch), writer, path })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Io` when writing fails; `Internal` when the rows are of another schema.
    pub fn write(&mut self, record: &RecordBatch) -> Result<()> {
        let Self { chunks, writer, path } = self;
        chunks.push(record, |chunk| writer.write(&chunk.record).map_err(|error| broken(path, error)))
    }

    /// Writes the footer, closes and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<FinishedFile> {
        let Self { mut chunks, mut writer, path } = self;
        chunks.flush(|chunk| writer.write(&chunk.record).map_err(|error| broken(&path, error)))?;
        writer.into_inner().map_err(|error| broken(&path, error))?.finish()
    }
}

fn broken(path: &Path, error: ArrowError) -> KernelError {
    match error {
        ArrowError::IoError(_, source) => KernelError::io("write", path)(source),
        other => KernelError::format("arrow", other),
    }
}
