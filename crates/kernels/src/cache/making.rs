//! The right to make one entry, which is also its scratch file: `making/KEY`, under `flock` while its maker lives.
//!
//! The lock dies with its holder, and what is left of a dead one has a name that no reader looks at.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::key::Key;
use crate::error::{KernelError, Result};

/// A held right; dropping it gives it up and removes the scratch file.
#[derive(Debug)]
pub(super) struct Making {
    /// `None` once it has become an entry.
    file: Option<File>,
    path: PathBuf,
    key: Key,
}

impl Making {
    /// The right to make `key` in that folder; `None` while somebody else has it.
    pub(super) fn begin(folder: &Path, key: Key) -> Result<Option<Self>> {
        let path = folder.join(key.to_string());
        loop {
            let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = open.map_err(KernelError::io("create", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(KernelError::io("lock", &path)(error)),
            }
            // Between opening and locking the holder before may have published or removed it.
            if is_at(&file, &path) {
                if file.metadata().map_err(KernelError::io("read", &path))?.len() > 0 {
                    file.set_len(0).map_err(KernelError::io("truncate", &path))?;
                }
                return Ok(Some(Self { file: Some(file), path, key }));
            }
        }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The scratch file, empty at first.
    pub(super) fn file(&self) -> Result<&File> {
        self.file.as_ref().ok_or_else(|| KernelError::internal("the entry is made already"))
    }

    /// Lets the scratch file go, which has another name now.
    pub(super) fn published(&mut self) -> Option<File> {
        self.file.take()
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // A leftover harms nobody: the next maker or the next sweep takes it.
            let _ = std::fs::remove_file(&self.path);
            let _ = file.unlock();
        }
    }
}

/// Whether that open file is the one at `path`.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| a.ino() == b.ino() && a.dev() == b.dev();
    file.metadata().is_ok_and(|mine| std::fs::metadata(path).is_ok_and(|there| same(&mine, &there)))
}

/// Removes what dead makers left; the living hold their locks.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    for item in std::fs::read_dir(folder).map_err(KernelError::io("list", folder))? {
        let path = item.map_err(KernelError::io("list", folder))?.path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(KernelError::io("open", path)(error)),
        };
        if file.try_lock().is_ok() && is_at(&file, &path) {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}
