//! Named typed arrays, as they go into an entry and come out of one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{KernelError, Result};

/// Arrays start at multiples of this many bytes.
pub const ALIGNMENT: usize = 64;

/// Most axes an array may have, as in numpy.
const MAX_AXES: usize = 64;

/// How the numbers of an array are stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it: a kind and its bits")]
pub enum Dtype {
    Bool,
    Uint8,
    Int8,
    Uint16,
    Int16,
    Float16,
    Uint32,
    Int32,
    Float32,
    Uint64,
    Int64,
    Float64,
}

impl Dtype {
    const ALL: [Self; 12] = [
        Self::Bool,
        Self::Uint8,
        Self::Int8,
        Self::Uint16,
        Self::Int16,
        Self::Float16,
        Self::Uint32,
        Self::Int32,
        Self::Float32,
        Self::Uint64,
        Self::Int64,
        Self::Float64,
    ];

    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 | Self::Float16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    /// As numpy's array interface names it, as in `<i4`.
    #[must_use]
    pub fn typestr(self) -> &'static str {
        match self {
            Self::Bool => "|b1",
            Self::Uint8 => "|u1",
            Self::Int8 => "|i1",
            Self::Uint16 => "<u2",
            Self::Int16 => "<i2",
            Self::Float16 => "<f2",
            Self::Uint32 => "<u4",
            Self::Int32 => "<i4",
            Self::Float32 => "<f4",
            Self::Uint64 => "<u8",
            Self::Int64 => "<i8",
            Self::Float64 => "<f8",
        }
    }

    /// The one that numpy names so.
    #[must_use]
    pub fn of_typestr(typestr: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.typestr() == typestr)
    }
}

/// An array to be stored.
#[derive(Debug, Clone)]
pub struct NewArray<'a> {
    /// Its name in the entry.
    pub name: Cow<'a, str>,
    /// What its numbers are.
    pub dtype: Dtype,
    /// Length of each axis, the last one fastest; none is a single number.
    pub shape: Vec<usize>,
    /// Its numbers, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> NewArray<'a> {
    /// A vector of bytes.
    #[must_use]
    pub fn of_bytes(name: &'a str, bytes: &'a [u8]) -> Self {
        let shape = vec![bytes.len()];
        Self { name: Cow::Borrowed(name), dtype: Dtype::Uint8, shape, bytes: Cow::Borrowed(bytes) }
    }
}

/// Where an array lies in the data of an entry, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayPlace {
    /// Its name in the entry.
    pub name: String,
    /// What its numbers are.
    pub dtype: Dtype,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Its first byte, a multiple of the bytes of a number.
    pub offset: u64,
}

impl ArrayPlace {
    /// All of a file, as the vector of bytes `name`.
    #[must_use]
    pub fn whole(name: &str, bytes: u64) -> Self {
        Self { name: name.to_owned(), dtype: Dtype::Uint8, shape: vec![bytes as usize], offset: 0 }
    }

    /// Its bytes, when they can be counted.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        bytes_of_shape(self.dtype, &self.shape)
    }

    /// Its last byte and one.
    pub(super) fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes()?)
    }
}

/// An array of an entry, as it lies in memory.
#[derive(Debug, Clone, Copy)]
pub struct ArrayView<'a> {
    /// What its numbers are.
    pub dtype: Dtype,
    /// Length of each axis.
    pub shape: &'a [usize],
    /// Its numbers, little-endian.
    pub bytes: &'a [u8],
}

fn bytes_of_shape(dtype: Dtype, shape: &[usize]) -> Option<u64> {
    let count = shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis))?;
    count.checked_mul(dtype.bytes()).map(|bytes| bytes as u64)
}

/// Places arrays one after the other, aligned, and says how many bytes they take.
pub(super) fn lay_out(arrays: &[NewArray<'_>]) -> Result<(Vec<ArrayPlace>, u64)> {
    let mut end = 0_u64;
    let mut places = Vec::with_capacity(arrays.len());
    for array in arrays {
        let offset = end.next_multiple_of(ALIGNMENT as u64);
        let (name, dtype, shape) = (array.name.clone().into_owned(), array.dtype, array.shape.clone());
        let place = ArrayPlace { name, dtype, shape, offset };
        if place.bytes() != Some(array.bytes.len() as u64) {
            let stated = format!("{:?} of shape {:?}", array.dtype, array.shape);
            return Err(refused(&array.name, format!("it has {} bytes, not {stated}", array.bytes.len())));
        }
        end = offset + array.bytes.len() as u64;
        places.push(place);
    }
    check(&places, end)?;
    Ok((places, end))
}

/// Whether the arrays are well-formed and lie in `bytes` bytes of data.
pub(super) fn check(places: &[ArrayPlace], bytes: u64) -> Result<()> {
    for (index, place) in places.iter().enumerate() {
        if place.end().is_none_or(|end| end > bytes) {
            return Err(refused(&place.name, format!("it does not lie in the {bytes} bytes of the entry")));
        }
        if !place.offset.is_multiple_of(place.dtype.bytes() as u64) || place.shape.len() > MAX_AXES {
            return Err(refused(&place.name, "its offset is not aligned, or it has too many axes"));
        }
        if places[..index].iter().any(|other| other.name == place.name) {
            return Err(refused(&place.name, "the entry has two arrays of this name"));
        }
    }
    Ok(())
}

fn refused(name: &str, reason: impl std::fmt::Display) -> KernelError {
    KernelError::Option { name: "arrays".to_owned(), reason: format!("array '{name}': {reason}") }
}
