//! The folder of an export while it is made, and how it appears.
//!
//! All is written into `OUT.partial`; when it is whole, that folder is renamed to `OUT`. A process that dies
//! leaves no `OUT` at all, and the next one that exports the same goes on behind the units whose records are in
//! `OUT.partial/work`. Files are not synced, so after a restart of the machine it begins anew.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow_schema::{Schema, SchemaRef};
use serde::Serialize;
use serde_json::json;

use super::ExportConfig;
use super::format::{Format, INDEX};
use super::record::ShardRecord;
use super::source::Source;
use crate::error::{KernelError, Result};
use crate::hash::digest128;
use crate::lock::FileLock;

/// Says what an export is; loaders pass it over, for its name starts with a low line.
pub const SUMMARY: &str = "_export.json";
const WORK: &str = "work";
const PLAN: &str = "plan.json";
const LOCK: &str = "lock";

/// `OUT.partial`, locked.
pub struct Folder {
    partial: PathBuf,
    out: PathBuf,
    _lock: FileLock,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    schema_version: u32,
    format: Format,
    gristmill_version: &'static str,
    samples: u64,
    columns: Vec<serde_json::Value>,
    shards: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(flatten)]
    record: &'a ShardRecord,
}

impl Folder {
    /// Makes or takes over the folder.
    ///
    /// # Errors
    /// `Option` when `out` exists and is not empty; `Locked` when another process writes it; `Io` otherwise.
    pub fn open(config: &ExportConfig, source: &Source) -> Result<Self> {
        let out: PathBuf = config.out.components().collect(); // without a slash at its end
        refuse_existing(&out)?;
        let mut partial: OsString = out.clone().into();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let known = [partial.join(WORK).join(LOCK), partial.join(SUMMARY)];
        let theirs = !is_empty(&partial)? && !known.iter().any(|file| file.exists());
        if theirs {
            let reason = format!("{} exists and is no unfinished export; move it away", partial.display());
            return Err(refused(reason));
        }
        let work = partial.join(WORK);
        fs::create_dir_all(&work).map_err(KernelError::io("create", &work))?;
        let Some(lock) = FileLock::try_acquire(work.join(LOCK))? else {
            return Err(KernelError::Locked { folder: partial });
        };
        // Another process may have finished while we waited for nothing.
        refuse_existing(&out)?;
        let folder = Self { partial, out, _lock: lock };
        folder.adopt(&plan(config, source)?)?;
        Ok(folder)
    }

    /// Keeps what an export of the same plan left, and removes all else.
    fn adopt(&self, plan: &str) -> Result<()> {
        let path = self.work(PLAN);
        if fs::read_to_string(&path).is_ok_and(|old| old == plan) {
            return Ok(());
        }
        for folder in [&self.partial, &self.partial.join(WORK)] {
            for entry in fs::read_dir(folder).map_err(KernelError::io("read", folder))? {
                let path = entry.map_err(KernelError::io("read", folder))?.path();
                if path.file_name().is_some_and(|name| name != LOCK && name != WORK) {
                    fs::remove_file(&path).map_err(KernelError::io("delete", &path))?;
                }
            }
        }
        write_whole(&path, plan.as_bytes())
    }

    /// A file that is being written.
    pub fn work(&self, name: &str) -> PathBuf {
        self.partial.join(WORK).join(name)
    }

    /// The shards of a unit, if an export before wrote them all.
    pub fn finished(&self, unit: usize) -> Option<Vec<ShardRecord>> {
        let record = fs::read(self.work(&record_name(unit))).ok()?;
        let shards: Vec<ShardRecord> = serde_json::from_slice(&record).ok()?;
        let whole = |shard: &ShardRecord| {
            fs::metadata(self.work(&shard.scratch)).is_ok_and(|file| file.len() == shard.bytes)
        };
        shards.iter().all(whole).then_some(shards)
    }

    /// Notes that a unit is written.
    ///
    /// # Errors
    /// `Io` when the note cannot be written.
    pub fn finish(&self, unit: usize, shards: &[ShardRecord]) -> Result<()> {
        let record = serde_json::to_vec(shards).map_err(KernelError::internal)?;
        write_whole(&self.work(&record_name(unit)), &record)
    }

    /// Gives the shards their names, writes the index, and lets the folder appear.
    ///
    /// # Errors
    /// `Io` when a file cannot be written or moved.
    pub fn publish(self, config: &ExportConfig, schema: &SchemaRef, shards: Vec<ShardRecord>) -> Result<()> {
        let count = shards.len();
        let mut named = Vec::with_capacity(count);
        for (number, mut shard) in shards.into_iter().enumerate() {
            let name = config.format.shard_name(number, count, config.zstd);
            let (from, to) = (self.work(&shard.scratch), self.partial.join(&name));
            fs::rename(&from, &to).map_err(KernelError::io("rename", &from))?;
            shard.scratch = String::new();
            named.push((name, shard));
        }
        if let Some(index) = config.format.index(schema, config, &named)? {
            write_whole(&self.partial.join(INDEX), index.to_string().as_bytes())?;
        }
        for (_, shard) in &mut named {
            (shard.stated, shard.raw) = (None, None);
        }
        let summary = Summary {
            schema_version: 1,
            format: config.format,
            gristmill_version: env!("CARGO_PKG_VERSION"),
            samples: named.iter().map(|(_, shard)| shard.samples).sum(),
            columns: columns(schema),
            shards: named.iter().map(|(name, record)| Entry { name, record }).collect(),
        };
        let summary = serde_json::to_vec_pretty(&summary).map_err(KernelError::internal)?;
        write_whole(&self.partial.join(SUMMARY), &summary)?;
        let work = self.partial.join(WORK);
        fs::remove_dir_all(&work).map_err(KernelError::io("delete", &work))?;
        // An empty folder is replaced; one that somebody filled meanwhile is not.
        fs::rename(&self.partial, &self.out).map_err(KernelError::io("rename", &self.partial))
    }
}

fn columns(schema: &Schema) -> Vec<serde_json::Value> {
    let column = |field: &arrow_schema::FieldRef| json!({ "name": field.name(), "type": field.data_type().to_string() });
    schema.fields().iter().map(column).collect()
}

fn record_name(unit: usize) -> String {
    format!("{unit:05}.json")
}

/// What must agree for one export to go on where another stopped: the run, the options, this version, and the
/// start of the machine, since nothing is synced.
fn plan(config: &ExportConfig, source: &Source) -> Result<String> {
    let manifest = config.run.join("manifest.json");
    let manifest = fs::read(&manifest).map_err(KernelError::io("read", &manifest))?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let once =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let plan = json!({
        "run": format!("{:032x}", digest128(&manifest)),
        "format": config.format,
        "seqLen": config.seq_len,
        "documents": config.documents,
        "padId": config.pad_id,
        "zstd": config.zstd,
        "shardBytes": config.shard_bytes,
        "samples": source.samples(),
        "version": env!("CARGO_PKG_VERSION"),
        // Where starts of the machine have no names, every export begins anew.
        "boot": boot.unwrap_or_else(|| once.to_string()),
    });
    Ok(plan.to_string())
}

fn refuse_existing(out: &Path) -> Result<()> {
    if is_empty(out)? {
        return Ok(());
    }
    let what = if out.join(SUMMARY).exists() { "already holds a finished export" } else { "is not empty" };
    Err(refused(format!("{} {what}; choose another folder, or delete it", out.display())))
}

fn refused(reason: String) -> KernelError {
    KernelError::Option { name: "out".to_owned(), reason }
}

/// Whether there is no such folder, or nothing in it.
fn is_empty(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(KernelError::io("read", folder)(error)),
    }
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let scratch = path.with_extension("new");
    fs::write(&scratch, content).map_err(KernelError::io("write", &scratch))?;
    fs::rename(&scratch, path).map_err(KernelError::io("rename", &scratch))
}
