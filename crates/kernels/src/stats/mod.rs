//! Statistics of a corpus: rows, lengths and the most frequent n-grams, over all rows, by the values of columns, and
//! by the values of two columns together.
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

use ngrams::{ROOM, Room};

/// How much is held in memory; what is in a file depends on it only where it says so.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Different values of a column, or pairs of values of two, above which these are no grouping.
    pub values: usize,
    /// Combinations of the values of all columns in a task, above which rows are counted in each of their groups.
    pub combinations: usize,
    /// N-grams.
    pub room: Room,
}

/// A group takes about 1 KiB, so groups take some 16 MiB, or 12 MiB when rows are counted by two columns in each of
/// their groups (45 MiB by four).
pub const BOUNDS: Bounds = Bounds { values: 4096, combinations: 4 * 4096, room: ROOM };

/// What rows are grouped by: nothing, so that all are one group; each column; each two columns together.
fn groupings(columns: usize) -> Vec<Vec<usize>> {
    let pairs = (0..columns).flat_map(|a| (a + 1..columns).map(move |b| vec![a, b]));
    std::iter::once(Vec::new()).chain((0..columns).map(|column| vec![column])).chain(pairs).collect()
}
