//! Lengths of texts in three units, as sums and histograms whose bins double.

use serde::{Deserialize, Serialize};

/// Units in the order of [`Lengths::measures`].
pub const UNITS: [&str; 3] = ["bytes", "characters", "words"];

/// A sum and a histogram. Bin 0 holds the zeros, bin b lengths of b binary digits: [2^(b-1), 2^b).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Sum of the lengths.
    pub total: u64,
    /// Texts in each bin; the last is not empty.
    pub bins: Vec<u64>,
}

impl Measure {
    /// Adds a length.
    pub fn add(&mut self, length: u64) {
        let bin = (u64::BITS - length.leading_zeros()) as usize;
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += 1;
        self.total += length;
    }

    fn merge(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (bin, rows) in self.bins.iter_mut().zip(&other.bins) {
            *bin += rows;
        }
        self.total += other.total;
    }

    /// From, to (not included) and texts of each bin that is not empty.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let bins = self.bins.iter().enumerate().filter(|&(_, &rows)| rows > 0);
        let power = |bin: usize| 1_u64.checked_shl(bin as u32).unwrap_or(u64::MAX);
        bins.map(move |(bin, &rows)| (if bin == 0 { 0 } else { power(bin - 1) }, power(bin), rows))
    }
}

/// Rows, and the lengths of their texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lengths {
    /// Rows, those without a text included.
    pub rows: u64,
    /// Rows whose text is null; they are in no histogram.
    pub without_text: u64,
    /// In bytes of UTF-8, code points and words.
    pub measures: [Measure; UNITS.len()],
}

impl Lengths {
    /// Adds what other rows counted.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.without_text += other.without_text;
        for (measure, added) in self.measures.iter_mut().zip(&other.measures) {
            measure.merge(added);
        }
    }
}
