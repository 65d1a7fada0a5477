//! fastText classifiers: reading model files and predicting the label of texts.
//!
//! Reads what `fasttext supervised` and `fasttext quantize` write (`.bin`, `.ftz`) and answers as fastText
//! 0.9.2 does: the same features of a text in the same order, summed in the same precision, so that hidden
//! vectors are equal bit for bit. Training is not here. The file format and the arithmetic follow fastText's
//! sources (`dictionary.cc`, `quantmatrix.cc`, `loss.cc`; Joulin et al. 2016, arXiv:1607.01759 and
//! arXiv:1612.03651).
//!
//! | file | holds |
//! |---|---|
//! | `source.rs` | a file as numbers, never trusted |
//! | `dictionary.rs` | words, labels, and the features of a word |
//! | `matrix.rs` | rows, dense or quantised |
//! | `head.rs` | from a hidden vector to labels: softmax, one against all, hierarchical softmax |
//! | `tokens.rs` | where words are in a text |
//! | `words.rs` | the features of words seen before |
//! | `model.rs` | all of them together |
//! | `apply.rs` | a model on the rows of a batch |
//! | `cache.rs` | one copy of each model in a process |

pub mod apply;
pub mod cache;
mod dictionary;
mod head;
mod matrix;
mod model;
mod source;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

pub use model::{Answer, Model, Scratch};
