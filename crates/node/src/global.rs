//! Bindings of the global steps: spills, exact deduplication, shuffle buckets.

use arrow_array::RecordBatch;
use gristmill_kernels::dedup::exact::{self, Keys};
use gristmill_kernels::dedup::keep::Keep;
use gristmill_kernels::dedup::parts::{CutBy, Cuts, Part};
use gristmill_kernels::dedup::verdicts::{DecidedBy, Decisions};
use gristmill_kernels::order::bucket::BucketSorter;
use gristmill_kernels::order::sample::Smallest;
use gristmill_kernels::order::spill::{BlockPlace, Shuffle, SpillFile, SpillWriter, Storage};
use gristmill_kernels::order::verdict::Verdict;
use gristmill_kernels::{KernelError, Result};
use napi_derive::napi;
use serde::de::DeserializeOwned;

use crate::batch::NativeBatch;
use crate::edits::NativeEdits;
use crate::guard::{guard, unsigned};
use crate::keys::segment_file;
use crate::removed::NativeRemovedLog;

pub(crate) fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| KernelError::internal(format!("{what}: {error}")))
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(KernelError::internal)
}

/// XXH3-128 (seed 0) of bytes, 32 hexadecimal digits.
#[napi]
pub fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", gristmill_kernels::hash::digest128(bytes))
}

/// A spill under construction.
#[napi]
pub struct NativeSpillWriter {
    inner: Option<SpillWriter>,
}

#[napi]
impl NativeSpillWriter {
    /// Creates the file; `shuffle` is JSON `{seed, buckets}` or null.
    #[napi(factory)]
    pub fn create(path: String, shuffle: Option<String>, compressed: bool) -> napi::Result<Self> {
        guard("spill.create", || {
            let shuffle: Option<Shuffle> = shuffle.map(|json| parse("shuffle", &json)).transpose()?;
            let storage = if compressed { Storage::Compressed } else { Storage::Plain };
            Ok(Self { inner: Some(SpillWriter::create(path, shuffle, storage)?) })
        })
    }

    /// Appends the rows of a compacted batch.
    #[napi]
    pub fn write(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("spill.write", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "spill writer" })?.write(batch.get()?)
        })
    }

    /// Closes the file; JSON `{bytes, rows, blocks}`.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<String> {
        guard("spill.finish", || {
            let writer = self.inner.take().ok_or(KernelError::Disposed { what: "spill writer" })?;
            let rows = writer.rows();
            let (bytes, blocks) = writer.finish()?;
            to_json(&serde_json::json!({ "bytes": bytes, "rows": rows, "blocks": blocks }))
        })
    }

    /// Forgets the file; what was written stays for the engine to delete.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

/// Decides one partition of an exact deduplication; JSON `{bytes, segments}`.
///
/// `segments[i]` holds the keys of task `tasks[i]`, or of the earlier run `runs[i]`; those come first. `keep` and
/// `shuffle` are JSON.
#[napi]
pub fn decide_duplicates(
    runs: Vec<Option<String>>,
    tasks: Vec<u32>,
    segments: Vec<&[u8]>,
    keep: String,
    shuffle: Option<String>,
    path: String,
) -> napi::Result<String> {
    guard("dedup.decide", || {
        let keep: Keep = parse("keep", &keep)?;
        let shuffle: Option<Shuffle> = shuffle.map(|json| parse("shuffle", &json)).transpose()?;
        let inputs = runs.into_iter().zip(tasks).zip(segments);
        let inputs = inputs.map(|((run, task), bytes)| Keys { run, task, bytes }).collect();
        segment_file(exact::decide(inputs, &keep, shuffle, path)?)
    })
}

/// What the global steps decided about the rows of one task or bucket.
#[napi]
#[derive(Default)]
pub struct NativeVerdict {
    inner: Verdict,
}

#[napi]
impl NativeVerdict {
    /// Removes nothing.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a segment of a decision file. `step`, `rule` and `threshold` go to the records.
    #[napi]
    pub fn add_duplicates(
        &mut self,
        bytes: &[u8],
        step: String,
        rule: String,
        threshold: Option<f64>,
    ) -> napi::Result<()> {
        guard("verdict.duplicates", || {
            let by = || DecidedBy { step, rule, threshold };
            self.inner.duplicates.get_or_insert_with(|| Decisions::new(by())).add(bytes)
        })
    }

    /// Adds a segment of a decision about parts of texts (`by` is `line` or `paragraph`) of a column.
    #[napi]
    pub fn add_cuts(
        &mut self,
        bytes: &[u8],
        step: String,
        rule: String,
        column: String,
        by: String,
    ) -> napi::Result<()> {
        guard("verdict.cuts", || {
            let by: Part = parse("by", &to_json(&by)?)?;
            let cut_by = || CutBy { step, rule, column, by };
            self.inner.cuts.get_or_insert_with(|| Cuts::new(cut_by())).add(bytes)
        })
    }

    /// Keeps the rows whose sample hash is at most `threshold` (hexadecimal).
    #[napi]
    pub fn set_sample(&mut self, seed: f64, threshold: String, step: String) -> napi::Result<()> {
        guard("verdict.sample", || {
            let threshold = u64::from_str_radix(&threshold, 16).map_err(KernelError::internal)?;
            self.inner.sample = Some((unsigned(seed), threshold, step));
            Ok(())
        })
    }
}

/// Where a block of a spill lies.
#[napi(object)]
pub struct NativeBlockPlace {
    /// First byte in the file.
    pub offset: f64,
    /// Length in bytes.
    pub length: f64,
    /// XXH3-64 of the bytes, 16 hexadecimal digits.
    pub checksum: String,
}

/// A finished spill, open for reading.
#[napi]
pub struct NativeSpillFile {
    inner: Option<SpillFile>,
}

#[napi]
impl NativeSpillFile {
    /// Opens the file.
    #[napi(factory)]
    pub fn open(path: String) -> napi::Result<Self> {
        guard("spill.open", || Ok(Self { inner: Some(SpillFile::open(path)?) }))
    }

    /// The rows of a block; what the verdict removes or cuts is recorded.
    #[napi]
    pub fn read(
        &self,
        block: NativeBlockPlace,
        verdict: &mut NativeVerdict,
        removed: &mut NativeRemovedLog,
        edits: &mut NativeEdits,
    ) -> napi::Result<NativeBatch> {
        guard("spill.read", || {
            let record = self.block(block)?;
            let removed = removed.get()?;
            let mut batch = verdict.inner.apply(&record, 0, removed)?;
            verdict.inner.cut(&mut batch, &record, removed, edits.get()?)?;
            Ok(NativeBatch::wrap(batch))
        })
    }

    /// Closes the file.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }

    pub(crate) fn block(&self, block: NativeBlockPlace) -> Result<RecordBatch> {
        let file = self.inner.as_ref().ok_or(KernelError::Disposed { what: "spill file" })?;
        file.read(&BlockPlace {
            offset: unsigned(block.offset),
            length: unsigned(block.length),
            checksum: block.checksum,
        })
    }
}

/// Collects the smallest sample hashes of a task's rows.
#[napi]
pub struct NativeSmallest {
    inner: Option<Smallest>,
}

#[napi]
impl NativeSmallest {
    /// Collects up to `count` hashes.
    #[napi(constructor)]
    pub fn new(count: u32, seed: f64) -> Self {
        Self { inner: Some(Smallest::new(count as usize, unsigned(seed))) }
    }

    /// Adds the selected rows of a batch.
    #[napi]
    pub fn add(&mut self, batch: &NativeBatch) -> napi::Result<()> {
        guard("sample.add", || {
            self.inner.as_mut().ok_or(KernelError::Disposed { what: "sample" })?.add(batch.get()?);
            Ok(())
        })
    }

    /// The hashes, rising, as hexadecimal.
    #[napi]
    pub fn finish(&mut self) -> napi::Result<Vec<String>> {
        guard("sample.finish", || {
            let smallest = self.inner.take().ok_or(KernelError::Disposed { what: "sample" })?;
            Ok(smallest.finish().into_iter().map(|hash| format!("{hash:016x}")).collect())
        })
    }
}

/// Sorts the rows of one shuffle bucket.
#[napi]
#[derive(Default)]
pub struct NativeBucketSorter {
    inner: Option<BucketSorter>,
}

#[napi]
impl NativeBucketSorter {
    /// An empty bucket.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { inner: Some(BucketSorter::default()) }
    }

    /// Adds a block that `task` spilled; blocks come in task order, then file order.
    #[napi]
    pub fn add(
        &mut self,
        file: &NativeSpillFile,
        block: NativeBlockPlace,
        task: u32,
        verdict: &NativeVerdict,
        removed: &mut NativeRemovedLog,
    ) -> napi::Result<()> {
        guard("bucket.add", || self.get()?.add(&file.block(block)?, task, &verdict.inner, removed.get()?))
    }

    /// Sorts what was added; call once, before `next`.
    #[napi]
    pub fn sort(&mut self) -> napi::Result<()> {
        guard("bucket.sort", || {
            self.get()?.sort();
            Ok(())
        })
    }

    /// The next rows in order, about `targetBytes` of them; null at the end.
    #[napi]
    pub fn next(&mut self, target_bytes: u32) -> napi::Result<Option<NativeBatch>> {
        guard("bucket.next", || Ok(self.get()?.next(target_bytes as usize)?.map(NativeBatch::wrap)))
    }

    /// Frees the rows.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }

    fn get(&mut self) -> Result<&mut BucketSorter> {
        self.inner.as_mut().ok_or(KernelError::Disposed { what: "bucket" })
    }
}
