//! How components are mixed: weights, token budgets or a temperature, stages, and so how many samples of which
//! come in an epoch.
//!
//! The order counts samples. Tokens that are asked for become samples by the length of a full sequence, or,
//! where documents of any length are samples, by the mean length of a component's documents. So a budget of
//! documents is kept to within their spread, and the order stays one that needs no memory.

use serde::Deserialize;

use super::component::{self, Component};
use super::config::{FeedConfig, bad};
use super::mixture::{Mixture, Stage};
use super::order::Order;
use crate::error::Result;

/// How runs are mixed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureConfig {
    /// Shares are sizes to the power of its inverse: 1 keeps them, more evens them out.
    pub temperature: Option<f64>,
    /// Tokens of an epoch.
    pub tokens: Option<u64>,
    /// Other shares from later tokens on.
    #[serde(default)]
    pub stages: Vec<StageConfig>,
}

/// Shares from some token on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Tokens that were seen before, all epochs together.
    pub after_tokens: u64,
    /// A weight for each dataset.
    pub weights: Vec<f64>,
}

/// The order of all samples of the components.
///
/// # Errors
/// `Option` when shares do not fit together; as [`component::mean_lengths`].
pub(super) fn order(config: &FeedConfig, components: &[Component]) -> Result<Order> {
    let (seed, shuffle) = (config.seed, config.shuffle);
    let lengths: Vec<u64> = components.iter().map(Component::sequences).collect();
    let Some(mixture) = &config.mixture else {
        return match config.datasets[..] {
            [_] => Ok(Order::in_turn(seed, shuffle, lengths)),
            _ => Err(bad("mixture", "several datasets need one")),
        };
    };
    let mut budgets = config.datasets.iter().map(|dataset| dataset.tokens);
    let budgets: Option<u64> = budgets.try_fold(0_u64, |sum, own| Some(sum.saturating_add(own?)));
    if mixture.tokens == Some(0) {
        return Err(bad("mixture", "an epoch of 0 tokens has no batch"));
    }
    let counts_tokens = mixture.tokens.is_some() || budgets.is_some() || !mixture.stages.is_empty();
    let counting = if config.buckets.is_some() && counts_tokens {
        Counting::Means(component::mean_lengths(components)?)
    } else {
        Counting::Full(components.first().map_or(1, Component::length).into())
    };
    let weights = weights(config, mixture, components, &counting)?;
    let stages = stages(mixture, weights, &counting);
    let epoch = match mixture.tokens.or(budgets) {
        Some(tokens) => counting.samples(tokens, &stages),
        None => lengths.iter().sum(),
    };
    let stages: Vec<Stage> = stages.into_iter().map(|(_, stage)| stage).collect();
    let mixture = Mixture::new(seed, components.len(), &stages)?;
    Ok(Order::of_mixture(seed, shuffle, lengths, mixture, epoch.max(1)))
}

/// How many tokens a sample counts for.
enum Counting {
    /// Packed sequences count as full.
    Full(u64),
    /// Documents count as the mean of their component.
    Means(Vec<f64>),
}

impl Counting {
    /// The samples that come until `tokens` tokens were seen, in stages that each begin after some tokens.
    fn samples(&self, tokens: u64, stages: &[(u64, Stage)]) -> u64 {
        let means = match self {
            Self::Full(length) => return tokens.div_ceil(*length),
            Self::Means(means) => means,
        };
        let Some((seen, stage)) = stages.iter().rev().find(|(seen, _)| *seen <= tokens) else { return 0 };
        let sum: f64 = stage.weights.iter().sum();
        let mean = stage.weights.iter().zip(means).map(|(weight, mean)| weight * mean).sum::<f64>() / sum;
        #[expect(clippy::cast_sign_loss, reason = "lengths and weights are not negative")]
        let own = if mean > 0.0 { ((tokens - seen) as f64 / mean).ceil() as u64 } else { tokens - seen };
        stage.from.saturating_add(own)
    }
}

/// The plain weights and those of the curriculum, each with the tokens and the samples that come before it.
fn stages(mixture: &MixtureConfig, weights: Vec<f64>, counting: &Counting) -> Vec<(u64, Stage)> {
    let mut stages = vec![(0, Stage { from: 0, weights })];
    for stage in &mixture.stages {
        let from = counting.samples(stage.after_tokens, &stages);
        if from == 0 {
            stages.clear(); // a stage from the start takes the place of the plain weights
        }
        stages.push((stage.after_tokens, Stage { from, weights: stage.weights.clone() }));
    }
    stages
}

/// The shares of the datasets: stated weights, stated token budgets, or sizes evened by a temperature.
fn weights(
    config: &FeedConfig,
    mixture: &MixtureConfig,
    components: &[Component],
    counting: &Counting,
) -> Result<Vec<f64>> {
    let weights: Option<Vec<f64>> = config.datasets.iter().map(|dataset| dataset.weight).collect();
    let budgets: Option<Vec<u64>> = config.datasets.iter().map(|dataset| dataset.tokens).collect();
    let some_weight = config.datasets.iter().any(|dataset| dataset.weight.is_some());
    let some_budget = config.datasets.iter().any(|dataset| dataset.tokens.is_some());
    if u32::from(some_weight) + u32::from(some_budget) + u32::from(mixture.temperature.is_some()) > 1 {
        return Err(bad("mixture", "give weights, token budgets or a temperature, not several of them"));
    }
    if some_weight {
        return weights.ok_or_else(|| bad("mixture", "some datasets have a weight and some have none"));
    }
    if some_budget {
        let budgets =
            budgets.ok_or_else(|| bad("mixture", "some datasets have a token budget, some none"))?;
        let tokens = budgets.into_iter().map(|tokens| tokens as f64);
        return Ok(match counting {
            Counting::Full(_) => tokens.collect(),
            // A budget of a component without any token leaves it out.
            Counting::Means(means) => tokens
                .zip(means)
                .map(|(tokens, &mean)| if mean > 0.0 { tokens / mean } else { 0.0 })
                .collect(),
        });
    }
    let temperature = mixture.temperature.unwrap_or(1.0);
    if !temperature.is_finite() || temperature <= 0.0 {
        return Err(bad("mixture", format!("temperature {temperature} is not a number above 0")));
    }
    Ok(components.iter().map(|component| (component.sequences() as f64).powf(temperature.recip())).collect())
}
