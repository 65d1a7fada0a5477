//! Fields that follow from the lengths of documents alone: positions and masks.
//!
//! They are made with the batch when they are among its fields, and else when somebody asks for them. Masks
//! that are the same for all batches of a shape are made once and shared ([`Static`]).

use super::fields::{Dtype, Field, Making};
use super::gather::{Number, Shape};
use super::pool::{AlignedBuffer, Half, Plain, Segment};
use crate::error::{KernelError, Result};

/// A number that says yes or no.
trait Truth: Plain {
    const NO: Self;
    const YES: Self;
    /// What is added to the score of a position that may be seen, and of one that may not; for whole numbers
    /// and conditions, yes and no.
    const SEEN: Self = Self::YES;
    const HIDDEN: Self = Self::NO;
}

impl Truth for u8 {
    const NO: Self = 0;
    const YES: Self = 1;
}

/// The bits of a 16-bit float.
impl Truth for u16 {
    const NO: Self = 0;
    const YES: Self = 0x3c00;
    const SEEN: Self = 0;
    const HIDDEN: Self = 0xfc00;
}

/// The bits of the upper half of an `f32`.
impl Truth for Half {
    const NO: Self = Self(0);
    const YES: Self = Self(0x3f80);
    const SEEN: Self = Self(0);
    const HIDDEN: Self = Self(0xff80);
}

impl Truth for i32 {
    const NO: Self = 0;
    const YES: Self = 1;
}

impl Truth for i64 {
    const NO: Self = 0;
    const YES: Self = 1;
}

impl Truth for f32 {
    const NO: Self = 0.0;
    const YES: Self = 1.0;
    const SEEN: Self = 0.0;
    const HIDDEN: Self = Self::NEG_INFINITY;
}

/// A mask that all batches of a shape share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Static {
    /// Which positions each position may see: itself and those before it. A row for each position that is
    /// made, a column for each of the sequence.
    Causal,
    /// The attention mask of a batch without padding, of so many rows.
    Full(usize),
}

/// Most bytes of a shared mask; longer sequences are better off with attention that knows of causality.
const MOST_STATIC_BYTES: usize = 1 << 30;

impl Static {
    /// What it is; masks of one name and shape are the same, but for the number of rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Causal => "causal",
            Self::Full(_) => "full",
        }
    }

    /// Bytes of all its rows.
    #[must_use]
    pub fn bytes(self, making: &Making, shape: Shape) -> usize {
        let (rows, columns) = self.extent(shape);
        rows.saturating_mul(columns).saturating_mul(self.dtype(making).bytes())
    }

    /// The type of its numbers.
    #[must_use]
    pub fn dtype(self, making: &Making) -> Dtype {
        match self {
            Self::Causal => making.dtypes.causal_mask,
            Self::Full(_) => making.dtypes.attention_mask,
        }
    }

    /// Its rows and columns.
    #[must_use]
    pub fn extent(self, shape: Shape) -> (usize, usize) {
        match self {
            Self::Causal => (shape.columns(), shape.length as usize),
            Self::Full(rows) => (rows, shape.columns()),
        }
    }

    /// The mask in memory of its own.
    ///
    /// # Errors
    /// `Option` when it is larger than a GiB.
    pub fn make(self, making: &Making, shape: Shape) -> Result<AlignedBuffer> {
        let ((rows, columns), dtype) = (self.extent(shape), self.dtype(making));
        let bytes = self.bytes(making, shape);
        if bytes > MOST_STATIC_BYTES {
            return Err(KernelError::Option {
                name: "causal_mask".to_owned(),
                reason: format!(
                    "{rows} × {columns} numbers are {bytes} bytes, more than a GiB; use attention that is causal \
                     by itself, with `cu_seqlens`"
                ),
            });
        }
        let mut memory = AlignedBuffer::new(bytes);
        match dtype {
            Dtype::Bool => self.fill(memory.slice_mut::<u8>(0, rows * columns), shape),
            Dtype::Float16 => self.fill(memory.slice_mut::<u16>(0, rows * columns), shape),
            Dtype::BFloat16 => self.fill(memory.slice_mut::<Half>(0, rows * columns), shape),
            Dtype::Int32 => self.fill(memory.slice_mut::<i32>(0, rows * columns), shape),
            Dtype::Int64 => self.fill(memory.slice_mut::<i64>(0, rows * columns), shape),
            Dtype::Float32 => self.fill(memory.slice_mut::<f32>(0, rows * columns), shape),
        }
        Ok(memory)
    }

    fn fill<T: Truth>(self, out: &mut [T], shape: Shape) {
        if matches!(self, Self::Full(_)) {
            return out.fill(T::YES);
        }
        for (row, position) in out.chunks_mut(shape.length as usize).zip(shape.from as usize..) {
            let (seen, hidden) = row.split_at_mut(position + 1);
            seen.fill(T::SEEN);
            hidden.fill(T::HIDDEN);
        }
    }
}

/// Writes one row of `field` at byte `offset`; `segments` are the row's. Tokens and labels are none of
/// these fields, and nothing is written for them.
pub fn write(
    memory: &mut AlignedBuffer,
    offset: usize,
    field: Field,
    segments: &[Segment],
    making: &Making,
    shape: Shape,
) {
    let width = shape.columns();
    match (field, making.dtype_of(field)) {
        (Field::Tokens | Field::Labels, _) => {}
        (Field::PositionIds, Dtype::Int32) => {
            positions(memory.slice_mut::<i32>(offset, width), segments, making, shape);
        }
        (Field::PositionIds, _) => {
            positions(memory.slice_mut::<i64>(offset, width), segments, making, shape);
        }
        (_, Dtype::Bool) => mask(memory.slice_mut::<u8>(offset, width), field, segments, making, shape),
        (_, Dtype::Float16) => mask(memory.slice_mut::<u16>(offset, width), field, segments, making, shape),
        (_, Dtype::BFloat16) => mask(memory.slice_mut::<Half>(offset, width), field, segments, making, shape),
        (_, Dtype::Int32) => mask(memory.slice_mut::<i32>(offset, width), field, segments, making, shape),
        (_, Dtype::Int64) => mask(memory.slice_mut::<i64>(offset, width), field, segments, making, shape),
        (_, Dtype::Float32) => mask(memory.slice_mut::<f32>(offset, width), field, segments, making, shape),
    }
}

/// A whole field of a batch in memory of its own; `segments` are those of all rows, one after the other.
#[must_use]
pub fn whole(
    field: Field,
    rows: usize,
    mut segments: &[Segment],
    making: &Making,
    shape: Shape,
) -> AlignedBuffer {
    let row_bytes = shape.columns() * making.dtype_of(field).bytes();
    let mut memory = AlignedBuffer::new(rows * row_bytes);
    for row in 0..rows {
        let mut filled = 0;
        let end = segments.iter().position(|segment| {
            filled += segment.length;
            filled >= shape.length
        });
        let (own, rest) = segments.split_at(end.map_or(segments.len(), |end| end + 1));
        segments = rest;
        write(&mut memory, row * row_bytes, field, own, making, shape);
    }
    memory
}

/// Calls `each` with every segment's part in the shape's positions: the output positions, the segment's
/// first position in the row, the part's first position in the row, and the segment with its place.
fn segment_parts(
    segments: &[Segment],
    shape: Shape,
    mut each: impl FnMut(std::ops::Range<usize>, u32, u32, usize),
) {
    let mut start = 0;
    for (index, segment) in segments.iter().enumerate() {
        let (from, to) = (start.max(shape.from), (start + segment.length).min(shape.to));
        if from < to {
            each((from - shape.from) as usize..(to - shape.from) as usize, start, from, index);
        }
        start += segment.length;
    }
}

/// Places of a row's positions; padding counts from 0 like a document.
fn positions<T: Number>(out: &mut [T], segments: &[Segment], making: &Making, shape: Shape) {
    segment_parts(segments, shape, |range, start, from, _| {
        let first = if making.reset_positions { from - start } else { from };
        for (out, place) in out[range].iter_mut().zip(first.cast_signed()..) {
            *out = T::from_i32(place);
        }
    });
}

/// Where there are tokens, or where the labels of a row count.
fn mask<T: Truth>(out: &mut [T], field: Field, segments: &[Segment], making: &Making, shape: Shape) {
    segment_parts(segments, shape, |range, start, from, index| {
        let segment = segments[index];
        let to = from + range.len() as u32;
        let out = &mut out[range];
        out.fill(if segment.padding { T::NO } else { T::YES });
        if segment.padding || field == Field::AttentionMask {
            return;
        }
        let last = segments.get(index + 1).is_none_or(|next| next.padding);
        if !making.shift_labels && from == start && (making.mask_documents || index == 0) {
            out[0] = T::NO;
        }
        if making.shift_labels && to == start + segment.length && (making.mask_documents || last) {
            out[out.len() - 1] = T::NO;
        }
    });
}
