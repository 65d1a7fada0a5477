//! What a feed or an export needs of a run's `manifest.json`.

use std::path::Path;

use serde::Deserialize;

use super::mapped::Stated;
use crate::error::{KernelError, Result};

/// A finished run: the keys that are needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    pub(crate) tokenizer: Option<ManifestTokenizer>,
    pub(crate) shards: Vec<ManifestShard>,
    pub(crate) packs: Vec<ManifestPack>,
    #[serde(default)]
    pub(crate) columns: Vec<ManifestColumn>,
}

/// A column of the rows.
#[derive(Deserialize)]
pub(crate) struct ManifestColumn {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// The run's tokenizer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestTokenizer {
    pub(crate) vocabulary_size: u32,
}

/// A shard.
#[derive(Deserialize)]
pub(crate) struct ManifestShard {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) tokens: Option<u64>,
    pub(crate) files: Vec<ManifestFile>,
}

/// A packing.
#[derive(Deserialize)]
pub(crate) struct ManifestPack {
    pub(crate) length: u32,
    pub(crate) sequences: u64,
    pub(crate) pieces: u64,
    pub(crate) files: Vec<ManifestFile>,
}

/// A file, its length and its checksums.
#[derive(Deserialize)]
pub(crate) struct ManifestFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) checksum: String,
    pub(crate) blocks: String,
}

/// The manifest of the run in `folder`.
pub(crate) fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join("manifest.json");
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = match folder.to_str() {
                _ if folder.is_dir() => "it has no manifest.json",
                Some(url) if url.contains("://") => "runs are read from local folders; copy it to one",
                _ => "there is no such folder",
            };
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
pub(crate) fn choose_pack<'a>(
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
        let there = match (lengths.as_slice(), length) {
            ([], _) => "there are no packs, as its pipeline has no step `pack: { length: … }`".to_owned(),
            (lengths, Some(length)) => {
                format!("there is no pack of {length}, it has packs of {}", lengths.join(", "))
            }
            (lengths, None) => format!("the length must be stated, it has packs of {}", lengths.join(", ")),
        };
        let reason = format!("{}: {there}", folder.display());
        KernelError::Option { name: "seq_len".to_owned(), reason }
    })
}

/// The file of that name.
pub(crate) fn find<'a>(folder: &Path, files: &'a [ManifestFile], name: &str) -> Result<&'a ManifestFile> {
    files.iter().find(|file| file.name == name).ok_or_else(|| {
        KernelError::format("run", format!("the manifest of {} lists no {name}", folder.display()))
    })
}

/// The length and the blocks' checksums of a file.
pub(crate) fn stated(file: &ManifestFile) -> Result<Stated> {
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
