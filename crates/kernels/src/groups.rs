//! Rows counted by where they come from: the values of the columns `source` and `lang`, and of both together.
//!
//! A step that empties one language or one source shows in these counts and nowhere else. Columns with
//! more different values than [`MAX_VALUES`] in one task are no grouping (a column of addresses, say), nor
//! are more pairs of values than that; they are left out, so that the counts stay small in every task's record.

use std::collections::BTreeMap;

use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBuffer;

use crate::batch::Batch;
use crate::error::Result;

/// The columns rows are counted by.
pub const GROUPING: [&str; 2] = ["source", "lang"];

/// How both are named together.
pub const PAIR: &str = "source,lang";

/// Different values of a column, or pairs of values, at most.
pub const MAX_VALUES: usize = 256;

/// Rows of one value of one column, or of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueCount {
    /// The column, or [`PAIR`].
    pub column: &'static str,
    /// The value.
    pub value: String,
    /// The value of the second column of a pair.
    pub other: Option<String>,
    /// Rows that have it.
    pub rows: u64,
}

#[derive(Debug, Clone, Default)]
struct Values {
    rows: BTreeMap<Box<str>, u64>,
    too_many: bool,
}

impl Values {
    fn add(&mut self, value: &str, rows: u64) {
        if self.too_many {
            return;
        }
        if let Some(count) = self.rows.get_mut(value) {
            *count += rows;
        } else if self.rows.len() < MAX_VALUES {
            self.rows.insert(value.into(), rows);
        } else {
            self.rows.clear();
            self.too_many = true;
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Pairs {
    rows: BTreeMap<Box<str>, BTreeMap<Box<str>, u64>>,
    different: usize,
    too_many: bool,
}

impl Pairs {
    fn add(&mut self, (value, other): (&str, &str), rows: u64) {
        if self.too_many {
            return;
        }
        if let Some(count) = self.rows.get_mut(value).and_then(|others| others.get_mut(other)) {
            *count += rows;
        } else if self.different < MAX_VALUES {
            self.different += 1;
            self.rows.entry(value.into()).or_default().insert(other.into(), rows);
        } else {
            self.rows.clear();
            self.too_many = true;
        }
    }
}

/// Rows by value of each grouping column, and by both; nulls are not counted.
#[derive(Debug, Clone, Default)]
pub struct GroupCounts {
    columns: [Values; GROUPING.len()],
    pairs: Pairs,
}

impl GroupCounts {
    /// Counts the selected rows of a batch.
    pub fn add(&mut self, batch: &Batch) {
        for (values, name) in self.columns.iter_mut().zip(GROUPING) {
            let Some(column) = text(batch, name) else { continue };
            let value = |row| column.is_valid(row).then(|| column.value(row));
            count_runs(batch, value, |value, rows| values.add(value, rows));
        }
        if let [Some(a), Some(b)] = GROUPING.map(|name| text(batch, name)) {
            let pair = |row| (a.is_valid(row) && b.is_valid(row)).then(|| (a.value(row), b.value(row)));
            count_runs(batch, pair, |pair, rows| self.pairs.add(pair, rows));
        }
    }

    /// Counts one row, selected or not.
    pub fn add_row(&mut self, batch: &Batch, row: usize) {
        let found = GROUPING.map(|name| {
            text(batch, name).filter(|column| column.is_valid(row)).map(|column| column.value(row))
        });
        for (values, value) in self.columns.iter_mut().zip(found) {
            if let Some(value) = value {
                values.add(value, 1);
            }
        }
        if let [Some(value), Some(other)] = found {
            self.pairs.add((value, other), 1);
        }
    }

    /// The counts, by column and value, then by pair.
    pub fn counts(&self) -> Vec<ValueCount> {
        let of = |(values, column): (&Values, &'static str)| {
            let rows = values.rows.iter();
            rows.map(|(value, &rows)| ValueCount { column, value: value.to_string(), other: None, rows })
                .collect::<Vec<_>>()
        };
        let pairs = self.pairs.rows.iter().flat_map(|(value, others)| {
            others.iter().map(|(other, &rows)| ValueCount {
                column: PAIR,
                value: value.to_string(),
                other: Some(other.to_string()),
                rows,
            })
        });
        self.columns.iter().zip(GROUPING).flat_map(of).chain(pairs).collect()
    }

    /// Columns, or [`PAIR`], that have too many values to be counted.
    pub fn left_out(&self) -> Vec<&'static str> {
        let left_out = self.columns.iter().zip(GROUPING).filter(|(values, _)| values.too_many);
        left_out.map(|(_, name)| name).chain(self.pairs.too_many.then_some(PAIR)).collect()
    }
}

/// Counts the selected rows that have a value. Neighbours mostly come from the same place: they are counted before
/// they are looked up.
fn count_runs<V: Copy + PartialEq>(
    batch: &Batch,
    value: impl Fn(usize) -> Option<V>,
    mut add: impl FnMut(V, u64),
) {
    let mut run: Option<(V, u64)> = None;
    for value in (0..batch.rows()).filter(|&row| batch.is_kept(row)).filter_map(value) {
        match &mut run {
            Some((same, rows)) if *same == value => *rows += 1,
            _ => {
                if let Some((before, rows)) = run.replace((value, 1)) {
                    add(before, rows);
                }
            }
        }
    }
    if let Some((value, rows)) = run {
        add(value, rows);
    }
}

/// Rows that entered a step and those it removed, both by the values they came with.
#[derive(Debug, Clone, Default)]
pub struct StepGroups {
    entered: GroupCounts,
    removed: GroupCounts,
    /// The rows as they came to the step; shares their columns.
    before: Option<Batch>,
}

impl StepGroups {
    /// Counts the selected rows of a batch that comes to the step.
    pub fn enter(&mut self, batch: &Batch) {
        self.entered.add(batch);
        self.before = Some(batch.clone());
    }

    /// Counts the rows that the step took out of the selection since [`StepGroups::enter`]. A batch of other
    /// rows (the step cut rows into several) is not counted.
    ///
    /// # Errors
    /// `Internal` never: the lengths are compared.
    pub fn leave(&mut self, batch: &Batch) -> Result<()> {
        let Some(mut before) = self.before.take().filter(|before| before.rows() == batch.rows()) else {
            return Ok(());
        };
        if before.kept_rows() != batch.kept_rows() {
            let gone = BooleanBuffer::collect_bool(batch.rows(), |row| !batch.is_kept(row));
            before.retain(&gone)?;
            self.removed.add(&before);
        }
        Ok(())
    }

    /// Rows that entered.
    pub fn entered(&self) -> &GroupCounts {
        &self.entered
    }

    /// Rows among them that the step removed.
    pub fn removed(&self) -> &GroupCounts {
        &self.removed
    }
}

fn text<'a>(batch: &'a Batch, name: &str) -> Option<&'a StringArray> {
    batch.record().column_by_name(name)?.as_any().downcast_ref()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::batch::Identity;

    fn batch(lang: Vec<Option<String>>) -> Batch {
        let rows = lang.len();
        let identity = Identity::of_file("f", (0..rows as u64).collect(), StringArray::new_null(rows));
        let lang: ArrayRef = Arc::new(StringArray::from(lang));
        let source: ArrayRef = Arc::new(Int64Array::from(vec![1; rows]));
        let columns = vec![
            (Field::new("lang", DataType::Utf8, true), lang),
            (Field::new("source", DataType::Int64, true), source),
        ];
        Batch::new(identity, columns).unwrap()
    }

    fn texts(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn selected_rows_are_counted_by_text_columns_without_nulls() {
        let mut lang = texts(&["en", "en", "de", "en", "zh"]);
        lang.push(None);
        let mut batch = batch(lang);
        batch.retain(&BooleanBuffer::from(vec![true, true, true, true, false, true])).unwrap();
        let mut counts = GroupCounts::default();
        counts.add(&batch);
        counts.add_row(&batch, 4);
        let got: Vec<_> = counts.counts().into_iter().map(|c| (c.column, c.value, c.rows)).collect();
        assert_eq!(
            got,
            [("lang", "de".to_owned(), 1), ("lang", "en".to_owned(), 3), ("lang", "zh".to_owned(), 1)]
        );
        assert!(counts.left_out().is_empty());
    }

    #[test]
    fn removed_rows_are_counted_by_what_they_were_when_they_came() {
        let mut batch = batch(texts(&["en", "de", "de", "zh"]));
        batch.retain(&BooleanBuffer::from(vec![true, true, true, false])).unwrap();
        let mut groups = StepGroups::default();
        groups.enter(&batch);
        let renamed: ArrayRef = Arc::new(StringArray::from(vec!["xx"; 4]));
        batch.set_column(Field::new("lang", DataType::Utf8, true), renamed).unwrap();
        batch.retain(&BooleanBuffer::from(vec![true, false, true, true])).unwrap();
        groups.leave(&batch).unwrap();
        let of =
            |counts: &GroupCounts| counts.counts().into_iter().map(|c| (c.value, c.rows)).collect::<Vec<_>>();
        assert_eq!(of(groups.entered()), [("de".to_owned(), 2), ("en".to_owned(), 1)]);
        assert_eq!(of(groups.removed()), [("de".to_owned(), 1)]);
        groups.leave(&batch).unwrap();
        assert_eq!(groups.removed().counts().len(), 1, "a batch leaves once");
    }

    #[test]
    fn a_column_of_many_values_is_left_out_whole() {
        let many: Vec<_> = (0..=MAX_VALUES).map(|n| Some(n.to_string())).collect();
        let mut counts = GroupCounts::default();
        counts.add(&batch(many));
        counts.add(&batch(texts(&["0"])));
        assert!(counts.counts().is_empty());
        assert_eq!(counts.left_out(), ["lang"]);
    }

    #[test]
    fn rows_with_both_values_are_counted_by_both_until_there_are_too_many_pairs() {
        let of = |source: Vec<Option<String>>, lang: Vec<Option<String>>| {
            let mut batch = batch(lang);
            let source: ArrayRef = Arc::new(StringArray::from(source));
            batch.set_column(Field::new("source", DataType::Utf8, true), source).unwrap();
            batch
        };
        let mut lang = texts(&["en", "en", "de", "en"]);
        lang.push(None);
        let mut counts = GroupCounts::default();
        let batch = of(texts(&["web", "web", "web", "book", "book"]), lang);
        counts.add(&batch);
        counts.add_row(&batch, 2);
        counts.add_row(&batch, 4);
        let pairs = |counts: &GroupCounts| -> Vec<(String, String, u64)> {
            let pairs = counts.counts().into_iter().filter(|count| count.column == PAIR);
            pairs.filter_map(|count| Some((count.value, count.other?, count.rows))).collect()
        };
        let expected = [("book", "en", 1), ("web", "de", 2), ("web", "en", 2)];
        assert_eq!(pairs(&counts), expected.map(|(a, b, rows)| (a.to_owned(), b.to_owned(), rows)));

        let many = |modulus: usize| (0..=MAX_VALUES).map(|n| Some((n % modulus).to_string())).collect();
        counts.add(&of(many(16), many(17)));
        assert!(pairs(&counts).is_empty());
        assert_eq!(counts.left_out(), [PAIR]);
        assert_eq!(counts.counts().len(), 2 + 16 + 2 + 17, "each alone stays");
    }
}
