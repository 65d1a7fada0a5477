//! A lock on a file that the kernel drops when its process dies, however it dies.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{KernelError, Result};

/// An exclusive advisory lock (`flock`) on a file, held until it is released or dropped.
///
/// The file stays behind: deleting it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Locks the file, creating it when there is none; `None` when somebody else holds the lock,
    /// another handle of this process included.
    ///
    /// # Errors
    /// `Io` when the file cannot be created or its file system has no locks.
    pub fn try_acquire(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(KernelError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path: path.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(KernelError::io("lock", path)(error)),
        }
    }

    /// Gives the lock up.
    ///
    /// # Errors
    /// `Io` when the operating system refuses.
    pub fn release(self) -> Result<()> {
        self.file.unlock().map_err(KernelError::io("unlock", self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::FileLock;

    #[test]
    fn a_second_handle_waits_for_the_first() {
        let path = std::env::temp_dir().join(format!("gristmill-lock-{}", std::process::id()));
        let first = FileLock::try_acquire(&path).unwrap();
        assert!(first.is_some());
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        first.unwrap().release().unwrap();
        let again = FileLock::try_acquire(&path).unwrap();
        assert!(again.is_some());
        drop(again);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_missing_folder_is_an_io_error_that_names_the_file() {
        let error = FileLock::try_acquire("/nowhere/at/all/.lock").unwrap_err();
        assert_eq!(error.code(), "GM_IO");
        assert!(error.to_string().starts_with("cannot open /nowhere/at/all/.lock: "), "{error}");
    }
}
