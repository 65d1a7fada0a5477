//! `NativeCutter`: cuts a stream at record ends; and where the frames of zstd files are.

use std::path::Path;

use gristmill_kernels::formats::records::cutter::{Cut, Cutter, CutterOptions};
use gristmill_kernels::formats::zstd_frames::{self, Frame, SEEK_TABLE_FOOTER};
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use super::NativeEnded;
use super::format::{FormatOptions, parse};
use crate::guard::guard;

/// A stretch of whole records.
#[napi(object)]
pub struct NativeCut {
    /// Decompressed offset of its first byte.
    pub from: f64,
    /// Its length.
    pub bytes: f64,
    /// The file that holds it.
    pub spool: Option<String>,
    /// Names of the columns, if they stand before it.
    pub header: Option<Vec<String>>,
    /// Why the stream ends with it, if it ends too early.
    pub ended: Option<NativeEnded>,
}

impl From<Cut> for NativeCut {
    fn from(cut: Cut) -> Self {
        Self {
            from: cut.from as f64,
            bytes: cut.bytes as f64,
            spool: cut.spool.map(|path| path.to_string_lossy().into_owned()),
            header: cut.header,
            ended: cut.ended.map(Into::into),
        }
    }
}

/// Walks one stream and cuts it into stretches of whole records.
#[napi]
pub struct NativeCutter {
    inner: Option<Cutter>,
}

impl NativeCutter {
    fn get(&mut self) -> Result<&mut Cutter> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "cutter" })
    }
}

#[napi]
impl NativeCutter {
    /// A cutter at the start of a stream. `format` and `options` are JSON: the format with its options, and
    /// `CutterOptions` of the kernel.
    #[napi(constructor)]
    pub fn new(format: String, options: String) -> napi::Result<Self> {
        guard("cutter.new", || {
            let format: FormatOptions = parse(&format)?;
            let options: CutterOptions = parse(&options)?;
            Ok(Self { inner: Some(Cutter::new(format.sampler()?, options)?) })
        })
    }

    /// Takes a chunk. True when it stopped at a cut: take it and push the same chunk again.
    #[napi]
    pub fn push(&mut self, chunk: &[u8]) -> napi::Result<bool> {
        guard("cutter.push", || self.get()?.push(chunk))
    }

    /// The stream has ended: what is left is the last stretch.
    #[napi]
    pub fn end(&mut self) -> napi::Result<()> {
        guard("cutter.end", || self.get()?.end())
    }

    /// The cuts so far.
    #[napi]
    pub fn take_cuts(&mut self) -> napi::Result<Vec<NativeCut>> {
        guard("cutter.takeCuts", || Ok(self.get()?.take_cuts().into_iter().map(Into::into).collect()))
    }

    /// Closes the file under way.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// A zstd frame that holds data.
#[napi(object)]
pub struct NativeZstdFrame {
    /// Where it starts in the file.
    pub stored_from: f64,
    /// Decompressed bytes in it.
    pub bytes: f64,
}

fn to_native(frames: Vec<Frame>) -> Vec<NativeZstdFrame> {
    let frames = frames.into_iter();
    frames.map(|f| NativeZstdFrame { stored_from: f.stored_from as f64, bytes: f.bytes as f64 }).collect()
}

/// A size from JavaScript, where there are no unsigned 64-bit numbers.
fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or_default()
}

/// The frames of a local file; `null` when one does not say its size or says more than `most_bytes`.
#[napi]
pub fn zstd_frames(path: String, most_bytes: i64) -> napi::Result<Option<Vec<NativeZstdFrame>>> {
    guard(
        "zstd.frames",
        || Ok(zstd_frames::scan_file(Path::new(&path), unsigned(most_bytes))?.map(to_native)),
    )
}

/// Length of the seek table that a file's last nine bytes announce; `null` when they announce none.
#[napi]
pub fn zstd_seek_table_length(footer: &[u8]) -> Option<f64> {
    let footer: &[u8; SEEK_TABLE_FOOTER] = footer.try_into().ok()?;
    zstd_frames::seek_table_length(footer).map(|length| length as f64)
}

/// The frames that a seek table lists; `null` when it does not fit the file.
#[napi]
pub fn zstd_seek_table(table: &[u8], file_bytes: i64, most_bytes: i64) -> Option<Vec<NativeZstdFrame>> {
    zstd_frames::from_seek_table(table, unsigned(file_bytes), unsigned(most_bytes)).map(to_native)
}
