//! The feeder's native half: blocks out of batches, and messages to the loader.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::time::Duration;

use gristmill_kernels::cache::{Cache, Claim, Key, Maker, NewArray, Options};
use gristmill_kernels::feed::live::block::{ARRAY, BlockCounts};
use gristmill_kernels::feed::live::build::BlockBuilder;
use gristmill_kernels::feed::live::channel;
use gristmill_kernels::feed::live::memory::contents;
use gristmill_kernels::pack::PackOptions;
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid, unsigned};

/// A finished block.
#[napi(object)]
pub struct NativeBlock {
    /// Its memory; whoever has it closes it.
    pub descriptor: i32,
    /// Bytes of it.
    pub bytes: f64,
}

/// What was counted while a block was made.
#[napi(object)]
pub struct NativeBlockCounts {
    /// Rows the source gave.
    pub rows: f64,
    /// Rows that steps removed.
    pub removed: f64,
    /// Records that could not be read.
    pub quarantined: f64,
}

/// Documents on their way into a block.
#[napi]
pub struct NativeBlockBuilder {
    inner: Option<BlockBuilder>,
}

impl NativeBlockBuilder {
    fn gone() -> KernelError {
        KernelError::Disposed { what: "block builder" }
    }
}

#[napi]
impl NativeBlockBuilder {
    /// A block of ids of a vocabulary of so many.
    #[napi(constructor)]
    pub fn new(vocabulary_size: u32) -> Self {
        Self { inner: Some(BlockBuilder::new(vocabulary_size)) }
    }

    /// Appends the selected rows of a batch.
    #[napi]
    pub fn write(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("block.write", || self.inner.as_mut().ok_or_else(Self::gone)?.write(batch.get()?))
    }

    /// Packs the documents as `options` say, in JSON as `packDocuments` takes them.
    #[napi]
    pub fn finish(&mut self, options: String, counts: NativeBlockCounts) -> napi::Result<NativeBlock> {
        guard("block.finish", || {
            let options: PackOptions =
                serde_json::from_str(&options).map_err(|error| invalid("pack options", error))?;
            let counts = BlockCounts {
                rows: unsigned(counts.rows),
                removed: unsigned(counts.removed),
                quarantined: unsigned(counts.quarantined),
                ..BlockCounts::default()
            };
            let built = self.inner.take().ok_or_else(Self::gone)?.finish(options, counts)?;
            Ok(NativeBlock { descriptor: built.memory.into_raw_fd(), bytes: built.bytes as f64 })
        })
    }

    /// Lets go of the documents. Disposing twice is harmless.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// Sends a line over a socket, and a descriptor with it. Both stay open.
#[napi]
pub fn send_line(socket: i32, line: String, descriptor: Option<i32>) -> napi::Result<()> {
    guard("feeder.send", || {
        let socket = borrow(socket)?;
        let descriptor = descriptor.map(borrow).transpose()?;
        channel::send(socket, &line, descriptor).map_err(KernelError::io("write to", "the loader's socket"))
    })
}

fn borrow<'a>(descriptor: i32) -> Result<BorrowedFd<'a>> {
    if descriptor < 0 {
        return Err(invalid("descriptor", format!("{descriptor} is none")));
    }
    // SAFETY: it is not -1. A number that is not open makes the system call fail; JavaScript can close a
    // descriptor under us no more than it can under its own calls.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// What came of asking the cache for a block.
#[napi(string_enum = "lowercase")]
pub enum NativeClaim {
    /// It lies there.
    Found,
    /// It does not, and this process has the right to make it.
    Make,
    /// Somebody else is making it.
    Busy,
}

/// Blocks that were made before, by this process or another.
#[napi]
pub struct NativeBlockStore {
    cache: Cache,
    makers: BTreeMap<String, Maker>,
}

#[napi]
impl NativeBlockStore {
    /// Opens the folder, making it when absent; at most so many bytes lie there.
    #[napi(constructor)]
    pub fn new(path: String, bytes: f64) -> napi::Result<Self> {
        guard("blockStore.open", || {
            let cache = Cache::open(&Options { disk: unsigned(bytes), ..Options::at(path) })?;
            Ok(Self { cache, makers: BTreeMap::default() })
        })
    }

    /// Whether a block is there.
    #[napi]
    pub fn has(&self, name: String) -> napi::Result<bool> {
        guard("blockStore.has", || Ok(self.cache.find(Key::of_parts([name.as_bytes()]))?.is_some()))
    }

    /// Looks for a block, and takes the right to make it when there is none.
    #[napi]
    pub fn claim(&mut self, name: String) -> napi::Result<NativeClaim> {
        guard("blockStore.claim", || {
            let key = Key::of_parts([name.as_bytes()]);
            Ok(match self.cache.claim(key, Duration::ZERO)? {
                Claim::Found(_) => NativeClaim::Found,
                Claim::Busy => NativeClaim::Busy,
                Claim::Make(maker) => {
                    self.makers.insert(name, maker);
                    NativeClaim::Make
                }
            })
        })
    }

    /// Stores the block that a claim gave the right to make. Where it does not fit, it is left out.
    #[napi]
    pub fn store(&mut self, name: String, descriptor: i32) -> napi::Result<()> {
        guard("blockStore.store", || {
            let maker = self.makers.remove(&name).ok_or_else(|| invalid("name", "nobody claimed it"))?;
            let bytes = contents(borrow(descriptor)?).map_err(KernelError::io("map", "a block"))?;
            maker.store(&[NewArray::of_bytes(ARRAY, &bytes)]).map(drop)
        })
    }
}
