//! JSON Lines writing: one object a row, keys in column order, every key in every row.
//!
//! Compressed bytes depend on the rows alone: zstd frames end with the record that brings them to 8 MiB
//! and are compressed in one go, so that readers can also split a shard by frames; gzip is fed
//! pieces of one size.

use std::io::Write as _;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use zstd::bulk::Compressor;

use crate::error::{KernelError, Result};
use crate::formats::json_value::{is_writable, write_text, write_value};
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Decompressed bytes of a zstd frame, give or take the record that ends it.
const FRAME_BYTES: usize = 8 << 20;

/// Bytes handed on at a time where there are no frames.
const PIECE_BYTES: usize = 1 << 20;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// "Unknown" in the gzip header: the bytes must not depend on the operating system.
const GZIP_UNKNOWN_SYSTEM: u8 = 255;

/// How the lines are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zstd level 3, frames of about 8 MiB, each with its checksum.
    Zstd,
    /// One gzip member, level 6.
    Gzip,
    /// Plain text.
    None,
}

enum Output {
    Zstd { file: ShardFile, compressor: Compressor<'static> },
    Gzip(Box<GzEncoder<ShardFile>>),
    Plain(ShardFile),
}

/// A JSON Lines file under construction.
pub struct JsonlWriter {
    output: Output,
    /// What stands before each value: `{"id":`, then `,"file":` and so on.
    keys: Vec<Vec<u8>>,
    /// Whether the column's text is JSON itself.
    embedded: Vec<bool>,
    lines: Vec<u8>,
}

impl JsonlWriter {
    /// Creates the file for rows of `schema`. The text columns named in `json` hold JSON, which is embedded
    /// as it is; a value of them that is no valid JSON becomes a string.
    ///
    /// # Errors
    /// `Io` when the file cannot be created; `ColumnType` when a column has no form in JSON.
    pub fn create(
        path: impl AsRef<Path>,
        schema: &SchemaRef,
        compression: Compression,
        json: &[String],
    ) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|field| !is_writable(field.data_type())) {
            return Err(KernelError::ColumnType {
                name: field.name().clone(),
                expected: "a type that JSON can hold".to_owned(),
                got: field.data_type().to_string(),
            });
        }
        let keys = schema.fields().iter().enumerate().map(|(index, field)| {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            write_text(&mut key, field.name());
            key.push(b':');
            key
        });
        let embedded = schema
            .fields()
            .iter()
            .map(|field| field.data_type() == &DataType::Utf8 && json.contains(field.name()));
        let (keys, embedded) = (keys.collect(), embedded.collect());
        let file = ShardFile::create(path)?;
        let output = match compression {
            Compression::None => Output::Plain(file),
            Compression::Gzip => {
                let header = GzBuilder::new().operating_system(GZIP_UNKNOWN_SYSTEM);
                Output::Gzip(Box::new(header.write(file, flate2::Compression::default())))
            }
            Compression::Zstd => {
                let mut compressor = Compressor::new(ZSTD_LEVEL).map_err(broken)?;
                compressor.include_checksum(true).map_err(broken)?;
                Output::Zstd { file, compressor }
            }
        };
        Ok(Self { output, keys, embedded, lines: Vec::new() })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Io` when writing fails; `Internal` when the rows are of another schema.
    pub fn write(&mut self, record: &RecordBatch) -> Result<()> {
        if record.num_columns() != self.keys.len() {
            return Err(KernelError::internal(format!(
                "{} columns for a file of {}",
                record.num_columns(),
                self.keys.len()
            )));
        }
        for row in 0..record.num_rows() {
            for ((column, key), &embedded) in record.columns().iter().zip(&self.keys).zip(&self.embedded) {
                self.lines.extend_from_slice(key);
                if embedded && column.is_valid(row) {
                    write_embedded(&mut self.lines, column.as_string::<i32>().value(row));
                } else {
                    write_value(&mut self.lines, column, row);
                }
            }
            self.lines.extend_from_slice(b"}\n");
            self.drain(false)?;
        }
        Ok(())
    }

    /// Closes and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<FinishedFile> {
        self.drain(true)?;
        match self.output {
            Output::Plain(file) | Output::Zstd { file, .. } => file.finish(),
            Output::Gzip(encoder) => encoder.finish().map_err(broken)?.finish(),
        }
    }

    /// Hands on what is full, or everything at the end.
    fn drain(&mut self, last: bool) -> Result<()> {
        match &mut self.output {
            Output::Zstd { file, compressor } => {
                if self.lines.len() >= FRAME_BYTES || (last && !self.lines.is_empty()) {
                    file.append(&compressor.compress(&self.lines).map_err(broken)?)?;
                    self.lines.clear();
                    self.lines.shrink_to(FRAME_BYTES * 2); // one huge record must not hold its memory
                }
            }
            Output::Gzip(encoder) => {
                drain_pieces(&mut self.lines, last, |piece| encoder.write_all(piece).map_err(broken))?;
            }
            Output::Plain(file) => drain_pieces(&mut self.lines, last, |piece| file.append(piece))?,
        }
        Ok(())
    }
}

fn drain_pieces(lines: &mut Vec<u8>, last: bool, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if lines.len() < PIECE_BYTES && !last {
        return Ok(());
    }
    let whole = if last { lines.len() } else { lines.len() / PIECE_BYTES * PIECE_BYTES };
    lines[..whole].chunks(PIECE_BYTES).try_for_each(&mut put)?;
    lines.drain(..whole);
    Ok(())
}

/// Embeds JSON text on one line. Line breaks are white space there (inside a JSON string they would be
/// escaped), so leaving them out changes nothing.
fn write_embedded(out: &mut Vec<u8>, json: &str) {
    if sonic_rs::from_str::<sonic_rs::LazyValue>(json).is_err() {
        write_text(out, json);
    } else if json.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
        out.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    } else {
        out.extend_from_slice(json.as_bytes());
    }
}

fn broken(source: std::io::Error) -> KernelError {
    KernelError::Io { action: "write", path: "JSON Lines shard".into(), source }
}
