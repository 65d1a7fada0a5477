//! `MosaicML` Streaming's MDS shards, version 2, and their `index.json`.
//!
//! | bytes of a shard, little-endian | what |
//! |---|---|
//! | u32 | samples n |
//! | u32 × (n + 1) | where each sample starts in the file, and where the last one ends |
//! | JSON | columns, their encodings and sizes; the same is in the index |
//! | … | samples: u32 size of each column without a fixed one, then the values, columns by name |
//!
//! A list of numbers is `ndarray:TYPE`: a byte with the number of dimensions and the width of a dimension, the
//! length, the numbers; with a fixed length, `ndarray:TYPE:LENGTH`, the numbers alone. The format has neither
//! null nor truth value: columns that hold them are `json`. The reference is
//! `streaming/base/format/mds` of mosaicml/streaming.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use serde_json::{Value, json};

use crate::error::{KernelError, Result};
use crate::formats::sample_column::{Kind, SampleColumn};
use crate::formats::sample_shard::{OffsetShard, SampleShard, SampleWriter, Stated};

/// Dimensions of an ndarray, and the code of the type that holds its length, in one byte: one dimension.
const ONE_DIMENSION: u8 = 1 << 2;

/// A shard under construction.
pub struct MdsWriter {
    path: PathBuf,
    config: Vec<u8>,
    zstd: bool,
    columns: Vec<Column>,
    shard: OffsetShard,
}

struct Column {
    /// In the rows.
    index: usize,
    name: String,
    encoding: String,
    /// Bytes of a value, where all have the same.
    size: Option<usize>,
    json: bool,
}

impl MdsWriter {
    /// A shard of rows of `schema`; `shard_bytes` is stated as its limit, and `zstd` compresses it.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format.
    pub fn new(path: impl Into<PathBuf>, schema: &Schema, shard_bytes: u64, zstd: bool) -> Result<Self> {
        let columns = columns(schema)?;
        let config = config(&columns, shard_bytes, zstd).to_string().into_bytes();
        Ok(Self { path: path.into(), config, zstd, columns, shard: OffsetShard::new(shard_bytes) })
    }
}

impl SampleWriter for MdsWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let Self { columns, shard, .. } = self;
        let values = SampleColumn::of_record(rows)?;
        let sizes = 4 * columns.iter().filter(|column| column.size.is_none()).count();
        for row in 0..rows.num_rows() {
            let mut size_at = shard.samples.len();
            shard.samples.resize(size_at + sizes, 0);
            for column in &*columns {
                let start = shard.samples.len();
                column.write(&values[column.index], row, &mut shard.samples);
                if column.size.is_none() {
                    let size = u32::try_from(shard.samples.len() - start).map_err(|_| column.too_large())?;
                    shard.samples[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
                    size_at += 4;
                }
            }
            shard.end_sample();
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SampleShard> {
        self.shard.write(&self.path, &self.config, self.zstd)
    }
}

impl Column {
    fn write(&self, values: &SampleColumn, row: usize, out: &mut Vec<u8>) {
        if self.json {
            values.write_json(row, out);
            return;
        }
        let bytes = values.bytes(row);
        if let Kind::List(number, None) = values.kind() {
            let length = bytes.len() / number.width();
            if let Ok(length) = u8::try_from(length) {
                out.extend_from_slice(&[ONE_DIMENSION, length]);
            } else if let Ok(length) = u16::try_from(length) {
                out.push(ONE_DIMENSION | 1);
                out.extend_from_slice(&length.to_le_bytes());
            } else {
                out.push(ONE_DIMENSION | 2);
                out.extend_from_slice(&(length as u32).to_le_bytes());
            }
        }
        out.extend_from_slice(bytes);
    }

    fn too_large(&self) -> KernelError {
        KernelError::format("export", format!("a value of column '{}' has more than 4 GiB", self.name))
    }
}

/// What the index says of a shard.
pub struct Indexed<'a> {
    /// What the shard is called without compression.
    pub name: &'a str,
    /// What is stated of the shard without compression.
    pub raw: &'a Stated,
    /// Name of the compressed file, and what is stated of it.
    pub zip: Option<(&'a str, &'a Stated)>,
    /// Samples in it.
    pub samples: u64,
}

/// `index.json` of shards of `schema`.
///
/// # Errors
/// As [`MdsWriter::new`].
pub fn index<'a>(
    schema: &Schema,
    shard_bytes: u64,
    zstd: bool,
    shards: impl Iterator<Item = Indexed<'a>>,
) -> Result<Value> {
    let config = config(&columns(schema)?, shard_bytes, zstd);
    let file = |name: &str, Stated { bytes, hash }: &Stated| json!({ "basename": name, "bytes": bytes, "hashes": { "xxh3_64": hash } });
    let shards: Vec<Value> = shards
        .map(|shard| {
            let mut entry = config.clone();
            entry["raw_data"] = file(shard.name, shard.raw);
            entry["zip_data"] = shard.zip.map_or(Value::Null, |(name, stated)| file(name, stated));
            entry["samples"] = shard.samples.into();
            entry
        })
        .collect();
    Ok(json!({ "version": 2, "shards": shards }))
}

fn columns(schema: &Schema) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| column(index, field))
        .collect::<Result<_>>()?;
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(columns)
}

fn column(index: usize, field: &Field) -> Result<Column> {
    let kind = if field.is_nullable() { Kind::Json } else { Kind::of(field)? };
    let (encoding, size) = match kind {
        Kind::Number(number) => (number.name().to_owned(), Some(number.width())),
        Kind::Text => ("str".to_owned(), None),
        Kind::Bytes => ("bytes".to_owned(), None),
        Kind::List(number, None) => (format!("ndarray:{}", number.name()), None),
        Kind::List(number, Some(length)) => {
            (format!("ndarray:{}:{length}", number.name()), Some(number.width() * length))
        }
        Kind::Boolean | Kind::Json => ("json".to_owned(), None),
    };
    let json = encoding == "json";
    Ok(Column { index, name: field.name().clone(), encoding, size, json })
}

fn config(columns: &[Column], shard_bytes: u64, zstd: bool) -> Value {
    json!({
        "version": 2,
        "format": "mds",
        "compression": zstd.then_some("zstd"),
        "hashes": ["xxh3_64"],
        "size_limit": shard_bytes,
        "column_names": columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        "column_encodings": columns.iter().map(|column| column.encoding.as_str()).collect::<Vec<_>>(),
        "column_sizes": columns.iter().map(|column| column.size).collect::<Vec<_>>(),
    })
}
