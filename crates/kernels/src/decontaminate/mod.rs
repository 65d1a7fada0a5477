//! Benchmark items in training text, found by shared n-grams of words.
//!
//! As in GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C) text is lowercased, stripped of punctuation and
//! split at white space, and an item is looked for by its n-grams of 13 words. Here an item counts by the share
//! of its n-grams that a document holds, and an item that is too short for one n-gram is looked for as a whole
//! where it has at least eight words.
//!
//! n-grams are compared by hashes of 64 bits: among 10⁹ words and 10⁷ n-grams of benchmarks, one in a thousand
//! runs sees one chance match.
//!
//! | file | holds |
//! |---|---|
//! | `words.rs` | the words of a text, as hashes |
//! | `items.rs` | benchmark files as items |
//! | `index.rs` | n-grams of all items, and what a document shares with them |
//! | `apply.rs` | what becomes of the rows |

pub mod apply;
mod index;
mod items;
#[cfg(test)]
mod tests;
mod words;

pub use index::{Contamination, Index, Scratch, Unusable};
pub use items::{BenchmarkFile, load};
