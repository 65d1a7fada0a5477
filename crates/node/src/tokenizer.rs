//! `NativeTokenizer`: a tokenizer file, shared by all threads of the process.

use std::path::Path;
use std::sync::Arc;

use gristmill_kernels::tokenize::{
    ApplyOptions, EncodeRules, LoadOptions, Tokenizer, cache, known_encodings,
};
use gristmill_kernels::{KernelError, Result};
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid};

/// How a text becomes ids.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the step")]
#[napi(object)]
pub struct NativeTokenizeOptions {
    /// Adds what the file's post-processor adds around a text.
    pub add_special_tokens: bool,
    /// Replaces special tokens written out in the text by their id.
    pub special_tokens_in_text: bool,
    /// Ids put before each text.
    pub prepend: Vec<u32>,
    /// Ids put after each text.
    pub append: Vec<u32>,
    /// Keeps the column `text`.
    pub keep_text: bool,
    /// Remembers ids and gives them to equal texts that come later.
    pub reuse: bool,
}

/// What tokenising a batch did.
#[napi(object)]
pub struct NativeTokenized {
    /// Tokens made.
    pub tokens: f64,
    /// Rows whose tokens were remembered.
    pub reused: f64,
}

impl From<NativeTokenizeOptions> for ApplyOptions {
    fn from(options: NativeTokenizeOptions) -> Self {
        Self {
            rules: EncodeRules {
                add_special_tokens: options.add_special_tokens,
                special_tokens_in_text: options.special_tokens_in_text,
            },
            prepend: options.prepend,
            append: options.append,
            keep_text: options.keep_text,
            reuse: options.reuse,
        }
    }
}

/// Names of the tiktoken encodings whose pattern and special tokens are known.
#[napi]
pub fn known_token_encodings() -> Vec<String> {
    known_encodings().into_iter().map(str::to_owned).collect()
}

/// Handle on a tokenizer.
#[napi]
pub struct NativeTokenizer {
    inner: Option<Arc<Tokenizer>>,
}

impl NativeTokenizer {
    fn get(&self) -> Result<&Tokenizer> {
        self.inner.as_deref().ok_or(KernelError::Disposed { what: "tokenizer" })
    }
}

#[napi]
impl NativeTokenizer {
    /// Reads a file: a tokenizer.json, a tiktoken rank file, or an encoder of the npm package
    /// tiktoken. `options` is JSON `{encoding?, pattern?, specialTokens?}`. With `contentHash`, the
    /// file is read only when the process does not hold it yet, and must have that content.
    #[napi(factory)]
    pub fn load(path: String, options: String, content_hash: Option<String>) -> napi::Result<Self> {
        guard("tokenizer.load", || {
            let hash = content_hash.map(|hash| u128::from_str_radix(&hash, 16)).transpose();
            let hash = hash.map_err(|error| invalid("contentHash", error))?;
            let tokenizer = cache::of_file(Path::new(&path), hash, &load_options(&options)?)?;
            Ok(Self { inner: Some(tokenizer) })
        })
    }

    /// The same from the file's bytes.
    #[napi(factory)]
    pub fn from_bytes(bytes: &[u8], options: String) -> napi::Result<Self> {
        guard("tokenizer.fromBytes", || {
            Ok(Self { inner: Some(cache::of_bytes(bytes, &load_options(&options)?)?) })
        })
    }

    /// Highest id + 1.
    #[napi(getter)]
    pub fn vocabulary_size(&self) -> napi::Result<u32> {
        guard("tokenizer.vocabularySize", || Ok(self.get()?.vocabulary_size()))
    }

    /// XXH3-128 of the file, 32 hexadecimal digits.
    #[napi(getter)]
    pub fn content_hash(&self) -> napi::Result<String> {
        guard("tokenizer.contentHash", || Ok(format!("{:032x}", self.get()?.content_hash())))
    }

    /// The id of a token as the vocabulary spells it.
    #[napi]
    pub fn token_id(&self, token: String) -> napi::Result<Option<u32>> {
        guard("tokenizer.tokenId", || Ok(self.get()?.token_id(&token)))
    }

    /// The added tokens, special ones among them, by rising id.
    #[napi]
    pub fn added_tokens(&self) -> napi::Result<Vec<String>> {
        guard("tokenizer.addedTokens", || Ok(self.get()?.added_tokens()))
    }

    /// The ids of one text.
    #[napi]
    pub fn encode(
        &self,
        text: String,
        add_special_tokens: bool,
        special_tokens_in_text: bool,
    ) -> napi::Result<Uint32Array> {
        guard("tokenizer.encode", || {
            let rules = EncodeRules { add_special_tokens, special_tokens_in_text };
            Ok(self.get()?.encode(&text, rules)?.into())
        })
    }

    /// The text of ids.
    #[napi]
    pub fn decode(&self, ids: Uint32Array, skip_special: bool) -> napi::Result<String> {
        guard("tokenizer.decode", || self.get()?.decode(&ids, skip_special))
    }

    /// Replaces the column `text` of a batch by `tokens`.
    #[napi]
    pub fn apply(
        &self,
        batch: &mut NativeBatch,
        options: NativeTokenizeOptions,
    ) -> napi::Result<NativeTokenized> {
        guard("tokenizer.apply", || {
            let options = options.into();
            let applied = batch.change(|batch| self.get()?.apply(batch, &options))?;
            Ok(NativeTokenized { tokens: applied.tokens as f64, reused: applied.reused as f64 })
        })
    }

    /// Lets go of the tokenizer; the process keeps it for the next user.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

fn load_options(json: &str) -> Result<LoadOptions> {
    serde_json::from_str(json).map_err(|error| invalid("tokenizer options", error))
}
