//! The `.npy` files of numpy, version 1.0: a header and the array's bytes, one-dimensional and little-endian.
//!
//! The layout is that of `numpy.lib.format`: `\x93NUMPY`, 1, 0, the header's length as u16, and a Python
//! dictionary padded with spaces and a line feed so that the data start at a multiple of 64.

use std::path::Path;

use crate::error::Result;
use crate::formats::shard_file::ShardFile;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
const ALIGNMENT: usize = 64;

/// Creates a file for `length` elements; the caller appends the data. `descr` is the type as a Python
/// literal, quotes included, as in `'<u4'`.
///
/// # Errors
/// `Io` when the file cannot be created.
pub fn create(path: impl AsRef<Path>, descr: &str, length: u64) -> Result<ShardFile> {
    let mut file = ShardFile::create(path)?;
    file.append(&header(descr, length))?;
    Ok(file)
}

/// What stands before the data of an array of `length` elements.
pub(crate) fn header(descr: &str, length: u64) -> Vec<u8> {
    let dictionary = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({length},), }}");
    let before = MAGIC.len() + 2;
    let whole = (before + dictionary.len() + 1).next_multiple_of(ALIGNMENT);
    let mut header = Vec::with_capacity(whole);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&((whole - before) as u16).to_le_bytes());
    header.extend_from_slice(dictionary.as_bytes());
    header.resize(whole - 1, b' ');
    header.push(b'\n');
    header
}

/// What a file's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type as a Python literal, as [`create`] takes it.
    pub descr: String,
    /// Elements.
    pub length: u64,
    /// Where the data start.
    pub data_at: u64,
}

/// The header of a one-dimensional file as [`create`] writes it; `None` when `head` does not begin with one.
#[must_use]
pub fn read_header(head: &[u8]) -> Option<Header> {
    let rest = head.strip_prefix(MAGIC)?;
    let bytes = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
    let dictionary = std::str::from_utf8(rest.get(2..2 + bytes)?).ok()?;
    let (_, after) = dictionary.split_once("'descr': ")?;
    let (descr, after) = after.split_once(", 'fortran_order': False, 'shape': (")?;
    let (length, _) = after.split_once(",)")?;
    let data_at = (MAGIC.len() + 2 + bytes) as u64;
    Some(Header { descr: descr.to_owned(), length: length.parse().ok()?, data_at })
}

#[cfg(test)]
mod tests {
    use super::{Header, header, read_header};

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let descr = "[('token_offset', '<u8'), ('shard', '<u4')]";
        let written = header(descr, 12_345);
        let expected = Header { descr: descr.to_owned(), length: 12_345, data_at: written.len() as u64 };
        assert_eq!(read_header(&written), Some(expected));
        for cut in 0..written.len() {
            assert_eq!(read_header(&written[..cut]), None);
        }
    }

    #[test]
    fn the_header_of_numpy_itself() {
        // What `numpy.save` writes for `numpy.zeros(3, '<u4')`.
        let mut expected =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<u4', 'fortran_order': False, 'shape': (3,), }".to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        assert_eq!(header("'<u4'", 3), expected);
    }
}
