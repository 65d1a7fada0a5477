//! Streaming decompression of zstd (any number of frames) and gzip (any number of members).
//!
//! What comes out before an error is a property of the stream: it does not depend on how the input is
//! cut into chunks. That takes care with zstd, see [`ZstdDecoder::run`].

use flate2::{Decompress, FlushDecompress, Status};
use serde::Deserialize;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::error::{KernelError, Result};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard (RFC 8878).
    Zstd,
    /// gzip (RFC 1952).
    Gzip,
}

/// Bytes at the start of a stream that tell its compression.
pub const MAGIC_BYTES: usize = 4;

impl Compression {
    /// The compression that a stream's first bytes name.
    pub fn of_magic(head: &[u8]) -> Self {
        match head {
            // A frame, or a skippable frame, which pzstd puts first.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            [0x1F, 0x8B, ..] => Self::Gzip,
            _ => Self::None,
        }
    }

    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// Why a stream ended before its format said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `truncated` or `corrupt`.
    pub code: &'static str,
    /// For a person.
    pub reason: String,
}

impl Broken {
    fn corrupt(reason: impl Into<String>) -> Self {
        Self { code: "corrupt", reason: reason.into() }
    }
}

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Bytes taken from the input.
    pub read: usize,
    /// Bytes put into the output.
    pub written: usize,
}

/// A decoder of one stream.
pub enum StreamDecoder {
    /// Zstandard.
    Zstd(ZstdDecoder),
    /// gzip.
    Gzip(GzipDecoder),
}

impl StreamDecoder {
    /// A decoder at the start of a stream; `None` for a plain one.
    ///
    /// # Errors
    /// `Internal` when zstd cannot allocate its context.
    pub fn new(compression: Compression) -> Result<Option<Self>> {
        Ok(match compression {
            Compression::None => None,
            Compression::Zstd => Some(Self::Zstd(ZstdDecoder::new()?)),
            Compression::Gzip => Some(Self::Gzip(GzipDecoder::default())),
        })
    }

    /// Decompresses some. When nothing was read and nothing written, it needs more input.
    ///
    /// # Errors
    /// [`Broken`]; what was written by earlier calls is good.
    pub fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Ran, Broken> {
        match self {
            Self::Zstd(decoder) => decoder.run(input, output),
            Self::Gzip(decoder) => decoder.run(input, output),
        }
    }

    /// Whether the stream may end here; the reason when not.
    pub fn unfinished(&self) -> Option<Broken> {
        let within = match self {
            Self::Zstd(decoder) if !decoder.at_end => "a zstd frame",
            Self::Gzip(decoder) if decoder.broken.is_some() => return decoder.broken.clone(),
            Self::Gzip(decoder) if !decoder.at_end() => "a gzip member",
            _ => return None,
        };
        Some(Broken { code: "truncated", reason: format!("the file ends inside {within}") })
    }
}

/// Decodes zstd frames.
pub struct ZstdDecoder {
    decoder: Decoder<'static>,
    /// Input zstd wants next, at most; a block boundary.
    wanted: usize,
    at_end: bool,
}

/// Input for the start of a frame: enough for the shortest header, and never a whole frame.
const FRAME_START: usize = 5;
/// Bytes of a block's header.
const BLOCK_HEADER: usize = 3;

impl ZstdDecoder {
    fn new() -> Result<Self> {
        let decoder = Decoder::new().map_err(KernelError::internal)?;
        Ok(Self { decoder, wanted: FRAME_START, at_end: false })
    }

    /// Decodes at most one block.
    ///
    /// An error makes zstd forget what the same call has put out, so a call that decodes good blocks and
    /// then a bad one would lose the good ones, depending on how much input it was given. Each call is
    /// therefore given no more than zstd says it wants for the next block, without the header of the
    /// block after it, which zstd would read ahead.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Ran, Broken> {
        let mut from = InBuffer::around(&input[..input.len().min(self.wanted)]);
        let mut to = OutBuffer::around(output);
        let hint = self
            .decoder
            .run(&mut from, &mut to)
            .map_err(|error| Broken::corrupt(format!("zstd: {error}")))?;
        let ran = Ran { read: from.pos(), written: to.pos() };
        if ran.read > 0 || ran.written > 0 {
            self.at_end = hint == 0;
        }
        self.wanted = match hint {
            0 => FRAME_START,
            1..=BLOCK_HEADER => hint,
            _ => hint - BLOCK_HEADER,
        };
        Ok(ran)
    }
}

/// Decodes gzip members.
#[derive(Default)]
pub struct GzipDecoder {
    /// The member being decoded.
    member: Option<Decompress>,
    members: u64,
    /// First bytes of what may be another member.
    head: Vec<u8>,
    padding: bool,
    /// What was wrong, found by a call that had put out good bytes before it.
    broken: Option<Broken>,
}

impl GzipDecoder {
    fn at_end(&self) -> bool {
        self.member.is_none() && self.members > 0 && self.head.is_empty()
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Ran, Broken> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let Some(member) = &mut self.member else { return self.between(input) };
        let (read, written) = (member.total_in(), member.total_out());
        let result = member.decompress(input, output, FlushDecompress::None);
        let ran = Ran {
            read: (member.total_in() - read) as usize,
            written: (member.total_out() - written) as usize,
        };
        match result {
            Ok(Status::StreamEnd) => {
                self.member = None;
                self.members += 1;
                Ok(ran)
            }
            Ok(Status::Ok | Status::BufError) => Ok(ran),
            // zlib's own reason is left out: it is another one when the error is met at the end of the output.
            Err(_) => {
                let broken = Broken::corrupt("gzip: the compressed data is damaged");
                if ran.written == 0 {
                    return Err(broken);
                }
                // What this call has put out is good; the stream may end before there is another call.
                self.broken = Some(broken);
                Ok(ran)
            }
        }
    }

    /// Before a member: its magic number, zero padding (as `gzip` accepts after the last), or garbage.
    fn between(&mut self, input: &[u8]) -> Result<Ran, Broken> {
        let Some(&byte) = input.first() else { return Ok(Ran { read: 0, written: 0 }) };
        if self.head.is_empty() && byte == 0 && self.members > 0 {
            self.padding = true;
            let zeros = input.iter().take_while(|&&byte| byte == 0).count();
            return Ok(Ran { read: zeros, written: 0 });
        }
        let expected = [0x1F, 0x8B][self.head.len()];
        if self.padding || byte != expected {
            return Err(Broken::corrupt("gzip: the bytes after a member are not another one"));
        }
        self.head.push(byte);
        if self.head.len() == 2 {
            let mut member = Decompress::new_gzip(15);
            // The magic number was read byte by byte, since a chunk may end inside it.
            let fed = member.decompress(&self.head, &mut [], FlushDecompress::None);
            fed.map_err(|error| Broken::corrupt(format!("gzip: {error}")))?;
            self.head.clear();
            self.member = Some(member);
        }
        Ok(Ran { read: 1, written: 0 })
    }
}
