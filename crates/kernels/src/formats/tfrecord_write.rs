//! `TFRecord` files of `tf.train.Example` records.
//!
//! | bytes of a record, little-endian | what |
//! |---|---|
//! | u64 | length |
//! | u32 | masked CRC-32C of the length |
//! | … | the `Example` |
//! | u32 | masked CRC-32C of the `Example` |
//!
//! An `Example` is a protocol buffer: `features` (1) is a map (1) of a name (1) to a feature (2), which is a list
//! of bytes (1), floats (2) or 64-bit integers (3), each with its values (1), numbers packed. A null has no
//! feature. The references are TensorFlow's `lib/io/record_writer.h` and `core/example/example.proto`.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::error::Result;
use crate::formats::litdata_write::out_of_range;
use crate::formats::sample_column::{Kind, Number, SampleColumn};
use crate::formats::sample_shard::{SampleShard, SampleWriter};
use crate::formats::shard_file::ShardFile;
use crate::hash::crc32c::masked_crc32c;

const BYTES_LIST: u32 = 1;
const FLOAT_LIST: u32 = 2;
const INT64_LIST: u32 = 3;

/// A file under construction.
pub struct TfrecordWriter {
    file: ShardFile,
    names: Vec<String>,
    features: Vec<u8>,
    values: Vec<u8>,
    record: Vec<u8>,
}

impl TfrecordWriter {
    /// Creates the file for rows of `schema`.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format; `Io` when the file cannot be created.
    pub fn create(path: impl Into<PathBuf>, schema: &Schema) -> Result<Self> {
        for field in schema.fields() {
            Kind::of(field)?;
        }
        Ok(Self {
            file: ShardFile::create(path.into())?,
            names: schema.fields().iter().map(|field| field.name().clone()).collect(),
            features: Vec::new(),
            values: Vec::new(),
            record: Vec::new(),
        })
    }

    /// Appends the feature of a value to the record's.
    fn add(&mut self, index: usize, column: &SampleColumn, row: usize) -> Result<()> {
        let (name, values) = (&self.names[index], &mut self.values);
        values.clear();
        let list = match column.kind() {
            Kind::Number(number) | Kind::List(number, _) if number.is_float() => {
                for bytes in column.bytes(row).chunks_exact(number.width()) {
                    #[expect(clippy::cast_possible_truncation, reason = "the format has no wider float")]
                    values.extend_from_slice(&(number.to_f64(bytes) as f32).to_le_bytes());
                }
                FLOAT_LIST
            }
            Kind::Number(number) | Kind::List(number, _) => {
                write_integers(number, column.bytes(row), name, values)?;
                INT64_LIST
            }
            Kind::Boolean => {
                values.push(column.truth(row).into());
                INT64_LIST
            }
            Kind::Text | Kind::Bytes => {
                values.extend_from_slice(column.bytes(row));
                BYTES_LIST
            }
            Kind::Json => {
                column.write_json(row, values);
                BYTES_LIST
            }
        };
        // Each of the messages around the values states the length of what is in it.
        let list_bytes = field_bytes(values.len());
        let feature_bytes = field_bytes(list_bytes);
        let entry_bytes = field_bytes(name.len()) + field_bytes(feature_bytes);
        let out = &mut self.features;
        open(1, entry_bytes, out);
        open(1, name.len(), out);
        out.extend_from_slice(name.as_bytes());
        open(2, feature_bytes, out);
        open(list, list_bytes, out);
        open(1, values.len(), out);
        out.extend_from_slice(values);
        Ok(())
    }
}

impl SampleWriter for TfrecordWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = SampleColumn::of_record(rows)?;
        for row in 0..rows.num_rows() {
            self.features.clear();
            for (index, column) in columns.iter().enumerate() {
                if !column.is_null(row) {
                    self.add(index, column, row)?;
                }
            }
            let length = field_bytes(self.features.len());
            let out = &mut self.record;
            out.clear();
            out.extend_from_slice(&(length as u64).to_le_bytes());
            out.extend_from_slice(&masked_crc32c(&out[..8]).to_le_bytes());
            open(1, self.features.len(), out);
            out.extend_from_slice(&self.features);
            out.extend_from_slice(&masked_crc32c(&out[12..]).to_le_bytes());
            self.file.append(out)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        self.file.finish().map(Into::into)
    }
}

fn write_integers(number: Number, bytes: &[u8], name: &str, out: &mut Vec<u8>) -> Result<()> {
    for bytes in bytes.chunks_exact(number.width()) {
        let value = number.to_i64(bytes).ok_or_else(|| out_of_range(name))?;
        write_varint(value.cast_unsigned(), out);
    }
    Ok(())
}

/// Starts a field of so many bytes.
fn open(number: u32, bytes: usize, out: &mut Vec<u8>) {
    out.push((number << 3 | 2) as u8);
    write_varint(bytes as u64, out);
}

/// Bytes of a field with so many bytes in it.
fn field_bytes(bytes: usize) -> usize {
    let bits = u64::BITS - (bytes as u64 | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + bytes
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
