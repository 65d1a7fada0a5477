//! From the columns of a columnar file (Parquet, Arrow IPC) to the rows of a batch.
//!
//! Types become few (integers are `int64`, floats `float64`, all texts utf8), the document's policy is
//! applied, and rows that break a rule become rejects. Which columns a file must have, and whether their
//! types agree, is decided in `src/sources/columnar.ts`; here a type that does not fit is an error.

mod convert;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field};
use arrow_select::filter::filter_record_batch;
use serde::Deserialize;

use crate::batch::{Batch, Identity, TEXT};
use crate::error::{KernelError, Result};
use crate::reject::{KEPT_BYTES, Reject};
use crate::tokenize::tokens_field;

/// What a column type is called in TypeScript.
#[must_use]
pub fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Boolean => "boolean",
        DataType::Null => "null",
        DataType::List(item) if item.data_type().is_integer() => "integers",
        _ if data_type.is_integer() => "int64",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float64",
        _ => "other",
    }
}

/// A user column of the batches.
#[derive(Debug, Clone, Deserialize)]
pub struct WantedColumn {
    /// Its name in the batch.
    pub name: String,
    /// Its name in the file; empty for a text that the file does not have, and that is empty in every row.
    pub source: String,
    /// Its type in the batch, as TypeScript calls it.
    #[serde(rename = "type")]
    pub kind: WantedType,
}

/// Type of a user column in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WantedType {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit float.
    Float64,
    /// True or false.
    Boolean,
    /// Text that holds JSON.
    Json,
    /// Lists of token ids, which are the documents.
    Tokens,
    /// Whatever the file has.
    Other,
}

/// What happens to a row whose text is null or no string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// It becomes a reject.
    Quarantine,
    /// It is left out and counted.
    Skip,
    /// Its text is empty.
    Empty,
}

/// Which columns of a file become which columns of the batches.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// The file, relative to the configuration.
    pub file: String,
    /// The file's column that holds the user's id, where there is one.
    pub id: Option<String>,
    /// User columns in order; `text` is one of them.
    pub columns: Vec<WantedColumn>,
    /// Policy for a text that is null or no string.
    pub on_missing: OnMissing,
    /// A longer text is a reject.
    pub max_record_bytes: u64,
}

/// What rows of a file became.
#[derive(Debug, Default)]
pub struct Converted {
    /// The rows; none when none is left.
    pub batch: Option<Batch>,
    /// Rows for quarantine.
    pub rejects: Vec<Reject>,
    /// Rows left out by request.
    pub pruned: u64,
    /// Rows that were looked at.
    pub rows: u64,
}

/// Why a row cannot stay.
struct Fault {
    code: &'static str,
    reason: String,
    bytes: Vec<u8>,
}

/// Rows that cannot stay; the first fault of a row counts.
#[derive(Default)]
struct Faults(BTreeMap<usize, Fault>);

impl Faults {
    fn add(&mut self, row: usize, code: &'static str, reason: impl Into<String>, bytes: &[u8]) {
        self.0.entry(row).or_insert_with(|| Fault {
            code,
            reason: reason.into(),
            bytes: bytes[..bytes.len().min(KEPT_BYTES)].to_vec(),
        });
    }
}

impl Selection {
    /// Parses what TypeScript sends.
    ///
    /// # Errors
    /// `Option` when it is not a selection.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json)
            .map_err(|error| KernelError::Option { name: "selection".to_owned(), reason: error.to_string() })
    }

    /// Names of the columns that are read from the file.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.iter().map(|column| column.source.as_str());
        columns.filter(|source| !source.is_empty()).chain(self.id.as_deref())
    }

    /// Turns rows of the file, the first of which is row `first_row` of it, into a batch.
    ///
    /// # Errors
    /// `ColumnMissing` when a column is not in the record, `ColumnType` when its type cannot become the
    /// wanted one.
    pub fn convert(&self, record: &RecordBatch, first_row: u64) -> Result<Converted> {
        let positions: Vec<u64> = (first_row..first_row + record.num_rows() as u64).collect();
        self.convert_at(record, &positions)
    }

    /// As [`Selection::convert`], for rows at the given positions.
    ///
    /// # Errors
    /// As [`Selection::convert`].
    pub fn convert_at(&self, record: &RecordBatch, positions: &[u64]) -> Result<Converted> {
        let rows = record.num_rows();
        let mut faults = Faults::default();
        let mut skipped = vec![false; rows];
        let id = match &self.id {
            Some(name) => convert::ids(name, column(record, name)?, &mut faults)?,
            None => StringArray::new_null(rows),
        };
        let mut columns = Vec::with_capacity(self.columns.len());
        for wanted in &self.columns {
            if wanted.name == TEXT && wanted.source.is_empty() {
                let texts: ArrayRef = Arc::new(StringArray::from(vec![""; rows]));
                columns.push((field(wanted, &DataType::Utf8), texts));
                continue;
            }
            let array = column(record, &wanted.source)?;
            let array = match wanted.kind {
                _ if wanted.name == TEXT => Arc::new(self.text(wanted, array, &mut faults, &mut skipped)?),
                WantedType::Tokens => self.tokens(wanted, array, &mut faults, &mut skipped)?,
                _ => convert::column(wanted, array, &mut faults)?,
            };
            columns.push((field(wanted, array.data_type()), array));
        }
        let batch = Batch::new(Identity::of_file(&self.file, positions.to_vec(), id), columns)?;
        self.sort_out(batch, faults, &skipped, positions)
    }

    /// Takes the rows out that do not stay.
    fn sort_out(
        &self,
        batch: Batch,
        faults: Faults,
        skipped: &[bool],
        positions: &[u64],
    ) -> Result<Converted> {
        let rows = batch.rows();
        let mut keep: Vec<bool> = skipped.iter().map(|skipped| !skipped).collect();
        let pruned =
            skipped.iter().enumerate().filter(|&(row, &skipped)| skipped && !faults.0.contains_key(&row));
        let pruned = pruned.count() as u64;
        let rejects: Vec<Reject> = faults
            .0
            .into_iter()
            .map(|(row, fault)| {
                keep[row] = false;
                Reject {
                    file: self.file.clone(),
                    offset: positions[row],
                    length: 0,
                    code: fault.code,
                    reason: fault.reason,
                    bytes: fault.bytes,
                }
            })
            .collect();
        let left = keep.iter().filter(|&&keep| keep).count();
        let batch = if left == rows {
            Some(batch)
        } else if left == 0 {
            None
        } else {
            let keep = BooleanArray::from(keep);
            Some(Batch::from_record(filter_record_batch(batch.record(), &keep)?)?)
        };
        Ok(Converted { batch: batch.filter(|batch| batch.rows() > 0), rejects, pruned, rows: rows as u64 })
    }

    /// The document column, by its policy.
    fn text(
        &self,
        wanted: &WantedColumn,
        array: &ArrayRef,
        faults: &mut Faults,
        skipped: &mut [bool],
    ) -> Result<StringArray> {
        let texts = convert::text(&wanted.source, array, faults);
        let wrong = texts.is_none().then(|| type_name(array.data_type()));
        let texts = match texts {
            Some(texts) => texts?,
            None => StringArray::new_null(array.len()),
        };
        for (row, skipped) in skipped.iter_mut().enumerate() {
            if texts.is_null(row) {
                let (code, what) = match wrong {
                    Some(kind) if array.is_valid(row) => ("text-type", kind),
                    _ => ("text-null", "null"),
                };
                match self.on_missing {
                    OnMissing::Quarantine => {
                        faults.add(row, code, format!("the document is {what}, not a string"), &[]);
                    }
                    OnMissing::Skip => *skipped = true,
                    OnMissing::Empty => {}
                }
            } else if texts.value(row).len() as u64 > self.max_record_bytes {
                let reason = format!(
                    "the document has {} bytes, more than maxRecordBytes ({})",
                    texts.value(row).len(),
                    self.max_record_bytes
                );
                faults.add(row, "record-too-long", reason, &[]);
            }
        }
        if self.on_missing == OnMissing::Empty && texts.null_count() > 0 {
            return Ok(texts.iter().map(|text| Some(text.unwrap_or_default())).collect());
        }
        Ok(texts)
    }
}

impl Selection {
    /// The document column where it holds token ids, by its policy.
    fn tokens(
        &self,
        wanted: &WantedColumn,
        array: &ArrayRef,
        faults: &mut Faults,
        skipped: &mut [bool],
    ) -> Result<ArrayRef> {
        for (row, skipped) in skipped.iter_mut().enumerate().filter(|(row, _)| array.is_null(*row)) {
            match self.on_missing {
                OnMissing::Quarantine => faults.add(row, "text-null", "the token ids are null", &[]),
                OnMissing::Skip => *skipped = true,
                OnMissing::Empty => {}
            }
        }
        convert::tokens(wanted, array, faults)
    }
}

fn column<'a>(record: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    record.column_by_name(name).ok_or_else(|| KernelError::ColumnMissing {
        name: name.to_owned(),
        available: record.schema().fields().iter().map(|field| field.name().clone()).collect(),
    })
}

fn field(wanted: &WantedColumn, data_type: &DataType) -> Field {
    if wanted.kind == WantedType::Tokens {
        return tokens_field().with_name(&wanted.name);
    }
    Field::new(&wanted.name, data_type.clone(), true)
}

/// Nulls for a column that is null throughout the file.
fn nulls(data_type: &DataType, rows: usize) -> ArrayRef {
    new_null_array(data_type, rows)
}

#[cfg(test)]
mod tests;
