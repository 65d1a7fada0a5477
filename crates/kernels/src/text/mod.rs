//! Text: measures, normalisation, cutting.

mod ascii_words;
pub mod characters;
pub mod chunk;
pub mod citations;
pub mod count;
mod dictionary;
pub mod lines;
pub mod ngrams;
pub mod normalize;
pub mod rewrite;
mod scrub;
pub mod segment;
pub mod sentences;
pub mod spans;
pub(crate) mod windows;
pub mod words;
