//! Speed of `MinHash` signatures on one core: reads texts, prints seconds and a checksum.
//!
//! `minhash_signatures FILE [word|char] [none|datatrove]`: FILE holds documents separated by NUL bytes, as
//! `bench/scenarios/minhash.py` writes them. What is timed is from text to signature.

use std::hint::black_box;
use std::time::Instant;

use gristmill_kernels::dedup::minhash::shingles::Shingler;
use gristmill_kernels::dedup::minhash::signature::Signer;
use gristmill_kernels::dedup::minhash::simplify::Simplified;
use gristmill_kernels::dedup::minhash::{Normalize, ShingleOptions, Unit};

#[expect(clippy::print_stdout, reason = "the result goes to the benchmark")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&arguments[1]).expect("a file of texts");
    let char_shingles = arguments.get(2).is_some_and(|unit| unit == "char");
    let plain = arguments.get(3).is_some_and(|normalize| normalize == "none");
    let options = ShingleOptions {
        shingle: if char_shingles { Unit::Char } else { Unit::Word },
        size: 5,
        normalize: if plain { Normalize::None } else { Normalize::Datatrove },
    };
    let documents: Vec<&str> = text.split('\0').collect();
    let (mut shingler, mut signer) = (Shingler::new(options), Signer::new(112));
    shingler.sequence("É warms the tables up");
    let mut checksum = 0_u64;
    let mut shingles = 0;
    let mut simplified = Simplified::default();
    let simplify = best(|| documents.iter().for_each(|text| simplified.set(text, options.normalize)));
    let shingle =
        best(|| shingles = documents.iter().map(|text| shingler.sequence(text).len()).sum::<usize>());
    let seconds = best(|| {
        checksum = documents.iter().fold(0, |sum, text| {
            let signature = black_box(signer.sign(shingler.sequence(text)));
            signature.iter().fold(sum, |sum, &minimum| sum.wrapping_add(u64::from(minimum)))
        });
    });
    println!(
        "{{\"seconds\":{seconds},\"simplify_seconds\":{simplify},\"shingle_seconds\":{shingle},\"bytes\":{},\"documents\":{},\"shingles\":{shingles},\"checksum\":\"{checksum:016x}\"}}",
        text.len(),
        documents.len(),
    );
}

/// Seconds of the fastest of five runs.
fn best(mut work: impl FnMut()) -> f64 {
    let mut run = || {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}
