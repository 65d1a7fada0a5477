//! The order of all samples: epochs, shuffles and mixtures joined.
//!
//! A single dataset is the stream that goes through it pass after pass, each in an order of its own; its
//! epoch is a pass. A mixture draws from several such streams; its epoch is a number of samples. Datasets in
//! turn are a curriculum: an epoch goes through the first, then the second, each in an order of its own.

use super::mixture::{Draw, Mixture, Window};
use super::permutation::derive;
use super::shuffle::{EpochOrder, Shuffle};

/// A sample of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId {
    /// The dataset, by its place in the list.
    pub dataset: u32,
    /// The sample, by its place in the dataset.
    pub sample: u64,
}

/// What comes when.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    shuffle: Shuffle,
    lengths: Vec<u64>,
    draws: Draws,
    epoch: u64,
}

#[derive(Debug, Clone)]
enum Draws {
    /// One dataset after the other: where each ends in an epoch.
    InTurn(Vec<u64>),
    Mixed(Mixture),
}

/// What was looked up last; makes the next look-up cheap, never different.
#[derive(Debug, Default)]
pub struct OrderCache {
    window: Option<Window>,
    passes: Vec<Option<(u64, EpochOrder)>>,
}

impl Order {
    /// One dataset of `length` samples, all of them once an epoch.
    #[must_use]
    pub fn of_dataset(seed: u64, shuffle: Shuffle, length: u64) -> Self {
        Self::in_turn(seed, shuffle, vec![length])
    }

    /// Datasets of the given lengths, all samples of one before any of the next, in every epoch.
    #[must_use]
    pub fn in_turn(seed: u64, shuffle: Shuffle, lengths: Vec<u64>) -> Self {
        let mut epoch = 0;
        let ends = lengths.iter().map(|length| {
            epoch += length;
            epoch
        });
        let draws = Draws::InTurn(ends.collect());
        Self { seed, shuffle, lengths, draws, epoch }
    }

    /// Datasets of the given lengths, none empty that is drawn from; `epoch` samples make an epoch.
    #[must_use]
    pub fn of_mixture(seed: u64, shuffle: Shuffle, lengths: Vec<u64>, mixture: Mixture, epoch: u64) -> Self {
        Self { seed, shuffle, lengths, draws: Draws::Mixed(mixture), epoch }
    }

    /// Samples of an epoch.
    #[must_use]
    pub fn epoch_samples(&self) -> u64 {
        self.epoch
    }

    /// The first sample and the places in a window of each stage's shares, when datasets are mixed.
    #[must_use]
    pub fn stages(&self) -> Option<Vec<(u64, Vec<u64>)>> {
        match &self.draws {
            Draws::InTurn(_) => None,
            Draws::Mixed(mixture) => Some(mixture.stages()),
        }
    }

    /// The sample at `position` of an epoch; `None` past its end.
    #[must_use]
    pub fn sample(&self, epoch: u64, position: u64, cache: &mut OrderCache) -> Option<SampleId> {
        if position >= self.epoch {
            return None;
        }
        let Draw { dataset, index } = self.draw(epoch, position, cache);
        let length = self.lengths[dataset as usize];
        let (pass, position) = (index / length, index % length);
        cache.passes.resize(self.lengths.len(), None);
        let known = &mut cache.passes[dataset as usize];
        if known.as_ref().is_none_or(|(known, _)| *known != pass) {
            let key = derive(self.seed, &[u64::from(dataset), pass]);
            *known = Some((pass, EpochOrder::new(self.shuffle, length, key)));
        }
        let sample = known.as_ref().map_or(0, |(_, order)| order.at(position));
        Some(SampleId { dataset, sample })
    }

    fn draw(&self, epoch: u64, position: u64, cache: &mut OrderCache) -> Draw {
        let mixture = match &self.draws {
            Draws::Mixed(mixture) => mixture,
            Draws::InTurn(ends) => {
                let dataset = ends.partition_point(|&end| end <= position);
                let from = dataset.checked_sub(1).map_or(0, |before| ends[before]);
                let index = epoch * self.lengths[dataset] + position - from;
                return Draw { dataset: dataset as u32, index };
            }
        };
        let sample = epoch * self.epoch + position;
        if let Some(draw) = cache.window.as_ref().and_then(|window| window.get(sample)) {
            return draw;
        }
        let window = cache.window.insert(mixture.window(sample));
        window.get(sample).unwrap_or(Draw { dataset: 0, index: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::mixture::Stage;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_epoch_has_each_sample_once(length in 1_u64..500, seed in any::<u64>(), epoch in 0_u64..5) {
            let order = Order::of_dataset(seed, Shuffle::Full, length);
            let mut cache = OrderCache::default();
            let mut all: Vec<u64> = (0..length)
                .map(|position| order.sample(epoch, position, &mut cache).unwrap().sample)
                .collect();
            prop_assert_eq!(order.sample(epoch, length, &mut cache), None);
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..length));
        }

        #[test]
        fn a_mixture_has_each_sample_once_a_pass(
            lengths in prop::collection::vec(1_u64..50, 1..5),
            seed in any::<u64>(),
            epoch in 1_u64..500,
        ) {
            let stages = [
                Stage { from: 0, weights: lengths.iter().map(|&length| length as f64).collect() },
                Stage { from: 300, weights: vec![1.0; lengths.len()] },
            ];
            let mixture = Mixture::new(seed, lengths.len(), &stages).unwrap();
            let order = Order::of_mixture(seed, Shuffle::Full, lengths.clone(), mixture, epoch);
            let mut cache = OrderCache::default();
            let mut streams = vec![Vec::new(); lengths.len()];
            for at in 0..1000 {
                let id = order.sample(at / epoch, at % epoch, &mut cache).unwrap();
                streams[id.dataset as usize].push(id.sample);
            }
            for (stream, &length) in streams.iter().zip(&lengths) {
                for pass in stream.chunks_exact(length as usize) {
                    let mut pass = pass.to_vec();
                    pass.sort_unstable();
                    prop_assert!(pass.into_iter().eq(0..length));
                }
            }
        }

        #[test]
        fn datasets_in_turn_come_one_after_the_other(
            lengths in prop::collection::vec(0_u64..50, 1..5),
            seed in any::<u64>(),
            epoch in 0_u64..4,
        ) {
            let order = Order::in_turn(seed, Shuffle::Full, lengths.clone());
            let mut cache = OrderCache::default();
            let mut position = 0;
            for (dataset, &length) in (0..).zip(&lengths) {
                let mut seen: Vec<u64> = Vec::new();
                for _ in 0..length {
                    let id = order.sample(epoch, position, &mut cache).unwrap();
                    prop_assert_eq!(id.dataset, dataset);
                    seen.push(id.sample);
                    position += 1;
                }
                seen.sort_unstable();
                prop_assert!(seen.into_iter().eq(0..length));
            }
            prop_assert_eq!(order.sample(epoch, position, &mut cache), None);
        }

        #[test]
        fn the_cache_changes_nothing(seed in any::<u64>(), places in prop::collection::vec((0_u64..3, 0_u64..90_000), 1..6)) {
            let stages = [Stage { from: 0, weights: vec![1.0, 2.0] }];
            let mixture = Mixture::new(seed, 2, &stages).unwrap();
            let order = Order::of_mixture(seed, Shuffle::Full, vec![70, 20_000], mixture, 90_000);
            let mut cache = OrderCache::default();
            for (epoch, position) in places {
                let fresh = order.sample(epoch, position, &mut OrderCache::default());
                prop_assert_eq!(order.sample(epoch, position, &mut cache), fresh);
            }
        }
    }

    /// A saved state is a place in this order, so it must never change by itself.
    #[test]
    fn the_order_is_what_it_was() {
        let places = |order: &Order, epoch, places: [u64; 3]| {
            let mut cache = OrderCache::default();
            let id = places.map(|at| order.sample(epoch, at, &mut cache).unwrap());
            id.map(|id| (id.dataset, id.sample))
        };
        let full = Order::of_dataset(7, Shuffle::Full, 1000);
        let block = Order::of_dataset(7, Shuffle::Block { block: 16, group: 4 }, 1000);
        let mixture = Mixture::new(7, 2, &[Stage { from: 0, weights: vec![1.0, 3.0] }]).unwrap();
        let mixed = Order::of_mixture(7, Shuffle::Full, vec![100, 1000], mixture, 500);
        let got =
            [places(&full, 2, [0, 1, 999]), places(&block, 2, [0, 1, 999]), places(&mixed, 200, [0, 1, 499])];
        assert_eq!(
            got,
            [[(0, 18), (0, 307), (0, 703)], [(0, 628), (0, 296), (0, 40)], [(1, 298), (0, 14), (1, 249)]]
        );
    }

    #[test]
    fn epochs_differ() {
        let order = Order::of_dataset(7, Shuffle::Full, 1000);
        let mut cache = OrderCache::default();
        let mut epoch = |epoch| -> Vec<_> {
            (0..1000).map(|position| order.sample(epoch, position, &mut cache)).collect()
        };
        assert_ne!(epoch(0), epoch(1));
    }
}
