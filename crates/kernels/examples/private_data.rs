//! What the step `pii` finds in a corpus: how published rates of false positives are counted.
//!
//! ```text
//! private_data CORPUS.jsonl [KIND]
//! ```
//!
//! Prints one JSON object a kind: matches, documents that hold one, bytes read and seconds. With KIND, every
//! match of that kind with its surroundings instead, to be judged by eye.

use std::time::Instant;

use gristmill_kernels::pii::{Finder, Kind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    text: String,
}

#[expect(clippy::print_stdout, reason = "a program whose output is its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let corpus = arguments.next().ok_or("usage: CORPUS.jsonl [KIND]")?;
    let shown = arguments.next().map(|name| Kind::named(&name).ok_or("no such kind")).transpose()?;
    let texts = std::fs::read(&corpus)?
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Row>(line).map(|row| row.text))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let finder = Finder::new(&Kind::ALL)?;
    let (mut matches, mut documents) = ([0_u64; Kind::ALL.len()], [0_u64; Kind::ALL.len()]);
    let mut found = Vec::new();
    let mut seconds = 0.0;
    for text in &texts {
        let started = Instant::now();
        finder.find(text, &mut found);
        seconds += started.elapsed().as_secs_f64();
        let mut seen = [0; Kind::ALL.len()];
        for one in &found {
            matches[one.kind as usize] += 1;
            seen[one.kind as usize] = 1;
            if shown == Some(one.kind) {
                let from = (0..=one.start.saturating_sub(30))
                    .rev()
                    .find(|&at| text.is_char_boundary(at))
                    .unwrap_or(0);
                let to =
                    (one.end + 30..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
                println!(
                    "{:?}\t{:?}\t{:?}",
                    &text[from..one.start],
                    &text[one.start..one.end],
                    &text[one.end..to]
                );
            }
        }
        documents.iter_mut().zip(seen).for_each(|(count, seen)| *count += seen);
    }
    if shown.is_none() {
        for kind in Kind::ALL {
            println!(
                "{}",
                serde_json::json!({
                    "kind": kind.name(),
                    "matches": matches[kind as usize],
                    "documents": documents[kind as usize],
                    "of": texts.len(),
                    "bytes": bytes,
                    "seconds": seconds,
                })
            );
        }
    }
    Ok(())
}
