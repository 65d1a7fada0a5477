//! Megatron's indexed datasets, version 1: token ids in a `.bin`, where each document lies in an `.idx`.
//!
//! | bytes of `.idx`, little-endian | what |
//! |---|---|
//! | 9 | `MMIDIDX\0\0` |
//! | u64 | version, 1 |
//! | u8 | type of the ids: 8 is u16, 4 is i32 (there is no u32) |
//! | u64 | sequences S |
//! | u64 | S + 1 |
//! | i32 × S | ids of each sequence |
//! | i64 × S | where each sequence starts in the `.bin`, in bytes |
//! | i64 × (S + 1) | first sequence of each document, and S |
//!
//! Here a document is one sequence, and one without ids stays as a sequence of length 0: row i of the
//! documents table beside the shard is sequence i. The reference is Megatron-LM's
//! `megatron/core/datasets/indexed_dataset.py`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ListArray};
use arrow_schema::SchemaRef;

use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::formats::docs_table::DocsTable;
use crate::formats::shard_file::{FinishedFile, ShardFile};
use crate::tokenize::TOKENS;

pub(crate) const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
pub(crate) const VERSION: u64 = 1;
pub(crate) const HEADER_BYTES: u64 = 9 + 8 + 1 + 8 + 8;

/// Vocabularies below this size are written as u16, as Megatron-LM chooses it.
pub const U16_VOCABULARY: u32 = 65_500;

/// A shard ends with the document that brings its `.bin` to this size.
pub const SHARD_BYTES: u64 = 256 << 20;

/// Ids converted, or numbers of the index written, at a time.
const CHUNK: usize = 64 << 10;

/// How ids are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    U16,
    I32,
}

impl Width {
    fn of_vocabulary(size: u32) -> Self {
        if size < U16_VOCABULARY { Self::U16 } else { Self::I32 }
    }

    fn code(self) -> u8 {
        match self {
            Self::U16 => 8,
            Self::I32 => 4,
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Self::U16 => 2,
            Self::I32 => 4,
        }
    }

    fn highest(self) -> u32 {
        match self {
            Self::U16 => u32::from(u16::MAX),
            Self::I32 => i32::MAX.cast_unsigned(),
        }
    }
}

/// A finished shard: the files by their suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MegatronShard {
    /// Documents.
    pub rows: u64,
    /// Ids in the `.bin`.
    pub tokens: u64,
    /// `.bin`, `.idx` and `.docs.parquet`.
    pub files: [(&'static str, FinishedFile); 3],
}

/// Shards under construction, in one folder.
pub struct MegatronWriter {
    folder: PathBuf,
    base_name: String,
    width: Width,
    shard_bytes: u64,
    open: Option<OpenShard>,
    finished: Vec<MegatronShard>,
    scratch: Vec<u8>,
}

struct OpenShard {
    bin: ShardFile,
    idx: PathBuf,
    docs: DocsTable,
    lengths: Vec<u32>,
    tokens: u64,
}

impl MegatronWriter {
    /// Shards named `<base_name>.<number><suffix>` in `folder`; no file is made before the first row.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, base_name: &str, vocabulary_size: u32) -> Self {
        Self::with_shard_bytes(folder, base_name, vocabulary_size, SHARD_BYTES)
    }

    /// As [`MegatronWriter::new`], with other shard sizes than the usual.
    #[must_use]
    pub fn with_shard_bytes(
        folder: impl Into<PathBuf>,
        base_name: &str,
        vocabulary_size: u32,
        shard_bytes: u64,
    ) -> Self {
        Self {
            folder: folder.into(),
            base_name: base_name.to_owned(),
            width: Width::of_vocabulary(vocabulary_size),
            shard_bytes,
            open: None,
            finished: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Appends the selected rows of a batch.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when there is no list column `tokens` of u32; `Format` when an id
    /// does not fit the width that the vocabulary's size asks for; `Io` when writing fails.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut batch = batch.clone();
        batch.compact()?;
        let list: &ListArray = batch.typed(TOKENS, "list of u32")?;
        let ids = list.values().as_primitive_opt::<UInt32Type>().ok_or_else(|| KernelError::ColumnType {
            name: TOKENS.to_owned(),
            expected: "list of u32".to_owned(),
            got: list.data_type().to_string(),
        })?;
        let offsets: Vec<usize> =
            list.offsets().iter().map(|&offset| offset.cast_unsigned() as usize).collect();
        let lengths: Vec<u32> = offsets.windows(2).map(|ends| (ends[1] - ends[0]) as u32).collect();
        let mut row = 0;
        while row < lengths.len() {
            let room = self.shard_bytes.saturating_sub(self.open.as_ref().map_or(0, |open| open.bin.bytes()));
            let rows = rows_to(&lengths[row..], room.div_ceil(self.width.bytes()));
            let end = row + rows;
            self.append(
                &Batch::from_record(batch.record().slice(row, rows))?,
                &ids.values()[offsets[row]..offsets[end]],
                &lengths[row..end],
            )?;
            row = end;
        }
        Ok(())
    }

    /// Closes the last shard and returns all; none when there was no row.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(mut self) -> Result<Vec<MegatronShard>> {
        self.close()?;
        Ok(self.finished)
    }

    /// Writes rows that belong in one shard, and closes it when they fill it.
    fn append(&mut self, batch: &Batch, ids: &[u32], lengths: &[u32]) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.create(&batch.schema())?);
        }
        let Some(open) = &mut self.open else { return Err(KernelError::internal("no open shard")) };
        append_ids(&mut open.bin, ids, self.width, &mut self.scratch)?;
        open.docs.write(batch, lengths)?;
        open.lengths.extend_from_slice(lengths);
        open.tokens += ids.len() as u64;
        if open.bin.bytes() >= self.shard_bytes {
            self.close()?;
        }
        Ok(())
    }

    fn create(&self, schema: &SchemaRef) -> Result<OpenShard> {
        let number = self.finished.len();
        let path = |suffix: &str| self.folder.join(format!("{}.{number}{suffix}", self.base_name));
        Ok(OpenShard {
            bin: ShardFile::create(path(".bin"))?,
            idx: path(".idx"),
            docs: DocsTable::create(path(".docs.parquet"), schema)?,
            lengths: Vec::new(),
            tokens: 0,
        })
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let idx = write_idx(&open.idx, &open.lengths, self.width)?;
        self.finished.push(MegatronShard {
            rows: open.lengths.len() as u64,
            tokens: open.tokens,
            files: [(".bin", open.bin.finish()?), (".idx", idx), (".docs.parquet", open.docs.finish()?)],
        });
        Ok(())
    }
}

/// How many documents go in before the one after them would start at or past `tokens`; at least one.
fn rows_to(lengths: &[u32], tokens: u64) -> usize {
    let mut sum = 0;
    for (row, &length) in lengths.iter().enumerate() {
        sum += u64::from(length);
        if sum >= tokens {
            return row + 1;
        }
    }
    lengths.len()
}

fn append_ids(file: &mut ShardFile, ids: &[u32], width: Width, scratch: &mut Vec<u8>) -> Result<()> {
    if let Some(&id) = ids.iter().max().filter(|&&id| id > width.highest()) {
        return Err(KernelError::format(
            "megatron",
            format!(
                "token id {id} is above {}, the highest that the vocabulary's size allows",
                width.highest()
            ),
        ));
    }
    for ids in ids.chunks(CHUNK) {
        scratch.clear();
        match width {
            Width::U16 => scratch.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes())),
            Width::I32 => scratch.extend(ids.iter().flat_map(|id| id.to_le_bytes())),
        }
        file.append(scratch)?;
    }
    Ok(())
}

fn write_idx(path: &Path, lengths: &[u32], width: Width) -> Result<FinishedFile> {
    let mut file = ShardFile::create(path)?;
    let sequences = lengths.len() as u64;
    file.append(MAGIC)?;
    file.append(&VERSION.to_le_bytes())?;
    file.append(&[width.code()])?;
    file.append(&sequences.to_le_bytes())?;
    file.append(&(sequences + 1).to_le_bytes())?;
    append_numbers(&mut file, lengths.iter().map(|length| length.to_le_bytes()))?;
    let pointers = lengths.iter().scan(0, |next, &length| {
        let start: u64 = *next;
        *next += u64::from(length) * width.bytes();
        Some(start.to_le_bytes())
    });
    append_numbers(&mut file, pointers)?;
    append_numbers(&mut file, (0..=sequences).map(u64::to_le_bytes))?;
    file.finish()
}

fn append_numbers<const N: usize>(
    file: &mut ShardFile,
    numbers: impl Iterator<Item = [u8; N]>,
) -> Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK * N);
    for number in numbers {
        buffer.extend_from_slice(&number);
        if buffer.len() == CHUNK * N {
            file.append(&buffer)?;
            buffer.clear();
        }
    }
    file.append(&buffer)
}

/// The lengths of an `.idx`, read in order.
pub struct MegatronLengths {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl MegatronLengths {
    /// Opens an `.idx` with one sequence a document.
    ///
    /// # Errors
    /// `Io` when it cannot be read, `Format` when it is no such file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path).map_err(KernelError::io("open", &path))?;
        let bytes = file.metadata().map_err(KernelError::io("read", &path))?.len();
        let mut file = BufReader::with_capacity(256 << 10, file);
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact(&mut header).map_err(KernelError::io("read", &path))?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let (sequences, documents) = (number(18), number(26));
        let whole = sequences
            .checked_mul(20)
            .and_then(|arrays| arrays.checked_add(HEADER_BYTES + 8))
            .is_some_and(|whole| whole == bytes);
        if &header[..9] != MAGIC || number(9) != VERSION || documents.wrapping_sub(1) != sequences || !whole {
            return Err(KernelError::format(
                "megatron",
                format!("{} is not an index with one sequence a document, or is cut short", path.display()),
            ));
        }
        Ok(Self { path, file, left: sequences })
    }

    /// Documents not read yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The lengths of up to `most` further documents, appended to `out`; returns how many there were.
    ///
    /// # Errors
    /// `Io` when reading fails.
    pub fn read(&mut self, most: u64, out: &mut Vec<u32>) -> Result<u64> {
        let count = most.min(self.left);
        let mut bytes = vec![0; count as usize * 4];
        self.file.read_exact(&mut bytes).map_err(KernelError::io("read", &self.path))?;
        out.extend(bytes.chunks_exact(4).map(|four| u32::from_le_bytes(std::array::from_fn(|i| four[i]))));
        self.left -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::Identity;
    use crate::test_folder::TestFolder;
    use crate::tokenize::tokens_field;
    use arrow_array::StringArray;
    use arrow_array::builder::{ListBuilder, UInt32Builder};
    use arrow_buffer::BooleanBuffer;
    use arrow_schema::DataType;
    use proptest::prelude::*;

    fn batch(documents: &[Vec<u32>], first: u64) -> Batch {
        let ids = StringArray::from(vec![None::<&str>; documents.len()]);
        let positions = (first..first + documents.len() as u64).collect();
        let DataType::List(item) = tokens_field().data_type().clone() else { unreachable!() };
        let mut lists = ListBuilder::new(UInt32Builder::new()).with_field(item);
        for document in documents {
            lists.append_value(document.iter().map(|&id| Some(id)));
        }
        let identity = Identity::of_file("rows.jsonl", positions, ids);
        Batch::new(identity, vec![(tokens_field(), Arc::new(lists.finish()))]).unwrap()
    }

    /// The documents of a shard, by the layout in the module's documentation.
    fn read(shard: &MegatronShard) -> Vec<Vec<u32>> {
        let [bin, idx] = [0, 1].map(|file| std::fs::read(&shard.files[file].1.path).unwrap());
        let number = |at: usize| u64::from_le_bytes(idx[at..at + 8].try_into().unwrap()) as usize;
        let sequences = number(18);
        assert_eq!(number(26), sequences + 1);
        let width = if idx[17] == 8 { 2 } else { 4 };
        (0..sequences)
            .map(|i| {
                let length = u32::from_le_bytes(idx[34 + 4 * i..38 + 4 * i].try_into().unwrap()) as usize;
                let start = number(34 + 4 * sequences + 8 * i);
                assert_eq!(number(34 + 12 * sequences + 8 * i), i);
                bin[start..start + length * width]
                    .chunks(width)
                    .map(|id| id.iter().rev().fold(0, |all, &byte| all << 8 | u32::from(byte)))
                    .collect()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn shards_hold_the_documents_and_do_not_depend_on_batches(
            documents in prop::collection::vec(prop::collection::vec(0_u32..60_000, 0..20), 0..60),
            cuts in prop::collection::vec(0_usize..60, 0..6),
            shard_bytes in 1_u64..200,
            wide in any::<bool>(),
        ) {
            let folder = TestFolder::new();
            let write = |name: &str, cuts: &[usize]| {
                let size = if wide { 70_000 } else { 60_000 };
                let mut writer = MegatronWriter::with_shard_bytes(&*folder, name, size, shard_bytes);
                for ends in cuts.windows(2) {
                    writer.write(&batch(&documents[ends[0]..ends[1]], ends[0] as u64)).unwrap();
                }
                writer.finish().unwrap()
            };
            let mut cuts: Vec<usize> =
                cuts.into_iter().map(|cut| cut.min(documents.len())).chain([0, documents.len()]).collect();
            cuts.sort_unstable();
            let whole = write("whole", &[0, documents.len()]);
            let pieces = write("pieces", &cuts);
            let sums = |shards: &[MegatronShard]| shards
                .iter()
                .flat_map(|shard| shard.files.iter().map(|(suffix, file)| (*suffix, file.checksum.clone())))
                .collect::<Vec<_>>();
            prop_assert_eq!(sums(&whole), sums(&pieces));
            prop_assert_eq!(whole.iter().flat_map(read).collect::<Vec<_>>(), documents.clone());
            let width = if wide { 4 } else { 2 };
            for (i, shard) in whole.iter().enumerate() {
                let bytes = shard.files[0].1.bytes;
                prop_assert_eq!(bytes, shard.tokens * width);
                prop_assert!(bytes >= shard_bytes || i + 1 == whole.len());
                let mut lengths = MegatronLengths::open(&shard.files[1].1.path).unwrap();
                let mut read = Vec::new();
                while lengths.read(7, &mut read).unwrap() > 0 {}
                prop_assert_eq!(read.len() as u64, shard.rows);
                prop_assert_eq!(read.iter().map(|&length| u64::from(length)).sum::<u64>(), shard.tokens);
            }
        }
    }

    #[test]
    fn only_selected_rows_are_written() {
        let folder = TestFolder::new();
        let mut batch = batch(&[vec![1], vec![2, 3], vec![], vec![4]], 0);
        batch.retain(&BooleanBuffer::from(vec![true, false, true, true])).unwrap();
        let mut writer = MegatronWriter::new(&*folder, "a", 10);
        writer.write(&batch).unwrap();
        let shards = writer.finish().unwrap();
        assert_eq!(read(&shards[0]), [vec![1], vec![], vec![4]]);
        assert!(MegatronWriter::new(&*folder, "none", 10).finish().unwrap().is_empty());
    }

    #[test]
    fn an_id_that_does_not_fit_is_refused() {
        let folder = TestFolder::new();
        let mut writer = MegatronWriter::new(&*folder, "a", 65_499);
        let message = writer.write(&batch(&[vec![65_536]], 0)).unwrap_err().to_string();
        assert!(message.contains("token id 65536 is above 65535"), "{message}");
    }

    #[test]
    fn an_index_cut_short_is_no_index() {
        let folder = TestFolder::new();
        let mut writer = MegatronWriter::new(&*folder, "a", 10);
        writer.write(&batch(&[vec![1], vec![2]], 0)).unwrap();
        let path = writer.finish().unwrap()[0].files[1].1.path.clone();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(MegatronLengths::open(&path).is_err());
    }
}
