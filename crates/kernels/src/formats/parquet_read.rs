//! Parquet reading: the footer, what of a row group has to be fetched, and its rows in batches.
//!
//! Only selected columns are decoded. Pages come from a local file or from byte ranges that were fetched
//! before (see [`ParquetReader::ranges`]). Which row groups cannot hold a wanted row is worked out in
//! `parquet_prune.rs`.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field};
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FooterTail, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use crate::error::{KernelError, Result};
use crate::formats::columnar::{Converted, Selection, type_name};
use crate::formats::untrusted;
use crate::reject::Reject;

/// Bytes after the footer: its length and the magic number.
pub const TAIL_BYTES: usize = 8;

/// Decoded bytes of a batch, about. Fixed, since the rows before a damaged page end with a batch.
const BATCH_BYTES: u64 = 2 << 20;
/// Rows of a batch at most.
const BATCH_ROWS: u64 = 8 << 10;

/// Column chunks with less between them than this are fetched together.
const GAP_BYTES: u64 = 64 << 10;

/// A column of a file, as in its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileColumn {
    /// Its name.
    pub name: String,
    /// Its type by the names TypeScript knows; see [`type_name`].
    pub kind: &'static str,
    /// Its Arrow type.
    pub data_type: DataType,
}

impl FileColumn {
    /// A column of a type, which says by itself how it is called.
    #[must_use]
    pub fn new(name: &str, data_type: DataType) -> Self {
        Self { name: name.to_owned(), kind: type_name(&data_type), data_type }
    }
}

/// What a file says about itself.
#[derive(Debug, Clone)]
pub struct ParquetFooter {
    bytes: Bytes,
    metadata: Arc<ParquetMetaData>,
    columns: Vec<FileColumn>,
}

/// Length of the footer, from the last [`TAIL_BYTES`] of the file.
///
/// # Errors
/// `Format` when the file does not end as Parquet does, or is encrypted.
pub fn footer_length(tail: &[u8]) -> Result<usize> {
    let tail = <&[u8; TAIL_BYTES]>::try_from(tail)
        .map_err(|_| KernelError::format("parquet", "the file is too short"))?;
    let tail = FooterTail::try_new(tail)
        .map_err(|_| KernelError::format("parquet", "the file does not end with the magic number PAR1"))?;
    if tail.is_encrypted_footer() {
        return Err(KernelError::format("parquet", "the footer is encrypted"));
    }
    Ok(tail.metadata_length())
}

impl ParquetFooter {
    /// Parses a footer (without its length and the magic number).
    ///
    /// # Errors
    /// `Format` when it is damaged.
    pub fn parse(footer: &[u8]) -> Result<Self> {
        let parsed = untrusted::decode(|| {
            let metadata = ParquetMetaDataReader::decode_metadata(footer)?;
            let schema = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)?;
            Ok::<_, ParquetError>((metadata, schema))
        });
        let (metadata, schema) =
            parsed.map_err(|reason| KernelError::format("parquet", format!("damaged footer: {reason}")))?;
        let roots = metadata.file_metadata().schema_descr().root_schema().get_fields();
        let columns =
            schema.fields().iter().zip(roots).map(|(field, root)| file_column(field, root)).collect();
        Ok(Self { bytes: Bytes::copy_from_slice(footer), metadata: Arc::new(metadata), columns })
    }

    /// The top-level columns.
    pub fn columns(&self) -> &[FileColumn] {
        &self.columns
    }

    /// Number of row groups.
    pub fn row_groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Rows of a row group.
    pub fn rows(&self, group: usize) -> u64 {
        count(self.metadata.row_group(group).num_rows())
    }

    /// Decoded bytes of the named columns of a row group; of all when `names` is `None`.
    pub fn bytes(&self, group: usize, names: Option<&[String]>) -> u64 {
        let wanted = |name: &str| names.is_none_or(|names| names.iter().any(|wanted| wanted == name));
        let columns = self.metadata.row_group(group).columns().iter();
        let selected =
            columns.filter(|column| column.column_path().parts().first().is_some_and(|name| wanted(name)));
        selected.map(|column| count(column.uncompressed_size())).sum()
    }

    /// Where the Bloom filter of a column of a row group lies; `None` when it has none.
    pub fn bloom_range(&self, group: usize, column: &str) -> Option<Range<u64>> {
        let columns = self.metadata.row_group(group).columns().iter();
        let found = columns.into_iter().find(|chunk| chunk.column_path().parts() == [column])?;
        let start = u64::try_from(found.bloom_filter_offset()?).ok()?;
        let length = u64::try_from(found.bloom_filter_length()?).ok()?;
        Some(start..start.checked_add(length)?)
    }

    /// What the footer says in full.
    pub fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// A reader of the selected columns.
    ///
    /// # Errors
    /// `Format` when the schema cannot be read as Arrow.
    pub fn open(&self, selection: Selection) -> Result<ParquetReader> {
        // Texts are decoded as plain bytes and checked afterwards, so that one wrong byte costs its row and
        // not the row group. The reader goes by the annotation in the schema, so it is taken off.
        let schema = without_text_annotations(self.metadata.file_metadata().schema_descr())?;
        let metadata = untrusted::decode(|| {
            let options = ParquetMetaDataOptions::new().with_schema(Arc::clone(&schema));
            let metadata = ParquetMetaDataReader::decode_metadata_with_options(&self.bytes, Some(&options))?;
            // The writer's own Arrow schema is left aside: it only says how its memory looked.
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::try_new(Arc::new(metadata), options)
        });
        let metadata = metadata.map_err(|reason| KernelError::format("parquet", reason))?;
        let sources: Vec<&str> = selection.sources().collect();
        let leaves: Vec<usize> = (0..schema.num_columns())
            .filter(|&leaf| sources.contains(&schema.get_column_root(leaf).name()))
            .collect();
        let mask = ProjectionMask::leaves(&schema, leaves.iter().copied());
        let footer = self.clone();
        Ok(ParquetReader { footer, selection, metadata, mask, leaves, local: None, group: None })
    }
}

/// Whether a Bloom filter lets a text pass: false only when no row of its row group has it.
///
/// # Errors
/// `Format` when the bytes are no Bloom filter.
pub fn bloom_may_hold(filter: &[u8], value: &str) -> Result<bool> {
    let filter = untrusted::decode(|| Sbbf::from_bytes(filter))
        .map_err(|reason| KernelError::format("parquet", format!("damaged Bloom filter: {reason}")))?;
    Ok(filter.check(value))
}

fn file_column(field: &Field, root: &Type) -> FileColumn {
    let data_type = field.data_type().clone();
    let info = root.get_basic_info();
    let is_json =
        info.logical_type_ref() == Some(&LogicalType::Json) || info.converted_type() == ConvertedType::JSON;
    let kind = if is_json { "json" } else { type_name(&data_type) };
    FileColumn { name: field.name().clone(), kind, data_type }
}

/// A count or size from the file; a negative one is nonsense and counts as none.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The schema with top-level text columns as plain byte arrays.
fn without_text_annotations(schema: &SchemaDescriptor) -> Result<Arc<SchemaDescriptor>> {
    let broken = |error: ParquetError| KernelError::format("parquet", error);
    let root = schema.root_schema();
    let fields = root.get_fields().iter().map(plain_text_field).collect::<Result<_>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build().map_err(broken)?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root))))
}

fn plain_text_field(field: &TypePtr) -> Result<TypePtr> {
    let info = field.get_basic_info();
    let is_text = field.is_primitive()
        && field.get_physical_type() == PhysicalType::BYTE_ARRAY
        && (matches!(
            info.logical_type_ref(),
            Some(LogicalType::String | LogicalType::Json | LogicalType::Enum)
        ) || matches!(
            info.converted_type(),
            ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM
        ));
    if !is_text {
        return Ok(Arc::clone(field));
    }
    let repetition = if info.has_repetition() { info.repetition() } else { Repetition::OPTIONAL };
    let plain = Type::primitive_type_builder(info.name(), PhysicalType::BYTE_ARRAY)
        .with_repetition(repetition)
        .build()
        .map_err(|error| KernelError::format("parquet", error))?;
    Ok(Arc::new(plain))
}

/// Reads row groups of one file.
pub struct ParquetReader {
    footer: ParquetFooter,
    selection: Selection,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    leaves: Vec<usize>,
    local: Option<Arc<File>>,
    group: Option<OpenGroup>,
}

struct OpenGroup {
    reader: Option<ParquetRecordBatchReader>,
    number: usize,
    /// Row of the file the group starts with.
    first_row: u64,
    rows: u64,
    /// Rows of the group that were handed out.
    done: u64,
    /// Decoded bytes of the selected columns.
    bytes: u64,
}

/// Bytes of a row group that were fetched: where each stretch starts in the file, and the stretch.
pub type Fetched = Vec<(u64, Bytes)>;

impl ParquetReader {
    /// What the file says about itself.
    pub fn footer(&self) -> &ParquetFooter {
        &self.footer
    }

    /// The columns that are read, and under which names.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Reads pages of a local file as they are needed, instead of from fetched ranges.
    ///
    /// # Errors
    /// `Io` when the file cannot be opened.
    pub fn open_local(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.local = Some(Arc::new(File::open(path).map_err(KernelError::io("open", path))?));
        Ok(())
    }

    /// Byte ranges of the file that hold the selected columns of a row group, in order.
    pub fn ranges(&self, group: usize) -> Vec<Range<u64>> {
        let group = self.footer.metadata.row_group(group);
        let mut chunks: Vec<Range<u64>> = self.leaves.iter().map(|&leaf| chunk_range(group, leaf)).collect();
        chunks.sort_by_key(|range| range.start);
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match ranges.last_mut() {
                Some(last) if chunk.start <= last.end.saturating_add(GAP_BYTES) => {
                    last.end = last.end.max(chunk.end);
                }
                _ => ranges.push(chunk),
            }
        }
        ranges
    }

    /// Starts a row group, the first row of which is row `first_row` of the file; `fetched` holds its
    /// [`ParquetReader::ranges`] unless the file is local.
    pub fn start(&mut self, number: usize, first_row: u64, fetched: Fetched) {
        let rows = self.footer.rows(number);
        let bytes = self
            .leaves
            .iter()
            .map(|&leaf| count(self.footer.metadata.row_group(number).column(leaf).uncompressed_size()));
        let bytes = bytes.sum::<u64>();
        let source = match &self.local {
            Some(file) => Pages::Local(Arc::clone(file)),
            None => Pages::Fetched(fetched.into()),
        };
        let batch_rows = (BATCH_BYTES.saturating_mul(rows.max(1)) / bytes.max(1)).clamp(1, BATCH_ROWS);
        let reader = untrusted::decode(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone())
                .with_projection(self.mask.clone())
                .with_row_groups(vec![number])
                .with_batch_size(batch_rows as usize)
                .build()
        });
        // A group that cannot even be opened fails at its first row, in `read_next`.
        let reader = reader.ok();
        self.group = Some(OpenGroup { reader, number, first_row, rows, done: 0, bytes });
    }

    /// The next rows of the row group with the decoded bytes they stand for; `None` at its end. Where it is
    /// damaged, the rest of its rows become one reject.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the file is not what the selection says.
    pub fn read_next(&mut self) -> Result<Option<(Converted, u64)>> {
        let Some(group) = &mut self.group else { return Ok(None) };
        if group.done >= group.rows {
            self.group = None;
            return Ok(None);
        }
        match group.decode() {
            Ok(record) => {
                let first_row = group.first_row + group.done;
                let rows = record.num_rows() as u64;
                let bytes = group.bytes.saturating_mul(rows) / group.rows.max(1);
                group.done += rows;
                Ok(Some((self.selection.convert(&record, first_row)?, bytes)))
            }
            Err(reason) => {
                let rejected = group.damaged(&self.selection.file, &reason);
                self.group = None;
                Ok(Some((rejected, 0)))
            }
        }
    }
}

impl OpenGroup {
    fn decode(&mut self) -> Result<RecordBatch, String> {
        let Some(reader) = &mut self.reader else {
            return Err("its columns cannot be opened".to_owned());
        };
        let left = self.rows - self.done;
        match untrusted::decode(|| reader.next().transpose())? {
            Some(record) if record.num_rows() as u64 > left || record.num_rows() == 0 => {
                Err(format!("it has other rows than the {} of the footer", self.rows))
            }
            Some(record) => Ok(record),
            None => Err(format!("it ends after {} rows of {}", self.done, self.rows)),
        }
    }

    fn damaged(&self, file: &str, reason: &str) -> Converted {
        let from = self.first_row + self.done;
        let reason = format!(
            "row group {}: rows {from} to {} cannot be read: {reason}",
            self.number,
            self.first_row.saturating_add(self.rows - 1)
        );
        let reject = Reject {
            file: file.to_owned(),
            offset: from,
            length: 0,
            code: "parquet-page",
            reason,
            bytes: Vec::new(),
        };
        Converted { batch: None, rejects: vec![reject], pruned: 0, rows: self.rows - self.done }
    }
}

/// Where a column chunk lies; empty when the footer's numbers are nonsense.
fn chunk_range(group: &RowGroupMetaData, leaf: usize) -> Range<u64> {
    let column = group.column(leaf);
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = count(start.min(column.data_page_offset()));
    start..start.saturating_add(count(column.compressed_size()))
}

/// Where pages come from.
enum Pages {
    Local(Arc<File>),
    Fetched(Arc<[(u64, Bytes)]>),
}

impl Length for Pages {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => file.metadata().map_or(0, |metadata| metadata.len()),
            Self::Fetched(ranges) => ranges.last().map_or(0, |(start, bytes)| start + bytes.len() as u64),
        }
    }
}

impl Pages {
    /// What was fetched from `start` on.
    fn fetched(ranges: &[(u64, Bytes)], start: u64) -> Result<Bytes, ParquetError> {
        let found = ranges.iter().find(|(from, bytes)| *from <= start && start < from + bytes.len() as u64);
        match found {
            Some((from, bytes)) => Ok(bytes.slice((start - from) as usize..)),
            None => Err(ParquetError::EOF(format!("nothing was fetched at byte {start}"))),
        }
    }
}

impl ChunkReader for Pages {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        match self {
            Self::Local(file) => Ok(Box::new(file.get_read(start)?)),
            Self::Fetched(ranges) => Ok(Box::new(Self::fetched(ranges, start)?.reader())),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::Local(file) => file.get_bytes(start, length),
            Self::Fetched(ranges) => {
                let bytes = Self::fetched(ranges, start)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF(format!("{length} bytes at {start} go beyond the file")));
                }
                Ok(bytes.slice(..length))
            }
        }
    }
}
