//! Text: measures, normalisation, cutting.

pub mod chunk;
pub mod count;
pub mod normalize;
mod scrub;
