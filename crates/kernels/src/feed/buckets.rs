//! Batches of documents of like length.
//!
//! The epoch's order is cut into windows. Within a window, documents go into the bucket of the smallest
//! length that holds them, and each bucket is cut into global batches as they come. What is left over in a
//! bucket in the end goes on into the next larger one, so a window has one partial batch at most. Then the window's
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
//!
//! A window has tens of thousands of documents, too many to look up between two batches. So whoever gets a batch
//! looks up some documents of the window that comes next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use super::global_batch::{Bucket, GlobalBatch};
use super::global_batch::{Cutter, Cutting, Document, Draft};
use super::order::{Order, OrderCache, SampleId};
use super::permutation::{Permutation, derive};
use super::state::Cursor;
use crate::error::Result;

/// Windows have at least this many documents: enough that leftovers hardly matter.
const LEAST_WINDOW: u64 = 1 << 14;

/// Windows that are kept: threads work on the last one and the next.
const KEPT: usize = 4;

/// How much sooner than needed the next window is looked up, for those who find another one at it.
const SOONER: usize = 2;

/// Tells the lengths of documents.
pub trait Lengths: Send + Sync + std::fmt::Debug {
    /// Ids of a document.
    ///
    /// # Errors
    /// When it cannot be read.
    fn length(&self, sample: SampleId) -> Result<u32>;

    /// Asks the memory for what [`Lengths::length`] will read.
    fn ask(&self, _sample: SampleId) {}

    /// What a document adds to its batch, from 0 up; asked for where batches have a limit.
    ///
    /// # Errors
    /// When it has none.
    fn cost(&self, sample: SampleId) -> Result<f64> {
        self.length(sample).map(f64::from)
    }
}

/// The batches of one feed, by length.
#[derive(Debug)]
pub struct Buckets {
    order: Order,
    lengths: Arc<dyn Lengths>,
    cutter: Cutter,
    seed: u64,
    accumulate: u64,
    /// Documents of a window.
    window: u64,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    windows: VecDeque<Arc<Window>>,
    /// Batches of the epoch that was last asked about.
    epoch: Option<(u64, u64)>,
}

/// An epoch, and the number of a window in it.
type Place = (u64, u64);

/// The global batches of a window, in their order.
#[derive(Debug)]
struct Window {
    place: Place,
    batches: Vec<Draft>,
    /// The window that comes next, until it is taken.
    next: Mutex<Option<Sorting>>,
}

/// A window whose documents are being looked up.
#[derive(Debug)]
struct Sorting {
    place: Place,
    /// Positions that are left.
    left: std::ops::Range<u64>,
    cutting: Cutting,
    cache: OrderCache,
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
        let cutter = Cutter { sizes, ranks, limit };
        Self { order, lengths, cutter, seed, accumulate, window, made: Mutex::default() }
    }

    /// The order that is cut.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Length and rows of each global batch, which a resume must not change.
    #[must_use]
    pub fn global(&self) -> Vec<(u32, u64)> {
        let Cutter { sizes, ranks, .. } = &self.cutter;
        sizes.iter().map(|bucket| (bucket.length, u64::from(bucket.rows) * ranks)).collect()
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
        let (mut batches, mut cache) = (0, OrderCache::default());
        for window in 0..self.windows() {
            let made;
            (made, cache) = self.finish(self.start((epoch, window), cache))?;
            batches += made.len() as u64;
        }
        made.epoch = Some((epoch, batches));
        Ok(batches)
    }

    /// Windows of an epoch.
    fn windows(&self) -> u64 {
        self.order.epoch_samples().div_ceil(self.window)
    }

    /// The same place, written in one way: past the end of a window is the start of the next, past the end
    /// of an epoch that of the next. What cannot be looked up stays; asking for the batch there fails.
    #[must_use]
    pub fn settle(&self, cursor: Cursor) -> Cursor {
        let Cursor { epoch, samples } = cursor;
        let (window, number) = (samples / self.window, samples % self.window);
        if window >= self.windows() {
            return Cursor { epoch: epoch + 1, samples: 0 };
        }
        match self.window((epoch, window)) {
            Ok(found) if number >= found.batches.len() as u64 => {
                let (epoch, window) = self.after((epoch, window));
                Cursor { epoch, samples: window * self.window }
            }
            _ => cursor,
        }
    }

    /// The window that comes next.
    fn after(&self, (epoch, window): Place) -> Place {
        if window + 1 < self.windows() { (epoch, window + 1) } else { (epoch + 1, 0) }
    }

    /// The global batch at a settled cursor; an empty one elsewhere.
    ///
    /// # Errors
    /// As [`Lengths::length`].
    pub fn global_batch(&self, cursor: Cursor) -> Result<GlobalBatch> {
        let window = self.window((cursor.epoch, cursor.samples / self.window))?;
        self.look_ahead(&window);
        let batch = window.batches.get((cursor.samples % self.window) as usize);
        Ok(batch.map_or_else(|| self.blank().sorted(), Draft::sorted))
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blank(&self) -> Draft {
        Draft::blank(self.cutter.sizes[0])
    }

    fn window(&self, place: Place) -> Result<Arc<Window>> {
        let mut made = self.made();
        if let Some(known) = made.windows.iter().find(|window| window.place == place) {
            return Ok(Arc::clone(known));
        }
        let begun = made.windows.iter().find_map(|window| {
            let mut next = window.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.take_if(|next| next.place == place)
        });
        let begun = begun.unwrap_or_else(|| self.start(place, OrderCache::default()));
        let (batches, cache) = self.finish(begun)?;
        let next = Mutex::new(Some(self.start(self.after(place), cache)));
        let window = Arc::new(Window { place, batches, next });
        if made.windows.len() == KEPT {
            made.windows.pop_front();
        }
        made.windows.push_back(Arc::clone(&window));
        Ok(window)
    }

    /// Looks up a batch's share of the documents of the next window, unless somebody else is at it.
    fn look_ahead(&self, window: &Window) {
        let Ok(mut next) = window.next.try_lock() else { return };
        let share = SOONER * (self.window as usize).div_ceil(window.batches.len().max(1));
        // What cannot be looked up is told to whoever needs the window.
        if next.as_mut().is_some_and(|next| self.look_up(next, share).is_err()) {
            *next = None;
        }
    }

    fn start(&self, (epoch, window): Place, cache: OrderCache) -> Sorting {
        let end = ((window + 1) * self.window).min(self.order.epoch_samples());
        Sorting {
            place: (epoch, window),
            left: window * self.window..end,
            cutting: self.cutter.start(),
            cache,
        }
    }

    /// Puts up to so many documents into their buckets.
    fn look_up(&self, sorting: &mut Sorting, documents: usize) -> Result<()> {
        let mut samples = Vec::new();
        for position in sorting.left.by_ref().take(documents) {
            let Some(sample) = self.order.sample(sorting.place.0, position, &mut sorting.cache) else {
                break;
            };
            self.lengths.ask(sample);
            samples.push(sample);
        }
        for sample in samples {
            let length = self.lengths.length(sample)?;
            let limited = self.cutter.limit.is_some();
            let cost = if limited { self.lengths.cost(sample)? } else { length.into() };
            self.cutter.add(Document { length, cost, sample }, &mut sorting.cutting);
        }
        Ok(())
    }

    /// The batches of a window, and what was remembered of the order.
    fn finish(&self, mut sorting: Sorting) -> Result<(Vec<Draft>, OrderCache)> {
        self.look_up(&mut sorting, usize::MAX)?;
        let (epoch, window) = sorting.place;
        let mut drafts: Vec<_> = self.cutter.finish(sorting.cutting).into_iter().map(Some).collect();
        let order = Permutation::new(drafts.len() as u64, derive(self.seed, &[0x6275_636b, epoch, window]));
        let places = 0..drafts.len() as u64;
        let mut batches: Vec<_> =
            places.filter_map(|place| drafts[order.at(place) as usize].take()).collect();
        let whole = batches.len().next_multiple_of(self.accumulate as usize);
        batches.resize_with(whole, || self.blank());
        Ok((batches, sorting.cache))
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
        let mut buckets = buckets(lengths, &[rows / ranks; 4], ranks, 1);
        buckets.cutter.limit = Some(limit);
        buckets
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
