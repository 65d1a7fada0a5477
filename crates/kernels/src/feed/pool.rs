//! Aligned memory that the caller gets to see, and that comes back when nobody sees it any more.
//!
//! A [`Slot`] is one batch's memory. While it is filled one thread owns it; then it goes into a
//! [`Lease`], which every view of the batch holds on to. When the last view dies the lease gives the slot
//! back, so nothing that can still be read is ever overwritten.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::ptr::NonNull;

use super::fields::ALIGNMENT;
use crate::error::{KernelError, Result};

/// Zeroed memory at a multiple of 64 bytes.
#[derive(Debug)]
pub struct AlignedBuffer {
    at: NonNull<u8>,
    bytes: usize,
    /// Whose the memory is; `None` when it is the buffer's.
    lender: Option<Lender>,
}

/// Keeps lent memory alive, until it is dropped.
pub type Lender = Box<dyn Any + Send + Sync>;

// SAFETY: the buffer owns its memory and hands out references under the borrow rules alone.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for AlignedBuffer {}

/// Numbers that any bytes are a value of.
///
/// # Safety
/// Implemented for types without padding and without invalid bit patterns, aligned to at most 64.
pub unsafe trait Plain: Copy {}
// SAFETY: any byte is a u8.
unsafe impl Plain for u8 {}
// SAFETY: any two bytes are a u16.
unsafe impl Plain for u16 {}
/// The bits of a 16-bit float that is no `f16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Half(pub u16);
// SAFETY: it is a u16.
unsafe impl Plain for Half {}
// SAFETY: any four bytes are an f32.
unsafe impl Plain for f32 {}
// SAFETY: any four bytes are an i32.
unsafe impl Plain for i32 {}
// SAFETY: any eight bytes are an i64.
unsafe impl Plain for i64 {}

impl AlignedBuffer {
    /// A buffer of at least `bytes` bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT);
        let layout = layout(bytes);
        // SAFETY: the layout's size is not zero.
        let at = unsafe { alloc_zeroed(layout) };
        Self { at: NonNull::new(at).unwrap_or_else(|| handle_alloc_error(layout)), bytes, lender: None }
    }

    /// A buffer in memory of somebody else's, which stays where it is until the lender is dropped.
    ///
    /// # Errors
    /// `Option` when it is not at a multiple of 64 bytes.
    ///
    /// # Safety
    /// The `bytes` bytes at `at` are initialised, nobody else reads or writes them while the buffer lives,
    /// and they outlive the lender.
    pub unsafe fn lent(at: NonNull<u8>, bytes: usize, lender: Lender) -> Result<Self> {
        if !at.addr().get().is_multiple_of(ALIGNMENT) {
            let reason = format!("a buffer at {at:?} is not at a multiple of {ALIGNMENT} bytes");
            return Err(KernelError::Option { name: "pin_memory".to_owned(), reason });
        }
        Ok(Self { at, bytes, lender: Some(lender) })
    }

    /// Bytes there are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for `bytes` bytes; what was in it is lost when it grows.
    pub fn grow(&mut self, bytes: usize) {
        if bytes > self.bytes {
            *self = Self::new(bytes.max(self.bytes * 2));
        }
    }

    /// Where the memory begins; it stays there for the buffer's life.
    pub fn address(&self) -> NonNull<u8> {
        self.at
    }

    /// A copy of the first `bytes` bytes, as many as there are.
    #[must_use]
    pub fn to_vec(&self, bytes: usize) -> Vec<u8> {
        // SAFETY: the range lies in memory that this buffer owns and initialised.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), bytes.min(self.bytes)) }.to_vec()
    }

    /// `length` numbers from byte `offset` on.
    ///
    /// # Panics
    /// When they do not lie in the buffer or `offset` is not aligned.
    pub fn slice_mut<T: Plain>(&mut self, offset: usize, length: usize) -> &mut [T] {
        let bytes = length.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        assert!(bytes.is_some_and(|end| end <= self.bytes) && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: the range lies in memory that this buffer owns and initialised, `T` is plain and the
        // start is aligned, and the borrow of `self` keeps everyone else away.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(offset).cast::<T>().as_ptr(), length) }
    }
}

/// The memory of numbers.
pub fn bytes_of<T: Plain>(numbers: &mut [T]) -> &mut [u8] {
    let bytes = size_of_val(numbers);
    // SAFETY: plain numbers have no padding and any bytes are a value of them; the borrow goes over.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), bytes) }
}

fn layout(bytes: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and sizes near isize::MAX cannot be reached: they are
    // lengths of batches, bounded when a feed is opened.
    unsafe { Layout::from_size_align_unchecked(bytes, ALIGNMENT) }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if self.lender.is_some() {
            return;
        }
        // SAFETY: allocated in `new` with this layout, and freed once.
        unsafe { dealloc(self.at.as_ptr(), layout(self.bytes)) }
    }
}

/// Positions of one row that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Positions.
    pub length: u32,
    /// Whether they are padding.
    pub padding: bool,
}

/// The memory of one batch.
#[derive(Debug)]
pub struct Slot {
    /// The fields, as [`super::fields::Making::layout`] places them.
    pub matrices: AlignedBuffer,
    /// Ends of the segments over the flattened batch, i32, 0 first.
    pub ends: AlignedBuffer,
    /// For each row, the sample (i64); then, for each row, its dataset (i64). −1 where there is none.
    pub samples: AlignedBuffer,
    /// The segments of all rows, row after row.
    pub segments: Vec<Segment>,
}

impl Slot {
    /// Memory for `bytes` bytes of fields.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            matrices: AlignedBuffer::new(bytes),
            ends: AlignedBuffer::new(ALIGNMENT),
            samples: AlignedBuffer::new(ALIGNMENT),
            segments: Vec::new(),
        }
    }
}

/// Takes slots back.
pub trait Home: Send + Sync {
    /// Called when the last view of a slot is gone.
    fn take_back(&self, slot: Slot);
}

/// A filled slot that is being looked at.
pub struct Lease<H: Home> {
    slot: Option<Slot>,
    home: std::sync::Arc<H>,
}

impl<H: Home> Lease<H> {
    /// Lends a slot out; dropping the lease gives it back.
    pub fn new(slot: Slot, home: std::sync::Arc<H>) -> Self {
        Self { slot: Some(slot), home }
    }

    /// Where the slot goes back to.
    pub fn home(&self) -> &H {
        &self.home
    }

    /// The memory. Whoever holds a view may have written to it.
    pub fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()
    }
}

impl<H: Home> Drop for Lease<H> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.home.take_back(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zeroed() {
        for bytes in [0, 1, 63, 64, 65, 1 << 20] {
            let mut buffer = AlignedBuffer::new(bytes);
            assert_eq!(buffer.address().as_ptr() as usize % ALIGNMENT, 0);
            assert!(buffer.slice_mut::<u8>(0, bytes).iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn lent_memory_goes_back_to_its_lender() {
        let mut memory = Box::new([7_u64; 32]);
        let skip = memory.as_ptr().align_offset(ALIGNMENT);
        let at = NonNull::from(&mut memory[skip]).cast::<u8>();
        let lender = std::sync::Arc::new(memory);
        let held = || std::sync::Arc::strong_count(&lender);
        // SAFETY: the numbers live as long as the lender, and nobody looks at them meanwhile.
        let lend = |at| unsafe { AlignedBuffer::lent(at, 128, Box::new(std::sync::Arc::clone(&lender))) };
        let mut buffer = lend(at).unwrap();
        assert_eq!((held(), buffer.bytes(), buffer.address()), (2, 128, at));
        assert_eq!(buffer.slice_mut::<i64>(64, 8), [7; 8]);
        drop(buffer);
        assert_eq!(held(), 1);
        // SAFETY: as above; a start off the grid is refused.
        let off = unsafe { at.add(8) };
        assert_eq!(lend(off).unwrap_err().code(), "GM_CONFIG");
    }

    #[test]
    #[should_panic(expected = "is_some_and")]
    fn a_slice_past_the_end_is_refused() {
        AlignedBuffer::new(64).slice_mut::<i64>(8, 8);
    }
}
