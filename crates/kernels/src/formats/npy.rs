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

fn header(descr: &str, length: u64) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::header;

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
