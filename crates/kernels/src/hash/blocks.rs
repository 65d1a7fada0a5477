//! Checksums per MiB block, so that a reader can verify what it touches without reading the whole file.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 1 << 20;

/// XXH3-64 (seed 0) of each MiB block of a stream, the last one shorter.
#[derive(Default)]
pub struct BlockHasher {
    current: Xxh3Default,
    filled: usize,
    blocks: Vec<u64>,
    bytes: u64,
}

/// What a finished stream hashes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHashes {
    /// Length of the stream.
    pub bytes: u64,
    /// One hash a block.
    pub blocks: Vec<u64>,
}

impl BlockHasher {
    /// Adds bytes to the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let take = bytes.len().min(BLOCK_BYTES - self.filled);
            if self.filled == 0 && take == BLOCK_BYTES {
                self.blocks.push(xxh3_64(&bytes[..take]));
            } else {
                self.current.update(&bytes[..take]);
                self.filled += take;
                if self.filled == BLOCK_BYTES {
                    self.close_block();
                }
            }
            bytes = &bytes[take..];
        }
    }

    fn close_block(&mut self) {
        self.blocks.push(self.current.digest());
        self.current.reset();
        self.filled = 0;
    }

    /// The hashes of everything added.
    #[must_use]
    pub fn finish(mut self) -> BlockHashes {
        if self.filled > 0 {
            self.close_block();
        }
        BlockHashes { bytes: self.bytes, blocks: self.blocks }
    }
}

impl BlockHashes {
    /// One checksum of the whole stream: XXH3-64 of the block hashes as little-endian u64.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes: Vec<u8> = self.blocks.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        xxh3_64(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn hashes_do_not_depend_on_how_the_stream_is_cut(
            length in 0_usize..3 * BLOCK_BYTES,
            cuts in prop::collection::vec(0_usize..3 * BLOCK_BYTES, 0..8),
        ) {
            let data: Vec<u8> = (0..length).map(|i| (i.wrapping_mul(31) >> 3) as u8).collect();
            let mut whole = BlockHasher::default();
            whole.update(&data);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).chain([0, length]).collect();
            cuts.sort_unstable();
            let mut pieces = BlockHasher::default();
            for pair in cuts.windows(2) {
                pieces.update(&data[pair[0]..pair[1]]);
            }
            let whole = whole.finish();
            prop_assert_eq!(&whole, &pieces.finish());
            let plain: Vec<u64> = data.chunks(BLOCK_BYTES).map(xxh3_64).collect();
            prop_assert_eq!(whole.blocks, plain);
        }
    }
}
