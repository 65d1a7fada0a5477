//! Standard base64, as tiktoken rank files write their tokens.

/// Appends the bytes of `text` to `out`; false when it is not padded standard base64.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return false;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return false;
    }
    let digits = &text[..text.len() - padding];
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &byte in group {
            let Some(digit) = digit(byte) else { return false };
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * (4 - group.len());
        let bytes = bits.to_be_bytes();
        // A group of n digits holds n - 1 bytes.
        out.extend_from_slice(&bytes[1..group.len()]);
    }
    digits.len() % 4 != 1
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn check(text: &str, expected: Option<&[u8]>) {
        let mut out = Vec::new();
        let valid = decode(text.as_bytes(), &mut out);
        assert_eq!(valid.then_some(out.as_slice()), expected, "{text}");
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmFy", Some(b"foobar"));
        check("//79", Some(&[0xff, 0xfe, 0xfd]));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["", "Z", "Zg", "Zg=", "Z===", "Z-==", "Zg==Zg=="] {
            check(text, None);
        }
    }
}
