//! What a feed is asked to be, checked once, and turned into what the loader works with.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::buckets::{Bucket, Buckets, Lengths};
use super::dataset::{Dataset, Reading};
use super::fields::{Dtype, Field, Making};
use super::gather::Shape;
use super::live::open::PipelineConfig;
use super::live::window::Live;
use super::mesh::{Mesh, Place};
use super::mixture::{Mixture, Stage};
use super::order::{Order, SampleId};
use super::plan::Plan;
use super::shuffle::Shuffle;
use super::state::Identity;
use crate::error::{KernelError, Result};

/// Longest row that can be asked for.
const LONGEST: u32 = 1 << 24;

/// A feed as the bindings describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// The runs; more than one make a mixture. None for a pipeline.
    pub datasets: Vec<DatasetConfig>,
    /// A pipeline instead, which a feeder runs; see [`Feed::live`].
    #[serde(default)]
    pub pipeline: Option<PipelineConfig>,
    /// How the runs are mixed; absent for a single one.
    pub mixture: Option<MixtureConfig>,
    /// Tokens of a sequence; may be absent when the runs have one packing each.
    pub seq_len: Option<u32>,
    /// Sequences of a batch of one rank; or else `max_tokens`.
    pub batch_size: Option<u32>,
    /// Positions of a batch of one rank, padding included, at most.
    pub max_tokens: Option<u64>,
    /// Reads documents instead of packed sequences, in batches of up to these lengths.
    pub buckets: Option<Vec<u32>>,
    /// Batches of each rank between two steps of the optimizer.
    pub accumulate: u32,
    /// Names the order.
    pub seed: u64,
    /// How each dataset is ordered within an epoch.
    pub shuffle: Shuffle,
    /// This rank.
    pub rank: u32,
    /// Sizes of the parallel axes.
    pub mesh: MeshConfig,
    /// What is made of the sequences.
    pub making: Making,
    /// Batches that can exist at a time, those the caller holds included.
    pub buffers: usize,
    /// Batches made ahead of the caller.
    pub prefetch: usize,
    /// Background threads.
    pub threads: usize,
    /// Whether blocks are held against their checksums when first touched.
    pub check: bool,
}

/// One run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Its share, in any unit.
    pub weight: Option<f64>,
    /// How many of its tokens an epoch shall have.
    pub tokens: Option<u64>,
}

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

/// Sizes of the parallel axes.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MeshConfig {
    /// Data parallel.
    pub dp: u32,
    /// Tensor parallel.
    pub tp: u32,
    /// Pipeline parallel.
    pub pp: u32,
    /// Context parallel.
    pub cp: u32,
}

/// A feed that is ready to be read.
#[derive(Debug)]
pub struct Feed {
    /// The runs.
    pub datasets: Arc<Vec<Dataset>>,
    /// Which samples make which batch.
    pub plan: Plan,
    /// Where they come from when they are made on the fly.
    pub live: Option<Arc<Live>>,
    /// What is made of them.
    pub making: Making,
    /// Positions of the longest rows.
    pub length: u32,
    /// What a saved state must agree with.
    pub identity: Identity,
    /// Memory of the largest batch.
    pub batch_bytes: usize,
    pub(super) place: Place,
    pub(super) cp: u32,
}

impl Lengths for Vec<Dataset> {
    fn length(&self, sample: SampleId) -> Result<u32> {
        self[sample.dataset as usize].document_length(sample.sample)
    }
}

pub(super) fn bad(name: &str, reason: impl Into<String>) -> KernelError {
    KernelError::Option { name: name.to_owned(), reason: reason.into() }
}

impl Feed {
    /// Opens the runs and plans the feed.
    ///
    /// # Errors
    /// `Option` when a value does not fit, and as [`Dataset::open`].
    pub fn open(config: &FeedConfig) -> Result<Self> {
        check_counts(config)?;
        let datasets = Arc::new(open_datasets(config)?);
        let length = datasets.first().map_or(0, Dataset::length);
        let MeshConfig { dp, tp, pp, cp } = config.mesh;
        let place = Mesh { dp, tp, pp, cp }.place(config.rank)?;
        let buckets = buckets(config, length)?;
        let highest = datasets.iter().filter_map(Dataset::vocabulary_size).max();
        check_making(&config.making, highest)?;
        let order = order(config, &datasets)?;
        let mut identity = identity(config, &datasets, &order);
        let mut batch_bytes = 0;
        for &Bucket { length, rows } in &buckets {
            let columns = slice(length, place, cp)?.columns();
            batch_bytes = batch_bytes.max(config.making.layout(rows as usize * columns).1);
        }
        let plan = if config.buckets.is_some() {
            let lengths: Arc<dyn Lengths> = Arc::<Vec<Dataset>>::clone(&datasets);
            let buckets = Buckets::new(order, lengths, buckets, config.seed, dp, config.accumulate);
            identity.insert("buckets".to_owned(), json!(buckets.global()));
            identity.insert("accumulate".to_owned(), json!(config.accumulate));
            Plan::by_length(buckets, dp, place.dp)
        } else {
            Plan::new(order, length, buckets[0].rows, dp, place.dp, config.accumulate)
        };
        let making = config.making.clone();
        Ok(Self { datasets, plan, live: None, making, length, identity, batch_bytes, place, cp })
    }

    /// The positions this rank makes of rows of `length`, which is that of a batch.
    #[must_use]
    pub fn shape(&self, length: u32) -> Shape {
        shape(length, self.place, self.cp)
    }
}

pub(super) fn check_counts(config: &FeedConfig) -> Result<()> {
    for (name, value) in [("batch_size", config.batch_size), ("accumulate", Some(config.accumulate))] {
        if value == Some(0) {
            return Err(bad(name, "is 0; the least is 1"));
        }
    }
    Ok(())
}

fn open_datasets(config: &FeedConfig) -> Result<Vec<Dataset>> {
    let reading = match (&config.buckets, config.seq_len) {
        (None, length) => Reading::Packs(length),
        (Some(_), Some(_)) => {
            return Err(bad("seq_len", "length buckets read documents, not packs; leave it out"));
        }
        (Some(buckets), None) => {
            let Some(&longest) = buckets.last() else { return Err(bad("buckets", "there is none")) };
            if buckets[0] == 0 || longest > LONGEST || !buckets.is_sorted_by(|one, next| one < next) {
                return Err(bad(
                    "buckets",
                    format!("{buckets:?} are not rising lengths from 1 to {LONGEST}"),
                ));
            }
            Reading::Documents(longest)
        }
    };
    let datasets: Vec<Dataset> = config
        .datasets
        .iter()
        .map(|dataset| Dataset::open(&dataset.path, reading, config.check))
        .collect::<Result<_>>()?;
    let Some(first) = datasets.first() else { return Err(bad("datasets", "there is none")) };
    for dataset in &datasets {
        if dataset.sequences() == 0 {
            return Err(bad("datasets", format!("{} has no sequence", dataset.folder().display())));
        }
        if dataset.length() != first.length() {
            let (a, b) = (first.folder().display(), dataset.folder().display());
            let (one, other) = (first.length(), dataset.length());
            return Err(bad("seq_len", format!("{a} is packed to {one} and {b} to {other}; state one")));
        }
    }
    Ok(datasets)
}

/// The lengths of batches with their rows; one of `length` when packs are read.
pub(super) fn buckets(config: &FeedConfig, length: u32) -> Result<Vec<Bucket>> {
    let lengths = config.buckets.clone().unwrap_or_else(|| vec![length]);
    let bucket = |length: u32| {
        let rows = match (config.batch_size, config.max_tokens) {
            (Some(rows), None) => u64::from(rows),
            (None, Some(tokens)) => tokens / u64::from(length.max(1)),
            _ => return Err(bad("batch_size", "give it or `max_tokens`, one of them")),
        };
        if rows == 0 {
            return Err(bad("max_tokens", format!("it holds no sequence of {length}")));
        }
        if rows * u64::from(length) > i32::MAX.cast_unsigned().into() {
            let name = if config.max_tokens.is_some() { "max_tokens" } else { "batch_size" };
            return Err(bad(name, format!("{rows} sequences of {length} are more than 2^31 positions")));
        }
        Ok(Bucket { length, rows: rows as u32 })
    };
    lengths.into_iter().map(bucket).collect()
}

/// The positions of each sequence that a context-parallel rank makes.
pub(super) fn slice(length: u32, place: Place, cp: u32) -> Result<Shape> {
    if !length.is_multiple_of(cp) {
        return Err(bad("mesh", format!("sequences of {length} cannot be cut into {cp} equal slices (cp)")));
    }
    Ok(shape(length, place, cp))
}

fn shape(length: u32, place: Place, cp: u32) -> Shape {
    let columns = length / cp;
    Shape { length, from: place.cp * columns, to: (place.cp + 1) * columns }
}

pub(super) fn check_making(making: &Making, vocabulary_size: Option<u32>) -> Result<()> {
    let mut fields = making.fields.clone();
    fields.sort_unstable();
    fields.dedup();
    if fields.len() != making.fields.len() {
        return Err(bad("fields", "a field is named twice"));
    }
    for field in [Field::Tokens, Field::Labels, Field::PositionIds] {
        let dtype = making.dtype_of(field);
        if !matches!(dtype, Dtype::Int32 | Dtype::Int64) {
            return Err(bad("dtype", format!("{field:?} cannot be {dtype:?}, only Int32 or Int64")));
        }
    }
    let highest = vocabulary_size.unwrap_or(u32::MAX);
    if making.pad_id > i32::MAX.cast_unsigned() {
        return Err(bad("pad_id", format!("{} is no int32", making.pad_id)));
    }
    // A padding id of its own may follow the vocabulary; one far outside is a mistake.
    if making.pad_id > highest.saturating_add(4096) {
        return Err(bad("pad_id", format!("{} is outside the vocabulary of {highest}", making.pad_id)));
    }
    Ok(())
}

fn order(config: &FeedConfig, datasets: &[Dataset]) -> Result<Order> {
    let (seed, shuffle) = (config.seed, config.shuffle);
    let lengths: Vec<u64> = datasets.iter().map(Dataset::sequences).collect();
    let Some(mixture) = &config.mixture else {
        return match lengths[..] {
            [length] => Ok(Order::of_dataset(seed, shuffle, length)),
            _ => Err(bad("mixture", "several datasets need one")),
        };
    };
    let length = u64::from(datasets.first().map_or(1, Dataset::length));
    let counts_tokens = mixture.tokens.is_some()
        || !mixture.stages.is_empty()
        || config.datasets.iter().any(|dataset| dataset.tokens.is_some());
    if config.buckets.is_some() && counts_tokens {
        let reason = "token budgets and stages count full sequences, which length buckets have none of";
        return Err(bad("mixture", reason));
    }
    let mut stages = vec![Stage { from: 0, weights: weights(config, mixture, datasets)? }];
    for stage in &mixture.stages {
        let from = stage.after_tokens.div_ceil(length);
        if from == 0 {
            stages.clear(); // a stage from the start takes the place of the plain weights
        }
        stages.push(Stage { from, weights: stage.weights.clone() });
    }
    let budgets: Option<u64> = config.datasets.iter().map(|dataset| dataset.tokens).sum();
    let epoch = match mixture.tokens.or(budgets) {
        Some(tokens) => tokens.div_ceil(length).max(1),
        None => lengths.iter().sum(),
    };
    let mixture = Mixture::new(seed, datasets.len(), &stages)?;
    Ok(Order::of_mixture(seed, shuffle, lengths, mixture, epoch))
}

/// The shares of the datasets: stated weights, stated token budgets, or sizes evened by a temperature.
fn weights(config: &FeedConfig, mixture: &MixtureConfig, datasets: &[Dataset]) -> Result<Vec<f64>> {
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
        return Ok(budgets.into_iter().map(|tokens| tokens as f64).collect());
    }
    let temperature = mixture.temperature.unwrap_or(1.0);
    if !temperature.is_finite() || temperature <= 0.0 {
        return Err(bad("mixture", format!("temperature {temperature} is not a number above 0")));
    }
    Ok(datasets.iter().map(|dataset| (dataset.sequences() as f64).powf(temperature.recip())).collect())
}

fn identity(config: &FeedConfig, datasets: &[Dataset], order: &Order) -> Identity {
    let fingerprints: Vec<String> =
        datasets.iter().map(|dataset| format!("{:016x}", dataset.fingerprint())).collect();
    let mut identity = Identity::new();
    identity.insert("datasets".to_owned(), json!(fingerprints));
    identity.insert("seed".to_owned(), json!(config.seed));
    if config.buckets.is_none() {
        identity.insert("seq_len".to_owned(), json!(datasets.first().map(Dataset::length)));
    }
    identity.insert("shuffle".to_owned(), json!(config.shuffle));
    identity.insert("epoch_samples".to_owned(), json!(order.epoch_samples()));
    if let Some(stages) = order.stages() {
        identity.insert("shares".to_owned(), json!(stages));
    }
    identity
}
