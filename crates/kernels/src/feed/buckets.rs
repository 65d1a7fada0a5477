//! Batches of documents of like length.
//!
//! The epoch's order is cut into windows. Within a window, documents go into the bucket of the smallest
//! length that holds them, and each bucket is cut into global batches as they come. What is left over in a
//! bucket goes on into the next larger one, so a window has one partial batch at most. Then the window's
//! batches are shuffled. A window follows from seed, configuration and lengths alone, so the place of a
//! batch is a window and a number in it, and a resume looks at one window.
//!
//! The cost of a document in attention grows with the square of its length. A global batch is sorted by
//! length and dealt to the ranks forth and back, which evens out their sums of squares; every rank gets as
//! many rows as the others.
//!
//! Where documents have a cost of their own (a column of how difficult they are), a batch also ends before
//! its costs add up to more than a limit; it is then sorted and dealt by cost, and its rows are as many as it
//! takes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::order::{Order, OrderCache, SampleId};
use super::permutation::{Permutation, derive};
use super::state::Cursor;
use crate::error::Result;

/// Windows have at least this many documents: enough that leftovers hardly matter, looked up in a few
/// milliseconds.
const LEAST_WINDOW: u64 = 1 << 14;

/// Windows that are kept: threads work on the last one and the next.
const KEPT: usize = 4;

/// Tells the lengths of documents.
pub trait Lengths: Send + Sync + std::fmt::Debug {
    /// Ids of a document.
    ///
    /// # Errors
    /// When it cannot be read.
    fn length(&self, sample: SampleId) -> Result<u32>;

    /// What a document adds to its batch, from 0 up; asked for where batches have a limit.
    ///
    /// # Errors
    /// When it has none.
    fn cost(&self, sample: SampleId) -> Result<f64> {
        self.length(sample).map(f64::from)
    }
}

/// Batches of up to this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Positions of a row.
    pub length: u32,
    /// Rows of a batch of one rank.
    pub rows: u32,
}

/// The batches of one feed, by length.
#[derive(Debug)]
pub struct Buckets {
    order: Order,
    lengths: Arc<dyn Lengths>,
    /// From the shortest to the longest.
    sizes: Vec<Bucket>,
    seed: u64,
    ranks: u64,
    accumulate: u64,
    /// The most that the costs in a global batch add up to.
    limit: Option<f64>,
    /// Documents of a window.
    window: u64,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    cache: OrderCache,
    windows: VecDeque<(u64, u64, Arc<Window>)>,
    /// Batches of the epoch that was last asked about.
    epoch: Option<(u64, u64)>,
}

/// The global batches of a window, in their order.
pub type Window = Vec<GlobalBatch>;

/// A document on its way into a batch.
#[derive(Debug, Clone, Copy)]
struct Document {
    length: u32,
    /// Its length, where batches have no limit.
    cost: f64,
    sample: SampleId,
}

/// What all ranks get in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalBatch {
    /// Positions of a row.
    pub length: u32,
    /// Rows of each rank.
    pub rows: u32,
    /// The documents, from the costliest (the longest) to the cheapest; fewer than rows × ranks in the last of a window.
    pub samples: Vec<SampleId>,
}

impl GlobalBatch {
    /// What one of `ranks` ranks gets: a row each, `None` where there is no document left.
    pub fn deal(&self, rank: u64, ranks: u64, out: &mut Vec<Option<SampleId>>) {
        out.clear();
        out.extend((0..u64::from(self.rows)).map(|round| {
            let place = if round.is_multiple_of(2) { rank } else { ranks - 1 - rank };
            self.samples.get((round * ranks + place) as usize).copied()
        }));
    }
}

impl Buckets {
    /// Batches of these `sizes`, which must not be empty and rise in length, for `ranks` ranks; a window has a
    /// multiple of `accumulate` batches. With a `limit`, the costs of a global batch add up to no more, unless
    /// one document alone costs more.
    #[must_use]
    pub fn new(
        order: Order,
        lengths: Arc<dyn Lengths>,
        sizes: Vec<Bucket>,
        seed: u64,
        ranks: u32,
        accumulate: u32,
        limit: Option<f64>,
    ) -> Self {
        let (ranks, accumulate) = (u64::from(ranks), u64::from(accumulate));
        let largest = sizes.iter().map(|bucket| u64::from(bucket.rows) * ranks).max().unwrap_or(1);
        // A multiple, so that there are never more batches than documents.
        let window = LEAST_WINDOW.max(32 * largest).next_multiple_of(accumulate);
        Self { order, lengths, sizes, seed, ranks, accumulate, limit, window, made: Mutex::default() }
    }

    /// The order that is cut.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Length and rows of each global batch, which a resume must not change.
    #[must_use]
    pub fn global(&self) -> Vec<(u32, u64)> {
        self.sizes.iter().map(|bucket| (bucket.length, u64::from(bucket.rows) * self.ranks)).collect()
    }

    /// Batches of each rank in an epoch. It looks at the length of every document of the epoch, once.
    ///
    /// # Errors
    /// As [`Lengths::length`].
    pub fn epoch_batches(&self, epoch: u64) -> Result<u64> {
        let mut made = self.made();
        if let Some((_, batches)) = made.epoch.filter(|(known, _)| *known == epoch) {
            return Ok(batches);
        }
        let mut batches = 0;
        for window in 0..self.order.epoch_samples().div_ceil(self.window) {
            batches += self.make(epoch, window, &mut made.cache)?.len() as u64;
        }
        made.epoch = Some((epoch, batches));
        Ok(batches)
    }

    /// The same place, written in one way: past the end of a window is the start of the next, past the end
    /// of an epoch that of the next. What cannot be looked up stays; asking for the batch there fails.
    #[must_use]
    pub fn settle(&self, cursor: Cursor) -> Cursor {
        let Cursor { epoch, samples } = cursor;
        if samples >= self.order.epoch_samples().next_multiple_of(self.window) {
            return Cursor { epoch: epoch + 1, samples: 0 };
        }
        let (window, number) = (samples / self.window, samples % self.window);
        match self.window(epoch, window) {
            Ok(batches) if number >= batches.len() as u64 => {
                let next = (window + 1) * self.window;
                let over = next >= self.order.epoch_samples();
                if over { Cursor { epoch: epoch + 1, samples: 0 } } else { Cursor { epoch, samples: next } }
            }
            _ => cursor,
        }
    }

    /// The global batch at a settled cursor; an empty one elsewhere.
    ///
    /// # Errors
    /// As [`Lengths::length`].
    pub fn global_batch(&self, cursor: Cursor) -> Result<GlobalBatch> {
        let window = self.window(cursor.epoch, cursor.samples / self.window)?;
        let batch = window.get((cursor.samples % self.window) as usize).cloned();
        Ok(batch.unwrap_or_else(|| self.blank()))
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch of padding alone.
    fn blank(&self) -> GlobalBatch {
        let Bucket { length, rows } = self.sizes[0];
        GlobalBatch { length, rows, samples: Vec::new() }
    }

    fn window(&self, epoch: u64, window: u64) -> Result<Arc<Window>> {
        let mut made = self.made();
        let known = made.windows.iter().find(|(e, w, _)| (*e, *w) == (epoch, window));
        if let Some((_, _, batches)) = known {
            return Ok(Arc::clone(batches));
        }
        let batches = Arc::new(self.make(epoch, window, &mut made.cache)?);
        if made.windows.len() == KEPT {
            made.windows.pop_front();
        }
        made.windows.push_back((epoch, window, Arc::clone(&batches)));
        Ok(batches)
    }

    fn make(&self, epoch: u64, window: u64, cache: &mut OrderCache) -> Result<Window> {
        let mut by_bucket: Vec<Vec<Document>> = vec![Vec::new(); self.sizes.len()];
        for position in window * self.window..(window + 1) * self.window {
            let Some(sample) = self.order.sample(epoch, position, cache) else { break };
            let length = self.lengths.length(sample)?;
            let cost = if self.limit.is_some() { self.lengths.cost(sample)? } else { length.into() };
            let bucket = self.sizes.partition_point(|bucket| bucket.length < length);
            by_bucket[bucket.min(self.sizes.len() - 1)].push(Document { length, cost, sample });
        }
        let mut batches = Window::new();
        let mut left = Vec::new();
        for (bucket, own) in self.sizes.iter().zip(by_bucket) {
            let mut documents = left;
            documents.extend(own);
            left = self.cut(*bucket, documents, &mut batches);
        }
        if !left.is_empty() {
            batches.push(self.batch(self.smallest_for(&left), left));
        }
        let order = Permutation::new(batches.len() as u64, derive(self.seed, &[0x6275_636b, epoch, window]));
        let mut batches: Window =
            (0..batches.len()).map(|at| batches[order.at(at as u64) as usize].clone()).collect();
        let whole = batches.len().next_multiple_of(self.accumulate as usize);
        batches.resize_with(whole, || self.blank());
        Ok(batches)
    }

    /// Cuts documents into global batches as they come, and gives back those that do not fill the last one.
    fn cut(&self, bucket: Bucket, documents: Vec<Document>, batches: &mut Window) -> Vec<Document> {
        let global = (u64::from(bucket.rows) * self.ranks) as usize;
        let mut open: Vec<Document> = Vec::new();
        let mut cost = 0.0;
        for document in documents {
            let over = self.limit.is_some_and(|limit| cost + document.cost > limit) && !open.is_empty();
            if over || open.len() == global {
                batches.push(self.batch(bucket, std::mem::take(&mut open)));
                cost = 0.0;
            }
            cost += document.cost;
            open.push(document);
        }
        if open.len() == global {
            batches.push(self.batch(bucket, std::mem::take(&mut open)));
        }
        open
    }

    fn batch(&self, Bucket { length, rows }: Bucket, mut documents: Vec<Document>) -> GlobalBatch {
        documents.sort_by(|one, other| other.cost.total_cmp(&one.cost));
        let needed = (documents.len() as u64).div_ceil(self.ranks) as u32;
        let rows = if self.limit.is_some() { needed } else { rows };
        GlobalBatch { length, rows, samples: documents.into_iter().map(|document| document.sample).collect() }
    }

    /// The smallest bucket that holds all of `documents` in one global batch.
    fn smallest_for(&self, documents: &[Document]) -> Bucket {
        let longest = documents.iter().map(|document| document.length).max().unwrap_or(0);
        let fits = |bucket: &&Bucket| {
            bucket.length >= longest && u64::from(bucket.rows) * self.ranks >= documents.len() as u64
        };
        self.sizes.iter().find(fits).copied().unwrap_or(self.sizes[self.sizes.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::super::shuffle::Shuffle;
    use super::*;
    use proptest::prelude::*;

    impl Lengths for Vec<u32> {
        fn length(&self, sample: SampleId) -> Result<u32> {
            Ok(self[sample.sample as usize])
        }
    }

    fn buckets(lengths: &[u32], rows: &[u32], ranks: u32, accumulate: u32) -> Buckets {
        let order = Order::of_dataset(5, Shuffle::Full, lengths.len() as u64);
        let buckets = [32, 64, 128, 256].into_iter().zip(rows).map(|(length, &rows)| Bucket { length, rows });
        Buckets::new(order, Arc::new(lengths.to_vec()), buckets.collect(), 5, ranks, accumulate, None)
    }

    /// As `buckets`, with batches whose costs, which are the lengths, add up to `limit` at most.
    fn limited(lengths: &[u32], rows: u32, ranks: u32, limit: f64) -> Buckets {
        Buckets { limit: Some(limit), ..buckets(lengths, &[rows / ranks; 4], ranks, 1) }
    }

    fn epoch(buckets: &Buckets) -> Vec<GlobalBatch> {
        let mut batches = Vec::new();
        let mut cursor = buckets.settle(Cursor::default());
        while cursor.epoch == 0 {
            batches.push(buckets.global_batch(cursor).unwrap());
            cursor = buckets.settle(Cursor { samples: cursor.samples + 1, ..cursor });
        }
        batches
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn each_document_comes_once_in_a_batch_that_holds_it(
            lengths in prop::collection::vec(0_u32..300, 1..400),
            rows in prop::collection::vec(1_u32..9, 4),
            ranks in 1_u32..5,
            accumulate in 1_u32..4,
        ) {
            let buckets = buckets(&lengths, &rows, ranks, accumulate);
            let batches = epoch(&buckets);
            prop_assert_eq!(batches.len() as u64, buckets.epoch_batches(0).unwrap());
            prop_assert_eq!(batches.len() % accumulate as usize, 0);
            let mut seen = Vec::new();
            let mut partial = 0;
            for batch in &batches {
                let mut dealt = Vec::new();
                for rank in 0..ranks {
                    let mut own = Vec::new();
                    batch.deal(rank.into(), ranks.into(), &mut own);
                    prop_assert_eq!(own.len(), batch.rows as usize);
                    dealt.extend(own.into_iter().flatten());
                }
                dealt.sort_unstable();
                let mut expected = batch.samples.clone();
                expected.sort_unstable();
                prop_assert_eq!(&dealt, &expected);
                let full = batch.samples.len() == (batch.rows * ranks) as usize;
                partial += usize::from(!full && !batch.samples.is_empty());
                for sample in dealt {
                    prop_assert!(lengths[sample.sample as usize].min(256) <= batch.length);
                    seen.push(sample.sample);
                }
            }
            prop_assert!(partial <= 1);
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..lengths.len() as u64));
        }

        #[test]
        fn the_number_of_ranks_does_not_change_global_batches(
            lengths in prop::collection::vec(0_u32..300, 1..400),
            shift in 0_u32..4,
        ) {
            let one = buckets(&lengths, &[32, 16, 8, 8], 1, 1);
            let ranks = 1 << shift;
            let other = buckets(&lengths, &[32 / ranks, 16 / ranks, 8 / ranks, 8 / ranks], ranks, 1);
            let samples = |buckets: &Buckets| -> Vec<_> {
                epoch(buckets).into_iter().map(|batch| batch.samples).collect()
            };
            prop_assert_eq!(one.global(), other.global());
            prop_assert_eq!(samples(&one), samples(&other));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn costs_stay_below_the_limit_on_every_world(
            lengths in prop::collection::vec(0_u32..300, 1..400),
            limit in 1_u16..2000,
            shift in 0_u32..4,
        ) {
            let limit = f64::from(limit);
            let batches = epoch(&limited(&lengths, 16, 1 << shift, limit));
            let one = epoch(&limited(&lengths, 16, 1, limit));
            let mut seen = Vec::new();
            for (batch, expected) in batches.iter().zip(&one) {
                prop_assert_eq!(&batch.samples, &expected.samples);
                let costs: Vec<f64> =
                    batch.samples.iter().map(|id| f64::from(lengths[id.sample as usize])).collect();
                prop_assert!(costs.iter().sum::<f64>() <= limit || costs.len() == 1);
                prop_assert!(costs.is_sorted_by(|one, other| one >= other));
                prop_assert_eq!(batch.rows, (costs.len() as u32).div_ceil(1 << shift));
                seen.extend(batch.samples.iter().map(|id| id.sample));
            }
            prop_assert_eq!(batches.len(), one.len());
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..lengths.len() as u64));
        }
    }

    #[test]
    fn squares_are_even_over_ranks() {
        let lengths: Vec<u32> = (0..8192).map(|at| 16 + at * 7919 % 241).collect();
        let ranks = 8;
        let mut worst = 1.0_f64;
        for batch in epoch(&buckets(&lengths, &[32, 32, 32, 32], ranks, 1)) {
            let cost = |rank: u32| -> f64 {
                let mut own = Vec::new();
                batch.deal(rank.into(), ranks.into(), &mut own);
                own.iter().flatten().map(|id| f64::from(lengths[id.sample as usize]).powi(2)).sum()
            };
            let costs: Vec<f64> = (0..ranks).map(cost).collect();
            let mean = costs.iter().sum::<f64>() / f64::from(ranks);
            if batch.samples.len() == (batch.rows * ranks) as usize {
                worst = worst.max(costs.iter().copied().fold(0.0, f64::max) / mean);
            }
        }
        assert!(worst < 1.02, "{worst}");
    }

    #[test]
    fn more_than_one_window_is_one_epoch() {
        let lengths: Vec<u32> = (0..40_000).map(|at| at * 31 % 300).collect();
        let buckets = buckets(&lengths, &[8, 8, 8, 8], 2, 3);
        let batches = epoch(&buckets);
        assert_eq!(batches.len() as u64, buckets.epoch_batches(0).unwrap());
        assert_eq!(batches.iter().map(|batch| batch.samples.len()).sum::<usize>(), lengths.len());
    }
}
