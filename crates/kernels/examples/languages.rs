//! How fast a fastText model labels a corpus on one core, and what it says: for comparison with fastText itself.
//!
//! ```text
//! languages MODEL CORPUS.jsonl [LANG]
//! ```
//!
//! With LANG other than `all`, documents of that language alone, and no manuals among them.
//!
//! Prints one JSON object: documents, bytes, seconds of the best of five rounds, and how many documents have each
//! label. The documents are in memory before the clock starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use gristmill_kernels::fasttext::{Model, Scratch};
use serde::Deserialize;

/// Rounds that are timed; the best counts, since nothing makes a computation faster than it is.
const ROUNDS: usize = 5;

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    lang: String,
    #[serde(default)]
    source: String,
}

#[expect(clippy::print_stdout, reason = "a program whose output is its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(corpus)) = (arguments.next(), arguments.next()) else {
        return Err("usage: MODEL CORPUS.jsonl [LANG]".into());
    };
    let lang = arguments.next().filter(|lang| lang != "all");
    let model = Model::open(Path::new(&model))?;
    let texts = std::fs::read(&corpus)?
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice::<Row>)
        .collect::<Result<Vec<_>, _>>()?;
    let wanted =
        |row: &Row| lang.as_ref().is_none_or(|lang| row.lang == *lang && row.source != "python-docs");
    let texts: Vec<String> = texts.into_iter().filter(wanted).map(|row| row.text).collect();
    let mut scratch = Scratch::default();
    let mut labels: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        labels.clear();
        let started = Instant::now();
        for text in &texts {
            let label = model.top(text, &mut scratch).map_or("", |best| &model.labels()[best.label]);
            *labels.entry(label).or_default() += 1;
        }
        seconds = seconds.min(started.elapsed().as_secs_f64());
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let answer = serde_json::json!({
        "documents": texts.len(),
        "bytes": bytes,
        "seconds": seconds,
        "megabytesPerSecond": bytes as f64 / 1e6 / seconds,
        "labels": labels,
    });
    println!("{answer}");
    Ok(())
}
