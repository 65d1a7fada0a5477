//! Arrow IPC reading: files, whose footer says where the record batches lie, and streams.
//!
//! Both end in [`Slices`], which hands a record batch out in pieces of about 2 MiB: record batches in a
//! file may be of any size.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, StreamDecoder, read_footer_length};
use arrow_ipc::{Block, MetadataVersion};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::formats::columnar::{Converted, Selection, type_name};
use crate::formats::parquet_read::FileColumn;
use crate::formats::rechunk::{Limits, copied, row_bytes};
use crate::formats::untrusted;
use crate::reject::Reject;

/// Bytes after the footer: its length and the magic number.
pub const TAIL_BYTES: usize = 10;

/// Rows handed out at a time.
const SLICE: Limits = Limits { rows: 8 << 10, bytes: 2 << 20 };

/// Marks the length of a message; older files do without.
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// What an Arrow IPC file says about itself.
#[derive(Debug, Clone)]
pub struct ArrowFooter {
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
    columns: Vec<FileColumn>,
}

/// Where a message lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// First byte.
    pub start: u64,
    /// Bytes of the metadata, which come first.
    pub metadata_bytes: u64,
    /// Bytes in all.
    pub bytes: u64,
}

/// Length of the footer, from the last [`TAIL_BYTES`] of the file.
///
/// # Errors
/// `Format` when the file does not end as Arrow IPC files do.
pub fn footer_length(tail: &[u8]) -> Result<usize> {
    let tail = <[u8; TAIL_BYTES]>::try_from(tail)
        .map_err(|_| KernelError::format("arrow", "the file is too short"))?;
    read_footer_length(tail)
        .map_err(|_| KernelError::format("arrow", "the file does not end with the magic number ARROW1"))
}

impl ArrowFooter {
    /// Parses a footer (without its length and the magic number).
    ///
    /// # Errors
    /// `Format` when it is damaged.
    pub fn parse(footer: &[u8]) -> Result<Self> {
        untrusted::decode(|| {
            let footer = arrow_ipc::root_as_footer(footer).map_err(|error| error.to_string())?;
            let schema = footer.schema().ok_or("there is no schema")?;
            let schema = try_fb_to_schema(schema).map_err(|error| error.to_string())?;
            let dictionaries = footer.dictionaries().map(|blocks| blocks.iter().copied().collect());
            let batches = footer.recordBatches().map(|blocks| blocks.iter().copied().collect());
            Ok::<_, String>(Self {
                columns: file_columns(&schema),
                schema: Arc::new(schema),
                version: footer.version(),
                dictionaries: dictionaries.unwrap_or_default(),
                batches: batches.unwrap_or_default(),
            })
        })
        .map_err(|reason| KernelError::format("arrow", format!("damaged footer: {reason}")))
    }

    /// The top-level columns.
    pub fn columns(&self) -> &[FileColumn] {
        &self.columns
    }

    /// Where the record batches lie, in order.
    pub fn batches(&self) -> Vec<BlockPlace> {
        self.batches.iter().map(place).collect()
    }

    /// Where the dictionaries lie, in order.
    pub fn dictionaries(&self) -> Vec<BlockPlace> {
        self.dictionaries.iter().map(place).collect()
    }

    /// A reader of the selected columns.
    ///
    /// # Errors
    /// `ColumnMissing` when one is not there.
    pub fn open(&self, selection: Selection) -> Result<ArrowFileReader> {
        let mut projection = Vec::new();
        for name in selection.sources() {
            let index = self.schema.index_of(name).map_err(|_| KernelError::ColumnMissing {
                name: name.to_owned(),
                available: self.columns.iter().map(|column| column.name.clone()).collect(),
            })?;
            projection.push(index);
        }
        projection.sort_unstable();
        projection.dedup();
        // Texts are decoded as plain bytes and checked afterwards, so that one wrong byte costs its row.
        let schema = Arc::new(without_text(&self.schema));
        let decoder = FileDecoder::new(schema, self.version).with_projection(projection);
        Ok(ArrowFileReader { footer: self.clone(), decoder, slices: Slices::new(selection) })
    }
}

fn place(block: &Block) -> BlockPlace {
    let positive = |value: i64| u64::try_from(value).unwrap_or(0);
    let metadata_bytes = positive(i64::from(block.metaDataLength()));
    BlockPlace {
        start: positive(block.offset()),
        metadata_bytes,
        bytes: metadata_bytes.saturating_add(positive(block.bodyLength())),
    }
}

fn file_columns(schema: &Schema) -> Vec<FileColumn> {
    let columns = schema.fields().iter().map(|field| FileColumn {
        name: field.name().clone(),
        kind: type_name(field.data_type()),
        data_type: field.data_type().clone(),
    });
    columns.collect()
}

/// The schema with top-level texts as bytes, which lie in memory the same way.
fn without_text(schema: &Schema) -> Schema {
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8 => DataType::Binary,
        DataType::LargeUtf8 => DataType::LargeBinary,
        DataType::Utf8View => DataType::BinaryView,
        other => other.clone(),
    };
    let fields = schema.fields().iter();
    Schema::new(
        fields
            .map(|field| field.as_ref().clone().with_data_type(plain(field.data_type())))
            .collect::<Vec<Field>>(),
    )
}

/// Rows of a record batch message, from its metadata.
///
/// # Errors
/// `Format` when the bytes are no record batch message.
pub fn batch_rows(metadata: &[u8]) -> Result<u64> {
    let start = if metadata.starts_with(&CONTINUATION) { 8 } else { 4 };
    let rows = metadata.get(start..).ok_or_else(|| "the message is cut short".to_owned()).and_then(|bytes| {
        untrusted::decode(|| {
            let message = arrow_ipc::root_as_message(bytes).map_err(|error| error.to_string())?;
            let batch = message.header_as_record_batch().ok_or("the message is no record batch")?;
            u64::try_from(batch.length()).map_err(|error| error.to_string())
        })
    });
    rows.map_err(|reason| KernelError::format("arrow", reason))
}

/// Reads record batches of one file.
pub struct ArrowFileReader {
    footer: ArrowFooter,
    decoder: FileDecoder,
    slices: Slices,
}

impl ArrowFileReader {
    /// Takes a dictionary, all of which come before the first record batch.
    ///
    /// # Errors
    /// `Format` when it is damaged.
    pub fn read_dictionary(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let block = block(&self.footer.dictionaries, number)?;
        let buffer = Buffer::from(bytes);
        untrusted::decode(|| {
            checked_length(block, bytes)?;
            self.decoder.read_dictionary(block, &buffer)
        })
        .map_err(|reason| KernelError::format("arrow", format!("dictionary {number}: {reason}")))
    }

    /// Takes a record batch, the first row of which is row `first_row` of the file. Where it is damaged, its
    /// rows become one reject.
    ///
    /// # Errors
    /// `Internal` when there is no such record batch.
    pub fn start(&mut self, number: usize, first_row: u64, bytes: &[u8]) -> Result<()> {
        let block = block(&self.footer.batches, number)?;
        let buffer = Buffer::from(bytes);
        let decoded = untrusted::decode(|| {
            checked_length(block, bytes)?;
            self.decoder.read_record_batch(block, &buffer)
        });
        match decoded {
            Ok(Some(record)) => self.slices.push(record, first_row),
            Ok(None) => {}
            Err(reason) => {
                let metadata = usize::try_from(block.metaDataLength()).unwrap_or(0);
                let rows = bytes.get(..metadata).and_then(|bytes| batch_rows(bytes).ok()).unwrap_or(1);
                self.slices.reject(number, first_row, rows, &reason);
            }
        }
        Ok(())
    }

    /// The next rows; `None` when another record batch is needed.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the file is not what the selection says.
    pub fn read_next(&mut self) -> Result<Option<(Converted, u64)>> {
        self.slices.read_next()
    }
}

fn block(blocks: &[Block], number: usize) -> Result<&Block> {
    blocks.get(number).ok_or_else(|| KernelError::internal(format!("block {number} of {}", blocks.len())))
}

fn checked_length(block: &Block, bytes: &[u8]) -> Result<(), ArrowError> {
    let wanted = place(block).bytes;
    if (bytes.len() as u64) < wanted {
        return Err(ArrowError::IpcError(format!("{} bytes of {wanted} are there", bytes.len())));
    }
    Ok(())
}

/// Reads a stream from chunks of its bytes.
pub struct ArrowStreamReader {
    decoder: StreamDecoder,
    /// Record batches that came before the selection was known, then at most one.
    waiting: VecDeque<RecordBatch>,
    slices: Option<Slices>,
    rows: u64,
    batches: usize,
    /// Why the stream cannot be read any further.
    broken: Option<String>,
}

impl Default for ArrowStreamReader {
    fn default() -> Self {
        Self {
            decoder: StreamDecoder::new(),
            waiting: VecDeque::new(),
            slices: None,
            rows: 0,
            batches: 0,
            broken: None,
        }
    }
}

impl ArrowStreamReader {
    /// Takes bytes. After damage they are ignored.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut buffer = Buffer::from(bytes);
        while self.broken.is_none() && !buffer.is_empty() {
            match untrusted::decode(|| self.decoder.decode(&mut buffer)) {
                Ok(Some(record)) => self.waiting.push_back(record),
                Ok(None) => return,
                Err(reason) => self.broken = Some(reason),
            }
        }
    }

    /// The columns, once the stream's schema came.
    pub fn columns(&self) -> Option<Vec<FileColumn>> {
        self.decoder.schema().map(|schema| file_columns(&schema))
    }

    /// Says what to read; before the first [`ArrowStreamReader::read_next`].
    pub fn select(&mut self, selection: Selection) {
        self.slices = Some(Slices::new(selection));
    }

    /// The next rows; `None` when more bytes are needed.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the stream is not what the selection says.
    pub fn read_next(&mut self) -> Result<Option<(Converted, u64)>> {
        let Some(slices) = &mut self.slices else { return Ok(None) };
        loop {
            if let Some(converted) = slices.read_next()? {
                return Ok(Some(converted));
            }
            let Some(record) = self.waiting.pop_front() else { return Ok(None) };
            let rows = record.num_rows() as u64;
            slices.push(record, self.rows);
            self.rows += rows;
            self.batches += 1;
        }
    }

    /// Ends the stream, all rows of which were taken: a reject for what is missing, if it ended too early.
    pub fn finish(&mut self, file: &str, length: u64) -> Option<Reject> {
        let broken = self.broken.take();
        let reason = broken.or_else(|| self.decoder.finish().err().map(|error| error.to_string()))?;
        let schema = self.decoder.schema().is_some();
        let (code, reason) = if schema {
            (
                "arrow-batch",
                format!("record batch {}: rows from {} on cannot be read: {reason}", self.batches, self.rows),
            )
        } else {
            ("arrow-footer", format!("this is no Arrow IPC file or stream: {reason}"))
        };
        let (offset, length) = if schema { (self.rows, 0) } else { (0, length) };
        Some(Reject { file: file.to_owned(), offset, length, code, reason, bytes: Vec::new() })
    }
}

/// A record batch on its way out, in pieces.
struct Slices {
    selection: Selection,
    record: Option<Sliced>,
    rejected: Option<Converted>,
}

struct Sliced {
    record: RecordBatch,
    sizes: Vec<u64>,
    first_row: u64,
    at: usize,
}

impl Slices {
    fn new(selection: Selection) -> Self {
        Self { selection, record: None, rejected: None }
    }

    fn push(&mut self, record: RecordBatch, first_row: u64) {
        let sources: Vec<&str> = self.selection.sources().collect();
        let schema = record.schema();
        let selected = schema.fields().iter().zip(record.columns());
        let selected: Vec<_> = selected
            .filter(|(field, _)| sources.contains(&field.name().as_str()))
            .map(|(_, column)| Arc::clone(column))
            .collect();
        let sizes = row_bytes(&selected, record.num_rows());
        self.record = Some(Sliced { record, sizes, first_row, at: 0 });
    }

    fn reject(&mut self, number: usize, first_row: u64, rows: u64, reason: &str) {
        let last = first_row.saturating_add(rows.max(1) - 1);
        let reject = Reject {
            file: self.selection.file.clone(),
            offset: first_row,
            length: 0,
            code: "arrow-batch",
            reason: format!("record batch {number}: rows {first_row} to {last} cannot be read: {reason}"),
            bytes: Vec::new(),
        };
        self.rejected = Some(Converted { batch: None, rejects: vec![reject], pruned: 0, rows });
    }

    fn read_next(&mut self) -> Result<Option<(Converted, u64)>> {
        if let Some(rejected) = self.rejected.take() {
            return Ok(Some((rejected, 0)));
        }
        let Some(sliced) = &mut self.record else { return Ok(None) };
        let (mut end, mut bytes) = (sliced.at, 0);
        while end < sliced.sizes.len()
            && !SLICE.end_before((end - sliced.at) as u64, bytes, sliced.sizes[end])
        {
            bytes += sliced.sizes[end];
            end += 1;
        }
        if end == sliced.at {
            self.record = None;
            return Ok(None);
        }
        let slice = sliced.record.slice(sliced.at, end - sliced.at);
        let mut converted = self.selection.convert(&slice, sliced.first_row + sliced.at as u64)?;
        sliced.at = end;
        if let Some(batch) = converted.batch.take() {
            // A slice shares the record batch's buffers and would keep all of them.
            converted.batch = Some(Batch::from_record(copied(batch.record())?)?);
        }
        Ok(Some((converted, bytes)))
    }
}

#[cfg(test)]
mod tests;
