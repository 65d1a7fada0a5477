//! Megatron reading: the documents of an `.idx` and its `.bin`, as lists of token ids.
//!
//! The layout is in `megatron.rs`. What others write is wider than what is written there: any type of ids, a
//! document of several sequences (they are joined), sequences anywhere in the `.bin`, and a byte for each
//! sequence behind the index (the mode, in multimodal data; not read).
//!
//! Callers fetch the bytes; which ones is asked here, a window of documents at a time, so that neither file
//! is ever in memory as a whole. The position of a row is the number of its document.

use std::ops::Range;

use arrow_schema::DataType;

use crate::error::{KernelError, Result};
use crate::formats::columnar::{Converted, Selection};
use crate::formats::items::{Fault, ItemRows, Place, list_of};
use crate::formats::megatron::{HEADER_BYTES, MAGIC, VERSION};
use crate::formats::parquet_read::FileColumn;
use crate::reject::Reject;
use crate::tokenize::TOKENS;

/// Bytes of ids in a batch.
const BATCH_BYTES: u64 = 2 << 20;
/// Sequences of one window at most: 12 bytes of index each.
const WINDOW_SEQUENCES: u64 = 4 << 20;

/// What the head of an `.idx` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MegatronIndex {
    item: DataType,
    sequences: u64,
    documents: u64,
    bin_bytes: u64,
}

/// Documents to read next, and where their part of the index lies in the `.idx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How many documents.
    pub documents: u64,
    /// Lengths of their sequences.
    pub lengths: Range<u64>,
    /// Where their sequences start in the `.bin`.
    pub pointers: Range<u64>,
}

impl MegatronIndex {
    /// Bytes at the start of an `.idx` that [`MegatronIndex::parse`] needs.
    pub const HEAD_BYTES: u64 = HEADER_BYTES;

    /// Reads the head of an `.idx` of `idx_bytes` bytes, beside a `.bin` of `bin_bytes`.
    ///
    /// # Errors
    /// `Format` when it is none, or is not as long as it says.
    pub fn parse(head: &[u8], idx_bytes: u64, bin_bytes: u64) -> Result<Self> {
        let wrong = |reason: String| KernelError::format("megatron", reason);
        let head: &[u8; HEADER_BYTES as usize] =
            head.try_into().map_err(|_| wrong("the index is too short".to_owned()))?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        if &head[..9] != MAGIC {
            return Err(wrong("the file does not start with MMIDIDX".to_owned()));
        }
        if number(9) != VERSION {
            return Err(wrong(format!("version {} of the index; 1 is read", number(9))));
        }
        let item = match head[17] {
            1 => DataType::UInt8,
            2 => DataType::Int8,
            3 => DataType::Int16,
            4 => DataType::Int32,
            5 => DataType::Int64,
            6 => DataType::Float64,
            7 => DataType::Float32,
            8 => DataType::UInt16,
            code => return Err(wrong(format!("ids of type {code}, which is none"))),
        };
        let (sequences, ends) = (number(18), number(26));
        let whole = sequences.checked_mul(12).and_then(|bytes| bytes.checked_add(HEADER_BYTES));
        let whole = whole.and_then(|bytes| bytes.checked_add(ends.checked_mul(8)?));
        let fits =
            whole.is_some_and(|whole| whole == idx_bytes || whole.checked_add(sequences) == Some(idx_bytes));
        if !fits || ends == 0 {
            let reason = format!(
                "the index has {idx_bytes} bytes, which do not fit its {sequences} sequences and {ends} ends of documents"
            );
            return Err(wrong(reason));
        }
        Ok(Self { item, sequences, documents: ends - 1, bin_bytes })
    }

    /// Documents in the index.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// The column that there is.
    #[must_use]
    pub fn column(&self) -> FileColumn {
        FileColumn { name: TOKENS.to_owned(), kind: "integers", data_type: list_of(self.item.clone()) }
    }

    /// Where the first sequences of documents [from, to] lie in the `.idx`; that of `to` ends the one before.
    #[must_use]
    pub fn document_range(&self, from: u64, to: u64) -> Range<u64> {
        let start = HEADER_BYTES + 12 * self.sequences;
        let (from, to) = (from.min(self.documents), to.min(self.documents));
        start + 8 * from..start + 8 * (to + 1)
    }

    fn width(&self) -> u64 {
        self.item.primitive_width().unwrap_or(1) as u64
    }
}

/// A document whose place is known.
struct Document {
    number: u64,
    bytes: u64,
    /// Its stretches of the `.bin`, among those of the window.
    stretches: Range<usize>,
}

/// Reads documents of one index.
pub struct MegatronReader {
    index: MegatronIndex,
    selection: Selection,
    rows: ItemRows,
    /// Of the window: its first document, and the first sequences of its documents.
    first: u64,
    ends: Vec<u64>,
    documents: Vec<Document>,
    stretches: Vec<Range<u64>>,
    /// The next document to read.
    next: usize,
}

impl MegatronReader {
    /// A reader of the selected columns, of which there is one.
    ///
    /// # Errors
    /// `Internal` for broken invariants.
    pub fn new(index: MegatronIndex, selection: Selection) -> Result<Self> {
        let mut rows = ItemRows::default();
        rows.set_file(&selection.file);
        rows.open(std::iter::once((TOKENS, &list_of(index.item.clone()))), None, false)?;
        Ok(Self {
            index,
            selection,
            rows,
            first: 0,
            ends: Vec::new(),
            documents: Vec::new(),
            stretches: Vec::new(),
            next: 0,
        })
    }

    /// Starts a window of documents from number `first` on, by the bytes of [`MegatronIndex::document_range`]. `None`
    /// when they are damaged, which is a reject.
    ///
    /// # Errors
    /// `Internal` when there are no bytes.
    pub fn start(&mut self, first: u64, bytes: &[u8]) -> Result<Option<Window>> {
        self.ends = bytes.as_chunks::<8>().0.iter().map(|end| u64::from_le_bytes(*end)).collect();
        (self.first, self.next) = (first, 0);
        self.documents.clear();
        self.stretches.clear();
        let Some((&from, &last)) = self.ends.first().zip(self.ends.last()) else {
            return Err(KernelError::internal("no documents to read"));
        };
        let documents = self.ends.len() as u64 - 1;
        if !self.ends.is_sorted() || last > self.index.sequences {
            let reason = format!(
                "documents {first} to {}: their first sequences are damaged",
                first + documents.max(1) - 1
            );
            self.reject(first, "megatron-index", reason);
            return Ok(None);
        }
        if documents == 0 {
            return Ok(None);
        }
        let fitting = self.ends.partition_point(|&end| end - from <= WINDOW_SEQUENCES);
        if fitting < 2 {
            let reason =
                format!("the document has {} sequences, more than {WINDOW_SEQUENCES}", self.ends[1] - from);
            self.reject(first, "record-too-long", reason);
        }
        self.ends.truncate(fitting.max(2));
        let to = if fitting < 2 { from } else { self.ends[self.ends.len() - 1] };
        if fitting < 2 {
            self.ends.clear();
        }
        let lengths = HEADER_BYTES + 4 * from..HEADER_BYTES + 4 * to;
        let pointers = HEADER_BYTES + 4 * self.index.sequences;
        Ok(Some(Window {
            documents: fitting.max(2) as u64 - 1,
            lengths,
            pointers: pointers + 8 * from..pointers + 8 * to,
        }))
    }

    /// Takes the lengths and pointers of the window.
    pub fn place(&mut self, lengths: &[u8], pointers: &[u8]) {
        let (lengths, pointers) = (lengths.as_chunks::<4>().0, pointers.as_chunks::<8>().0);
        let ends = std::mem::take(&mut self.ends);
        let base = ends.first().copied().unwrap_or(0);
        for (at, pair) in ends.windows(2).enumerate() {
            let number = self.first + at as u64;
            let sequences = (pair[0] - base) as usize..(pair[1] - base) as usize;
            let own = lengths.get(sequences.clone()).zip(pointers.get(sequences.clone()));
            let own = own.and_then(|(lengths, pointers)| self.stretches_of(lengths, pointers));
            match own {
                None => {
                    let reason =
                        "a sequence of the document lies outside of the .bin, or the index ends".to_owned();
                    self.reject(number, "megatron-index", reason);
                }
                Some((bytes, _)) if bytes > self.selection.max_record_bytes => {
                    let most = self.selection.max_record_bytes;
                    let reason =
                        format!("the document has {bytes} bytes of ids, more than maxRecordBytes ({most})");
                    self.reject(number, "record-too-long", reason);
                }
                Some((bytes, stretches)) => {
                    let start = self.stretches.len();
                    self.stretches.extend(stretches);
                    self.documents.push(Document { number, bytes, stretches: start..self.stretches.len() });
                }
            }
        }
    }

    /// Where a document's ids lie, and how many bytes they are; `None` when that is not in the `.bin`.
    fn stretches_of(&self, lengths: &[[u8; 4]], pointers: &[[u8; 8]]) -> Option<(u64, Vec<Range<u64>>)> {
        let (mut bytes, mut stretches): (u64, Vec<Range<u64>>) = (0, Vec::new());
        for (length, pointer) in lengths.iter().zip(pointers) {
            let length = u64::try_from(i32::from_le_bytes(*length)).ok()? * self.index.width();
            if length == 0 {
                continue;
            }
            let start = u64::from_le_bytes(*pointer);
            let end = start.checked_add(length).filter(|&end| end <= self.index.bin_bytes)?;
            bytes += length;
            match stretches.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => stretches.push(start..end),
            }
        }
        Some((bytes, stretches))
    }

    /// The bytes of the `.bin` to fetch for the next batch; `None` at the end of the window.
    #[must_use]
    pub fn ranges(&self) -> Option<Vec<Range<u64>>> {
        let batch = self.batch();
        if batch.is_empty() {
            return None;
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for stretch in
            self.documents[batch].iter().flat_map(|document| &self.stretches[document.stretches.clone()])
        {
            match ranges.last_mut() {
                Some(last) if last.end == stretch.start => last.end = stretch.end,
                _ => ranges.push(stretch.clone()),
            }
        }
        Some(ranges)
    }

    fn batch(&self) -> Range<usize> {
        let (mut end, mut bytes) = (self.next, 0);
        while end < self.documents.len() && (end == self.next || bytes < BATCH_BYTES) {
            bytes += self.documents[end].bytes + 8;
            end += 1;
        }
        self.next..end
    }

    /// The next batch, from the bytes of [`MegatronReader::ranges`].
    ///
    /// # Errors
    /// `ColumnType` when the selection asks for something else than token ids.
    pub fn read(&mut self, fetched: &[&[u8]]) -> Result<(Converted, u64)> {
        let batch = self.batch();
        self.next = batch.end;
        let (mut chunk, mut at, mut total) = (0, 0, 0);
        let mut ids = Vec::new();
        for document in &self.documents[batch] {
            ids.clear();
            // What was fetched is the documents' bytes one after the other.
            while (ids.len() as u64) < document.bytes && chunk < fetched.len() {
                let rest = &fetched[chunk][at..];
                let taken = rest.len().min(document.bytes as usize - ids.len());
                ids.extend_from_slice(&rest[..taken]);
                at += taken;
                if at == fetched[chunk].len() {
                    (chunk, at) = (chunk + 1, 0);
                }
            }
            total += ids.len() as u64;
            let place = Place { position: document.number, length: document.bytes };
            let staged = if (ids.len() as u64) < document.bytes {
                Err(Fault::new("truncated", "the .bin ends inside the document"))
            } else {
                self.rows.set(0, &ids)
            };
            match staged {
                Ok(()) => self.rows.commit(place),
                Err(fault) => self.rows.reject(place, fault, &[]),
            }
        }
        let (record, positions) = self.rows.take()?;
        let converted = self.selection.convert_at(&record, &positions)?;
        Ok((converted, total))
    }

    /// Documents that cannot be read, so far.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        self.rows.take_rejects()
    }

    fn reject(&mut self, number: u64, code: &'static str, reason: String) {
        self.rows.reject(Place { position: number, length: 0 }, Fault::new(code, reason), &[]);
    }
}
