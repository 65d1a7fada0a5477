//! Minima with 8 permutations a register, four registers at a time with their factors.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_min_epu32, _mm256_mullo_epi32, _mm256_set1_epi32,
    _mm256_storeu_si256,
};

use super::LANES;

/// Permutations in a register.
const WIDTH: usize = 8;
/// Vectors held in registers at once: with their factors twelve of sixteen registers.
const HELD: usize = 4;

/// The caller has made sure of AVX2.
pub(super) fn minima(halves: &[u32], a: &[[u32; LANES]], b: &[[u32; LANES]], minima: &mut [[u32; LANES]]) {
    let (a, b, minima) = (a.as_flattened(), b.as_flattened(), minima.as_flattened_mut());
    let group_lanes = HELD * WIDTH;
    let whole = a.len() / group_lanes * group_lanes;
    for at in (0..whole).step_by(group_lanes) {
        // SAFETY: `Kernel::best` chooses this module only where AVX2 was detected.
        unsafe { group::<HELD>(halves, &a[at..], &b[at..], &mut minima[at..]) };
    }
    for at in (whole..a.len()).step_by(LANES) {
        // SAFETY: as above.
        unsafe { group::<{ LANES / WIDTH }>(halves, &a[at..], &b[at..], &mut minima[at..]) };
    }
}

#[target_feature(enable = "avx2")]
fn group<const N: usize>(halves: &[u32], a: &[u32], b: &[u32], minima: &mut [u32]) {
    let multiply: [__m256i; N] = std::array::from_fn(|vector| load(&a[vector * WIDTH..]));
    let add: [__m256i; N] = std::array::from_fn(|vector| load(&b[vector * WIDTH..]));
    let mut least: [__m256i; N] = std::array::from_fn(|_| _mm256_set1_epi32(-1));
    for &half in halves {
        let half = _mm256_set1_epi32(half.cast_signed());
        for vector in 0..N {
            let permuted = _mm256_add_epi32(_mm256_mullo_epi32(half, multiply[vector]), add[vector]);
            least[vector] = _mm256_min_epu32(least[vector], permuted);
        }
    }
    for (vector, out) in minima[..N * WIDTH].chunks_exact_mut(WIDTH).enumerate() {
        // SAFETY: `out` is 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), least[vector]) };
    }
}

#[target_feature(enable = "avx2")]
fn load(from: &[u32]) -> __m256i {
    let from = &from[..WIDTH];
    // SAFETY: `from` is 32 bytes.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}
