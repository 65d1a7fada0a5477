//! Bands: how a signature is cut so that similar documents meet.
//!
//! Documents with similarity s agree in a band of r minima with chance sʳ, and in at least one of b bands
//! with chance 1 − (1 − sʳ)ᵇ (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3rd edition,
//! section 3.4.2). Since candidates are verified, what counts is that few are missed.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Chance to meet that bands are chosen for, a little above the threshold.
pub const RECALL: f64 = 0.99;
/// How much above; half of what is left above a threshold beyond 0.9.
pub const MARGIN: f64 = 0.05;

/// Bands and minima in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// Bands of the signature.
    pub bands: u32,
    /// Minima in a band.
    pub rows: u32,
}

impl Bands {
    /// The bands with the most minima each, hence the fewest candidates, that meet with chance [`RECALL`] at
    /// a similarity of `threshold` + [`MARGIN`]. `None` when there are too few permutations for any.
    #[must_use]
    pub fn choose(permutations: u32, threshold: f64) -> Option<Self> {
        let similarity = threshold + MARGIN.min((1.0 - threshold) / 2.0);
        (1..=permutations)
            .rev()
            .map(|rows| Self { bands: permutations / rows, rows })
            .find(|bands| bands.recall(similarity) >= RECALL)
    }

    /// The chance that documents of this similarity are compared.
    #[must_use]
    pub fn recall(self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powf(f64::from(self.rows))).powf(f64::from(self.bands))
    }

    /// The key of each band of a signature: documents with an equal key are candidates.
    pub fn keys<'a>(self, signature: &'a [u32], scratch: &'a mut Vec<u8>) -> impl Iterator<Item = u64> + 'a {
        signature.chunks_exact(self.rows as usize).take(self.bands as usize).enumerate().map(
            move |(band, minima)| {
                scratch.clear();
                scratch.extend(minima.iter().flat_map(|minimum| minimum.to_le_bytes()));
                xxh3_64_with_seed(scratch, band as u64)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_is_sixteen_bands_of_seven() {
        let bands = Bands::choose(112, 0.8).unwrap();
        assert_eq!(bands, Bands { bands: 16, rows: 7 });
        assert!((bands.recall(0.85) - 0.998).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn bands_fit_and_meet_often_enough(permutations in 1_u32..1000, threshold in 0.05_f64..=1.0) {
            if let Some(bands) = Bands::choose(permutations, threshold) {
                prop_assert!(bands.bands * bands.rows <= permutations);
                prop_assert!(bands.recall(threshold + MARGIN.min((1.0 - threshold) / 2.0)) >= RECALL);
            }
        }
    }
}
