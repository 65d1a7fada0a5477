//! `NativeRowShards`: Parquet, Arrow and JSON Lines shards of one task.

use gristmill_kernels::formats::jsonl_write::Compression;
use gristmill_kernels::formats::rechunk::Limits;
use gristmill_kernels::formats::row_shards::{RowFormat, RowShards};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid, unsigned};
use crate::removed::NativeFinishedFile;

/// Where shards go and when one is full.
#[napi(object)]
pub struct NativeRowShardsOptions {
    /// `parquet`, `arrow` or `jsonl`.
    pub format: String,
    /// Local folder, which exists.
    pub folder: String,
    /// Start of every file name in it.
    pub base_name: String,
    /// A shard has at most so many rows; no limit when left out.
    pub rows_per_shard: Option<f64>,
    /// A shard of several rows has at most so many bytes of column values.
    pub bytes_per_shard: f64,
    /// For `jsonl`: `zstd`, `gzip` or `none`.
    pub compression: Option<String>,
    /// For `jsonl`: text columns that hold JSON, which is embedded.
    pub json_columns: Option<Vec<String>>,
}

/// A finished shard of rows.
#[napi(object)]
pub struct NativeRowShard {
    /// Rows in it.
    pub rows: f64,
    /// What its name ends with.
    pub suffix: String,
    /// The file.
    pub file: NativeFinishedFile,
    /// The filter of its ids, where the file has none.
    pub ids: Option<NativeFinishedFile>,
}

/// Shards under construction.
#[napi]
pub struct NativeRowShards {
    inner: Option<RowShards>,
    suffix: &'static str,
}

#[napi]
impl NativeRowShards {
    /// Makes no file before the first row.
    #[napi(constructor)]
    pub fn new(options: NativeRowShardsOptions) -> napi::Result<Self> {
        guard("rowShards.new", || {
            let format = row_format(&options)?;
            let limits = Limits {
                rows: options.rows_per_shard.map_or(u64::MAX, unsigned).max(1),
                bytes: unsigned(options.bytes_per_shard),
            };
            let suffix = format.suffix();
            let inner = RowShards::new(format, options.folder, &options.base_name, limits);
            Ok(Self { inner: Some(inner), suffix })
        })
    }

    /// Appends the selected rows of a batch.
    #[napi]
    pub fn write(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("rowShards.write", || {
            let shards = self.inner.as_mut().ok_or(KernelError::Disposed { what: "sink writer" })?;
            shards.write(batch.get()?)
        })
    }

    /// Closes the last shard and returns all; none when there was no row.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<Vec<NativeRowShard>> {
        guard("rowShards.finish", || {
            let shards = self.inner.take().ok_or(KernelError::Disposed { what: "sink writer" })?;
            let finished = shards.finish()?.into_iter().map(|shard| NativeRowShard {
                rows: shard.rows as f64,
                suffix: self.suffix.to_owned(),
                file: shard.file.into(),
                ids: shard.ids.map(Into::into),
            });
            Ok(finished.collect())
        })
    }

    /// Closes files without finishing them. Disposing twice is harmless.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

fn row_format(options: &NativeRowShardsOptions) -> Result<RowFormat> {
    match options.format.as_str() {
        "parquet" => Ok(RowFormat::Parquet),
        "arrow" => Ok(RowFormat::Arrow),
        "jsonl" => {
            let compression = match options.compression.as_deref() {
                Some("zstd") | None => Compression::Zstd,
                Some("gzip") => Compression::Gzip,
                Some("none") => Compression::None,
                Some(other) => return Err(invalid("compression", format!("'{other}' is not known"))),
            };
            Ok(RowFormat::Jsonl { compression, json: options.json_columns.clone().unwrap_or_default() })
        }
        other => Err(invalid("format", format!("'{other}' is not known"))),
    }
}
