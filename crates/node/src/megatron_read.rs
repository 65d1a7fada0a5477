//! `NativeMegatronFile`: an `.idx` and its `.bin` to batches of token ids and rejects.
#![expect(clippy::needless_pass_by_value, reason = "napi-rs hands arguments over by value")]

use std::ops::Range;

use gristmill_kernels::formats::columnar::Selection;
use gristmill_kernels::formats::megatron_read::{MegatronIndex, MegatronReader};
use gristmill_kernels::{Batch, KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::columnar::{NativeByteRange, NativeFileColumn, NativeRead, hand_out};
use crate::guard::{guard, unsigned};
use crate::readers::NativeReject;

fn native(range: Range<u64>) -> NativeByteRange {
    NativeByteRange { from: range.start as f64, to: range.end as f64 }
}

/// Bytes at the start of an `.idx` that tell what it holds.
#[napi]
pub fn megatron_head_bytes() -> f64 {
    MegatronIndex::HEAD_BYTES as f64
}

/// Documents to read next, and where their part of the index lies.
#[napi(object)]
pub struct NativeMegatronWindow {
    /// How many documents.
    pub documents: f64,
    /// Lengths of their sequences.
    pub lengths: NativeByteRange,
    /// Where their sequences start.
    pub pointers: NativeByteRange,
}

/// Documents of one index.
#[napi]
pub struct NativeMegatronFile {
    index: MegatronIndex,
    reader: Option<MegatronReader>,
    batch: Option<Batch>,
}

impl NativeMegatronFile {
    fn reader(&mut self) -> Result<&mut MegatronReader> {
        self.reader.as_mut().ok_or(KernelError::Disposed { what: "Megatron reader" })
    }
}

#[napi]
impl NativeMegatronFile {
    /// From the first bytes of the `.idx` and the lengths of both files.
    #[napi(constructor)]
    pub fn new(head: &[u8], idx_bytes: f64, bin_bytes: f64) -> napi::Result<Self> {
        guard("megatron.index", || {
            let index = MegatronIndex::parse(head, unsigned(idx_bytes), unsigned(bin_bytes))?;
            Ok(Self { index, reader: None, batch: None })
        })
    }

    /// Documents in the index.
    #[napi(getter)]
    pub fn documents(&self) -> f64 {
        self.index.documents() as f64
    }

    /// The column that there is.
    #[napi]
    pub fn columns(&self) -> Vec<NativeFileColumn> {
        vec![(&self.index.column()).into()]
    }

    /// Bytes of the `.idx` that say which sequences documents [from, to) have.
    #[napi]
    pub fn document_range(&self, from: f64, to: f64) -> NativeByteRange {
        native(self.index.document_range(unsigned(from), unsigned(to)))
    }

    /// Says what to read: `Selection` of the kernel as JSON.
    #[napi]
    pub fn open(&mut self, selection: String) -> napi::Result<()> {
        guard("megatron.open", || {
            self.reader = Some(MegatronReader::new(self.index.clone(), Selection::from_json(&selection)?)?);
            Ok(())
        })
    }

    /// Starts at document `first` with the bytes of `documentRange`; `null` when these are damaged.
    #[napi]
    pub fn start(&mut self, first: f64, bytes: &[u8]) -> napi::Result<Option<NativeMegatronWindow>> {
        guard("megatron.start", || {
            let window = self.reader()?.start(unsigned(first), bytes)?;
            Ok(window.map(|window| NativeMegatronWindow {
                documents: window.documents as f64,
                lengths: native(window.lengths),
                pointers: native(window.pointers),
            }))
        })
    }

    /// Takes the window's part of the index.
    #[napi]
    pub fn place(&mut self, lengths: &[u8], pointers: &[u8]) -> napi::Result<()> {
        guard("megatron.place", || {
            self.reader()?.place(lengths, pointers);
            Ok(())
        })
    }

    /// Bytes of the `.bin` to fetch for the next batch; `null` at the window's end.
    #[napi]
    pub fn ranges(&mut self) -> napi::Result<Option<Vec<NativeByteRange>>> {
        guard("megatron.ranges", || {
            let ranges = self.reader()?.ranges();
            Ok(ranges.map(|ranges| ranges.into_iter().map(native).collect()))
        })
    }

    /// The next batch, from the bytes of `ranges`.
    #[napi]
    pub fn read(&mut self, fetched: Vec<&[u8]>) -> napi::Result<NativeRead> {
        guard("megatron.read", || {
            let read = self.reader()?.read(&fetched)?;
            hand_out(Some(read), &mut self.batch).ok_or_else(|| KernelError::internal("nothing was read"))
        })
    }

    /// The rows of the last `read` that stay; `null` when none do.
    #[napi]
    pub fn take_batch(&mut self) -> Option<NativeBatch> {
        self.batch.take().map(NativeBatch::wrap)
    }

    /// Documents that cannot be read, so far.
    #[napi]
    pub fn take_rejects(&mut self) -> napi::Result<Vec<NativeReject>> {
        guard("megatron.takeRejects", || {
            Ok(self.reader()?.take_rejects().into_iter().map(Into::into).collect())
        })
    }

    /// Frees the reader and what it holds.
    #[napi]
    pub fn dispose(&mut self) {
        self.reader = None;
        self.batch = None;
    }
}
