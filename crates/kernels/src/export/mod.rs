//! Exports: a finished run in the format of another loader.
//!
//! [`source`] gives samples as rows, [`format`] knows who writes them; here threads take the source's units, cut
//! rows into shards by what the rows hold, and [`folder`] makes the result appear as a whole or not at all. The
//! bytes depend on the run and the options, never on the threads.

pub mod folder;
pub mod format;
pub mod record;
mod rows;
pub mod source;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use self::folder::Folder;
use self::format::Format;
use self::record::ShardRecord;
use self::source::Source;
use crate::error::{KernelError, Result};
use crate::formats::rechunk::{Limits, row_bytes};
use crate::formats::sample_shard::SampleWriter;

/// What is exported, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportConfig {
    /// The run directory.
    pub run: PathBuf,
    /// The folder to make.
    pub out: PathBuf,
    /// The format.
    pub format: Format,
    /// Which packing, where there are several.
    pub seq_len: Option<u32>,
    /// Documents, even where there are packs.
    pub documents: bool,
    /// Fills sequences up to their full length with this id.
    pub pad_id: Option<i32>,
    /// Compresses shards, where the format has that.
    pub zstd: bool,
    /// Bytes of the rows of a shard.
    pub shard_bytes: u64,
    /// Threads that write.
    pub threads: usize,
    /// Whether the run's blocks are held against their checksums.
    pub check: bool,
}

/// What an export made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
    /// Samples.
    pub samples: u64,
    /// Shards.
    pub shards: usize,
    /// Bytes of the shards.
    pub bytes: u64,
    /// Samples that an interrupted export before this one had written.
    pub resumed: u64,
}

/// An export that can be watched and stopped while it runs.
pub struct Export {
    config: ExportConfig,
    source: Source,
    written: AtomicU64,
    stopped: AtomicBool,
}

impl Export {
    /// Opens the run; writes nothing.
    ///
    /// # Errors
    /// As [`Source::open`]; `ColumnType` when a column has no form in the format.
    pub fn open(config: ExportConfig) -> Result<Self> {
        let source = Source::open(&config)?;
        if config.zstd && !config.format.compresses() {
            let reason =
                "only mds and litdata have compressed shards; parquet is compressed as it is".to_owned();
            return Err(KernelError::Option { name: "compression".to_owned(), reason });
        }
        // What cannot be written is said before anything is.
        config.format.index(source.schema(), &config, &[])?;
        Ok(Self { config, source, written: AtomicU64::new(0), stopped: AtomicBool::new(false) })
    }

    /// Samples to export.
    pub fn samples(&self) -> u64 {
        self.source.samples()
    }

    /// Samples written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lets the threads stop after the batch they are at.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Writes the export; `None` when it was stopped. What whole units it had written stays for the next time.
    ///
    /// # Errors
    /// `Option` when the folder is in use for something else; `Locked` when another export writes it; what
    /// reading and writing return.
    pub fn run(&self) -> Result<Option<ExportReport>> {
        let folder = Folder::open(&self.config, &self.source)?;
        let units = self.source.units().len();
        let records: Vec<Mutex<Option<Vec<ShardRecord>>>> = (0..units).map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let resumed = AtomicU64::new(0);
        let work = || -> Result<()> {
            loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= units || self.stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let shards = if let Some(shards) = folder.finished(unit) {
                    let samples = self.source.units()[unit].samples;
                    self.written.fetch_add(samples, Ordering::Relaxed);
                    resumed.fetch_add(samples, Ordering::Relaxed);
                    shards
                } else {
                    let Some(shards) = self.write_unit(unit, &folder)? else { return Ok(()) };
                    folder.finish(unit, &shards)?;
                    shards
                };
                if let Ok(mut record) = records[unit].lock() {
                    *record = Some(shards);
                }
            }
        };
        // One that fails stops the others.
        let guarded = || work().inspect_err(|_| self.stop());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..self.config.threads.min(units)).map(|_| scope.spawn(guarded)).collect();
            let own = guarded();
            threads.into_iter().map(join).fold(own, Result::and)
        })?;
        let records = records.into_iter().map(|record| record.into_inner().ok().flatten());
        let Some(units) = records.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let shards: Vec<ShardRecord> = units.into_iter().flatten().collect();
        let report = ExportReport {
            samples: self.samples(),
            shards: shards.len(),
            bytes: shards.iter().map(|shard| shard.bytes).sum(),
            resumed: resumed.into_inner(),
        };
        folder.publish(&self.config, self.source.schema(), shards)?;
        Ok(Some(report))
    }

    /// Writes the shards of a unit; `None` when stopped.
    fn write_unit(&self, unit: usize, folder: &Folder) -> Result<Option<Vec<ShardRecord>>> {
        let bytes = if self.source.unit_is_shard() { u64::MAX } else { self.config.shard_bytes };
        let mut shards = Shards {
            export: self,
            folder,
            unit,
            limits: Limits { rows: u64::MAX, bytes },
            open: None,
            rows: 0,
            bytes: 0,
            next: self.source.units()[unit].from,
            finished: Vec::new(),
        };
        self.source.read(unit, &mut |rows| {
            shards.write(rows)?;
            self.written.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
            Ok(!self.stopped.load(Ordering::Relaxed))
        })?;
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        shards.finish()?;
        let (found, stated) = (shards.next, self.source.units()[unit]);
        if found != stated.from + stated.samples {
            let reason =
                format!("a shard has {} rows, the manifest states {}", found - stated.from, stated.samples);
            return Err(KernelError::format("run", reason));
        }
        Ok(Some(shards.finished))
    }
}

fn join(thread: std::thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The shards of a unit under construction.
struct Shards<'a> {
    export: &'a Export,
    folder: &'a Folder,
    unit: usize,
    limits: Limits,
    open: Option<(String, Box<dyn SampleWriter>)>,
    /// Rows of the open shard, and their bytes.
    rows: u64,
    bytes: u64,
    /// Number of the next sample in the export.
    next: u64,
    finished: Vec<ShardRecord>,
}

impl Shards<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut start = 0;
        for (row, size) in row_bytes(rows.columns(), rows.num_rows()).into_iter().enumerate() {
            if self.limits.end_before(self.rows, self.bytes, size) {
                self.append(rows, start, row)?;
                self.finish()?;
                start = row;
            }
            self.rows += 1;
            self.bytes += size;
        }
        self.append(rows, start, rows.num_rows())
    }

    fn append(&mut self, rows: &RecordBatch, from: usize, to: usize) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let (_, writer) = match &mut self.open {
            Some(open) => open,
            none => {
                let name = format!("{:05}.{}", self.unit, self.finished.len());
                let Export { config, source, .. } = self.export;
                let path = self.folder.work(&name);
                let writer = config.format.create(&path, source.schema(), config, self.next)?;
                none.insert((name, writer))
            }
        };
        writer.write(&rows.slice(from, to - from))?;
        self.next += (to - from) as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if let Some((name, writer)) = self.open.take() {
            self.finished.push(ShardRecord::new(name, self.rows, writer.finish()?));
        }
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
