//! Which dataset the next sample comes from, when several are mixed.
//!
//! The stream of samples is cut into windows of [`WINDOW`]. In each, every dataset has a fixed number of
//! places, its *quota*, and a seeded permutation says which. So shares are exact in every window, each
//! dataset's samples come in its own order without gaps, and any place of the stream is found by looking
//! at one window. A curriculum is a list of stages, each with its own shares from some sample on.

use super::permutation::{Permutation, derive};
use crate::error::{KernelError, Result};

/// Samples of a window: shares are kept to 1 in 65,536.
pub const WINDOW: u64 = 1 << 16;

/// Shares of the datasets from one sample of the stream on.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// First sample of the stream with these shares.
    pub from: u64,
    /// A weight for each dataset, in any unit; 0 leaves it out.
    pub weights: Vec<f64>,
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The dataset, by its place in the list.
    pub dataset: u32,
    /// How many samples of that dataset came before, in all passes together.
    pub index: u64,
}

/// A stream of draws from several datasets.
#[derive(Debug, Clone)]
pub struct Mixture {
    seed: u64,
    stages: Vec<Shares>,
}

#[derive(Debug, Clone)]
struct Shares {
    from: u64,
    /// First place of each dataset among a window's, and [`WINDOW`].
    bounds: Vec<u64>,
    /// Samples of each dataset before this stage.
    before: Vec<u64>,
}

/// The draws of one stretch of the stream, at most a window.
#[derive(Debug, Clone)]
pub struct Window {
    from: u64,
    draws: Vec<Draw>,
}

impl Window {
    /// What comes at `sample` of the stream, when it lies in this window.
    #[must_use]
    pub fn get(&self, sample: u64) -> Option<Draw> {
        self.draws.get(usize::try_from(sample.checked_sub(self.from)?).ok()?).copied()
    }
}

impl Mixture {
    /// A stream with the given stages; the first must begin at sample 0.
    ///
    /// # Errors
    /// `Option` when there is no stage, stages are out of order, or weights are negative, not finite, all
    /// zero, or not one for each dataset.
    pub fn new(seed: u64, datasets: usize, stages: &[Stage]) -> Result<Self> {
        let bad = |reason: String| KernelError::Option { name: "mixture".to_owned(), reason };
        if stages.first().is_none_or(|stage| stage.from != 0) {
            return Err(bad("the first stage must begin at 0".to_owned()));
        }
        if !stages.is_sorted_by(|a, b| a.from < b.from) {
            return Err(bad("stages must begin one after the other".to_owned()));
        }
        let mut mixture = Self { seed, stages: Vec::with_capacity(stages.len()) };
        for (at, stage) in stages.iter().enumerate() {
            if stage.weights.len() != datasets {
                let given = stage.weights.len();
                return Err(bad(format!("stage {at} has {given} weights for {datasets} datasets")));
            }
            let bounds = bounds(&stage.weights).map_err(|reason| bad(format!("stage {at}: {reason}")))?;
            let before = mixture.before(at, stage.from, datasets);
            mixture.stages.push(Shares { from: stage.from, bounds, before });
        }
        Ok(mixture)
    }

    /// Samples of each dataset before sample `end` of the stream, where stage `next` begins.
    fn before(&self, next: usize, end: u64, datasets: usize) -> Vec<u64> {
        let Some(shares) = next.checked_sub(1).map(|at| &self.stages[at]) else { return vec![0; datasets] };
        let windows = (end - shares.from) / WINDOW;
        let quotas = shares.bounds.windows(2).map(|bounds| bounds[1] - bounds[0]);
        let mut counts: Vec<u64> =
            shares.before.iter().zip(quotas).map(|(before, quota)| before + windows * quota).collect();
        let rest = (end - shares.from) % WINDOW;
        let order = self.places(next - 1, windows);
        for place in 0..rest {
            counts[shares.dataset(order.at(place))] += 1;
        }
        counts
    }

    /// For each stage its first sample and how many of a window's samples each dataset has.
    #[must_use]
    pub fn stages(&self) -> Vec<(u64, Vec<u64>)> {
        let quotas = |shares: &Shares| shares.bounds.windows(2).map(|bounds| bounds[1] - bounds[0]).collect();
        self.stages.iter().map(|shares| (shares.from, quotas(shares))).collect()
    }

    fn places(&self, stage: usize, window: u64) -> Permutation {
        Permutation::new(WINDOW, derive(self.seed, &[0x006d_6978, stage as u64, window]))
    }

    /// The window in which `sample` of the stream lies. It takes about two milliseconds and a MiB.
    #[must_use]
    pub fn window(&self, sample: u64) -> Window {
        let stage = self.stages.partition_point(|stage| stage.from <= sample) - 1;
        let shares = &self.stages[stage];
        let window = (sample - shares.from) / WINDOW;
        let from = shares.from + window * WINDOW;
        let end = self.stages.get(stage + 1).map_or(u64::MAX, |next| next.from);
        let order = self.places(stage, window);
        let mut next: Vec<u64> = shares
            .before
            .iter()
            .zip(shares.bounds.windows(2))
            .map(|(before, bounds)| before + window * (bounds[1] - bounds[0]))
            .collect();
        let draws = (0..WINDOW.min(end - from))
            .map(|place| {
                let dataset = shares.dataset(order.at(place));
                let index = next[dataset];
                next[dataset] += 1;
                Draw { dataset: dataset as u32, index }
            })
            .collect();
        Window { from, draws }
    }
}

impl Shares {
    fn dataset(&self, place: u64) -> usize {
        self.bounds.partition_point(|&bound| bound <= place) - 1
    }
}

/// Quotas by largest remainder, as running sums; a weight above zero gets at least one place.
fn bounds(weights: &[f64]) -> std::result::Result<Vec<u64>, String> {
    if let Some(weight) = weights.iter().find(|weight| !weight.is_finite() || **weight < 0.0) {
        return Err(format!("weight {weight} is not a number from 0 up"));
    }
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return Err("the weights add up to nothing".to_owned());
    }
    #[expect(clippy::cast_sign_loss, reason = "weights are not negative")]
    let mut quotas: Vec<u64> = weights
        .iter()
        .map(|weight| {
            let exact = weight / sum * WINDOW as f64;
            if *weight > 0.0 { (exact as u64).max(1) } else { 0 }
        })
        .collect();
    let remainder = |at: usize| weights[at] / sum * WINDOW as f64 - quotas[at] as f64;
    let mut by_remainder: Vec<usize> = (0..weights.len()).filter(|&at| weights[at] > 0.0).collect();
    by_remainder.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let given: u64 = quotas.iter().sum();
    for at in by_remainder.iter().cycle().take(WINDOW.saturating_sub(given) as usize) {
        quotas[*at] += 1;
    }
    for _ in 0..given.saturating_sub(WINDOW) {
        let largest = (0..quotas.len()).max_by_key(|&at| quotas[at]).unwrap_or_default();
        quotas[largest] -= 1;
    }
    let mut bounds = vec![0];
    for quota in quotas {
        bounds.push(bounds[bounds.len() - 1] + quota);
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights(datasets: usize) -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![Just(0.0), 1e-9_f64..1.0, 1.0_f64..1e6], datasets)
            .prop_filter("some weight", |weights| weights.iter().sum::<f64>() > 0.0)
    }

    fn stages() -> impl Strategy<Value = (usize, Vec<Stage>)> {
        (1_usize..6).prop_flat_map(|datasets| {
            let steps = prop::collection::vec((1_u64..2 * WINDOW, weights(datasets)), 1..4);
            steps.prop_map(move |steps| {
                let mut from = 0;
                let stages = steps.into_iter().enumerate().map(|(at, (step, weights))| {
                    from += if at == 0 { 0 } else { step };
                    Stage { from, weights }
                });
                (datasets, stages.collect())
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn each_dataset_comes_in_order_without_gaps((datasets, stages) in stages(), seed in any::<u64>()) {
            let mixture = Mixture::new(seed, datasets, &stages).unwrap();
            let mut next = vec![0; datasets];
            let mut window = mixture.window(0);
            for sample in 0..4 * WINDOW {
                if window.get(sample).is_none() {
                    window = mixture.window(sample);
                }
                let draw = window.get(sample).unwrap();
                prop_assert_eq!(draw.index, next[draw.dataset as usize]);
                next[draw.dataset as usize] += 1;
            }
        }

        #[test]
        fn shares_are_what_was_asked_for(weights in weights(4), seed in any::<u64>()) {
            let stages = [Stage { from: 0, weights: weights.clone() }];
            let window = Mixture::new(seed, 4, &stages).unwrap().window(0);
            let sum: f64 = weights.iter().sum();
            for (dataset, weight) in weights.iter().enumerate() {
                let got = window.draws.iter().filter(|draw| draw.dataset as usize == dataset).count();
                prop_assert!((got as f64 - weight / sum * WINDOW as f64).abs() <= 4.0);
                prop_assert_eq!(got == 0, *weight == 0.0);
            }
        }
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        let check = |from: &[u64], weights: &[f64]| {
            let stages: Vec<Stage> =
                from.iter().map(|&from| Stage { from, weights: weights.to_vec() }).collect();
            Mixture::new(0, 2, &stages).unwrap_err().code().to_owned()
        };
        for (from, weights) in [
            (&[][..], &[1.0, 1.0][..]),
            (&[1], &[1.0, 1.0]),
            (&[0, 5, 5], &[1.0, 1.0]),
            (&[0], &[1.0]),
            (&[0], &[0.0, 0.0]),
            (&[0], &[-1.0, 2.0]),
            (&[0], &[f64::NAN, 2.0]),
        ] {
            assert_eq!(check(from, weights), "GM_CONFIG");
        }
    }
}
