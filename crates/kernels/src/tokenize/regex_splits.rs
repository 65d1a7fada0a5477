//! Pre-tokenisation patterns that the crate's reader does not wire to the regex engine.
//!
//! The reader of `tokenizers` 1.0.0-rc.3 builds each regex `Split` for its hand-written grammars only:
//! a pattern it does not recognise fails on the first text, and two of cl100k's relatives (digits in
//! groups of up to two, or without a bound) are run as cl100k itself, which gives other ids. Where
//! such a pattern is found, the tokenizer is put together again from its parts with the engine.

use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::PipelineBPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pipeline::{
    PipelineModel, PipelineNormalizer, PipelinePostProcessor, PipelinePreTokenizer, PipelineTokenizer,
};
use tokenizers::pre_tokenizers::sequence::PipelineSequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::utils::{Grammar, recognize};

use super::tokenizer::failed;
use crate::error::Result;

/// A `Split` on a regex: by the crate's grammar where that is exact, by the regex engine elsewhere.
pub(super) fn regex_split(pattern: &str, behavior: SplitDelimiterBehavior, invert: bool) -> Result<Split> {
    let pattern = match recognize(pattern) {
        // A group around the pattern changes nothing but hides it from `recognize`.
        Some(Grammar::Cl100k { digit_cap }) if !is_exact(digit_cap) => format!("(?:{pattern})"),
        _ => pattern.to_owned(),
    };
    Split::new(SplitPattern::Regex(pattern), behavior, invert)
        .and_then(Split::canonicalized_for_pipeline)
        .map_err(failed)
}

/// The tokenizer with every regex of its pre-tokenizer able to run.
pub(super) fn enable(pipeline: PipelineTokenizer) -> Result<PipelineTokenizer> {
    let Some(pre_tokenizer) = enabled(pipeline.get_pre_tokenizer())? else { return Ok(pipeline) };
    Ok(PipelineTokenizer::from_parts(
        pipeline.get_added_vocabulary().clone(),
        pipeline.get_normalizers().iter().map(copy_normalizer).collect(),
        pre_tokenizer,
        copy_model(pipeline.get_model())?,
        PipelinePostProcessor::default(),
        pipeline.get_decoder().cloned(),
        pipeline.get_role_to_token().clone(),
        None,
        None,
    ))
}

/// The pre-tokenizer rebuilt, or `None` when it works as it is.
fn enabled(pre_tokenizer: &PipelinePreTokenizer) -> Result<Option<PipelinePreTokenizer>> {
    match pre_tokenizer {
        PipelinePreTokenizer::Split(split) => match &split.pattern {
            SplitPattern::Regex(pattern) if !runs_on_a_grammar(split) => {
                let split = regex_split(pattern, split.behavior, split.invert)?;
                Ok(Some(PipelinePreTokenizer::Split(split)))
            }
            _ => Ok(None),
        },
        PipelinePreTokenizer::Sequence(sequence) if !sequence.is_deepseek() => {
            let mut members = Vec::new();
            let mut changed = false;
            for member in sequence.pre_tokenizers() {
                let rebuilt = enabled(member)?;
                changed |= rebuilt.is_some();
                members.push(rebuilt);
            }
            Ok(changed.then(|| {
                let members = members.into_iter().zip(sequence.pre_tokenizers());
                let members = members.map(|(rebuilt, old)| rebuilt.unwrap_or_else(|| old.clone()));
                PipelinePreTokenizer::Sequence(PipelineSequence::new(members.collect()))
            }))
        }
        _ => Ok(None),
    }
}

fn runs_on_a_grammar(split: &Split) -> bool {
    let isolated = split.behavior == SplitDelimiterBehavior::Isolated && !split.invert;
    match split.grammar() {
        Some(Grammar::Cl100k { digit_cap }) => isolated && is_exact(digit_cap),
        Some(_) => isolated,
        None => false,
    }
}

/// The digit groups that the crate's cl100k grammar implements.
pub(super) fn is_exact(digit_cap: usize) -> bool {
    matches!(digit_cap, 1 | 3)
}

fn copy_normalizer(normalizer: &PipelineNormalizer) -> PipelineNormalizer {
    use PipelineNormalizer as N;
    match normalizer {
        N::Metaspace(inner) => N::Metaspace(inner.clone()),
        N::Replace(inner) => N::Replace(inner.clone()),
        N::Prepend(inner) => N::Prepend(inner.clone()),
        N::Strip(inner) => N::Strip(*inner),
        N::Lowercase(inner) => N::Lowercase(*inner),
        N::ByteLevel(inner) => N::ByteLevel(inner.clone()),
        N::Bert(inner) => N::Bert(*inner),
        N::StripAccents(inner) => N::StripAccents(inner.clone()),
        N::NFC(inner) => N::NFC(*inner),
        N::NFD(inner) => N::NFD(*inner),
        N::NFKC(inner) => N::NFKC(*inner),
        N::NFKD(inner) => N::NFKD(*inner),
        N::Nmt(inner) => N::Nmt(*inner),
        N::Precompiled(inner) => N::Precompiled(inner.clone()),
    }
}

fn copy_model(model: &PipelineModel) -> Result<PipelineModel> {
    let copy = match model {
        PipelineModel::BPE(bpe) => {
            PipelineModel::BPE(bpe.to_config().and_then(PipelineBPE::from_config).map_err(failed)?)
        }
        PipelineModel::Unigram(unigram) => PipelineModel::Unigram(
            Unigram::from(unigram.vocab().to_vec(), unigram.unk_id(), unigram.byte_fallback())
                .map_err(failed)?,
        ),
        PipelineModel::WordLevel(word_level) => PipelineModel::WordLevel(word_level.clone()),
        PipelineModel::WordPiece(word_piece) => {
            let mut builder = WordPiece::builder()
                .vocab(word_piece.vocab().into_iter().collect::<tokenizers::models::bpe::Vocab>())
                .continuing_subword_prefix(word_piece.continuing_subword_prefix().to_owned())
                .max_input_chars_per_word(word_piece.max_input_chars_per_word());
            if let Some(unknown) = word_piece.unk_token() {
                builder = builder.unk_token(unknown.to_owned());
            }
            let rebuilt = builder.build().map_err(failed)?;
            PipelineModel::WordPiece(rebuilt.try_into().map_err(failed)?)
        }
    };
    Ok(copy)
}
