//! `NativeItemReader`: files of framed items (MDS, `TFRecord`, `WebDataset`) to batches and rejects.
#![expect(clippy::needless_pass_by_value, reason = "napi-rs hands arguments over by value")]

use gristmill_kernels::formats::columnar::Selection;
use gristmill_kernels::formats::items::{ItemColumn, ItemFormat, ItemReader};
use gristmill_kernels::formats::mds_read::MdsFormat;
use gristmill_kernels::formats::records::Compressed;
use gristmill_kernels::formats::tfrecord_read::TfrecordFormat;
use gristmill_kernels::formats::webdataset_read::WebdatasetFormat;
use gristmill_kernels::{Batch, KernelError, Result};
use napi_derive::napi;
use serde::Deserialize;

use crate::batch::NativeBatch;
use crate::columnar::{NativeByteRange, NativeFileColumn, NativeRead, hand_out};
use crate::guard::{guard, unsigned};
use crate::readers::{NativeEnded, NativeUnknownColumn, parse};

/// A format by its name.
#[derive(Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
enum ItemOptions {
    Mds,
    Tfrecord { lists: Vec<String> },
    Webdataset,
}

impl ItemOptions {
    fn reader(self, max_item_bytes: u64) -> ItemReader {
        let format: Box<dyn ItemFormat> = match self {
            Self::Mds => Box::new(MdsFormat::new()),
            Self::Tfrecord { lists } => Box::new(TfrecordFormat::new(lists)),
            Self::Webdataset => Box::new(WebdatasetFormat::new(max_item_bytes)),
        };
        ItemReader::new(format, max_item_bytes)
    }
}

/// A column that cannot be read.
#[napi(object)]
pub struct NativeRefusedColumn {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Reads files of items into batches and rejects; without a selection it only looks at them.
#[napi]
pub struct NativeItemReader {
    inner: Option<ItemReader>,
    batch: Option<Batch>,
}

impl NativeItemReader {
    fn get(&mut self) -> Result<&mut ItemReader> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "item reader" })
    }
}

#[napi]
impl NativeItemReader {
    /// A reader without a file. `format` is JSON: the format with its options.
    #[napi(constructor)]
    pub fn new(format: String, max_item_bytes: f64) -> napi::Result<Self> {
        guard("items.new", || {
            let format: ItemOptions = parse(&format)?;
            Ok(Self { inner: Some(format.reader(unsigned(max_item_bytes))), batch: None })
        })
    }

    /// Starts a file; `compression` is what its name promises, as in `RangeStart` of the kernel.
    #[napi]
    pub fn start(&mut self, file: String, compression: String) -> napi::Result<()> {
        guard("items.start", || {
            let compression: Compressed = parse(&format!("\"{compression}\""))?;
            self.get()?.start(&file, compression);
            Ok(())
        })
    }

    /// The columns of the items so far; `null` before there is anything to tell.
    #[napi]
    pub fn columns(&mut self) -> napi::Result<Option<Vec<NativeFileColumn>>> {
        guard("items.columns", || {
            let columns = self.get()?.columns();
            Ok(columns.map(|columns| columns.iter().map(Into::into).collect()))
        })
    }

    /// How many items the file says it has, where it does.
    #[napi(getter)]
    pub fn items(&mut self) -> napi::Result<Option<f64>> {
        guard("items.items", || Ok(self.get()?.items().map(|items| items as f64)))
    }

    /// Columns that cannot be read.
    #[napi]
    pub fn refused(&mut self) -> napi::Result<Vec<NativeRefusedColumn>> {
        guard("items.refused", || {
            let refused = self.get()?.refused().into_iter();
            Ok(refused.map(|(name, reason)| NativeRefusedColumn { name, reason }).collect())
        })
    }

    /// Says what to read: `Selection` of the kernel and the columns that were found, as JSON.
    #[napi]
    pub fn open(&mut self, selection: String, found: String, count_unknown: bool) -> napi::Result<()> {
        guard("items.open", || {
            let found: Vec<ItemColumn> = parse(&found)?;
            self.get()?.open(Selection::from_json(&selection)?, &found, count_unknown)
        })
    }

    /// Goes to items [from, to): the bytes of the file to push next; `null` when its head does not say.
    #[napi]
    pub fn seek(&mut self, from: f64, to: f64) -> napi::Result<Option<NativeByteRange>> {
        guard("items.seek", || {
            let range = self.get()?.seek(unsigned(from), unsigned(to));
            Ok(range.map(|(from, to)| NativeByteRange { from: from as f64, to: to as f64 }))
        })
    }

    /// Takes a chunk. True when there is enough for a batch of `target` bytes, or columns must be chosen:
    /// push the same chunk again.
    #[napi]
    pub fn push(&mut self, chunk: &[u8], target: u32) -> napi::Result<bool> {
        guard("items.push", || self.get()?.push(chunk, target as usize))
    }

    /// Whether the file needs no more bytes.
    #[napi(getter)]
    pub fn done(&mut self) -> napi::Result<bool> {
        guard("items.done", || Ok(self.get()?.done()))
    }

    /// Ends the file; why it ended early, if it did.
    #[napi]
    pub fn end(&mut self) -> napi::Result<Option<NativeEnded>> {
        guard("items.end", || Ok(self.get()?.end()?.map(Into::into)))
    }

    /// The rows and rejects so far if they make a batch of `target` bytes.
    #[napi]
    pub fn next(&mut self, target: u32) -> napi::Result<Option<NativeRead>> {
        guard("items.next", || {
            let read = self.get()?.take(target as usize)?;
            Ok(hand_out(read, &mut self.batch))
        })
    }

    /// The rows of the last `next` that stay; `null` when none do.
    #[napi]
    pub fn take_batch(&mut self) -> Option<NativeBatch> {
        self.batch.take().map(NativeBatch::wrap)
    }

    /// Rows that have columns nobody asked for, since the last call.
    #[napi]
    pub fn take_unknown(&mut self) -> napi::Result<Vec<NativeUnknownColumn>> {
        guard("items.takeUnknown", || {
            let unknown = self.get()?.take_unknown().into_iter();
            Ok(unknown.map(|(name, rows)| NativeUnknownColumn { name, rows: rows as f64 }).collect())
        })
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
        self.batch = None;
    }
}

/// Samples of an MDS shard and bytes of its head, from its first 8 bytes; `null` when they are no such head.
#[napi]
pub fn mds_head(start: &[u8]) -> Option<NativeMdsHead> {
    let (samples, bytes) = gristmill_kernels::formats::mds_read::head_of(start)?;
    Some(NativeMdsHead { samples, bytes })
}

/// How an MDS shard begins.
#[napi(object)]
pub struct NativeMdsHead {
    /// Its samples.
    pub samples: u32,
    /// Bytes before the first of them.
    pub bytes: u32,
}
