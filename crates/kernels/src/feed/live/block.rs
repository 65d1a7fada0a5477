//! A block: the packed sequences of one task, in one stretch of memory.
//!
//! | bytes, little-endian | what |
//! |---|---|
//! | 8 | `GMBLOCK1` |
//! | u32 | bytes of an id, 2 or 4 |
//! | u32 | ids of a full sequence |
//! | u64 × 8 | sequences, pieces, ids; rows read, removed, quarantined; documents; ids cut off |
//! | u64 × sequences | first piece of each sequence |
//! | 16 × pieces | u64 first id, u32 0, u32 ids: an entry of `pieces.npy` |
//! | ids | document after document, as in a `.bin` |
//!
//! These are the arrays of a packing and the ids of a shard, so that the gather reads blocks as it reads runs.
//! There is no checksum: memory that came over the socket needs none, and [`crate::cache`] has its own.

use std::fs::File;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use serde::{Deserialize, Serialize};

use crate::cache::Entry;
use crate::error::{KernelError, Result};
use crate::feed::dataset::{Ids, Stretch};
use crate::pack::window::PIECE_BYTES;

pub(super) const MAGIC: &[u8; 8] = b"GMBLOCK1";
pub(super) const HEADER_BYTES: usize = 80;
/// What the cache calls the bytes of a block.
pub const ARRAY: &str = "block";

/// What was counted while a block was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCounts {
    /// Rows the source gave.
    pub rows: u64,
    /// Rows that steps removed.
    pub removed: u64,
    /// Records that could not be read.
    pub quarantined: u64,
    /// Documents that were packed.
    pub documents: u64,
    /// Ids that `truncate` cut off.
    pub truncated: u64,
}

/// A block that is being read.
#[derive(Debug)]
pub struct Block {
    memory: Memory,
    width: usize,
    length: u32,
    sequences: u64,
    pieces: u64,
    ids: u64,
    counts: BlockCounts,
}

/// Where the bytes of a block lie.
#[derive(Debug)]
enum Memory {
    Map(Mmap),
    Entry(Arc<Entry>),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Entry(entry) => {
                let view = entry.places().first().and_then(|place| entry.view(place));
                view.map_or(&[], |view| view.bytes)
            }
        }
    }
}

impl Block {
    /// Maps a block that came over the socket.
    ///
    /// # Errors
    /// `Format` when it is none or is cut short; `Io` when it cannot be mapped.
    pub fn map(file: &File) -> Result<Self> {
        // SAFETY: the memory is sealed, or unlinked and known to nobody else. All pages are looked up at once,
        // which is cheaper than one after the other.
        let map = unsafe { MmapOptions::new().populate().map(file) };
        Self::read(Memory::Map(map.map_err(KernelError::io("map", "a block"))?))
    }

    /// A block that lies in the cache.
    ///
    /// # Errors
    /// `Format` when it is none or is cut short.
    pub fn of_entry(entry: Arc<Entry>) -> Result<Self> {
        Self::read(Memory::Entry(entry))
    }

    fn read(memory: Memory) -> Result<Self> {
        let map = memory.bytes();
        let bad = |reason: &str| KernelError::format("block", reason);
        if map.len() < HEADER_BYTES || &map[..8] != MAGIC {
            return Err(bad("it does not begin as one"));
        }
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| map[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| map[at + i]));
        let (width, length) = (u32_at(8) as usize, u32_at(12));
        let [sequences, pieces, ids, rows, removed, quarantined, documents, truncated] =
            std::array::from_fn(|number| u64_at(16 + 8 * number));
        let whole = [(sequences, 8), (pieces, PIECE_BYTES), (ids, width as u64)]
            .iter()
            .try_fold(HEADER_BYTES as u64, |sum, (count, size)| sum.checked_add(count.checked_mul(*size)?));
        if !matches!(width, 2 | 4) || whole != Some(map.len() as u64) {
            return Err(bad("its length is not what its header states"));
        }
        let counts = BlockCounts { rows, removed, quarantined, documents, truncated };
        Ok(Self { memory, width, length, sequences, pieces, ids, counts })
    }

    /// Sequences in it.
    #[must_use]
    pub fn sequences(&self) -> u64 {
        self.sequences
    }

    /// Ids of a full sequence.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// What was counted while it was made.
    #[must_use]
    pub fn counts(&self) -> BlockCounts {
        self.counts
    }

    /// Appends the stretches of a sequence to `out`.
    ///
    /// # Errors
    /// `Format` when the block's index points outside itself or holds more than a sequence.
    pub fn stretches(&self, sequence: u64, out: &mut Vec<Stretch>) -> Result<()> {
        let bad = || KernelError::format("block", format!("sequence {sequence} lies outside it"));
        if sequence >= self.sequences {
            return Err(bad());
        }
        let map = self.memory.bytes();
        let boundary = |sequence: u64| {
            let at = HEADER_BYTES + 8 * sequence as usize;
            u64::from_le_bytes(std::array::from_fn(|i| map[at + i]))
        };
        let from = boundary(sequence);
        let to = if sequence + 1 < self.sequences { boundary(sequence + 1) } else { self.pieces };
        if from >= to || to > self.pieces {
            return Err(bad());
        }
        let pieces_at = HEADER_BYTES + 8 * self.sequences as usize;
        let piece = PIECE_BYTES as usize;
        let bytes = &map[pieces_at + from as usize * piece..pieces_at + to as usize * piece];
        let before = out.len();
        out.extend(bytes.chunks_exact(piece).map(Stretch::read));
        let filled: u64 = out[before..].iter().map(|stretch| u64::from(stretch.length)).sum();
        if filled > u64::from(self.length) { Err(bad()) } else { Ok(()) }
    }

    /// The ids of a stretch, from its id `from` on, `length` of them.
    ///
    /// # Errors
    /// `Format` when they lie outside the block.
    pub fn ids(&self, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>> {
        let from = stretch.from.saturating_add(from.into());
        let to = from.saturating_add(length.into());
        if to > self.ids {
            let reason = format!("a piece ends at id {to} of {}", self.ids);
            return Err(KernelError::format("block", reason));
        }
        let map = self.memory.bytes();
        let ids_at = map.len() - self.ids as usize * self.width;
        let bytes = &map[ids_at + from as usize * self.width..ids_at + to as usize * self.width];
        Ok(if self.width == 2 { Ids::U16(bytes) } else { Ids::I32(bytes) })
    }
}
