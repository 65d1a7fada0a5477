//! Cutting one row into several: by characters or by tokens, with overlap.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow_buffer::{ArrowNativeType, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::take::take;

use crate::batch::{Batch, ID, TEXT};
use crate::error::{KernelError, Result};
use crate::rows::CHUNK;

/// Where a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Anywhere between two code points.
    None,
    /// After the last white space of the piece's second half, else anywhere.
    Space,
}

/// How long pieces are, in code points or tokens.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    length: usize,
    overlap: usize,
}

impl Size {
    /// Pieces of `length`, each starting `overlap` before the end of the one before.
    ///
    /// # Errors
    /// `Option` unless `overlap < length`.
    pub fn new(length: usize, overlap: usize) -> Result<Self> {
        if overlap >= length {
            let reason = format!("{overlap} must be smaller than the size, {length}");
            return Err(KernelError::Option { name: "overlap".to_owned(), reason });
        }
        Ok(Self { length, overlap })
    }
}

/// Byte ranges of a text's pieces. They cover the text; without overlap they follow one another. An empty
/// text is one empty piece.
#[must_use]
pub fn pieces(text: &str, size: Size, boundary: Boundary) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    loop {
        let Some(limit) = advance(text, from, size.length) else {
            pieces.push((from, text.len()));
            return pieces;
        };
        let to = match boundary {
            Boundary::None => limit,
            Boundary::Space => {
                // Past the overlap, or the next piece would not get on.
                let earliest = (size.length / 2).max(size.overlap) + 1;
                let start = advance(text, from, earliest).unwrap_or(limit);
                last_space(&text[from..limit], start - from).map_or(limit, |end| from + end)
            }
        };
        pieces.push((from, to));
        from = retreat(text, to, size.overlap);
    }
}

/// Where the text stands `count` code points after `from`; `None` when it has no more than that.
fn advance(text: &str, from: usize, count: usize) -> Option<usize> {
    let (at, _) = text[from..].char_indices().nth(count)?;
    Some(from + at)
}

/// Where the text stands `count` code points before `to`.
fn retreat(text: &str, to: usize, count: usize) -> usize {
    match count {
        0 => to,
        _ => text[..to].char_indices().nth_back(count - 1).map_or(0, |(at, _)| at),
    }
}

/// The end of the last white space that ends at or after `start`.
fn last_space(text: &str, start: usize) -> Option<usize> {
    let (at, space) = text.char_indices().rfind(|(_, character)| character.is_whitespace())?;
    let end = at + space.len_utf8();
    (end >= start).then_some(end)
}

/// The selected rows of a batch with `text` cut into pieces; see [`Children`] for the other columns.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when there is no column `text`.
pub fn by_characters(batch: &Batch, size: Size, boundary: Boundary) -> Result<Batch> {
    let text = batch.text(TEXT)?;
    let mut children = Children::default();
    let mut cut = StringBuilder::new();
    for row in (0..batch.rows()).filter(|&row| batch.is_kept(row)) {
        if text.is_null(row) {
            children.add(batch, row, 1);
            cut.append_null();
            continue;
        }
        let whole = text.value(row);
        let pieces = pieces(whole, size, boundary);
        children.add(batch, row, pieces.len());
        for (from, to) in pieces {
            cut.append_value(&whole[from..to]);
        }
    }
    let cut: ArrayRef = Arc::new(cut.finish());
    children.finish(batch, &[(Field::new(TEXT, DataType::Utf8, true), cut)], &[])
}

/// The selected rows of a batch with the list `column` of token ids cut into pieces; the columns named in
/// `leave_out` are dropped.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when there is no such list.
pub fn by_tokens(batch: &Batch, column: &str, size: Size, leave_out: &[&str]) -> Result<Batch> {
    let list = batch.typed::<ListArray>(column, "tokens")?;
    let wrong = || KernelError::ColumnType {
        name: column.to_owned(),
        expected: "tokens".to_owned(),
        got: list.data_type().to_string(),
    };
    let ids = list.values().as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?.values();
    let mut children = Children::default();
    let mut values: Vec<u32> = Vec::with_capacity(ids.len());
    let mut ends: Vec<i32> = vec![0];
    for row in (0..batch.rows()).filter(|&row| batch.is_kept(row)) {
        let (start, end) = (list.value_offsets()[row].as_usize(), list.value_offsets()[row + 1].as_usize());
        let (mut from, mut count) = (start, 1);
        loop {
            let to = (from + size.length).min(end);
            values.extend_from_slice(&ids[from..to]);
            ends.push(i32::try_from(values.len()).map_err(KernelError::internal)?);
            if to == end {
                break;
            }
            (from, count) = (to - size.overlap, count + 1);
        }
        children.add(batch, row, count);
    }
    let DataType::List(item) = list.data_type() else { return Err(wrong()) };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    let cut: ArrayRef =
        Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(UInt32Array::from(values)), None)?);
    let field = batch.schema().field_with_name(column)?.clone();
    children.finish(batch, &[(field, cut)], leave_out)
}

/// The rows that come of cutting: piece k of the row with id `x` has the id `x#k`, k in the column `chunk`,
/// and its parent's value in every other column, file and position included.
#[derive(Default)]
struct Children {
    parent: Vec<u32>,
    number: Vec<i64>,
    id: Vec<String>,
}

impl Children {
    fn add(&mut self, batch: &Batch, row: usize, count: usize) {
        let id = batch.id_of(row);
        for number in 0..count {
            self.parent.push(row as u32);
            self.number.push(i64::usize_as(number));
            self.id.push(format!("{id}#{number}"));
        }
    }

    fn finish(self, batch: &Batch, cut: &[(Field, ArrayRef)], leave_out: &[&str]) -> Result<Batch> {
        let parent = UInt32Array::from(self.parent);
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.record().columns()) {
            let name = field.name().as_str();
            if leave_out.contains(&name) || name == CHUNK {
                continue;
            }
            let replaced = cut.iter().find(|(field, _)| field.name() == name);
            columns.push(match replaced {
                Some((_, column)) => Arc::clone(column),
                None if name == ID => Arc::new(StringArray::from_iter_values(&self.id)),
                None => take(column, &parent, None)?,
            });
            fields.push(replaced.map_or_else(|| Arc::clone(field), |(field, _)| Arc::new(field.clone())));
        }
        fields.push(Arc::new(Field::new(CHUNK, DataType::Int64, true)));
        columns.push(Arc::new(Int64Array::from(self.number)));
        Batch::from_record(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;
    use crate::text::count::code_points;
    use proptest::prelude::*;

    fn cut(text: &str, length: usize, overlap: usize, boundary: Boundary) -> Vec<&str> {
        let size = Size::new(length, overlap).unwrap();
        pieces(text, size, boundary).into_iter().map(|(from, to)| &text[from..to]).collect()
    }

    #[test]
    fn a_text_is_cut_after_white_space_of_the_second_half() {
        assert_eq!(cut("one two three", 8, 0, Boundary::Space), ["one two ", "three"]);
        assert_eq!(cut("one twothreefour", 8, 0, Boundary::Space), ["one twot", "hreefour"]);
        assert_eq!(cut("one two three", 8, 0, Boundary::None), ["one two ", "three"]);
        assert_eq!(cut("漢字漢字漢", 2, 1, Boundary::None), ["漢字", "字漢", "漢字", "字漢"]);
        assert_eq!(cut("", 8, 0, Boundary::Space), [""]);
        assert_eq!(cut("exact", 5, 4, Boundary::None), ["exact"]);
    }

    #[test]
    fn other_columns_and_identity_are_the_parents() {
        let ids = StringArray::from(vec![Some("a"), None, Some("c")]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["abc", "de", "x"]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let columns =
            vec![(Field::new(TEXT, DataType::Utf8, true), text), (Field::new("n", DataType::Int64, true), n)];
        let mut batch = Batch::new(Identity::of_file("f", vec![10, 20, 30], ids), columns).unwrap();
        batch.retain(&vec![true, true, false].into()).unwrap();
        let chunks = by_characters(&batch, Size::new(2, 0).unwrap(), Boundary::None).unwrap();
        let ids: Vec<String> = (0..chunks.rows()).map(|row| chunks.id_of(row)).collect();
        assert_eq!(ids, ["a#0", "a#1", "f:20#0"]);
        assert_eq!(chunks.text(TEXT).unwrap().iter().flatten().collect::<Vec<_>>(), ["ab", "c", "de"]);
        assert_eq!(chunks.position().values().to_vec(), [10, 10, 20]);
        let n: &Int64Array = chunks.typed("n", "int64").unwrap();
        assert_eq!(n.iter().collect::<Vec<_>>(), [Some(1), Some(1), None]);
    }

    proptest! {
        #[test]
        fn pieces_cover_the_text(text in "(?s)[ab 漢😀\n]{0,60}", length in 1_usize..12, overlap in 0_usize..11, space: bool) {
            prop_assume!(overlap < length);
            let boundary = if space { Boundary::Space } else { Boundary::None };
            let pieces = cut(&text, length, overlap, boundary);
            prop_assert!(pieces.iter().all(|piece| code_points(piece) <= length));
            let mut whole = pieces[0].to_owned();
            for piece in &pieces[1..] {
                let shared: String = piece.chars().take(overlap).collect();
                prop_assert!(whole.ends_with(&shared));
                whole.push_str(&piece[shared.len()..]);
            }
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn token_pieces_cover_the_list(ids in prop::collection::vec(any::<u32>(), 0..40), length in 1_usize..9, overlap in 0_usize..8) {
            prop_assume!(overlap < length);
            let offsets = OffsetBuffer::from_lengths([0, ids.len()]);
            let item = Arc::new(Field::new_list_field(DataType::UInt32, false));
            let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(UInt32Array::from(ids.clone())), None));
            let field = Field::new("tokens", list.data_type().clone(), true);
            let batch = Batch::new(Identity::of_file("f", vec![0, 1], StringArray::new_null(2)), vec![(field, list)]).unwrap();
            let chunks = by_tokens(&batch, "tokens", Size::new(length, overlap).unwrap(), &[]).unwrap();
            let lists: &ListArray = chunks.typed("tokens", "tokens").unwrap();
            let mut whole: Vec<u32> = Vec::new();
            for row in 0..chunks.rows() {
                let piece = lists.value(row);
                let piece = piece.as_primitive::<UInt32Type>().values();
                prop_assert!(piece.len() <= length);
                let skip = if row > 1 { overlap } else { 0 };
                whole.extend_from_slice(&piece[skip..]);
            }
            prop_assert_eq!(whole, ids);
        }
    }
}
