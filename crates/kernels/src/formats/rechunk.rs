//! Cuts a stream of rows into chunks whose borders depend on the rows alone.
//!
//! Encoders place page and frame borders by the batches they are handed, so handing them the batches of a
//! run would let batch sizes, and with them memory pressure and worker counts, show in the bytes. Every
//! writer of rows therefore re-chunks first: a chunk ends when it has [`Limits::rows`] rows, or before the
//! row that would bring it over [`Limits::bytes`]. A row's bytes are counted from its values (see
//! [`row_bytes`]), never from buffers, whose sizes depend on how they were made.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, GenericByteViewArray, OffsetSizeTrait, RecordBatch, new_empty_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat;

use crate::error::Result;

/// Bytes counted for a row's value of a type whose size is not worked out, and for each offset or length.
const OTHER_BYTES: u64 = 8;

/// When a chunk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a full chunk; at least 1.
    pub rows: u64,
    /// Bytes a chunk of several rows does not exceed.
    pub bytes: u64,
}

impl Limits {
    /// Whether a chunk of `rows` rows and `bytes` bytes ends before a row of `next` bytes.
    pub fn end_before(&self, rows: u64, bytes: u64, next: u64) -> bool {
        rows > 0 && (rows >= self.rows || bytes.saturating_add(next) > self.bytes)
    }
}

/// Collects rows until a chunk is full.
pub struct Rechunk {
    schema: SchemaRef,
    limits: Limits,
    pending: Vec<RecordBatch>,
    rows: u64,
    bytes: u64,
}

/// Rows with borders that depend on the rows alone.
pub struct Chunk {
    /// The rows, in buffers of their own: none is shared with, or shaped by, the batches that came in.
    pub record: RecordBatch,
    /// The sum of their [`row_bytes`].
    pub bytes: u64,
}

impl Rechunk {
    /// For rows of `schema`.
    #[must_use]
    pub fn new(schema: SchemaRef, limits: Limits) -> Self {
        Self { schema, limits, pending: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes rows and hands each chunk that became full to `emit`.
    ///
    /// # Errors
    /// What `emit` returns; `Internal` when the record is of another schema.
    pub fn push(&mut self, record: &RecordBatch, mut emit: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
        let sizes = row_bytes(record.columns(), record.num_rows());
        let mut start = 0;
        for (row, &size) in sizes.iter().enumerate() {
            if self.limits.end_before(self.rows, self.bytes, size) {
                self.take(record, start, row);
                start = row;
                self.flush(&mut emit)?;
            }
            self.rows += 1;
            self.bytes += size;
        }
        self.take(record, start, record.num_rows());
        Ok(())
    }

    /// Hands what is left to `emit`.
    ///
    /// # Errors
    /// What `emit` returns.
    pub fn flush(&mut self, mut emit: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = (0..self.schema.fields().len())
            .map(|index| join(self.pending.iter().map(|record| record.column(index))))
            .collect::<Result<_>>()?;
        let record = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?;
        let chunk = Chunk { record, bytes: self.bytes };
        self.pending.clear();
        (self.rows, self.bytes) = (0, 0);
        emit(chunk)
    }

    fn take(&mut self, record: &RecordBatch, from: usize, to: usize) {
        if to > from {
            self.pending.push(record.slice(from, to - from));
        }
    }
}

/// Joins pieces of a column in fresh buffers. `concat` shares the buffers of a lone piece, whose unused
/// bits would then reach the file; an empty second piece makes it copy.
fn join<'a>(pieces: impl Iterator<Item = &'a ArrayRef>) -> Result<ArrayRef> {
    let mut pieces: Vec<&dyn Array> = pieces.map(AsRef::as_ref).collect();
    let empty = pieces.first().map(|piece| new_empty_array(piece.data_type()));
    if let (Some(empty), 1) = (&empty, pieces.len()) {
        pieces.push(empty);
    }
    Ok(concat(&pieces)?)
}

/// The record in buffers of its own, for a slice that would keep more than itself alive.
///
/// # Errors
/// `Internal` from the copying kernel.
pub fn copied(record: &RecordBatch) -> Result<RecordBatch> {
    let columns =
        record.columns().iter().map(|column| join(std::iter::once(column))).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(record.schema(), columns)?)
}

/// Bytes of each of `rows` rows: widths of fixed types, lengths of texts and lists plus eight, nothing for
/// what a null hides. Equal rows have equal bytes, however they lie in memory.
#[must_use]
pub fn row_bytes(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut sizes = vec![0; rows];
    for column in columns {
        add_bytes(column, &mut sizes);
    }
    sizes
}

fn add_bytes(array: &dyn Array, sizes: &mut [u64]) {
    if let Some(width) = fixed_width(array.data_type()) {
        for size in sizes {
            *size += width;
        }
        return;
    }
    match array.data_type() {
        DataType::Utf8 => add_lengths(array.as_string::<i32>().offsets(), array.nulls(), sizes),
        DataType::LargeUtf8 => add_lengths(array.as_string::<i64>().offsets(), array.nulls(), sizes),
        DataType::Binary => add_lengths(array.as_binary::<i32>().offsets(), array.nulls(), sizes),
        DataType::LargeBinary => add_lengths(array.as_binary::<i64>().offsets(), array.nulls(), sizes),
        DataType::Utf8View => add_valid(view_lengths(array.as_string_view()), array.nulls(), sizes),
        DataType::BinaryView => add_valid(view_lengths(array.as_binary_view()), array.nulls(), sizes),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = row_bytes(&[Arc::clone(dictionary.values())], dictionary.values().len());
            let lengths = dictionary.normalized_keys().into_iter();
            add_valid(lengths.map(|key| values.get(key).copied().unwrap_or(0)), array.nulls(), sizes);
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_lists(list.offsets(), list.values(), array.nulls(), sizes);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            add_lists(list.offsets(), list.values(), array.nulls(), sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            add_lists(map.offsets(), map.entries(), array.nulls(), sizes);
        }
        DataType::Struct(_) => {
            let fields = array.as_struct();
            let inner = row_bytes(fields.columns(), array.len());
            add_valid(inner.into_iter(), array.nulls(), sizes);
        }
        _ => add_valid(std::iter::repeat_n(0, sizes.len()), None, sizes),
    }
}

/// Bytes of a value of a type whose values are all of one size.
fn fixed_width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Boolean => Some(1),
        DataType::Null => Some(0),
        DataType::FixedSizeBinary(width) => Some(u64::from(width.unsigned_abs())),
        DataType::FixedSizeList(item, length) => {
            fixed_width(item.data_type()).map(|width| width * u64::from(length.unsigned_abs()))
        }
        other => other.primitive_width().map(|width| width as u64),
    }
}

fn view_lengths<T: ByteViewType>(array: &GenericByteViewArray<T>) -> impl Iterator<Item = u64> + '_ {
    array.lengths().map(u64::from)
}

fn add_lengths<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, nulls: Option<&NullBuffer>, sizes: &mut [u64]) {
    add_valid(offsets.lengths().map(|length| length as u64), nulls, sizes);
}

fn add_lists<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    values: &dyn Array,
    nulls: Option<&NullBuffer>,
    sizes: &mut [u64],
) {
    if let Some(width) = fixed_width(values.data_type()) {
        add_valid(offsets.lengths().map(|length| length as u64 * width), nulls, sizes);
        return;
    }
    let (first, last) = (offsets.first().as_usize(), offsets.last().as_usize());
    let values = values.slice(first, last - first);
    let mut inner = vec![0; values.len()];
    add_bytes(&values, &mut inner);
    let mut rest = inner.into_iter();
    let sums = offsets.lengths().map(|length| rest.by_ref().take(length).sum());
    add_valid(sums, nulls, sizes);
}

fn add_valid(lengths: impl Iterator<Item = u64>, nulls: Option<&NullBuffer>, sizes: &mut [u64]) {
    for (row, (size, length)) in sizes.iter_mut().zip(lengths).enumerate() {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        *size += OTHER_BYTES + if valid { length } else { 0 };
    }
}
