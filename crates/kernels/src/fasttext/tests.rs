//! Small models written here byte by byte, compared with plain loops. Real models and fastText's own answers
//! are in `src/steps/language.test.ts`.

use std::sync::Arc;

use arrow_array::{Array, StringArray};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::apply::{ApplyOptions, apply};
use super::dictionary::hash_word;
use super::{Model, Scratch};
use crate::Batch;
use crate::batch::Identity;
use crate::removed::RemovedLog;

const WORDS: [&str; 4] = ["</s>", "the", "größe", "a"];
const LABELS: [&str; 3] = ["__label__x", "__label__y", "plain"];
const BUCKETS: u32 = 50;

struct Spec {
    kind: i32,
    loss: i32,
    dimension: usize,
    word_ngrams: i32,
    longest: i32,
}

const SOFTMAX: Spec = Spec { kind: 3, loss: 3, dimension: 5, word_ngrams: 2, longest: 3 };

fn value(row: usize, column: usize) -> f32 {
    let mixed = (row * 31 + column * 17 + 7) % 23;
    mixed as f32 / 8.0 - 1.3
}

fn file(spec: &Spec) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut int = |value: i32| bytes.extend(value.to_le_bytes());
    for value in [793_712_314, 12, spec.dimension as i32, 5, 5, 1, 5, spec.word_ngrams, spec.loss, spec.kind]
    {
        int(value);
    }
    for value in [BUCKETS.cast_signed(), 2, spec.longest, 100, 0, 0] {
        int(value);
    }
    for value in [WORDS.len() + LABELS.len(), WORDS.len(), LABELS.len()] {
        int(value as i32);
    }
    bytes.extend(99_i64.to_le_bytes());
    bytes.extend((-1_i64).to_le_bytes());
    for (at, word) in WORDS.iter().chain(&LABELS).enumerate() {
        bytes.extend(word.as_bytes());
        bytes.push(0);
        bytes.extend((20 - at as i64).to_le_bytes());
        bytes.push(u8::from(at >= WORDS.len()));
    }
    for (rows, from) in [(WORDS.len() + BUCKETS as usize, 0), (LABELS.len(), 1000)] {
        bytes.push(0);
        bytes.extend((rows as i64).to_le_bytes());
        bytes.extend((spec.dimension as i64).to_le_bytes());
        for row in 0..rows {
            (0..spec.dimension).for_each(|column| bytes.extend(value(from + row, column).to_le_bytes()));
        }
    }
    bytes
}

fn load(bytes: &[u8]) -> crate::Result<Model> {
    Model::read(bytes, bytes.len() as u64)
}

fn reason(bytes: &[u8]) -> String {
    load(bytes).err().expect("the model is refused").to_string()
}

/// fastText's rules in plain words, for models of this file.
fn plain_rows(text: &str, spec: &Spec) -> Vec<usize> {
    let (mut rows, mut hashes) = (Vec::new(), Vec::new());
    let tokens =
        text.split([' ', '\n', '\r', '\t', '\u{b}', '\u{c}', '\0']).filter(|token| !token.is_empty());
    for token in tokens.chain(["</s>"]) {
        let known = WORDS.iter().position(|word| *word == token);
        if known.is_none() && (token.starts_with("__label__") || LABELS.contains(&token)) {
            continue;
        }
        rows.extend(known);
        hashes.push(i64::from(hash_word(token.as_bytes()).cast_signed()).cast_unsigned());
        if token == "</s>" {
            break;
        }
        let characters: Vec<char> = format!("<{token}>").chars().collect();
        for start in 0..characters.len() {
            for length in 2..=usize::try_from(spec.longest).unwrap() {
                let Some(gram) = characters.get(start..start + length) else { continue };
                let gram: String = gram.iter().collect();
                rows.push(WORDS.len() + (hash_word(gram.as_bytes()) % BUCKETS) as usize);
            }
        }
    }
    if spec.word_ngrams > 1 {
        for pair in hashes.windows(2) {
            let hash = pair[0].wrapping_mul(116_049_371).wrapping_add(pair[1]);
            rows.push(WORDS.len() + (hash % u64::from(BUCKETS)) as usize);
        }
    }
    rows
}

fn plain_scores(text: &str, spec: &Spec) -> Vec<f32> {
    let rows = plain_rows(text, spec);
    let hidden: Vec<f32> = (0..spec.dimension)
        .map(|column| rows.iter().map(|&row| value(row, column)).sum::<f32>() / rows.len() as f32)
        .collect();
    let dots: Vec<f32> = (0..LABELS.len())
        .map(|label| (0..spec.dimension).map(|column| value(1000 + label, column) * hidden[column]).sum())
        .collect();
    match spec.loss {
        4 => dots.iter().map(|dot| 1.0 / (1.0 + (-dot).exp())).collect(),
        1 => {
            // Row 0 divides labels 2 and 1, the rarest; row 1 that pair and label 0, the heavier.
            let right = |row: usize| 1.0 / (1.0 + (-dots[row]).exp());
            vec![1.0 - right(1), right(1) * right(0), right(1) * (1.0 - right(0))]
        }
        _ => {
            let sum: f32 = dots.iter().map(|dot| dot.exp()).sum();
            dots.iter().map(|dot| dot.exp() / sum).collect()
        }
    }
}

fn check(text: &str, spec: &Spec, tolerance: f32) {
    let model = load(&file(spec)).unwrap();
    let mut scratch = Scratch::default();
    let expected = plain_scores(text, spec);
    for (label, expected) in expected.iter().enumerate() {
        let (best, score) = model.top_and(text, label, &mut scratch).unwrap();
        assert!(
            (score - 1e-5 - expected).abs() < tolerance,
            "label {label} of {text:?}: {score}, {expected}"
        );
        assert!(best.score >= score, "{best:?} {score}");
    }
}

#[test]
fn labels_lose_their_prefix_and_texts_without_words_have_none() {
    let model = load(&file(&SOFTMAX)).unwrap();
    assert_eq!(model.labels(), ["x", "y", "plain"]);
    for text in ["", " \n\t\0 "] {
        assert_eq!(model.top(text, &mut Scratch::default()), None);
    }
}

#[test]
fn line_ends_are_spaces_and_the_end_of_line_word_ends_the_text() {
    let model = load(&file(&SOFTMAX)).unwrap();
    let top = |text: &str| model.top(text, &mut Scratch::default());
    assert_eq!(top("the\r\na b"), top("the a b"));
    assert_eq!(top("the </s> never read"), top("the"));
    assert_eq!(top("__label__new the plain"), top("the"));
}

#[test]
fn what_is_kept_from_text_to_text_changes_no_answer() {
    let model = load(&file(&SOFTMAX)).unwrap();
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    // Words that the first never sees, so that they are not emptied at the same text.
    model.top("one two three four five", &mut other);
    // More words than are kept, of all lengths that are kept apart.
    for round in 0..70_000_u32 {
        let text = format!("w{round:x} the {} größe w{}", "long".repeat(round as usize % 9), round % 100);
        let kept = model.top(&text, &mut scratch);
        assert_eq!(kept, model.top(&text, &mut other), "{text}");
        if round % 4_000 == 0 {
            assert_eq!(kept, model.top(&text, &mut Scratch::default()), "{text}");
        }
    }
}

#[test]
fn a_word_that_comes_in_pieces_has_the_features_of_a_whole_one() {
    for length in [31, 33, 62, 63, 4093, 4094, 4095, 4096, 4097, 9000] {
        let word: String = "größe语x"
            .chars()
            .cycle()
            .scan(0, |bytes, letter| {
                *bytes += letter.len_utf8();
                (*bytes <= length).then_some(letter)
            })
            .collect();
        check(&format!("the {word} a"), &SOFTMAX, 1e-3);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = file(&SOFTMAX);
    for end in 0..bytes.len() {
        let message = reason(&bytes[..end]);
        assert!(message.contains("truncated") || message.contains("damaged"), "{end}: {message}");
    }
}

#[test]
fn other_files_are_told_apart() {
    assert!(reason(b"GGUF and more bytes").contains("not a fastText model"));
    assert!(reason(&file(&Spec { kind: 2, ..SOFTMAX })).contains("word vectors"));
    assert!(reason(&file(&Spec { loss: 9, ..SOFTMAX })).contains("loss 9"));
    let mut newer = file(&SOFTMAX);
    newer[4] = 13;
    assert!(reason(&newer).contains("version 13"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_are_those_of_plain_loops(
        words in prop::collection::vec("the|a|größe|</s>|__label__x|plain|[a-zé语]{1,12}", 1..12),
        dimension in prop::sample::select(vec![5_usize, 16]),
        loss in prop::sample::select(vec![1, 3]),
        word_ngrams in 1..3,
        longest in prop::sample::select(vec![0, 3]),
    ) {
        check(&words.join(" "), &Spec { loss, dimension, word_ngrams, longest, ..SOFTMAX }, 1e-4);
    }

    #[test]
    fn one_against_all_follows_the_table(words in prop::collection::vec("[a-z]{1,6}", 1..6)) {
        // fastText's table of the logistic function has steps of 1/32.
        check(&words.join(" "), &Spec { loss: 4, ..SOFTMAX }, 0.01);
    }

    #[test]
    fn damaged_files_never_panic(place in 0_usize..1000, byte in any::<u8>()) {
        let mut bytes = file(&SOFTMAX);
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(model) = load(&bytes) {
            model.top("the größe of it", &mut Scratch::default());
        }
    }
}

#[test]
fn rows_are_labelled_and_removed_by_the_first_rule_they_fail() {
    let model = load(&file(&SOFTMAX)).unwrap();
    let texts = StringArray::from(vec![Some("the größe"), Some(""), None, Some("a")]);
    let identity = Identity::of_file("f", (0..4).collect(), StringArray::new_null(4));
    let mut batch =
        Batch::new(identity, vec![(Field::new("text", DataType::Utf8, true), Arc::new(texts))]).unwrap();
    let mut removed = RemovedLog::default();
    let best = model.top("the größe", &mut Scratch::default()).unwrap();
    let options = ApplyOptions {
        column: "text".into(),
        label_column: "lang".into(),
        score_column: "score".into(),
        label: None,
        keep: Some(vec![model.labels()[best.label].clone()]),
        min_score: Some(2.0),
    };
    let left =
        apply(&model, &mut Scratch::default(), &mut batch, &options, (&mut removed, "language")).unwrap();
    assert_eq!((left, batch.kept_rows()), (4, 0));
    let rules: Vec<(&str, u64)> =
        removed.by_rule().iter().map(|rule| (rule.rule.as_str(), rule.rows)).collect();
    let kept = (batch.text("lang").unwrap().iter().flatten())
        .filter(|label| *label == model.labels()[best.label])
        .count();
    assert_eq!(rules, [("keep", 4 - kept as u64), ("minScore", kept as u64)]);
    assert!(batch.text("lang").unwrap().is_null(1));
}
