//! The bytes of a range on their way to the records: decompressed, and without a byte order mark.

use serde::Deserialize;

use super::Compressed;
use crate::error::Result;
use crate::formats::decompress::{Broken, Compression, MAGIC_BYTES, StreamDecoder};

/// Decompressed bytes are handed on in stretches of this size, which stay in the processor's cache.
const STRETCH_BYTES: usize = 256 << 10;

/// Calls without progress after which a stream counts as corrupt.
const MOST_IDLE: u32 = 3;

/// Why a stream ended before its format said so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Whether the bytes are wrong, not just cut off.
    pub corrupt: bool,
    /// For a person.
    pub reason: String,
}

impl Ended {
    /// The code of the reject that records it.
    pub fn code(&self) -> &'static str {
        if self.corrupt { "corrupt" } else { "truncated" }
    }
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Self {
        Self { corrupt: broken.code == "corrupt", reason: broken.reason }
    }
}

enum State {
    /// Too few bytes to know the compression.
    Unknown(Vec<u8>),
    Plain,
    Compressed(Box<StreamDecoder>),
    Broken(Ended),
}

/// Decompresses chunks.
pub struct Input {
    promised: Compressed,
    state: State,
    /// How much of the current chunk was taken.
    taken: usize,
    /// Decompressed bytes, of which [from, to) are not handed on yet.
    stretch: Vec<u8>,
    from: usize,
    to: usize,
    /// The last stretch was full, so that there may be more without further input.
    more: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self::new(Compressed::Never)
    }
}

impl Input {
    /// At the start of a range.
    pub fn new(promised: Compressed) -> Self {
        let state = if promised == Compressed::Never { State::Plain } else { State::Unknown(Vec::new()) };
        Self { promised, state, taken: 0, stretch: Vec::new(), from: 0, to: 0, more: false }
    }

    /// Hands the chunk's bytes to `feed`, which returns how many it took and whether it wants no more.
    /// True when `feed` stopped early: call again with the same chunk.
    pub fn drain(
        &mut self,
        chunk: &[u8],
        mut feed: impl FnMut(&[u8]) -> Result<(usize, bool)>,
    ) -> Result<bool> {
        let stopped = self.drain_some(chunk, &mut feed)?;
        if !stopped {
            self.taken = 0;
        }
        Ok(stopped)
    }

    fn drain_some(
        &mut self,
        chunk: &[u8],
        feed: &mut impl FnMut(&[u8]) -> Result<(usize, bool)>,
    ) -> Result<bool> {
        loop {
            if self.from < self.to {
                let (used, done) = feed(&self.stretch[self.from..self.to])?;
                self.from += used;
                if done {
                    return Ok(false);
                }
                if self.from < self.to {
                    return Ok(true);
                }
            }
            match &mut self.state {
                State::Unknown(head) => {
                    let room = MAGIC_BYTES - head.len();
                    head.extend(chunk.iter().take(room));
                    self.taken = chunk.len().min(room);
                    if head.len() < MAGIC_BYTES {
                        return Ok(false);
                    }
                    self.decide()?;
                }
                State::Broken(_) => return Ok(false),
                State::Plain => {
                    let bytes = &chunk[self.taken..];
                    let (used, done) = feed(bytes)?;
                    self.taken += used;
                    return Ok(!done && used < bytes.len());
                }
                State::Compressed(_) => {
                    if self.taken == chunk.len() && !self.more {
                        return Ok(false);
                    }
                    self.taken += self.decompress(&chunk[self.taken..]);
                }
            }
        }
    }

    /// Fills the stretch; returns how much input it took.
    fn decompress(&mut self, input: &[u8]) -> usize {
        let State::Compressed(decoder) = &mut self.state else { return 0 };
        self.stretch.resize(STRETCH_BYTES, 0);
        (self.from, self.to) = (0, 0);
        let (mut taken, mut idle) = (0, 0);
        loop {
            match decoder.run(&input[taken..], &mut self.stretch[self.to..]) {
                Ok(ran) => {
                    taken += ran.read;
                    self.to += ran.written;
                    self.more = self.to == STRETCH_BYTES;
                    if self.more || taken == input.len() {
                        return taken;
                    }
                    idle = if ran.read + ran.written == 0 { idle + 1 } else { 0 };
                    if idle > MOST_IDLE {
                        let reason = "the decoder stands still".to_owned();
                        self.state = State::Broken(Ended { corrupt: true, reason });
                        return taken;
                    }
                }
                Err(broken) => {
                    self.more = false;
                    // What is in the stretch is good: it is handed on first.
                    self.state = State::Broken(broken.into());
                    return taken;
                }
            }
        }
    }

    /// The head is complete: it tells the compression.
    fn decide(&mut self) -> Result<()> {
        let State::Unknown(head) = std::mem::replace(&mut self.state, State::Plain) else { return Ok(()) };
        let found = Compression::of_magic(&head);
        let promised = match self.promised {
            Compressed::Zstd => Compression::Zstd,
            Compressed::Gzip => Compression::Gzip,
            Compressed::Never | Compressed::Unknown => Compression::None,
        };
        if found == Compression::None && promised != Compression::None {
            let reason = if head.is_empty() {
                format!("the file is empty, but its name says {}", promised.name())
            } else {
                format!("the file does not start like {}, which its name says it is", promised.name())
            };
            self.state = State::Broken(Ended { corrupt: !head.is_empty(), reason });
            return Ok(());
        }
        match StreamDecoder::new(found)? {
            None => {
                (self.from, self.to) = (0, head.len());
                self.stretch = head;
            }
            Some(decoder) => {
                self.state = State::Compressed(Box::new(decoder));
                // A head holds no output of either format.
                let mut taken = 0;
                while taken < head.len() && matches!(self.state, State::Compressed(_)) {
                    taken += self.decompress(&head[taken..]);
                }
            }
        }
        Ok(())
    }

    /// The stream has ended: hands on what was held back; returns why it ended early, if it did.
    pub fn finish(&mut self, mut feed: impl FnMut(&[u8]) -> Result<(usize, bool)>) -> Result<Option<Ended>> {
        if matches!(self.state, State::Unknown(_)) {
            self.decide()?;
        }
        while self.drain(&[], &mut feed)? {}
        Ok(match &self.state {
            State::Broken(ended) => Some(ended.clone()),
            State::Compressed(decoder) => decoder.unfinished().map(Into::into),
            State::Plain | State::Unknown(_) => None,
        })
    }
}

/// The UTF-8 byte order mark at the start of a file, which is no part of the first record.
pub struct Bom {
    seen: usize,
    state: BomState,
}

#[derive(PartialEq, Eq)]
enum BomState {
    Expected,
    Found,
    Passed,
}

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Bom {
    /// At the start of a file.
    pub fn expected() -> Self {
        Self { seen: 0, state: BomState::Expected }
    }

    /// Anywhere else.
    pub fn passed() -> Self {
        Self { seen: 0, state: BomState::Passed }
    }

    /// Whether the last byte of a mark was just taken, or was earlier.
    pub fn found(&self) -> bool {
        self.state == BomState::Found
    }

    /// Looks at the next bytes, until it is known whether there is a mark. Returns how many it took, and
    /// those taken so far if they turn out to be data.
    pub fn take(&mut self, bytes: &[u8]) -> Option<(Option<&'static [u8]>, usize)> {
        if self.state != BomState::Expected {
            return None;
        }
        let before = self.seen;
        for &byte in bytes {
            if byte != BOM[self.seen] {
                self.state = BomState::Passed;
                return Some((Some(&BOM[..self.seen]), self.seen - before));
            }
            self.seen += 1;
            if self.seen == BOM.len() {
                self.state = BomState::Found;
                break;
            }
        }
        Some((None, self.seen - before))
    }

    /// The stream has ended: the start of a mark that never came, which is data.
    pub fn finish(&mut self) -> Option<&'static [u8]> {
        let partial = self.state == BomState::Expected && self.seen > 0;
        self.state = BomState::Passed;
        partial.then(|| &BOM[..self.seen])
    }
}
