//! Benchmark files as items: JSON Lines, plain or compressed, and Parquet.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::Xxh3;

use super::index::{Builder, Index};
use crate::error::{KernelError, Result};
use crate::shared::Shared;

/// A benchmark on a local disk.
#[derive(Debug, Clone)]
pub struct BenchmarkFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What records call it: its path relative to the pipeline file.
    pub name: String,
}

static INDEXES: Shared<Index> = Shared::new();

/// The index of the n-grams of benchmarks; one copy in a process. With `content_hash` (from
/// [`Index::content_hash`]) the files are read only when the process does not hold it yet, and must still have
/// that content.
///
/// # Errors
/// `Io` when a file cannot be read, `Format` when one is broken, lacks the fields, or has changed.
pub fn load(
    files: &[BenchmarkFile],
    fields: &[String],
    ngram: usize,
    content_hash: Option<u128>,
) -> Result<Arc<Index>> {
    let Some(hash) = content_hash else {
        let index = read(files, fields, ngram)?;
        return INDEXES.get_or_make(index.content_hash(), || Ok(index));
    };
    INDEXES.get_or_make(hash, || {
        let index = read(files, fields, ngram)?;
        if index.content_hash() == hash {
            return Ok(index);
        }
        Err(KernelError::format("benchmark", "a file changed since the run was planned"))
    })
}

fn read(files: &[BenchmarkFile], fields: &[String], ngram: usize) -> Result<Index> {
    let mut builder = Builder::new(ngram);
    let mut hash = Xxh3::new();
    hash.update(&(ngram as u64).to_le_bytes());
    for part in fields.iter().map(String::as_str).chain(files.iter().map(|file| file.name.as_str())) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    for file in files {
        let bytes = std::fs::read(&file.path).map_err(KernelError::io("read", &file.path))?;
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
        builder.begin_file(&file.name);
        let filled = if bytes.starts_with(b"PAR1") {
            parquet_items(file, fields, &mut builder)?
        } else {
            json_items(&decompress(bytes, &file.name)?, &file.name, fields, &mut builder)?
        };
        if !filled {
            let fields = fields.join(", ");
            return Err(broken(&file.name, format!("no row has text in any of the fields {fields}")));
        }
    }
    Ok(builder.finish(hash.digest128()))
}

fn broken(name: &str, reason: impl std::fmt::Display) -> KernelError {
    KernelError::format("benchmark", format!("{name}: {reason}"))
}

fn decompress(bytes: Vec<u8>, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut decoder = flate2::read::MultiGzDecoder::new(&bytes[..]);
        decoder.read_to_end(&mut text).map_err(|error| broken(name, error))?;
        return Ok(text);
    }
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return zstd::stream::decode_all(&bytes[..]).map_err(|error| broken(name, error));
    }
    Ok(bytes)
}

/// Adds an item for each line; false when none has text.
fn json_items(bytes: &[u8], name: &str, fields: &[String], builder: &mut Builder) -> Result<bool> {
    let mut filled = false;
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    for (row, (number, line)) in lines.enumerate() {
        let value: serde_json::Value = serde_json::from_slice(line)
            .map_err(|error| broken(name, format!("line {} is no JSON object: {error}", number + 1)))?;
        let object = value
            .as_object()
            .ok_or_else(|| broken(name, format!("line {} is no JSON object", number + 1)))?;
        let mut text = String::new();
        for value in fields.iter().filter_map(|field| object.get(field)) {
            append_json(value, &mut text);
        }
        let id = match object.get("id") {
            Some(serde_json::Value::String(id)) => Some(id.clone()),
            Some(serde_json::Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        filled |= !text.is_empty();
        builder.add(&text, id, row as u64);
    }
    Ok(filled)
}

/// Texts and lists of texts, parted by spaces; other values are no text.
fn append_json(value: &serde_json::Value, text: &mut String) {
    match value {
        serde_json::Value::String(part) => {
            text.push_str(part);
            text.push(' ');
        }
        serde_json::Value::Array(parts) => parts.iter().for_each(|part| append_json(part, text)),
        serde_json::Value::Object(parts) => parts.values().for_each(|part| append_json(part, text)),
        _ => {}
    }
}

/// Adds an item for each row; false when none has text.
fn parquet_items(file: &BenchmarkFile, fields: &[String], builder: &mut Builder) -> Result<bool> {
    let failed = |error: &dyn std::fmt::Display| broken(&file.name, error);
    let open = File::open(&file.path).map_err(KernelError::io("open", &file.path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(open).map_err(|error| failed(&error))?;
    let (mut row, mut filled) = (0, false);
    for batch in reader.build().map_err(|error| failed(&error))? {
        let batch: RecordBatch = batch.map_err(|error| failed(&error))?;
        for at in 0..batch.num_rows() {
            let mut text = String::new();
            for column in fields.iter().filter_map(|field| batch.column_by_name(field)) {
                append_value(column, at, &mut text);
            }
            filled |= !text.is_empty();
            let id = batch.column_by_name("id").map(|column| {
                let mut id = String::new();
                append_value(column, at, &mut id);
                id.trim_end().to_owned()
            });
            builder.add(&text, id.filter(|id| !id.is_empty()), row);
            row += 1;
        }
    }
    Ok(filled)
}

fn append_value(column: &ArrayRef, row: usize, text: &mut String) {
    if column.is_null(row) {
        return;
    }
    if let Some(list) = column.as_list_opt::<i32>() {
        let parts = list.value(row);
        (0..parts.len()).for_each(|part| append_value(&parts, part, text));
        return;
    }
    let part = (column.as_string_opt::<i32>().map(|array| array.value(row)))
        .or_else(|| column.as_string_opt::<i64>().map(|array| array.value(row)))
        .or_else(|| column.as_string_view_opt().map(|array| array.value(row)));
    if let Some(part) = part {
        text.push_str(part);
        text.push(' ');
    }
}
