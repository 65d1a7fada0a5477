//! Rows of item formats on their way into record batches: values as the bytes they have in the file.
//!
//! Numbers and arrays of numbers are little-endian in all of these formats, as in Arrow, so a value is
//! copied once and never looked at. A row is staged column by column, then committed or rejected.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema};
use rustc_hash::FxHashMap;

use crate::error::{KernelError, Result};
use crate::reject::{KEPT_BYTES, Reject};

/// How many names of columns that nobody asked for are counted one by one.
const MAX_UNKNOWN_NAMES: usize = 256;

/// Why a value cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code.
    pub code: &'static str,
    /// For a person.
    pub reason: String,
}

impl Fault {
    /// A fault with its reason.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// Where a row lies in its file.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its position.
    pub position: u64,
    /// Its bytes; 0 where the format names rows by number.
    pub length: u64,
}

/// The list of values that a column of `item` holds.
#[must_use]
pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Values of so many bytes.
    Fixed(usize),
    /// Bytes or text, checked later.
    Bytes,
    /// Lists of values of so many bytes.
    List(usize),
    /// Lists of bytes, or of texts.
    ByteLists { text: bool },
}

impl Layout {
    fn of(data_type: &DataType) -> Result<Self> {
        let layout = match data_type {
            DataType::Utf8 | DataType::Binary => Some(Self::Bytes),
            DataType::List(item) => match item.data_type() {
                DataType::Utf8 => Some(Self::ByteLists { text: true }),
                DataType::Binary => Some(Self::ByteLists { text: false }),
                item => item.primitive_width().map(Self::List),
            },
            other => other.primitive_width().map(Self::Fixed),
        };
        layout.ok_or_else(|| KernelError::internal(format!("no column of items is {data_type}")))
    }
}

/// One column under construction.
#[derive(Debug)]
struct Column {
    name: String,
    data_type: DataType,
    layout: Layout,
    bytes: Vec<u8>,
    /// Ends of the byte strings in lists of them.
    inner: Vec<i32>,
    /// End of each row: in bytes, elements or byte strings.
    ends: Vec<i32>,
    valid: Vec<bool>,
    staged: bool,
    /// Length of `bytes` and `inner` at the last commit.
    committed: (usize, usize),
}

impl Column {
    fn new(name: &str, data_type: &DataType) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            layout: Layout::of(data_type)?,
            data_type: data_type.clone(),
            bytes: Vec::new(),
            inner: vec![0],
            ends: vec![0],
            valid: Vec::new(),
            staged: false,
            committed: (0, 1),
        })
    }

    fn rollback(&mut self) {
        self.bytes.truncate(self.committed.0);
        self.inner.truncate(self.committed.1);
        self.staged = false;
    }

    fn commit(&mut self) {
        match self.layout {
            Layout::Fixed(width) => self.bytes.resize(self.committed.0 + width, 0),
            Layout::Bytes => self.ends.push(self.bytes.len() as i32),
            Layout::List(width) => self.ends.push((self.bytes.len() / width) as i32),
            Layout::ByteLists { .. } => self.ends.push(self.inner.len() as i32 - 1),
        }
        self.valid.push(self.staged);
        self.staged = false;
        self.committed = (self.bytes.len(), self.inner.len());
    }

    /// The column so far, which is then empty again.
    fn take(&mut self) -> Result<ArrayRef> {
        self.rollback();
        let rows = self.valid.len();
        let nulls = NullBuffer::from(std::mem::take(&mut self.valid));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        let ends = Buffer::from_vec(std::mem::replace(&mut self.ends, vec![0]));
        let inner = std::mem::replace(&mut self.inner, vec![0]);
        self.committed = (0, 1);
        // Texts lie as bytes until a selection checks them, so that one wrong byte costs its row.
        let data_type =
            if self.data_type == DataType::Utf8 { DataType::Binary } else { self.data_type.clone() };
        let builder = ArrayData::builder(data_type).len(rows).nulls(Some(nulls)).align_buffers(true);
        let builder = match (self.layout, &self.data_type) {
            (Layout::Fixed(_), _) => builder.add_buffer(bytes),
            (Layout::Bytes, _) => builder.add_buffer(ends).add_buffer(bytes),
            (Layout::List(width), DataType::List(item)) => {
                let values = ArrayData::builder(item.data_type().clone());
                let values = values.len(bytes.len() / width).add_buffer(bytes).align_buffers(true).build()?;
                builder.add_buffer(ends).add_child_data(values)
            }
            (_, DataType::List(item)) => {
                let values = ArrayData::builder(item.data_type().clone()).len(inner.len() - 1);
                let values = values.add_buffer(Buffer::from_vec(inner)).add_buffer(bytes).build()?;
                builder.add_buffer(ends).add_child_data(values)
            }
            _ => return Err(KernelError::internal("a list without items")),
        };
        Ok(make_array(builder.build()?))
    }
}

/// Rows in the making.
#[derive(Default)]
pub struct ItemRows {
    file: String,
    open: bool,
    columns: Vec<Column>,
    index: FxHashMap<String, usize>,
    /// The column of ids, if there is one.
    id: Option<usize>,
    positions: Vec<u64>,
    rejects: Vec<Reject>,
    reject_bytes: usize,
    count_unknown: bool,
    unknown: BTreeMap<String, u64>,
    /// Decompressed bytes of the items taken since the last call of [`ItemRows::take_consumed`].
    consumed: u64,
}

impl ItemRows {
    /// Names the file of the rows that follow.
    pub fn set_file(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// Says which columns are kept; before the first row.
    ///
    /// # Errors
    /// `Internal` for a type that no item has.
    pub fn open<'a>(
        &mut self,
        columns: impl Iterator<Item = (&'a str, &'a DataType)>,
        id: Option<&str>,
        count_unknown: bool,
    ) -> Result<()> {
        self.columns.clear();
        self.index.clear();
        for (name, data_type) in columns {
            self.index.insert(name.to_owned(), self.columns.len());
            self.columns.push(Column::new(name, data_type)?);
        }
        self.id = id.and_then(|id| self.column(id));
        self.count_unknown = count_unknown;
        self.open = true;
        Ok(())
    }

    /// Whether columns were chosen; else only a sample is wanted.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether all columns of the sample are kept, since nobody said which.
    pub fn keeps_all(&self) -> bool {
        self.count_unknown
    }

    /// The column of that name, if it is kept.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Whether a column holds the ids as texts, whatever the files have.
    pub fn takes_digits(&self, column: usize) -> bool {
        self.id == Some(column) && self.columns[column].data_type == DataType::Utf8
    }

    /// Type of a kept column.
    pub fn data_type(&self, column: usize) -> &DataType {
        &self.columns[column].data_type
    }

    /// Sets the row's value from its bytes: a number, a text, bytes, or the numbers of a list.
    ///
    /// # Errors
    /// A fault when the bytes are no such value.
    pub fn set(&mut self, column: usize, value: &[u8]) -> Result<(), Fault> {
        let column = &mut self.columns[column];
        let fits = match column.layout {
            Layout::Fixed(width) => value.len() == width,
            Layout::Bytes => true,
            Layout::List(width) => value.len().is_multiple_of(width),
            Layout::ByteLists { .. } => false,
        };
        if !fits {
            let reason =
                format!("column '{}': {} bytes are no {}", column.name, value.len(), column.data_type);
            return Err(Fault::new("column-type", reason));
        }
        column.rollback();
        column.bytes.extend_from_slice(value);
        column.staged = true;
        Ok(())
    }

    /// Sets the row's value to a list of byte strings.
    ///
    /// # Errors
    /// A fault when the column holds no such lists, or texts and one is not UTF-8.
    pub fn set_list<'a>(
        &mut self,
        column: usize,
        values: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Fault> {
        let column = &mut self.columns[column];
        let Layout::ByteLists { text } = column.layout else {
            let reason = format!("column '{}': a list of bytes is no {}", column.name, column.data_type);
            return Err(Fault::new("column-type", reason));
        };
        column.rollback();
        for value in values {
            if text && simdutf8::basic::from_utf8(value).is_err() {
                column.rollback();
                let reason = format!("column '{}': a text is not valid UTF-8", column.name);
                return Err(Fault::new("utf8", reason));
            }
            column.bytes.extend_from_slice(value);
            column.inner.push(column.bytes.len() as i32);
        }
        column.staged = true;
        Ok(())
    }

    /// Ends the staged row and keeps it.
    pub fn commit(&mut self, place: Place) {
        self.positions.push(place.position);
        self.columns.iter_mut().for_each(Column::commit);
    }

    /// Drops the staged row, which becomes a reject with the bytes at fault.
    pub fn reject(&mut self, place: Place, fault: Fault, bytes: &[u8]) {
        self.columns.iter_mut().for_each(Column::rollback);
        let bytes = bytes[..bytes.len().min(KEPT_BYTES)].to_vec();
        self.reject_bytes += bytes.len() + 256;
        let Fault { code, reason } = fault;
        let Place { position: offset, length } = place;
        self.rejects.push(Reject { file: self.file.clone(), offset, length, code, reason, bytes });
    }

    /// Counts a row that has a column which is not kept, where nobody said which to keep.
    pub fn count_unknown(&mut self, name: &str) {
        if !self.count_unknown {
            return;
        }
        if let Some(rows) = self.unknown.get_mut(name) {
            *rows += 1;
        } else {
            let name = if self.unknown.len() < MAX_UNKNOWN_NAMES { name } else { "…" };
            *self.unknown.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Counts decompressed bytes that were taken.
    pub fn consume(&mut self, bytes: u64) {
        self.consumed += bytes;
    }

    /// Whether there is enough for a batch of `target` bytes, or for handing out rejects.
    pub fn is_full(&self, target: usize) -> bool {
        let values: usize = self.columns.iter().map(|column| column.committed.0).sum();
        let fixed = self.positions.len() * (24 + 4 * self.columns.len());
        values + fixed >= target || self.reject_bytes >= target
    }

    /// The rows so far and their positions.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together, which would be a bug.
    pub fn take(&mut self) -> Result<(RecordBatch, Vec<u64>)> {
        let positions = std::mem::take(&mut self.positions);
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let array = column.take()?;
            fields.push(Field::new(&column.name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let record = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        Ok((record, positions))
    }

    /// The rejects so far.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        self.reject_bytes = 0;
        std::mem::take(&mut self.rejects)
    }

    /// Rows that have columns nobody asked for, by name, since the last call.
    pub fn take_unknown(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.unknown)
    }

    /// Decompressed bytes taken since the last call.
    pub fn take_consumed(&mut self) -> u64 {
        std::mem::take(&mut self.consumed)
    }
}
