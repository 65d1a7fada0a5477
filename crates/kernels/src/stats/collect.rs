//! Counting the rows of one task, as they come.
//!
//! Rows are counted by the values of all columns at once, and the groups that are asked for are sums of these. Where
//! there are too many combinations for that, each row is counted in each of its groups instead: more work, in memory
//! that depends on the groups alone.

use std::path::Path;

use arrow_array::{Array, StringArray};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;

use super::lengths::Lengths;
use super::ngrams::{MAX_NGRAM_BYTES, NgramTable, hash_words};
use super::{BOUNDS, Bounds, groupings, partial};
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

type GroupValues = Vec<Option<Box<str>>>;

/// Rows with the same values of some columns.
#[derive(Debug)]
pub(super) struct Group {
    /// The grouping whose only group it is of these rows; none when they are counted by all columns at once.
    pub of: Option<usize>,
    /// A value for each column; none where it is null, left out, or not of the grouping.
    pub values: GroupValues,
    pub lengths: Lengths,
}

/// The statistics of one task under construction.
#[derive(Debug)]
pub struct Collector {
    options: CollectOptions,
    cut: Cut,
    bounds: Bounds,
    groups: Vec<Group>,
    known: FxHashMap<(Option<usize>, GroupValues), usize>,
    columns: Vec<Values>,
    groupings: Vec<Vec<usize>>,
    /// Groups of each grouping, and whether they were too many; counted when `apart`.
    sizes: Vec<(usize, bool)>,
    /// Whether each row is counted in each of its groups.
    apart: bool,
    /// Places of the groups of the row that was looked up last.
    found: Vec<usize>,
    /// The lists of group g begin at `g * ngrams.len()`.
    table: NgramTable,
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
        Self::within(options, BOUNDS)
    }

    /// As [`Collector::new`], within other bounds than the usual.
    #[must_use]
    pub fn within(options: CollectOptions, bounds: Bounds) -> Self {
        let split = if options.whitespace_words { Split::Whitespace } else { Split::Unicode };
        let fixed = options.language.clone();
        let language = options.language_column.clone().filter(|_| fixed.is_none());
        let groupings = groupings(options.by.len());
        Self {
            cut: Cut { split, language, fixed },
            bounds,
            groups: Vec::new(),
            known: FxHashMap::default(),
            columns: vec![Values::default(); options.by.len()],
            sizes: vec![(0, false); groupings.len()],
            groupings,
            apart: false,
            found: Vec::new(),
            table: NgramTable::new(0, bounds.room),
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
        let mut before: Option<usize> = None;
        for row in (0..batch.rows()).filter(|&row| batch.is_kept(row)) {
            if !before.is_some_and(|other| by.iter().all(|column| same(column, other, row))) {
                self.find_groups(&by, row);
            }
            before = Some(row);
            let text = text.is_valid(row).then(|| text.value(row));
            let counts = text.map(|text| [text.len(), code_points(text), words.of(row).len()]);
            for &group in &self.found {
                let lengths = &mut self.groups[group].lengths;
                lengths.rows += 1;
                lengths.without_text += u64::from(counts.is_none());
                for (measure, count) in lengths.measures.iter_mut().zip(counts.into_iter().flatten()) {
                    measure.add(count as u64);
                }
            }
            if let Some(text) = text
                && !self.options.ngrams.is_empty()
            {
                self.count_ngrams(text, words.of(row));
            }
        }
        Ok(())
    }

    /// Writes what was counted to a file that [`super::merge`] reads.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<FinishedFile> {
        let left_out = (0..self.groupings.len()).map(|grouping| self.is_left_out(grouping)).collect();
        partial::write(path, left_out, &self.groups, self.table.lists(), self.options.ngrams.len())
    }

    fn count_ngrams(&mut self, text: &str, words: &[Span]) {
        self.joined.load(text, words);
        let sizes = self.options.ngrams.len();
        for (at, &n) in self.options.ngrams.iter().enumerate() {
            for (first, ngram) in words.windows(n).enumerate() {
                let text = self.joined.words(first, n);
                if text.len() <= MAX_NGRAM_BYTES {
                    let hash = hash_words(ngram.iter().map(|word| word.hash));
                    self.found.iter().for_each(|group| self.table.count(group * sizes + at, hash, text));
                }
            }
        }
    }

    /// Sets `found` to the groups of a row.
    fn find_groups(&mut self, by: &[&StringArray], row: usize) {
        let values = self.values_of(by, row);
        self.found.clear();
        if !self.apart {
            let group = self.group(None, values.clone());
            self.found.push(group);
            if self.groups.len() <= self.bounds.combinations {
                return;
            }
            self.apart = true;
            self.regroup();
        }
        let full = self.full();
        self.found = self.groups_of(&values);
        if self.full() != full {
            self.regroup();
            self.found = self.groups_of(&values);
        }
    }

    /// The values of a row in the columns that are groupings.
    fn values_of(&mut self, by: &[&StringArray], row: usize) -> GroupValues {
        for (at, column) in by.iter().enumerate() {
            if self.columns[at].too_many
                || column.is_null(row)
                || self.columns[at].seen.contains(column.value(row))
            {
                continue;
            }
            self.columns[at].seen.insert(column.value(row).into());
            if self.columns[at].seen.len() > self.bounds.values {
                self.columns[at] = Values { seen: FxHashSet::default(), too_many: true };
                self.regroup();
            }
        }
        let is_grouping = |at: usize| !self.columns[at].too_many;
        let value = |(at, column): (usize, &&StringArray)| {
            (is_grouping(at) && column.is_valid(row)).then(|| column.value(row).into())
        };
        by.iter().enumerate().map(value).collect()
    }

    /// The groups of rows with these values, one of each grouping that has any.
    fn groups_of(&mut self, values: &[Option<Box<str>>]) -> Vec<usize> {
        (0..self.groupings.len()).filter_map(|grouping| self.group_in(grouping, values)).collect()
    }

    fn group_in(&mut self, grouping: usize, values: &[Option<Box<str>>]) -> Option<usize> {
        let own = &self.groupings[grouping];
        if self.is_left_out(grouping) || own.iter().any(|&column| values[column].is_none()) {
            return None;
        }
        let own = (0..values.len()).map(|column| values[column].clone().filter(|_| own.contains(&column)));
        let own: Vec<_> = own.collect();
        let before = self.groups.len();
        let group = self.group(Some(grouping), own);
        let (size, too_many) = &mut self.sizes[grouping];
        *size += self.groups.len() - before;
        *too_many = *size > self.bounds.values;
        Some(group)
    }

    fn group(&mut self, of: Option<usize>, values: GroupValues) -> usize {
        let key = (of, values);
        if let Some(&group) = self.known.get(&key) {
            return group;
        }
        let group = self.groups.len();
        self.groups.push(Group { of, values: key.1.clone(), lengths: Lengths::default() });
        self.known.insert(key, group);
        self.options.ngrams.iter().for_each(|_| self.table.push());
        group
    }

    /// Whether a column of the grouping has too many values, or two together.
    fn is_left_out(&self, grouping: usize) -> bool {
        self.sizes[grouping].1 || self.groupings[grouping].iter().any(|&column| self.columns[column].too_many)
    }

    /// Groupings that were found to have too many groups.
    fn full(&self) -> usize {
        self.sizes.iter().filter(|(_, too_many)| *too_many).count()
    }

    /// Sorts what was counted into groups as they are to be from now on.
    fn regroup(&mut self) {
        loop {
            let full = self.full();
            self.regroup_once();
            if self.full() == full {
                return;
            }
        }
    }

    fn regroup_once(&mut self) {
        self.known.clear();
        self.sizes.iter_mut().for_each(|(size, _)| *size = 0);
        let groups = std::mem::take(&mut self.groups);
        let mut lists = self.table.take().into_iter();
        self.table = NgramTable::new(0, self.bounds.room);
        for Group { of, mut values, lengths } in groups {
            for (value, column) in values.iter_mut().zip(&self.columns) {
                value.take_if(|_| column.too_many);
            }
            let into: Vec<usize> = match of {
                Some(grouping) => self.group_in(grouping, &values).into_iter().collect(),
                None if self.apart => self.groups_of(&values),
                None => vec![self.group(None, values)],
            };
            for &group in &into {
                self.groups[group].lengths.merge(&lengths);
            }
            for at in 0..self.options.ngrams.len() {
                let Some(list) = lists.next() else { break };
                for group in &into {
                    let into = group * self.options.ngrams.len() + at;
                    self.table.absorb(into, list.total, list.error);
                    for (ngram, hash, count) in list.hashed() {
                        self.table.add(into, hash, ngram, count);
                    }
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
