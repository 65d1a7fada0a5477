//! Packing: windows of documents to pieces, windows to `.npy` files.

use std::path::Path;

use gristmill_kernels::formats::shard_file::FinishedFile;
use gristmill_kernels::pack::PackOptions;
use gristmill_kernels::pack::assemble::{WindowFiles, assemble};
use gristmill_kernels::pack::window::{PackShard, PackedWindow, pack_window};
use napi_derive::napi;

use crate::guard::{guard, invalid, unsigned};
use crate::removed::NativeFinishedFile;

/// A token shard that is packed.
#[napi(object)]
pub struct NativePackShard {
    /// Its number, as in its name.
    pub number: u32,
    /// Its `.idx`, as a local file.
    pub idx: String,
}

/// A packed window.
#[napi(object)]
pub struct NativePackedWindow {
    /// Documents, those without tokens included.
    pub documents: f64,
    /// Pieces.
    pub pieces: f64,
    /// Sequences.
    pub sequences: f64,
    /// Tokens in the pieces.
    pub tokens: f64,
    /// Documents in more than one piece.
    pub split_documents: f64,
    /// Tokens that were cut off.
    pub truncated_tokens: f64,
    /// The window's `.pieces`, `.documents` and `.boundaries`.
    pub files: NativePackFiles,
}

/// Three files of a packing.
#[napi(object)]
pub struct NativePackFiles {
    /// Where each piece lies.
    pub pieces: NativeFinishedFile,
    /// The document of each piece.
    pub documents: NativeFinishedFile,
    /// The first piece of each sequence.
    pub boundaries: NativeFinishedFile,
}

/// Paths of a window's files.
#[napi(object)]
pub struct NativeWindowPaths {
    /// `.pieces`
    pub pieces: String,
    /// `.documents`
    pub documents: String,
    /// `.boundaries`
    pub boundaries: String,
}

impl From<[FinishedFile; 3]> for NativePackFiles {
    fn from([pieces, documents, boundaries]: [FinishedFile; 3]) -> Self {
        Self { pieces: pieces.into(), documents: documents.into(), boundaries: boundaries.into() }
    }
}

impl From<PackedWindow> for NativePackedWindow {
    fn from(window: PackedWindow) -> Self {
        Self {
            documents: window.documents as f64,
            pieces: window.pieces as f64,
            sequences: window.sequences as f64,
            tokens: window.tokens as f64,
            split_documents: window.split_documents as f64,
            truncated_tokens: window.truncated_tokens as f64,
            files: window.files.into(),
        }
    }
}

/// Packs the documents [from, to), counted over the shards in order, and writes `<prefix>.pieces`,
/// `.documents` and `.boundaries`. `options` is JSON `{length, strategy, truncate}`.
#[napi]
pub fn pack_documents(
    options: String,
    shards: Vec<NativePackShard>,
    from: f64,
    to: f64,
    prefix: String,
) -> napi::Result<NativePackedWindow> {
    guard("pack", || {
        let options: PackOptions =
            serde_json::from_str(&options).map_err(|error| invalid("pack options", error))?;
        let shards: Vec<PackShard> = shards
            .into_iter()
            .map(|shard| PackShard { number: shard.number, idx: shard.idx.into() })
            .collect();
        pack_window(options, &shards, unsigned(from), unsigned(to), Path::new(&prefix)).map(Into::into)
    })
}

/// Joins windows, in order, to `pieces.npy`, `documents.npy` and `boundaries.npy` in `folder`.
#[napi]
pub fn assemble_packing(windows: Vec<NativeWindowPaths>, folder: String) -> napi::Result<NativePackFiles> {
    guard("pack.assemble", || {
        let windows: Vec<WindowFiles> = windows
            .into_iter()
            .map(|window| WindowFiles {
                pieces: window.pieces.into(),
                documents: window.documents.into(),
                boundaries: window.boundaries.into(),
            })
            .collect();
        assemble(&windows, Path::new(&folder)).map(Into::into)
    })
}
