//! Packing one window of documents: lengths from `.idx` files, pieces to files that [`super::assemble`]
//! joins.
//!
//! | file | element |
//! |---|---|
//! | `<prefix>.pieces` | u64 first token in the shard, u32 shard, u32 tokens |
//! | `<prefix>.documents` | u32 document of the piece, by its place in the shard |
//! | `<prefix>.boundaries` | u64 first piece of each sequence, counted in the window |

use std::path::{Path, PathBuf};

use super::{PackOptions, Piece, pack};
use crate::error::{KernelError, Result};
use crate::formats::megatron::MegatronLengths;
use crate::formats::shard_file::{FinishedFile, ShardFile};

/// Bytes of a piece.
pub const PIECE_BYTES: u64 = 16;

/// Pieces converted at a time.
const CHUNK: usize = 16 << 10;

/// A shard of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackShard {
    /// Its number, as in its name.
    pub number: u32,
    /// Its `.idx`, as a local file.
    pub idx: PathBuf,
}

/// A packed window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedWindow {
    /// Documents, those without tokens included.
    pub documents: u64,
    /// Pieces.
    pub pieces: u64,
    /// Sequences.
    pub sequences: u64,
    /// Tokens in the pieces.
    pub tokens: u64,
    /// Documents in more than one piece.
    pub split_documents: u64,
    /// Tokens that were cut off.
    pub truncated_tokens: u64,
    /// `.pieces`, `.documents` and `.boundaries`.
    pub files: [FinishedFile; 3],
}

/// Where the documents of a window lie.
#[derive(Default)]
struct Documents {
    lengths: Vec<u32>,
    runs: Vec<Run>,
}

/// Documents of one shard that follow each other.
struct Run {
    shard: u32,
    /// First document: in the window, in the shard, and its first token in the shard.
    first: u32,
    index: u32,
    token_offset: u64,
}

/// Packs the documents [from, to) of all shards' documents, counted in the order of `shards`.
///
/// # Errors
/// `Io` or `Format` when an `.idx` cannot be read or a file not written; `Internal` when the shards have
/// fewer documents; `Option` as [`pack`].
pub fn pack_window(
    options: PackOptions,
    shards: &[PackShard],
    from: u64,
    to: u64,
    prefix: &Path,
) -> Result<PackedWindow> {
    let documents = read(shards, from, to.max(from))?;
    let packed = pack(&documents.lengths, options)?;
    let file = |suffix: &str| {
        let mut path = prefix.as_os_str().to_owned();
        path.push(suffix);
        ShardFile::create(PathBuf::from(path))
    };
    let files = write(
        &documents,
        &packed.pieces,
        &packed.boundaries,
        [file(".pieces")?, file(".documents")?, file(".boundaries")?],
    )?;
    Ok(PackedWindow {
        documents: documents.lengths.len() as u64,
        pieces: packed.pieces.len() as u64,
        sequences: packed.boundaries.len() as u64,
        tokens: packed.pieces.iter().map(|piece| u64::from(piece.length)).sum(),
        split_documents: packed.split_documents,
        truncated_tokens: packed.truncated_tokens,
        files,
    })
}

fn read(shards: &[PackShard], from: u64, to: u64) -> Result<Documents> {
    let mut documents = Documents::default();
    let mut position = 0;
    for shard in shards {
        if position >= to {
            break;
        }
        let mut lengths = MegatronLengths::open(&shard.idx)?;
        let end = position + lengths.left();
        if end > from {
            let mut skipped = Vec::new();
            let skip = lengths.read(from.saturating_sub(position), &mut skipped)?;
            documents.runs.push(Run {
                shard: shard.number,
                first: documents.lengths.len() as u32,
                index: skip as u32,
                token_offset: skipped.iter().map(|&length| u64::from(length)).sum(),
            });
            lengths.read(to - position - skip, &mut documents.lengths)?;
        }
        position = end;
    }
    if documents.lengths.len() as u64 != to - from {
        return Err(KernelError::internal(format!(
            "documents {from} to {to} were asked for, but the shards have {position}"
        )));
    }
    Ok(documents)
}

fn write(
    documents: &Documents,
    pieces: &[Piece],
    boundaries: &[u64],
    [mut piece_file, mut document_file, mut boundary_file]: [ShardFile; 3],
) -> Result<[FinishedFile; 3]> {
    // Where each document starts in its shard.
    let mut starts = Vec::with_capacity(documents.lengths.len());
    for (at, run) in documents.runs.iter().enumerate() {
        let end = documents.runs.get(at + 1).map_or(documents.lengths.len(), |next| next.first as usize);
        let lengths = &documents.lengths[run.first as usize..end];
        starts.extend(lengths.iter().scan(run.token_offset, |next, &length| {
            let start = *next;
            *next += u64::from(length);
            Some(start)
        }));
    }
    let (mut piece_bytes, mut document_bytes) = (Vec::new(), Vec::new());
    for chunk in pieces.chunks(CHUNK) {
        piece_bytes.clear();
        document_bytes.clear();
        for piece in chunk {
            let run = &documents.runs[documents.runs.partition_point(|run| run.first <= piece.document) - 1];
            let token_offset = starts[piece.document as usize] + u64::from(piece.from);
            piece_bytes.extend_from_slice(&token_offset.to_le_bytes());
            piece_bytes.extend_from_slice(&run.shard.to_le_bytes());
            piece_bytes.extend_from_slice(&piece.length.to_le_bytes());
            let index = run.index + (piece.document - run.first);
            document_bytes.extend_from_slice(&index.to_le_bytes());
        }
        piece_file.append(&piece_bytes)?;
        document_file.append(&document_bytes)?;
    }
    for chunk in boundaries.chunks(CHUNK) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|boundary| boundary.to_le_bytes()).collect();
        boundary_file.append(&bytes)?;
    }
    Ok([piece_file.finish()?, document_file.finish()?, boundary_file.finish()?])
}
