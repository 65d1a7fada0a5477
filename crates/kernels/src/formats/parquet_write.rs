//! Parquet writing, for shards and for the records that lie beside them.
//!
//! zstd level 1, dictionary encoding, statistics. Rows are re-chunked before they are encoded and row
//! groups end by the rows they hold (64 Ki rows or about 64 MiB), so that the bytes never depend on how
//! the rows were batched and memory stays bounded by a row group. A column of ids has a Bloom filter in
//! each row group, so that one row is found among millions without reading their ids.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::batch::ID;
use crate::error::{KernelError, Result};
use crate::formats::rechunk::{Chunk, Limits, Rechunk};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Rows handed to the encoder at a time; pages end inside or at the end of them.
const CHUNK: Limits = Limits { rows: 8 << 10, bytes: 2 << 20 };

/// A row group ends with the chunk that reaches either.
const ROW_GROUP: Limits = Limits { rows: 64 << 10, bytes: 64 << 20 };

/// Share of the ids a row group does not hold that its Bloom filter lets pass: 10 bits an id.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// A Parquet file under construction.
pub struct ParquetWriter {
    chunks: Rechunk,
    groups: RowGroups,
    rows: u64,
}

struct RowGroups {
    writer: ArrowWriter<ShardFile>,
    path: PathBuf,
    limits: Limits,
    rows: u64,
    bytes: u64,
}

impl ParquetWriter {
    /// Creates the file for rows of `schema`.
    ///
    /// # Errors
    /// `Io` when the file cannot be created; `Format` when Parquet has no such type.
    pub fn create(path: impl AsRef<Path>, schema: SchemaRef) -> Result<Self> {
        Self::with_limits(path, schema, CHUNK, ROW_GROUP)
    }

    /// As [`ParquetWriter::create`], with other borders than the usual.
    ///
    /// # Errors
    /// As [`ParquetWriter::create`].
    pub fn with_limits(
        path: impl AsRef<Path>,
        schema: SchemaRef,
        chunk: Limits,
        row_group: Limits,
    ) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("gristmill ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(None) // RowGroups ends them
            .set_statistics_enabled(EnabledStatistics::Chunk);
        if schema.field_with_name(ID).is_ok_and(|field| *field.data_type() == DataType::Utf8) {
            // Made for a full row group; the writer folds the filter of a smaller one.
            properties = properties
                .set_column_bloom_filter_enabled(ColumnPath::from(ID), true)
                .set_column_bloom_filter_fpp(ColumnPath::from(ID), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(ColumnPath::from(ID), ROW_GROUP.rows);
        }
        let properties = properties.build();
        let path = path.as_ref().to_owned();
        let file = ShardFile::create(&path)?;
        let chunks = Rechunk::new(SchemaRef::clone(&schema), chunk);
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| broken(&path, error))?;
        let groups = RowGroups { writer, path, limits: row_group, rows: 0, bytes: 0 };
        Ok(Self { chunks, groups, rows: 0 })
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Io` when writing fails; `Internal` when the rows are of another schema.
    pub fn write(&mut self, record: &RecordBatch) -> Result<()> {
        self.rows += record.num_rows() as u64;
        let Self { chunks, groups, .. } = self;
        chunks.push(record, |chunk| groups.write(&chunk))
    }

    /// Writes the footer, closes and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<FinishedFile> {
        let Self { chunks, groups, .. } = &mut self;
        chunks.flush(|chunk| groups.write(&chunk))?;
        let RowGroups { writer, path, .. } = self.groups;
        writer.into_inner().map_err(|error| broken(&path, error))?.finish()
    }
}

impl RowGroups {
    fn write(&mut self, chunk: &Chunk) -> Result<()> {
        self.writer.write(&chunk.record).map_err(|error| broken(&self.path, error))?;
        self.rows += chunk.record.num_rows() as u64;
        self.bytes += chunk.bytes;
        if self.rows >= self.limits.rows || self.bytes >= self.limits.bytes {
            self.writer.flush().map_err(|error| broken(&self.path, error))?;
            (self.rows, self.bytes) = (0, 0);
        }
        Ok(())
    }
}

fn broken(path: &Path, error: ParquetError) -> KernelError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => KernelError::io("write", path)(*source),
            Err(other) => KernelError::format("parquet", other),
        },
        other => KernelError::format("parquet", other),
    }
}
