//! The statistics of all tasks added up, as Parquet and as the summary that the report shows.
//!
//! Groups are all rows, then the rows of each value of each grouping column, by column and value, then those of each
//! pair of values of two columns. A task mostly counted by all columns at once, so a group here is the sum of several
//! there. Of the n-grams one list at a time is in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::lengths::{Lengths, UNITS};
use super::ngrams::{NgramList, NgramTable, Room};
use super::partial::{Directory, GroupPart, ListPart, PartialFile};
use super::table::{Table, options, texts, u32s, u64s};
use super::{BOUNDS, Bounds, groupings};
use crate::error::{KernelError, Result};
use crate::formats::shard_file::FinishedFile;

/// Groups of a column, or of two, in the summary, those of the most rows; the files have all.
const SHOWN_GROUPS: usize = 50;
/// N-grams of a list in the summary.
const SHOWN_NGRAMS: usize = 20;

/// What was counted, and how much of it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MergeOptions {
    /// Names of the grouping columns, in the order of the tasks' values.
    pub by: Vec<String>,
    /// Lengths of n-grams.
    pub ngrams: Vec<usize>,
    /// N-grams of a list that are written.
    pub top: usize,
}

/// A file, and its rows.
#[derive(Debug, Serialize)]
pub struct StatsFile {
    /// Its name after the prefix.
    pub name: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Where it lies, with its checksums.
    pub file: FinishedFile,
}

/// Files and summary.
#[derive(Debug, Serialize)]
pub struct Merged {
    /// `groups`, `lengths` and, where n-grams were counted, `ngrams`.
    pub files: Vec<StatsFile>,
    /// What the report shows.
    pub summary: Summary,
}

/// What the report shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All rows first, then groups by column, then by two columns together, those of the most rows first.
    pub groups: Vec<GroupSummary>,
    /// Groups of one column that are in the files alone.
    pub more_groups: usize,
    /// Such groups of two columns.
    pub more_pairs: usize,
    /// Columns that have too many values to group by.
    pub left_out: Vec<String>,
    /// Two columns that have too many values together, but not each alone.
    pub left_out_pairs: Vec<Vec<String>>,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSummary {
    /// The column; none for all rows.
    pub column: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// The second column of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_column: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_value: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Rows whose text is null.
    pub without_text: u64,
    /// Sums and histograms by unit, in the order of [`UNITS`].
    pub lengths: Vec<UnitSummary>,
    /// Lists of n-grams.
    pub ngrams: Vec<NgramSummary>,
}

/// Lengths in one unit.
#[derive(Debug, Clone, Serialize)]
pub struct UnitSummary {
    /// `bytes`, `characters` or `words`.
    pub unit: &'static str,
    /// Sum of the lengths.
    pub total: u64,
    /// Bins that hold a text.
    pub bins: Vec<Bin>,
}

/// Texts of a length in [from, to).
#[derive(Debug, Clone, Serialize)]
pub struct Bin {
    /// Shortest.
    pub from: u64,
    /// One beyond the longest.
    pub to: u64,
    /// Texts.
    pub count: u64,
}

/// The most frequent n-grams of a group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NgramSummary {
    /// Words of each.
    pub n: usize,
    /// Occurrences of all n-grams.
    pub total: u64,
    /// By how much a count may be too low; 0 when counts are exact.
    pub max_error: u64,
    /// The first ones with their counts.
    pub top: Vec<(String, u64)>,
}

/// A grouping by its place, and a value of each of its columns. It orders groups as they are written.
type Key = (usize, Vec<String>);

/// A group as it is written.
struct GroupName<'a> {
    /// Names of the columns, joined by a comma.
    field: Option<String>,
    columns: Vec<&'a str>,
    values: &'a [String],
}

/// The groups of all tasks.
struct Groups {
    columns: usize,
    groupings: Vec<Vec<usize>>,
    known: BTreeMap<Key, Marginal>,
    /// Groups of each grouping, and whether they are too many.
    sizes: Vec<(usize, bool)>,
    /// Most groups of a grouping.
    most: usize,
    /// Lists of each task's groups, with the task's place.
    parts: Vec<(usize, Vec<ListPart>)>,
}

#[derive(Default)]
struct Marginal {
    lengths: Lengths,
    /// Places in `Groups::parts`, rising.
    parts: Vec<usize>,
}

/// Adds the files of tasks up, in order, and writes `<prefix>groups.parquet` and its like.
///
/// # Errors
/// `Io` when reading or writing fails; `Format` when a file is damaged.
pub fn merge(tasks: &[PathBuf], options: &MergeOptions, prefix: &str) -> Result<Merged> {
    merge_within(tasks, options, prefix, BOUNDS)
}

/// As [`merge`], within other bounds than the usual.
///
/// # Errors
/// As [`merge`].
pub fn merge_within(
    tasks: &[PathBuf],
    options: &MergeOptions,
    prefix: &str,
    bounds: Bounds,
) -> Result<Merged> {
    let mut groups = Groups::new(options.by.len(), bounds.values);
    for (at, task) in tasks.iter().enumerate() {
        groups.add(at, PartialFile::open(task)?.directory()?)?;
    }
    let shown = groups.most_rows();
    let mut writers = Writers::create(prefix, options)?;
    let mut summaries = BTreeMap::new();
    for (key, marginal) in &groups.known {
        let name = GroupName::of(key, &groups.groupings, &options.by);
        writers.add_lengths(&name, &marginal.lengths)?;
        let mut lists = Vec::with_capacity(options.ngrams.len());
        for (at, &n) in options.ngrams.iter().enumerate() {
            let table = merged(tasks, &groups, (marginal, at), bounds.room)?;
            lists.push(writers.add_ngrams(&name, n, &table.lists()[0], options.top)?);
        }
        if shown.contains(&key) {
            summaries.insert(key, summary(&name, &marginal.lengths, lists));
        }
    }
    let pairs = |keys: &mut dyn Iterator<Item = &Key>| keys.filter(|key| key.1.len() == 2).count();
    let (all_pairs, shown_pairs) = (pairs(&mut groups.known.keys()), pairs(&mut shown.iter().copied()));
    Ok(Merged {
        files: writers.finish()?,
        summary: Summary {
            groups: shown.iter().filter_map(|key| summaries.remove(key)).collect(),
            more_groups: groups.known.len() - all_pairs - (shown.len() - shown_pairs),
            more_pairs: all_pairs - shown_pairs,
            left_out: groups.left_out(&options.by, 1).into_iter().flatten().collect(),
            left_out_pairs: groups.left_out(&options.by, 2),
        },
    })
}

impl<'a> GroupName<'a> {
    fn of((grouping, values): &'a Key, groupings: &[Vec<usize>], by: &'a [String]) -> Self {
        let columns: Vec<&str> = groupings[*grouping].iter().map(|&column| by[column].as_str()).collect();
        Self { field: (!columns.is_empty()).then(|| columns.join(",")), columns, values }
    }

    fn value(&self, at: usize) -> Option<&'a str> {
        self.values.get(at).map(String::as_str)
    }
}

impl Groups {
    fn new(columns: usize, most: usize) -> Self {
        let groupings = groupings(columns);
        let sizes = vec![(0, false); groupings.len()];
        let mut groups = Self { columns, groupings, known: BTreeMap::new(), sizes, most, parts: Vec::new() };
        groups.known.insert((0, Vec::new()), Marginal::default());
        groups
    }

    fn add(&mut self, task: usize, directory: Directory) -> Result<()> {
        let all = self.groupings.len();
        let fits = |part: &GroupPart| part.values.len() == self.columns && part.of.is_none_or(|of| of < all);
        if directory.left_out.len() != all || !directory.groups.iter().all(fits) {
            return Err(KernelError::internal("statistics of tasks that were grouped in different ways"));
        }
        for (grouping, &out) in directory.left_out.iter().enumerate() {
            if out {
                self.leave_out(grouping);
            }
        }
        for GroupPart { of, values, lengths, lists } in directory.groups {
            let part = (!lists.is_empty()).then_some(self.parts.len());
            for grouping in of.map_or(0..all, |of| of..of + 1) {
                let own = self.groupings[grouping].iter().map(|&column| values[column].clone());
                if let Some(own) = own.collect::<Option<Vec<_>>>().filter(|_| !self.sizes[grouping].1) {
                    self.add_to((grouping, own), part, &lengths);
                    if self.sizes[grouping].0 > self.most {
                        self.leave_out(grouping);
                    }
                }
            }
            self.parts.extend(part.map(|_| (task, lists)));
        }
        Ok(())
    }

    fn add_to(&mut self, key: Key, part: Option<usize>, lengths: &Lengths) {
        let grouping = key.0;
        let marginal = self.known.entry(key).or_insert_with(|| {
            self.sizes[grouping].0 += 1;
            Marginal::default()
        });
        marginal.lengths.merge(lengths);
        marginal.parts.extend(part);
    }

    /// Groups no longer by some columns, nor by these and others.
    fn leave_out(&mut self, grouping: usize) {
        let columns = &self.groupings[grouping];
        for (other, (_, too_many)) in self.groupings.iter().zip(&mut self.sizes) {
            *too_many |= columns.iter().all(|column| other.contains(column));
        }
        self.known.retain(|(of, _), _| !self.sizes[*of].1);
    }

    /// Names of the groupings of so many columns that have too many groups, though none of their columns has.
    fn left_out(&self, by: &[String], columns: usize) -> Vec<Vec<String>> {
        let is_left_out = |grouping: &[usize]| {
            let same = |(other, _): &(&Vec<usize>, &(usize, bool))| other.as_slice() == grouping;
            self.groupings.iter().zip(&self.sizes).find(same).is_some_and(|(_, (_, too_many))| *too_many)
        };
        let left_out = self.groupings.iter().filter(|grouping| {
            let alone = grouping.len() > 1 && grouping.iter().any(|&column| is_left_out(&[column]));
            grouping.len() == columns && is_left_out(grouping) && !alone
        });
        left_out.map(|grouping| grouping.iter().map(|&column| by[column].clone()).collect()).collect()
    }

    /// The groups of the summary, in its order.
    fn most_rows(&self) -> Vec<&Key> {
        let mut shown = Vec::new();
        for grouping in 0..self.groupings.len() {
            let own = self.known.iter().filter(|((of, _), _)| *of == grouping);
            let mut own: Vec<_> = own.collect();
            // Stable: groups of equally many rows stay in the order of their values.
            own.sort_by_key(|(_, marginal)| std::cmp::Reverse(marginal.lengths.rows));
            shown.extend(own.into_iter().map(|(key, _)| key).take(SHOWN_GROUPS));
        }
        shown
    }
}

/// The n-grams of a group over all tasks, in their order.
fn merged(
    tasks: &[PathBuf],
    groups: &Groups,
    (marginal, at): (&Marginal, usize),
    room: Room,
) -> Result<NgramTable> {
    let mut table = NgramTable::new(1, room);
    for &part in &marginal.parts {
        let (task, lists) = &groups.parts[part];
        let list = lists.get(at).ok_or_else(|| KernelError::internal("a task counted no such n-grams"))?;
        PartialFile::open(&tasks[*task])?.add_to(&mut table, 0, list)?;
    }
    Ok(table)
}

fn summary(name: &GroupName<'_>, lengths: &Lengths, ngrams: Vec<NgramSummary>) -> GroupSummary {
    let bins = lengths.measures.iter().zip(UNITS).map(|(measure, unit)| UnitSummary {
        unit,
        total: measure.total,
        bins: measure.ranges().map(|(from, to, count)| Bin { from, to, count }).collect(),
    });
    GroupSummary {
        column: name.columns.first().map(|&column| column.to_owned()),
        value: name.value(0).map(str::to_owned),
        other_column: name.columns.get(1).map(|&column| column.to_owned()),
        other_value: name.value(1).map(str::to_owned),
        rows: lengths.rows,
        without_text: lengths.without_text,
        lengths: bins.collect(),
        ngrams,
    }
}

struct Writers {
    groups: Table,
    lengths: Table,
    ngrams: Option<Table>,
}

fn create(prefix: &str, name: &str, fields: &[(&str, DataType)]) -> Result<Table> {
    // No names that SQL keeps for itself, as column and from.
    let group = ["field", "value", "value_2"].map(|name| Field::new(name, DataType::Utf8, true));
    let own = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false));
    Table::create(format!("{prefix}{name}.parquet"), group.into_iter().chain(own).collect())
}

impl Writers {
    fn create(prefix: &str, options: &MergeOptions) -> Result<Self> {
        let [bytes, characters, words] = UNITS;
        let counts = ["rows", "without_text", bytes, characters, words].map(|name| (name, DataType::UInt64));
        let bins = ["at_least", "below", "rows"].map(|name| (name, DataType::UInt64));
        let bins = [vec![("unit", DataType::Utf8)], bins.to_vec()].concat();
        let ngrams = [
            ("n", DataType::UInt32),
            ("rank", DataType::UInt32),
            ("ngram", DataType::Utf8),
            ("count", DataType::UInt64),
            ("max_error", DataType::UInt64),
            ("total", DataType::UInt64),
        ];
        let ngrams = (!options.ngrams.is_empty()).then(|| create(prefix, "ngrams", &ngrams));
        Ok(Self {
            groups: create(prefix, "groups", &counts)?,
            lengths: create(prefix, "lengths", &bins)?,
            ngrams: ngrams.transpose()?,
        })
    }

    fn add_lengths(&mut self, group: &GroupName<'_>, lengths: &Lengths) -> Result<()> {
        let counts = [lengths.rows, lengths.without_text].into_iter();
        let totals = lengths.measures.iter().map(|measure| measure.total);
        write(&mut self.groups, group, 1, counts.chain(totals).map(|count| u64s([count])).collect())?;

        let bins = lengths.measures.iter().zip(UNITS);
        let bins = bins.flat_map(|(measure, unit)| measure.ranges().map(move |bin| (unit, bin)));
        let bins: Vec<_> = bins.collect();
        let columns = vec![
            texts(bins.iter().map(|&(unit, _)| unit)),
            u64s(bins.iter().map(|&(_, (from, _, _))| from)),
            u64s(bins.iter().map(|&(_, (_, to, _))| to)),
            u64s(bins.iter().map(|&(_, (_, _, rows))| rows)),
        ];
        write(&mut self.lengths, group, bins.len(), columns)
    }

    fn add_ngrams(
        &mut self,
        group: &GroupName<'_>,
        n: usize,
        list: &NgramList,
        most: usize,
    ) -> Result<NgramSummary> {
        let ranked = list.top(most);
        let rows = ranked.len();
        if let Some(table) = &mut self.ngrams {
            let columns = vec![
                u32s((0..rows).map(|_| n as u32)),
                u32s((1..).take(rows)),
                texts(ranked.iter().map(|&(ngram, _)| ngram)),
                u64s(ranked.iter().map(|&(_, count)| count)),
                u64s((0..rows).map(|_| list.error)),
                u64s((0..rows).map(|_| list.total)),
            ];
            write(table, group, rows, columns)?;
        }
        let top = ranked.into_iter().take(SHOWN_NGRAMS).map(|(ngram, count)| (ngram.to_owned(), count));
        Ok(NgramSummary { n, total: list.total, max_error: list.error, top: top.collect() })
    }

    fn finish(self) -> Result<Vec<StatsFile>> {
        let all = [("groups", Some(self.groups)), ("lengths", Some(self.lengths)), ("ngrams", self.ngrams)];
        let all = all.into_iter().filter_map(|(name, table)| table.map(|table| (name, table)));
        all.map(|(name, table)| Ok(StatsFile { name, rows: table.rows(), file: table.finish()? })).collect()
    }
}

fn write(table: &mut Table, group: &GroupName<'_>, rows: usize, own: Vec<ArrayRef>) -> Result<()> {
    let repeated = |text: Option<&str>| options((0..rows).map(|_| text));
    let names = [group.field.as_deref(), group.value(0), group.value(1)].map(repeated);
    table.write([names.to_vec(), own].concat())
}
