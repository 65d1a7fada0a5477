//! An entry: arrays in memory, mapped from a file or on the heap, and the file's format.
//!
//! ```text
//! data      the arrays, each at its offset; blocks of 1 MiB are hashed
//! footer    JSON: key, bytes of data, arrays, XXH3-64 of each block
//! tail      u64 bytes of the footer, u64 nonce, u64 XXH3-64 of the footer seeded with the nonce, 8 bytes
//!           `GMCACHE1`; little-endian
//! ```
//!
//! What describes the data comes after it, so that a file that exists already becomes an entry by appending.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_buffer::{Buffer, MutableBuffer};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::array::{ArrayPlace, ArrayView, NewArray, check, lay_out};
use super::key::Key;
use crate::error::{KernelError, Result};
use crate::hash::blocks::{BLOCK_BYTES, BlockHasher};

const MAGIC: &[u8; 8] = b"GMCACHE1";
const TAIL_BYTES: usize = 32;
/// Zeros between arrays.
const PADDING: [u8; 64] = [0; 64];

/// Where the bytes of an entry lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Memory of this process alone: no level had room for it.
    Process,
    /// A mapped file in shared memory.
    Shared,
    /// A mapped file on disk.
    Disk,
}

/// What a file says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Footer {
    key: String,
    bytes: u64,
    arrays: Vec<ArrayPlace>,
    /// 16 hexadecimal digits a block.
    blocks: String,
    /// Differs between two files with the same content.
    #[serde(skip)]
    pub(super) nonce: u64,
}

/// Why a file is no entry.
pub(super) type Damage = String;

impl Footer {
    fn new(key: Key, arrays: Vec<ArrayPlace>, hasher: BlockHasher) -> Self {
        let found = hasher.finish();
        let mut blocks = String::with_capacity(found.blocks.len() * 16);
        for hash in &found.blocks {
            // Writing to a string cannot fail.
            let _ = write!(blocks, "{hash:016x}");
        }
        Self { key: key.to_string(), bytes: found.bytes, arrays, blocks, nonce: nonce() }
    }

    /// Bytes of the data.
    pub(super) fn data_bytes(&self) -> u64 {
        self.bytes
    }

    /// The footer and tail as they stand in the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(KernelError::internal)?;
        let (length, hash) = (bytes.len() as u64, xxh3_64_with_seed(&bytes, self.nonce));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&hash.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        Ok(bytes)
    }

    /// Reads the footer at the end of `whole`, an entry of that key.
    fn parse(whole: &[u8], key: Key) -> std::result::Result<Self, Damage> {
        let cut = || "it is cut short or no entry".to_owned();
        let at = whole.len().checked_sub(TAIL_BYTES).ok_or_else(cut)?;
        let word = |from: usize| whole[at + from..at + from + 8].try_into().map(u64::from_le_bytes);
        let (Ok(length), Ok(nonce), Ok(hash)) = (word(0), word(8), word(16)) else { return Err(cut()) };
        if &whole[at + 24..] != MAGIC {
            return Err(cut());
        }
        let start = usize::try_from(length).ok().and_then(|length| at.checked_sub(length)).ok_or_else(cut)?;
        let text = &whole[start..at];
        if xxh3_64_with_seed(text, nonce) != hash {
            return Err("its footer does not match its checksum".to_owned());
        }
        let mut footer: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if footer.key != key.to_string() || footer.bytes != start as u64 {
            return Err("its footer belongs to another file".to_owned());
        }
        check(&footer.arrays, footer.bytes).map_err(|error| error.to_string())?;
        footer.nonce = nonce;
        Ok(footer)
    }

    /// Compares each block of the data with its checksum.
    fn verify(&self, data: &[u8]) -> std::result::Result<(), Damage> {
        let mut stated = self.blocks.as_bytes().chunks_exact(16);
        for (index, block) in data.chunks(BLOCK_BYTES).enumerate() {
            let stated = stated.next().and_then(|hex| std::str::from_utf8(hex).ok());
            if stated.and_then(|hex| u64::from_str_radix(hex, 16).ok()) != Some(xxh3_64(block)) {
                return Err(format!("MiB block {index} does not match its checksum"));
            }
        }
        Ok(())
    }
}

/// Arrays laid out for writing: pieces of the file in order, and its footer.
pub(super) struct Plan<'a> {
    pub(super) pieces: Vec<&'a [u8]>,
    pub(super) footer: Footer,
}

impl<'a> Plan<'a> {
    /// Lays the arrays out and hashes them.
    pub(super) fn of_arrays(key: Key, arrays: &'a [NewArray<'a>]) -> Result<Self> {
        let (places, _) = lay_out(arrays)?;
        let (mut pieces, mut at, mut hasher) = (Vec::new(), 0_u64, BlockHasher::default());
        for (array, place) in arrays.iter().zip(&places) {
            let gap = (place.offset - at) as usize;
            for piece in [&PADDING[..gap], &array.bytes] {
                hasher.update(piece);
                pieces.push(piece);
            }
            at = place.offset + array.bytes.len() as u64;
        }
        Ok(Self { pieces, footer: Footer::new(key, places, hasher) })
    }
}

/// The footer of a file that exists, which is read once for it.
pub(super) fn footer_of_file(key: Key, file: &mut File, arrays: Vec<ArrayPlace>) -> std::io::Result<Footer> {
    let mut hasher = BlockHasher::default();
    let mut scratch = vec![0; BLOCK_BYTES];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut scratch)? {
            0 => return Ok(Footer::new(key, arrays, hasher)),
            read => hasher.update(&scratch[..read]),
        }
    }
}

#[derive(Debug)]
enum Bytes {
    Map(Mmap),
    Heap(Buffer),
}

/// Arrays by name, read-only. The memory lives as long as this does, whatever becomes of the file.
///
/// A mapped one holds a shared `flock` on its file, which is how other processes know that it is being read. The
/// descriptor is closed and the map keeps the lock: on Linux a lock belongs to the open file, which a map holds on
/// to. So an entry in use costs no descriptor.
#[derive(Debug)]
pub struct Entry {
    key: Key,
    place: Place,
    bytes: Bytes,
    footer: Footer,
    /// Elsewhere a lock may end with its descriptor.
    #[cfg(not(target_os = "linux"))]
    _locked: Option<File>,
}

impl Entry {
    /// Maps a file on which the caller holds a shared lock. `Ok(Err(…))` when it is damaged.
    pub(super) fn map(
        file: File,
        key: Key,
        place: Place,
        trusted: impl FnOnce(u64, u64) -> bool,
    ) -> std::io::Result<std::result::Result<Self, Damage>> {
        let metadata = file.metadata()?;
        if metadata.len() < TAIL_BYTES as u64 {
            return Ok(Err("it is cut short".to_owned()));
        }
        // SAFETY: files of the cache are never written after they got their name, only unlinked. If somebody cuts
        // one short all the same, the operating system ends the process, as for every program that maps files.
        let map = unsafe { Mmap::map(&file) }?;
        let footer = match Footer::parse(&map, key) {
            Ok(footer) => footer,
            Err(damage) => return Ok(Err(damage)),
        };
        if !trusted(metadata.ino(), footer.nonce)
            && let Err(damage) = footer.verify(&map[..footer.bytes as usize])
        {
            return Ok(Err(damage));
        }
        #[cfg(target_os = "linux")]
        drop(file); // The map keeps the lock.
        Ok(Ok(Self {
            key,
            place,
            bytes: Bytes::Map(map),
            footer,
            #[cfg(not(target_os = "linux"))]
            _locked: Some(file),
        }))
    }

    /// A copy on the heap, where no level takes it.
    pub(super) fn on_heap(key: Key, plan: &Plan<'_>) -> Result<Self> {
        let tail = plan.footer.to_bytes()?;
        let mut bytes = MutableBuffer::new(plan.footer.bytes as usize + tail.len());
        for piece in plan.pieces.iter().copied().chain([tail.as_slice()]) {
            bytes.extend_from_slice(piece);
        }
        Ok(Self {
            key,
            place: Place::Process,
            bytes: Bytes::Heap(bytes.into()),
            footer: plan.footer.clone(),
            #[cfg(not(target_os = "linux"))]
            _locked: None,
        })
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Where its bytes lie.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Its bytes, footer included: what it counts against the bound of a level.
    pub fn len(&self) -> u64 {
        self.whole().len() as u64
    }

    /// Whether it has no arrays.
    pub fn is_empty(&self) -> bool {
        self.footer.arrays.is_empty()
    }

    /// The whole file.
    pub(super) fn whole(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Map(map) => map,
            Bytes::Heap(buffer) => buffer,
        }
    }

    pub(super) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Its arrays in the order they were stored, and where each lies.
    pub fn places(&self) -> &[ArrayPlace] {
        &self.footer.arrays
    }

    /// The array of that name.
    pub fn array(&self, name: &str) -> Option<ArrayView<'_>> {
        self.places().iter().find(|place| place.name == name).and_then(|place| self.view(place))
    }

    /// The array at a place of this entry.
    pub fn view<'a>(&'a self, place: &'a ArrayPlace) -> Option<ArrayView<'a>> {
        let bytes = self.whole().get(place.offset as usize..place.end()? as usize)?;
        Some(ArrayView { dtype: place.dtype, shape: &place.shape, bytes })
    }
}

/// A number that no other file of the cache has, near enough.
fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let words = [nanos, u64::from(std::process::id()), count];
    xxh3_64(&words.map(u64::to_le_bytes).concat())
}
