//! Whole statistics: collected by tasks and added up, against plain loops.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::collect::{CollectOptions, Collector};
use super::merge::{GroupSummary, MergeOptions, Merged, merge_within};
use super::ngrams::{MAX_NGRAM_BYTES, NgramTable, Room, hash_of};
use super::{BOUNDS, Bounds};
use crate::batch::{Batch, Identity};

/// Text, source, lang; whether the row is selected.
type Row = (Option<String>, Option<String>, Option<String>, bool);

fn collect_options() -> CollectOptions {
    CollectOptions {
        column: "text".into(),
        by: vec!["source".into(), "lang".into()],
        ngrams: vec![1, 2],
        whitespace_words: true,
        language_column: None,
        language: None,
    }
}

fn batch(rows: &[Row]) -> Batch {
    let column = |name: &str, values: Vec<Option<&str>>| {
        let array: ArrayRef = Arc::new(StringArray::from(values));
        (Field::new(name, DataType::Utf8, true), array)
    };
    let columns = vec![
        column("text", rows.iter().map(|row| row.0.as_deref()).collect()),
        column("source", rows.iter().map(|row| row.1.as_deref()).collect()),
        column("lang", rows.iter().map(|row| row.2.as_deref()).collect()),
    ];
    let ids = StringArray::new_null(rows.len());
    let mut batch =
        Batch::new(Identity::of_file("f", (0..rows.len() as u64).collect(), ids), columns).unwrap();
    batch.retain(&rows.iter().map(|row| row.3).collect::<BooleanBuffer>()).unwrap();
    batch
}

/// The statistics of rows that are cut into tasks of so many rows, and these into batches.
fn run(rows: &[Row], tasks: usize, batches: usize, bounds: Bounds) -> Merged {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("gristmill-stats-{}-{run}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for task in rows.chunks(tasks) {
        let mut collector = Collector::within(collect_options(), bounds);
        for rows in task.chunks(batches) {
            collector.add(&mut batch(rows)).unwrap();
        }
        let file = folder.join(files.len().to_string());
        collector.finish(&file).unwrap();
        files.push(file);
    }
    let options = MergeOptions { by: collect_options().by, ngrams: vec![1, 2], top: usize::MAX };
    let merged = merge_within(&files, &options, &format!("{}/", folder.display()), bounds).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    merged
}

fn checksums(merged: &Merged) -> Vec<(u64, &str)> {
    merged.files.iter().map(|file| (file.rows, file.file.checksum.as_str())).collect()
}

fn json(merged: &Merged) -> String {
    serde_json::to_string(&merged.summary).unwrap()
}

fn group<'a>(merged: &'a Merged, column: Option<&str>, value: Option<&str>) -> Option<&'a GroupSummary> {
    let mut groups = merged.summary.groups.iter();
    groups.find(|group| (group.column.as_deref(), group.value.as_deref()) == (column, value))
}

fn plain_ngrams<'a>(rows: impl Iterator<Item = &'a Row>, n: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for text in rows.filter_map(|row| row.0.as_deref()) {
        let words: Vec<&str> = text.split_whitespace().collect();
        for ngram in words.windows(n) {
            *counts.entry(ngram.join(" ")).or_default() += 1;
        }
    }
    counts
}

/// The row's value of a column of its group.
fn value_of<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    if column == "source" { row.1.as_deref() } else { row.2.as_deref() }
}

/// From so few that columns and pairs have too many values and combinations to the usual ones.
fn bounds() -> impl Strategy<Value = Bounds> {
    let tight = (1_usize..8, 1_usize..14).prop_map(|(values, combinations)| Bounds {
        values,
        combinations,
        room: BOUNDS.room,
    });
    prop_oneof![tight, Just(BOUNDS)]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let word = "[abc]{1,2}|é|漢字";
    let text = prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "));
    let value = |pattern: &'static str| prop::option::of(pattern.prop_map(String::from));
    let row =
        (prop::option::weighted(0.9, text), value("web|book"), value("en|de|zh"), prop::bool::weighted(0.8));
    prop::collection::vec(row, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_into_tasks_and_batches_gives_the_same_files(
        rows in rows(),
        tasks in 1_usize..41,
        batches in 1_usize..41,
        bounds in bounds(),
    ) {
        let whole = run(&rows, usize::MAX, usize::MAX, bounds);
        let cut = run(&rows, tasks, batches, bounds);
        prop_assert_eq!(checksums(&cut), checksums(&whole));
        prop_assert_eq!(json(&cut), json(&whole));
    }

    #[test]
    fn figures_are_those_of_plain_loops(rows in rows(), tasks in 1_usize..41, bounds in bounds()) {
        let merged = run(&rows, tasks, 7, bounds);
        let selected: Vec<&Row> = rows.iter().filter(|row| row.3).collect();
        for group in &merged.summary.groups {
            let is_of = |row: &Row, column: Option<&str>, value: &Option<String>| {
                column.is_none_or(|column| value_of(row, column) == value.as_deref())
            };
            let own: Vec<&Row> = selected.iter().copied().filter(|row| {
                is_of(row, group.column.as_deref(), &group.value)
                    && is_of(row, group.other_column.as_deref(), &group.other_value)
            }).collect();
            let texts: Vec<&str> = own.iter().filter_map(|row| row.0.as_deref()).collect();
            prop_assert_eq!(group.rows, own.len() as u64);
            prop_assert_eq!(group.without_text, (own.len() - texts.len()) as u64);
            let lengths: [Vec<usize>; 3] = [
                texts.iter().map(|text| text.len()).collect(),
                texts.iter().map(|text| text.chars().count()).collect(),
                texts.iter().map(|text| text.split_whitespace().count()).collect(),
            ];
            for (unit, lengths) in group.lengths.iter().zip(lengths) {
                prop_assert_eq!(unit.total, lengths.iter().sum::<usize>() as u64);
                prop_assert_eq!(unit.bins.iter().map(|bin| bin.count).sum::<u64>(), texts.len() as u64);
                for bin in &unit.bins {
                    let within = |&&length: &&usize| (bin.from..bin.to).contains(&(length as u64));
                    prop_assert_eq!(bin.count, lengths.iter().filter(within).count() as u64);
                }
            }
            for list in &group.ngrams {
                let mut plain: Vec<(String, u64)> =
                    plain_ngrams(own.iter().copied(), list.n).into_iter().collect();
                plain.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                prop_assert_eq!((list.total, list.max_error), (plain.iter().map(|(_, count)| count).sum(), 0));
                plain.truncate(list.top.len());
                prop_assert_eq!(&list.top, &plain);
            }
        }
        let of = |columns: &[&str]| -> BTreeSet<Vec<&str>> {
            selected.iter().filter_map(|row| columns.iter().map(|column| value_of(row, column)).collect()).collect()
        };
        let [sources, languages, pairs] = [&["source"][..], &["lang"], &["source", "lang"]].map(of);
        let fits = |values: &BTreeSet<Vec<&str>>| values.len() <= bounds.values;
        let fit = fits(&sources) && fits(&languages);
        for (columns, values, has_groups) in [
            (("source", None), &sources, fits(&sources)),
            (("lang", None), &languages, fits(&languages)),
            (("source", Some("lang")), &pairs, fit && fits(&pairs)),
        ] {
            let groups = merged.summary.groups.iter().filter(|group| {
                (group.column.as_deref(), group.other_column.as_deref()) == (Some(columns.0), columns.1)
            });
            let values_of = |group: &'_ GroupSummary| {
                [&group.value, &group.other_value].into_iter().flatten().cloned().collect::<Vec<_>>()
            };
            let found: BTreeSet<Vec<String>> = groups.map(values_of).collect();
            let own = values.iter().filter(|_| has_groups);
            let own = own.map(|values| values.iter().map(|&value| value.to_owned()).collect()).collect();
            prop_assert_eq!(found, own);
        }
        let names = [("source", &sources), ("lang", &languages)].into_iter().filter(|(_, values)| !fits(values));
        prop_assert_eq!(&merged.summary.left_out, &names.map(|(name, _)| name).collect::<Vec<_>>());
        prop_assert_eq!(merged.summary.left_out_pairs.len(), usize::from(fit && !fits(&pairs)));
    }

    #[test]
    fn a_full_table_is_never_wrong_by_more_than_it_says(
        rows in rows(),
        tasks in 1_usize..41,
        entries in 1_usize..12,
        bounds in bounds(),
    ) {
        let bounds = Bounds { room: Room { entries, bytes: 4 * entries }, ..bounds };
        let merged = run(&rows, tasks, 5, bounds);
        prop_assert_eq!(json(&merged), json(&run(&rows, tasks, 3, bounds)), "the size of batches shows");
        let selected: Vec<&Row> = rows.iter().filter(|row| row.3).collect();
        let all = &merged.summary.groups[0];
        for list in &all.ngrams {
            let plain = plain_ngrams(selected.iter().copied(), list.n);
            let found: BTreeMap<&str, u64> =
                list.top.iter().map(|(ngram, count)| (ngram.as_str(), *count)).collect();
            prop_assert!(found.len() <= entries);
            prop_assert_eq!(list.total, plain.values().sum::<u64>());
            for (ngram, &count) in &plain {
                let low = found.get(ngram.as_str()).copied().unwrap_or(0);
                prop_assert!(low <= count && count <= low + list.max_error, "{} {} {}", ngram, low, count);
            }
        }
    }

    #[test]
    fn a_list_gives_way_by_no_more_than_its_share(ngrams in prop::collection::vec("[a-f]{1,3}", 0..400)) {
        let mut table = NgramTable::new(1, Room { entries: 20, bytes: usize::MAX });
        for ngram in &ngrams {
            table.count(0, hash_of(ngram), ngram);
        }
        // A cut of eleven n-grams or more takes its value off eleven at least.
        prop_assert!(table.lists()[0].error * 11 <= ngrams.len() as u64);
    }
}

#[test]
fn small_lists_stay_whole_beside_large_ones() {
    let mut table = NgramTable::new(2, Room { entries: 100, bytes: usize::MAX });
    for number in 0..1000 {
        let ngram = number.to_string();
        table.count(0, hash_of(&ngram), &ngram);
        if number % 100 == 0 {
            table.count(1, hash_of(&ngram), &ngram);
        }
    }
    let [large, small] = table.lists() else { panic!("two lists") };
    assert_eq!((small.len(), small.error, small.total), (10, 0, 10));
    assert!(large.error > 0 && large.len() + small.len() <= 100);
    assert_eq!(large.total, 1000);
}

#[test]
fn a_column_of_many_values_groups_nothing_and_all_other_groups_stay() {
    let row = |source: Option<String>| (Some("a b".to_owned()), source, Some("en".to_owned()), true);
    let mut rows: Vec<Row> = (0..=BOUNDS.values).map(|n| row(Some(n.to_string()))).collect();
    rows.push(row(None));
    let whole = run(&rows, usize::MAX, 1000, BOUNDS);
    assert_eq!(whole.summary.left_out, ["source"]);
    assert_eq!(whole.summary.groups.len(), 2, "all rows, and en");
    let english = group(&whole, Some("lang"), Some("en")).unwrap();
    assert_eq!((english.rows, english.ngrams[1].top[0].1), (rows.len() as u64, rows.len() as u64));
    let cut = run(&rows, 3000, 1000, BOUNDS);
    assert_eq!(
        (json(&cut), checksums(&cut)),
        (json(&whole), checksums(&whole)),
        "known only when all tasks are added"
    );
}

#[test]
fn what_is_longer_than_words_are_is_no_ngram() {
    let text = format!("a {} b", "x".repeat(MAX_NGRAM_BYTES + 1));
    let merged = run(&[(Some(text), None, None, true)], 1, 1, BOUNDS);
    let all = &merged.summary.groups[0];
    assert_eq!(all.lengths[2].total, 3);
    assert_eq!((all.ngrams[0].total, all.ngrams[1].total), (2, 0));
}

#[test]
fn damaged_files_are_errors_and_no_panics() {
    let mut collector = Collector::new(collect_options());
    collector.add(&mut batch(&[(Some("a b a".into()), Some("web".into()), None, true)])).unwrap();
    let path = std::env::temp_dir().join(format!("gristmill-stats-damaged-{}", std::process::id()));
    collector.finish(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let options = MergeOptions { by: collect_options().by, ngrams: vec![1, 2], top: 5 };
    let prefix = format!("{}-", path.display());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        // What zstd cannot tell from data is data.
        let _ = merge_within(std::slice::from_ref(&path), &options, &prefix, BOUNDS);
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(merge_within(std::slice::from_ref(&path), &options, &prefix, BOUNDS).is_err(), "cut at {at}");
    }
    for name in ["groups", "lengths", "ngrams"] {
        std::fs::remove_file(format!("{prefix}{name}.parquet")).unwrap();
    }
    std::fs::remove_file(path).unwrap();
}
