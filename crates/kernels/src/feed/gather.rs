//! Copies the sequences of one batch out of the shards, making each field on the way.
//!
//! First all rows are laid out, then each is made in one pass: ids are widened straight from the mapped shard into
//! the tokens, and again, from the cache they are then in, into the labels. A shuffled row is seldom in a cache before;
//! so looking up where rows lie is not mixed with copying them, and the rows next to be copied are asked for ahead.

use std::ops::Range;

use super::component::Component;
use super::dataset::{Ids, Stretch};
use super::fields::{Dtype, Field, IGNORED, Making};
use super::mapped::prefetch;
use super::masks;
use super::order::SampleId;
use super::pool::{Plain, Segment, Slot, bytes_of};
use crate::error::Result;

/// Ids that are asked for ahead: half a microsecond of copying and more, several times what memory takes to answer.
const AHEAD: u64 = 4096;

/// The shape of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// Positions of a whole sequence.
    pub length: u32,
    /// First position that is made; above 0 only on context-parallel ranks.
    pub from: u32,
    /// End of the positions that are made.
    pub to: u32,
}

impl Shape {
    /// Positions of a row that are made.
    #[must_use]
    pub fn columns(&self) -> usize {
        (self.to - self.from) as usize
    }
}

/// What a filled batch holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Sequences, and rows in their place at the end of an epoch.
    pub rows: usize,
    /// The positions that were made of each.
    pub shape: Shape,
    /// Rows that are sequences.
    pub sequences: usize,
    /// Ids, padding left out.
    pub tokens: u64,
    /// Positions, padding included.
    pub positions: u64,
    /// Ids left out, because their document is longer than any sequence may be.
    pub truncated: u64,
    /// Entries of the segments' ends, the first 0 included.
    pub ends: usize,
    /// Positions of the longest segment.
    pub longest: u32,
}

/// Memory used again for each batch.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Those of all rows.
    stretches: Vec<Stretch>,
    rows: Vec<Row>,
    /// The number that batches give for each sample's run, and the sample's place there.
    places: Vec<(u32, u64)>,
}

/// What one row is made of: the dataset, `None` for a row of padding; the ends of its stretches, segments and ids
/// among those of all rows.
#[derive(Debug, Clone, Copy)]
struct Row {
    dataset: Option<u32>,
    stretches: usize,
    segments: usize,
    ids: u64,
}

impl Scratch {
    /// Where the ids of a row come from; `before` is the row before it.
    fn source<'a>(&'a self, origin: &'a dyn Samples, before: Row, row: Row) -> Source<'a> {
        Source { origin, dataset: row.dataset, stretches: &self.stretches[before.stretches..row.stretches] }
    }
}

/// Where samples lie.
pub trait Samples {
    /// The number that batches give for the run of a sample, and the sample's place there, of which the memory is asked
    /// for what [`Samples::stretches`] will read.
    fn place(&self, sample: SampleId) -> (u32, u64);

    /// Appends the stretches of the sample at a place to `out`, and says how many ids past `longest` were left out.
    ///
    /// # Errors
    /// When they cannot be found.
    fn stretches(&self, dataset: u32, place: u64, longest: u32, out: &mut Vec<Stretch>) -> Result<u64>;

    /// The ids of a stretch of a dataset, from its id `from` on, `length` of them.
    ///
    /// # Errors
    /// When they cannot be read.
    fn ids(&self, dataset: u32, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>>;
}

impl Samples for Vec<Component> {
    fn place(&self, sample: SampleId) -> (u32, u64) {
        let component = &self[sample.dataset as usize];
        let place = component.place(sample.sample);
        component.ask(place);
        (component.number(), place)
    }

    fn stretches(&self, dataset: u32, place: u64, longest: u32, out: &mut Vec<Stretch>) -> Result<u64> {
        self[dataset as usize].stretches(place, longest, out)
    }

    fn ids(&self, dataset: u32, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>> {
        self[dataset as usize].ids(stretch, from, length)
    }
}

/// Fills `slot` with the given samples, a row each; `None` makes a row of padding.
///
/// # Errors
/// As [`Samples::stretches`] and [`Samples::ids`].
pub fn fill(
    slot: &mut Slot,
    origin: &dyn Samples,
    samples: &[Option<SampleId>],
    making: &Making,
    shape: Shape,
    scratch: &mut Scratch,
) -> Result<Filled> {
    let (offsets, bytes) = making.layout(samples.len() * shape.columns());
    slot.matrices.grow(bytes);
    slot.segments.clear();
    scratch.places.clear();
    scratch.places.extend(samples.iter().map(|sample| sample.map_or((0, 0), |sample| origin.place(sample))));
    write_samples(slot, samples, &scratch.places);
    let mut filled = lay_out(slot, origin, samples, shape, scratch)?;
    let mut ahead = scratch.rows.iter();
    let mut asked = Row { dataset: None, stretches: 0, segments: 0, ids: 0 };
    let mut before = asked;
    for (number, &row) in scratch.rows.iter().enumerate() {
        while asked.ids < before.ids + AHEAD
            && let Some(&next) = ahead.next()
        {
            scratch.source(origin, asked, next).ask(shape);
            asked = next;
        }
        let source = scratch.source(origin, before, row);
        for (&field, &offset) in making.fields.iter().zip(&offsets) {
            let offset = offset + number * shape.columns() * making.dtype_of(field).bytes();
            write_row(slot, offset, field, before.segments..row.segments, source, making, shape)?;
        }
        before = row;
    }
    filled.ends = slot.segments.len() + 1;
    filled.longest = slot.segments.iter().map(|segment| segment.length).max().unwrap_or(0);
    write_ends(slot);
    Ok(filled)
}

/// Looks up what each row is made of.
fn lay_out(
    slot: &mut Slot,
    origin: &dyn Samples,
    samples: &[Option<SampleId>],
    shape: Shape,
    scratch: &mut Scratch,
) -> Result<Filled> {
    let Scratch { stretches, rows, places } = scratch;
    stretches.clear();
    rows.clear();
    let mut filled = Filled { rows: samples.len(), shape, ..Filled::default() };
    for (sample, &(_, place)) in samples.iter().zip(&*places) {
        let (first, mut ids) = (stretches.len(), 0);
        if let Some(sample) = sample {
            filled.truncated += origin.stretches(sample.dataset, place, shape.length, stretches)?;
            for stretch in stretches[first..].iter().filter(|stretch| stretch.length > 0) {
                slot.segments.push(Segment { length: stretch.length, padding: false });
                ids += stretch.length;
            }
            filled.sequences += 1;
        }
        if ids < shape.length {
            slot.segments.push(Segment { length: shape.length - ids, padding: true });
        }
        filled.tokens += u64::from(ids);
        filled.positions += u64::from(shape.length);
        rows.push(Row {
            dataset: sample.map(|sample| sample.dataset),
            stretches: stretches.len(),
            segments: slot.segments.len(),
            ids: filled.tokens,
        });
    }
    Ok(filled)
}

/// Makes one row of one field.
fn write_row(
    slot: &mut Slot,
    offset: usize,
    field: Field,
    of_row: Range<usize>,
    source: Source<'_>,
    making: &Making,
    shape: Shape,
) -> Result<()> {
    let Slot { matrices, segments, .. } = slot;
    let width = shape.columns();
    match (field, making.dtype_of(field)) {
        (Field::Tokens, Dtype::Int64) => {
            tokens(matrices.slice_mut::<i64>(offset, width), source, making, shape)
        }
        (Field::Tokens, _) => tokens(matrices.slice_mut::<i32>(offset, width), source, making, shape),
        (Field::Labels, Dtype::Int32) => {
            labels(matrices.slice_mut::<i32>(offset, width), source, making, shape)
        }
        (Field::Labels, _) => labels(matrices.slice_mut::<i64>(offset, width), source, making, shape),
        _ => {
            masks::write(matrices, offset, field, &segments[of_row], making, shape);
            Ok(())
        }
    }
}

fn write_samples(slot: &mut Slot, samples: &[Option<SampleId>], places: &[(u32, u64)]) {
    slot.samples.grow(samples.len() * 16);
    let (numbers, datasets) = slot.samples.slice_mut::<i64>(0, samples.len() * 2).split_at_mut(samples.len());
    for (((number, dataset), sample), &(run, place)) in
        numbers.iter_mut().zip(datasets).zip(samples).zip(places)
    {
        (*number, *dataset) = sample.map_or((-1, -1), |_| (place.cast_signed(), run.into()));
    }
}

fn write_ends(slot: &mut Slot) {
    let count = slot.segments.len() + 1;
    slot.ends.grow(count * 4);
    let ends = slot.ends.slice_mut::<i32>(0, count);
    ends[0] = 0;
    for (at, segment) in slot.segments.iter().enumerate() {
        ends[at + 1] = ends[at] + segment.length.cast_signed();
    }
}

/// Where the ids of a row come from.
#[derive(Clone, Copy)]
struct Source<'a> {
    origin: &'a dyn Samples,
    /// `None` for a row of padding.
    dataset: Option<u32>,
    stretches: &'a [Stretch],
}

/// A stretch and the part of it that is made.
struct Part<'a> {
    stretch: &'a Stretch,
    next: Option<&'a Stretch>,
    /// Positions of the part, counted in the stretch.
    from: u32,
    to: u32,
    /// First position of the part, counted in the output.
    at: usize,
}

impl<'a> Source<'a> {
    /// The parts of the stretches that lie in the shape's positions.
    fn parts(self, shape: Shape) -> impl Iterator<Item = Part<'a>> {
        let mut start = 0;
        self.stretches.iter().enumerate().filter_map(move |(index, stretch)| {
            let (from, to) = (start.max(shape.from), (start + stretch.length).min(shape.to));
            let part = (from < to).then(|| Part {
                stretch,
                next: self.stretches[index + 1..].iter().find(|next| next.length > 0),
                from: from - start,
                to: to - start,
                at: (from - shape.from) as usize,
            });
            start += stretch.length;
            part
        })
    }

    /// Asks the memory for the ids.
    fn ask(self, shape: Shape) {
        let Some(dataset) = self.dataset else { return };
        for Part { stretch, from, to, .. } in self.parts(shape) {
            // What cannot be read is told when it is.
            if let Ok(Ids::U16(bytes) | Ids::I32(bytes)) = self.origin.ids(dataset, stretch, from, to - from)
            {
                prefetch(bytes);
            }
        }
    }
}

/// A number that ids become.
pub trait Number: Plain {
    /// An id of two bytes.
    fn from_u16(id: u16) -> Self;
    /// An id of four bytes.
    fn from_i32(id: i32) -> Self;

    /// As many of the ids in little-endian `bytes` as fit.
    fn copy_i32(out: &mut [Self], bytes: &[u8]) {
        for (out, &four) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *out = Self::from_i32(i32::from_le_bytes(four));
        }
    }
}

impl Number for i32 {
    fn from_u16(id: u16) -> Self {
        Self::from(id)
    }
    fn from_i32(id: i32) -> Self {
        id
    }
    #[cfg(target_endian = "little")]
    fn copy_i32(out: &mut [Self], bytes: &[u8]) {
        let length = bytes.len().min(out.len() * 4) & !3;
        bytes_of(out)[..length].copy_from_slice(&bytes[..length]);
    }
}

impl Number for i64 {
    fn from_u16(id: u16) -> Self {
        Self::from(id)
    }
    fn from_i32(id: i32) -> Self {
        Self::from(id)
    }
}

/// Widens as many ids as fit.
fn widen<T: Number>(out: &mut [T], ids: Ids<'_>) {
    match ids {
        Ids::U16(bytes) => {
            for (out, &two) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *out = T::from_u16(u16::from_le_bytes(two));
            }
        }
        Ids::I32(bytes) => T::copy_i32(out, bytes),
    }
}

fn tokens<T: Number>(out: &mut [T], source: Source<'_>, making: &Making, shape: Shape) -> Result<()> {
    let mut end = 0;
    if let Some(dataset) = source.dataset {
        for Part { stretch, from, to, at, .. } in source.parts(shape) {
            end = at + (to - from) as usize;
            widen(&mut out[at..end], source.origin.ids(dataset, stretch, from, to - from)?);
        }
    }
    out[end..].fill(T::from_i32(making.pad_id.cast_signed()));
    Ok(())
}

fn labels<T: Number>(out: &mut [T], source: Source<'_>, making: &Making, shape: Shape) -> Result<()> {
    let ignored = T::from_i32(IGNORED);
    let mut end = 0;
    if let Some(dataset) = source.dataset {
        for Part { stretch, next, from, to, at } in source.parts(shape) {
            end = at + (to - from) as usize;
            let out = &mut out[at..end];
            if !making.shift_labels {
                widen(out, source.origin.ids(dataset, stretch, from, to - from)?);
                let first_of_row = shape.from == 0 && at == 0;
                if from == 0 && (making.mask_documents || first_of_row) {
                    out[0] = ignored;
                }
                continue;
            }
            // Each position's label is the id after it, which for the last one is not of this stretch.
            let inner = (to + 1).min(stretch.length) - (from + 1);
            widen(&mut out[..inner as usize], source.origin.ids(dataset, stretch, from + 1, inner)?);
            if to == stretch.length {
                let last = out.len() - 1;
                match next.filter(|_| !making.mask_documents) {
                    Some(next) => widen(&mut out[last..], source.origin.ids(dataset, next, 0, 1)?),
                    None => out[last] = ignored,
                }
            }
        }
    }
    out[end..].fill(ignored);
    Ok(())
}
