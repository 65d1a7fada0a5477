//! The rows of a run's files, shard by shard: Parquet (rows, or the table beside token shards), Arrow, JSON Lines.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::statistics::Statistics;

use super::ExportConfig;
use super::source::Emit;
use crate::batch::{ID, TEXT};
use crate::error::{KernelError, Result};
use crate::feed::manifest::{Manifest, ManifestColumn, find, stated};
use crate::feed::mapped::{MappedFile, Stated};
use crate::formats::jsonl::JsonlFormat;
use crate::formats::records::column::ColumnKind;
use crate::formats::records::rows::{ColumnOption, MAX_RECORD_BYTES, OnMissing, RowOptions};
use crate::formats::records::{RangeStart, RecordReader};
use crate::formats::row_layout::free_name;

/// Rows of Parquet read at a time.
const BATCH_ROWS: usize = 1024;
/// Bytes of JSON Lines read at a time, and of a batch of them.
const CHUNK_BYTES: usize = 1 << 20;

/// How rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFile {
    /// Parquet.
    Parquet,
    /// Arrow IPC.
    Arrow,
    /// JSON Lines, compressed or not.
    Jsonl,
}

impl RowFile {
    /// By what a file's name ends with, without the dot.
    pub fn of_name(name: &str) -> Option<Self> {
        let named = |suffix: &str| name == suffix || name.ends_with(&format!(".{suffix}"));
        if named("parquet") {
            Some(Self::Parquet)
        } else if named("arrow") {
            Some(Self::Arrow)
        } else if ["jsonl", "jsonl.zst", "jsonl.gz"].into_iter().any(named) {
            Some(Self::Jsonl)
        } else {
            None
        }
    }
}

/// One file a shard, all with the same columns.
pub struct RowFiles {
    schema: SchemaRef,
    files: Vec<(PathBuf, Stated)>,
    kind: RowFile,
    jsonl: RowOptions,
    check: bool,
}

impl RowFiles {
    /// The files that `name` makes of the shards' names. Where the format minds nulls, the columns that hold
    /// none are found: from the statistics of Parquet, else by reading the rows.
    ///
    /// # Errors
    /// `Format` when files are missing from the manifest or differ in their columns; `Io` when one cannot be
    /// read.
    pub fn open(config: &ExportConfig, manifest: &Manifest, name: &dyn Fn(&str) -> String) -> Result<Self> {
        let mut files = Vec::with_capacity(manifest.shards.len());
        for shard in &manifest.shards {
            let file = find(&config.run, &shard.files, &name(&shard.name))?;
            files.push((config.run.join(&file.name), stated(file)?));
        }
        let Some((first, _)) = files.first() else {
            return Err(KernelError::internal("a run without shards"));
        };
        let kind = RowFile::of_name(&first.to_string_lossy()).unwrap_or(RowFile::Parquet);
        let (schema, jsonl) = match kind {
            RowFile::Parquet => (parquet(first)?.schema().as_ref().clone(), jsonl_options(&[])),
            RowFile::Arrow => (arrow(first)?.schema().as_ref().clone(), jsonl_options(&[])),
            RowFile::Jsonl => (jsonl_schema(&manifest.columns), jsonl_options(&manifest.columns)),
        };
        let mut opened = Self { schema: plain(&schema, true), files, kind, jsonl, check: config.check };
        if config.format.minds_nulls() {
            let nulls = opened.find_nulls()?;
            let fields = schema
                .fields()
                .iter()
                .zip(nulls)
                .map(|(field, nulls)| Field::new(field.name(), field.data_type().clone(), nulls));
            opened.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        }
        Ok(opened)
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads the file of shard `number`.
    ///
    /// # Errors
    /// What `emit` returns; `Format`, `Checksum` or `Io` when the file is damaged.
    pub fn read(&self, number: usize, emit: Emit<'_>) -> Result<()> {
        let (path, stated) = &self.files[number];
        if self.check {
            // Touches each block, so that each is held against its checksum.
            MappedFile::open(path, stated.clone(), true)?.bytes(0, stated.bytes)?;
        }
        match self.kind {
            RowFile::Parquet => {
                let reader = parquet(path)?.with_batch_size(BATCH_ROWS).build();
                for rows in reader.map_err(|error| KernelError::format("parquet", error))? {
                    if !emit(
                        &self.typed(path, &rows.map_err(|error| KernelError::format("parquet", error))?)?,
                    )? {
                        break;
                    }
                }
                Ok(())
            }
            RowFile::Arrow => {
                for rows in arrow(path)? {
                    if !emit(&self.typed(path, &rows.map_err(|error| KernelError::format("arrow", error))?)?)?
                    {
                        break;
                    }
                }
                Ok(())
            }
            RowFile::Jsonl => self.read_jsonl(path, emit),
        }
    }

    /// Rows as of the schema.
    fn typed(&self, path: &Path, rows: &RecordBatch) -> Result<RecordBatch> {
        let own = rows.schema();
        let same = own.fields().len() == self.schema.fields().len()
            && own
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !same {
            let reason = format!("{} has other columns than the first shard", path.display());
            return Err(KernelError::format("run", reason));
        }
        Ok(RecordBatch::try_new(SchemaRef::clone(&self.schema), rows.columns().to_vec())?)
    }

    fn read_jsonl(&self, path: &Path, emit: Emit<'_>) -> Result<()> {
        let failed = || KernelError::io("read", path);
        let mut file = File::open(path).map_err(KernelError::io("open", path))?;
        let mut reader = RecordReader::new(Box::new(JsonlFormat::new(&self.jsonl)), &self.jsonl)?;
        reader.start(RangeStart { file: path.to_string_lossy().into_owned(), ..RangeStart::default() })?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let bytes = file.read(&mut chunk).map_err(failed())?;
            if bytes == 0 {
                break;
            }
            while reader.push(&chunk[..bytes], CHUNK_BYTES)? {
                if !self.emit_jsonl(&mut reader, path, emit)? {
                    return Ok(());
                }
            }
        }
        if reader.end()?.is_some() {
            return Err(KernelError::format("jsonl", format!("{} ends early", path.display())));
        }
        self.emit_jsonl(&mut reader, path, emit)?;
        Ok(())
    }

    fn emit_jsonl(&self, reader: &mut RecordReader, path: &Path, emit: Emit<'_>) -> Result<bool> {
        if let Some(reject) = reader.take_rejects().first() {
            let reason = format!(
                "{}: the row at byte {} cannot be read ({}); write the run with the parquet sink to export it",
                path.display(),
                reject.offset,
                reject.reason
            );
            return Err(KernelError::format("jsonl", reason));
        }
        let Some(batch) = reader.take_batch()? else { return Ok(true) };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(batch.id().clone())];
        for column in &self.jsonl.columns {
            columns.push(Arc::clone(batch.column(&column.name)?));
        }
        emit(&RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?)
    }

    /// Which columns hold a null.
    fn find_nulls(&self) -> Result<Vec<bool>> {
        let mut nulls = vec![false; self.schema.fields().len()];
        for number in 0..self.files.len() {
            if self.kind == RowFile::Parquet {
                find_parquet_nulls(&self.files[number].0, &mut nulls)?;
                continue;
            }
            self.read(number, &mut |rows| {
                for (nulls, column) in nulls.iter_mut().zip(rows.columns()) {
                    *nulls |= column.null_count() > 0;
                }
                Ok(true)
            })?;
        }
        Ok(nulls)
    }
}

/// The fields without metadata, in which files may differ.
fn plain(schema: &Schema, nullable: bool) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), nullable && field.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn parquet(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(KernelError::io("open", path))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| KernelError::format("parquet", format!("{}: {error}", path.display())))
}

fn arrow(path: &Path) -> Result<FileReader<File>> {
    let file = File::open(path).map_err(KernelError::io("open", path))?;
    FileReader::try_new(file, None)
        .map_err(|error| KernelError::format("arrow", format!("{}: {error}", path.display())))
}

/// A column without statistics may hold one; nulls inside a nested value count as its own.
fn find_parquet_nulls(path: &Path, nulls: &mut [bool]) -> Result<()> {
    let builder = parquet(path)?;
    let leaves = builder.parquet_schema();
    for group in builder.metadata().row_groups() {
        for (leaf, column) in group.columns().iter().enumerate() {
            let found = column.statistics().and_then(Statistics::null_count_opt);
            if let Some(nulls) = nulls.get_mut(leaves.get_column_root_idx(leaf)) {
                *nulls |= found != Some(0);
            }
        }
    }
    Ok(())
}

/// The columns of JSON Lines: `id`, `file`, `position`, then the user's.
fn jsonl_schema(columns: &[ManifestColumn]) -> Schema {
    let options = jsonl_options(columns);
    let id = Field::new(&options.id, DataType::Utf8, true);
    let others = options.columns.iter().map(|column| column.kind.field(&column.name));
    Schema::new(std::iter::once(id).chain(others).collect::<Vec<_>>())
}

fn jsonl_options(columns: &[ManifestColumn]) -> RowOptions {
    let taken: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let ours = [("file", ColumnKind::String), ("position", ColumnKind::Int64)];
    let ours = ours.map(|(name, kind)| ColumnOption { name: free_name(name, &taken), kind });
    let users = columns.iter().map(|column| {
        let kind = match column.kind.as_str() {
            "string" => ColumnKind::String,
            "int64" => ColumnKind::Int64,
            "float64" => ColumnKind::Float64,
            "boolean" => ColumnKind::Boolean,
            _ => ColumnKind::Json,
        };
        ColumnOption { name: column.name.clone(), kind }
    });
    let on_missing = if taken.contains(&TEXT) { OnMissing::Quarantine } else { OnMissing::Empty };
    RowOptions {
        text: TEXT.to_owned(),
        id: free_name(ID, &taken),
        columns: ours.into_iter().chain(users).collect(),
        count_unknown: false,
        on_missing,
        max_record_bytes: MAX_RECORD_BYTES,
    }
}
