//! Looks for bytes, or a few of them side by side, at several bytes a cycle: a first look that spares most of a text a
//! slower one. Tests are comparisons of bytes and nothing else: of those the compiler makes vectors.

/// Bytes a test sees at a time.
const WINDOW: usize = 4;
/// Windows between two looks at the result: enough for whole vectors, few enough that a hit ends the search soon.
const BLOCK: usize = 128;

/// Bytes between two looks at the result where the place matters.
const STRETCH: usize = 32;

/// The first place from `at` on whose byte the test holds for.
#[inline]
pub fn first_byte(bytes: &[u8], at: usize, test: impl Fn(u8) -> bool) -> Option<usize> {
    let mut from = at;
    while let Some(stretch) = bytes[from..].first_chunk::<STRETCH>() {
        if stretch.iter().fold(false, |any, &byte| any | test(byte)) {
            break;
        }
        from += STRETCH;
    }
    bytes[from..].iter().position(|&byte| test(byte)).map(|found| from + found)
}

/// Whether the test holds for the bytes from any place on, with spaces after the last.
#[inline]
pub fn any_window(bytes: &[u8], test: impl Fn([u8; WINDOW]) -> bool) -> bool {
    (0..bytes.len()).step_by(BLOCK).any(|at| {
        let rest = &bytes[at..];
        if let Some(block) = rest.first_chunk() {
            return any_in_block(block, &test);
        }
        let mut block = [b' '; BLOCK + WINDOW - 1];
        block[..rest.len()].copy_from_slice(rest);
        any_in_block(&block, &test)
    })
}

#[inline]
fn any_in_block(block: &[u8; BLOCK + WINDOW - 1], test: &impl Fn([u8; WINDOW]) -> bool) -> bool {
    let mut any = 0_u8;
    for at in 0..BLOCK {
        any |= u8::from(test([block[at], block[at + 1], block[at + 2], block[at + 3]]));
    }
    any != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_byte_is_found(bytes in prop::collection::vec(0_u8..40, 0..200), at: prop::sample::Index) {
            let at = at.index(bytes.len() + 1);
            let expected = (at..bytes.len()).find(|&at| bytes[at] == 7);
            prop_assert_eq!(first_byte(&bytes, at, |byte| byte == 7), expected);
        }

        #[test]
        fn every_place_is_looked_at(length in 0_usize..700, at: prop::sample::Index) {
            let mut bytes = vec![b'a'; length];
            prop_assert!(!any_window(&bytes, |[first, ..]| first == b'b'));
            if length > 0 {
                let at = at.index(length);
                bytes[at] = b'b';
                let next = bytes.get(at + 1).copied().unwrap_or(b' ');
                let last = bytes.get(at + 3).copied().unwrap_or(b' ');
                prop_assert!(any_window(&bytes, |window| window[0] == b'b' && window[1] == next && window[3] == last));
            }
        }
    }
}
