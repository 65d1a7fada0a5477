//! A batch in the caller's hands.

use std::sync::Arc;

use super::config::Feed;
use super::fields::Field;
use super::gather::Filled;
use super::masks::{self, Static};
use super::pool::{AlignedBuffer, Lease};
use super::prefetch::Prefetcher;
use super::state::Cursor;
use crate::error::Result;

/// A batch whose memory is the caller's until its last view is gone.
pub struct Batch {
    /// The memory; share it with every view.
    pub lease: Arc<Lease<Prefetcher>>,
    /// What it holds.
    pub filled: Filled,
    /// Where it comes in the stream.
    pub at: Cursor,
}

impl Batch {
    /// The feed it is from.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.lease.home().feed
    }

    /// First byte of a field in the matrices; `None` when it was not among the fields asked for.
    #[must_use]
    pub fn offset(&self, field: Field) -> Option<usize> {
        let making = &self.feed().making;
        let (offsets, _) = making.layout(self.filled.rows * self.filled.shape.columns());
        making.fields.iter().zip(offsets).find(|(made, _)| **made == field).map(|(_, offset)| offset)
    }

    /// The mask that stands for a field of this batch and of all others of its shape; `None` when the field is
    /// among those asked for, or has padding.
    #[must_use]
    pub fn alike(&self, field: Field) -> Option<Static> {
        let full = self.filled.tokens == self.filled.positions;
        let alike = field == Field::AttentionMask && full && self.offset(field).is_none();
        alike.then_some(Static::Full(self.filled.rows))
    }

    /// A mask that batches of this shape share, made when it is first asked for.
    ///
    /// # Errors
    /// As [`Static::make`].
    pub fn shared(&self, mask: Static) -> Result<Arc<AlignedBuffer>> {
        self.lease.home().shared(mask, self.filled.shape)
    }

    /// A field in memory of its own; `None` for tokens and labels, which take the shards to make.
    #[must_use]
    pub fn make(&self, field: Field) -> Option<AlignedBuffer> {
        let slot = self.lease.slot().filter(|_| !matches!(field, Field::Tokens | Field::Labels))?;
        let Filled { rows, shape, .. } = self.filled;
        Some(masks::whole(field, rows, &slot.segments, &self.feed().making, shape))
    }
}
