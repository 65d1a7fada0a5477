//! `NativeRecordReader`: record formats (JSON Lines, CSV, text) from chunks of bytes to batches and rejects.

#![expect(clippy::needless_pass_by_value, reason = "napi-rs hands arguments over by value")]

mod cutter;
mod format;

use gristmill_kernels::formats::records::rows::RowOptions;
use gristmill_kernels::formats::records::{Ended, RecordReader};
use gristmill_kernels::reject::Reject;
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use self::format::FormatOptions;
pub(crate) use self::format::parse;
use crate::batch::NativeBatch;
use crate::guard::guard;

/// A record for quarantine.
#[napi(object)]
pub struct NativeReject {
    /// Input file, relative to the configuration.
    pub file: String,
    /// Byte offset in the decompressed stream, or row number.
    pub offset: f64,
    /// Bytes of the record.
    pub length: f64,
    /// Stable code.
    pub code: String,
    /// For a person.
    pub reason: String,
    /// The first bytes of the record.
    pub bytes: Buffer,
}

impl From<Reject> for NativeReject {
    fn from(reject: Reject) -> Self {
        Self {
            file: reject.file,
            offset: reject.offset as f64,
            length: reject.length as f64,
            code: reject.code.to_owned(),
            reason: reject.reason,
            bytes: reject.bytes.into(),
        }
    }
}

/// Rows that have a column nobody asked for.
#[napi(object)]
pub struct NativeUnknownColumn {
    /// The column.
    pub name: String,
    /// Rows that have it.
    pub rows: f64,
}

/// What a reader counted since it was last asked.
#[napi(object)]
pub struct NativeReadCounts {
    /// Decompressed bytes of the records taken.
    pub consumed: f64,
    /// Rows left out by request.
    pub pruned: f64,
    /// Columns nobody asked for.
    pub unknown: Vec<NativeUnknownColumn>,
}

/// Why a range ended before its format said so.
#[napi(object)]
pub struct NativeEnded {
    /// Whether the bytes are wrong, not just cut off.
    pub corrupt: bool,
    /// For a person.
    pub reason: String,
}

impl From<Ended> for NativeEnded {
    fn from(ended: Ended) -> Self {
        Self { corrupt: ended.corrupt, reason: ended.reason }
    }
}

/// A column found in a sample.
#[napi(object)]
pub struct NativeSampledColumn {
    /// Its name in the files.
    pub name: String,
    /// `string`, `int64`, `float64`, `boolean` or `json`.
    #[napi(js_name = "type")]
    pub kind: String,
}

/// What a sample showed.
#[napi(object)]
pub struct NativeSample {
    /// Records seen.
    pub records: f64,
    /// Their columns in the order of appearance.
    pub columns: Vec<NativeSampledColumn>,
}

/// Reads ranges of files into batches and rejects.
#[napi]
pub struct NativeRecordReader {
    inner: Option<RecordReader>,
}

impl NativeRecordReader {
    fn get(&mut self) -> Result<&mut RecordReader> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "record reader" })
    }
}

#[napi]
impl NativeRecordReader {
    /// A reader without a range. `format` and `rows` are JSON: the format with its options, and
    /// `RowOptions` of the kernel.
    #[napi(constructor)]
    pub fn new(format: String, rows: String) -> napi::Result<Self> {
        guard("reader.new", || {
            let (format, rows): (FormatOptions, RowOptions) = (parse(&format)?, parse(&rows)?);
            Ok(Self { inner: Some(RecordReader::new(format.reader(&rows)?, &rows)?) })
        })
    }

    /// A reader that samples columns and keeps no rows.
    #[napi(factory)]
    pub fn sampler(format: String, rows: String) -> napi::Result<Self> {
        guard("reader.sampler", || {
            let (format, rows): (FormatOptions, RowOptions) = (parse(&format)?, parse(&rows)?);
            Ok(Self { inner: Some(RecordReader::new(format.sampler()?, &rows)?) })
        })
    }

    /// Starts a range; `range` is JSON: `RangeStart` of the kernel.
    #[napi]
    pub fn start(&mut self, range: String) -> napi::Result<()> {
        guard("reader.start", || self.get()?.start(parse(&range)?))
    }

    /// Takes a chunk. True when there is enough for a batch of `target` bytes: take the batch and the
    /// rejects, and push the same chunk again.
    #[napi]
    pub fn push(&mut self, chunk: &[u8], target: u32) -> napi::Result<bool> {
        guard("reader.push", || self.get()?.push(chunk, target as usize))
    }

    /// Whether the range needs no more bytes.
    #[napi(getter)]
    pub fn done(&mut self) -> napi::Result<bool> {
        guard("reader.done", || Ok(self.get()?.done()))
    }

    /// Ends the range; why it ended early, if it did.
    #[napi]
    pub fn end(&mut self) -> napi::Result<Option<NativeEnded>> {
        guard("reader.end", || Ok(self.get()?.end()?.map(Into::into)))
    }

    /// The rows so far if they make a batch of `target` bytes.
    #[napi]
    pub fn take_batch(&mut self, target: u32) -> napi::Result<Option<NativeBatch>> {
        guard("reader.takeBatch", || {
            let reader = self.get()?;
            if !reader.is_full(target as usize) {
                return Ok(None);
            }
            Ok(reader.take_batch()?.map(NativeBatch::wrap))
        })
    }

    /// The rejects so far.
    #[napi]
    pub fn take_rejects(&mut self) -> napi::Result<Vec<NativeReject>> {
        guard("reader.takeRejects", || Ok(self.get()?.take_rejects().into_iter().map(Into::into).collect()))
    }

    /// The counts since the last call.
    #[napi]
    pub fn take_counts(&mut self) -> napi::Result<NativeReadCounts> {
        guard("reader.takeCounts", || {
            let counts = self.get()?.take_counts();
            let unknown = counts.unknown.into_iter();
            Ok(NativeReadCounts {
                consumed: counts.consumed as f64,
                pruned: counts.pruned as f64,
                unknown: unknown
                    .map(|(name, rows)| NativeUnknownColumn { name, rows: rows as f64 })
                    .collect(),
            })
        })
    }

    /// What a sampler has seen.
    #[napi]
    pub fn sampled(&mut self) -> napi::Result<NativeSample> {
        guard("reader.sampled", || {
            let (records, columns) = self.get()?.sampled();
            let columns = columns.into_iter();
            Ok(NativeSample {
                records: records as f64,
                columns: columns
                    .map(|(name, kind)| NativeSampledColumn { name, kind: kind.name().to_owned() })
                    .collect(),
            })
        })
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// XXH3-64 of a path, low 32 bits: where groups of small files may end.
#[napi]
pub fn path_hash(path: String) -> u32 {
    gristmill_kernels::formats::records::path_hash(&path)
}
