//! The folder in shared memory that belongs to a cache, there as long as somebody has the cache open.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::entry::Place;
use super::index::lock_shared;
use super::level::Level;
use super::making::is_at;
use super::stats::Counters;
use crate::error::{KernelError, Result};

/// The second level.
pub(super) struct Shared {
    pub(super) level: Level,
    folder: PathBuf,
    /// Shared-locked by every process that has the folder open.
    users: File,
    /// A forked child has a copy of this, and must leave the folder to its parent.
    process: u32,
}

impl Shared {
    /// Where the cache at `cache` keeps its shared memory below `memory`.
    pub(super) fn folder_of(cache: &Path, memory: &Path) -> Result<PathBuf> {
        let real = cache.canonicalize().map_err(KernelError::io("open", cache))?;
        let user = std::fs::metadata(cache).map_err(KernelError::io("read", cache))?.uid();
        let name = xxh3_64(real.as_os_str().as_encoded_bytes());
        Ok(memory.join(format!("gristmill-{user}-{name:016x}")))
    }

    /// Opens the folder, making it when absent.
    pub(super) fn open(folder: PathBuf, bound: u64, counters: Arc<Counters>) -> Result<Self> {
        loop {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(KernelError::io("create", folder)(error));
                }
                _ => {}
            }
            check_owner(&folder)?;
            let path = folder.join("users");
            let users = match File::options().read(true).write(true).create(true).truncate(false).open(&path)
            {
                Ok(users) => users,
                // The last user before removed the folder just now.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(KernelError::io("open", path)(error)),
            };
            lock_shared(&users).map_err(KernelError::io("lock", &path))?;
            if is_at(&users, &path) {
                let level = Level::open(&folder, Place::Shared, bound, counters)?;
                return Ok(Self { level, folder, users, process: std::process::id() });
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Memory, unlike disk, should not stay behind; whoever still maps an entry keeps its pages until then.
        if self.process == std::process::id() && self.users.try_lock().is_ok() {
            // Under another name first: who opens the cache meanwhile must not find half of it. What fails here
            // is left for the next user.
            let closed = self.folder.with_extension("closed");
            let _ = std::fs::remove_dir_all(&closed);
            if std::fs::rename(&self.folder, &closed).is_ok() {
                let _ = std::fs::remove_dir_all(&closed);
            }
        }
    }
}

/// Refuses a folder that another user laid out under our name, in a place where everybody may.
fn check_owner(folder: &Path) -> Result<()> {
    let metadata = std::fs::symlink_metadata(folder).map_err(KernelError::io("read", folder))?;
    // The kernel gives the folder of a process to its user.
    let me = std::fs::metadata("/proc/self").map_or(metadata.uid(), |process| process.uid());
    // The six lowest bits are the rights of the group and of others.
    if metadata.is_dir() && metadata.uid() == me && metadata.mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    let reason = format!("{} exists and is not this user's own folder", folder.display());
    Err(KernelError::Option { name: "shared".to_owned(), reason })
}
