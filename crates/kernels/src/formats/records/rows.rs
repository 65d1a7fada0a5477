//! `Rows`: accepted rows on their way into batches, and what did not become a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, StringArray, UInt32Array};
use arrow_schema::Field;
use serde::Deserialize;

use super::column::{ColumnBuilder, ColumnKind, TextColumn};
use crate::batch::{self, Batch, Identity};
use crate::error::{KernelError, Result};
use crate::reject::Reject;

/// Longest record the readers take: offsets inside a batch are 31 bits.
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// How many names of columns that nobody asked for are counted one by one.
const MAX_UNKNOWN_NAMES: usize = 256;

/// What happens to a row whose text is null, missing or no string.
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

/// What a record's document turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// There is no such column.
    Missing,
    /// It is null.
    Null,
    /// It is something else, as in "a number".
    Wrong(&'static str),
    /// It is text and was staged.
    Good,
}

/// One user column of the batches.
#[derive(Debug, Clone, Deserialize)]
pub struct ColumnOption {
    /// Its name in the batch.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnKind,
}

/// What a record reader is told about rows, whatever the format.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowOptions {
    /// The file's name for the document column, which is called `text` in the batch.
    pub text: String,
    /// The file's name for the id column, which is called `id` in the batch.
    pub id: String,
    /// User columns of the batch in order, `text` among them.
    pub columns: Vec<ColumnOption>,
    /// Whether columns beyond these are counted.
    pub count_unknown: bool,
    /// Policy for missing text.
    pub on_missing: OnMissing,
    /// A longer record is a reject; line ends do not count.
    pub max_record_bytes: usize,
}

impl RowOptions {
    /// The file's name of a batch column.
    pub fn source_name<'a>(&'a self, column: &'a str) -> &'a str {
        if column == batch::TEXT { &self.text } else { column }
    }
}

/// What a reader counted since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decompressed bytes of the records that were taken, line ends included.
    pub consumed: u64,
    /// Rows left out by request.
    pub pruned: u64,
    /// Rows that have a column nobody asked for, by its name.
    pub unknown: BTreeMap<String, u64>,
}

/// Rows in the making; formats stage a row column by column and then commit it or roll it back.
pub struct Rows {
    on_missing: OnMissing,
    /// The document's column, if it is one of the batch.
    text_column: Option<usize>,
    fields: Vec<Field>,
    /// The user columns in the order of [`RowOptions::columns`].
    pub columns: Vec<ColumnBuilder>,
    /// The user's ids.
    pub id: TextColumn,
    files: Vec<String>,
    file_keys: Vec<u32>,
    positions: Vec<u64>,
    file: String,
    /// Whether `file` is the last of `files`.
    file_listed: bool,
    rejects: Vec<Reject>,
    reject_bytes: usize,
    /// Running counts.
    pub counts: Counts,
}

impl Rows {
    /// No rows yet.
    ///
    /// # Errors
    /// `Option` when `max_record_bytes` does not fit a batch.
    pub fn new(options: &RowOptions) -> Result<Self> {
        if options.max_record_bytes > MAX_RECORD_BYTES {
            return Err(KernelError::Option {
                name: "maxRecordBytes".to_owned(),
                reason: format!(
                    "{} is more than {MAX_RECORD_BYTES}, the most a batch can hold",
                    options.max_record_bytes
                ),
            });
        }
        Ok(Self {
            on_missing: options.on_missing,
            text_column: options.columns.iter().position(|column| column.name == batch::TEXT),
            fields: options.columns.iter().map(|column| column.kind.field(&column.name)).collect(),
            columns: options.columns.iter().map(|column| ColumnBuilder::new(column.kind)).collect(),
            id: TextColumn::default(),
            files: Vec::new(),
            file_keys: Vec::new(),
            positions: Vec::new(),
            file: String::new(),
            file_listed: false,
            rejects: Vec::new(),
            reject_bytes: 0,
            counts: Counts::default(),
        })
    }

    /// Names the file of the rows that follow.
    pub fn set_file(&mut self, file: &str) {
        if self.file != file {
            file.clone_into(&mut self.file);
            self.file_listed = false;
        }
    }

    /// Ends the staged row and keeps it.
    pub fn commit(&mut self, position: u64) {
        if !self.file_listed {
            self.files.push(self.file.clone());
            self.file_listed = true;
        }
        self.file_keys.push(self.files.len() as u32 - 1);
        self.positions.push(position);
        self.id.commit();
        self.columns.iter_mut().for_each(ColumnBuilder::commit);
    }

    /// Drops the staged row.
    pub fn rollback(&mut self) {
        self.id.rollback();
        self.columns.iter_mut().for_each(ColumnBuilder::rollback);
    }

    /// Drops the staged row; the record becomes a reject.
    pub fn reject(&mut self, offset: u64, record: &[u8], code: &'static str, reason: impl Into<String>) {
        self.rollback();
        let reject = Reject::of_bytes(&self.file, offset, record, code, reason);
        self.push_reject(reject);
    }

    /// Applies the policy for missing text to the staged row; true when it stays.
    pub fn take_document(&mut self, document: Document, offset: u64, record: &[u8]) -> bool {
        let (code, reason) = match document {
            Document::Good => return true,
            Document::Missing => ("text-missing", "the record has no document column".to_owned()),
            Document::Null => ("text-null", "the document is null".to_owned()),
            Document::Wrong(kind) => ("text-type", format!("the document is {kind}, not a string")),
        };
        match self.on_missing {
            OnMissing::Quarantine => self.reject(offset, record, code, reason),
            OnMissing::Skip => {
                self.rollback();
                self.counts.pruned += 1;
            }
            OnMissing::Empty => {
                if let Some(out) = self.text() {
                    out.begin();
                }
                return true;
            }
        }
        false
    }

    /// The document's column, if it is one of the batch.
    pub fn text(&mut self) -> Option<&mut TextColumn> {
        match self.columns.get_mut(self.text_column?) {
            Some(ColumnBuilder::String(column)) => Some(column),
            _ => None,
        }
    }

    /// Adds a reject whose record is longer than the bytes that were kept of it.
    pub fn reject_long(&mut self, offset: u64, length: u64, head: &[u8], code: &'static str, reason: String) {
        self.rollback();
        let mut reject = Reject::of_bytes(&self.file, offset, head, code, reason);
        reject.length = length;
        self.push_reject(reject);
    }

    fn push_reject(&mut self, reject: Reject) {
        self.reject_bytes += reject.bytes.len() + 256;
        self.rejects.push(reject);
    }

    /// Counts a row that has a column nobody asked for. Past the first few hundred names, the rest share one.
    pub fn count_unknown(&mut self, name: &str) {
        let unknown = &mut self.counts.unknown;
        if let Some(rows) = unknown.get_mut(name) {
            *rows += 1;
        } else {
            let name = if unknown.len() < MAX_UNKNOWN_NAMES { name } else { "…" };
            *unknown.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Whether there is enough for a batch of `target` bytes, or for handing out rejects.
    pub fn is_full(&self, target: usize) -> bool {
        let text: usize = self.columns.iter().map(ColumnBuilder::text_bytes).sum();
        let fixed = self.positions.len() * (24 + 8 * self.columns.len());
        text + fixed >= target || self.reject_bytes >= target
    }

    /// The rows as a batch; `None` when there are none.
    ///
    /// # Errors
    /// `Internal` when the columns differ in length, which would be a bug.
    pub fn take_batch(&mut self) -> Result<Option<Batch>> {
        if self.positions.is_empty() {
            return Ok(None);
        }
        let names: ArrayRef = Arc::new(StringArray::from(std::mem::take(&mut self.files)));
        self.file_listed = false;
        let keys = UInt32Array::from(std::mem::take(&mut self.file_keys));
        let identity = Identity {
            file: DictionaryArray::new(keys, names),
            position: std::mem::take(&mut self.positions).into(),
            id: self.id.take(),
        };
        let columns = self.fields.iter().cloned().zip(self.columns.iter_mut().map(ColumnBuilder::take));
        Batch::new(identity, columns.collect()).map(Some)
    }

    /// The rejects so far.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        self.reject_bytes = 0;
        std::mem::take(&mut self.rejects)
    }

    /// The counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}
