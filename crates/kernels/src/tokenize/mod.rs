//! Tokenising: text to ids, exactly as the reference does it.
//!
//! The work is done by the `tokenizers` crate. This module reads the files ([`Tokenizer::load`]: any
//! `tokenizer.json`, and tiktoken rank files), keeps one copy of each in a process ([`cache`]), and
//! runs it over a batch ([`Tokenizer::apply`]). What to prepend, append or match is the caller's
//! decision.

mod apply;
mod base64;
pub mod cache;
mod cut;
mod memo;
mod regex_splits;
mod tiktoken;
mod tokenizer;
mod tokenizer_json;

pub use apply::{Applied, ApplyOptions, TOKENS, tokens_field};
pub use tiktoken::known_encodings;
pub use tokenizer::{EncodeRules, LoadOptions, Tokenizer};
