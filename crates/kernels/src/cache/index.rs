//! What all processes count together of a level, in one small file whose `flock` orders their changes.
//!
//! The file is marked before entries are added or removed and unmarked after. Whoever finds the mark with the
//! lock free knows that somebody died between the two, and counts anew; so does the first after a restart of the
//! machine, whose files may be older than their index.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::stats::Lifetime;
use crate::error::{KernelError, Result};

const MAGIC: u64 = u64::from_le_bytes(*b"GMINDEX1");
/// Magic, boot, mark, bytes, entries; the counters; a checksum.
const WORDS: usize = 5 + Lifetime::WORDS + 1;

/// The shared totals of a level.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    boot: u64,
}

/// The lock, and the totals while it is held.
pub(super) struct Held {
    file: File,
    path: PathBuf,
    boot: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
    pub(super) lifetime: Lifetime,
}

impl Index {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, boot: boot() }
    }

    /// Waits for the lock and reads the totals, counting anew with `count` (bytes, entries) where they cannot be
    /// trusted.
    pub(super) fn lock(&self, count: impl FnOnce() -> Result<(u64, u64)>) -> Result<Held> {
        // Opened each time: a descriptor that a forked child shares would let both in.
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&self.path);
        let file = open.map_err(KernelError::io("open", &self.path))?;
        lock_exclusive(&file).map_err(KernelError::io("lock", &self.path))?;
        let mut held = Held {
            file,
            path: self.path.clone(),
            boot: self.boot,
            bytes: 0,
            entries: 0,
            lifetime: Lifetime::default(),
        };
        if !held.read()? {
            (held.bytes, held.entries) = count()?;
            held.write(false)?;
        }
        Ok(held)
    }
}

impl Held {
    /// Reads the totals; false when they cannot be trusted.
    fn read(&mut self) -> Result<bool> {
        let mut bytes = [0; WORDS * 8];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(KernelError::io("read", &self.path)(error)),
        }
        let mut words = [0; WORDS];
        for (word, eight) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*eight);
        }
        if words[0] != MAGIC || words[WORDS - 1] != xxh3_64(&bytes[..(WORDS - 1) * 8]) {
            return Ok(false);
        }
        self.lifetime = Lifetime::of_words(&words[5..WORDS - 1]);
        (self.bytes, self.entries) = (words[3], words[4]);
        Ok(words[2] == 0 && words[1] == self.boot && self.boot != 0)
    }

    fn write(&self, marked: bool) -> Result<()> {
        let mut words = vec![MAGIC, self.boot, u64::from(marked), self.bytes, self.entries];
        words.extend(self.lifetime.words());
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        self.file.write_all_at(&bytes, 0).map_err(KernelError::io("write", &self.path))
    }

    /// Marks that entries are about to be added or removed.
    pub(super) fn begin(&self) -> Result<()> {
        self.write(true)
    }

    /// Writes the totals and takes the mark away.
    pub(super) fn finish(self) -> Result<()> {
        self.write(false)
    }

    /// An entry is gone.
    pub(super) fn subtract(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries = self.entries.saturating_sub(1);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Said aloud, since a child that was forked meanwhile has the descriptor too. Nothing to do when it fails:
        // closing the file unlocks it as well.
        let _ = self.file.unlock();
    }
}

/// Waits for an exclusive lock; a signal does not end the wait.
fn lock_exclusive(file: &File) -> std::io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Waits for a shared lock.
pub(super) fn lock_shared(file: &File) -> std::io::Result<()> {
    loop {
        match file.lock_shared() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// This start of the machine; 0 when it cannot be told, and then totals are counted by each process that comes.
fn boot() -> u64 {
    std::fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| xxh3_64(&id).max(1))
}
