//! What is exported: the samples of a run, in its order, as rows with columns.
//!
//! A run with packs gives its sequences (`tokens`, `cu_seqlens`); one with tokens and without packs its documents
//! (`tokens` and the columns of `docs.parquet`); one of rows its rows. Samples are read in units that follow from
//! the run and the options alone, each by whichever thread is free.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Int32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::ExportConfig;
use super::rows::{RowFile, RowFiles};
use crate::error::{KernelError, Result};
use crate::feed::dataset::{Dataset, Ids, Reading, Stretch};
use crate::feed::manifest::{Manifest, read_manifest};
use crate::formats::row_layout::{TOKENS, free_name};

/// Tokens of a batch, about.
const BATCH_TOKENS: u64 = 256 << 10;
/// Bytes of a sequence beside its tokens, about: a few documents begin in it.
const BESIDE_BYTES: u64 = 64;

/// A stretch of samples that one thread reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// First sample.
    pub from: u64,
    /// Samples.
    pub samples: u64,
}

/// Samples of a run.
pub struct Source {
    schema: SchemaRef,
    units: Vec<Unit>,
    kind: Kind,
}

enum Kind {
    Sequences { dataset: Dataset, pad: Option<i32> },
    Documents { dataset: Dataset, tables: RowFiles },
    Rows(RowFiles),
}

/// Takes rows; false to stop.
pub type Emit<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<bool>;

impl Source {
    /// Opens the run.
    ///
    /// # Errors
    /// As [`Dataset::open`]; `Option` when an option does not fit the run, or the run is empty.
    pub fn open(config: &ExportConfig) -> Result<Self> {
        let manifest = read_manifest(&config.run)?;
        let holds_tokens = manifest.shards.iter().any(|shard| shard.tokens.is_some());
        let sequences = holds_tokens && !config.documents && !manifest.packs.is_empty();
        let refused = |name: &str, reason: &str| {
            let reason = format!("{}: {reason}", config.run.display());
            Err(KernelError::Option { name: name.to_owned(), reason })
        };
        if manifest.shards.iter().all(|shard| shard.rows == 0) {
            return refused("run", "the run holds nothing to export");
        }
        if !sequences && config.pad_id.is_some() {
            return refused("padId", "only packed sequences are padded, and this exports whole documents");
        }
        if !sequences && config.seq_len.is_some() {
            return refused(
                "seqLen",
                "only packed sequences have a length, and this exports whole documents",
            );
        }
        if config.documents && !holds_tokens {
            return refused(
                "documents",
                "its rows hold no tokens; without this option the rows are exported",
            );
        }
        let source = if sequences {
            Self::sequences(config)?
        } else if holds_tokens {
            Self::documents(config, &manifest)?
        } else {
            Self::rows(config, &manifest)?
        };
        if source.samples() == 0 {
            return refused("run", "its packs hold no sequence");
        }
        Ok(source)
    }

    /// The columns; a field that is not nullable has no null, where the format minds.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What is read apart from each other.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.units.iter().map(|unit| unit.samples).sum()
    }

    /// Whether a unit is one shard, however large.
    pub fn unit_is_shard(&self) -> bool {
        matches!(self.kind, Kind::Sequences { .. })
    }

    /// Reads unit `number` in batches, until all are read or `emit` says stop.
    ///
    /// # Errors
    /// What `emit` returns; `Format`, `Checksum` or `Io` when the run is damaged.
    pub fn read(&self, number: usize, emit: Emit<'_>) -> Result<()> {
        match &self.kind {
            Kind::Sequences { dataset, pad } => self.read_sequences(dataset, *pad, self.units[number], emit),
            Kind::Documents { dataset, tables } => {
                let mut next = self.units[number].from;
                tables.read(number, &mut |table| {
                    next += table.num_rows() as u64;
                    self.read_documents(dataset, table, next - table.num_rows() as u64, emit)
                })
            }
            Kind::Rows(files) => files.read(number, &mut |rows| emit(&self.typed(rows.columns().to_vec())?)),
        }
    }

    fn sequences(config: &ExportConfig) -> Result<Self> {
        let dataset = Dataset::open(&config.run, Reading::Packs(config.seq_len), config.check)?;
        let length = u64::from(dataset.length());
        let item = item_field();
        let tokens = if config.pad_id.is_some() {
            DataType::FixedSizeList(Arc::clone(&item), dataset.length().cast_signed())
        } else {
            DataType::List(Arc::clone(&item))
        };
        let fields =
            vec![Field::new(TOKENS, tokens, false), Field::new("cu_seqlens", DataType::List(item), false)];
        let in_unit = (config.shard_bytes / (4 * length + BESIDE_BYTES)).max(1);
        let sequences = dataset.sequences();
        let units = (0..sequences.div_ceil(in_unit)).map(|unit| {
            let from = unit * in_unit;
            Unit { from, samples: in_unit.min(sequences - from) }
        });
        let (units, schema) = (units.collect(), Arc::new(Schema::new(fields)));
        Ok(Self { schema, units, kind: Kind::Sequences { dataset, pad: config.pad_id } })
    }

    fn documents(config: &ExportConfig, manifest: &Manifest) -> Result<Self> {
        let dataset = Dataset::open(&config.run, Reading::Documents(u32::MAX), config.check)?;
        let name = |shard: &str| format!("shards/{shard}.docs.parquet");
        let tables = RowFiles::open(config, manifest, &name)?;
        let taken: Vec<&str> = tables.schema().fields().iter().map(|field| field.name().as_str()).collect();
        let tokens = Field::new(free_name(TOKENS, &taken), DataType::List(item_field()), false);
        let fields = std::iter::once(Arc::new(tokens)).chain(tables.schema().fields().iter().map(Arc::clone));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        Ok(Self { schema, units: units_of(manifest), kind: Kind::Documents { dataset, tables } })
    }

    fn rows(config: &ExportConfig, manifest: &Manifest) -> Result<Self> {
        let Some(shard) = manifest.shards.first() else {
            return Err(KernelError::internal("a run of rows without shards"));
        };
        let start = format!("shards/{}.", shard.name);
        let suffix = shard.files.iter().find_map(|file| {
            file.name.strip_prefix(&start).filter(|suffix| RowFile::of_name(suffix).is_some())
        });
        let Some(suffix) = suffix else {
            let reason = format!("{} has no shards that can be exported", config.run.display());
            return Err(KernelError::format("run", reason));
        };
        let files = RowFiles::open(config, manifest, &|shard| format!("shards/{shard}.{suffix}"))?;
        Ok(Self {
            schema: SchemaRef::clone(files.schema()),
            units: units_of(manifest),
            kind: Kind::Rows(files),
        })
    }

    fn typed(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?)
    }

    fn read_sequences(&self, dataset: &Dataset, pad: Option<i32>, unit: Unit, emit: Emit<'_>) -> Result<()> {
        let length = dataset.length();
        let in_batch = (BATCH_TOKENS / u64::from(length)).max(1);
        let end = unit.from + unit.samples;
        let mut stretches = Vec::new();
        let mut from = unit.from;
        while from < end {
            let to = (from + in_batch).min(end);
            let mut tokens = Lists::with_capacity((to - from) as usize, length as usize);
            let mut ends = Lists::with_capacity((to - from) as usize, 8);
            for sequence in from..to {
                stretches.clear();
                dataset.stretches(sequence, length, &mut stretches)?;
                let start = tokens.values.len();
                ends.values.push(0);
                for stretch in &stretches {
                    append_ids(dataset.ids(stretch, 0, stretch.length)?, &mut tokens.values);
                    ends.values.push((tokens.values.len() - start) as i32);
                }
                if let Some(id) = pad {
                    tokens.values.resize(start + length as usize, id);
                }
                tokens.end();
                ends.end();
            }
            let tokens: ArrayRef = if pad.is_some() {
                let (size, values) = (length.cast_signed(), Int32Array::from(tokens.values));
                Arc::new(FixedSizeListArray::try_new(item_field(), size, Arc::new(values), None)?)
            } else {
                tokens.finish()?
            };
            if !emit(&self.typed(vec![tokens, ends.finish()?])?)? {
                return Ok(());
            }
            from = to;
        }
        Ok(())
    }

    /// Joins documents, from `first` on, to their rows of the table; few at a time, for they may be long.
    fn read_documents(
        &self,
        dataset: &Dataset,
        table: &RecordBatch,
        first: u64,
        emit: Emit<'_>,
    ) -> Result<bool> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut from = 0;
        while from < table.num_rows() {
            let mut tokens = Lists::with_capacity(0, 0);
            let mut to = from;
            while to < table.num_rows() && (tokens.values.len() as u64) < BATCH_TOKENS {
                stretches.clear();
                dataset.stretches(first + to as u64, u32::MAX, &mut stretches)?;
                for stretch in &stretches {
                    append_ids(dataset.ids(stretch, 0, stretch.length)?, &mut tokens.values);
                }
                tokens.end();
                to += 1;
            }
            let mut columns = vec![tokens.finish()?];
            columns.extend(table.slice(from, to - from).columns().iter().map(Arc::clone));
            if !emit(&self.typed(columns)?)? {
                return Ok(false);
            }
            from = to;
        }
        Ok(true)
    }
}

fn units_of(manifest: &Manifest) -> Vec<Unit> {
    let mut from = 0;
    let units = manifest.shards.iter().map(|shard| {
        from += shard.rows;
        Unit { from: from - shard.rows, samples: shard.rows }
    });
    units.collect()
}

fn item_field() -> FieldRef {
    Arc::new(Field::new("item", DataType::Int32, false))
}

/// Lists of numbers under construction.
struct Lists {
    values: Vec<i32>,
    offsets: Vec<i32>,
}

impl Lists {
    fn with_capacity(lists: usize, length: usize) -> Self {
        let mut offsets = Vec::with_capacity(lists + 1);
        offsets.push(0);
        Self { values: Vec::with_capacity(lists * length), offsets }
    }

    fn end(&mut self) {
        self.offsets.push(self.values.len() as i32);
    }

    fn finish(self) -> Result<ArrayRef> {
        let values = Arc::new(Int32Array::from(self.values));
        let offsets = OffsetBuffer::new(self.offsets.into());
        Ok(Arc::new(ListArray::try_new(item_field(), offsets, values, None)?))
    }
}

fn append_ids(ids: Ids<'_>, out: &mut Vec<i32>) {
    match ids {
        Ids::U16(bytes) => {
            out.extend(bytes.chunks_exact(2).map(|id| i32::from(u16::from_le_bytes([id[0], id[1]]))));
        }
        Ids::I32(bytes) => {
            out.extend(bytes.chunks_exact(4).map(|id| i32::from_le_bytes([id[0], id[1], id[2], id[3]])));
        }
    }
}
