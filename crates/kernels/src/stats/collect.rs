//! Counting the rows of one task, as they come.

use std::path::Path;

use arrow_array::{Array, StringArray};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;

use super::MAX_VALUES;
use super::lengths::Lengths;
use super::ngrams::{MAX_NGRAM_BYTES, NgramTable, ROOM, Room, hash_words};
use super::partial;
use crate::batch::Batch;
use crate::error::Result;
use crate::formats::shard_file::FinishedFile;
use crate::text::count::code_points;
use crate::text::segment::Split;
use crate::text::spans::Span;
use crate::text::words::{Cut, words_of};

/// What is counted.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectOptions {
    /// The text column.
    pub column: String,
    /// Text columns whose values group the rows.
    pub by: Vec<String>,
    /// Lengths of n-grams, in words; rising.
    pub ngrams: Vec<usize>,
    /// Words are what white space separates.
    pub whitespace_words: bool,
    /// Column of language codes, which decides how Han and kana are cut.
    pub language_column: Option<String>,
    /// The language of all rows, whatever the column says.
    pub language: Option<String>,
}

/// Rows with the same values of all grouping columns.
#[derive(Debug)]
pub(super) struct Group {
    /// A value for each column; none where it is null, or where the column is left out.
    pub values: Vec<Option<Box<str>>>,
    pub lengths: Lengths,
}

/// The statistics of one task under construction.
#[derive(Debug)]
pub struct Collector {
    options: CollectOptions,
    cut: Cut,
    groups: Vec<Group>,
    known: FxHashMap<Vec<Option<Box<str>>>, usize>,
    columns: Vec<Values>,
    /// The lists of group g begin at `g * ngrams.len()`.
    table: NgramTable,
    room: Room,
    joined: Joined,
}

/// The values of one column so far.
#[derive(Debug, Default, Clone)]
struct Values {
    seen: FxHashSet<Box<str>>,
    too_many: bool,
}

impl Collector {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(options: CollectOptions) -> Self {
        Self::with_room(options, ROOM)
    }

    /// As [`Collector::new`], with another room for n-grams than the usual.
    #[must_use]
    pub fn with_room(options: CollectOptions, room: Room) -> Self {
        let split = if options.whitespace_words { Split::Whitespace } else { Split::Unicode };
        let fixed = options.language.clone();
        let language = options.language_column.clone().filter(|_| fixed.is_none());
        Self {
            cut: Cut { split, language, fixed },
            groups: Vec::new(),
            known: FxHashMap::default(),
            columns: vec![Values::default(); options.by.len()],
            table: NgramTable::new(0, room),
            room,
            joined: Joined::default(),
            options,
        }
    }

    /// Counts the selected rows of a batch.
    ///
    /// # Errors
    /// `ColumnMissing`, or `ColumnType` when a column is not utf8.
    pub fn add(&mut self, batch: &mut Batch) -> Result<()> {
        let words = words_of(batch, &self.options.column, &self.cut)?;
        let text = batch.text(&self.options.column)?;
        let by = self.options.by.iter().map(|name| batch.text(name)).collect::<Result<Vec<_>>>()?;
        // Neighbours mostly come from the same place.
        let mut before: Option<(usize, usize)> = None;
        for row in (0..batch.rows()).filter(|&row| batch.is_kept(row)) {
            let group = match before {
                Some((other, group)) if by.iter().all(|column| same(column, other, row)) => group,
                _ => self.group_of(&by, row),
            };
            before = Some((row, group));
            let lengths = &mut self.groups[group].lengths;
            lengths.rows += 1;
            if text.is_null(row) {
                lengths.without_text += 1;
                continue;
            }
            let text = text.value(row);
            let counts = [text.len(), code_points(text), words.of(row).len()];
            for (measure, count) in lengths.measures.iter_mut().zip(counts) {
                measure.add(count as u64);
            }
            if !self.options.ngrams.is_empty() {
                self.count_ngrams(group, text, words.of(row));
            }
        }
        Ok(())
    }

    /// Writes what was counted to a file that [`super::merge`] reads.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<FinishedFile> {
        let left_out = self.columns.iter().map(|column| column.too_many).collect();
        partial::write(path, left_out, &self.groups, self.table.lists(), self.options.ngrams.len())
    }

    fn count_ngrams(&mut self, group: usize, text: &str, words: &[Span]) {
        self.joined.load(text, words);
        for (at, &n) in self.options.ngrams.iter().enumerate() {
            let list = group * self.options.ngrams.len() + at;
            for (first, ngram) in words.windows(n).enumerate() {
                let text = self.joined.words(first, n);
                if text.len() <= MAX_NGRAM_BYTES {
                    self.table.count(list, hash_words(ngram.iter().map(|word| word.hash)), text);
                }
            }
        }
    }

    fn group_of(&mut self, by: &[&StringArray], row: usize) -> usize {
        let mut values = Vec::with_capacity(by.len());
        for (at, column) in by.iter().enumerate() {
            let value = (!self.columns[at].too_many && column.is_valid(row)).then(|| column.value(row));
            if let Some(value) = value
                && !self.columns[at].seen.contains(value)
            {
                self.columns[at].seen.insert(value.into());
                if self.columns[at].seen.len() > MAX_VALUES {
                    self.leave_out(at);
                    return self.group_of(by, row);
                }
            }
            values.push(value.map(Into::into));
        }
        self.group(values)
    }

    fn group(&mut self, values: Vec<Option<Box<str>>>) -> usize {
        if let Some(&group) = self.known.get(&values) {
            return group;
        }
        let group = self.groups.len();
        self.known.insert(values.clone(), group);
        self.groups.push(Group { values, lengths: Lengths::default() });
        self.options.ngrams.iter().for_each(|_| self.table.push());
        group
    }

    /// Groups no longer by a column that has too many values to be one.
    fn leave_out(&mut self, column: usize) {
        self.columns[column] = Values { seen: FxHashSet::default(), too_many: true };
        self.known.clear();
        let groups = std::mem::take(&mut self.groups);
        let mut lists = self.table.take().into_iter();
        self.table = NgramTable::new(0, self.room);
        for Group { mut values, lengths } in groups {
            values[column] = None;
            let into = self.group(values);
            self.groups[into].lengths.merge(&lengths);
            for at in 0..self.options.ngrams.len() {
                let Some(list) = lists.next() else { break };
                let into = into * self.options.ngrams.len() + at;
                self.table.absorb(into, list.total, list.error);
                for (ngram, hash, count) in list.hashed() {
                    self.table.add(into, hash, ngram, count);
                }
            }
        }
    }
}

fn same(column: &StringArray, a: usize, b: usize) -> bool {
    match (column.is_valid(a), column.is_valid(b)) {
        (true, true) => column.value(a) == column.value(b),
        (a, b) => a == b,
    }
}

/// The words of one document with a space between two, so that an n-gram is a stretch of it.
#[derive(Debug, Default)]
struct Joined {
    text: String,
    /// Where each word begins and ends.
    spans: Vec<(usize, usize)>,
}

impl Joined {
    fn load(&mut self, text: &str, words: &[Span]) {
        self.text.clear();
        self.spans.clear();
        for word in words {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            let start = self.text.len();
            self.text.push_str(&text[word.start as usize..word.end as usize]);
            self.spans.push((start, self.text.len()));
        }
    }

    fn words(&self, first: usize, n: usize) -> &str {
        &self.text[self.spans[first].0..self.spans[first + n - 1].1]
    }
}
