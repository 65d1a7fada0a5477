//! A 64-bit hash of short texts for tables that live as long as one document.
//!
//! Words and lines are hashed by the million, most of them shorter than 16 bytes, where XXH3 spends more time
//! on its entry than on the bytes. Two 64×64-bit products folded in half mix as well as such tables need (the
//! construction of wyhash). The values are never stored: files use XXH3.

const KEYS: [u64; 4] =
    [0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9, 0x4b33_a62e_d433_d4a3, 0x4d5a_2da5_1de1_aa47];

/// Both halves of a product, folded into one.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn word64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn word32(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(word))
}

/// Hash of bytes.
#[must_use]
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let (a, b) = match length {
        0 => (0, 0),
        // First, middle and last byte: all there are.
        1..=3 => {
            let byte = |at: usize| u64::from(bytes[at]) << (8 * at);
            (byte(0) | byte(length / 2) | byte(length - 1), 0)
        }
        4..=8 => (word32(bytes, 0) | word32(bytes, length - 4) << (8 * (length - 4)), 0),
        9..=16 => (word64(bytes, 0), word64(bytes, length - 8) >> (8 * (16 - length))),
        _ => return long(bytes),
    };
    short(a, b, length)
}

#[inline]
fn short(a: u64, b: u64, length: usize) -> u64 {
    fold(fold(a ^ KEYS[0], b ^ KEYS[1]) ^ length as u64, KEYS[2])
}

/// [`hash`] of `bytes[start..end]`, where it matters that the length of a word cannot be foreseen: up to 16 bytes no
/// branch depends on it.
#[must_use]
#[inline]
pub fn hash_within(bytes: &[u8], start: usize, end: usize) -> u64 {
    if end - start > 16 {
        return long(&bytes[start..end]);
    }
    let number = number_within(bytes, start, end);
    short(number as u64, (number >> 64) as u64, end - start)
}

/// `bytes[start..end]`, at most 16, as a number, the first byte the lowest.
#[must_use]
#[inline]
pub fn number_within(bytes: &[u8], start: usize, end: usize) -> u128 {
    let length = end - start;
    let sixteen = bytes[start..].first_chunk().map_or_else(|| filled(&bytes[start..end]), |all| *all);
    u128::from_le_bytes(sixteen) & u128::MAX.checked_shr(128 - 8 * length as u32).unwrap_or(0)
}

#[cold]
fn filled(bytes: &[u8]) -> [u8; 16] {
    let mut all = [0; 16];
    all[..bytes.len()].copy_from_slice(bytes);
    all
}

fn long(bytes: &[u8]) -> u64 {
    let mut state = KEYS[3];
    let mut at = 0;
    while at + 16 < bytes.len() {
        state = fold(word64(bytes, at) ^ KEYS[0] ^ state, word64(bytes, at + 8) ^ KEYS[1]);
        at += 16;
    }
    let end = bytes.len();
    state = fold(word64(bytes, end - 16) ^ KEYS[0] ^ state, word64(bytes, end - 8) ^ KEYS[1]);
    fold(state ^ end as u64, KEYS[2])
}

/// Hash of one hash after another.
#[must_use]
#[inline]
pub fn join(before: u64, next: u64) -> u64 {
    fold(before ^ KEYS[3], next ^ KEYS[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_two_short_texts_collide() {
        let mut seen = rustc_hash::FxHashSet::default();
        let letters = b"ab0 ";
        for length in 0..9 {
            for mut number in 0..4_usize.pow(length) {
                let text: Vec<u8> = (0..length)
                    .map(|_| {
                        let letter = letters[number % 4];
                        number /= 4;
                        letter
                    })
                    .collect();
                assert!(seen.insert(hash(&text)), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_changes_the_hash(bytes in prop::collection::vec(any::<u8>(), 1..80), at: prop::sample::Index, by in 1_u8..) {
            let mut other = bytes.clone();
            let at = at.index(bytes.len());
            other[at] ^= by;
            prop_assert_ne!(hash(&bytes), hash(&other));
        }

        #[test]
        fn what_stands_around_a_word_does_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..80), ends: [prop::sample::Index; 2]) {
            let [start, end] = ends.map(|end| end.index(bytes.len() + 1));
            let (start, end) = (start.min(end), start.max(end));
            prop_assert_eq!(hash_within(&bytes, start, end), hash(&bytes[start..end]));
        }

        #[test]
        fn order_matters_when_joining(a: u64, b: u64) {
            prop_assume!(a != b);
            prop_assert_ne!(join(a, b), join(b, a));
        }
    }
}
