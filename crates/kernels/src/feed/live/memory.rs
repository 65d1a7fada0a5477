//! Memory without a name: it is gone with the last descriptor and map of it, whoever is killed when.

use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;

use memmap2::Mmap;

use crate::error::{KernelError, Result};

/// What messages call it.
const NAME: &str = "anonymous memory";

/// Anonymous memory that holds `parts` one after the other, and can never change again where the system
/// knows seals.
///
/// It is filled by writing: a full memory is then an error, where touching a map would end the process.
///
/// # Errors
/// `Io` when the system grants no more memory or no more descriptors.
pub fn anonymous(parts: &[&[u8]]) -> Result<File> {
    let mut file = create().map_err(KernelError::io("make", NAME))?;
    for part in parts {
        file.write_all(part).map_err(KernelError::io("write", NAME))?;
    }
    seal(&file).map_err(KernelError::io("seal", NAME))?;
    Ok(file)
}

/// What lies in such memory.
///
/// # Errors
/// When it cannot be mapped.
pub fn contents(memory: BorrowedFd<'_>) -> std::io::Result<Mmap> {
    // SAFETY: it is sealed, or unlinked and written by nobody any more.
    unsafe { Mmap::map(&memory) }
}

#[cfg(target_os = "linux")]
fn create() -> std::io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: the name is a C string; the call has no other requirement.
    let descriptor = unsafe {
        libc::memfd_create(c"gristmill-block".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// An unlinked file, where there is no memory that a descriptor stands for.
#[cfg(not(target_os = "linux"))]
fn create() -> std::io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("gristmill-block-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn seal(file: &File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: the descriptor is open for as long as `file` is borrowed.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as where there are seals")]
fn seal(_file: &File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn memory_holds_what_was_written_and_stays_so() {
        let file = anonymous(&[b"one ", b"", b"two"]).unwrap();
        let mut bytes = [0; 7];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"one two");
        if cfg!(target_os = "linux") {
            assert!(file.write_all_at(b"x", 0).is_err());
            assert!(file.set_len(3).is_err());
        }
    }
}
