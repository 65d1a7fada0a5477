//! Speed of `MinHash` signatures on one core, from texts in memory to signatures: the fastest of five runs.
//!
//! `minhash_signatures FILE.jsonl [LANG] [word|char] [none|datatrove]`: with LANG other than `all`, documents of
//! that language alone, and no manuals among them. Prints one JSON object.

use std::hint::black_box;
use std::time::Instant;

use gristmill_kernels::dedup::minhash::shingles::Shingler;
use gristmill_kernels::dedup::minhash::signature::Signer;
use gristmill_kernels::dedup::minhash::simplify::Simplified;
use gristmill_kernels::dedup::minhash::{Normalize, ShingleOptions, Unit};

#[expect(clippy::print_stdout, reason = "the result goes to the benchmark")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |at: usize| arguments.get(at).map_or("", String::as_str);
    let options = ShingleOptions {
        shingle: if argument(3) == "char" { Unit::Char } else { Unit::Word },
        size: 5,
        normalize: if argument(4) == "none" { Normalize::None } else { Normalize::Datatrove },
    };
    let documents = read(argument(1), argument(2));
    let bytes: usize = documents.iter().map(String::len).sum();
    let (mut shingler, mut signer) = (Shingler::new(options), Signer::new(112));
    shingler.sequence("É has the tables made");
    let mut simplified = Simplified::default();
    let simplify = fastest(|| documents.iter().for_each(|text| simplified.set(text, options.normalize)));
    let mut count = 0;
    let shingle = fastest(|| count = documents.iter().map(|text| shingler.sequence(text).len()).sum());
    let mut checksum = 0_u64;
    let seconds = fastest(|| {
        checksum = documents.iter().fold(0, |sum, text| {
            let signature = black_box(signer.sign(shingler.sequence(text)));
            signature.iter().fold(sum, |sum, &minimum| sum.wrapping_add(u64::from(minimum)))
        });
    });
    let result = serde_json::json!({
        "seconds": seconds,
        "simplify_seconds": simplify,
        "shingle_seconds": shingle,
        "bytes": bytes,
        "documents": documents.len(),
        "shingles": count,
        "checksum": format!("{checksum:016x}"),
    });
    println!("{result}");
}

fn read(file: &str, lang: &str) -> Vec<String> {
    let lines = std::fs::read_to_string(file).expect("a file of JSON Lines");
    lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON object a line"))
        .filter(|row| matches!(lang, "" | "all") || (row["lang"] == lang && row["source"] != "python-docs"))
        .filter_map(|row| row["text"].as_str().map(str::to_owned))
        .collect()
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let mut run = || {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}
