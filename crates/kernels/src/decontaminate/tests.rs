use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::apply::{CutOptions, ITEM, NGRAM, SHARE, annotate, cut, remove};
use super::index::Builder;
use super::{BenchmarkFile, Index, Scratch, load};
use crate::Batch;
use crate::batch::Identity;
use crate::edits::Edits;
use crate::removed::RemovedLog;
use crate::test_folder::TestFolder;

fn index(ngram: usize, items: &[&str]) -> Index {
    let mut builder = Builder::new(ngram);
    builder.begin_file("evals/a.jsonl");
    items.iter().enumerate().for_each(|(row, item)| builder.add(item, None, row as u64));
    builder.finish(0)
}

fn batch(texts: &[Option<&str>]) -> Batch {
    let identity =
        Identity::of_file("f", (0..texts.len() as u64).collect(), StringArray::new_null(texts.len()));
    let texts = StringArray::from(texts.to_vec());
    Batch::new(identity, vec![(Field::new("text", DataType::Utf8, true), Arc::new(texts))]).unwrap()
}

/// Words by the rules as one writes them down.
fn plain_words(text: &str) -> Vec<String> {
    let spaced: String = text
        .to_lowercase()
        .chars()
        .map(|c| if ('\u{4e00}'..='\u{9fff}').contains(&c) { format!(" {c} ") } else { c.to_string() })
        .collect();
    let words = spaced
        .split_whitespace()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>());
    words.filter(|word| !word.is_empty()).collect()
}

fn plain_ngrams(text: &str, length: usize) -> BTreeSet<Vec<String>> {
    plain_words(text).windows(length).map(<[String]>::to_vec).collect()
}

/// The largest share of an item's n-grams and the first item that has it.
fn plain_best(ngram: usize, items: &[String], text: &str) -> Option<(u32, f64)> {
    let mut best = None;
    let mut usable = 0;
    for item in items {
        let length = plain_words(item).len().min(ngram);
        if length < ngram.min(8) {
            continue;
        }
        let wanted = plain_ngrams(item, length);
        let there = plain_ngrams(text, length);
        let share = wanted.intersection(&there).count() as f64 / wanted.len() as f64;
        if share > best.map_or(0.0, |(_, best)| best) {
            best = Some((usable, share));
        }
        usable += 1;
    }
    best
}

proptest! {
    #[test]
    fn shares_are_those_of_plain_sets(
        ngram in 1_usize..12,
        items in prop::collection::vec("([abAB麦][,.!]?[ \n]{0,2}){0,14}", 1..6),
        text in "([abAB麦é][-']?[ \t]{0,2}){0,60}",
    ) {
        let index = index(ngram, &items.iter().map(String::as_str).collect::<Vec<_>>());
        let found = index.find(&text, &mut Scratch::default());
        prop_assert_eq!(found.map(|one| (one.item, one.share)), plain_best(ngram, &items, &text));
        if let Some(one) = found {
            prop_assert!(text.get(one.start..one.end).is_some());
        }
    }
}

#[test]
fn case_and_punctuation_do_not_matter() {
    let index = index(13, &["What is the capital of France, and when did it become the country's capital?"]);
    let text = "… WHAT IS -- the capital of france and when did it become the countrys capital, he asked";
    let found = index.find(text, &mut Scratch::default()).unwrap();
    assert_eq!(Some(found.share), Some(1.0));
    assert_eq!(
        &text[found.start..found.end],
        "WHAT IS -- the capital of france and when did it become the countrys"
    );
    assert_eq!(index.find("What is the capital of France?", &mut Scratch::default()), None);
}

#[test]
fn short_items_are_whole_or_unusable() {
    let index = index(13, &["one two three four five six seven eight", "one two three", "…"]);
    assert_eq!(index.items().len(), 1);
    assert_eq!(
        index.unusable().iter().map(|item| (item.row, item.words)).collect::<Vec<_>>(),
        [(1, 3), (2, 0)]
    );
    let whole = index.find("zero One, two three four five six seven EIGHT nine", &mut Scratch::default());
    assert_eq!(whole.map(|one| one.share), Some(1.0));
    assert_eq!(index.find("one two three four five six seven", &mut Scratch::default()), None);
}

const ITEM_TEXT: &str = "alpha beta gamma delta epsilon zeta eta theta iota kappa";

#[test]
fn rows_are_removed_with_the_item_as_the_keeper() {
    let index = index(8, &[ITEM_TEXT]);
    let mut rows = batch(&[
        Some("nothing here"),
        Some(ITEM_TEXT),
        None,
        Some("say alpha beta gamma delta epsilon zeta eta theta"),
    ]);
    let mut removed = RemovedLog::default();
    let mut scratch = Scratch::default();
    let left =
        remove(&index, &mut scratch, &mut rows, ("text", 0.5), (&mut removed, "decontaminate")).unwrap();
    assert_eq!((left, rows.kept_rows()), (1, 3));
    let left =
        remove(&index, &mut scratch, &mut rows, ("text", 0.0), (&mut removed, "decontaminate")).unwrap();
    assert_eq!((left, rows.kept_rows(), removed.rows()), (1, 2, 2));
    assert_eq!(removed.by_rule()[0].rule, "evals/a.jsonl");
}

#[test]
fn rows_are_measured() {
    let index = index(8, &[ITEM_TEXT]);
    let mut rows = batch(&[Some("clean"), Some("Oh: alpha beta gamma delta epsilon zeta eta theta!"), None]);
    annotate(&index, &mut Scratch::default(), &mut rows, "text").unwrap();
    let shares: &Float64Array = rows.typed(SHARE, "float64").unwrap();
    assert_eq!(shares.iter().collect::<Vec<_>>(), [Some(0.0), Some(1.0 / 3.0), None]);
    assert_eq!(rows.text(ITEM).unwrap().iter().collect::<Vec<_>>(), [None, Some("evals/a.jsonl:0"), None]);
    assert_eq!(rows.text(NGRAM).unwrap().value(1), "alpha beta gamma delta epsilon zeta eta theta");
    assert!(rows.text(NGRAM).unwrap().is_null(0));
}

#[test]
fn what_surrounds_an_ngram_is_cut_too() {
    let index = index(8, &[ITEM_TEXT]);
    let long = "文".repeat(300);
    let text = format!("{long} {ITEM_TEXT} {long}");
    let many = vec![text.clone(); 12].join(" ");
    let mut rows = batch(&[Some(&text), Some(ITEM_TEXT), Some("clean"), Some(&many)]);
    let (mut edits, mut removed) = (Edits::default(), RemovedLog::default());
    let options = CutOptions { around: 200, least_characters: 50, most_pieces: 10 };
    let records = (&mut edits, &mut removed, "decontaminate");
    let changed = cut(&index, &mut Scratch::default(), &mut rows, ("text", 0.0, options), records).unwrap();
    // One of the 200 characters is the space.
    let left = "文".repeat(101);
    assert_eq!(rows.text("text").unwrap().value(0), format!("{left}\n{left}"));
    assert_eq!((changed, edits.by_rule()[0].count, removed.rows()), (1, 1, 2));
    assert_eq!(edits.by_rule()[0].bytes as usize, text.len() - 2 * left.len());
    assert_eq!(
        (rows.is_kept(0), rows.is_kept(1), rows.is_kept(2), rows.is_kept(3)),
        (true, false, true, false)
    );
}

#[test]
fn broken_benchmarks_name_the_file_and_the_line() {
    let folder = TestFolder::new();
    let reason = |bytes: &[u8]| {
        let path = folder.join("b.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let file = BenchmarkFile { path, name: "b.jsonl".into() };
        load(&[file], &["question".into()], 13, None).err().unwrap().to_string()
    };
    assert!(
        reason(b"{\"question\": \"a\"}\n\n{\"question\": ").contains("b.jsonl: line 3 is no JSON object")
    );
    assert!(reason(b"[1]\n").contains("line 1 is no JSON object"));
    assert!(reason(b"{\"q\": \"a\"}\n").contains("no row has text in any of the fields question"));
    assert!(reason(b"PAR1 and no more").contains("not valid benchmark: b.jsonl"));
    assert!(reason(&[0x1f, 0x8b, 8, 0, 0]).contains("b.jsonl"));
}
