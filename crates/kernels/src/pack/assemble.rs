//! Joins the windows' files to the three `.npy` files of a packing, in bounded memory.
//!
//! | file | element | length |
//! |---|---|---|
//! | `pieces.npy` | `token_offset` u64, `shard` u32, `length` u32 | pieces |
//! | `documents.npy` | u32: the document of each piece, by its place in the shard | pieces |
//! | `boundaries.npy` | u64: the first piece of each sequence | sequences |

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::window::PIECE_BYTES;
use crate::error::{KernelError, Result};
use crate::formats::npy;
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Type of `pieces.npy`.
pub const PIECES: &str = "[('token_offset', '<u8'), ('shard', '<u4'), ('length', '<u4')]";
/// Type of `documents.npy`.
pub const DOCUMENTS: &str = "'<u4'";
/// Type of `boundaries.npy`.
pub const BOUNDARIES: &str = "'<u8'";

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// The files of one window, as [`super::window::pack_window`] wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFiles {
    /// `.pieces`
    pub pieces: PathBuf,
    /// `.documents`
    pub documents: PathBuf,
    /// `.boundaries`
    pub boundaries: PathBuf,
}

/// Writes `pieces.npy`, `documents.npy` and `boundaries.npy` into `folder` from the windows in order.
///
/// # Errors
/// `Io` when a file cannot be read or written; `Format` when a window's files do not fit together.
pub fn assemble(windows: &[WindowFiles], folder: &Path) -> Result<[FinishedFile; 3]> {
    let mut pieces = Vec::with_capacity(windows.len());
    let mut sequences = 0;
    for window in windows {
        let count = elements(&window.pieces, PIECE_BYTES)?;
        if elements(&window.documents, 4)? != count {
            return Err(KernelError::format(
                "packing",
                format!("{} has another number of pieces", window.documents.display()),
            ));
        }
        pieces.push(count);
        sequences += elements(&window.boundaries, 8)?;
    }
    let all: u64 = pieces.iter().sum();
    let mut piece_file = npy::create(folder.join("pieces.npy"), PIECES, all)?;
    let mut document_file = npy::create(folder.join("documents.npy"), DOCUMENTS, all)?;
    let mut boundary_file = npy::create(folder.join("boundaries.npy"), BOUNDARIES, sequences)?;
    let mut first = 0_u64;
    for (window, count) in windows.iter().zip(pieces) {
        copy(&window.pieces, &mut piece_file, |_| ())?;
        copy(&window.documents, &mut document_file, |_| ())?;
        copy(&window.boundaries, &mut boundary_file, |bytes| shift(bytes, first))?;
        first += count;
    }
    Ok([piece_file.finish()?, document_file.finish()?, boundary_file.finish()?])
}

fn elements(path: &Path, size: u64) -> Result<u64> {
    let bytes = std::fs::metadata(path).map_err(KernelError::io("read", path))?.len();
    if !bytes.is_multiple_of(size) {
        return Err(KernelError::format("packing", format!("{} is cut short", path.display())));
    }
    Ok(bytes / size)
}

/// Copies a file in chunks that end between elements, each passed through `change`.
fn copy(from: &Path, to: &mut ShardFile, change: impl Fn(&mut [u8])) -> Result<()> {
    let failed = || KernelError::io("read", from);
    let mut file = File::open(from).map_err(failed())?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed()(error)),
            }
        }
        if filled == 0 {
            return Ok(());
        }
        change(&mut buffer[..filled]);
        to.append(&buffer[..filled])?;
    }
}

/// Adds `by` to each u64.
fn shift(bytes: &mut [u8], by: u64) {
    for eight in bytes.chunks_exact_mut(8) {
        let number = u64::from_le_bytes(std::array::from_fn(|i| eight[i])) + by;
        eight.copy_from_slice(&number.to_le_bytes());
    }
}
