//! The `.npy` files of numpy: a header and the array's bytes. Written as version 1.0, one-dimensional and
//! little-endian; arrays of numbers that numpy wrote are read whatever their shape.
//!
//! The layout is that of `numpy.lib.format`: `\x93NUMPY`, 1, 0, the header's length as u16, and a Python
//! dictionary padded with spaces and a line feed so that the data start at a multiple of 64.

use std::borrow::Cow;
use std::path::Path;

use arrow_schema::DataType;

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

/// An array of numbers, in row-major order and little-endian.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberArray<'a> {
    /// Type of its numbers; booleans are `UInt8`.
    pub item: DataType,
    /// Its lengths along each dimension.
    pub shape: Vec<u64>,
    /// Its numbers.
    pub data: Cow<'a, [u8]>,
}

/// The array of a `.npy` file of any version.
///
/// # Errors
/// The reason, when it is none, or none that has an Arrow type: objects, texts, records, column-major order.
pub fn read_numbers(file: &[u8]) -> Result<NumberArray<'_>, String> {
    let damaged = || "these are no bytes of a .npy file".to_owned();
    let length_at = MAGIC.len();
    let rest = file.strip_prefix(&MAGIC[..6]).ok_or_else(damaged)?;
    // Versions 2 and 3 have four bytes for the header's length.
    let dictionary_at = match rest {
        [1, _, ..] => length_at + 2,
        [2 | 3, _, ..] => length_at + 4,
        _ => return Err(damaged()),
    };
    let length = file.get(length_at..dictionary_at).ok_or_else(damaged)?;
    let length = length.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let data_at = dictionary_at.checked_add(length).filter(|&at| at <= file.len()).ok_or_else(damaged)?;
    let dictionary = std::str::from_utf8(&file[dictionary_at..data_at]).map_err(|_| damaged())?;
    let descr = entry(dictionary, "'descr':").ok_or_else(damaged)?;
    let item = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(item, _)| item);
    let (order, item) = item.and_then(|item| item.split_at_checked(1)).ok_or("records of several fields")?;
    let (item, width) = number_type(item).ok_or_else(|| format!("values of numpy's type {order}{item}"))?;
    let shape = entry(dictionary, "'shape':").and_then(|rest| rest.strip_prefix('('));
    let (shape, _) = shape.and_then(|rest| rest.split_once(')')).ok_or_else(damaged)?;
    let shape: Vec<&str> = shape.split(',').map(str::trim).filter(|length| !length.is_empty()).collect();
    let shape: Option<Vec<u64>> = shape.into_iter().map(|length| length.parse().ok()).collect();
    let shape = shape.ok_or_else(damaged)?;
    if shape.len() > 1 && entry(dictionary, "'fortran_order':").is_none_or(|rest| !rest.starts_with("False"))
    {
        return Err("the array is in column-major (Fortran) order".to_owned());
    }
    let data = &file[data_at..];
    if bytes_of(&shape, width) != Some(data.len() as u64) {
        return Err(format!("its shape {shape:?} of {item} does not fit its {} bytes", data.len()));
    }
    let data = if order == ">" && width > 1 {
        Cow::Owned(data.chunks_exact(width).flat_map(|number| number.iter().rev().copied()).collect())
    } else {
        Cow::Borrowed(data)
    };
    Ok(NumberArray { item, shape, data })
}

/// Bytes of an array; `None` when they are more than can be counted.
#[must_use]
pub fn bytes_of(shape: &[u64], width: usize) -> Option<u64> {
    shape.iter().try_fold(width as u64, |bytes, &length| bytes.checked_mul(length))
}

fn entry<'a>(dictionary: &'a str, key: &str) -> Option<&'a str> {
    dictionary.split_once(key).map(|(_, after)| after.trim_start())
}

fn number_type(name: &str) -> Option<(DataType, usize)> {
    Some(match name {
        "b1" | "u1" => (DataType::UInt8, 1),
        "i1" => (DataType::Int8, 1),
        "u2" => (DataType::UInt16, 2),
        "i2" => (DataType::Int16, 2),
        "f2" => (DataType::Float16, 2),
        "u4" => (DataType::UInt32, 4),
        "i4" => (DataType::Int32, 4),
        "f4" => (DataType::Float32, 4),
        "u8" => (DataType::UInt64, 8),
        "i8" => (DataType::Int64, 8),
        "f8" => (DataType::Float64, 8),
        _ => return None,
    })
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
