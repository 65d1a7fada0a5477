//! `LitData`'s chunks and their `index.json`, as `litdata.optimize` writes dictionaries.
//!
//! | bytes of a chunk, little-endian | what |
//! |---|---|
//! | u32 | samples n |
//! | u32 × (n + 1) | where each sample starts in the file, and where the last one ends |
//! | … | samples: u32 size of each value, then the values, in the order of the columns |
//!
//! A list of numbers is a tensor without header, or a numpy array where torch has no such type; a column with
//! nulls is `json`. The reference is `litdata/streaming` of Lightning-AI/litData.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use serde_json::{Value, json};

use crate::error::{KernelError, Result};
use crate::formats::sample_column::{Kind, Number, SampleColumn};
use crate::formats::sample_shard::{OffsetShard, SampleShard, SampleWriter};

/// A chunk under construction.
pub struct LitdataWriter {
    path: PathBuf,
    names: Vec<String>,
    formats: Vec<String>,
    zstd: bool,
    shard: OffsetShard,
    scratch: Vec<u8>,
}

impl LitdataWriter {
    /// A chunk of rows of `schema`, of about `shard_bytes`; `zstd` compresses it.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format.
    pub fn new(path: impl Into<PathBuf>, schema: &Schema, shard_bytes: u64, zstd: bool) -> Result<Self> {
        Ok(Self {
            path: path.into(),
            names: schema.fields().iter().map(|field| field.name().clone()).collect(),
            formats: formats(schema)?,
            zstd,
            shard: OffsetShard::new(shard_bytes),
            scratch: Vec::new(),
        })
    }
}

impl SampleWriter for LitdataWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let Self { names, formats, shard, scratch, .. } = self;
        let values = SampleColumn::of_record(rows)?;
        for row in 0..rows.num_rows() {
            let mut size_at = shard.samples.len();
            shard.samples.resize(size_at + 4 * values.len(), 0);
            for ((column, format), name) in values.iter().zip(&*formats).zip(&*names) {
                let start = shard.samples.len();
                if format == "json" {
                    column.write_json(row, &mut shard.samples);
                } else if let Kind::Number(number) = column.kind() {
                    write_number(number, column.bytes(row), name, scratch)?;
                    shard.samples.append(scratch);
                } else if column.kind() == Kind::Boolean {
                    shard.samples.push(column.truth(row).into());
                } else {
                    shard.samples.extend_from_slice(column.bytes(row));
                }
                let size = u32::try_from(shard.samples.len() - start).map_err(|_| {
                    KernelError::format("export", format!("a value of column '{name}' has more than 4 GiB"))
                })?;
                shard.samples[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
                size_at += 4;
            }
            shard.end_sample();
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        self.shard.write(&self.path, &[], self.zstd)
    }
}

/// Numbers are 64-bit integers or 64-bit floats.
fn write_number(number: Number, bytes: &[u8], name: &str, out: &mut Vec<u8>) -> Result<()> {
    if number.is_float() {
        out.extend_from_slice(&number.to_f64(bytes).to_le_bytes());
        return Ok(());
    }
    let value = number.to_i64(bytes).ok_or_else(|| out_of_range(name))?;
    out.extend_from_slice(&value.to_le_bytes());
    Ok(())
}

/// That a number has no form where integers have 63 bits and a sign.
pub(super) fn out_of_range(name: &str) -> KernelError {
    KernelError::format(
        "export",
        format!("column '{name}' has a number above 2^63, which the format cannot hold"),
    )
}

/// What the index says of a chunk.
pub struct Indexed<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its bytes without compression.
    pub bytes: u64,
    /// Samples in it.
    pub samples: u64,
}

/// `index.json` of chunks of `schema`.
///
/// # Errors
/// As [`LitdataWriter::new`].
pub fn index<'a>(
    schema: &Schema,
    shard_bytes: u64,
    zstd: bool,
    chunks: impl Iterator<Item = Indexed<'a>>,
) -> Result<Value> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    // A pytree as torch writes it: protocol 1, a dictionary of leaves.
    let leaf = json!({ "type": null, "context": null, "children_spec": [] });
    let spec = json!([1, {
        "type": "builtins.dict",
        "context": json!(names).to_string(),
        "children_spec": vec![leaf; names.len()],
    }]);
    let chunks: Vec<Value> = chunks
        .map(|chunk| {
            let Indexed { name, bytes, samples } = chunk;
            json!({ "filename": name, "chunk_bytes": bytes, "chunk_size": samples, "dim": null })
        })
        .collect();
    Ok(json!({
        "chunks": chunks,
        "config": {
            "compression": zstd.then_some("zstd"),
            "encryption": null,
            "chunk_bytes": shard_bytes,
            "chunk_size": null,
            "data_format": formats(schema)?,
            "data_spec": spec.to_string(),
            "item_loader": "PyTreeLoader",
        },
    }))
}

fn formats(schema: &Schema) -> Result<Vec<String>> {
    schema.fields().iter().map(|field| format(field)).collect()
}

fn format(field: &Field) -> Result<String> {
    let kind = if field.is_nullable() { Kind::Json } else { Kind::of(field)? };
    Ok(match kind {
        Kind::Number(number) if number.is_float() => "float".to_owned(),
        Kind::Number(_) => "int".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Text => "str".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::List(number, _) => match tensor_type(number) {
            Some(index) => format!("no_header_tensor:{index}"),
            None => format!("no_header_numpy:{}", if number == Number::UInt32 { 6 } else { 7 }),
        },
        Kind::Json => "json".to_owned(),
    })
}

/// The number that `LitData` has for a type of torch.
fn tensor_type(number: Number) -> Option<u8> {
    Some(match number {
        Number::Float32 => 0,
        Number::Float64 => 2,
        Number::Float16 => 8,
        Number::UInt8 => 11,
        Number::Int8 => 12,
        Number::Int16 => 13,
        Number::Int32 => 15,
        Number::Int64 => 17,
        Number::UInt16 => 20,
        Number::UInt32 | Number::UInt64 => return None,
    })
}
