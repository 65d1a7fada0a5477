//! `NNNNN.docs.parquet`: what each document of a token shard was.
//!
//! Row i describes document i of the shard's `.idx`: `id`, `file`, `position`, `token_count` (uint32), then
//! the user columns that are not the document itself.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::batch::{Batch, RESERVED, TEXT};
use crate::error::{KernelError, Result};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::row_layout::{RowLayout, TOKENS, free_name};
use crate::formats::shard_file::FinishedFile;

/// A documents table under construction.
pub struct DocsTable {
    layout: RowLayout,
    schema: SchemaRef,
    writer: ParquetWriter,
}

impl DocsTable {
    /// Creates the table for batches of `batch_schema`, reserved columns included.
    ///
    /// # Errors
    /// `Io` when the file cannot be created; `Format` when Parquet has no type for a user column.
    pub fn create(path: impl AsRef<Path>, batch_schema: &Schema) -> Result<Self> {
        let layout = RowLayout::new(batch_schema, &[TEXT, TOKENS]);
        let mut fields: Vec<FieldRef> = layout.schema().fields().iter().map(Arc::clone).collect();
        let taken: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let name = free_name("token_count", &taken);
        fields.insert(RESERVED, Arc::new(Field::new(name, DataType::UInt32, false)));
        let schema = Arc::new(Schema::new(fields));
        let writer = ParquetWriter::create(path, SchemaRef::clone(&schema))?;
        Ok(Self { layout, schema, writer })
    }

    /// Appends the selected rows of a batch; `token_counts` has one entry for each of them, in order.
    ///
    /// # Errors
    /// `Internal` when the numbers of rows differ; `Io` when writing fails.
    pub fn write(&mut self, batch: &Batch, token_counts: &[u32]) -> Result<()> {
        let rows = self.layout.rows(batch)?;
        if rows.num_rows() != token_counts.len() {
            return Err(KernelError::internal(format!(
                "{} token counts for {} documents",
                token_counts.len(),
                rows.num_rows()
            )));
        }
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns.insert(RESERVED, Arc::new(UInt32Array::from(token_counts.to_vec())));
        self.writer.write(&RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?)
    }

    /// Documents written so far.
    pub fn rows(&self) -> u64 {
        self.writer.rows()
    }

    /// Writes the footer, closes and sums up.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<FinishedFile> {
        self.writer.finish()
    }
}
