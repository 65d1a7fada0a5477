//! What a feed needs of a run's `manifest.json`.

use std::path::Path;

use serde::Deserialize;

use super::mapped::Stated;
use crate::error::{KernelError, Result};

/// A finished run: the keys that are needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    pub(super) tokenizer: Option<ManifestTokenizer>,
    pub(super) shards: Vec<ManifestShard>,
    pub(super) packs: Vec<ManifestPack>,
}

/// The run's tokenizer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestTokenizer {
    pub(super) vocabulary_size: u32,
}

/// A shard.
#[derive(Deserialize)]
pub(super) struct ManifestShard {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) tokens: Option<u64>,
    pub(super) files: Vec<ManifestFile>,
}

/// A packing.
#[derive(Deserialize)]
pub(super) struct ManifestPack {
    pub(super) length: u32,
    pub(super) sequences: u64,
    pub(super) pieces: u64,
    pub(super) files: Vec<ManifestFile>,
}

/// A file, its length and its checksums.
#[derive(Deserialize)]
pub(super) struct ManifestFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) checksum: String,
    pub(super) blocks: String,
}

/// The manifest of the run in `folder`.
pub(super) fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join("manifest.json");
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = if folder.is_dir() { "it has no manifest.json" } else { "there is no such folder" };
            return Err(KernelError::RunMissing { folder: folder.to_owned(), reason });
        }
        other => other.map_err(KernelError::io("read", &path))?,
    };
    let bad = |reason: String| KernelError::format("manifest", format!("{}: {reason}", path.display()));
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if manifest.schema_version != 1 {
        return Err(bad(format!("its schemaVersion is {}, this version reads 1", manifest.schema_version)));
    }
    Ok(manifest)
}

/// The packing of that length, or the only one.
pub(super) fn choose_pack<'a>(
    folder: &Path,
    packs: &'a [ManifestPack],
    length: Option<u32>,
) -> Result<&'a ManifestPack> {
    let found = match length {
        Some(length) => packs.iter().find(|pack| pack.length == length),
        None if packs.len() == 1 => packs.first(),
        None => None,
    };
    found.ok_or_else(|| {
        let lengths: Vec<String> = packs.iter().map(|pack| pack.length.to_string()).collect();
        let there = match lengths.as_slice() {
            [] => "it was made without a pack step; add `pack: { length: … }` to its pipeline".to_owned(),
            lengths => format!("it has packs of {}", lengths.join(", ")),
        };
        let wanted = length
            .map_or("the length must be stated".to_owned(), |length| format!("there is no pack of {length}"));
        KernelError::Option {
            name: "seq_len".to_owned(),
            reason: format!("{wanted} in {}: {there}", folder.display()),
        }
    })
}

/// The file of that name.
pub(super) fn find<'a>(folder: &Path, files: &'a [ManifestFile], name: &str) -> Result<&'a ManifestFile> {
    files.iter().find(|file| file.name == name).ok_or_else(|| {
        KernelError::format("run", format!("the manifest of {} lists no {name}", folder.display()))
    })
}

/// The length and the blocks' checksums of a file.
pub(super) fn stated(file: &ManifestFile) -> Result<Stated> {
    let digits = file.blocks.as_bytes();
    let blocks = digits.chunks(16).map(|digits| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok()
    });
    let blocks: Option<Vec<u64>> = blocks.collect();
    blocks.map(|blocks| Stated { bytes: file.bytes, blocks }).ok_or_else(|| {
        KernelError::format("manifest", format!("the block checksums of {} are no hexadecimal", file.name))
    })
}
