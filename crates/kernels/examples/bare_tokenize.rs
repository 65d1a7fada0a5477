//! The bare `tokenizers` crate on JSON Lines: what the tokenise step is measured against.
//!
//! ```text
//! bare_tokenize CORPUS.jsonl TOKENIZER.json [--threads N] [--rounds N] [--batch MIB]
//! ```
//!
//! Reads every `text` into memory, then tokenises all of them, one call a text, with one reused vector
//! a thread; prints one JSON object a round: text bytes, tokens and seconds, reading not counted. With
//! `--batch`, each round also times `Tokenizer::apply` on batches of that size, on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field};
use gristmill_kernels::Batch;
use gristmill_kernels::batch::Identity;
use gristmill_kernels::tokenize::{ApplyOptions, LoadOptions, Tokenizer};
use serde::Deserialize;
use tokenizers::pipeline::{EncodeOptions, Override, PipelineTokenizer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Row {
    text: String,
}

/// Texts that a thread takes at a time.
const TEXTS_A_TURN: usize = 64;

#[expect(clippy::print_stdout, reason = "a program whose output is its result")]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (corpus, file) =
        arguments.next().zip(arguments.next()).ok_or("usage: CORPUS.jsonl TOKENIZER.json")?;
    let (mut threads, mut rounds, mut batch_mib) = (1_usize, 1_usize, None);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or("an option needs a value")?.parse()?;
        match flag.as_str() {
            "--threads" => threads = value,
            "--rounds" => rounds = value,
            "--batch" => batch_mib = Some(value),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let texts = std::fs::read(&corpus)?
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Row>(line).map(|row| row.text))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();

    let started = Instant::now();
    let tokenizer_json = std::fs::read_to_string(&file)?;
    let bare = tokenizers::from_json(&tokenizers::canonicalize_str(&tokenizer_json)?)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let ours = Tokenizer::load(tokenizer_json.as_bytes(), &LoadOptions::default())?;
    println!(
        r#"{{"side":"load","bareSeconds":{load_seconds},"ourSeconds":{}}}"#,
        started.elapsed().as_secs_f64()
    );

    let batches = batch_mib.map(|mib| batches(&texts, mib << 20)).transpose()?;
    for _ in 0..rounds {
        let (tokens, seconds) = run_bare(&bare, &texts, threads)?;
        println!(
            r#"{{"side":"bare","threads":{threads},"bytes":{bytes},"tokens":{tokens},"seconds":{seconds}}}"#
        );
        if let Some(batches) = &batches {
            let (tokens, seconds) = run_apply(&ours, batches)?;
            println!(
                r#"{{"side":"apply","threads":1,"bytes":{bytes},"tokens":{tokens},"seconds":{seconds}}}"#
            );
        }
    }
    Ok(())
}

fn run_bare(
    tokenizer: &PipelineTokenizer,
    texts: &[String],
    threads: usize,
) -> Result<(usize, f64), Failure> {
    let options = EncodeOptions {
        add_special_tokens: false,
        encode_special_tokens: true,
        padding: Override::Off,
        truncation: Override::Off,
    };
    let next = AtomicUsize::new(0);
    let work = || -> Result<usize, Failure> {
        let (mut tokens, mut count) = (Vec::new(), 0);
        loop {
            let from = next.fetch_add(TEXTS_A_TURN, Ordering::Relaxed);
            let Some(turn) =
                texts.get(from..texts.len().min(from + TEXTS_A_TURN)).filter(|turn| !turn.is_empty())
            else {
                return Ok(count);
            };
            for text in turn {
                tokens.clear();
                tokenizer.encode_into(text, &options, &mut tokens)?;
                count += tokens.len();
            }
        }
    };
    let started = Instant::now();
    let counts = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok((counts.into_iter().sum(), started.elapsed().as_secs_f64()))
}

fn run_apply(tokenizer: &Tokenizer, batches: &[Batch]) -> Result<(u64, f64), Failure> {
    let options = ApplyOptions::default();
    let started = Instant::now();
    let mut tokens = 0;
    for batch in batches {
        tokens += tokenizer.apply(&mut batch.clone(), &options)?.tokens;
    }
    Ok((tokens, started.elapsed().as_secs_f64()))
}

fn batches(texts: &[String], bytes: usize) -> Result<Vec<Batch>, Failure> {
    let mut batches = Vec::new();
    let mut from = 0;
    while from < texts.len() {
        let mut to = from;
        let mut filled = 0;
        while to < texts.len() && filled < bytes {
            filled += texts[to].len();
            to += 1;
        }
        let ids = StringArray::from(vec![None::<&str>; to - from]);
        let identity = Identity::of_file("corpus", (from as u64..to as u64).collect(), ids);
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(&texts[from..to]));
        batches.push(Batch::new(identity, vec![(Field::new("text", DataType::Utf8, true), column)])?);
        from = to;
    }
    Ok(batches)
}
