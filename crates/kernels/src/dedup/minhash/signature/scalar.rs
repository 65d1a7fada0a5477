//! Minima without particular instructions; what the compiler makes of it is vectors of the baseline.

use super::LANES;

pub(super) fn minima(halves: &[u32], a: &[[u32; LANES]], b: &[[u32; LANES]], minima: &mut [[u32; LANES]]) {
    for ((a, b), minimum) in a.iter().zip(b).zip(minima) {
        let mut least = [u32::MAX; LANES];
        for &half in halves {
            for lane in 0..LANES {
                least[lane] = least[lane].min(half.wrapping_mul(a[lane]).wrapping_add(b[lane]));
            }
        }
        *minimum = least;
    }
}
