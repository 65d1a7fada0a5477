//! How the rows of a batch look in an output: `id`, `file`, `position`, then the user's columns.
//!
//! Shared by the row sinks and by the documents table beside token shards. The id is filled in (the
//! user's, else file and position), the file is plain text, and whatever only a batch in memory needs
//! (dictionaries, unsigned token ids) becomes what other tools read without ado.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::take::take;

use crate::batch::{Batch, RESERVED};
use crate::error::{KernelError, Result};

/// Name of the column that holds a document's token ids.
pub const TOKENS: &str = "tokens";

/// Maps batches of one schema to output rows.
#[derive(Debug, Clone)]
pub struct RowLayout {
    schema: SchemaRef,
    /// The user columns that are kept: name and type in the batch.
    user: Vec<(String, DataType)>,
}

impl RowLayout {
    /// The layout for batches of `batch_schema`, without the user columns named in `leave_out`.
    ///
    /// Every user column is nullable in the output, since a later batch may hold a null, and field metadata is
    /// dropped, since files may differ in it. Where a user column is
    /// called `file` (or `position`), as in a run over the output of another run, it keeps its name and
    /// ours becomes `file_2`, or the next number that is free; see [`free_name`].
    #[must_use]
    pub fn new(batch_schema: &Schema, leave_out: &[&str]) -> Self {
        let kept: Vec<&FieldRef> = batch_schema
            .fields()
            .iter()
            .skip(RESERVED)
            .filter(|field| !leave_out.contains(&field.name().as_str()))
            .collect();
        let taken: Vec<&str> = kept.iter().map(|field| field.name().as_str()).collect();
        let mut fields = vec![
            Field::new(free_name("id", &taken), DataType::Utf8, false),
            Field::new(free_name("file", &taken), DataType::Utf8, false),
            Field::new(free_name("position", &taken), DataType::UInt64, false),
        ];
        fields.extend(kept.iter().map(|field| Field::new(field.name(), plain_type(field.data_type()), true)));
        let user = kept.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
        Self { schema: Arc::new(Schema::new(fields)), user }
    }

    /// Schema of the output rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The selected rows of a batch.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch is of another schema than the layout.
    pub fn rows(&self, batch: &Batch) -> Result<RecordBatch> {
        let mut compacted;
        let batch = if batch.kept_rows() == batch.rows() {
            batch
        } else {
            compacted = batch.clone();
            compacted.compact()?;
            &compacted
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(RESERVED + self.user.len());
        columns.push(Arc::new(filled_ids(batch)));
        columns.push(take(batch.file().values(), batch.file().keys(), None)?);
        columns.push(Arc::new(batch.position().clone()));
        for (name, expected) in &self.user {
            let column = user_column(batch, name)?;
            if column.data_type() != expected {
                return Err(KernelError::ColumnType {
                    name: name.clone(),
                    expected: format!("{expected}, as in the batches before"),
                    got: column.data_type().to_string(),
                });
            }
            columns.push(plain(column)?);
        }
        Ok(RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?)
    }
}

/// `name` when no user column has it, else `name_2`, `name_3` and so on.
#[must_use]
pub fn free_name(name: &str, taken: &[&str]) -> String {
    if !taken.contains(&name) {
        return name.to_owned();
    }
    let mut number = 2;
    loop {
        let candidate = format!("{name}_{number}");
        if !taken.contains(&candidate.as_str()) {
            return candidate;
        }
        number += 1;
    }
}

/// A user column by name; unlike [`Batch::column`] it never finds a reserved one.
fn user_column<'a>(batch: &'a Batch, name: &str) -> Result<&'a ArrayRef> {
    let schema = batch.schema();
    let found = schema.fields().iter().skip(RESERVED).position(|field| field.name() == name);
    match found {
        Some(index) => Ok(batch.record().column(RESERVED + index)),
        None => batch.column(name),
    }
}

fn filled_ids(batch: &Batch) -> StringArray {
    if batch.id().null_count() == 0 {
        return batch.id().clone();
    }
    (0..batch.rows()).map(|row| Some(batch.id_of(row))).collect()
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) if item.data_type() == &DataType::UInt32 => DataType::List(token_item()),
        other => other.clone(),
    }
}

/// The list's item as Parquet names it, so that readers that go by name find it.
fn token_item() -> FieldRef {
    Arc::new(Field::new("element", DataType::Int32, true))
}

fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            if dictionary.values().is_empty() {
                // `take` of nulls from nothing is an error; all rows are null.
                return Ok(arrow_array::new_null_array(dictionary.values().data_type(), column.len()));
            }
            plain(&take(dictionary.values(), dictionary.keys(), None)?)
        }
        DataType::List(item) if item.data_type() == &DataType::UInt32 => signed_list(column.as_list()),
        _ => Ok(Arc::clone(column)),
    }
}

/// Token ids as `int32`, the type trainers use; shares the values' buffer.
fn signed_list(list: &ListArray) -> Result<ArrayRef> {
    let ids = list.values().as_primitive::<UInt32Type>();
    if ids.values().iter().any(|&id| i32::try_from(id).is_err()) {
        return Err(KernelError::ColumnType {
            name: TOKENS.to_owned(),
            expected: "ids below 2^31".to_owned(),
            got: format!("{}", ids.values().iter().max().copied().unwrap_or_default()),
        });
    }
    let signed: ScalarBuffer<i32> = ids.values().inner().clone().into();
    let values = Int32Array::try_new(signed, ids.nulls().cloned())?;
    Ok(Arc::new(ListArray::try_new(
        token_item(),
        list.offsets().clone(),
        Arc::new(values),
        list.nulls().cloned(),
    )?))
}
