//! Text: measures, normalisation, cutting.

pub mod count;
