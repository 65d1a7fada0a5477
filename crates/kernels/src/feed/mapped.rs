//! A file of a finished run, mapped into memory, each MiB block checked when it is first touched.
//!
//! A block is hashed from a scratch buffer and not through the map, so that checking a whole block for the
//! sake of one row does not make its pages resident.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{KernelError, Result};
use crate::hash::blocks::BLOCK_BYTES;

/// What the manifest says of a file.
#[derive(Debug, Clone)]
pub struct Stated {
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-64 of each MiB block.
    pub blocks: Vec<u64>,
}

/// A mapped file.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    /// `None` when the file is empty, which cannot be mapped.
    map: Option<Mmap>,
    blocks: Vec<u64>,
    /// A bit for each block that was found right; empty when nothing is to be checked.
    right: Vec<AtomicU64>,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl MappedFile {
    /// Maps the file; with `check`, blocks are held against their checksums when first touched.
    ///
    /// # Errors
    /// `Io` when it cannot be opened or mapped; `Format` when its length is not the stated one.
    pub fn open(path: &Path, stated: Stated, check: bool) -> Result<Self> {
        let file = File::open(path).map_err(KernelError::io("open", path))?;
        let bytes = file.metadata().map_err(KernelError::io("read", path))?.len();
        if bytes != stated.bytes || stated.blocks.len() as u64 != bytes.div_ceil(BLOCK_BYTES as u64) {
            let reason = format!(
                "{} has {bytes} bytes, the manifest states {} in {} blocks",
                path.display(),
                stated.bytes,
                stated.blocks.len()
            );
            return Err(KernelError::format("run", reason));
        }
        // SAFETY: the files of a finished run are never written again. If somebody cuts one short all the
        // same, the operating system ends the process, as it does for every program that maps files.
        let map = (bytes > 0).then(|| unsafe { Mmap::map(&file) });
        let map = map.transpose().map_err(KernelError::io("map", path))?;
        let words = if check { stated.blocks.len().div_ceil(64) } else { 0 };
        let right = (0..words).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path: path.to_owned(), map, blocks: stated.blocks, right })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.len() as u64)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.map.is_none()
    }

    /// The bytes [from, to).
    ///
    /// # Errors
    /// `Format` when they reach past the end; `Checksum` when a block they lie in is not what was
    /// written; `Io` when it cannot be read.
    pub fn bytes(&self, from: u64, to: u64) -> Result<&[u8]> {
        let whole: &[u8] = self.map.as_deref().unwrap_or_default();
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let bytes = range.and_then(|(from, to)| whole.get(from..to)).ok_or_else(|| {
            let reason = format!("{} has {} bytes, not {from} to {to}", self.path.display(), whole.len());
            KernelError::format("run", reason)
        })?;
        if !self.right.is_empty() && from < to {
            let block = BLOCK_BYTES as u64;
            for at in from / block..to.div_ceil(block) {
                self.check(at as usize)?;
            }
        }
        Ok(bytes)
    }

    /// Asks the memory for what lies at a place, to be read soon.
    pub fn ask(&self, at: u64) {
        if let Some(map) = &self.map
            && let Some(byte) = map.get(at as usize..)
        {
            prefetch(&byte[..byte.len().min(1)]);
        }
    }

    fn check(&self, block: usize) -> Result<()> {
        let (word, bit) = (&self.right[block / 64], 1 << (block % 64));
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        let got = self.hash(block)?;
        if got != self.blocks[block] {
            let path = self.path.clone();
            return Err(KernelError::Checksum { path, block, expected: self.blocks[block], got });
        }
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    fn hash(&self, block: usize) -> Result<u64> {
        let from = (block * BLOCK_BYTES) as u64;
        let bytes = (self.len() - from).min(BLOCK_BYTES as u64) as usize;
        // Opened for each block and not kept: a corpus may have more shards than a process may open files.
        let file = File::open(&self.path).map_err(KernelError::io("open", &self.path))?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(BLOCK_BYTES, 0);
            file.read_exact_at(&mut scratch[..bytes], from).map_err(KernelError::io("read", &self.path))?;
            Ok(xxh3_64(&scratch[..bytes]))
        })
    }
}

/// Asks the memory for the beginning of each page of `bytes`; the rest of a page follows by itself once it is read.
pub fn prefetch(bytes: &[u8]) {
    const PAGE: usize = 4096;
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for page in bytes.chunks(PAGE) {
        for line in page[..page.len().min(4 * LINE)].chunks(LINE) {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: SSE is part of x86-64, and a prefetch is a hint that reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::blocks::BlockHasher;

    fn stated(bytes: &[u8]) -> Stated {
        let mut hasher = BlockHasher::default();
        hasher.update(bytes);
        let found = hasher.finish();
        Stated { bytes: found.bytes, blocks: found.blocks }
    }

    #[test]
    fn a_damaged_block_is_found_when_it_is_touched() {
        let path = std::env::temp_dir().join(format!("gristmill-mapped-{}", std::process::id()));
        let mut bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 17).map(|i| ((i * 31) >> 3) as u8).collect();
        let stated = stated(&bytes);
        bytes[BLOCK_BYTES + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let file = MappedFile::open(&path, stated.clone(), true).unwrap();
        let block = BLOCK_BYTES as u64;
        assert_eq!(file.bytes(5, 9).unwrap(), &bytes[5..9]);
        assert_eq!(file.bytes(2 * block, file.len()).unwrap(), &bytes[2 * BLOCK_BYTES..]);
        let error = file.bytes(block - 1, block + 1).unwrap_err();
        assert_eq!(error.code(), "GM_SHARD_CHECKSUM");
        assert!(error.to_string().contains("MiB block 1"), "{error}");
        assert_eq!(file.bytes(0, file.len() + 1).unwrap_err().code(), "GM_FORMAT");
        let trusting = MappedFile::open(&path, stated.clone(), false).unwrap();
        assert_eq!(trusting.bytes(block, block + 1).unwrap(), &bytes[BLOCK_BYTES..=BLOCK_BYTES]);
        std::fs::write(&path, &bytes[1..]).unwrap();
        assert_eq!(MappedFile::open(&path, stated, true).unwrap_err().code(), "GM_FORMAT");
        std::fs::remove_file(&path).unwrap();
    }
}
