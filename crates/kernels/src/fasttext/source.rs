//! A model file as a stream of little-endian numbers. Nothing in it is trusted: no count is believed before
//! the bytes it asks for are known to be there.

use std::io::Read;

use xxhash_rust::xxh3::Xxh3;

use crate::error::{KernelError, Result};

/// Bytes that are decoded at a time.
const CHUNK: usize = 1 << 16;

/// The rest of a file, hashed as it is read.
pub(super) struct Source<R> {
    reader: R,
    bytes: u64,
    left: u64,
    hash: Xxh3,
}

/// A model file that cannot be used.
pub(super) fn unusable(reason: impl std::fmt::Display) -> KernelError {
    KernelError::Model { reason: reason.to_string() }
}

impl<R: Read> Source<R> {
    /// A file of `bytes` bytes.
    pub fn new(reader: R, bytes: u64) -> Self {
        Self { reader, bytes, left: bytes, hash: Xxh3::new() }
    }

    /// Fills `buffer`; `what` is for the message when the file ends before.
    pub fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<()> {
        self.expect(buffer.len() as u64, 1, what)?;
        self.reader.read_exact(buffer).map_err(|error| unusable(format!("cannot read {what}: {error}")))?;
        self.hash.update(buffer);
        self.left -= buffer.len() as u64;
        Ok(())
    }

    /// Refuses a count of things of at least `size` bytes that the rest of the file cannot hold.
    pub fn expect(&self, count: u64, size: u64, what: &str) -> Result<()> {
        if count.checked_mul(size).is_some_and(|bytes| bytes <= self.left) {
            return Ok(());
        }
        Err(unusable(format!(
            "the file is truncated or damaged: {what} would reach past its end ({} of {} bytes are left)",
            self.left, self.bytes
        )))
    }

    pub fn u8(&mut self, what: &str) -> Result<u8> {
        let mut bytes = [0];
        self.fill(&mut bytes, what)?;
        Ok(bytes[0])
    }

    /// A byte that must be 0 or 1.
    pub fn flag(&mut self, what: &str) -> Result<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(unusable(format!("the file is damaged: {what} is {other}, not 0 or 1"))),
        }
    }

    pub fn i32(&mut self, what: &str) -> Result<i32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes, what)?;
        Ok(i32::from_le_bytes(bytes))
    }

    pub fn i64(&mut self, what: &str) -> Result<i64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes, what)?;
        Ok(i64::from_le_bytes(bytes))
    }

    /// A 32-bit count that must not be negative.
    pub fn count(&mut self, what: &str) -> Result<usize> {
        let count = self.i32(what)?;
        usize::try_from(count)
            .map_err(|_| unusable(format!("the file is damaged: {what} is negative ({count})")))
    }

    /// A 64-bit count that must not be negative.
    pub fn long_count(&mut self, what: &str) -> Result<u64> {
        let count = self.i64(what)?;
        u64::try_from(count)
            .map_err(|_| unusable(format!("the file is damaged: {what} is negative ({count})")))
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>> {
        self.expect(count, 1, what)?;
        let mut bytes = vec![0; count as usize];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// The next `count` numbers.
    pub fn floats(&mut self, count: u64, what: &str) -> Result<Vec<f32>> {
        self.expect(count, 4, what)?;
        let mut floats = Vec::with_capacity(count as usize);
        let mut chunk = vec![0; CHUNK.min(count as usize * 4)];
        while floats.len() < count as usize {
            let part = (count as usize - floats.len()) * 4;
            let part = &mut chunk[..part.min(CHUNK)];
            self.fill(part, what)?;
            floats.extend(part.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        }
        Ok(floats)
    }

    /// The bytes up to the next zero, which is read and left out.
    pub fn until_zero(&mut self, into: &mut Vec<u8>, what: &str) -> Result<()> {
        loop {
            match self.u8(what)? {
                0 => return Ok(()),
                byte => into.push(byte),
            }
        }
    }

    /// Reads what is left and returns XXH3-128 of the whole file.
    pub fn finish(mut self) -> Result<u128> {
        let mut chunk = vec![0; CHUNK];
        while self.left > 0 {
            let part = CHUNK.min(self.left as usize);
            self.fill(&mut chunk[..part], "the rest of the file")?;
        }
        Ok(self.hash.digest128())
    }
}
