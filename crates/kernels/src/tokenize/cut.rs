//! Cutting long texts where the ids do not change.
//!
//! The crate's buffers grow with the longest text a thread has seen (some 4 bytes a byte of text)
//! and are kept. A book of 20 MB would pin 80 MB in each worker. For the pre-tokenizers of most models there are
//! places where a pre-token always ends, whatever stands around them:
//!
//! - between a letter, digit or ASCII sign and a space: no alternative of these patterns continues
//!   past a non-space into a space, and no look-ahead is involved on the left;
//! - before a line feed that follows a letter or digit, in GPT-2's pattern, for the same reason;
//! - between a line feed and a letter or digit, in the patterns that have `\s*[\r\n]+` ahead of the
//!   look-ahead alternative (cl100k and its relatives).
//!
//! A cut is only made when nothing else looks across it: normalizers that work character by
//! character, and no added token that contains white space or swallows it. Other tokenizers see each
//! text whole.

use memchr::memchr2_iter;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::pipeline::{PipelineNormalizer, PipelinePreTokenizer, PipelineTokenizer};
use tokenizers::utils::Grammar;

use super::regex_splits::is_exact;

/// A text longer than this is cut, at the first place after so many bytes.
const CUT_BYTES: usize = 1 << 20;

/// Where a pre-token always ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Before a space or line feed that follows a letter or digit (a space: or an ASCII sign).
    BeforeWhiteSpace,
    /// Before such a space; between a line feed and a letter or digit.
    AfterLineFeed,
}

/// Cuts texts for one tokenizer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutter {
    /// The rule when special tokens in the text are plain text, and when they are matched.
    rules: [Option<Rule>; 2],
    bytes: usize,
}

impl Cutter {
    /// The cutter that suits a tokenizer.
    pub(super) fn of(pipeline: &PipelineTokenizer) -> Self {
        let rule = rule_of(pipeline.get_pre_tokenizer())
            .filter(|_| pipeline.get_normalizers().iter().all(works_by_character));
        let added = pipeline.get_added_vocabulary().get_added_tokens_decoder();
        let harmless = |matched: bool| {
            added
                .values()
                .filter(|token| matched || !token.special)
                .all(|token| !token.lstrip && !token.rstrip && !token.content.contains(char::is_whitespace))
        };
        Self { rules: [false, true].map(|matched| rule.filter(|_| harmless(matched))), bytes: CUT_BYTES }
    }

    /// The text in pieces whose ids, one after the other, are the ids of the text.
    pub(super) fn pieces<'a>(
        &self,
        text: &'a str,
        special_tokens_in_text: bool,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let rule = self.rules[usize::from(special_tokens_in_text)];
        let bytes = self.bytes;
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let cut = rule.filter(|_| text.len() > bytes).and_then(|rule| find(text, bytes, rule));
            let Some(cut) = cut else { return Some(text) };
            let (piece, after) = text.split_at(cut);
            rest = Some(after);
            Some(piece)
        })
    }
}

/// The first place after `from` bytes where `text` may be cut.
fn find(text: &str, from: usize, rule: Rule) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr2_iter(b' ', b'\n', &bytes[from..]).map(|at| from + at).find_map(|at| {
        let before = || text[..at].chars().next_back();
        let after = || text[at + 1..].chars().next();
        match (bytes[at], rule) {
            (b' ', _) => before().is_some_and(|c| c.is_alphanumeric() || c.is_ascii_graphic()).then_some(at),
            (_, Rule::BeforeWhiteSpace) => before().is_some_and(char::is_alphanumeric).then_some(at),
            (_, Rule::AfterLineFeed) => after().is_some_and(char::is_alphanumeric).then_some(at + 1),
        }
    })
}

fn rule_of(pre_tokenizer: &PipelinePreTokenizer) -> Option<Rule> {
    match pre_tokenizer {
        PipelinePreTokenizer::Split(split) => {
            match split
                .grammar()
                .filter(|_| split.behavior == SplitDelimiterBehavior::Isolated && !split.invert)?
            {
                Grammar::Gpt2 => Some(Rule::BeforeWhiteSpace),
                Grammar::Cl100k { digit_cap } => is_exact(digit_cap).then_some(Rule::AfterLineFeed),
                Grammar::O200k | Grammar::Tekken | Grammar::Kimi => Some(Rule::AfterLineFeed),
            }
        }
        PipelinePreTokenizer::Bert(_)
        | PipelinePreTokenizer::Whitespace(_)
        | PipelinePreTokenizer::WhitespaceSplit(_) => Some(Rule::BeforeWhiteSpace),
        PipelinePreTokenizer::Sequence(sequence) if sequence.is_deepseek() => Some(Rule::AfterLineFeed),
        PipelinePreTokenizer::Sequence(sequence) => match sequence.pre_tokenizers() {
            [only] => rule_of(only),
            _ => None,
        },
        _ => None,
    }
}

/// Whether normalising the two sides of a cut one by one is normalising the whole.
fn works_by_character(normalizer: &PipelineNormalizer) -> bool {
    use PipelineNormalizer as N;
    matches!(
        normalizer,
        N::Lowercase(_) | N::NFC(_) | N::NFD(_) | N::NFKC(_) | N::NFKD(_) | N::Bert(_) | N::StripAccents(_)
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::tokenize::{EncodeRules, LoadOptions, Tokenizer};
    use proptest::prelude::*;

    /// A rank file of the 256 bytes: ids then show exactly where pre-tokens end only if some are
    /// merged, so every pair of letters, spaces and line ends is a token too.
    fn tokenizer(encoding: &str) -> Tokenizer {
        use std::fmt::Write as _;
        let mut file = String::new();
        let signs = b"ab1 \n\r/!'s\xe4\xbb";
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        for &a in signs {
            for &b in signs {
                tokens.push(vec![a, b]);
                for &c in signs {
                    tokens.push(vec![a, b, c]);
                }
            }
        }
        tokens.sort_by_key(|token| (token.len(), token.clone()));
        tokens.dedup();
        for (rank, token) in tokens.iter().enumerate() {
            const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let mut word = [0, 0, 0, 0];
            word[1..=token.len()].copy_from_slice(token);
            let word = u32::from_be_bytes(word);
            for digit in 0..4 {
                let index = (word >> (18 - 6 * digit)) as usize & 63;
                file.push(if digit <= token.len() { char::from(DIGITS[index]) } else { '=' });
            }
            writeln!(file, " {rank}").unwrap();
        }
        let options = LoadOptions { encoding: Some(encoding.to_owned()), ..LoadOptions::default() };
        Tokenizer::load(file.as_bytes(), &options).unwrap()
    }

    fn text() -> impl Strategy<Value = String> {
        let sign = prop::sample::select(vec![
            "a",
            "b",
            "s",
            "'s",
            "1",
            "23",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\r\n",
            "\t",
            "!",
            "/",
            "\u{85}",
            "\u{a0}",
            "\u{3000}",
            "\u{feff}",
            "世",
            "é",
            "e\u{301}",
            "👩\u{200d}🚀",
            "Ⓐ",
            "<|endoftext|>",
            "\u{a8}",
            "²",
        ]);
        prop::collection::vec(sign, 0..60).prop_map(|signs| signs.concat())
    }

    #[test]
    fn the_ids_of_the_pieces_are_the_ids_of_the_text() {
        for encoding in ["gpt2", "cl100k_base", "o200k_base"] {
            let tokenizer = tokenizer(encoding);
            let cuts = Cell::new(0);
            proptest!(ProptestConfig::with_cases(2000), |(text in text(), bytes in 0_usize..8, matched in any::<bool>())| {
                let rules = EncodeRules { special_tokens_in_text: matched, ..EncodeRules::default() };
                let cutter = Cutter { bytes, ..tokenizer.cutter };
                let pieces: Vec<&str> = cutter.pieces(&text, matched).collect();
                let ids: Vec<u32> = pieces.iter().flat_map(|piece| tokenizer.encode(piece, rules).unwrap()).collect();
                prop_assert_eq!(ids, tokenizer.encode(&text, rules).unwrap());
                prop_assert_eq!(&pieces.concat(), &text);
                cuts.set(cuts.get() + pieces.len() - 1);
            });
            let cuts = cuts.get();
            assert!(cuts > 1000, "{encoding}: {cuts} cuts test nothing");
        }
    }
}
