//! Rows that hold benchmark items: removed, cut, or measured.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, Float64Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field};

use super::{Contamination, Index, Scratch};
use crate::batch::Batch;
use crate::edits::{Edit, Edits};
use crate::error::Result;
use crate::removed::{Keeper, Reason, RemovedLog};

/// Column that `annotate` gives the largest share of an item's n-grams.
pub const SHARE: &str = "contamination";
/// Column that `annotate` gives the id of that item.
pub const ITEM: &str = "contamination_item";
/// Column that `annotate` gives the first of its n-grams, as the document writes it.
pub const NGRAM: &str = "contamination_ngram";

/// How documents are cut.
#[derive(Debug, Clone, Copy)]
pub struct CutOptions {
    /// Characters that go with an n-gram on either side.
    pub around: usize,
    /// Pieces with fewer characters are dropped.
    pub least_characters: usize,
    /// A document that falls into more pieces is removed.
    pub most_pieces: usize,
}

fn measure(
    index: &Index,
    scratch: &mut Scratch,
    batch: &Batch,
    column: &str,
) -> Result<Vec<Option<Contamination>>> {
    let texts = batch.text(column)?;
    let rows = texts.iter().enumerate();
    Ok(rows
        .map(|(row, text)| text.filter(|_| batch.is_kept(row)).and_then(|text| index.find(text, scratch)))
        .collect())
}

/// Removes the rows that hold more than `threshold` of an item's n-grams. The rule is the benchmark's file, the
/// keeper its item, the value the share. Returns how many.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn remove(
    index: &Index,
    scratch: &mut Scratch,
    batch: &mut Batch,
    (column, threshold): (&str, f64),
    (removed, step): (&mut RemovedLog, &str),
) -> Result<u64> {
    let found = measure(index, scratch, batch, column)?;
    let shares: Float64Array = found.iter().map(|one| one.map(|one| one.share)).collect();
    let contaminated = |one: &Option<Contamination>| one.filter(|one| one.share > threshold);
    for (row, one) in found.iter().enumerate() {
        let Some(one) = contaminated(one) else { continue };
        let item = &index.items()[one.item as usize];
        let file = &index.files()[item.file as usize];
        let keeper =
            Keeper { id: item.id.clone(), file: file.clone(), position: item.row, run: None, cluster: None };
        let reason = Reason { step, rule: file, values: Some(&shares), threshold: Some(threshold) };
        removed.record(batch, row, reason, Some(&keeper));
    }
    let clean = BooleanBuffer::collect_bool(found.len(), |row| contaminated(&found[row]).is_none());
    let left = clean.len() - clean.count_set_bits();
    if left > 0 {
        batch.retain(&clean)?;
    }
    Ok(left as u64)
}

/// Cuts the n-grams of items of which a row holds more than `threshold`, and the characters around them. What is
/// left of a text is joined by line feeds; a row of which nothing is left, or that falls into too many pieces, is
/// removed under the rule `pieces`, whose value is how many there would be. Returns how many rows were cut.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn cut(
    index: &Index,
    scratch: &mut Scratch,
    batch: &mut Batch,
    (column, threshold, options): (&str, f64, CutOptions),
    (edits, removed, step): (&mut Edits, &mut RemovedLog, &str),
) -> Result<u64> {
    let texts = batch.text(column)?.clone();
    let mut result = StringBuilder::with_capacity(texts.len(), texts.values().len());
    let mut pieces_of: Vec<Option<f64>> = vec![None; texts.len()];
    let mut changed = 0;
    for (row, text) in texts.iter().enumerate() {
        let stretches = text.filter(|_| batch.is_kept(row));
        let stretches = stretches.map_or_else(Vec::new, |text| index.stretches(text, threshold, scratch));
        let (Some(text), false) = (text, stretches.is_empty()) else {
            result.append_option(text);
            continue;
        };
        let cuts = widen(text, &stretches, options.around);
        let pieces = pieces(text, &cuts, options.least_characters);
        if pieces.is_empty() || pieces.len() > options.most_pieces {
            pieces_of[row] = Some(pieces.len() as f64);
            result.append_value(text);
            continue;
        }
        changed += 1;
        let left = pieces.join("\n");
        record(
            index,
            edits,
            batch,
            (row, step),
            text.len() - pieces.iter().map(|piece| piece.len()).sum::<usize>(),
            &cuts,
        );
        result.append_value(left);
    }
    if changed > 0 {
        let field = batch.schema().field_with_name(column)?.clone();
        batch.set_column(field, Arc::new(result.finish()))?;
    }
    let values = Float64Array::from(pieces_of);
    let clean = BooleanBuffer::collect_bool(values.len(), |row| values.is_null(row));
    let threshold = Some(options.most_pieces as f64);
    removed.remove(batch, &clean, Reason { step, rule: "pieces", values: Some(&values), threshold })?;
    Ok(changed)
}

/// A stretch to cut: its bytes, and the benchmark's file.
type Cut = (usize, usize, u32);

/// Stretches with `around` characters on either side, those that touch as one.
fn widen(text: &str, stretches: &[Cut], around: usize) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for &(start, end, file) in stretches {
        let start = match around.checked_sub(1) {
            None => start,
            Some(last) => text[..start].char_indices().rev().nth(last).map_or(0, |(at, _)| at),
        };
        let end = text[end..].char_indices().nth(around).map_or(text.len(), |(at, _)| end + at);
        match cuts.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => cuts.push((start, end, file)),
        }
    }
    cuts
}

/// What is between the cuts and long enough, without white space at its ends.
fn pieces<'a>(text: &'a str, cuts: &[Cut], least_characters: usize) -> Vec<&'a str> {
    let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut.1));
    let ends = cuts.iter().map(|cut| cut.0).chain(std::iter::once(text.len()));
    let pieces = starts.zip(ends).map(|(start, end)| text[start..end].trim());
    pieces.filter(|piece| !piece.is_empty() && piece.chars().count() >= least_characters).collect()
}

/// One edit for each file; the bytes of all, with the pieces that were too short, go to the first.
fn record(
    index: &Index,
    edits: &mut Edits,
    batch: &Batch,
    (row, step): (usize, &str),
    bytes: usize,
    cuts: &[Cut],
) {
    let cut_bytes = |cuts: &[&Cut]| cuts.iter().map(|cut| cut.1 - cut.0).sum::<usize>();
    let dropped = bytes.saturating_sub(cut_bytes(&cuts.iter().collect::<Vec<_>>()));
    let mut dropped = Some(dropped);
    for (number, name) in index.files().iter().enumerate() {
        let of_file: Vec<&Cut> = cuts.iter().filter(|cut| cut.2 as usize == number).collect();
        if of_file.is_empty() {
            continue;
        }
        let bytes = (cut_bytes(&of_file) + dropped.take().unwrap_or(0)) as u64;
        edits.record(batch, row, Edit { step, rule: name, count: of_file.len() as u64, bytes });
    }
}

/// Sets the columns [`SHARE`], [`ITEM`] and [`NGRAM`]: 0 and null for a text that holds nothing of an item, all
/// null for null.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn annotate(index: &Index, scratch: &mut Scratch, batch: &mut Batch, column: &str) -> Result<()> {
    let found = measure(index, scratch, batch, column)?;
    let texts = batch.text(column)?;
    let is_read = |row: usize| texts.is_valid(row) && batch.is_kept(row);
    let shares: Float64Array = (found.iter().enumerate())
        .map(|(row, one)| one.map(|one| one.share).or_else(|| is_read(row).then_some(0.0)))
        .collect();
    let (mut items, mut ngrams) = (StringBuilder::new(), StringBuilder::new());
    for (row, one) in found.iter().enumerate() {
        items.append_option(one.map(|one| &index.items()[one.item as usize].id));
        ngrams.append_option(one.map(|one| &texts.value(row)[one.start..one.end]));
    }
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    batch.set_column(field(SHARE, DataType::Float64), Arc::new(shares))?;
    batch.set_column(field(ITEM, DataType::Utf8), Arc::new(items.finish()))?;
    batch.set_column(field(NGRAM, DataType::Utf8), Arc::new(ngrams.finish()))
}
