//! `MinHash` signatures: the minima of a document's shingle hashes under many permutations.
//!
//! Permutation i sends the upper half x of a shingle's hash to a[i]·x + b[i] modulo 2³², a[i] odd. Shingle
//! hashes are mixed already, so this is as good here as a family that mixes by itself, and it is a
//! multiplication, an addition and a minimum on vectors.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

/// Permutations worked on together: a vector of the widest kind.
const LANES: usize = 16;

/// Computes signatures; reused from row to row.
#[derive(Debug)]
pub struct Signer {
    permutations: usize,
    /// Multipliers and addends, filled up to whole vectors.
    multiply: Vec<[u32; LANES]>,
    add: Vec<[u32; LANES]>,
    kernel: Kernel,
    halves: Vec<u32>,
    minima: Vec<[u32; LANES]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Scalar,
}

impl Kernel {
    /// The fastest this machine has. All give the same signatures.
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Scalar
    }
}

impl Signer {
    /// Prepares so many permutations, always the same ones.
    #[must_use]
    pub fn new(permutations: usize) -> Self {
        Self::with_kernel(permutations, Kernel::best())
    }

    fn with_kernel(permutations: usize, kernel: Kernel) -> Self {
        let mut state = 0x6772_6973_746d_696c; // "gristmil"
        let vectors = permutations.div_ceil(LANES);
        let mut multiply = vec![[0; LANES]; vectors];
        let mut add = vec![[0; LANES]; vectors];
        for index in 0..permutations {
            let random = split_mix(&mut state);
            multiply[index / LANES][index % LANES] = random as u32 | 1;
            add[index / LANES][index % LANES] = (random >> 32) as u32;
        }
        let minima = vec![[0; LANES]; vectors];
        Self { permutations, multiply, add, kernel, halves: Vec::new(), minima }
    }

    /// The signature of a set of shingle hashes; repeats do not matter. All ones for no shingles.
    pub fn sign(&mut self, shingles: &[u64]) -> &[u32] {
        self.halves.clear();
        self.halves.extend(shingles.iter().map(|hash| (hash >> 32) as u32));
        let (a, b, minima) = (&self.multiply, &self.add, &mut self.minima);
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::minima(&self.halves, a, b, minima),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::minima(&self.halves, a, b, minima),
            Kernel::Scalar => scalar::minima(&self.halves, a, b, minima),
        }
        &self.minima.as_flattened()[..self.permutations]
    }
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": the finaliser of `SplitMix64`.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                kernels.push(Kernel::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                kernels.push(Kernel::Avx512);
            }
        }
        kernels
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_minima_a_plain_loop_gives(
            shingles in prop::collection::vec(any::<u64>(), 0..300),
            permutations in 1_usize..300,
        ) {
            let plain = Signer::with_kernel(permutations, Kernel::Scalar);
            let expected: Vec<u32> = (0..permutations)
                .map(|index| {
                    let (a, b) = (plain.multiply.as_flattened()[index], plain.add.as_flattened()[index]);
                    let permuted = |hash: &u64| ((hash >> 32) as u32).wrapping_mul(a).wrapping_add(b);
                    shingles.iter().map(permuted).min().unwrap_or(u32::MAX)
                })
                .collect();
            for kernel in kernels() {
                let mut signer = Signer::with_kernel(permutations, kernel);
                prop_assert_eq!(signer.sign(&shingles), &expected[..], "{:?}", kernel);
            }
        }
    }

    /// The share of equal minima is an estimate of the Jaccard similarity with variance J(1-J)/n (Broder
    /// 1997): over many pairs its mean must be J, and its spread no more than that.
    #[test]
    fn minima_agree_as_often_as_sets_overlap() {
        let mut state = 7;
        for (shared, own) in [(50, 50), (200, 50), (380, 20)] {
            let jaccard = f64::from(shared) / f64::from(shared + 2 * own);
            let pairs = 400;
            let mut signer = Signer::new(112);
            let estimates: Vec<f64> = (0..pairs)
                .map(|_| {
                    let mut draw =
                        |count: i32| -> Vec<u64> { (0..count).map(|_| split_mix(&mut state)).collect() };
                    let (common, a, b) = (draw(shared), draw(own), draw(own));
                    let left = signer.sign(&[common.clone(), a].concat()).to_vec();
                    let right = signer.sign(&[common, b].concat());
                    let equal = left.iter().zip(right).filter(|(a, b)| a == b).count();
                    equal as f64 / 112.0
                })
                .collect();
            let mean = estimates.iter().sum::<f64>() / f64::from(pairs);
            let variance = estimates.iter().map(|e| (e - jaccard).powi(2)).sum::<f64>() / f64::from(pairs);
            let expected = jaccard * (1.0 - jaccard) / 112.0;
            assert!(
                (mean - jaccard).abs() < 4.0 * (expected / f64::from(pairs)).sqrt(),
                "{mean} for {jaccard}"
            );
            assert!(variance < 1.3 * expected, "variance {variance}, expected {expected}");
        }
    }
}
