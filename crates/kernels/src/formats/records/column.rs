//! Builders of one column, filled row by row from text.
//!
//! A row is staged first: a value may be replaced (a JSON key given twice) or taken back (the record is
//! rejected) until [`ColumnBuilder::commit`].

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use serde::Deserialize;

/// Arrow metadata key that names an extension type, see the Arrow columnar format.
pub const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Arrow's canonical extension type for JSON text.
pub const JSON_EXTENSION: &str = "arrow.json";

/// Type of a user column, as in `source.types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit float.
    Float64,
    /// True or false.
    Boolean,
    /// Any JSON value, kept as its text.
    Json,
}

impl ColumnKind {
    /// The name users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::Json => "json",
        }
    }

    /// The Arrow field of a column of this type; JSON text is marked by Arrow's extension name.
    pub fn field(self, name: &str) -> Field {
        let data_type = match self {
            Self::String | Self::Json => DataType::Utf8,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
        };
        let field = Field::new(name, data_type, true);
        if self == Self::Json {
            field.with_metadata([(EXTENSION_NAME.to_owned(), JSON_EXTENSION.to_owned())])
        } else {
            field
        }
    }
}

/// Room a new batch reserves for text at most, so that one long document does not make all later ones large.
const MOST_RESERVED: usize = 4 << 20;

/// A utf8 column under construction. Only whole `str`s go in, so its bytes are UTF-8 at every offset.
#[derive(Debug)]
pub struct TextColumn {
    values: Vec<u8>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
    staged: bool,
}

impl Default for TextColumn {
    fn default() -> Self {
        Self { values: Vec::new(), offsets: vec![0], valid: Vec::new(), staged: false }
    }
}

impl TextColumn {
    /// Starts the row's value, dropping what was staged before.
    pub fn begin(&mut self) {
        self.rollback();
        self.staged = true;
    }

    /// Appends to the row's value.
    pub fn push_str(&mut self, part: &str) {
        self.values.extend_from_slice(part.as_bytes());
    }

    /// Appends one character to the row's value.
    pub fn push_char(&mut self, character: char) {
        self.values.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Drops the staged value.
    pub fn rollback(&mut self) {
        self.values.truncate(self.committed());
        self.staged = false;
    }

    /// Ends the row: the staged value, or null when none was begun.
    ///
    /// # Panics
    /// Never: a batch ends at a few MiB and a record is at most 1 GiB (`Rows::new` checks), so that an
    /// offset fits 31 bits.
    pub fn commit(&mut self) {
        self.offsets.push(i32::try_from(self.values.len()).expect("offsets of a batch fit 31 bits"));
        self.valid.push(self.staged);
        self.staged = false;
    }

    /// Bytes of the committed values.
    pub fn committed(&self) -> usize {
        self.offsets.last().and_then(|&offset| usize::try_from(offset).ok()).unwrap_or_default()
    }

    /// The column so far, which is then empty again, with room for as much of the usual size.
    pub fn take(&mut self) -> StringArray {
        self.rollback();
        let next = Self {
            values: Vec::with_capacity(self.values.len().min(MOST_RESERVED)),
            offsets: {
                let mut offsets = Vec::with_capacity(self.offsets.len());
                offsets.push(0);
                offsets
            },
            valid: Vec::with_capacity(self.valid.len()),
            staged: false,
        };
        let full = std::mem::replace(self, next);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(full.offsets));
        let nulls = null_buffer(full.valid);
        // SAFETY: `values` is a concatenation of whole `str`s and characters, and offsets are taken only
        // between rows, so each lies on a character boundary; they start at 0, never fall, and end at
        // the length of `values`; `valid` has one entry per row.
        unsafe { StringArray::new_unchecked(offsets, Buffer::from_vec(full.values), nulls) }
    }
}

fn null_buffer(valid: Vec<bool>) -> Option<NullBuffer> {
    if valid.iter().all(|&valid| valid) { None } else { Some(NullBuffer::from(valid)) }
}

/// A column of fixed-width values under construction.
#[derive(Debug)]
pub struct ValueColumn<T> {
    values: Vec<T>,
    valid: Vec<bool>,
    staged: Option<T>,
}

impl<T> Default for ValueColumn<T> {
    fn default() -> Self {
        Self { values: Vec::new(), valid: Vec::new(), staged: None }
    }
}

impl<T: Copy + Default> ValueColumn<T> {
    /// Sets the row's value.
    pub fn set(&mut self, value: T) {
        self.staged = Some(value);
    }

    fn rollback(&mut self) {
        self.staged = None;
    }

    fn commit(&mut self) {
        let staged = self.staged.take();
        self.values.push(staged.unwrap_or_default());
        self.valid.push(staged.is_some());
    }

    fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        self.staged = None;
        (std::mem::take(&mut self.values), null_buffer(std::mem::take(&mut self.valid)))
    }
}

/// A column under construction.
#[derive(Debug)]
pub enum ColumnBuilder {
    /// `string`.
    String(TextColumn),
    /// `json`.
    Json(TextColumn),
    /// `int64`.
    Int64(ValueColumn<i64>),
    /// `float64`.
    Float64(ValueColumn<f64>),
    /// `boolean`.
    Boolean(ValueColumn<bool>),
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::String => Self::String(TextColumn::default()),
            ColumnKind::Json => Self::Json(TextColumn::default()),
            ColumnKind::Int64 => Self::Int64(ValueColumn::default()),
            ColumnKind::Float64 => Self::Float64(ValueColumn::default()),
            ColumnKind::Boolean => Self::Boolean(ValueColumn::default()),
        }
    }

    /// Drops the staged value: the row's value is null again.
    pub fn rollback(&mut self) {
        match self {
            Self::String(column) | Self::Json(column) => column.rollback(),
            Self::Int64(column) => column.rollback(),
            Self::Float64(column) => column.rollback(),
            Self::Boolean(column) => column.rollback(),
        }
    }

    /// Ends the row.
    pub fn commit(&mut self) {
        match self {
            Self::String(column) | Self::Json(column) => column.commit(),
            Self::Int64(column) => column.commit(),
            Self::Float64(column) => column.commit(),
            Self::Boolean(column) => column.commit(),
        }
    }

    /// Bytes of the committed text values.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::String(column) | Self::Json(column) => column.committed(),
            _ => 0,
        }
    }

    /// The column so far, which is then empty again.
    pub fn take(&mut self) -> ArrayRef {
        match self {
            Self::String(column) | Self::Json(column) => Arc::new(column.take()),
            Self::Int64(column) => {
                let (values, nulls) = column.take();
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Self::Float64(column) => {
                let (values, nulls) = column.take();
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Self::Boolean(column) => {
                let (values, nulls) = column.take();
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
        }
    }
}
