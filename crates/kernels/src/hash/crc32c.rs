//! CRC-32C (Castagnoli), as `TFRecord` files check their records; by the processor's own instruction where it has one.

/// The CRC as `TFRecord` stores it: turned and moved, so that the CRC of bytes that hold a CRC is none of the weak
/// cases.
#[must_use]
pub fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::masked_crc32c;

    /// The check value of the CRC catalogues, masked.
    #[test]
    fn a_published_value() {
        assert_eq!(masked_crc32c(b"123456789"), 0xE306_9283_u32.rotate_right(15).wrapping_add(0xA282_EAD8));
    }
}
