//! Statistics of a corpus: rows, lengths and the most frequent n-grams, over all rows and by the values of columns.
//!
//! Each task counts its rows ([`collect`]) and leaves them in a file of its own ([`partial`]); at the end the files
//! are added up in the order of the tasks, and become Parquet ([`merge`]). Rows, sums and histograms add up to the
//! same whatever way rows are cut into tasks, and so do n-grams while all of them have room ([`ngrams`]); beyond,
//! each count says by how much it may be too low.
//!
//! Rows that steps kept and removed are counted elsewhere ([`crate::groups`]); here they are only written
//! ([`shares`]).

pub mod collect;
pub mod lengths;
pub mod merge;
pub mod ngrams;
pub mod partial;
pub mod shares;
mod table;
#[cfg(test)]
mod tests;

/// Different values of a column above which it is no grouping, in a task and over all of them.
pub const MAX_VALUES: usize = 4096;
