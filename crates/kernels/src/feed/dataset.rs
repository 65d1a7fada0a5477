//! A finished run as a source of samples: its manifest, its packing index or its documents, its shards, all
//! mapped.
//!
//! Nothing is read whole: opening costs the manifest and a look at each file's length, and a sample costs
//! one entry of `boundaries.npy`, its pieces, and their ids; or, where documents are the samples, an entry
//! of a shard's `.idx`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::documents::{Documents, IndexFile};
use super::manifest::{ManifestFile, ManifestPack, ManifestShard, choose_pack, find, read_manifest, stated};
use super::mapped::{MappedFile, Stated};
use crate::error::{KernelError, Result};
use crate::formats::npy;
use crate::hash::digest128;
use crate::pack::assemble::{BOUNDARIES, DOCUMENTS, PIECES};
use crate::pack::window::PIECE_BYTES;

/// A stretch of ids in a shard, all of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First id, counted in the shard.
    pub from: u64,
    /// The shard.
    pub shard: u32,
    /// Ids.
    pub length: u32,
}

impl Stretch {
    /// Reads an entry of `pieces.npy`.
    #[must_use]
    pub fn read(piece: &[u8]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| piece[at + i]));
        let from = u64::from_le_bytes(std::array::from_fn(|i| piece[i]));
        Self { from, shard: u32_at(8), length: u32_at(12) }
    }
}

/// Ids as they lie in a shard.
#[derive(Debug, Clone, Copy)]
pub enum Ids<'a> {
    /// Little-endian u16.
    U16(&'a [u8]),
    /// Little-endian i32.
    I32(&'a [u8]),
}

/// What the samples of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Packed sequences, of the length given; it may be left out when there is one packing.
    Packs(Option<u32>),
    /// Documents, cut after the length given.
    Documents(u32),
}

#[derive(Debug)]
enum Samples {
    Packs { pieces: NpyFile, boundaries: NpyFile },
    Documents(Documents),
}

/// A run and its samples.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    length: u32,
    sequences: u64,
    vocabulary_size: Option<u32>,
    fingerprint: u64,
    check: bool,
    samples: Samples,
    shards: Vec<Shard>,
}

/// A mapped `.npy` file.
#[derive(Debug)]
pub(super) struct NpyFile {
    file: MappedFile,
    data_at: u64,
    length: u64,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    stated: Stated,
    tokens: u64,
    /// Bytes of an id.
    width: u64,
    /// Mapped when first needed.
    file: OnceLock<MappedFile>,
}

impl Dataset {
    /// Opens the run in `folder`. With `check`, each MiB is held against its checksum when it is first
    /// touched.
    ///
    /// # Errors
    /// `RunMissing` when there is no finished run; `Option` when it has no such packing; `Io` or
    /// `Format` when a file is missing or is not what the manifest states.
    pub fn open(folder: &Path, reading: Reading, check: bool) -> Result<Self> {
        let manifest = read_manifest(folder)?;
        if manifest.shards.iter().any(|shard| shard.tokens.is_none()) {
            let reason =
                format!("{} holds rows, not token ids; its pipeline must tokenize", folder.display());
            return Err(KernelError::Option { name: "datasets".to_owned(), reason });
        }
        let (samples, length, sequences, mut content) = match reading {
            Reading::Packs(length) => open_packs(folder, &manifest.packs, length, check)?,
            Reading::Documents(longest) => open_documents(folder, &manifest.shards, longest, check)?,
        };
        let mut shards = Vec::with_capacity(manifest.shards.len());
        for shard in &manifest.shards {
            let bin = find(folder, &shard.files, &format!("shards/{}.bin", shard.name))?;
            content.extend(["\n", &bin.name, " ", &bin.checksum]);
            shards.push(Shard::new(folder, bin, shard.tokens.unwrap_or(0))?);
        }
        Ok(Self {
            folder: folder.to_owned(),
            length,
            sequences,
            vocabulary_size: manifest.tokenizer.map(|tokenizer| tokenizer.vocabulary_size),
            fingerprint: digest128(content.as_bytes()) as u64,
            check,
            samples,
            shards,
        })
    }

    /// Where the run lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ids of a full sequence, or the most that are taken of a document.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Samples: sequences or documents.
    pub fn sequences(&self) -> u64 {
        self.sequences
    }

    /// Highest id + 1, when the run knows it.
    pub fn vocabulary_size(&self) -> Option<u32> {
        self.vocabulary_size
    }

    /// A hash of the content: of the checksums of the packing and of all ids.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether its samples are documents, and not packed sequences.
    pub fn reads_documents(&self) -> bool {
        matches!(self.samples, Samples::Documents(_))
    }

    /// Ids of a document, all of them.
    ///
    /// # Errors
    /// As [`Documents::length`]; `Internal` when the samples are packed sequences.
    pub fn document_length(&self, document: u64) -> Result<u32> {
        match &self.samples {
            Samples::Documents(documents) => documents.length(document),
            Samples::Packs { .. } => {
                Err(KernelError::internal("packed sequences have no length of their own"))
            }
        }
    }

    /// Asks the memory for where a sample lies.
    pub fn ask(&self, sample: u64) {
        match &self.samples {
            Samples::Packs { boundaries, .. } => boundaries.file.ask(boundaries.data_at + 8 * sample),
            Samples::Documents(documents) => documents.ask(sample),
        }
    }

    /// Appends the stretches of a sample to `out`, and says how many ids past `longest` were left out.
    ///
    /// # Errors
    /// `Format` when the index points outside itself or holds more than a sequence; `Checksum` or `Io` as
    /// [`MappedFile::bytes`].
    pub fn stretches(&self, sample: u64, longest: u32, out: &mut Vec<Stretch>) -> Result<u64> {
        match &self.samples {
            Samples::Packs { pieces, boundaries } => {
                self.pieces(sample, pieces, boundaries, out)?;
                Ok(0)
            }
            Samples::Documents(documents) => {
                let stretch = documents.stretch(sample)?;
                out.push(Stretch { length: stretch.length.min(longest), ..stretch });
                Ok(stretch.length.saturating_sub(longest).into())
            }
        }
    }

    fn pieces(
        &self,
        sequence: u64,
        pieces: &NpyFile,
        boundaries: &NpyFile,
        out: &mut Vec<Stretch>,
    ) -> Result<()> {
        let boundary = |sequence: u64| -> Result<u64> {
            let bytes = boundaries.items(sequence, sequence + 1, 8)?;
            Ok(u64::from_le_bytes(std::array::from_fn(|i| bytes[i])))
        };
        let from = boundary(sequence)?;
        let to = if sequence + 1 < self.sequences { boundary(sequence + 1)? } else { pieces.length };
        let bad = |reason: String| KernelError::format("packing", format!("sequence {sequence} {reason}"));
        if from >= to || to > pieces.length {
            return Err(bad(format!("has pieces {from} to {to} of {}", pieces.length)));
        }
        let mut filled = 0;
        for piece in pieces.items(from, to, PIECE_BYTES)?.chunks_exact(PIECE_BYTES as usize) {
            let stretch = Stretch::read(piece);
            filled += u64::from(stretch.length);
            out.push(stretch);
        }
        if filled > u64::from(self.length) {
            return Err(bad(format!("has {filled} ids, more than {}", self.length)));
        }
        Ok(())
    }

    /// The ids of a stretch, from its id `from` on, `length` of them.
    ///
    /// # Errors
    /// `Format` when they lie outside the shards; `Checksum` or `Io` as [`MappedFile::bytes`].
    pub fn ids(&self, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>> {
        let Some(shard) = self.shards.get(stretch.shard as usize) else {
            let reason = format!("a piece lies in shard {} of {}", stretch.shard, self.shards.len());
            return Err(KernelError::format("packing", reason));
        };
        let from = stretch.from.saturating_add(u64::from(from));
        let to = from.saturating_add(u64::from(length));
        if to > shard.tokens {
            let reason =
                format!("a piece ends at id {to} of {}, which has {}", shard.path.display(), shard.tokens);
            return Err(KernelError::format("packing", reason));
        }
        let bytes = shard.file(self.check)?.bytes(from * shard.width, to * shard.width)?;
        Ok(if shard.width == 2 { Ids::U16(bytes) } else { Ids::I32(bytes) })
    }
}

/// Samples, the length of a full one, how many there are, and what names their content.
type Opened = (Samples, u32, u64, String);

fn open_packs(folder: &Path, packs: &[ManifestPack], length: Option<u32>, check: bool) -> Result<Opened> {
    let pack = choose_pack(folder, packs, length)?;
    let open = |name: &str, descr: &str, items: u64| {
        let file = find(folder, &pack.files, &format!("packs/{}/{name}", pack.length))?;
        open_npy(&folder.join(&file.name), stated(file)?, descr, items, check)
    };
    let pieces = open("pieces.npy", PIECES, pack.pieces)?;
    let boundaries = open("boundaries.npy", BOUNDARIES, pack.sequences)?;
    let mut content = pack.length.to_string();
    for file in &pack.files {
        content.extend(["\n", &file.name, " ", &file.checksum]);
    }
    Ok((Samples::Packs { pieces, boundaries }, pack.length, pack.sequences, content))
}

fn open_documents(folder: &Path, shards: &[ManifestShard], longest: u32, check: bool) -> Result<Opened> {
    let mut content = "documents".to_owned();
    let mut files = Vec::with_capacity(shards.len());
    for shard in shards {
        let idx = find(folder, &shard.files, &format!("shards/{}.idx", shard.name))?;
        let bin = find(folder, &shard.files, &format!("shards/{}.bin", shard.name))?;
        content.extend(["\n", &idx.name, " ", &idx.checksum]);
        let width = id_width(bin.bytes, shard.tokens.unwrap_or(0));
        files.push(IndexFile { path: folder.join(&idx.name), stated: stated(idx)?, rows: shard.rows, width });
    }
    let documents = Documents::open(files, check)?;
    let count = documents.count();
    Ok((Samples::Documents(documents), longest, count, content))
}

/// Bytes of an id in a file of `bytes` bytes.
fn id_width(bytes: u64, tokens: u64) -> u64 {
    bytes.checked_div(tokens).unwrap_or(2).max(1)
}

impl NpyFile {
    /// The bytes of the items [from, to), of `size` bytes each.
    pub(super) fn items(&self, from: u64, to: u64, size: u64) -> Result<&[u8]> {
        self.file.bytes(self.data_at + from * size, self.data_at + to * size)
    }
}

impl Shard {
    fn new(folder: &Path, bin: &ManifestFile, tokens: u64) -> Result<Self> {
        let path = folder.join(&bin.name);
        // Mapping waits until it is needed; that the file is there and whole is said at once.
        let bytes = std::fs::metadata(&path).map_err(KernelError::io("open", &path))?.len();
        if bytes != bin.bytes {
            let reason = format!("{} has {bytes} bytes, the manifest states {}", path.display(), bin.bytes);
            return Err(KernelError::format("run", reason));
        }
        let width = id_width(bytes, tokens);
        if bytes != tokens.saturating_mul(width) || !(tokens == 0 || width == 2 || width == 4) {
            let reason = format!("{} has {bytes} bytes for {tokens} ids", path.display());
            return Err(KernelError::format("run", reason));
        }
        Ok(Self { path, stated: stated(bin)?, tokens, width, file: OnceLock::new() })
    }

    fn file(&self, check: bool) -> Result<&MappedFile> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        // Two threads may both map it; one map is kept.
        let file = MappedFile::open(&self.path, self.stated.clone(), check)?;
        Ok(self.file.get_or_init(|| file))
    }
}

/// Maps a file of `items` items of the type `descr`.
pub(super) fn open_npy(path: &Path, stated: Stated, descr: &str, items: u64, check: bool) -> Result<NpyFile> {
    let file = MappedFile::open(path, stated, check)?;
    let head = file.bytes(0, file.len().min(4096))?;
    let header = npy::read_header(head)
        .ok_or_else(|| KernelError::format("npy", format!("{} has no header", path.display())))?;
    let size = match descr {
        PIECES => PIECE_BYTES,
        DOCUMENTS => 4,
        _ => 8,
    };
    let whole = header.data_at + header.length.saturating_mul(size);
    if header.descr != descr || header.length != items || whole != file.len() {
        let reason = format!(
            "{} has {} items of {} in {} bytes, expected {items} of {descr}",
            path.display(),
            header.length,
            header.descr,
            file.len()
        );
        return Err(KernelError::format("npy", reason));
    }
    Ok(NpyFile { data_at: header.data_at, length: header.length, file })
}
