//! One of a few values for each sample, and the way back: the samples of a value, by number.
//!
//! A byte a sample, and counts every [`BLOCK`] samples. The k-th sample of a value is found by a search in
//! the counts and a look at one block, so a part of a dataset is read in any order without a list of it.

/// Values that can be told apart.
pub const MOST: usize = 255;

/// The code of samples that have none of the values.
pub const OTHER: u8 = 255;

/// Samples between two counts.
const BLOCK: usize = 1 << 10;

/// Samples that are counted at once, in a byte.
const CHUNK: usize = 64;

/// Which value each sample has.
#[derive(Debug, Clone)]
pub struct Codes {
    of_samples: Vec<u8>,
    kinds: usize,
    /// For each block and at the end, the samples of each value before it.
    before: Vec<u64>,
}

impl Codes {
    /// Codes below `kinds`, or [`OTHER`], of all samples.
    #[must_use]
    pub fn new(codes: Vec<u8>, kinds: usize) -> Self {
        let mut counts = vec![0_u64; kinds];
        let mut before = Vec::with_capacity((codes.len() / BLOCK + 2) * kinds);
        for block in codes.chunks(BLOCK) {
            before.extend_from_slice(&counts);
            for &code in block {
                if let Some(count) = counts.get_mut(usize::from(code)) {
                    *count += 1;
                }
            }
        }
        before.extend_from_slice(&counts);
        Self { of_samples: codes, kinds, before }
    }

    /// The code of each sample, from those whose numbers are smallest (0) to the largest (`bands` − 1), all
    /// bands about equally large. Samples with the same number share a band.
    #[must_use]
    pub fn bands(numbers: &[f32], bands: u8) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let bands = usize::from(bands);
        let firsts: Vec<f32> =
            (1..bands).filter_map(|band| sorted.get(band * sorted.len() / bands).copied()).collect();
        let code = |number: &f32| firsts.partition_point(|first| first.total_cmp(number).is_le()) as u8;
        Self::new(numbers.iter().map(code).collect(), bands)
    }

    /// Values that are told apart.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.kinds
    }

    /// The code of a sample; `None` when it has none of the values.
    #[must_use]
    pub fn get(&self, sample: u64) -> Option<u8> {
        let code = usize::try_from(sample).ok().and_then(|sample| self.of_samples.get(sample)).copied();
        code.filter(|&code| usize::from(code) < self.kinds)
    }

    /// Samples of a value.
    #[must_use]
    pub fn count(&self, code: u8) -> u64 {
        self.before[self.before.len() - self.kinds + usize::from(code)]
    }

    /// The sample of a value that has `number` others of it before; past the end when there is none.
    #[must_use]
    pub fn sample(&self, code: u8, number: u64) -> u64 {
        let blocks = self.of_samples.len().div_ceil(BLOCK);
        let before = |block: usize| self.before[block * self.kinds + usize::from(code)];
        // The last block with no more than `number` samples before it.
        let (mut from, mut to) = (0, blocks);
        while from < to {
            let middle = usize::midpoint(from, to);
            if before(middle + 1) <= number { from = middle + 1 } else { to = middle }
        }
        if from == blocks {
            return self.of_samples.len() as u64;
        }
        let mut left = number - before(from);
        let mut at = from * BLOCK;
        for chunk in self.of_samples[at..self.of_samples.len().min(at + BLOCK)].chunks(CHUNK) {
            let own = u64::from(chunk.iter().map(|&one| u8::from(one == code)).sum::<u8>());
            if left < own {
                let mut places = (0..chunk.len()).filter(|&place| chunk[place] == code);
                return (at + places.nth(left as usize).unwrap_or_default()) as u64;
            }
            left -= own;
            at += chunk.len();
        }
        at as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_samples_of_a_value_are_found_by_number(
            short in prop::collection::vec(prop_oneof![0_u8..4, Just(OTHER)], 1..600),
            times in 1_usize..40,
        ) {
            let codes = short.repeat(times);
            let made = Codes::new(codes.clone(), 4);
            for code in 0..4 {
                let expected: Vec<u64> =
                    (0..).zip(&codes).filter(|&(_, &one)| one == code).map(|(at, _)| at).collect();
                prop_assert_eq!(made.count(code), expected.len() as u64);
                let got: Vec<u64> = (0..made.count(code)).map(|number| made.sample(code, number)).collect();
                prop_assert_eq!(got, expected);
                prop_assert_eq!(made.sample(code, made.count(code)), codes.len() as u64);
            }
            for (at, &code) in codes.iter().enumerate() {
                prop_assert_eq!(made.get(at as u64), Some(code).filter(|&code| code != OTHER));
            }
            prop_assert_eq!(made.get(codes.len() as u64), None);
        }

        #[test]
        fn bands_rise(numbers in prop::collection::vec(-9_i16..9, 1..300), bands in 1_u8..20) {
            let numbers: Vec<f32> = numbers.into_iter().map(f32::from).collect();
            let made = Codes::bands(&numbers, bands);
            let band = |at: usize| made.get(at as u64).unwrap();
            for (at, one) in numbers.iter().enumerate() {
                for (other_at, other) in numbers.iter().enumerate() {
                    prop_assert!(one > other || band(at) <= band(other_at));
                }
            }
        }
    }

    #[test]
    fn bands_are_equally_large() {
        let numbers: Vec<f32> = (0_u32..1000).map(|at| (at * 7919 % 1000) as f32).collect();
        let bands = Codes::bands(&numbers, 8);
        assert!((0..8).all(|band| bands.count(band) == 125));
    }
}
