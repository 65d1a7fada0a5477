//! Filters in a chain share the words of a batch; what they decide must not depend on it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Curate, open};
use crate::batch::{Batch, Identity};
use crate::edits::{EditCount, Edits};
use crate::removed::{RemovedLog, RuleCount};

/// Lines that make each rule fail somewhere: capitals, boilerplate, repeats, scripts without spaces.
const LINES: [&str; 20] = [
    "",
    "the cat that sat with the dog and had to be there of all places.",
    "Those of us who have to be there went with them!",
    "ALL CAPITALS HERE",
    "12345",
    "3 likes",
    "one",
    "sign-in to the page",
    "go on, read more...",
    "A line.\rAnother one.\u{2028}And a third ...",
    "terms of use\r",
    "javascript must be on.",
    "See [1] and [edit] there.",
    "- a point ...",
    "#### ####",
    "今日は東京へ行きました。とても楽しかったです。",
    "这是一个测试,我们在这里。",
    "ภาษาไทยเป็นภาษาที่สวยงาม",
    "مرحبا بالعالم، كيف حالك؟",
    "👩‍👩‍👧 🇫🇷 e\u{301}\u{200b}",
];

const STEPS: [&str; 6] =
    ["gopher-repetition", "gopher-quality", "c4-quality", "fineweb-quality", "line-filter", "bad-words"];

/// Limits that some of the texts meet and some do not.
fn limits(step: &str) -> Value {
    match step {
        "gopher-repetition" => json!({ "minCharacters": 1, "maxDuplicateLines": 0.6, "maxTop2Gram": 0.4,
            "maxDuplicate5Grams": 0.5 }),
        "gopher-quality" => json!({ "minWords": 4, "maxMeanWordLength": 12, "minStopWords": 1 }),
        "c4-quality" => json!({ "curlyBracket": 0, "minSentences": 1 }),
        "fineweb-quality" => json!({ "minLines": 1, "minTerminalLines": 0.1, "maxLineFeeds": 0.9 }),
        "line-filter" => json!({ "maxRemovedWords": 0.5, "minLines": 1 }),
        _ => json!({ "maxMatches": 1 }),
    }
}

fn own_options(step: &str) -> Value {
    match step {
        "gopher-repetition" => json!({ "topNgrams": [2], "duplicateNgrams": [5] }),
        "c4-quality" => json!({ "sentences": false, "removeCitations": true, "terminalPunctuation": true,
            "minWordsPerLine": 2, "maxWordLength": 1000, "loremIpsum": true, "javascript": true,
            "curlyBracket": true, "policy": true }),
        "fineweb-quality" => {
            json!({ "shortLineLength": 30, "terminalPunctuation": null, "allowNoneTerminal": false })
        }
        "line-filter" => json!({ "maxUppercase": 0.5, "numbers": true, "counters": ["likes"], "minWords": 2,
            "phrases": [], "suffixes": ["read more..."], "prefixes": ["sign-in"], "shortLine": 10 }),
        "bad-words" => json!({ "lists": [["cat"]], "sets": [[0], [0]] }),
        _ => Value::Null,
    }
}

fn filter(step: &str, whitespace_words: bool, annotate: bool) -> Box<dyn Curate> {
    let stop_words =
        if step == "gopher-quality" { json!(["the", "be", "of", "这", "は"]) } else { json!([]) };
    let set = json!({ "limits": limits(step), "stopWords": stop_words });
    let settings = json!({
        "column": "text", "annotate": annotate, "prefix": format!("{step} "), "whitespaceWords": whitespace_words,
        "languages": { "column": "lang", "codes": { "en": 0, "ja": 0 }, "latin": 0, "other": 1 },
        "sets": [set, set],
    });
    open(step, &json!({ "settings": settings, "filter": own_options(step) }).to_string()).unwrap()
}

fn batch(rows: &[(String, Option<&str>)]) -> Batch {
    let column = |name: &str, values: StringArray| -> (Field, ArrayRef) {
        (Field::new(name, DataType::Utf8, true), Arc::new(values))
    };
    let texts = rows.iter().map(|(text, _)| Some(text)).collect();
    let languages = rows.iter().map(|(_, language)| *language).collect();
    let ids = StringArray::new_null(rows.len());
    let identity = Identity::of_file("f", (0..rows.len() as u64).collect(), ids);
    Batch::new(identity, vec![column("text", texts), column("lang", languages)]).unwrap()
}

#[derive(Default)]
struct Logs {
    removed: RemovedLog,
    edits: Edits,
}

type Outcome = (RecordBatch, Vec<RuleCount>, Vec<EditCount>);

impl Logs {
    fn outcome(&self, mut batch: Batch) -> Outcome {
        batch.compact().unwrap();
        (batch.record().clone(), self.removed.by_rule().to_vec(), self.edits.by_rule().to_vec())
    }
}

/// Runs the steps over one batch, or over a new one for each step, which knows nothing of the steps before.
fn run(steps: &[(&str, bool)], rows: &[(String, Option<&str>)], annotate: bool, apart: bool) -> Outcome {
    let mut batch = batch(rows);
    let mut logs = Logs::default();
    for &(step, whitespace_words) in steps {
        if apart {
            batch.compact().unwrap();
            batch = Batch::from_record(batch.record().clone()).unwrap();
        }
        let Logs { removed, edits } = &mut logs;
        filter(step, whitespace_words, annotate).run(&mut batch, removed, edits, step).unwrap();
    }
    logs.outcome(batch)
}

fn some_rows() -> impl Strategy<Value = Vec<(String, Option<&'static str>)>> {
    let line = prop_oneof![4 => prop::sample::select(&LINES[..]).prop_map(str::to_owned), 1 => "\\PC{0,12}"];
    let text = prop::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"));
    prop::collection::vec((text, prop::sample::select(&[None, Some("en"), Some("ja"), Some("xx")][..])), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_chain_decides_and_edits_as_its_steps_do_one_at_a_time(
        steps in prop::collection::vec((prop::sample::select(&STEPS[..]), any::<bool>()), 1..7),
        rows in some_rows(),
        annotate in any::<bool>(),
    ) {
        prop_assert_eq!(run(&steps, &rows, annotate, false), run(&steps, &rows, annotate, true));
    }

    #[test]
    fn rows_do_not_depend_on_their_neighbours(rows in some_rows(), whitespace_words in any::<bool>()) {
        let steps = STEPS.map(|step| (step, whitespace_words));
        let (together, ..) = run(&steps, &rows, false, false);
        let alone = rows.iter().map(|row| run(&steps, std::slice::from_ref(row), false, false).0);
        let texts = |record: &RecordBatch| -> Vec<String> {
            let column = record.column_by_name("text").unwrap();
            column.as_any().downcast_ref::<StringArray>().unwrap().iter().flatten().map(str::to_owned).collect()
        };
        prop_assert_eq!(texts(&together), alone.flat_map(|record| texts(&record)).collect::<Vec<_>>());
    }
}

#[test]
fn an_unknown_filter_and_unknown_options_are_refused() {
    let refused = |name: &str, options: &str| open(name, options).err().unwrap().to_string();
    assert!(refused("gopher", "{}").contains("there is no 'gopher'"));
    let settings = json!({ "column": "text", "annotate": false, "prefix": "", "sets": [] });
    let with = |filter: Value| json!({ "settings": settings, "filter": filter }).to_string();
    assert!(refused("gopher-quality", &with(Value::Null)).contains("there is no set 0"));
    assert!(refused("bad-words", &with(json!({ "lists": [], "sets": [[3]] }))).contains("no such list"));
    assert!(refused("line-filter", &with(json!({ "nonsense": 1 }))).contains("unknown field"));
}
