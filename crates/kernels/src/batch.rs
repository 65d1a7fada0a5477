//! `Batch`: rows in Arrow layout with their identity and a selection.
//!
//! Every batch starts with three reserved columns, then the user's:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `__file` | dictionary(u32, utf8) | input file, relative to the configuration |
//! | `__position` | u64 | byte offset in the decompressed stream, or row number |
//! | `id` | utf8, nullable | the user's id; null means "<file:position>" |
//!
//! The document is the utf8 column `text`. Operators clear bits of the selection with
//! [`Batch::retain`]; rows are compacted once, at the end of a chain, by [`Batch::compact`]. An
//! operator that rebuilds a column computes all rows, selected or not, unless skipping is cheaper; it
//! must leave the number of rows as it is.

use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::error::{KernelError, Result};
use crate::text::lines::Lines;
use crate::text::words::Words;

/// Name of the reserved column that holds the input file of each row.
pub const FILE: &str = "__file";
/// Name of the reserved column that holds the position of each row in its file.
pub const POSITION: &str = "__position";
/// Name of the reserved column that holds the user's id.
pub const ID: &str = "id";
/// Name of the column that holds the document.
pub const TEXT: &str = "text";
/// How many reserved columns every batch starts with.
pub const RESERVED: usize = 3;

/// Rows in Arrow layout; see the module documentation.
#[derive(Debug, Clone)]
pub struct Batch {
    record: RecordBatch,
    /// Rows that are still in; `None` means all.
    kept: Option<BooleanBuffer>,
    /// Words that a step found, for the steps after it; see `text/words.rs`.
    words: Option<Arc<Words>>,
    /// Likewise its lines; see `text/lines.rs`.
    lines: Option<Arc<Lines>>,
}

/// Where the rows of a batch came from; built by readers.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Input file of each row.
    pub file: DictionaryArray<UInt32Type>,
    /// Byte offset in the decompressed stream, or row number.
    pub position: UInt64Array,
    /// The user's id, null where there is none.
    pub id: StringArray,
}

impl Identity {
    /// Identity of rows that all come from `file`.
    #[must_use]
    pub fn of_file(file: &str, position: Vec<u64>, id: StringArray) -> Self {
        let keys = UInt32Array::from(vec![0; position.len()]);
        let values: ArrayRef = Arc::new(StringArray::from(vec![file]));
        Self { file: DictionaryArray::new(keys, values), position: position.into(), id }
    }
}

/// The reserved fields, in order.
#[must_use]
pub fn reserved_fields() -> [Field; RESERVED] {
    [
        Field::new(FILE, DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8)), false),
        Field::new(POSITION, DataType::UInt64, false),
        Field::new(ID, DataType::Utf8, true),
    ]
}

impl Batch {
    /// Joins identity and user columns.
    ///
    /// # Errors
    /// `Internal` when the columns differ in length.
    pub fn new(identity: Identity, columns: Vec<(Field, ArrayRef)>) -> Result<Self> {
        let mut fields: Vec<Field> = reserved_fields().into();
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(identity.file), Arc::new(identity.position), Arc::new(identity.id)];
        for (field, array) in columns {
            fields.push(field);
            arrays.push(array);
        }
        Ok(Self {
            record: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?,
            kept: None,
            words: None,
            lines: None,
        })
    }

    /// Takes a record batch that already starts with the reserved columns.
    ///
    /// # Errors
    /// `Format` when it does not.
    pub fn from_record(record: RecordBatch) -> Result<Self> {
        let reserved = reserved_fields();
        let schema = record.schema();
        let fits = schema.fields().len() >= RESERVED
            && reserved
                .iter()
                .zip(schema.fields())
                .all(|(want, got)| want.name() == got.name() && want.data_type() == got.data_type());
        if !fits {
            return Err(KernelError::format("batch", "the reserved columns are missing"));
        }
        Ok(Self { record, kept: None, words: None, lines: None })
    }

    /// Number of rows, selected or not.
    pub fn rows(&self) -> usize {
        self.record.num_rows()
    }

    /// Number of selected rows.
    pub fn kept_rows(&self) -> usize {
        self.kept.as_ref().map_or(self.rows(), BooleanBuffer::count_set_bits)
    }

    /// The selection; `None` means all rows.
    pub fn kept(&self) -> Option<&BooleanBuffer> {
        self.kept.as_ref()
    }

    /// Whether a row is selected.
    pub fn is_kept(&self, row: usize) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.value(row))
    }

    /// Bytes of the rows in the columns' buffers. A buffer that several columns are slices of (as in a
    /// batch read from IPC) counts once: each column counts its own slice.
    pub fn bytes(&self) -> usize {
        let slice = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
        self.record.columns().iter().map(slice).sum()
    }

    /// All columns, the reserved ones first.
    pub fn record(&self) -> &RecordBatch {
        &self.record
    }

    /// The schema, the reserved columns first.
    pub fn schema(&self) -> SchemaRef {
        self.record.schema()
    }

    /// Input file of each row.
    ///
    /// # Panics
    /// Never: the constructors check the type.
    pub fn file(&self) -> &DictionaryArray<UInt32Type> {
        self.record.column(0).as_any().downcast_ref().expect("reserved column 0 is a dictionary")
    }

    /// Input file of one row.
    ///
    /// # Panics
    /// When `row` is out of range.
    pub fn file_of(&self, row: usize) -> &str {
        let file = self.file();
        let values: &StringArray = file.values().as_any().downcast_ref().expect("utf8 dictionary values");
        values.value(file.keys().value(row) as usize)
    }

    /// Position of each row.
    ///
    /// # Panics
    /// Never: the constructors check the type.
    pub fn position(&self) -> &UInt64Array {
        self.record.column(1).as_any().downcast_ref().expect("reserved column 1 is u64")
    }

    /// The user's ids.
    ///
    /// # Panics
    /// Never: the constructors check the type.
    pub fn id(&self) -> &StringArray {
        self.record.column(2).as_any().downcast_ref().expect("reserved column 2 is utf8")
    }

    /// The id of one row: the user's, else "<file:position>".
    pub fn id_of(&self, row: usize) -> String {
        let id = self.id();
        if id.is_valid(row) {
            id.value(row).to_owned()
        } else {
            format!("{}:{}", self.file_of(row), self.position().value(row))
        }
    }

    /// A column by name.
    ///
    /// # Errors
    /// `ColumnMissing` with the columns there are.
    pub fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.record.column_by_name(name).ok_or_else(|| KernelError::ColumnMissing {
            name: name.to_owned(),
            available: self.record.schema().fields().iter().map(|f| f.name().clone()).collect(),
        })
    }

    /// A column by name, as a concrete array type; `expected` names the type for the error.
    ///
    /// # Errors
    /// `ColumnMissing`, or `ColumnType` when it is another type.
    pub fn typed<T: Array + 'static>(&self, name: &str, expected: &str) -> Result<&T> {
        let column = self.column(name)?;
        column.as_any().downcast_ref().ok_or_else(|| KernelError::ColumnType {
            name: name.to_owned(),
            expected: expected.to_owned(),
            got: column.data_type().to_string(),
        })
    }

    /// A utf8 column by name.
    ///
    /// # Errors
    /// `ColumnMissing`, or `ColumnType` when it is not utf8.
    pub fn text(&self, name: &str) -> Result<&StringArray> {
        self.typed(name, "utf8")
    }

    /// Keeps a row only where it is still kept and `keep` is set.
    ///
    /// # Errors
    /// `Internal` when the lengths differ.
    pub fn retain(&mut self, keep: &BooleanBuffer) -> Result<()> {
        if keep.len() != self.rows() {
            return Err(KernelError::internal(format!(
                "selection of {} for {} rows",
                keep.len(),
                self.rows()
            )));
        }
        self.kept = Some(match &self.kept {
            Some(kept) => kept & keep,
            None => keep.clone(),
        });
        Ok(())
    }

    /// Replaces the column of that name, or adds it as the last.
    ///
    /// # Errors
    /// `Internal` when the length differs from the batch's.
    pub fn set_column(&mut self, field: Field, array: ArrayRef) -> Result<()> {
        let schema = self.record.schema();
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let mut columns = self.record.columns().to_vec();
        if let Ok(index) = schema.index_of(field.name()) {
            fields[index] = Arc::new(field);
            columns[index] = array;
        } else {
            fields.push(Arc::new(field));
            columns.push(array);
        }
        self.record = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(())
    }

    /// Makes the user columns the given ones, each taken from `from` under the name `to`.
    ///
    /// # Errors
    /// `ColumnMissing` when a `from` is not there.
    pub fn project(&mut self, columns: &[(String, String)]) -> Result<()> {
        let schema = self.record.schema();
        let mut fields: Vec<_> = schema.fields()[..RESERVED].to_vec();
        let mut arrays = self.record.columns()[..RESERVED].to_vec();
        for (from, to) in columns {
            let array = self.column(from)?;
            let field = schema.field_with_name(from)?.clone().with_name(to);
            fields.push(Arc::new(field));
            arrays.push(Arc::clone(array));
        }
        self.record = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(())
    }

    /// The words that were found last, of whatever text.
    pub(crate) fn known_words(&self) -> Option<&Arc<Words>> {
        self.words.as_ref()
    }

    /// Keeps words for the steps that follow, until the rows are compacted.
    pub(crate) fn remember_words(&mut self, words: Arc<Words>) {
        self.words = Some(words);
    }

    /// The lines that were found last, of whatever text.
    pub(crate) fn known_lines(&self) -> Option<&Arc<Lines>> {
        self.lines.as_ref()
    }

    /// Keeps lines for the steps that follow, until the rows are compacted.
    pub(crate) fn remember_lines(&mut self, lines: Arc<Lines>) {
        self.lines = Some(lines);
    }

    /// Copies the selected rows together and forgets the selection; free when all rows are selected.
    ///
    /// # Errors
    /// `Internal` from the filter kernel.
    pub fn compact(&mut self) -> Result<()> {
        (self.words, self.lines) = (None, None);
        if let Some(kept) = self.kept.take()
            && kept.count_set_bits() != kept.len()
        {
            self.record =
                arrow_select::filter::filter_record_batch(&self.record, &BooleanArray::new(kept, None))?;
        }
        Ok(())
    }
}

/// One record batch as a self-contained Arrow IPC stream.
///
/// # Errors
/// `Internal` from the encoder.
pub fn to_ipc(record: &RecordBatch) -> Result<Vec<u8>> {
    write_ipc(record, record.get_array_memory_size() + 4096, IpcWriteOptions::default())
}

/// As [`to_ipc`], with the columns' buffers compressed by LZ4.
///
/// # Errors
/// `Internal` from the encoder.
pub fn to_compressed_ipc(record: &RecordBatch) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    write_ipc(record, record.get_array_memory_size() / 2, options)
}

fn write_ipc(record: &RecordBatch, capacity: usize, options: IpcWriteOptions) -> Result<Vec<u8>> {
    let mut writer =
        StreamWriter::try_new_with_options(Vec::with_capacity(capacity), &record.schema(), options)?;
    writer.write(record)?;
    Ok(writer.into_inner()?)
}

/// The one record batch of a stream written by [`to_ipc`] or [`to_compressed_ipc`]; buffers are shared with `bytes` where its
/// alignment allows, copied otherwise.
///
/// # Errors
/// `Format` when the stream is not one, or holds no batch.
pub fn from_ipc(bytes: Buffer) -> Result<RecordBatch> {
    let mut bytes = bytes;
    let mut decoder = StreamDecoder::new();
    let broken = |error| KernelError::format("arrow", error);
    decoder
        .decode(&mut bytes)
        .map_err(broken)?
        .ok_or_else(|| KernelError::format("arrow", "no record batch in the stream"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int64Array;
    use proptest::prelude::*;

    fn numbered(rows: usize) -> Batch {
        let ids: StringArray = (0..rows).map(|i| (i % 3 != 0).then(|| format!("r{i}"))).collect();
        let identity = Identity::of_file("a/b.jsonl", (0..rows as u64).map(|i| i * 10).collect(), ids);
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        Batch::new(identity, vec![(Field::new("n", DataType::Int64, true), values)]).unwrap()
    }

    #[test]
    fn a_row_without_an_id_is_named_by_its_place() {
        let batch = numbered(2);
        assert_eq!(batch.id_of(0), "a/b.jsonl:0");
        assert_eq!(batch.id_of(1), "r1");
    }

    #[test]
    fn a_missing_column_names_the_ones_there_are() {
        let message = numbered(1).column("lang").unwrap_err().to_string();
        assert_eq!(message, "there is no column 'lang'; the columns are __file, __position, id, n");
    }

    proptest! {
        #[test]
        fn retaining_twice_then_compacting_is_filtering_by_both(
            (first, second) in (0_usize..200).prop_flat_map(|n| (
                prop::collection::vec(any::<bool>(), n),
                prop::collection::vec(any::<bool>(), n),
            ))
        ) {
            let mut batch = numbered(first.len());
            batch.retain(&BooleanBuffer::from(first.clone())).unwrap();
            batch.retain(&BooleanBuffer::from(second.clone())).unwrap();
            let expected: Vec<i64> = (0..first.len()).filter(|&i| first[i] && second[i]).map(|i| i as i64).collect();
            prop_assert_eq!(batch.kept_rows(), expected.len());
            batch.compact().unwrap();
            let got: &Int64Array = batch.typed("n", "int64").unwrap();
            prop_assert_eq!(got.values().to_vec(), expected);
            prop_assert!(batch.kept().is_none());
        }
    }
}
