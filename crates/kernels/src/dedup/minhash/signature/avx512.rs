//! Minima with 16 permutations a register: seven registers hold 112 of them, their factors fourteen more.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_min_epu32, _mm512_mullo_epi32, _mm512_set1_epi32,
    _mm512_storeu_si512,
};

use super::LANES;

/// Vectors held in registers at once.
const HELD: usize = 7;

/// The caller has made sure of AVX-512F.
pub(super) fn minima(halves: &[u32], a: &[[u32; LANES]], b: &[[u32; LANES]], minima: &mut [[u32; LANES]]) {
    let whole = a.len() / HELD * HELD;
    for at in (0..whole).step_by(HELD) {
        // SAFETY: `Kernel::best` chooses this module only where AVX-512F was detected.
        unsafe { group::<HELD>(halves, &a[at..], &b[at..], &mut minima[at..]) };
    }
    for at in whole..a.len() {
        // SAFETY: as above.
        unsafe { group::<1>(halves, &a[at..], &b[at..], &mut minima[at..]) };
    }
}

#[target_feature(enable = "avx512f")]
fn group<const N: usize>(
    halves: &[u32],
    a: &[[u32; LANES]],
    b: &[[u32; LANES]],
    minima: &mut [[u32; LANES]],
) {
    let multiply: [__m512i; N] = std::array::from_fn(|vector| load(&a[vector]));
    let add: [__m512i; N] = std::array::from_fn(|vector| load(&b[vector]));
    let mut least: [__m512i; N] = std::array::from_fn(|_| _mm512_set1_epi32(-1));
    for &half in halves {
        let half = _mm512_set1_epi32(half.cast_signed());
        for vector in 0..N {
            let permuted = _mm512_add_epi32(_mm512_mullo_epi32(half, multiply[vector]), add[vector]);
            least[vector] = _mm512_min_epu32(least[vector], permuted);
        }
    }
    for vector in 0..N {
        // SAFETY: `minima[vector]` is 64 bytes.
        unsafe { _mm512_storeu_si512(minima[vector].as_mut_ptr().cast(), least[vector]) };
    }
}

#[target_feature(enable = "avx512f")]
fn load(from: &[u32; LANES]) -> __m512i {
    // SAFETY: `from` is 64 bytes.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}
