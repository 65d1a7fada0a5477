//! A cache of named arrays, by the hash of what they were made from and how.
//!
//! Three levels, asked in this order: the memory of the process (entries kept at hand), shared memory (files in a
//! folder of a memory file system), disk. Each is bounded in bytes and lets go of the longest unused entry first,
//! never of one that somebody reads. Entries are memory-mapped, so all processes share their pages, and nothing is
//! copied to read them. Any number of processes may use one cache; a process that dies at any point leaves it right.
//!
//! ```
//! use gristmill_kernels::cache::{Cache, Key, NewArray, Options};
//! # fn main() -> gristmill_kernels::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("gristmill-cache-doc-{}", std::process::id()));
//! let cache = Cache::open(&Options { memory: 64 << 20, disk: 1 << 30, ..Options::at(&folder) })?;
//! let key = Key::of_parts([b"the text".as_slice(), b"how it is made".as_slice()]);
//! let entry = cache.get_or_make(key, || Ok(vec![NewArray::of_bytes("upper", b"THE TEXT")]))?;
//! assert_eq!(entry.array("upper").unwrap().bytes, b"THE TEXT");
//! # drop(cache);
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! What an entry is made of must follow from its key: the cache gives what is there and does not ask again. The
//! folder must be on a file system of this machine; locks and maps of network file systems promise less.

mod array;
mod entry;
mod index;
mod key;
mod level;
mod making;
mod memory;
mod shared;
mod stats;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use array::{ALIGNMENT, ArrayPlace, ArrayView, Dtype, NewArray};
pub use entry::{Entry, Place};
pub use key::Key;
pub use stats::{Lifetime, Stats};

use entry::{Plan, footer_of_file};
use level::Level;
use making::Making;
use memory::{LetGo, Memory};
use shared::Shared;
use stats::{Counters, Event};

use crate::error::{KernelError, Result};

/// First and longest pause between two looks at a lock that somebody else holds.
const PAUSES: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(20));

/// Where a cache lies and how large it may become, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its folder, made when absent.
    pub path: PathBuf,
    /// Entries that this process keeps at hand.
    pub memory: u64,
    /// Entries in shared memory, of all processes; 0 for none.
    pub shared: u64,
    /// A folder of a memory file system, below which the shared entries lie.
    pub shared_folder: PathBuf,
    /// Entries on disk, of all processes; 0 for none.
    pub disk: u64,
}

impl Options {
    /// Nothing stored anywhere, which the caller changes.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let shared_folder = PathBuf::from("/dev/shm");
        Self { path: path.into(), memory: 0, shared: 0, shared_folder, disk: 0 }
    }
}

/// A cache that is open; clones are the same one.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    memory: Memory,
    shared: Option<Shared>,
    disk: Level,
    counters: Arc<Counters>,
}

/// What [`Cache::claim`] found.
#[derive(Debug)]
pub enum Claim {
    /// The entry is there.
    Found(Arc<Entry>),
    /// It is not, and the caller is the one to make it.
    Make(Maker),
    /// Somebody else is making it still.
    Busy,
}

/// The right to make one entry. Nobody else gets it until this is dropped, in any process; it ends with the process.
#[derive(Debug)]
pub struct Maker {
    cache: Cache,
    making: Making,
}

/// What lies in a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Finished entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What lies in a cache, for all processes, and what they counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// On disk.
    pub disk: Held,
    /// In shared memory, while somebody has it open.
    pub shared: Option<Held>,
    /// Counted by all processes.
    pub lifetime: Lifetime,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens the cache, making it when absent. What dead processes left unfinished is cleared, and entries beyond a
    /// smaller bound are removed. Shared memory that cannot be had is counted as a failed write and done without.
    ///
    /// # Errors
    /// `Io` when the folder cannot be made or written to.
    pub fn open(options: &Options) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let disk = Level::open(&options.path, Place::Disk, options.disk, Arc::clone(&counters))?;
        let shared = if options.shared > 0 {
            let folder = Shared::folder_of(&options.path, &options.shared_folder)?;
            Shared::open(folder, options.shared, Arc::clone(&counters))
                .map_err(|error| counters.fail(&error))
                .ok()
        } else {
            None
        };
        Ok(Self { inner: Arc::new(Inner { memory: Memory::new(options.memory), shared, disk, counters }) })
    }

    /// Opens a cache that exists, to look at and to prune; nothing is removed for a bound.
    ///
    /// # Errors
    /// `Option` when there is none; `Io` as [`Self::open`].
    pub fn existing(path: &Path) -> Result<Self> {
        if !path.join("index").is_file() || !path.join("entries").is_dir() {
            let reason = format!("{} is no cache of Gristmill", path.display());
            return Err(KernelError::Option { name: "path".to_owned(), reason });
        }
        let options = Options { disk: u64::MAX, ..Options::at(path) };
        let folder = Shared::folder_of(path, &options.shared_folder)?;
        Self::open(&Options { shared: if folder.is_dir() { u64::MAX } else { 0 }, ..options })
    }

    /// The entry, from the first level that has it. A damaged one is removed, counted, and looked for in the next.
    ///
    /// # Errors
    /// `Io` when a file that is there cannot be read.
    pub fn find(&self, key: Key) -> Result<Option<Arc<Entry>>> {
        let found = self.inner.look(key)?;
        if found.is_none() {
            self.inner.counters.count(Event::Miss);
        }
        Ok(found)
    }

    /// The entry, or the right to make it. While somebody else makes it this waits, `patience` at the most.
    ///
    /// # Errors
    /// As [`Self::find`], and `Io` when the folder cannot be written to.
    pub fn claim(&self, key: Key, patience: Duration) -> Result<Claim> {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            if let Some(entry) = self.inner.look(key)? {
                return Ok(Claim::Found(entry));
            }
            if let Some(making) = Making::begin(&self.inner.disk.making(), key)? {
                // Somebody may have finished between the look and the lock.
                if let Some(entry) = self.inner.look(key)? {
                    return Ok(Claim::Found(entry));
                }
                self.inner.counters.count(Event::Miss);
                return Ok(Claim::Make(Maker { cache: self.clone(), making }));
            }
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Claim::Busy);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The entry, made by `make` when it is nowhere. One process makes it while the others wait. `make` must not
    /// ask for the key it is making.
    ///
    /// # Errors
    /// As [`Self::claim`] and [`Maker::store`], and those of `make`.
    pub fn get_or_make<'a>(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Vec<NewArray<'a>>>,
    ) -> Result<Arc<Entry>> {
        match self.claim(key, Duration::MAX)? {
            Claim::Found(entry) => Ok(entry),
            Claim::Make(maker) => maker.store(&make()?),
            Claim::Busy => Err(KernelError::internal("a wait without end has ended")),
        }
    }

    /// What this process counted, and what the levels hold.
    ///
    /// # Errors
    /// `Io` when the totals cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let inner = &self.inner;
        // Somebody may have cleared the memory file system; the disk is what must be there.
        let shared_bytes = inner.shared.as_ref().and_then(|shared| shared.level.lock().ok());
        Ok(Stats {
            counted: inner.counters.counted(),
            memory_bytes: inner.memory.bytes(),
            shared_bytes: shared_bytes.map_or(0, |held| held.bytes),
            disk_bytes: inner.disk.lock()?.bytes,
            last_failure: inner.counters.last_failure(),
        })
    }

    /// What lies in the cache, for all processes.
    ///
    /// # Errors
    /// `Io` when the totals cannot be read.
    pub fn contents(&self) -> Result<Contents> {
        let held = |level: &Level| level.lock().map(|held| Held { entries: held.entries, bytes: held.bytes });
        let shared = self.inner.shared.as_ref().map(|shared| held(&shared.level)).transpose()?;
        let mut totals = self.inner.disk.lock()?;
        self.inner.counters.tell(&mut totals.lifetime);
        let (entries, bytes, lifetime) = (totals.entries, totals.bytes, totals.lifetime);
        totals.finish()?;
        Ok(Contents { disk: Held { entries, bytes }, shared, lifetime })
    }

    /// Removes entries on disk, the longest unused first, until at most `bytes` bytes stay there, and in shared
    /// memory likewise; what is being read stays.
    ///
    /// # Errors
    /// `Io` when an entry cannot be removed.
    pub fn prune(&self, bytes: u64) -> Result<()> {
        self.inner.relieve();
        if let Some(shared) = &self.inner.shared {
            shared.level.shrink(bytes)?;
        }
        self.inner.disk.shrink(bytes)
    }

    /// Reads every entry and removes the damaged ones; returns how many those were.
    ///
    /// # Errors
    /// `Io` when a file cannot be read.
    pub fn verify(&self) -> Result<u64> {
        let shared = self.inner.shared.as_ref().map_or(Ok(0), |shared| shared.level.verify())?;
        Ok(shared + self.inner.disk.verify()?)
    }
}

impl Maker {
    /// The key to make.
    pub fn key(&self) -> Key {
        self.making.key()
    }

    /// Stores the arrays and gives them back as everybody will see them. Where no level has room, or writing
    /// fails, that is counted, and the entry lives in this process alone.
    ///
    /// # Errors
    /// `Option` when an array's bytes are not those of its type and shape, or two have one name.
    pub fn store(mut self, arrays: &[NewArray<'_>]) -> Result<Arc<Entry>> {
        let plan = Plan::of_arrays(self.key(), arrays)?;
        let tail = plan.footer.to_bytes()?;
        let bytes = plan.footer.data_bytes() + tail.len() as u64;
        let inner = Arc::clone(&self.cache.inner);
        let stored = inner.attempt(&inner.disk, bytes, || {
            let mut pieces = plan.pieces.clone();
            pieces.push(&tail);
            inner.disk.write(self.making.file()?, self.making.path(), &pieces)?;
            inner.disk.publish_made(&mut self.making, &|| inner.relieve())
        });
        let entry = match stored {
            Some(entry) => entry,
            None => Entry::on_heap(self.key(), &plan)?,
        };
        Ok(inner.keep(Arc::new(entry)))
    }

    /// Makes an entry of a file that exists, which is moved: its bytes are read once, for the checksums, and a
    /// footer is appended. It should lie on the disk of the cache, else it is copied. `arrays` says what is in it;
    /// [`ArrayPlace::whole`] is all of it.
    ///
    /// # Errors
    /// `Option` when an array does not lie in the file; `Io` when the file cannot be read or written to.
    pub fn store_file(mut self, path: &Path, arrays: Vec<ArrayPlace>) -> Result<Arc<Entry>> {
        let inner = Arc::clone(&self.cache.inner);
        let open = File::options().read(true).write(true).open(path);
        let mut file = open.map_err(KernelError::io("open", path))?;
        let length = file.metadata().map_err(KernelError::io("read", path))?.len();
        array::check(&arrays, length)?;
        let footer = footer_of_file(self.key(), &mut file, arrays).map_err(KernelError::io("read", path))?;
        let tail = footer.to_bytes()?;
        // Reading has left the file at its end.
        if let Err(error) = file.write_all(&tail) {
            let _ = file.set_len(length); // As it was, for the caller to use without the cache.
            return Err(KernelError::io("write", path)(error));
        }
        let stored = inner.attempt(&inner.disk, length + tail.len() as u64, || {
            file.try_lock().map_err(|error| KernelError::io("lock", path)(error.into()))?;
            let file = file.try_clone().map_err(KernelError::io("open", path))?;
            match inner.disk.publish(self.key(), file, path, &|| inner.relieve()) {
                Err(KernelError::Io { source, .. }) if source.kind() == ErrorKind::CrossesDevices => {
                    self.copy_from(path)
                }
                other => other.map(std::result::Result::ok),
            }
        });
        let entry = match stored {
            Some(entry) => entry,
            None => Entry::map(file, self.key(), Place::Process, |_, _| true)
                .map_err(KernelError::io("map", path))?
                .map_err(KernelError::internal)?,
        };
        // Its bytes are the entry's now, under another name or none.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(KernelError::io("remove", path)(error)),
            _ => Ok(inner.keep(Arc::new(entry))),
        }
    }

    /// Copies a finished file from another file system.
    fn copy_from(&mut self, path: &Path) -> Result<Option<Entry>> {
        let inner = Arc::clone(&self.cache.inner);
        let mut from = File::open(path).map_err(KernelError::io("open", path))?;
        let mut to = self.making.file()?;
        std::io::copy(&mut from, &mut to).map_err(KernelError::io("write", self.making.path()))?;
        inner.disk.publish_made(&mut self.making, &|| inner.relieve())
    }
}

impl Inner {
    /// The entry, from the first level that has it, brought to the levels above.
    fn look(&self, key: Key) -> Result<Option<Arc<Entry>>> {
        if let Some(entry) = self.memory.get(key) {
            self.counters.count(Event::MemoryHit);
            return Ok(Some(entry));
        }
        if let Some(shared) = &self.shared
            && let Some(entry) = shared.level.find(key)?
        {
            self.counters.count(Event::SharedHit);
            let entry = Arc::new(entry);
            self.let_go(self.memory.insert(&entry));
            return Ok(Some(entry));
        }
        let Some(entry) = self.disk.find(key)? else { return Ok(None) };
        self.counters.count(Event::DiskHit);
        Ok(Some(self.keep(Arc::new(entry))))
    }

    /// Brings an entry to the levels above its own; returns the one to read.
    fn keep(&self, entry: Arc<Entry>) -> Arc<Entry> {
        let copied = self.shared.as_ref().and_then(|Shared { level, .. }| {
            self.attempt(level, entry.len(), || level.copy_in(&entry, &|| self.relieve()))
        });
        let entry = copied.map_or(entry, Arc::new);
        self.let_go(self.memory.insert(&entry));
        entry
    }

    /// Tries to store `bytes` bytes in a level. Failing is no error, since an entry needs no level to be used; it
    /// is counted.
    fn attempt(
        &self,
        level: &Level,
        bytes: u64,
        store: impl FnOnce() -> Result<Option<Entry>>,
    ) -> Option<Entry> {
        if level.bound() == 0 {
            return None;
        }
        let stored = if bytes > level.bound() { Ok(None) } else { store() };
        match stored {
            Ok(Some(entry)) => return Some(entry),
            Ok(None) => self.counters.count(Event::Refused),
            Err(error) => self.counters.fail(&error),
        }
        None
    }

    /// Lets go of what is at hand and not being read, so that files can be removed for which it is the only reader.
    fn relieve(&self) {
        self.let_go(self.memory.release_idle());
    }

    /// Leaves the time of the last use with the files: uses from memory did not touch them.
    fn let_go(&self, gone: Vec<LetGo>) {
        for (entry, used) in gone {
            match (entry.place(), &self.shared) {
                (Place::Shared, Some(shared)) => shared.level.touch(entry.key(), used),
                (Place::Disk, _) => self.disk.touch(entry.key(), used),
                _ => {}
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.relieve();
        // Counting for the record must not fail what is done.
        if let Ok(mut held) = self.disk.lock() {
            self.counters.tell(&mut held.lifetime);
            let _ = held.finish();
        }
    }
}
