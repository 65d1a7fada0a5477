//! What a feed is asked to be, checked once, and turned into what the loader works with.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::buckets::{Bucket, Buckets, Lengths};
use super::component::{self, Component, DatasetConfig, Grades};
use super::dataset::Reading;
use super::fields::{Dtype, Field, Making};
use super::gather::Shape;
use super::live::open::PipelineConfig;
use super::live::window::Live;
use super::mesh::{Mesh, Place};
use super::order::{Order, SampleId};
use super::plan::Plan;
use super::shares::{self, MixtureConfig};
use super::shuffle::Shuffle;
use super::state::Identity;
use crate::error::{KernelError, Result};

/// Longest row that can be asked for.
const LONGEST: u32 = 1 << 24;
/// Threads and batches between two steps of the optimizer: more are a slip of the finger, which would take the
/// machine down with it.
const MOST_THREADS: usize = 1024;
const MOST_ACCUMULATED: u32 = 1 << 16;
/// Samples between two steps of the optimizer; more would not fit the numbers of places.
const MOST_OF_A_STEP: u128 = 1 << 48;

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
    /// Batches or an order by a number of each document.
    #[serde(default)]
    pub difficulty: Option<DifficultyConfig>,
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

impl FeedConfig {
    /// Reads what a binding wrote as JSON.
    ///
    /// # Errors
    /// `Option` with the name of what does not fit.
    pub fn read(text: &str) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let name = path.strip_prefix("making.").unwrap_or(&path);
            let told = error.inner().to_string();
            // The binding's JSON is right but for what JSON has not; where in it says nothing to who wrote none.
            let reason = match told.split(" at line ").next() {
                Some(reason) if !error.inner().is_syntax() => reason,
                _ => "is no finite number",
            };
            bad(if name == "." { "config" } else { name }, reason)
        })
    }
}

/// What a numeric column of `docs.parquet` is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifficultyConfig {
    /// The column.
    pub column: String,
    /// The numbers of a batch of one rank add up to no more.
    pub limit: Option<f64>,
    /// An epoch goes from small numbers to large ones in so many bands, shuffled within each.
    pub bands: Option<u8>,
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
    /// What is drawn from.
    pub components: Arc<Vec<Component>>,
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

/// Lengths and costs of samples.
#[derive(Debug)]
struct Measures {
    components: Arc<Vec<Component>>,
    /// For each component, what samples cost, by their place in the run; none where nothing is limited.
    costs: Vec<Arc<Vec<f32>>>,
}

impl Lengths for Measures {
    fn ask(&self, sample: SampleId) {
        let component = &self.components[sample.dataset as usize];
        component.ask(component.place(sample.sample));
    }

    fn length(&self, sample: SampleId) -> Result<u32> {
        self.components[sample.dataset as usize].sample_length(sample.sample)
    }

    fn cost(&self, sample: SampleId) -> Result<f64> {
        let dataset = sample.dataset as usize;
        let place = self.components[dataset].place(sample.sample);
        let cost = self.costs.get(dataset).and_then(|costs| costs.get(place as usize));
        cost.copied().map(f64::from).ok_or_else(|| KernelError::internal("a sample has no cost"))
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
        let reading = reading(config)?;
        let components = open_components(config, reading)?;
        let (components, grades) = graded(config, components, reading)?;
        let components = Arc::new(components);
        let length = components.first().map_or(0, Component::length);
        let MeshConfig { dp, tp, pp, cp } = config.mesh;
        let place = Mesh { dp, tp, pp, cp }.place(config.rank)?;
        let buckets = buckets(config, length)?;
        check_making(&config.making, components.iter().filter_map(Component::vocabulary_size).max())?;
        let order = shares::order(config, &components)?;
        let mut identity = identity(config, &components, &order);
        let mut batch_bytes = 0;
        for &Bucket { length, rows } in &buckets {
            let columns = slice(length, place, cp)?.columns();
            batch_bytes = batch_bytes.max(config.making.layout(rows as usize * columns).1);
        }
        check_memory(config, batch_bytes)?;
        let limit = config.difficulty.as_ref().and_then(|difficulty| difficulty.limit);
        let limit = limit.map(|limit| limit * f64::from(dp));
        if let (Some(DifficultyConfig { column, bands, .. }), Some(grades)) =
            (&config.difficulty, grades.first())
        {
            let content = format!("{:016x}", grades.fingerprint);
            let meaning = json!({ "column": column, "limit": limit, "bands": bands, "content": content });
            identity.insert("difficulty".to_owned(), meaning);
        }
        let plan = if config.buckets.is_some() || limit.is_some() {
            let costs = grades.into_iter().map(|grades| grades.numbers).filter(|_| limit.is_some()).collect();
            let lengths = Arc::new(Measures { components: Arc::clone(&components), costs });
            let buckets = Buckets::new(order, lengths, buckets, config.seed, dp, config.accumulate, limit);
            identity.insert("buckets".to_owned(), json!(buckets.global()));
            identity.insert("accumulate".to_owned(), json!(config.accumulate));
            Plan::by_length(buckets, dp, place.dp)
        } else {
            Plan::new(order, length, buckets[0].rows, dp, place.dp, config.accumulate)
        };
        let making = config.making.clone();
        Ok(Self { components, plan, live: None, making, length, identity, batch_bytes, place, cp })
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
    if config.threads > MOST_THREADS {
        return Err(bad("threads", format!("{} are more than {MOST_THREADS}", config.threads)));
    }
    if config.accumulate > MOST_ACCUMULATED {
        let reason = format!("{} batches are more than {MOST_ACCUMULATED}", config.accumulate);
        return Err(bad("accumulate", reason));
    }
    match config.shuffle {
        Shuffle::Block { block: 0, .. } | Shuffle::Block { group: 0, .. } => {
            Err(bad("shuffle", "a block or a group of 0; the least is 1"))
        }
        _ => Ok(()),
    }
}

/// Refuses batches that memory cannot hold: when it is found out while they are made, the process ends.
pub(super) fn check_memory(config: &FeedConfig, batch_bytes: usize) -> Result<()> {
    let batches = config.buffers.min(config.prefetch.saturating_add(2)).max(1);
    let mut memory = Vec::<u8>::new();
    let granted = memory.try_reserve_exact(batch_bytes.saturating_mul(batches));
    std::hint::black_box(&memory); // else nobody would ask the system
    let told = format!("{batches} batches of {batch_bytes} bytes are more memory than there is");
    granted.map_err(|_| bad(size_option(config), format!("{told}; lower it, or `prefetch`")))
}

/// The option that says how large a batch is.
fn size_option(config: &FeedConfig) -> &'static str {
    if config.max_tokens.is_some() { "max_tokens" } else { "batch_size" }
}

fn reading(config: &FeedConfig) -> Result<Reading> {
    Ok(match (&config.buckets, config.seq_len) {
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
    })
}

fn open_components(config: &FeedConfig, reading: Reading) -> Result<Vec<Component>> {
    let components = component::open(&config.datasets, reading, config.check)?;
    let Some(first) = components.first() else { return Err(bad("datasets", "there is none")) };
    for (component, told) in components.iter().zip(&config.datasets) {
        let folder = component.folder().display();
        if component.sequences() == 0 {
            let whose = told.part.as_ref().map_or_else(String::new, |part| {
                format!(" whose '{}' is mostly '{}'", part.column, part.value)
            });
            return Err(bad("datasets", format!("{folder} has no sequence{whose}")));
        }
        if component.length() != first.length() {
            let (one, other, a) = (first.length(), component.length(), first.folder().display());
            return Err(bad("seq_len", format!("{a} is packed to {one} and {folder} to {other}; state one")));
        }
    }
    Ok(components)
}

/// The components, cut into bands where those are asked for, and the numbers of their samples.
fn graded(
    config: &FeedConfig,
    components: Vec<Component>,
    reading: Reading,
) -> Result<(Vec<Component>, Vec<Grades>)> {
    let Some(DifficultyConfig { column, limit, bands }) = &config.difficulty else {
        return Ok((components, Vec::new()));
    };
    if limit.is_none() && bands.is_none() {
        return Err(bad("difficulty", "give `limit` or `bands`, or both"));
    }
    if bands.is_some() && config.mixture.is_some() {
        let reason = "bands order one run; a mixture has `stages` for what comes when";
        return Err(bad("difficulty", reason));
    }
    let mut grades = component::grades(&components, column, reading, config.check)?;
    if let Some(limit) = limit {
        let positive = limit.is_finite() && *limit > 0.0;
        let lowest = grades.iter().flat_map(|grades| grades.numbers.iter()).copied().reduce(f32::min);
        if !positive || lowest.is_some_and(|lowest| lowest < 0.0) {
            let least = lowest.unwrap_or_default();
            let reason = format!("the limit {limit} of numbers from {least} up; both must be positive");
            return Err(bad("difficulty", reason));
        }
    }
    match (bands, components.first(), grades.first()) {
        (Some(0 | 255), ..) => Err(bad("difficulty", "bands are from 1 to 254")),
        (Some(bands), Some(run), Some(own)) => {
            let components = run.bands(&own.numbers, *bands);
            grades = vec![own.clone(); components.len()];
            Ok((components, grades))
        }
        _ => Ok((components, grades)),
    }
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
            let reason = format!("{rows} sequences of {length} are more than 2^31 positions");
            return Err(bad(size_option(config), reason));
        }
        let step = u128::from(rows) * u128::from(config.mesh.dp) * u128::from(config.accumulate);
        if step > MOST_OF_A_STEP {
            return Err(bad("world_size", format!("{step} sequences come before a step of the optimizer")));
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

fn identity(config: &FeedConfig, components: &[Component], order: &Order) -> Identity {
    let fingerprints: Vec<String> =
        components.iter().map(|component| format!("{:016x}", component.fingerprint())).collect();
    let mut identity = Identity::new();
    identity.insert("datasets".to_owned(), json!(fingerprints));
    identity.insert("seed".to_owned(), json!(config.seed));
    if config.buckets.is_none() {
        identity.insert("seq_len".to_owned(), json!(components.first().map(Component::length)));
    }
    identity.insert("shuffle".to_owned(), json!(config.shuffle));
    identity.insert("epoch_samples".to_owned(), json!(order.epoch_samples()));
    if let Some(stages) = order.stages() {
        identity.insert("shares".to_owned(), json!(stages));
    }
    identity
}
