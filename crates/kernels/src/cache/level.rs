//! A level of files: a folder of entries, bounded in bytes, the longest unused removed first.
//!
//! ```text
//! index          totals of all processes; its lock orders additions and removals
//! entries/ab/…   finished entries by key; the time of modification is the time of the last use
//! making/…       scratch files, each locked by its maker
//! ```
//!
//! Readers take no lock of the level: they open an entry and share its own `flock`. Removing takes that lock alone,
//! without waiting, so an entry that anybody reads stays, and counts.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustc_hash::FxHashSet;

use super::entry::{Entry, Place};
use super::index::{Held, Index, lock_shared};
use super::key::Key;
use super::making::{Making, sweep};
use super::stats::{Counters, Event};
use crate::error::{KernelError, Result};

/// Files known to be right; past this many, all are checked anew.
const KNOWN: usize = 1 << 20;

/// An entry as a scan saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    used: SystemTime,
    key: Key,
    inode: u64,
}

enum Evicted {
    Yes,
    /// Somebody reads it.
    InUse,
    /// It was removed, replaced or used since the scan.
    Changed,
}

/// A folder of entries.
pub(super) struct Level {
    folder: PathBuf,
    place: Place,
    bound: u64,
    index: Index,
    counters: Arc<Counters>,
    /// The longest unused first. Whatever was used after the scan is younger than all of it.
    oldest: Mutex<VecDeque<Candidate>>,
    /// Inode and nonce of the files whose blocks this process has checked.
    known: Mutex<FxHashSet<(u64, u64)>>,
}

impl Level {
    /// Opens the folder, making it when absent, clears what dead makers left, and removes what a smaller bound
    /// does not hold.
    pub(super) fn open(folder: &Path, place: Place, bound: u64, counters: Arc<Counters>) -> Result<Self> {
        for name in ["entries", "making"] {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(KernelError::io("create", &path))?;
        }
        let level = Self {
            folder: folder.to_owned(),
            place,
            bound,
            index: Index::new(folder.join("index")),
            counters,
            oldest: Mutex::default(),
            known: Mutex::default(),
        };
        sweep(&level.making())?;
        level.shrink(bound)?;
        Ok(level)
    }

    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// Where scratch files lie.
    pub(super) fn making(&self) -> PathBuf {
        self.folder.join("making")
    }

    fn path_of(&self, key: Key) -> PathBuf {
        let name = key.to_string();
        self.folder.join("entries").join(&name[..2]).join(name)
    }

    /// The lock of the level, and its totals.
    pub(super) fn lock(&self) -> Result<Held> {
        self.index.lock(|| self.scan().map(|(bytes, found)| (bytes, found.len() as u64)))
    }

    /// The entry, mapped. A damaged one is removed and counts as absent.
    pub(super) fn find(&self, key: Key) -> Result<Option<Entry>> {
        let path = self.path_of(key);
        let Some(file) = opened(&path)? else { return Ok(None) };
        let failed = KernelError::io("read", &path);
        let locked = lock_shared(&file).and_then(|()| file.metadata());
        let metadata = match locked {
            Ok(metadata) => metadata,
            Err(error) => return Err(failed(error)),
        };
        if metadata.nlink() == 0 {
            return Ok(None); // Removed between opening and locking: nobody would count it.
        }
        // Refused where somebody else owns the file; the order then knows of its first use only.
        let _ = file.set_modified(SystemTime::now());
        match Entry::map(file, key, self.place, |inode, nonce| self.knows(inode, nonce)).map_err(failed)? {
            Ok(entry) => {
                self.remember(metadata.ino(), entry.footer().nonce);
                Ok(Some(entry))
            }
            Err(_damage) => {
                self.counters.count(Event::Corrupt);
                self.remove(key, metadata.ino())?;
                Ok(None)
            }
        }
    }

    fn knows(&self, inode: u64, nonce: u64) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&(inode, nonce))
    }

    fn remember(&self, inode: u64, nonce: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert((inode, nonce));
    }

    /// Sets the time of the last use to an earlier moment than now.
    pub(super) fn touch(&self, key: Key, used: SystemTime) {
        if let Ok(file) = File::open(self.path_of(key))
            && file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|known| known < used)
        {
            let _ = file.set_modified(used); // As in `find`.
        }
    }

    /// Writes pieces into a scratch file. When there is no space left, entries give way once.
    pub(super) fn write(&self, file: &File, path: &Path, pieces: &[&[u8]]) -> Result<()> {
        match written(file, pieces) {
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                // Gives back what was written so far; it is written over in any case.
                let _ = file.set_len(0);
                let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
                let mut held = self.lock()?;
                held.begin()?;
                let allowed = held.bytes.saturating_sub(bytes as u64);
                self.make_room(&mut held, allowed)?;
                held.finish()?;
                written(file, pieces)
            }
            other => other,
        }
        .map_err(KernelError::io("write", path))
    }

    /// Gives the finished file at `from`, which the caller has locked, its name as an entry. `Err(file)` when the
    /// level has no room for it, even after `relieve` let go of what this process holds without using it.
    pub(super) fn publish(
        &self,
        key: Key,
        file: File,
        from: &Path,
        relieve: &dyn Fn(),
    ) -> Result<std::result::Result<Entry, File>> {
        let metadata = file.metadata().map_err(KernelError::io("read", from))?;
        let Some(allowed) = self.bound.checked_sub(metadata.len()) else { return Ok(Err(file)) };
        let mut held = self.lock()?;
        held.begin()?;
        if !self.make_room(&mut held, allowed)? {
            relieve();
            if !self.make_room(&mut held, allowed)? {
                held.finish()?;
                return Ok(Err(file));
            }
        }
        let path = self.path_of(key);
        if let Ok(before) = std::fs::metadata(&path) {
            held.subtract(before.len());
        }
        rename(from, &path)?;
        (held.bytes, held.entries) = (held.bytes + metadata.len(), held.entries + 1);
        if self.place == Place::Disk {
            self.counters.tell(&mut held.lifetime);
        }
        // From the maker's lock to a reader's before anybody may remove it.
        let _ = file.set_modified(SystemTime::now());
        lock_shared(&file).map_err(KernelError::io("lock", &path))?;
        held.finish()?;
        let mapped = Entry::map(file, key, self.place, |_, _| true).map_err(KernelError::io("map", &path))?;
        let entry = mapped.map_err(KernelError::internal)?;
        self.remember(metadata.ino(), entry.footer().nonce);
        Ok(Ok(entry))
    }

    /// Copies an entry of another level into this one. `None` when there is no room for it, or when somebody else
    /// is at it.
    pub(super) fn copy_in(&self, entry: &Entry, relieve: &dyn Fn()) -> Result<Option<Entry>> {
        let Some(mut making) = Making::begin(&self.making(), entry.key())? else { return Ok(None) };
        if let Some(found) = self.find(entry.key())? {
            return Ok(Some(found)); // Copied by somebody else before this one got the right to.
        }
        self.write(making.file()?, making.path(), &[entry.whole()])?;
        self.publish_made(&mut making, relieve)
    }

    /// Publishes a scratch file; `None` when there is no room for it.
    pub(super) fn publish_made(&self, making: &mut Making, relieve: &dyn Fn()) -> Result<Option<Entry>> {
        let path = making.path().to_owned();
        let file = making.file()?.try_clone().map_err(KernelError::io("open", &path))?;
        let published = self.publish(making.key(), file, &path, relieve)?.ok();
        if published.is_some() {
            drop(making.published());
        }
        Ok(published)
    }

    /// Removes entries, the longest unused first, until at most `bytes` bytes stay, or only what is being read.
    pub(super) fn shrink(&self, bytes: u64) -> Result<()> {
        let mut held = self.lock()?;
        if held.bytes > bytes {
            held.begin()?;
            self.make_room(&mut held, bytes)?;
            held.finish()?;
        }
        Ok(())
    }

    /// Reads every entry; removes the damaged ones and says how many there were.
    pub(super) fn verify(&self) -> Result<u64> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let before = self.counters.counted().corrupt;
        let (_, found) = self.scan()?;
        for candidate in found {
            self.find(candidate.key)?;
            // Looking is no use; the order stays as it was.
            if let Some(file) = opened(&self.path_of(candidate.key))? {
                let _ = file.set_modified(candidate.used);
            }
        }
        Ok(self.counters.counted().corrupt - before)
    }

    /// Removes what is not the longest unused until `allowed` bytes stay; false when they cannot.
    fn make_room(&self, held: &mut Held, allowed: u64) -> Result<bool> {
        if held.bytes <= allowed {
            return Ok(true);
        }
        let mut oldest = self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut in_use, mut scanned) = (Vec::new(), false);
        while held.bytes > allowed {
            let Some(candidate) = oldest.pop_front() else {
                if scanned {
                    break;
                }
                scanned = true;
                in_use.clear();
                let (bytes, mut found) = self.scan()?;
                (held.bytes, held.entries) = (bytes, found.len() as u64);
                found.sort_unstable();
                oldest.extend(found);
                continue;
            };
            match self.evict(&candidate, held)? {
                Evicted::Yes => self.counters.count(Event::Eviction),
                Evicted::InUse => in_use.push(candidate),
                Evicted::Changed => {}
            }
        }
        for candidate in in_use.into_iter().rev() {
            oldest.push_front(candidate);
        }
        Ok(held.bytes <= allowed)
    }

    fn evict(&self, candidate: &Candidate, held: &mut Held) -> Result<Evicted> {
        let path = self.path_of(candidate.key);
        let Some(file) = opened(&path)? else { return Ok(Evicted::Changed) };
        let metadata = file.metadata().map_err(KernelError::io("read", &path))?;
        let used = metadata.modified().map_err(KernelError::io("read", &path))?;
        if metadata.ino() != candidate.inode || used != candidate.used {
            return Ok(Evicted::Changed);
        }
        if file.try_lock().is_err() {
            return Ok(Evicted::InUse);
        }
        std::fs::remove_file(&path).map_err(KernelError::io("remove", &path))?;
        held.subtract(metadata.len());
        Ok(Evicted::Yes)
    }

    /// Removes one entry if it is still that file.
    fn remove(&self, key: Key, inode: u64) -> Result<()> {
        let path = self.path_of(key);
        let mut held = self.lock()?;
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.ino() == inode
        {
            held.begin()?;
            std::fs::remove_file(&path).map_err(KernelError::io("remove", &path))?;
            held.subtract(metadata.len());
            held.finish()?;
        }
        Ok(())
    }

    /// All entries, and their bytes together.
    fn scan(&self) -> Result<(u64, Vec<Candidate>)> {
        let (mut bytes, mut found) = (0, Vec::new());
        let entries = self.folder.join("entries");
        for folder in listed(&entries)? {
            for path in listed(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(key) = name.and_then(Key::of_name) else { continue };
                // Gone since it was listed: only a corrupt one can be, and then it does not count.
                let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
                let Ok(used) = metadata.modified() else { continue };
                bytes += metadata.len();
                found.push(Candidate { used, key, inode: metadata.ino() });
            }
        }
        Ok((bytes, found))
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || KernelError::io("list", folder);
    match std::fs::read_dir(folder) {
        Ok(items) => items.map(|item| item.map(|item| item.path()).map_err(failed())).collect(),
        Err(error) if matches!(error.kind(), ErrorKind::NotADirectory | ErrorKind::NotFound) => {
            Ok(Vec::new())
        }
        Err(error) => Err(failed()(error)),
    }
}

/// Writes from the start. Through `write`, never through a map: a page that shared memory has no room for is an
/// error here, and would end the process there.
fn written(mut file: &File, pieces: &[&[u8]]) -> std::io::Result<()> {
    file.rewind()?;
    pieces.iter().try_for_each(|piece| file.write_all(piece))
}

fn opened(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KernelError::io("open", path)(error)),
    }
}

/// Renames, making the folder that `to` lies in when it is the first there.
fn rename(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = to.parent().unwrap_or(to);
            std::fs::create_dir_all(folder).map_err(KernelError::io("create", folder))?;
            std::fs::rename(from, to)
        }
        other => other,
    }
    .map_err(KernelError::io("rename", from))
}
