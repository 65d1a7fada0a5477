//! Bindings of the near-duplicate deduplication: band keys, buckets, components, sets, clusters.

use gristmill_kernels::KernelError;
use gristmill_kernels::dedup::minhash::bands::Bands;
use gristmill_kernels::dedup::minhash::cluster::{self, ClusterOptions, Part};
use gristmill_kernels::dedup::minhash::estimate::{Corpus, Estimate};
use gristmill_kernels::dedup::minhash::sets::SetWriter;
use gristmill_kernels::dedup::minhash::simplify::Simplified;
use gristmill_kernels::dedup::minhash::{MinhashOptions, Normalize, buckets, components};
use gristmill_kernels::order::spill::Shuffle;
use napi_derive::napi;

use crate::global::{NativeBlockPlace, NativeSpillFile, parse, to_json};
use crate::guard::{guard, unsigned};
use crate::keys::segment_file;

/// The bands of so many permutations at a threshold; JSON `{bands, rows}`, null when there are too few.
#[napi]
pub fn choose_bands(permutations: u32, threshold: f64) -> Option<String> {
    let bands = Bands::choose(permutations, threshold)?;
    Some(serde_json::json!({ "bands": bands.bands, "rows": bands.rows }).to_string())
}

/// Writes the buckets of one partition of band keys; JSON `{bytes, segments}`, without segments.
///
/// `segments[i]` holds the keys of a task before which there are `bases[i]` rows; the first `known` rows are of
/// earlier runs.
#[napi]
pub fn write_buckets(
    bases: Vec<u32>,
    segments: Vec<&[u8]>,
    known: u32,
    path: String,
) -> napi::Result<String> {
    guard("dedup.buckets", || {
        let inputs: Vec<(u32, &[u8])> = bases.into_iter().zip(segments).collect();
        let bytes = buckets::write(&inputs, known, path)?;
        to_json(&serde_json::json!({ "bytes": bytes, "segments": [] }))
    })
}

/// Joins the buckets of all partitions and deals them to groups of about `target` rows; JSON `{bytes,
/// segments, groups, candidates, largest}`. `bases` are the tasks' and, last, the number of all rows.
#[napi]
pub fn deal_components(
    files: Vec<String>,
    bases: Vec<u32>,
    target: u32,
    path: String,
) -> napi::Result<String> {
    guard("dedup.components", || {
        let files: Vec<_> = files.into_iter().map(Into::into).collect();
        let dealt = components::deal(&files, &bases, target, path)?;
        to_json(&serde_json::json!({
            "bytes": dealt.bytes,
            "segments": dealt.segments,
            "groups": dealt.groups,
            "candidates": dealt.candidates,
            "largest": dealt.largest,
        }))
    })
}

/// Writes the shingle sets of one task's candidates.
#[napi]
pub struct NativeSetWriter {
    inner: Option<SetWriter>,
}

#[napi]
impl NativeSetWriter {
    /// Creates the file; `options` is JSON, `wanted` the task's segment of the components' file.
    #[napi(factory)]
    pub fn create(path: String, options: String, wanted: &[u8]) -> napi::Result<Self> {
        guard("sets.create", || {
            let options: MinhashOptions = parse("minhash-dedup options", &options)?;
            Ok(Self { inner: Some(SetWriter::create(path, &options, wanted)?) })
        })
    }

    /// Adds the wanted rows of a spilled block.
    #[napi]
    pub fn add(&mut self, file: &NativeSpillFile, block: NativeBlockPlace) -> napi::Result<()> {
        guard("sets.add", || {
            let writer = self.inner.as_mut().ok_or(KernelError::Disposed { what: "set writer" })?;
            writer.add(&file.block(block)?)
        })
    }

    /// Adds the wanted rows of an earlier run's index file.
    #[napi]
    pub fn add_index(&mut self, path: String) -> napi::Result<()> {
        guard("sets.index", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "set writer" })?.add_index(path)
        })
    }

    /// Closes the file; JSON `{bytes, segments}`.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<String> {
        guard("sets.finish", || {
            let writer = self.inner.take().ok_or(KernelError::Disposed { what: "set writer" })?;
            segment_file(writer.finish()?)
        })
    }

    /// Forgets the file; what was written stays for the engine to delete.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// The part of a group of candidates that one task has, or one file of an earlier run's index.
#[napi(object)]
pub struct NativeClusterPart {
    /// The earlier run, as the pipeline names it.
    pub run: Option<String>,
    /// Ordinal of the task.
    pub task: u32,
    /// Rows of the parts before it.
    pub base: u32,
    /// Its file of sets.
    pub sets: String,
}

/// Decides one group; JSON `{bytes, segments, compared, overflow}`.
///
/// `members[i]` is the group's segment in the sets of `parts[i]`; `options` is JSON, see `ClusterOptions`.
#[napi]
pub fn decide_clusters(
    parts: Vec<NativeClusterPart>,
    members: Vec<&[u8]>,
    buckets: Vec<&[u8]>,
    options: String,
    shuffle: Option<String>,
    path: String,
) -> napi::Result<String> {
    guard("dedup.cluster", || {
        let options: ClusterOptions = parse("minhash-dedup options", &options)?;
        let shuffle: Option<Shuffle> = shuffle.map(|json| parse("shuffle", &json)).transpose()?;
        let parts: Vec<Part<'_>> = parts
            .into_iter()
            .zip(members)
            .map(|(part, members)| {
                let NativeClusterPart { run, task, base, sets } = part;
                Part { run, task, base, sets: sets.into(), members }
            })
            .collect();
        let clustered = cluster::decide(&parts, &buckets, &options, shuffle, path)?;
        to_json(&serde_json::json!({
            "bytes": clustered.bytes,
            "segments": clustered.segments,
            "compared": clustered.compared,
            "overflow": clustered.overflow,
        }))
    })
}

/// What a near-duplicate deduplication takes, in bytes.
#[napi(object)]
pub struct NativeEstimate {
    /// Most memory at a time, besides what a run always takes.
    pub memory_bytes: f64,
    /// Keys and buckets on disk.
    pub disk_bytes: f64,
}

/// Estimates a near-duplicate deduplication of so many rows.
#[napi]
pub fn estimate_near_duplicates(rows: f64, bands: u32, partitions: u32, workers: u32) -> NativeEstimate {
    let corpus = Corpus { rows: unsigned(rows), bands, partitions };
    let Estimate { memory_bytes, disk_bytes } = Estimate::new(corpus, workers);
    NativeEstimate { memory_bytes: memory_bytes as f64, disk_bytes: disk_bytes as f64 }
}

/// A text as it is cut into shingles; `normalize` is `datatrove` or `none`.
#[napi]
pub fn simplify_text(text: String, normalize: String) -> napi::Result<String> {
    guard("dedup.simplify", || {
        let normalize: Normalize = parse("normalize", &to_json(&normalize)?)?;
        let mut simplified = Simplified::default();
        simplified.set(&text, normalize);
        Ok(simplified.text().to_owned())
    })
}
