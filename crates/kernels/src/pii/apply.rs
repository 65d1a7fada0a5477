//! Private data in a column of texts: replaced, or the rows removed or routed, or counted.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field};

use super::{Finder, Kind, Match};
use crate::batch::Batch;
use crate::edits::{Edit, Edits};
use crate::error::Result;
use crate::removed::{Reason, RemovedLog};
use crate::routed::{Route, RoutedRows};

/// Puts `instead[kind]` in place of each match in `column` and records one edit for each row and kind. A match
/// that is its own replacement stays and is not counted, so that a second run changes nothing. Returns how many
/// rows changed. Null stays null; rows that are not selected are left alone.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn replace(
    finder: &Finder,
    batch: &mut Batch,
    column: &str,
    instead: &[String; Kind::ALL.len()],
    (edits, step): (&mut Edits, &str),
) -> Result<u64> {
    let texts = batch.text(column)?;
    // Most batches hold nothing; their texts are not copied.
    let mut result: Option<StringBuilder> = None;
    let (mut found, mut changed) = (Vec::new(), 0);
    let mut edited = String::new();
    for (row, text) in texts.iter().enumerate() {
        found.clear();
        if let Some(text) = text.filter(|_| batch.is_kept(row)) {
            finder.find(text, &mut found);
            found.retain(|one| text[one.start..one.end] != instead[one.kind as usize]);
        }
        let (Some(text), false) = (text, found.is_empty()) else {
            if let Some(result) = &mut result {
                result.append_option(text);
            }
            continue;
        };
        let result = result.get_or_insert_with(|| first_rows(texts, row));
        changed += 1;
        edited.clear();
        let mut copied = 0;
        for one in &found {
            edited.push_str(&text[copied..one.start]);
            edited.push_str(&instead[one.kind as usize]);
            copied = one.end;
        }
        edited.push_str(&text[copied..]);
        result.append_value(&edited);
        for kind in Kind::ALL {
            let of_kind = || found.iter().filter(|one| one.kind == kind);
            let bytes = of_kind().map(|one| (one.end - one.start) as u64).sum();
            edits.record(
                batch,
                row,
                Edit { step, rule: kind.name(), count: of_kind().count() as u64, bytes },
            );
        }
    }
    if let Some(mut result) = result {
        let field = batch.schema().field_with_name(column)?.clone();
        batch.set_column(field, Arc::new(result.finish()))?;
    }
    Ok(changed)
}

/// A builder for texts like these that holds the first `rows` of them.
fn first_rows(texts: &StringArray, rows: usize) -> StringBuilder {
    let mut builder = StringBuilder::with_capacity(texts.len(), texts.values().len());
    texts.iter().take(rows).for_each(|text| builder.append_option(text));
    builder
}

/// Removes the rows with a match, under the rule of the first kind found; the value is the byte at which the
/// first match of that kind begins. Returns how many.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn remove(
    finder: &Finder,
    batch: &mut Batch,
    column: &str,
    (removed, step): (&mut RemovedLog, &str),
) -> Result<u64> {
    let firsts = each_row(finder, batch, column, first_of_first_kind)?;
    let values: Float64Array = firsts.iter().map(|first| first.map(|(_, place)| place)).collect();
    let mut left = 0;
    for kind in Kind::ALL {
        let is_kind = |row: usize| firsts[row].is_some_and(|(first, _)| first == kind);
        let clean = BooleanBuffer::collect_bool(firsts.len(), |row| !is_kind(row));
        let reason = Reason { step, rule: kind.name(), values: Some(&values), threshold: None };
        left += removed.remove(batch, &clean, reason)?;
    }
    Ok(left)
}

/// As [`remove`], but the rows go to the file of routed rows as they are. Returns how many.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there; `Io` when writing fails.
pub fn route(
    finder: &Finder,
    batch: &mut Batch,
    column: &str,
    (routed, step): (&mut RoutedRows, &str),
) -> Result<u64> {
    let firsts = each_row(finder, batch, column, first_of_first_kind)?;
    let by_kind = |(kind, place): (Kind, f64)| Route { rule: kind.name(), value: Some(place) };
    let reasons: Vec<_> = firsts.into_iter().map(|first| first.map(by_kind)).collect();
    routed.route(batch, &reasons, step)
}

/// The first kind that was found, in the order of the rules, and where its first match begins.
fn first_of_first_kind(found: &[Match]) -> Option<(Kind, f64)> {
    let first = |kind: Kind| found.iter().find(|one| one.kind == kind);
    Kind::ALL.into_iter().find_map(first).map(|one| (one.kind, one.start as f64))
}

/// Sets a column `names[kind]` for each kind that has one: how many matches the text has, null for null.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the text is not there.
pub fn annotate(finder: &Finder, batch: &mut Batch, column: &str, names: &[(Kind, String)]) -> Result<()> {
    let counts = each_row(finder, batch, column, |found| {
        Kind::ALL.map(|kind| found.iter().filter(|one| one.kind == kind).count() as i64)
    })?;
    let nulls = batch.text(column)?.nulls().cloned();
    for (kind, name) in names {
        let values: Vec<i64> = counts.iter().map(|counts| counts[*kind as usize]).collect();
        let array: ArrayRef = Arc::new(Int64Array::new(values.into(), nulls.clone()));
        batch.set_column(Field::new(name, DataType::Int64, true), array)?;
    }
    Ok(())
}

/// What `measure` makes of the matches of each row; of none where the text is null or not selected.
fn each_row<T>(
    finder: &Finder,
    batch: &Batch,
    column: &str,
    measure: impl Fn(&[Match]) -> T,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    let texts = batch.text(column)?;
    let rows = texts.iter().enumerate().map(|(row, text)| {
        found.clear();
        if let Some(text) = text.filter(|_| batch.is_kept(row)) {
            finder.find(text, &mut found);
        }
        measure(&found)
    });
    Ok(rows.collect())
}
