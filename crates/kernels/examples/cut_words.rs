//! Speed of cutting texts into words on one core, from texts in memory to words and their hashes: the fastest of five
//! runs.
//!
//! `cut_words FILE.jsonl`: prints one JSON object.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use gristmill_kernels::hash::fold;
use gristmill_kernels::text::segment::{Han, Split, each_word};
use serde::Deserialize;

const ROUNDS: usize = 5;

#[derive(Deserialize)]
struct Row {
    text: String,
}

#[expect(clippy::print_stdout, reason = "the result goes to the benchmark")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(corpus) = std::env::args().nth(1) else { return Err("usage: cut_words FILE.jsonl".into()) };
    let texts = std::fs::read(Path::new(&corpus))?
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Row>(line).map(|row| row.text))
        .collect::<Result<Vec<_>, _>>()?;
    // The tables and dictionaries are made on first use.
    each_word("Words, 言葉とคำ", Split::Unicode, Han::Guess, |_| ());
    let mut seconds = f64::INFINITY;
    let mut words = 0_u64;
    for _ in 0..ROUNDS {
        words = 0;
        let started = Instant::now();
        for text in &texts {
            each_word(text, Split::Unicode, Han::Guess, |word| {
                words += 1;
                black_box(fold::hash(&text.as_bytes()[word.start..word.end]));
            });
        }
        seconds = seconds.min(started.elapsed().as_secs_f64());
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let result =
        serde_json::json!({ "seconds": seconds, "bytes": bytes, "documents": texts.len(), "words": words });
    println!("{result}");
    Ok(())
}
