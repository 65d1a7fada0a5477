//! safetensors files: a u64 with the header's length, a JSON header, the tensors' bytes one after the other.
//!
//! | column | tensors |
//! |---|---|
//! | numbers, truth values | `NAME`, one value for each sample |
//! | lists of numbers | `NAME`, all numbers; `NAME.offsets` I64 \[samples + 1\], where each list starts and the last ends |
//! | lists of one length | `NAME`, samples × length |
//! | text, bytes, anything else as JSON | `NAME` U8, all bytes; `NAME.offsets` as of lists |
//! | with nulls in this file | also `NAME.valid` BOOL, one for each sample |
//!
//! Tensors lie in the order of falling alignment, then of their names, and the header is padded to eight bytes,
//! so that all are aligned in a mapped file. The reference is huggingface/safetensors.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde_json::{Map, Value, json};

use crate::error::{KernelError, Result};
use crate::formats::sample_column::{Kind, Number, SampleColumn};
use crate::formats::sample_shard::{SampleShard, SampleWriter};
use crate::formats::shard_file::ShardFile;

/// A file under construction, in memory until it is finished, for its header comes first.
pub struct SafetensorsWriter {
    path: PathBuf,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    name: String,
    kind: Kind,
    values: Vec<u8>,
    /// Of values of different lengths.
    offsets: Vec<i64>,
    valid: Vec<u8>,
}

struct Tensor<'a> {
    name: String,
    dtype: &'static str,
    width: usize,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl SafetensorsWriter {
    /// A file of rows of `schema`.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format; `Format` when two tensors would have one name.
    pub fn new(path: impl Into<PathBuf>, schema: &Schema) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| {
            let (values, valid) = (Vec::new(), Vec::new());
            Ok(Column { name: field.name().clone(), kind: Kind::of(field)?, values, offsets: vec![0], valid })
        });
        Ok(Self { path: path.into(), columns: columns.collect::<Result<_>>()?, rows: 0 })
    }
}

impl SampleWriter for SafetensorsWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let values = SampleColumn::of_record(rows)?;
        for (column, values) in self.columns.iter_mut().zip(&values) {
            for row in 0..rows.num_rows() {
                column.push(values, row);
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        let offsets: Vec<Vec<u8>> = self.columns.iter().map(Column::offset_bytes).collect();
        let mut tensors = Vec::new();
        for (column, offsets) in self.columns.iter().zip(&offsets) {
            column.tensors(self.rows, offsets, &mut tensors);
        }
        tensors.sort_by(|a, b| b.width.cmp(&a.width).then_with(|| a.name.cmp(&b.name)));
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({ "samples": self.rows.to_string() }));
        let mut at = 0;
        for Tensor { name, dtype, shape, bytes, .. } in &tensors {
            let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes.len()] });
            if header.insert(name.clone(), entry).is_some() {
                let reason = format!("two tensors would be called '{name}'; rename that column");
                return Err(KernelError::format("export", reason));
            }
            at += bytes.len();
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut file = ShardFile::create(self.path)?;
        file.append(&(header.len() as u64).to_le_bytes())?;
        file.append(&header)?;
        for tensor in &tensors {
            file.append(tensor.bytes)?;
        }
        file.finish().map(Into::into)
    }
}

impl Column {
    fn push(&mut self, column: &SampleColumn, row: usize) {
        let valid = !column.is_null(row);
        self.valid.push(valid.into());
        match self.kind {
            Kind::Boolean => self.values.push((valid && column.truth(row)).into()),
            Kind::Number(_) | Kind::List(_, Some(_)) if !valid => {
                self.values.resize(self.values.len() + column.bytes(row).len(), 0);
            }
            Kind::Json if valid => column.write_json(row, &mut self.values),
            _ if valid => self.values.extend_from_slice(column.bytes(row)),
            _ => {}
        }
        self.offsets.push((self.values.len() / self.item_bytes()) as i64);
    }

    /// Bytes of what offsets count.
    fn item_bytes(&self) -> usize {
        match self.kind {
            Kind::Number(number) | Kind::List(number, _) => number.width(),
            Kind::Boolean | Kind::Text | Kind::Bytes | Kind::Json => 1,
        }
    }

    fn offset_bytes(&self) -> Vec<u8> {
        self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
    }

    fn tensors<'a>(&'a self, rows: usize, offsets: &'a [u8], out: &mut Vec<Tensor<'a>>) {
        let width = self.item_bytes();
        let items = self.values.len() / width;
        let (dtype, shape) = match self.kind {
            Kind::Number(number) | Kind::List(number, None) => (dtype(number), vec![items]),
            Kind::List(number, Some(length)) => (dtype(number), vec![rows, length]),
            Kind::Boolean => ("BOOL", vec![items]),
            Kind::Text | Kind::Bytes | Kind::Json => ("U8", vec![items]),
        };
        let name = &self.name;
        out.push(Tensor { name: name.clone(), dtype, width, shape, bytes: &self.values });
        if matches!(self.kind, Kind::List(_, None) | Kind::Text | Kind::Bytes | Kind::Json) {
            let name = format!("{name}.offsets");
            out.push(Tensor { name, dtype: "I64", width: 8, shape: vec![rows + 1], bytes: offsets });
        }
        if self.valid.contains(&0) {
            let name = format!("{name}.valid");
            out.push(Tensor { name, dtype: "BOOL", width: 1, shape: vec![rows], bytes: &self.valid });
        }
    }
}

fn dtype(number: Number) -> &'static str {
    match number {
        Number::Int8 => "I8",
        Number::Int16 => "I16",
        Number::Int32 => "I32",
        Number::Int64 => "I64",
        Number::UInt8 => "U8",
        Number::UInt16 => "U16",
        Number::UInt32 => "U32",
        Number::UInt64 => "U64",
        Number::Float16 => "F16",
        Number::Float32 => "F32",
        Number::Float64 => "F64",
    }
}
