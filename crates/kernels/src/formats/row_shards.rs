//! Rows to shards: cuts a task's rows into files by what the rows hold, never by how they were batched.
//!
//! A Parquet shard can say which ids it holds; beside shards of other formats lies a filter that can.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_schema::SchemaRef;

use crate::batch::Batch;
use crate::error::Result;
use crate::formats::arrow_write::ArrowFileWriter;
use crate::formats::id_filter::IdFilter;
use crate::formats::jsonl_write::{Compression, JsonlWriter};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::rechunk::{Limits, row_bytes};
use crate::formats::row_layout::RowLayout;
use crate::formats::shard_file::FinishedFile;

/// What the name of a filter of ids ends with.
pub const ID_FILTER: &str = ".bloom";

/// The format of the shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFormat {
    /// Parquet.
    Parquet,
    /// Arrow IPC file.
    Arrow,
    /// JSON Lines; `json` names the text columns that hold JSON.
    Jsonl {
        /// How the lines are compressed.
        compression: Compression,
        /// Columns whose text is embedded as JSON.
        json: Vec<String>,
    },
}

impl RowFormat {
    /// What a shard's name ends with.
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Parquet => ".parquet",
            Self::Arrow => ".arrow",
            Self::Jsonl { compression: Compression::Zstd, .. } => ".jsonl.zst",
            Self::Jsonl { compression: Compression::Gzip, .. } => ".jsonl.gz",
            Self::Jsonl { compression: Compression::None, .. } => ".jsonl",
        }
    }
}

enum RowFile {
    Parquet(Box<ParquetWriter>),
    Arrow(Box<ArrowFileWriter>),
    Jsonl(Box<JsonlWriter>),
}

/// A finished shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowShard {
    /// Rows in it.
    pub rows: u64,
    /// The file.
    pub file: FinishedFile,
    /// The filter of its ids, where the file has none.
    pub ids: Option<FinishedFile>,
}

/// Bytes of a row of little text, to guess the rows of a full shard.
const SMALL_ROW_BYTES: u64 = 64;

struct Open {
    file: RowFile,
    ids: Option<IdFilter>,
    rows: u64,
    bytes: u64,
}

/// Shards under construction.
pub struct RowShards {
    format: RowFormat,
    folder: PathBuf,
    base_name: String,
    limits: Limits,
    layout: Option<RowLayout>,
    open: Option<Open>,
    finished: Vec<RowShard>,
}

impl RowShards {
    /// Shards named `<base_name>.<number><suffix>` in `folder`; `limits` says when one is full. No file is
    /// made before the first row.
    #[must_use]
    pub fn new(format: RowFormat, folder: impl Into<PathBuf>, base_name: &str, limits: Limits) -> Self {
        Self {
            format,
            folder: folder.into(),
            base_name: base_name.to_owned(),
            limits,
            layout: None,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Appends the selected rows of a batch.
    ///
    /// # Errors
    /// `Io` when writing fails; `ColumnType` when the batch differs from those before, or a column has
    /// no form in the format.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        if batch.kept_rows() == 0 {
            return Ok(());
        }
        let layout = self.layout.get_or_insert_with(|| RowLayout::new(&batch.schema(), &[]));
        let schema = SchemaRef::clone(layout.schema());
        let rows = layout.rows(batch)?;
        let mut start = 0;
        for (row, size) in row_bytes(rows.columns(), rows.num_rows()).into_iter().enumerate() {
            if let Some(open) = &self.open
                && self.limits.end_before(open.rows, open.bytes, size)
            {
                self.append(&rows, start, row)?;
                start = row;
                self.close()?;
            }
            if self.open.is_none() {
                let file = self.create(&schema)?;
                let ids = self.create_ids()?;
                self.open = Some(Open { file, ids, rows: 0, bytes: 0 });
            }
            if let Some(open) = &mut self.open {
                open.rows += 1;
                open.bytes += size;
            }
        }
        self.append(&rows, start, rows.num_rows())
    }

    /// Closes the last shard and returns all; none when there was no row.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<Vec<RowShard>> {
        self.close()?;
        Ok(self.finished)
    }

    /// Where the file of the next shard goes that ends so.
    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}.{}{suffix}", self.base_name, self.finished.len()))
    }

    fn create_ids(&self) -> Result<Option<IdFilter>> {
        let rows = self.limits.rows.min(self.limits.bytes / SMALL_ROW_BYTES);
        (self.format != RowFormat::Parquet).then(|| IdFilter::new(rows)).transpose()
    }

    fn create(&self, schema: &SchemaRef) -> Result<RowFile> {
        let path = self.path(self.format.suffix());
        let schema = SchemaRef::clone(schema);
        Ok(match &self.format {
            RowFormat::Parquet => RowFile::Parquet(Box::new(ParquetWriter::create(path, schema)?)),
            RowFormat::Arrow => RowFile::Arrow(Box::new(ArrowFileWriter::create(path, schema)?)),
            RowFormat::Jsonl { compression, json } => {
                RowFile::Jsonl(Box::new(JsonlWriter::create(path, &schema, *compression, json)?))
            }
        })
    }

    fn append(&mut self, rows: &RecordBatch, from: usize, to: usize) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if from == to {
            return Ok(());
        }
        let rows = rows.slice(from, to - from);
        if let Some(ids) = &mut open.ids {
            ids.add(rows.column(0).as_string());
        }
        match &mut open.file {
            RowFile::Parquet(file) => file.write(&rows),
            RowFile::Arrow(file) => file.write(&rows),
            RowFile::Jsonl(file) => file.write(&rows),
        }
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let ids = open.ids.map(|ids| ids.finish(self.path(ID_FILTER))).transpose()?;
        let file = match open.file {
            RowFile::Parquet(file) => file.finish(),
            RowFile::Arrow(file) => file.finish(),
            RowFile::Jsonl(file) => file.finish(),
        }?;
        self.finished.push(RowShard { rows: open.rows, file, ids });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
