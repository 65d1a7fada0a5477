//! Parquet writing, for shards and for the records that lie beside them.
//!
//! zstd level 1, dictionary encoding, statistics; row groups of a fixed number of rows, so that the
//! bytes never depend on how the rows were batched.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::{KernelError, Result};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 64 << 10;

/// A Parquet file under construction.
pub struct ParquetWriter {
    writer: ArrowWriter<ShardFile>,
    rows: u64,
}

impl ParquetWriter {
    /// Creates the file for rows of `schema`.
    ///
    /// # Errors
    /// `Io` when the file cannot be created; `Format` when Parquet has no such type.
    pub fn create(path: impl AsRef<Path>, schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("gristmill ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let file = ShardFile::create(path)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(broken)?;
        Ok(Self { writer, rows: 0 })
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn write(&mut self, record: &RecordBatch) -> Result<()> {
        self.rows += record.num_rows() as u64;
        self.writer.write(record).map_err(broken)
    }

    /// Writes the footer, closes and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<FinishedFile> {
        self.writer.into_inner().map_err(broken)?.finish()
    }
}

fn broken(error: ParquetError) -> KernelError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => KernelError::Io { action: "write", path: "parquet shard".into(), source: *source },
            Err(other) => KernelError::format("parquet", other),
        },
        other => KernelError::format("parquet", other),
    }
}
