//! The index that a deduplication leaves: the rows that stayed, for later runs to compare theirs with.
//!
//! Each task that follows the deduplication writes one Parquet file ([`IndexWriter`]) of the rows it reads.
//! `exact-dedup` needs their hashes; `minhash-dedup` their band keys, to find candidates, and their texts, to
//! compare those by their shingles. A later run cuts the keys of each file into its own partitions
//! ([`write_keys`]), as if a task had spilled the rows; texts are read for candidates alone ([`texts`]).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, StringBuilder, UInt64Builder};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use serde::Deserialize;

use crate::batch::{Batch, TEXT};
use crate::dedup::exact::{ExactOptions, KeyParts, hash_rows};
use crate::dedup::minhash::MinhashOptions;
use crate::dedup::minhash::keys::{BandKeys, BandParts};
use crate::dedup::segments::Segment;
use crate::dedup::verdicts::RowPlace;
use crate::error::{KernelError, Result};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::rechunk::Limits;
use crate::formats::shard_file::FinishedFile;
use crate::formats::untrusted;

/// Small, since candidates are read one here and one there.
const CHUNK: Limits = Limits { rows: 1 << 10, bytes: 1 << 20 };
const ROW_GROUP: Limits = Limits { rows: 64 << 10, bytes: 16 << 20 };

const HASH: &str = "hash";
const KEYS: &str = "keys";
const PLACE: [&str; 3] = ["file", "position", "id"];

/// The deduplication an index is of.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum IndexOptions {
    /// `exact-dedup`.
    Exact(ExactOptions),
    /// `minhash-dedup`.
    Minhash(MinhashOptions),
}

/// An index file under construction.
pub struct IndexWriter {
    entries: Entries,
    file: ParquetWriter,
}

enum Entries {
    Exact(ExactOptions),
    Minhash { keys: Box<BandKeys>, width: i32 },
}

impl IndexWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// `Io` when it cannot be created.
    pub fn create(path: impl AsRef<Path>, options: IndexOptions) -> Result<Self> {
        let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
        let [file, position, id] = PLACE;
        let place = [
            field(file, DataType::Utf8, false),
            field(position, DataType::UInt64, false),
            field(id, DataType::Utf8, true),
        ];
        let (entries, fields) = match options {
            IndexOptions::Exact(options) => {
                let mut fields = vec![field(HASH, DataType::FixedSizeBinary(16), false)];
                fields.extend(place);
                (Entries::Exact(options), fields)
            }
            IndexOptions::Minhash(options) => {
                let width = (options.bands * 8) as i32;
                let mut fields = vec![field(KEYS, DataType::FixedSizeBinary(width), false)];
                fields.extend(place);
                fields.push(field(TEXT, DataType::Utf8, false));
                (Entries::Minhash { keys: Box::new(BandKeys::new(&options)), width }, fields)
            }
        };
        let file = ParquetWriter::with_limits(path, Arc::new(Schema::new(fields)), CHUNK, ROW_GROUP)?;
        Ok(Self { entries, file })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Adds the selected rows of a batch, but for those that are no duplicates of anything.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch lacks a compared column; `Io` when writing fails.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        let kept = |row: &usize| batch.is_kept(*row);
        match &mut self.entries {
            Entries::Exact(options) => {
                let hashes = hash_rows(batch, options)?;
                let mut rows = Vec::new();
                let mut column = FixedSizeBinaryBuilder::with_capacity(hashes.len(), 16);
                for row in (0..batch.rows()).filter(kept) {
                    let Some(hash) = hashes[row] else { continue };
                    column.append_value(hash.to_le_bytes())?;
                    rows.push(row);
                }
                self.file.write(&record(batch, &rows, HASH, column, None)?)
            }
            Entries::Minhash { keys, width } => {
                let text = batch.text(TEXT)?;
                let (mut rows, mut bytes) = (Vec::new(), Vec::new());
                let mut column = FixedSizeBinaryBuilder::with_capacity(batch.rows(), *width);
                for row in (0..batch.rows()).filter(kept).filter(|&row| text.is_valid(row)) {
                    let Some(keys) = keys.of(text.value(row)) else { continue };
                    bytes.clear();
                    bytes.extend(keys.flat_map(u64::to_le_bytes));
                    column.append_value(&bytes)?;
                    rows.push(row);
                }
                self.file.write(&record(batch, &rows, KEYS, column, Some(text))?)
            }
        }
    }

    /// Closes the file and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<FinishedFile> {
        self.file.finish()
    }
}

fn record(
    batch: &Batch,
    rows: &[usize],
    key: &str,
    mut keys: FixedSizeBinaryBuilder,
    text: Option<&StringArray>,
) -> Result<RecordBatch> {
    let (mut file, mut position, mut id) = (StringBuilder::new(), UInt64Builder::new(), StringBuilder::new());
    for &row in rows {
        file.append_value(batch.file_of(row));
        position.append_value(batch.position().value(row));
        id.append_option(batch.id().is_valid(row).then(|| batch.id().value(row)));
    }
    let keys = keys.finish();
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        (key, Arc::new(keys), false),
        (PLACE[0], Arc::new(file.finish()), false),
        (PLACE[1], Arc::new(position.finish()), false),
        (PLACE[2], Arc::new(id.finish()), true),
    ];
    if let Some(text) = text {
        let texts = StringArray::from_iter_values(rows.iter().map(|&row| text.value(row)));
        columns.push((TEXT, Arc::new(texts), false));
    }
    let field = |(name, column, nullable): &(&str, ArrayRef, bool)| {
        Field::new(*name, column.data_type().clone(), *nullable)
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    Ok(RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column, _)| column).collect())?)
}

/// Writes the keys of an index file, cut into `partitions`, to `out`: a key file, as a task would have written
/// for these rows. A row's ordinal is its place in the index file.
///
/// # Errors
/// `Format` when the index is damaged or of another deduplication; `Io` when reading or writing fails.
pub fn write_keys(
    index: impl AsRef<Path>,
    options: &IndexOptions,
    partitions: u32,
    out: impl AsRef<Path>,
) -> Result<(u64, Vec<Segment>)> {
    let index = index.as_ref();
    let mut row = 0;
    match options {
        IndexOptions::Exact(_) => {
            let mut parts = KeyParts::new(partitions);
            read(index, &[HASH, PLACE[0], PLACE[1], PLACE[2]], None, |record| {
                let hashes = fixed(index, record, HASH, 16)?;
                let places = Places::of(index, record)?;
                for at in 0..record.num_rows() {
                    let (hash, _) = hashes.value(at).as_chunks::<16>();
                    parts.push(u128::from_le_bytes(hash[0]), None, &places.place(at, row));
                    row += 1;
                }
                Ok(())
            })?;
            parts.finish(out)
        }
        IndexOptions::Minhash(options) => {
            let mut parts = BandParts::new(partitions);
            read(index, &[KEYS], None, |record| {
                let keys = fixed(index, record, KEYS, options.bands as usize * 8)?;
                for at in 0..record.num_rows() {
                    let (keys, _) = keys.value(at).as_chunks::<8>();
                    for &key in keys {
                        parts.push(u64::from_le_bytes(key), row);
                    }
                    row += 1;
                }
                Ok(())
            })?;
            parts.finish(out)
        }
    }
}

/// The texts of `rows` (rising) of an index file, with their places.
///
/// # Errors
/// `Format` when the index is damaged; `Io` when it cannot be read; what `visit` returns.
pub fn texts(
    index: &Path,
    rows: &[u32],
    mut visit: impl FnMut(&RowPlace<'_>, &str) -> Result<()>,
) -> Result<()> {
    let mut next = rows.iter().copied();
    read(index, &[PLACE[0], PLACE[1], PLACE[2], TEXT], Some(rows), |record| {
        let texts: &StringArray = column(index, record, TEXT)?;
        let places = Places::of(index, record)?;
        for at in 0..record.num_rows() {
            let row = next.next().ok_or_else(|| damaged(index, "it has more rows than were asked for"))?;
            visit(&places.place(at, row), texts.value(at))?;
        }
        Ok(())
    })
}

/// Who the rows of a record batch are.
struct Places<'a> {
    file: &'a StringArray,
    position: &'a UInt64Array,
    id: &'a StringArray,
}

impl<'a> Places<'a> {
    fn of(path: &Path, record: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            file: column(path, record, PLACE[0])?,
            position: column(path, record, PLACE[1])?,
            id: column(path, record, PLACE[2])?,
        })
    }

    fn place(&self, at: usize, row: u32) -> RowPlace<'a> {
        RowPlace {
            run: None,
            task: 0,
            row,
            file: self.file.value(at),
            position: self.position.value(at),
            id: self.id.is_valid(at).then(|| self.id.value(at)),
        }
    }
}

/// Reads columns of an index file, all rows or the ones named (rising).
fn read(
    path: &Path,
    columns: &[&str],
    rows: Option<&[u32]>,
    mut visit: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).map_err(KernelError::io("open", path))?;
    let opened = untrusted::decode(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let total = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let builder = builder.with_projection(mask);
        match rows {
            None => builder.build(),
            Some(rows) if rows.last().is_some_and(|&last| last as usize >= total) => {
                Err(ParquetError::General(format!("it has {total} rows")))
            }
            Some(rows) => {
                let ranges = rows.iter().map(|&row| row as usize..row as usize + 1);
                builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, total)).build()
            }
        }
    });
    let mut reader = opened.map_err(|reason| damaged(path, reason))?;
    loop {
        let next = untrusted::decode(|| reader.next().transpose());
        match next.map_err(|reason| damaged(path, reason))? {
            Some(record) => visit(&record)?,
            None => return Ok(()),
        }
    }
}

fn column<'a, T: Array + 'static>(path: &Path, record: &'a RecordBatch, name: &str) -> Result<&'a T> {
    let column = record.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| damaged(path, format!("it has no column '{name}' of the right type")))
}

fn fixed<'a>(
    path: &Path,
    record: &'a RecordBatch,
    name: &str,
    width: usize,
) -> Result<&'a FixedSizeBinaryArray> {
    let found: &FixedSizeBinaryArray = column(path, record, name)?;
    if usize::try_from(found.value_length()) == Ok(width) {
        return Ok(found);
    }
    Err(damaged(path, format!("'{name}' has {} bytes, not {width}", found.value_length())))
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> KernelError {
    let name = path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    KernelError::format("index of a deduplication", format!("{name}: {reason}"))
}
