//! The statistics of all tasks added up, as Parquet and as the summary that the report shows.
//!
//! Groups are all rows, then the rows of each value of each grouping column, by column and value. A task counted by
//! all columns at once, so a group here is the sum of several there. Of the n-grams one list at a time is in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::MAX_VALUES;
use super::lengths::{Lengths, UNITS};
use super::ngrams::{NgramList, NgramTable, ROOM, Room};
use super::partial::{Directory, GroupPart, ListPart, PartialFile};
use super::table::{Table, options, texts, u32s, u64s};
use crate::error::{KernelError, Result};
use crate::formats::shard_file::FinishedFile;

/// Groups of a column in the summary, those of the most rows; the files have all.
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
    /// All rows first, then groups by column, those of the most rows first.
    pub groups: Vec<GroupSummary>,
    /// Groups that are in the files alone.
    pub more_groups: usize,
    /// Columns that have too many values to group by.
    pub left_out: Vec<String>,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSummary {
    /// The column; none for all rows.
    pub column: Option<String>,
    /// Its value.
    pub value: Option<String>,
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

/// A column by its place, and a value; all rows where there is none. It orders groups as they are written.
type Key = Option<(usize, String)>;
/// Column and value as they are written.
type GroupName<'a> = (Option<&'a str>, Option<&'a str>);

/// The groups of all tasks.
#[derive(Default)]
struct Groups {
    known: BTreeMap<Key, Marginal>,
    values: Vec<usize>,
    left_out: Vec<bool>,
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
    merge_in(tasks, options, prefix, ROOM)
}

/// As [`merge`], with another room for n-grams than the usual.
///
/// # Errors
/// As [`merge`].
pub fn merge_in(tasks: &[PathBuf], options: &MergeOptions, prefix: &str, room: Room) -> Result<Merged> {
    let mut groups = Groups {
        values: vec![0; options.by.len()],
        left_out: vec![false; options.by.len()],
        ..Groups::default()
    };
    groups.known.insert(None, Marginal::default());
    for (at, task) in tasks.iter().enumerate() {
        groups.add(at, PartialFile::open(task)?.directory()?)?;
    }
    let shown = groups.most_rows();
    let mut writers = Writers::create(prefix, options)?;
    let mut summaries = BTreeMap::new();
    for (key, marginal) in &groups.known {
        let name = match key {
            Some((column, value)) => (Some(options.by[*column].as_str()), Some(value.as_str())),
            None => (None, None),
        };
        writers.add_lengths(name, &marginal.lengths)?;
        let mut lists = Vec::with_capacity(options.ngrams.len());
        for (at, &n) in options.ngrams.iter().enumerate() {
            let table = merged(tasks, &groups, (marginal, at), room)?;
            lists.push(writers.add_ngrams(name, n, &table.lists()[0], options.top)?);
        }
        if shown.contains(&key) {
            summaries.insert(key, summary(name, &marginal.lengths, lists));
        }
    }
    let left_out = options.by.iter().zip(&groups.left_out).filter(|(_, out)| **out);
    Ok(Merged {
        files: writers.finish()?,
        summary: Summary {
            groups: shown.iter().filter_map(|key| summaries.remove(key)).collect(),
            more_groups: groups.known.len() - shown.len(),
            left_out: left_out.map(|(name, _)| name.clone()).collect(),
        },
    })
}

impl Groups {
    fn add(&mut self, task: usize, directory: Directory) -> Result<()> {
        let columns = self.left_out.len();
        let fits = |part: &GroupPart| part.values.len() == columns;
        if directory.left_out.len() != columns || !directory.groups.iter().all(fits) {
            return Err(KernelError::internal("statistics of tasks that were grouped in different ways"));
        }
        for (column, &out) in directory.left_out.iter().enumerate() {
            if out {
                self.leave_out(column);
            }
        }
        for group in directory.groups {
            let part = self.parts.len();
            self.add_to(None, part, &group.lengths);
            for (column, value) in group.values.into_iter().enumerate() {
                if let Some(value) = value.filter(|_| !self.left_out[column]) {
                    self.add_to(Some((column, value)), part, &group.lengths);
                    if self.values[column] > MAX_VALUES {
                        self.leave_out(column);
                    }
                }
            }
            self.parts.push((task, group.lists));
        }
        Ok(())
    }

    fn add_to(&mut self, key: Key, part: usize, lengths: &Lengths) {
        let column = key.as_ref().map(|(column, _)| *column);
        let marginal = self.known.entry(key).or_insert_with(|| {
            if let Some(column) = column {
                self.values[column] += 1;
            }
            Marginal::default()
        });
        marginal.lengths.merge(lengths);
        marginal.parts.push(part);
    }

    fn leave_out(&mut self, column: usize) {
        self.left_out[column] = true;
        self.known.retain(|key, _| key.as_ref().is_none_or(|(of, _)| *of != column));
    }

    /// The groups of the summary, in its order.
    fn most_rows(&self) -> Vec<&Key> {
        let mut shown = vec![&None];
        for column in 0..self.left_out.len() {
            let own = self.known.iter().filter(|(key, _)| key.as_ref().is_some_and(|(of, _)| *of == column));
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

fn summary((column, value): GroupName<'_>, lengths: &Lengths, ngrams: Vec<NgramSummary>) -> GroupSummary {
    let bins = lengths.measures.iter().zip(UNITS).map(|(measure, unit)| UnitSummary {
        unit,
        total: measure.total,
        bins: measure.ranges().map(|(from, to, count)| Bin { from, to, count }).collect(),
    });
    GroupSummary {
        column: column.map(str::to_owned),
        value: value.map(str::to_owned),
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
    let group = ["field", "value"].map(|name| Field::new(name, DataType::Utf8, true));
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

    fn add_lengths(&mut self, group: GroupName<'_>, lengths: &Lengths) -> Result<()> {
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
        group: GroupName<'_>,
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

fn write(table: &mut Table, (column, value): GroupName<'_>, rows: usize, own: Vec<ArrayRef>) -> Result<()> {
    let repeated = |text: Option<&str>| options((0..rows).map(|_| text));
    table.write([vec![repeated(column), repeated(value)], own].concat())
}
