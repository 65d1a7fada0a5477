//! Text: measures, normalisation, cutting.

pub mod characters;
pub mod chunk;
pub mod count;
mod dictionary;
pub mod lines;
pub mod ngrams;
pub mod normalize;
mod scrub;
pub mod segment;
pub mod words;
