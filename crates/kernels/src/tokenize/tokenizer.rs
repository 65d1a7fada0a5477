//! `Tokenizer`: a loaded tokenizer file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use tokenizers::pipeline::{
    EncodeOptions, Override, PipelinePostProcessor, PipelineToken, PipelineTokenizer,
};
use xxhash_rust::xxh3::xxh3_128;

use super::cut::Cutter;
use super::memo::{Memo, Repeats, TextHash};
use super::{tiktoken, tokenizer_json};
use crate::error::{KernelError, Result};

/// What reading a rank file needs besides its bytes; a `tokenizer.json` takes none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoadOptions {
    /// A known encoding, as in `cl100k_base`: its pattern and its special tokens.
    pub encoding: Option<String>,
    /// Pre-tokenisation pattern, when the encoding is none of the known ones.
    pub pattern: Option<String>,
    /// Special tokens and their ids, with `pattern`.
    pub special_tokens: BTreeMap<String, u32>,
}

/// How texts become ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeRules {
    /// Adds what the file's post-processor adds around a text, as in `[CLS]`.
    pub add_special_tokens: bool,
    /// Replaces special tokens written out in the text by their id; off, they are text like any other.
    pub special_tokens_in_text: bool,
}

impl EncodeRules {
    /// A number for each set of rules.
    fn number(self) -> u64 {
        u64::from(self.add_special_tokens) | u64::from(self.special_tokens_in_text) << 1
    }

    /// The crate's options for a text without anything around it. The file's own truncation and
    /// padding are off.
    pub(super) fn options(self) -> EncodeOptions {
        EncodeOptions {
            add_special_tokens: false,
            encode_special_tokens: !self.special_tokens_in_text,
            padding: Override::Off,
            truncation: Override::Off,
        }
    }
}

/// A tokenizer file in memory: the parts that the formats have in common.
pub(super) struct Loaded {
    /// Built without its post-processor: with one that gives type ids the crate leaves its
    /// allocation-free path, so the ids around a text are added here.
    pub(super) pipeline: PipelineTokenizer,
    pub(super) post_processor: PipelinePostProcessor,
    /// Highest id of the model, without the added tokens.
    pub(super) highest_model_id: Option<u32>,
}

/// A loaded tokenizer; cheap to share between threads, immutable.
pub struct Tokenizer {
    pub(super) pipeline: PipelineTokenizer,
    pub(super) cutter: Cutter,
    pub(super) prefix: Vec<u32>,
    pub(super) suffix: Vec<u32>,
    memo: Memo,
    vocabulary_size: u32,
    content_hash: u128,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary_size", &self.vocabulary_size)
            .field("content_hash", &format_args!("{:032x}", self.content_hash))
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json` of any version, a tiktoken rank file (a base64 token and its rank a
    /// line), or the JSON that the npm package `tiktoken` keeps its encodings in.
    ///
    /// # Errors
    /// `Tokenizer` with what is wrong with the file or with the options.
    pub fn load(bytes: &[u8], options: &LoadOptions) -> Result<Self> {
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
        let loaded = if bytes[start..].starts_with(b"{") {
            let mut value = tokenizer_json::parse(bytes)?;
            if tiktoken::is_encoder(&value) {
                tiktoken::read_encoder(&mut value)?
            } else {
                reject_rank_options(options)?;
                tokenizer_json::read(value)?
            }
        } else {
            tiktoken::read_ranks(bytes, options)?
        };
        let Loaded { pipeline, post_processor, highest_model_id } = loaded;
        let added = pipeline.get_added_vocabulary().get_vocab().into_values().max();
        let ids = |run: &[(PipelineToken, u8)]| run.iter().map(|&(token, _)| token.id()).collect();
        Ok(Self {
            cutter: Cutter::of(&pipeline),
            prefix: ids(&post_processor.single.prefix),
            suffix: ids(&post_processor.single.suffix),
            memo: Memo::default(),
            vocabulary_size: highest_model_id.max(added).map_or(0, |highest| highest + 1),
            content_hash: xxh3_128(bytes),
            pipeline,
        })
    }

    /// Highest id + 1.
    pub fn vocabulary_size(&self) -> u32 {
        self.vocabulary_size
    }

    /// XXH3-128 of the file.
    pub fn content_hash(&self) -> u128 {
        self.content_hash
    }

    /// The id of a token as the vocabulary spells it (a byte-level one writes a space as `Ġ`).
    ///
    /// Walks the vocabulary for tokens that are not added ones: for planning, not for rows.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.pipeline.get_added_vocabulary().token_to_id(token).or_else(|| {
            let model = self.pipeline.get_model();
            (0..self.vocabulary_size).find(|&id| model.id_to_token(id).as_deref() == Some(token))
        })
    }

    /// The added tokens, special ones among them, by rising id.
    pub fn added_tokens(&self) -> Vec<String> {
        let mut tokens: Vec<(u32, String)> = self
            .pipeline
            .get_added_vocabulary()
            .get_vocab()
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        tokens.sort_unstable();
        tokens.into_iter().map(|(_, token)| token).collect()
    }

    /// The ids of one text.
    ///
    /// # Errors
    /// `Tokenizer` when the crate refuses the text.
    pub fn encode(&self, text: &str, rules: EncodeRules) -> Result<Vec<u32>> {
        let mut out = Vec::with_capacity(text.len() / 4);
        self.encode_into(text, rules, &mut out)?;
        Ok(out.into_iter().map(u32::from).collect())
    }

    /// Appends the ids of one text to `out`.
    pub(super) fn encode_into(
        &self,
        text: &str,
        rules: EncodeRules,
        out: &mut Vec<PipelineToken>,
    ) -> Result<()> {
        if rules.add_special_tokens {
            out.extend(self.prefix.iter().copied().map(PipelineToken::from));
        }
        let options = rules.options();
        for piece in self.cutter.pieces(text, rules.special_tokens_in_text) {
            self.pipeline.encode_into(piece, &options, out).map_err(failed)?;
        }
        if rules.add_special_tokens {
            out.extend(self.suffix.iter().copied().map(PipelineToken::from));
        }
        Ok(())
    }

    /// What this process knows of texts, for the texts of a batch.
    pub(super) fn repeats(&self) -> Repeats<'_> {
        Repeats::new(&self.memo)
    }

    /// The same for a text of a batch, of which `out` has the ids so far. True when the ids were known.
    pub(super) fn encode_once(
        &self,
        text: &str,
        rules: EncodeRules,
        repeats: &mut Repeats<'_>,
        out: &mut Vec<PipelineToken>,
    ) -> Result<bool> {
        let hash = TextHash::new(text, rules.number());
        repeats.append(hash, out, |out| self.encode_into(text, rules, out))
    }

    /// The text of ids; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// `Tokenizer` when the file's decoder refuses them.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.pipeline.decode(ids, skip_special).map_err(failed)
    }
}

/// An error of the crate as ours.
pub(super) fn failed(error: impl fmt::Display) -> KernelError {
    KernelError::Tokenizer { reason: error.to_string() }
}

fn reject_rank_options(options: &LoadOptions) -> Result<()> {
    let given = [
        ("encoding", options.encoding.is_some()),
        ("pattern", options.pattern.is_some()),
        ("specialTokens", !options.special_tokens.is_empty()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(KernelError::Option {
            name: name.to_owned(),
            reason: "only a tiktoken rank file takes it; this is a tokenizer.json, which says it all itself"
                .to_owned(),
        }),
    }
}
