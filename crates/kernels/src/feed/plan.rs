//! Which samples make which batch.
//!
//! The samples of an epoch are cut into global batches, in their order or by length, and each global batch
//! into one batch for every data-parallel rank. So what a global batch holds does not depend on how many
//! ranks there are, and ranks that start at the same [`Cursor`] agree without speaking to each other.

use std::sync::Arc;

use super::buckets::Buckets;
use super::live::window::Live;
use super::order::{Order, OrderCache, SampleId};
use super::state::Cursor;
use crate::error::{KernelError, Result};

/// The batches of one rank.
#[derive(Debug)]
pub struct Plan {
    cuts: Cuts,
    /// This rank among those with samples of their own.
    rank: u64,
    ranks: u64,
}

#[derive(Debug)]
enum Cuts {
    /// Samples in their order, all of one length.
    Even {
        order: Order,
        /// Positions of a row.
        length: u32,
        /// Samples of a batch of one rank.
        batch: u64,
        /// Global batches between two steps of the optimizer.
        accumulate: u64,
    },
    /// By length.
    Buckets(Buckets),
    /// Made while the training runs; it knows this rank's share itself.
    Live(Arc<Live>),
}

impl Plan {
    /// Batches of `batch` samples of `length` positions for rank `rank` of `ranks`.
    #[must_use]
    pub fn new(order: Order, length: u32, batch: u32, ranks: u32, rank: u32, accumulate: u32) -> Self {
        let (batch, accumulate) = (u64::from(batch), u64::from(accumulate));
        let cuts = Cuts::Even { order, length, batch, accumulate };
        Self { cuts, rank: rank.into(), ranks: ranks.into() }
    }

    /// Batches by length for rank `rank` of `ranks`.
    #[must_use]
    pub fn by_length(buckets: Buckets, ranks: u32, rank: u32) -> Self {
        Self { cuts: Cuts::Buckets(buckets), rank: rank.into(), ranks: ranks.into() }
    }

    /// Batches of what a feeder makes.
    #[must_use]
    pub fn live(live: Arc<Live>) -> Self {
        Self { cuts: Cuts::Live(live), rank: 0, ranks: 1 }
    }

    /// Samples of an epoch; `None` before all of an epoch was seen that is made on the fly.
    #[must_use]
    pub fn epoch_samples(&self) -> Option<u64> {
        match &self.cuts {
            Cuts::Even { order, .. } => Some(order.epoch_samples()),
            Cuts::Buckets(buckets) => Some(buckets.order().epoch_samples()),
            Cuts::Live(live) => live.epoch_samples(),
        }
    }

    /// Batches of each rank in a whole epoch: enough for all samples, and for whole optimizer steps; `None`
    /// as for [`Plan::epoch_samples`].
    ///
    /// # Errors
    /// As [`Buckets::epoch_batches`].
    pub fn epoch_batches(&self, epoch: u64) -> Result<Option<u64>> {
        match &self.cuts {
            Cuts::Even { order, batch, accumulate, .. } => {
                Ok(Some(order.epoch_samples().div_ceil(batch * self.ranks * accumulate) * accumulate))
            }
            Cuts::Buckets(buckets) => buckets.epoch_batches(epoch).map(Some),
            Cuts::Live(live) => Ok(live.epoch_batches()),
        }
    }

    /// The same place, written in one way: the end of an epoch is the start of the next.
    #[must_use]
    pub fn settle(&self, cursor: Cursor) -> Cursor {
        match &self.cuts {
            Cuts::Even { order, batch, accumulate, .. } => {
                let step = batch * self.ranks * accumulate;
                let over = cursor.samples >= order.epoch_samples().next_multiple_of(step);
                if over { Cursor { epoch: cursor.epoch + 1, samples: 0 } } else { cursor }
            }
            Cuts::Buckets(buckets) => buckets.settle(cursor),
            // Places come from `next` alone, which writes them so.
            Cuts::Live(_) => cursor,
        }
    }

    /// Where the batch after the one at `cursor` begins.
    #[must_use]
    pub fn next(&self, cursor: Cursor) -> Cursor {
        let step = match &self.cuts {
            Cuts::Even { batch, .. } => batch * self.ranks,
            Cuts::Buckets(_) => 1,
            Cuts::Live(live) => return live.next(cursor),
        };
        self.settle(Cursor { samples: cursor.samples + step, ..cursor })
    }

    /// This rank's samples of the global batch at `cursor`, `None` where the epoch has ended before; and
    /// the positions of a row. For what a feeder makes, see [`Live::samples`].
    ///
    /// # Errors
    /// As [`Buckets::global_batch`].
    pub fn samples(
        &self,
        cursor: Cursor,
        cache: &mut OrderCache,
        out: &mut Vec<Option<SampleId>>,
    ) -> Result<u32> {
        match &self.cuts {
            Cuts::Even { order, length, batch, .. } => {
                let from = cursor.samples + self.rank * batch;
                out.clear();
                out.extend((from..from + batch).map(|position| order.sample(cursor.epoch, position, cache)));
                Ok(*length)
            }
            Cuts::Buckets(buckets) => {
                let batch = buckets.global_batch(cursor)?;
                batch.deal(self.rank, self.ranks, out);
                Ok(batch.length)
            }
            Cuts::Live(_) => Err(KernelError::internal("samples of a feeder come with their blocks")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mixture::{Mixture, Stage};
    use super::super::shuffle::Shuffle;
    use super::*;
    use proptest::prelude::*;

    fn orders() -> impl Strategy<Value = Order> {
        let shuffle = prop_oneof![
            Just(Shuffle::None),
            Just(Shuffle::Full),
            (1_u64..9, 1_u64..5).prop_map(|(block, group)| Shuffle::Block { block, group }),
        ];
        (prop::collection::vec(1_u64..200, 1..4), any::<u64>(), shuffle, 1_u64..300).prop_map(
            |(lengths, seed, shuffle, epoch)| {
                if lengths.len() == 1 {
                    return Order::of_dataset(seed, shuffle, lengths[0]);
                }
                let stages = [
                    Stage { from: 0, weights: vec![1.0; lengths.len()] },
                    Stage { from: 150, weights: lengths.iter().map(|&length| length as f64).collect() },
                ];
                let mixture = Mixture::new(seed, lengths.len(), &stages).unwrap();
                Order::of_mixture(seed, shuffle, lengths, mixture, epoch)
            },
        )
    }

    /// The global batch at `cursor`, put together from the batches of `ranks` ranks.
    fn global(
        order: &Order,
        (ranks, batch, accumulate): (u32, u32, u32),
        cursor: Cursor,
        cache: &mut OrderCache,
    ) -> (Vec<Option<SampleId>>, Cursor) {
        let mut all = Vec::new();
        let mut next = Vec::new();
        for rank in 0..ranks {
            let plan = Plan::new(order.clone(), 32, batch, ranks, rank, accumulate);
            let mut own = Vec::new();
            plan.samples(cursor, cache, &mut own).unwrap();
            assert_eq!(own.len(), batch as usize);
            all.extend(own);
            next.push(plan.next(cursor));
        }
        assert!(next.iter().all(|cursor| *cursor == next[0]));
        (all, next[0])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn an_epoch_is_complete_on_every_world(
            order in orders(),
            ranks in 1_u32..9,
            batch in 1_u32..20,
            accumulate in 1_u32..4,
        ) {
            let mut cursor = Cursor::default();
            let mut cache = OrderCache::default();
            let mut samples = Vec::new();
            let mut batches = 0;
            while cursor.epoch == 0 {
                let (all, next) = global(&order, (ranks, batch, accumulate), cursor, &mut cache);
                samples.extend(all);
                cursor = next;
                batches += 1;
            }
            let plan = Plan::new(order.clone(), 32, batch, ranks, 0, accumulate);
            prop_assert_eq!(Some(batches), plan.epoch_batches(0).unwrap());
            prop_assert_eq!(batches % u64::from(accumulate), 0);
            let expected: Vec<_> =
                (0..samples.len() as u64).map(|at| order.sample(0, at, &mut cache)).collect();
            prop_assert_eq!(&samples, &expected);
            prop_assert_eq!(samples.iter().flatten().count() as u64, order.epoch_samples());
        }

        #[test]
        fn a_resume_on_other_worlds_goes_on_where_it_stopped(
            order in orders(),
            worlds in prop::collection::vec((0_u32..4, 1_usize..12), 1..6),
            batch in 1_u32..4,
        ) {
            // The global batch is 8 × batch on 1, 2, 4 or 8 ranks.
            let mut cache = OrderCache::default();
            let mut straight = Cursor::default();
            let mut resumed = Cursor::default();
            for (shift, steps) in worlds {
                let ranks = 1 << shift;
                for _ in 0..steps {
                    let (expected, next) = global(&order, (8, batch, 1), straight, &mut cache);
                    straight = next;
                    let (got, next) = global(&order, (ranks, batch * 8 / ranks, 1), resumed, &mut cache);
                    resumed = next;
                    prop_assert_eq!(got, expected);
                    prop_assert_eq!(resumed, straight);
                }
            }
        }
    }
}
