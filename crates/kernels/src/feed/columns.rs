//! The columns of a run's `docs.parquet` files, as something that is known of each sample.
//!
//! A column is read once, when the feed is opened, row group by row group, and only its own bytes are
//! decoded. What is kept of it is a byte a sample ([`Codes`]: which of a few values) or four (a number).
//! A packed sequence has what most of its ids have, or the mean over its ids.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use rustc_hash::{FxHashMap, FxHashSet};

use super::codes::{Codes, MOST, OTHER};
use super::dataset::{Dataset, NpyFile, open_npy};
use super::manifest::{Manifest, choose_pack, find, read_manifest, stated};
use super::mapped::MappedFile;
use crate::error::{KernelError, Result};
use crate::expr::value::{self, Value};
use crate::formats::untrusted;
use crate::hash::digest128;
use crate::pack::assemble::DOCUMENTS;

/// Bytes that are read at a time where the decoder does not say how many it needs.
const PAGE_HEAD_BYTES: u64 = 8 << 10;

/// The tables of a run's documents, one a shard.
#[derive(Debug)]
pub struct Columns {
    folder: PathBuf,
    tables: Vec<Table>,
    /// The document of each piece, when samples are packed sequences.
    documents: Option<NpyFile>,
    fingerprint: u64,
}

#[derive(Debug)]
struct Table {
    file: Arc<MappedFile>,
    rows: u64,
    /// Documents of the shards before.
    first: u64,
}

impl Columns {
    /// Maps the tables of the run in `folder`; `length` is that of its packing, when that is what is read.
    ///
    /// # Errors
    /// As [`Dataset::open`]; `Format` when the run has no tables of documents.
    pub fn open(folder: &Path, length: Option<u32>, check: bool) -> Result<Self> {
        let manifest = read_manifest(folder)?;
        let mut content = String::new();
        let mut tables = Vec::with_capacity(manifest.shards.len());
        let mut first = 0;
        for shard in &manifest.shards {
            let listed = find(folder, &shard.files, &format!("shards/{}.docs.parquet", shard.name))?;
            content.extend([&listed.name, " ", &listed.checksum, "\n"]);
            let file = Arc::new(MappedFile::open(&folder.join(&listed.name), stated(listed)?, check)?);
            tables.push(Table { file, rows: shard.rows, first });
            first += shard.rows;
        }
        let documents = length.map(|length| open_owners(folder, &manifest, length, check)).transpose()?;
        let fingerprint = digest128(content.as_bytes()) as u64;
        Ok(Self { folder: folder.to_owned(), tables, documents, fingerprint })
    }

    /// A hash of the tables' content.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The different values of a column, sorted as texts; nulls are none.
    ///
    /// # Errors
    /// `Option` when there are more than a feed can tell apart; as [`Columns::each`].
    pub fn distinct(&self, name: &str) -> Result<Vec<String>> {
        let mut known = FxHashSet::<String>::default();
        self.texts(name, |_, text| {
            if let Some(text) = text.filter(|text| !known.contains(*text)) {
                known.insert(text.to_owned());
            }
            if known.len() <= MOST {
                return Ok(());
            }
            Err(KernelError::Option {
                name: "mixture".to_owned(),
                reason: format!("column '{name}' has more than {MOST} values; name those to mix"),
            })
        })?;
        let mut values: Vec<String> = known.into_iter().collect();
        values.sort_unstable();
        Ok(values)
    }

    /// Which of `values` each sample of `dataset` has in a column.
    ///
    /// # Errors
    /// `Option` when a value is named twice or there are too many; as [`Columns::each`].
    pub fn codes(&self, dataset: &Dataset, name: &str, values: &[&str]) -> Result<Codes> {
        let bad = |reason: String| KernelError::Option { name: "mixture".to_owned(), reason };
        if values.len() > MOST {
            return Err(bad(format!("{} values are more than {MOST}", values.len())));
        }
        let mut known = FxHashMap::default();
        for (code, value) in (0_u8..).zip(values) {
            if known.insert(*value, code).is_some() {
                return Err(bad(format!("value '{value}' of column '{name}' is named twice")));
            }
        }
        let mut of_documents = Vec::new();
        self.texts(name, |_, text| {
            of_documents.push(text.and_then(|text| known.get(text)).copied().unwrap_or(OTHER));
            Ok(())
        })?;
        let Some(owners) = &self.documents else { return Ok(Codes::new(of_documents, values.len())) };
        let mut codes = Vec::new();
        let mut ids = vec![0_u64; usize::from(OTHER) + 1];
        self.each_sequence(dataset, owners, |pieces| {
            ids.fill(0);
            for &(document, length) in pieces {
                ids[usize::from(of_documents[document as usize])] += u64::from(length);
            }
            let most = (0..ids.len()).max_by_key(|&code| (ids[code], std::cmp::Reverse(code)));
            codes.push(most.map_or(OTHER, |code| code as u8));
        })?;
        Ok(Codes::new(codes, values.len()))
    }

    /// The number that each sample of `dataset` has in a column.
    ///
    /// # Errors
    /// `Option` when a document has none; as [`Columns::each`].
    pub fn numbers(&self, dataset: &Dataset, name: &str) -> Result<Vec<f32>> {
        let mut of_documents = Vec::new();
        self.each(name, |table, array| {
            let numbers = value::into_array(value::of_array(array)?, &DataType::Float64, array.len());
            let numbers = numbers.map_err(|_| column_type(name, "a number", array))?;
            let numbers: &Float64Array = numbers.as_primitive::<Float64Type>();
            for number in numbers {
                let number = number.unwrap_or(f64::NAN) as f32;
                if !number.is_finite() {
                    let row = of_documents.len() as u64 - table.first;
                    let path = table.file.path().display();
                    return Err(KernelError::Option {
                        name: "difficulty".to_owned(),
                        reason: format!("row {row} of {path} has no number in column '{name}'"),
                    });
                }
                of_documents.push(number);
            }
            Ok(())
        })?;
        let Some(owners) = &self.documents else { return Ok(of_documents) };
        let mut means = Vec::new();
        self.each_sequence(dataset, owners, |pieces| {
            let (mut sum, mut ids) = (0.0, 0.0);
            for &(document, length) in pieces {
                sum += f64::from(of_documents[document as usize]) * f64::from(length);
                ids += f64::from(length);
            }
            means.push((sum / f64::max(ids, 1.0)) as f32);
        })?;
        Ok(means)
    }

    /// Calls `take` with the value of every document as text, `None` where it is null.
    fn texts(&self, name: &str, mut take: impl FnMut(&Table, Option<&str>) -> Result<()>) -> Result<()> {
        self.each(name, |table, array| {
            for text in &texts(name, array)? {
                take(table, text)?;
            }
            Ok(())
        })
    }

    /// Calls `take` with the column's arrays, in the order of the documents.
    ///
    /// # Errors
    /// `ColumnMissing` when a table has no such column, `ColumnType` when it has another type; `Format`,
    /// `Checksum` or `Io` when a table is damaged.
    fn each(&self, name: &str, mut take: impl FnMut(&Table, &ArrayRef) -> Result<()>) -> Result<()> {
        for table in &self.tables {
            let source = Source { file: Arc::clone(&table.file), failed: Arc::default() };
            let failed = Arc::clone(&source.failed);
            // What went wrong below the decoder says more than what the decoder makes of it.
            let damaged = |reason: String| {
                let told = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                let path = table.file.path().display();
                told.unwrap_or_else(|| KernelError::format("parquet", format!("{path}: {reason}")))
            };
            let builder =
                untrusted::decode(|| ParquetRecordBatchReaderBuilder::try_new(source)).map_err(&damaged)?;
            let available: Vec<String> =
                builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            let Some(at) = available.iter().position(|there| there == name) else {
                return Err(KernelError::ColumnMissing { name: name.to_owned(), available });
            };
            let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
            let mut reader = untrusted::decode(|| builder.with_projection(mask).build()).map_err(&damaged)?;
            let mut rows = 0;
            while let Some(batch) = untrusted::decode(|| reader.next().transpose()).map_err(&damaged)? {
                rows += batch.num_rows() as u64;
                take(table, batch.column(0))?;
            }
            if rows != table.rows {
                return Err(damaged(format!("it has {rows} rows, the manifest states {}", table.rows)));
            }
        }
        Ok(())
    }

    /// Calls `take` with the pieces of every packed sequence: document, counted in the run, and ids.
    fn each_sequence(
        &self,
        dataset: &Dataset,
        owners: &NpyFile,
        mut take: impl FnMut(&[(u64, u32)]),
    ) -> Result<()> {
        let mut stretches = Vec::new();
        let mut pieces = Vec::new();
        let mut piece = 0;
        for sequence in 0..dataset.sequences() {
            stretches.clear();
            pieces.clear();
            dataset.stretches(sequence, u32::MAX, &mut stretches)?;
            for stretch in &stretches {
                let row = owners.items(piece, piece + 1, 4)?;
                let row = u64::from(u32::from_le_bytes(std::array::from_fn(|i| row[i])));
                let table = self.tables.get(stretch.shard as usize).filter(|table| row < table.rows);
                let table = table.ok_or_else(|| {
                    let reason = format!("piece {piece} is of row {row} of shard {}", stretch.shard);
                    KernelError::format("packing", format!("{}: {reason}", self.folder.display()))
                })?;
                pieces.push((table.first + row, stretch.length));
                piece += 1;
            }
            take(&pieces);
        }
        Ok(())
    }
}

fn open_owners(folder: &Path, manifest: &Manifest, length: u32, check: bool) -> Result<NpyFile> {
    let pack = choose_pack(folder, &manifest.packs, Some(length))?;
    let file = find(folder, &pack.files, &format!("packs/{length}/documents.npy"))?;
    open_npy(&folder.join(&file.name), stated(file)?, DOCUMENTS, pack.pieces, check)
}

fn column_type(name: &str, expected: &str, array: &ArrayRef) -> KernelError {
    KernelError::ColumnType {
        name: name.to_owned(),
        expected: expected.to_owned(),
        got: array.data_type().to_string(),
    }
}

/// The values of a column as texts: a whole number by its digits, a condition as `true` or `false`.
fn texts(name: &str, array: &ArrayRef) -> Result<StringArray> {
    let rows = array.len();
    Ok(match value::of_array(array)? {
        Value::Ints(lane) => {
            let ints = value::into_array(Value::Ints(lane), &DataType::Int64, rows)?;
            let ints = ints.as_primitive::<arrow_array::types::Int64Type>();
            ints.iter().map(|number| number.map(|number| number.to_string())).collect()
        }
        Value::Truth(truth) => {
            let truths = value::into_array(Value::Truth(truth), &DataType::Boolean, rows)?;
            truths.as_boolean().iter().map(|yes| yes.map(|yes| yes.to_string())).collect()
        }
        values @ (Value::Texts(_) | Value::Null) => {
            value::into_array(values, &DataType::Utf8, rows)?.as_string::<i32>().clone()
        }
        Value::Floats(_) | Value::Opaque(_) => {
            return Err(column_type(name, "texts, whole numbers or conditions", array));
        }
    })
}

/// A mapped file as the Parquet decoder reads it, each block checked when it is first touched.
struct Source {
    file: Arc<MappedFile>,
    /// Why a read failed: the decoder's errors are texts.
    failed: Arc<Mutex<Option<KernelError>>>,
}

impl Source {
    fn bytes(&self, from: u64, to: u64) -> std::io::Result<&[u8]> {
        self.file.bytes(from, to).map_err(|error| {
            let told = std::io::Error::other(error.to_string());
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Source {
    type T = SourceFrom;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let source = Self { file: Arc::clone(&self.file), failed: Arc::clone(&self.failed) };
        Ok(SourceFrom { source, at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.bytes(start, start.saturating_add(length as u64));
        bytes.map(Bytes::copy_from_slice).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// A source from some byte on.
pub struct SourceFrom {
    source: Source,
    at: u64,
}

impl Read for SourceFrom {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let end = (self.at + PAGE_HEAD_BYTES.min(out.len() as u64)).min(self.source.len());
        let bytes = self.source.bytes(self.at, end.max(self.at))?;
        out[..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}
