//! Cuts a stream that must be walked from its start into stretches of whole records.
//!
//! A file that is one compressed stream, or whose records cannot be found from any byte, is read by one
//! `Cutter`, while others read the stretches. Where it cuts depends on the stream alone: at the first
//! record that starts `target` bytes or more after the last cut.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::input::{Bom, Ended, Input};
use super::{Compressed, RangeStart, RecordFormat};
use crate::error::{KernelError, Result};

/// Buffer between the cutter and the operating system.
const BUFFER_BYTES: usize = 256 << 10;
/// A header is looked for in the first records up to this length.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// What a cutter is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CutterOptions {
    /// What the file's name promises.
    pub compression: Compressed,
    /// Decompressed bytes of a stretch, at least.
    pub target: u64,
    /// Where the stretches are written: this with `-00000` and so on behind it. Not at all when left out.
    pub spool: Option<PathBuf>,
}

/// A stretch of whole records.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// Decompressed offset of its first byte.
    pub from: u64,
    /// Its length.
    pub bytes: u64,
    /// The file that holds it.
    pub spool: Option<PathBuf>,
    /// Names of the columns, if they stand before it.
    pub header: Option<Vec<String>>,
    /// Why the stream ends with it, if it ends too early.
    pub ended: Option<Ended>,
}

/// Walks one stream.
pub struct Cutter {
    walk: Walk,
    input: Input,
}

struct Walk {
    format: Box<dyn RecordFormat>,
    options: CutterOptions,
    bom: Bom,
    at: u64,
    cut_from: u64,
    file: Option<BufWriter<File>>,
    /// The first record so far, until its column names are known.
    head: Option<Vec<u8>>,
    header: Option<Vec<String>>,
    cuts: Vec<Cut>,
    made: u32,
}

impl Cutter {
    /// A cutter at the start of a stream; `format` only says where records end.
    ///
    /// # Errors
    /// As [`RecordFormat::open`].
    pub fn new(mut format: Box<dyn RecordFormat>, options: CutterOptions) -> Result<Self> {
        format.open(&RangeStart::default())?;
        let head = format.has_header().then(Vec::new);
        let input = Input::new(options.compression);
        let walk = Walk {
            format,
            options,
            bom: Bom::expected(),
            at: 0,
            cut_from: 0,
            file: None,
            head,
            header: None,
            cuts: Vec::new(),
            made: 0,
        };
        Ok(Self { walk, input })
    }

    /// Takes a chunk. True when it stopped at a cut: take it and push the same chunk again.
    ///
    /// # Errors
    /// `Io` when a stretch cannot be written.
    pub fn push(&mut self, chunk: &[u8]) -> Result<bool> {
        let walk = &mut self.walk;
        self.input.drain(chunk, |bytes| walk.feed(bytes).map(|used| (used, false)))
    }

    /// The stream has ended: what is left is the last stretch.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn end(&mut self) -> Result<()> {
        let walk = &mut self.walk;
        let ended = self.input.finish(|bytes| walk.feed(bytes).map(|used| (used, false)))?;
        if walk.at > walk.cut_from || ended.is_some() {
            walk.close(ended)?;
        }
        Ok(())
    }

    /// The cuts so far.
    pub fn take_cuts(&mut self) -> Vec<Cut> {
        std::mem::take(&mut self.walk.cuts)
    }
}

impl Walk {
    /// Takes bytes up to the next cut.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        if let Some((head, taken)) = self.bom.take(bytes) {
            // A mark belongs to the first stretch, but its bytes are no part of a record.
            self.write(&bytes[..taken])?;
            self.at += taken as u64;
            used = taken;
            if let Some(start) = head {
                self.record_end(start);
            } else if self.bom.found() {
                self.format.skip(3);
            }
        }
        let (from, mut cut) = (used, false);
        while used < bytes.len() && !cut {
            let rest = &bytes[used..];
            let end = self.record_end(rest);
            let length = end.unwrap_or(rest.len());
            used += length;
            self.at += length as u64;
            cut = end.is_some() && self.at - self.cut_from >= self.options.target;
        }
        self.write(&bytes[from..used])?;
        if cut {
            self.close(None)?;
        }
        Ok(used)
    }

    /// Where the current record ends; looks at the first ones for the header.
    fn record_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = self.format.end(bytes);
        if let Some(head) = &mut self.head {
            head.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if end.is_some() {
                self.header = self.format.header(head);
                head.clear();
            }
            if self.header.is_some() || head.len() > MAX_HEADER_BYTES {
                self.head = None;
            }
        }
        end
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(path) = self.path() else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(create(&path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(KernelError::io("write", path))
    }

    /// Ends the current stretch.
    fn close(&mut self, ended: Option<Ended>) -> Result<()> {
        let spool = self.path();
        if let Some(path) = &spool {
            let file = match self.file.take() {
                Some(file) => file,
                None => create(path)?,
            };
            file.into_inner()
                .map_err(std::io::IntoInnerError::into_error)
                .map_err(KernelError::io("write", path))?;
        }
        let header = if self.cut_from == 0 { None } else { self.header.clone() };
        self.cuts.push(Cut { from: self.cut_from, bytes: self.at - self.cut_from, spool, header, ended });
        self.cut_from = self.at;
        self.made += 1;
        Ok(())
    }

    /// The file of the current stretch.
    fn path(&self) -> Option<PathBuf> {
        let mut path = self.options.spool.as_ref()?.clone().into_os_string();
        path.push(format!("-{:05}", self.made));
        Some(path.into())
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).map_err(KernelError::io("create", path))?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}
