//! Spill files: the rows a task hands to the next stage, so that no global step parses its input twice.
//!
//! A spill is a sequence of blocks; a block is one record batch as a self-contained Arrow IPC stream. Rows
//! carry the hidden column `__row`, their ordinal in the task's output, by which the decisions of a
//! global step name them. When a shuffle follows, rows also carry `__key` and each block holds rows of
//! one bucket, so that the next stage reads its bucket out of every spill with few range reads.
//!
//! Spills are scratch: they are not synced, and a reader checks each block's hash instead.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{self, Batch};
use crate::error::{KernelError, Result};
use crate::formats::shard_file::ShardFile;
use crate::order::shuffle;

/// Hidden column: ordinal of the row in its task's output.
pub const ROW: &str = "__row";
/// Hidden column: shuffle key.
pub const KEY: &str = "__key";

/// Bytes of rows gathered before they are cut into buckets: large enough that a bucket's share of it is
/// worth a read, small enough to hold in every worker.
const BUCKETED_BYTES: usize = 16 << 20;

/// How a shuffle cuts the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Seed of the keys.
    pub seed: u64,
    /// Number of buckets, at least 1.
    pub buckets: u32,
}

/// A block of a spill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Bucket of all its rows; 0 without a shuffle.
    pub bucket: u32,
    /// Number of rows.
    pub rows: u32,
    /// Its bytes.
    #[serde(flatten)]
    pub place: BlockPlace,
}

/// Where a block lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPlace {
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// XXH3-64 of the bytes, 16 hexadecimal digits.
    pub checksum: String,
}

/// How blocks are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As they lie in memory: for rows that are read once, soon.
    Plain,
    /// Compressed by LZ4: for rows that stay a while, or are read again.
    Compressed,
}

/// A spill under construction.
pub struct SpillWriter {
    file: ShardFile,
    storage: Storage,
    shuffle: Option<Shuffle>,
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    blocks: Vec<Block>,
    rows: u32,
}

impl SpillWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>, shuffle: Option<Shuffle>, storage: Storage) -> Result<Self> {
        let file = ShardFile::create(path)?;
        Ok(Self {
            file,
            storage,
            shuffle,
            pending: Vec::new(),
            pending_bytes: 0,
            blocks: Vec::new(),
            rows: 0,
        })
    }

    /// Rows written so far; the next row's ordinal.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Appends the rows of a compacted batch.
    ///
    /// # Errors
    /// `Io` when writing fails; `Internal` when the batch still has a selection.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        if batch.kept().is_some() {
            return Err(KernelError::internal("a spilled batch must be compacted"));
        }
        let rows = batch.rows() as u32;
        if rows == 0 {
            return Ok(());
        }
        let ordinals: ArrayRef = Arc::new(UInt32Array::from_iter_values(self.rows..self.rows + rows));
        let mut record = with_column(batch.record(), Field::new(ROW, DataType::UInt32, false), ordinals)?;
        self.rows += rows;
        let Some(shuffle) = self.shuffle else {
            return self.block(0, &record);
        };
        let keys: ArrayRef = Arc::new(UInt64Array::from(shuffle::keys(batch, shuffle.seed)));
        record = with_column(&record, Field::new(KEY, DataType::UInt64, false), keys)?;
        self.pending_bytes += record.get_array_memory_size();
        self.pending.push(record);
        if self.pending_bytes >= BUCKETED_BYTES { self.flush_buckets(shuffle) } else { Ok(()) }
    }

    fn flush_buckets(&mut self, shuffle: Shuffle) -> Result<()> {
        let Some(first) = self.pending.first() else { return Ok(()) };
        let record = concat_batches(&first.schema(), &self.pending)?;
        self.pending.clear();
        self.pending_bytes = 0;
        let keys: &UInt64Array = hidden(&record, KEY)?;
        let mut order: Vec<(u32, u32)> = keys
            .values()
            .iter()
            .enumerate()
            .map(|(row, &key)| (shuffle::bucket(key, shuffle.buckets), row as u32))
            .collect();
        order.sort_unstable();
        for rows in order.chunk_by(|a, b| a.0 == b.0) {
            let indices = UInt32Array::from_iter_values(rows.iter().map(|&(_, row)| row));
            self.block(rows[0].0, &take_record_batch(&record, &indices)?)?;
        }
        Ok(())
    }

    fn block(&mut self, bucket: u32, record: &RecordBatch) -> Result<()> {
        let bytes = match self.storage {
            Storage::Plain => batch::to_ipc(record)?,
            Storage::Compressed => batch::to_compressed_ipc(record)?,
        };
        self.blocks.push(Block {
            bucket,
            rows: record.num_rows() as u32,
            place: BlockPlace {
                offset: self.file.bytes(),
                length: bytes.len() as u64,
                checksum: format!("{:016x}", xxh3_64(&bytes)),
            },
        });
        self.file.append(&bytes)
    }

    /// Writes what is pending and closes the file.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<(u64, Vec<Block>)> {
        if let Some(shuffle) = self.shuffle {
            self.flush_buckets(shuffle)?;
        }
        let file = self.file.finish()?;
        Ok((file.bytes, self.blocks))
    }
}

/// A finished spill, open for reading.
pub struct SpillFile {
    path: PathBuf,
    file: File,
}

impl SpillFile {
    /// Opens the file.
    ///
    /// # Errors
    /// `Io` when it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path).map_err(KernelError::io("open", &path))?;
        Ok(Self { path, file })
    }

    /// The rows of a block with their hidden columns.
    ///
    /// # Errors
    /// `Io` when the file cannot be read or is shorter; `Format` when the bytes do not have the checksum.
    pub fn read(&self, block: &BlockPlace) -> Result<RecordBatch> {
        let mut bytes = vec![0; block.length as usize];
        self.file
            .read_exact_at(&mut bytes, block.offset)
            .map_err(KernelError::io("read the scratch file", &self.path))?;
        if format!("{:016x}", xxh3_64(&bytes)) != block.checksum {
            return Err(KernelError::format(
                "spill",
                "a block does not have its checksum; delete work/ and run again",
            ));
        }
        batch::from_ipc(Buffer::from_vec(bytes))
    }
}

/// A hidden column of a spilled record batch.
///
/// # Errors
/// `Internal` when it is not there.
pub fn hidden<'a, T: arrow_array::Array + 'static>(record: &'a RecordBatch, name: &str) -> Result<&'a T> {
    record
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .ok_or_else(|| KernelError::internal(format!("spilled rows lack {name}")))
}

/// The batch without the hidden columns.
///
/// # Errors
/// `Internal` from Arrow.
pub fn strip(record: &RecordBatch) -> Result<Batch> {
    let schema = record.schema();
    let user: Vec<usize> = (0..schema.fields().len())
        .filter(|&index| !matches!(schema.field(index).name().as_str(), ROW | KEY))
        .collect();
    Batch::from_record(record.project(&user)?)
}

fn with_column(record: &RecordBatch, field: Field, column: ArrayRef) -> Result<RecordBatch> {
    let mut fields: Vec<_> = record.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(field));
    let mut columns = record.columns().to_vec();
    columns.push(column);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
