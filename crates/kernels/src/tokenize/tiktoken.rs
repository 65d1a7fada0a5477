//! tiktoken's encodings: a rank for each byte sequence, a pattern and special tokens.
//!
//! tiktoken merges, in each pre-token, the leftmost of the adjacent pairs whose concatenation has the
//! lowest rank, and takes a pre-token that is itself in the table whole. The crate wants a list of
//! merges instead. The list below is exact, not a guess: while a token forms inside a text, nothing
//! crosses its two ends (a boundary that is gone never comes back), so what happens between them is
//! what tiktoken does to the token's bytes alone. Its last merge there is therefore the only pair that
//! ever makes the token, and a token that does not form from its own bytes has none.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde_json::Value;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::{BpeConfig, Merges, PipelineBPE, Vocab};
use tokenizers::pipeline::{
    NormalizerChain, PipelineModel, PipelinePostProcessor, PipelinePreTokenizer, PipelineTokenizer,
};
use tokenizers::utils::byte_level::BYTES_CHAR_LOOKUP;
use tokenizers::vocab::bucket_added_vocabulary::{AddedToken, AddedVocabulary};

use super::base64;
use super::regex_splits::regex_split;
use super::tokenizer::{LoadOptions, Loaded, failed};
use crate::error::{KernelError, Result};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Other spellings of the same patterns: newer versions of tiktoken write them with possessive
/// quantifiers. The crate has a fast grammar for the spelling on the right.
const SPELLINGS: [(&str, &str); 2] = [
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s", GPT2),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        CL100K,
    ),
];

/// Name, pattern and special tokens of an encoding.
type Encoding = (&'static str, &'static str, &'static [(&'static str, u32)]);

/// The published encodings.
const ENCODINGS: [Encoding; 6] = [
    ("gpt2", GPT2, &[("<|endoftext|>", 50256)]),
    ("r50k_base", GPT2, &[("<|endoftext|>", 50256)]),
    ("p50k_base", GPT2, &[("<|endoftext|>", 50256)]),
    (
        "p50k_edit",
        GPT2,
        &[
            ("<|endoftext|>", 50256),
            ("<|fim_prefix|>", 50281),
            ("<|fim_middle|>", 50282),
            ("<|fim_suffix|>", 50283),
        ],
    ),
    (
        "cl100k_base",
        CL100K,
        &[
            ("<|endoftext|>", 100_257),
            ("<|fim_prefix|>", 100_258),
            ("<|fim_middle|>", 100_259),
            ("<|fim_suffix|>", 100_260),
            ("<|endofprompt|>", 100_276),
        ],
    ),
    ("o200k_base", O200K, &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)]),
];

/// Rank of each byte sequence; the rank is the id.
type Ranks = FxHashMap<Vec<u8>, u32>;

/// Names that [`LoadOptions::encoding`] takes.
#[must_use]
pub fn known_encodings() -> Vec<&'static str> {
    ENCODINGS.iter().map(|(name, ..)| *name).collect()
}

/// Whether the JSON is one of the npm package's encoders.
pub(super) fn is_encoder(value: &Value) -> bool {
    value.get("bpe_ranks").is_some_and(Value::is_string) && value.get("pat_str").is_some_and(Value::is_string)
}

/// Reads an encoder of the npm package: `{pat_str, special_tokens, bpe_ranks}`, where each line of the
/// ranks is `! FIRST_RANK TOKEN TOKEN …`.
pub(super) fn read_encoder(value: &mut Value) -> Result<Loaded> {
    let special: BTreeMap<String, u32> =
        serde_json::from_value(value["special_tokens"].take()).map_err(failed)?;
    let mut ranks = Ranks::default();
    for (line, text) in value["bpe_ranks"].as_str().unwrap_or_default().lines().enumerate() {
        let mut words = text.split_ascii_whitespace();
        let Some(first) = words.nth(1) else { continue };
        let first: u32 = first.parse().map_err(|_| bad_line(line, "the first rank is no number"))?;
        for (rank, token) in (first..).zip(words) {
            insert(&mut ranks, token.as_bytes(), rank, line)?;
        }
    }
    build(&ranks, value["pat_str"].as_str().unwrap_or_default(), &special)
}

/// Reads a rank file: a base64 token and its rank on each line.
pub(super) fn read_ranks(bytes: &[u8], options: &LoadOptions) -> Result<Loaded> {
    let mut ranks = Ranks::default();
    for (line, text) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let space = text.iter().position(|&byte| byte == b' ').ok_or_else(|| not_a_tokenizer(line))?;
        let rank = std::str::from_utf8(&text[space + 1..]).ok().and_then(|rank| rank.trim().parse().ok());
        let rank = rank.ok_or_else(|| not_a_tokenizer(line))?;
        insert(&mut ranks, &text[..space], rank, line)?;
    }
    if ranks.is_empty() {
        return Err(KernelError::Tokenizer { reason: "the file is empty".to_owned() });
    }
    let (pattern, special) = pattern_of(options)?;
    build(&ranks, &pattern, &special)
}

fn insert(ranks: &mut Ranks, token: &[u8], rank: u32, line: usize) -> Result<()> {
    let mut bytes = Vec::with_capacity(token.len() / 4 * 3);
    if !base64::decode(token, &mut bytes) {
        return Err(not_a_tokenizer(line));
    }
    match ranks.insert(bytes, rank) {
        None => Ok(()),
        Some(_) => Err(bad_line(line, "a token is there twice")),
    }
}

fn not_a_tokenizer(line: usize) -> KernelError {
    let reason = "neither a tokenizer.json nor a tiktoken rank file (lines of a base64 token and its rank)";
    bad_line(line, reason)
}

fn bad_line(line: usize, reason: &str) -> KernelError {
    KernelError::Tokenizer { reason: format!("line {}: {reason}", line + 1) }
}

/// The pattern and special tokens that the options name.
fn pattern_of(options: &LoadOptions) -> Result<(String, BTreeMap<String, u32>)> {
    match (&options.encoding, &options.pattern) {
        (Some(name), None) => {
            let (_, pattern, special) =
                ENCODINGS.iter().find(|(known, ..)| known == name).ok_or_else(|| KernelError::Option {
                    name: "encoding".to_owned(),
                    reason: format!("'{name}' is not known; known are {}", known_encodings().join(", ")),
                })?;
            let mut special: BTreeMap<String, u32> =
                special.iter().map(|&(token, id)| (token.to_owned(), id)).collect();
            special.extend(options.special_tokens.clone());
            Ok(((*pattern).to_owned(), special))
        }
        (None, Some(pattern)) => Ok((pattern.clone(), options.special_tokens.clone())),
        (Some(_), Some(_)) => Err(KernelError::Option {
            name: "pattern".to_owned(),
            reason: "an encoding has its own pattern; give one of the two".to_owned(),
        }),
        (None, None) => Err(KernelError::Option {
            name: "encoding".to_owned(),
            reason: format!(
                "a rank file holds no pattern; name its encoding ({}) or give a pattern",
                known_encodings().join(", ")
            ),
        }),
    }
}

fn build(ranks: &Ranks, pattern: &str, special: &BTreeMap<String, u32>) -> Result<Loaded> {
    let pattern = SPELLINGS.iter().find(|(other, _)| *other == pattern).map_or(pattern, |(_, ours)| ours);
    // tiktoken takes what the pattern matches and drops what it does not.
    let split = regex_split(pattern, SplitDelimiterBehavior::Removed, true)?;
    let highest_model_id = ranks.values().copied().max();
    let model = PipelineBPE::from_config(BpeConfig {
        vocab: ranks.iter().map(|(token, &rank)| (spell(token), rank)).collect::<Vocab>(),
        merges: merges(ranks),
        byte_level: true,
        ignore_merges: true,
        ..BpeConfig::default()
    })
    .map_err(failed)?;
    let mut added = AddedVocabulary::new();
    let tokens = special.keys().map(|token| AddedToken::from(token.as_str(), true));
    added
        .add_tokens(tokens, 0, |token| special.get(token).copied(), None::<&NormalizerChain<'_>>)
        .map_err(failed)?;
    let pipeline = PipelineTokenizer::from_parts(
        added,
        Vec::new(),
        PipelinePreTokenizer::Split(split),
        PipelineModel::BPE(model),
        PipelinePostProcessor::default(),
        None,
        BTreeMap::new(),
        None,
        None,
    );
    Ok(Loaded { pipeline, post_processor: PipelinePostProcessor::default(), highest_model_id })
}

/// A token in the byte-level alphabet, which is how the crate takes vocabularies.
fn spell(token: &[u8]) -> String {
    token.iter().map(|&byte| BYTES_CHAR_LOOKUP[usize::from(byte)]).collect()
}

/// The pair that makes each token, in the order of ranks; see the module's documentation.
fn merges(ranks: &Ranks) -> Merges {
    let mut tokens: Vec<(&[u8], u32)> = ranks.iter().map(|(token, &rank)| (token.as_slice(), rank)).collect();
    tokens.sort_unstable_by_key(|&(_, rank)| rank);
    let mut ends = Vec::new();
    tokens
        .iter()
        .filter_map(|&(token, _)| {
            let cut = last_merge(token, ranks, &mut ends)?;
            Some((spell(&token[..cut]), spell(&token[cut..])))
        })
        .collect()
}

/// Where the two halves of the last merge meet when tiktoken's merging makes one token of `token`;
/// `None` when it does not, and for single bytes.
fn last_merge(token: &[u8], ranks: &Ranks, ends: &mut Vec<usize>) -> Option<usize> {
    // Part i is token[ends[i - 1]..ends[i]].
    ends.clear();
    ends.extend(0..=token.len());
    let mut cut = None;
    while ends.len() > 2 {
        let best = ends
            .windows(3)
            .enumerate()
            .filter_map(|(at, ends)| Some((*ranks.get(&token[ends[0]..ends[2]])?, at)))
            .min()?;
        cut = Some(ends.remove(best.1 + 1));
    }
    cut
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::tokenize::{EncodeRules, Tokenizer};
    use proptest::prelude::*;

    /// tiktoken's algorithm on one pre-token, as its README has it.
    fn reference(piece: &[u8], ranks: &Ranks) -> Vec<u32> {
        if let Some(&id) = ranks.get(piece) {
            return vec![id];
        }
        let mut parts: Vec<Vec<u8>> = piece.iter().map(|&byte| vec![byte]).collect();
        loop {
            let best = (0..parts.len().saturating_sub(1))
                .filter_map(|at| Some((*ranks.get(&[&parts[at][..], &parts[at + 1]].concat())?, at)))
                .min();
            let Some((_, at)) = best else { break };
            let right = parts.remove(at + 1);
            parts[at].extend(right);
        }
        parts.iter().map(|part| ranks[part]).collect()
    }

    fn rank_file(extra: &[Vec<u8>]) -> (Ranks, Vec<u8>) {
        let mut ranks = Ranks::default();
        let tokens = (0..=255).map(|byte| vec![byte]).chain(extra.iter().cloned());
        for token in tokens {
            let next = ranks.len() as u32;
            ranks.entry(token).or_insert(next);
        }
        let mut file = String::new();
        for (token, rank) in &ranks {
            writeln!(file, "{} {rank}", encode_base64(token)).unwrap();
        }
        (ranks, file.into_bytes())
    }

    fn encode_base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let word =
                u32::from_be_bytes([0, chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)]);
            for digit in 0..4 {
                let index = (word >> (18 - 6 * digit)) as usize & 63;
                out.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
            }
        }
        out
    }

    proptest! {
        #[test]
        fn ids_are_those_of_tiktokens_algorithm_even_for_odd_rank_tables(
            extra in prop::collection::vec(prop::collection::vec(b'a'..=b'c', 2..6), 0..30),
            text in "[abc]{0,40}",
        ) {
            let (ranks, file) = rank_file(&extra);
            let options = LoadOptions { pattern: Some(r"\p{L}+|[^\p{L}]+".to_owned()), ..LoadOptions::default() };
            let tokenizer = Tokenizer::load(&file, &options).unwrap();
            let got = tokenizer.encode(&text, EncodeRules::default()).unwrap();
            let expected = if text.is_empty() { Vec::new() } else { reference(text.as_bytes(), &ranks) };
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn what_the_pattern_does_not_match_is_dropped_as_tiktoken_does() {
        let (ranks, file) = rank_file(&[]);
        let options = LoadOptions { pattern: Some("[a-z]+".to_owned()), ..LoadOptions::default() };
        let tokenizer = Tokenizer::load(&file, &options).unwrap();
        let ids = tokenizer.encode("a, b", EncodeRules::default()).unwrap();
        assert_eq!(ids, [ranks[&b"a"[..]], ranks[&b"b"[..]]]);
    }

    #[test]
    fn special_tokens_are_text_unless_asked() {
        let (_, file) = rank_file(&[]);
        let options = LoadOptions { encoding: Some("gpt2".to_owned()), ..LoadOptions::default() };
        let tokenizer = Tokenizer::load(&file, &options).unwrap();
        assert_eq!(tokenizer.vocabulary_size(), 50257);
        assert_eq!(tokenizer.token_id("<|endoftext|>"), Some(50256));
        let matched = EncodeRules { special_tokens_in_text: true, ..EncodeRules::default() };
        assert_eq!(tokenizer.encode("<|endoftext|>", matched).unwrap(), [50256]);
        assert_eq!(tokenizer.encode("<|endoftext|>", EncodeRules::default()).unwrap().len(), 13);
    }

    #[test]
    fn errors_say_what_to_do() {
        let check = |file: &[u8], options: LoadOptions, expected: &str| {
            let message = Tokenizer::load(file, &options).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(b"YQ== 0\n", LoadOptions::default(), "name its encoding (gpt2, ");
        check(b"hello\n", LoadOptions::default(), "line 1: neither a tokenizer.json nor");
        check(b"", LoadOptions::default(), "the file is empty");
        let unknown = LoadOptions { encoding: Some("cl200k".to_owned()), ..LoadOptions::default() };
        check(b"YQ== 0\n", unknown, "'cl200k' is not known; known are gpt2");
    }
}
