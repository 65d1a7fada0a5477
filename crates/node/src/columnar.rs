//! `NativeParquetFile`, `NativeArrowFile` and `NativeArrowStream`: columnar files to batches and rejects.
#![expect(clippy::needless_pass_by_value, reason = "napi-rs hands arguments over by value")]

use bytes::Bytes;
use gristmill_kernels::formats::arrow_read::{
    self, ArrowFileReader, ArrowFooter, ArrowStreamReader, BlockPlace,
};
use gristmill_kernels::formats::columnar::{Converted, Selection};
use gristmill_kernels::formats::parquet_prune::may_match;
use gristmill_kernels::formats::parquet_read::{self, FileColumn, ParquetFooter, ParquetReader};
use gristmill_kernels::{Batch, KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid, unsigned};
use crate::readers::NativeReject;

/// A top-level column of a columnar file.
#[napi(object)]
pub struct NativeFileColumn {
    /// Its name.
    pub name: String,
    /// `string`, `json`, `binary`, `int64`, `float64`, `boolean`, `null` or `other`.
    #[napi(js_name = "type")]
    pub kind: String,
    /// Its Arrow type.
    pub arrow_type: String,
}

impl From<&FileColumn> for NativeFileColumn {
    fn from(column: &FileColumn) -> Self {
        Self {
            name: column.name.clone(),
            kind: column.kind.to_owned(),
            arrow_type: column.data_type.to_string(),
        }
    }
}

/// Rows and decoded bytes of a row group.
#[napi(object)]
pub struct NativeRowGroup {
    /// Its rows.
    pub rows: f64,
    /// Decoded bytes of the columns asked about.
    pub bytes: f64,
}

/// Bytes [from, to) of a file.
#[napi(object)]
pub struct NativeByteRange {
    /// First byte.
    pub from: f64,
    /// First byte after it.
    pub to: f64,
}

/// A message of an Arrow IPC file.
#[napi(object)]
pub struct NativeBlock {
    /// First byte.
    pub from: f64,
    /// Bytes of the metadata, which come first.
    pub metadata_bytes: f64,
    /// First byte after it.
    pub to: f64,
}

impl From<BlockPlace> for NativeBlock {
    fn from(place: BlockPlace) -> Self {
        Self {
            from: place.start as f64,
            metadata_bytes: place.metadata_bytes as f64,
            to: place.start.saturating_add(place.bytes) as f64,
        }
    }
}

/// Rows that were read; `takeBatch` has those that stay.
#[napi(object)]
pub struct NativeRead {
    /// Rows that were looked at.
    pub rows: f64,
    /// Decoded bytes they stand for.
    pub bytes: f64,
    /// Rows left out by request.
    pub pruned: f64,
    /// Rows for quarantine.
    pub rejects: Vec<NativeReject>,
}

/// Splits what was read into data for JavaScript and the batch it takes next.
pub(crate) fn hand_out(read: Option<(Converted, u64)>, batch: &mut Option<Batch>) -> Option<NativeRead> {
    let (converted, bytes) = read?;
    *batch = converted.batch;
    Some(NativeRead {
        rows: converted.rows as f64,
        bytes: bytes as f64,
        pruned: converted.pruned as f64,
        rejects: converted.rejects.into_iter().map(Into::into).collect(),
    })
}

/// Length of a Parquet footer, from the last 8 bytes of the file.
#[napi]
pub fn parquet_footer_length(tail: &[u8]) -> napi::Result<f64> {
    guard("parquet.footerLength", || Ok(parquet_read::footer_length(tail)? as f64))
}

/// Whether a Bloom filter lets a text pass: false only when no row of its row group has it.
#[napi]
pub fn bloom_may_hold(filter: &[u8], value: String) -> napi::Result<bool> {
    guard("parquet.bloom", || parquet_read::bloom_may_hold(filter, &value))
}

/// A Parquet file: its footer, then rows of the selected columns.
#[napi]
pub struct NativeParquetFile {
    footer: ParquetFooter,
    reader: Option<ParquetReader>,
    batch: Option<Batch>,
}

impl NativeParquetFile {
    fn reader(&mut self) -> Result<&mut ParquetReader> {
        self.reader.as_mut().ok_or(KernelError::Disposed { what: "Parquet reader" })
    }

    fn group(&self, group: u32) -> Result<usize> {
        let groups = self.footer.row_groups();
        let group = group as usize;
        if group < groups {
            Ok(group)
        } else {
            Err(invalid("parquet", format!("row group {group} of {groups}")))
        }
    }
}

#[napi]
impl NativeParquetFile {
    /// From the bytes of the footer, without its length and the magic number.
    #[napi(constructor)]
    pub fn new(footer: &[u8]) -> napi::Result<Self> {
        guard("parquet.footer", || {
            Ok(Self { footer: ParquetFooter::parse(footer)?, reader: None, batch: None })
        })
    }

    /// The top-level columns.
    #[napi]
    pub fn columns(&self) -> Vec<NativeFileColumn> {
        self.footer.columns().iter().map(Into::into).collect()
    }

    /// The row groups, with the decoded bytes of the named columns (of all without names).
    #[napi]
    pub fn row_groups(&self, names: Option<Vec<String>>) -> Vec<NativeRowGroup> {
        let groups = (0..self.footer.row_groups()).map(|group| NativeRowGroup {
            rows: self.footer.rows(group) as f64,
            bytes: self.footer.bytes(group, names.as_deref()) as f64,
        });
        groups.collect()
    }

    /// Says what to read: `Selection` of the kernel as JSON. With `localPath`, pages are read from that file.
    #[napi]
    pub fn open(&mut self, selection: String, local_path: Option<String>) -> napi::Result<()> {
        guard("parquet.open", || {
            let mut reader = self.footer.open(Selection::from_json(&selection)?)?;
            if let Some(path) = local_path {
                reader.open_local(path)?;
            }
            self.reader = Some(reader);
            Ok(())
        })
    }

    /// Whether a row group may hold rows that the predicate (an expression tree as JSON) accepts.
    #[napi]
    pub fn may_match(&mut self, group: u32, first_row: f64, predicate: String) -> napi::Result<bool> {
        guard("parquet.mayMatch", || {
            let group = self.group(group)?;
            let predicate = serde_json::from_str(&predicate).map_err(|error| invalid("predicate", error))?;
            Ok(may_match(self.reader()?, group, unsigned(first_row), &predicate))
        })
    }

    /// Where the Bloom filter of a column of a row group lies; null when it has none.
    #[napi]
    pub fn bloom_range(&self, group: u32, column: String) -> napi::Result<Option<NativeByteRange>> {
        guard("parquet.bloomRange", || {
            let range = self.footer.bloom_range(self.group(group)?, &column);
            Ok(range.map(|range| NativeByteRange { from: range.start as f64, to: range.end as f64 }))
        })
    }

    /// Bytes of the file that hold the selected columns of a row group.
    #[napi]
    pub fn ranges(&mut self, group: u32) -> napi::Result<Vec<NativeByteRange>> {
        guard("parquet.ranges", || {
            let group = self.group(group)?;
            let ranges = self.reader()?.ranges(group).into_iter();
            Ok(ranges
                .map(|range| NativeByteRange { from: range.start as f64, to: range.end as f64 })
                .collect())
        })
    }

    /// Starts a row group with its ranges' bytes (none for a local file).
    #[napi]
    pub fn start(
        &mut self,
        group: u32,
        first_row: f64,
        starts: Vec<f64>,
        chunks: Vec<&[u8]>,
    ) -> napi::Result<()> {
        guard("parquet.start", || {
            let group = self.group(group)?;
            let fetched = starts.into_iter().zip(chunks);
            let fetched =
                fetched.map(|(start, bytes)| (unsigned(start), Bytes::copy_from_slice(bytes))).collect();
            self.reader()?.start(group, unsigned(first_row), fetched);
            Ok(())
        })
    }

    /// The next rows of the row group; `null` at its end.
    #[napi]
    pub fn next(&mut self) -> napi::Result<Option<NativeRead>> {
        guard("parquet.next", || {
            let read = self.reader()?.read_next()?;
            Ok(hand_out(read, &mut self.batch))
        })
    }

    /// The rows of the last `next` that stay; `null` when none do.
    #[napi]
    pub fn take_batch(&mut self) -> Option<NativeBatch> {
        self.batch.take().map(NativeBatch::wrap)
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        self.reader = None;
        self.batch = None;
    }
}

/// Length of an Arrow IPC file's footer, from the last 10 bytes of the file.
#[napi]
pub fn arrow_footer_length(tail: &[u8]) -> napi::Result<f64> {
    guard("arrow.footerLength", || Ok(arrow_read::footer_length(tail)? as f64))
}

/// Rows of a record batch, from the metadata of its message.
#[napi]
pub fn arrow_batch_rows(metadata: &[u8]) -> napi::Result<f64> {
    guard("arrow.batchRows", || Ok(arrow_read::batch_rows(metadata)? as f64))
}

/// An Arrow IPC file: its footer, then rows of the selected columns.
#[napi]
pub struct NativeArrowFile {
    footer: ArrowFooter,
    reader: Option<ArrowFileReader>,
    batch: Option<Batch>,
}

impl NativeArrowFile {
    fn reader(&mut self) -> Result<&mut ArrowFileReader> {
        self.reader.as_mut().ok_or(KernelError::Disposed { what: "Arrow reader" })
    }
}

#[napi]
impl NativeArrowFile {
    /// From the bytes of the footer, without its length and the magic number.
    #[napi(constructor)]
    pub fn new(footer: &[u8]) -> napi::Result<Self> {
        guard("arrow.footer", || Ok(Self { footer: ArrowFooter::parse(footer)?, reader: None, batch: None }))
    }

    /// The top-level columns.
    #[napi]
    pub fn columns(&self) -> Vec<NativeFileColumn> {
        self.footer.columns().iter().map(Into::into).collect()
    }

    /// Where the record batches lie, in order.
    #[napi]
    pub fn batches(&self) -> Vec<NativeBlock> {
        self.footer.batches().into_iter().map(Into::into).collect()
    }

    /// Where the dictionaries lie, in order.
    #[napi]
    pub fn dictionaries(&self) -> Vec<NativeBlock> {
        self.footer.dictionaries().into_iter().map(Into::into).collect()
    }

    /// Says what to read: `Selection` of the kernel as JSON.
    #[napi]
    pub fn open(&mut self, selection: String) -> napi::Result<()> {
        guard("arrow.open", || {
            self.reader = Some(self.footer.open(Selection::from_json(&selection)?)?);
            Ok(())
        })
    }

    /// Takes a dictionary; all of them come before the first record batch.
    #[napi]
    pub fn read_dictionary(&mut self, number: u32, bytes: &[u8]) -> napi::Result<()> {
        guard("arrow.readDictionary", || self.reader()?.read_dictionary(number as usize, bytes))
    }

    /// Takes a record batch.
    #[napi]
    pub fn start(&mut self, number: u32, first_row: f64, bytes: &[u8]) -> napi::Result<()> {
        guard("arrow.start", || self.reader()?.start(number as usize, unsigned(first_row), bytes))
    }

    /// The next rows of the record batch; `null` at its end.
    #[napi]
    pub fn next(&mut self) -> napi::Result<Option<NativeRead>> {
        guard("arrow.next", || {
            let read = self.reader()?.read_next()?;
            Ok(hand_out(read, &mut self.batch))
        })
    }

    /// The rows of the last `next` that stay; `null` when none do.
    #[napi]
    pub fn take_batch(&mut self) -> Option<NativeBatch> {
        self.batch.take().map(NativeBatch::wrap)
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        self.reader = None;
        self.batch = None;
    }
}

/// An Arrow IPC stream from chunks of its bytes.
#[napi]
#[derive(Default)]
pub struct NativeArrowStream {
    reader: ArrowStreamReader,
    batch: Option<Batch>,
}

#[napi]
impl NativeArrowStream {
    /// At the start of a stream.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes.
    #[napi]
    pub fn push(&mut self, bytes: &[u8]) -> napi::Result<()> {
        guard("arrow.push", || {
            self.reader.push(bytes);
            Ok(())
        })
    }

    /// The top-level columns; `null` until they came.
    #[napi]
    pub fn columns(&self) -> Option<Vec<NativeFileColumn>> {
        self.reader.columns().map(|columns| columns.iter().map(Into::into).collect())
    }

    /// Says what to read: `Selection` of the kernel as JSON.
    #[napi]
    pub fn open(&mut self, selection: String) -> napi::Result<()> {
        guard("arrow.open", || {
            self.reader.select(Selection::from_json(&selection)?);
            Ok(())
        })
    }

    /// The next rows; `null` when more bytes are needed.
    #[napi]
    pub fn next(&mut self) -> napi::Result<Option<NativeRead>> {
        guard("arrow.next", || {
            let read = self.reader.read_next()?;
            Ok(hand_out(read, &mut self.batch))
        })
    }

    /// The rows of the last `next` that stay; `null` when none do.
    #[napi]
    pub fn take_batch(&mut self) -> Option<NativeBatch> {
        self.batch.take().map(NativeBatch::wrap)
    }

    /// Ends the stream of `length` bytes: what is missing, if it ended too early.
    #[napi]
    pub fn finish(&mut self, file: String, length: f64) -> napi::Result<Option<NativeReject>> {
        guard("arrow.finish", || Ok(self.reader.finish(&file, unsigned(length)).map(Into::into)))
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        *self = Self::default();
    }
}
