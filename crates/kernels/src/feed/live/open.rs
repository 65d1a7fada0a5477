//! From a configuration and a feeder that has said that it is ready to a feed.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::channel::Receiver;
use super::order::TaskOrder;
use super::protocol::{FromFeeder, PROTOCOL};
use super::window::{Live, Share};
use crate::cache::{Cache, Options};
use crate::error::{KernelError, Result};
use crate::feed::config::{
    Feed, FeedConfig, MeshConfig, bad, buckets, check_counts, check_making, check_memory, slice,
};
use crate::feed::mesh::Mesh;
use crate::feed::plan::Plan;
use crate::feed::shuffle::Shuffle;

/// Blocks of the cache that stay mapped: pages of files, which the system takes back when memory is short.
const MAPPED_BYTES: u64 = 8 << 30;

/// A pipeline that runs meanwhile: what the feeder does not need to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// Tasks among which samples are shuffled.
    pub group: u32,
    /// The folder where blocks are kept; the feeder has the same.
    pub cache: Option<PathBuf>,
    /// Bytes that may lie there.
    pub cache_bytes: u64,
}

impl PipelineConfig {
    /// The cache, opened.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub fn open_cache(&self) -> Result<Option<Cache>> {
        let Some(path) = &self.cache else { return Ok(None) };
        let options = Options { memory: MAPPED_BYTES, disk: self.cache_bytes, ..Options::at(path) };
        Cache::open(&options).map(Some)
    }
}

impl Feed {
    /// Plans a feed of what the feeder on `socket` makes, which has said `greeting`.
    ///
    /// # Errors
    /// `Option` when a value does not fit.
    pub fn live(
        config: &FeedConfig,
        socket: UnixStream,
        receiver: Receiver,
        greeting: FromFeeder,
    ) -> Result<Self> {
        let FromFeeder::Ready { protocol, tasks, length, vocabulary_size, mut identity } = greeting else {
            return Err(KernelError::internal("the feeder's first message is no greeting"));
        };
        if protocol != PROTOCOL {
            let reason = format!(
                "the command `gristmill` speaks version {protocol}, this package {PROTOCOL}; use one version of both"
            );
            return Err(bad("pipeline", reason));
        }
        check_counts(config)?;
        let pipeline = config.pipeline.as_ref().ok_or_else(|| bad("pipeline", "there is none"))?;
        let group = pipeline.group;
        let fits = [
            ("group", group > 0, "is 0; the least is 1"),
            (
                "buckets",
                config.buckets.is_none(),
                "length buckets need a finished run; run the pipeline first",
            ),
            (
                "difficulty",
                config.difficulty.is_none(),
                "it is read from a finished run; run the pipeline first",
            ),
            (
                "shuffle",
                !matches!(config.shuffle, Shuffle::Block { .. }),
                "a pipeline is shuffled by tasks; say how many with `group`",
            ),
        ];
        if let Some((name, _, reason)) = fits.iter().find(|(_, fits, _)| !fits) {
            return Err(bad(name, *reason));
        }
        check_making(&config.making, vocabulary_size)?;
        let MeshConfig { dp, tp, pp, cp } = config.mesh;
        let place = Mesh { dp, tp, pp, cp }.place(config.rank)?;
        let rows = buckets(config, length)?[0].rows;
        let columns = slice(length, place, cp)?.columns();
        let batch_bytes = config.making.layout(rows as usize * columns).1;
        check_memory(config, batch_bytes)?;
        let shuffled = config.shuffle != Shuffle::None;
        let order = TaskOrder { seed: config.seed, tasks, group, shuffled };
        let share = Share {
            batch: rows.into(),
            rank: place.dp.into(),
            ranks: dp.into(),
            accumulate: config.accumulate.into(),
        };
        identity.insert("seed".to_owned(), json!(config.seed));
        identity.insert("seq_len".to_owned(), json!(length));
        identity.insert("shuffle".to_owned(), json!(config.shuffle));
        identity.insert("group".to_owned(), json!(group));
        let live = Arc::new(Live::new(order, share, pipeline.open_cache()?, socket, receiver));
        Ok(Self {
            components: Arc::default(),
            plan: Plan::live(Arc::clone(&live)),
            live: Some(live),
            making: config.making.clone(),
            length,
            identity,
            batch_bytes,
            place,
            cp,
        })
    }
}
