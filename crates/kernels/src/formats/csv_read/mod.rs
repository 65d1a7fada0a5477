//! Delimiter-separated values: CSV and TSV, quoted as in RFC 4180.
//!
//! A record ends with `\n` outside quotes; a `\r` before it belongs to the line end. Empty lines are
//! passed over. A quote opens only at the start of a field; doubled it stands for itself; what follows
//! a closing quote belongs to the field, as Python's csv module has it. An empty field without quotes is
//! null. Of columns with the same name, later ones are called `name_2`, `name_3`, ….

mod fields;
mod sample;

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use serde::Deserialize;

pub use self::fields::Dialect;
use self::fields::{Field, RecordEnd, each_field};
pub use self::sample::CsvSampler;
use super::jsonl::{Scanner, float64, int64};
use super::records::column::ColumnBuilder;
use super::records::rows::{Document, RowOptions, Rows};
use super::records::{RangeStart, RecordFormat, utf8};
use crate::batch;
use crate::error::Result;

/// Options of CSV and TSV.
#[derive(Debug, Clone, Deserialize)]
pub struct CsvOptions {
    /// Byte between fields.
    pub delimiter: char,
    /// Byte around fields; none turns quoting off.
    pub quote: Option<char>,
    /// Whether the first record names the columns; else they are called c0, c1, ….
    pub header: bool,
}

/// Where a field goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Text,
    Id,
    Column(usize),
    /// Nobody asked for it; its name is counted if that was asked for.
    Unknown(Option<String>),
}

/// The columns of the file being read.
pub(super) struct Header {
    dialect: Dialect,
    /// Whether the first record names the columns.
    stated: bool,
    names: Option<Vec<String>>,
}

impl Header {
    pub(super) fn new(options: &CsvOptions) -> Self {
        Self { dialect: Dialect::new(options), stated: options.header, names: None }
    }

    /// Before the first record of a range.
    pub(super) fn open(&mut self, range: &RangeStart) {
        self.names.clone_from(&range.header);
    }

    /// Looks at a record; true when it is the header itself. Bytes that are not UTF-8 do not hide a header.
    pub(super) fn take(&mut self, record: &[u8]) -> bool {
        if self.names.is_some() {
            return false;
        }
        self.names = Some(self.names_from(&String::from_utf8_lossy(record)));
        self.stated
    }

    /// The names of the file's columns, once its first record was taken.
    pub(super) fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    /// The names that the first record gives.
    pub(super) fn names_from(&self, record: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        each_field(record, self.dialect, |nth, field| {
            let base = if self.stated { field.value.into_owned() } else { format!("c{nth}") };
            let mut name = base.clone();
            let mut copies = 1;
            while names.contains(&name) {
                copies += 1;
                name = format!("{base}_{copies}");
            }
            names.push(name);
        });
        names
    }
}

/// Reads CSV into rows.
pub struct CsvFormat {
    end: RecordEnd,
    header: Header,
    wanted: FxHashMap<Box<str>, Target>,
    count_unknown: bool,
    names: Vec<(String, &'static str)>,
    /// Target of each field of the file.
    targets: Vec<Target>,
    /// Whether the file has the document.
    has_text: bool,
    /// Whether `targets` are still those of the range before.
    names_are_new: bool,
    stack: Vec<u8>,
}

impl CsvFormat {
    /// A reader of the given columns.
    pub fn new(options: &CsvOptions, rows: &RowOptions) -> Self {
        let mut wanted = FxHashMap::default();
        for (index, column) in rows.columns.iter().enumerate() {
            if column.name != batch::TEXT {
                wanted.insert(column.name.as_str().into(), Target::Column(index));
            }
        }
        wanted.insert(rows.id.as_str().into(), Target::Id);
        wanted.insert(rows.text.as_str().into(), Target::Text);
        Self {
            end: RecordEnd::new(Dialect::new(options)),
            header: Header::new(options),
            wanted,
            count_unknown: rows.count_unknown,
            names: rows.columns.iter().map(|column| (column.name.clone(), column.kind.name())).collect(),
            targets: Vec::new(),
            has_text: false,
            names_are_new: true,
            stack: Vec::new(),
        }
    }

    fn target(&self, name: &str) -> Target {
        let unknown = || Target::Unknown(self.count_unknown.then(|| name.to_owned()));
        self.wanted.get(name).cloned().unwrap_or_else(unknown)
    }

    /// Stages the fields of a record; the number of fields, the document, and what does not fit.
    fn stage(&mut self, record: &str, rows: &mut Rows) -> (usize, Document, Option<String>) {
        let (mut count, mut fault) = (0, None);
        let mut document = if self.has_text { Document::Null } else { Document::Missing };
        let (targets, names, stack) = (&self.targets, &self.names, &mut self.stack);
        each_field(record, self.header.dialect, |nth, field| {
            count += 1;
            match targets.get(nth) {
                None | Some(Target::Unknown(None)) => {}
                Some(Target::Unknown(Some(name))) => rows.count_unknown(name),
                Some(_) if field.is_null() => {}
                Some(Target::Text) => {
                    document = Document::Good;
                    if let Some(out) = rows.text() {
                        out.begin();
                        out.push_str(&field.value);
                    }
                }
                Some(Target::Id) => {
                    rows.id.begin();
                    rows.id.push_str(&field.value);
                }
                Some(Target::Column(index)) => {
                    if !stage_field(&mut rows.columns[*index], &field, stack) && fault.is_none() {
                        fault = Some(misfit(&names[*index], &field.value));
                    }
                }
            }
        });
        (count, document, fault)
    }
}

fn misfit((name, kind): &(String, &'static str), value: &str) -> String {
    let shown: String = value.chars().take(40).collect();
    format!(
        "column '{name}' has type {kind}, the record has {shown:?} there; state source.types: {{ {name}: string }} to keep any value"
    )
}

/// Stages a field that is not null; false when it does not fit the column.
fn stage_field(column: &mut ColumnBuilder, field: &Field<'_>, stack: &mut Vec<u8>) -> bool {
    let value = &*field.value;
    match column {
        ColumnBuilder::String(out) => {
            out.begin();
            out.push_str(value);
            true
        }
        ColumnBuilder::Json(out) => {
            let mut scanner = Scanner::new(value, stack);
            let valid = scanner.skip_value().is_ok() && {
                scanner.whitespace();
                scanner.peek().is_none()
            };
            if valid {
                out.begin();
                out.push_str(value);
            }
            valid
        }
        _ if value.is_empty() => true,
        ColumnBuilder::Int64(out) => integer(value).inspect(|&value| out.set(value)).is_some(),
        ColumnBuilder::Float64(out) => float(value).inspect(|&value| out.set(value)).is_some(),
        ColumnBuilder::Boolean(out) => boolean(value).inspect(|&value| out.set(value)).is_some(),
    }
}

/// A number as people write it, without signs or zeros that a number would lose: not `+7`, not `007`.
fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && matches!(digits.first(), Some(b'0'..=b'9' | b'.'))
        && !(digits[0] == b'0' && matches!(digits.get(1), Some(b'0'..=b'9')))
}

/// A field as an integer, when it is one exactly.
pub(super) fn integer(value: &str) -> Option<i64> {
    is_number(value).then(|| int64(value)).flatten()
}

/// A field as a float; none when that would lose digits of an integer, or overflow.
pub(super) fn float(value: &str) -> Option<f64> {
    is_number(value).then(|| float64(value)).flatten()
}

/// A field as a truth value.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

impl RecordFormat for CsvFormat {
    fn open(&mut self, range: &RangeStart) -> Result<()> {
        self.end.reset();
        self.header.open(range);
        self.names_are_new = true;
        Ok(())
    }

    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        self.end.find(bytes)
    }

    fn record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let is_header = self.header.take(bytes);
        if std::mem::take(&mut self.names_are_new) {
            self.targets = self.header.names().iter().map(|name| self.target(name)).collect();
            self.has_text = self.targets.contains(&Target::Text);
        }
        if is_header {
            return Ok(());
        }
        let Some(record) = utf8(offset, bytes, rows) else { return Ok(()) };
        let (count, document, fault) = self.stage(record, rows);
        if count != self.targets.len() {
            let reason = format!("the record has {count} fields, the file's first {}", self.targets.len());
            rows.reject(offset, bytes, "csv-fields", reason);
        } else if rows.take_document(document, offset, bytes) {
            match fault {
                Some(reason) => rows.reject(offset, bytes, "column-type", reason),
                None => rows.commit(offset),
            }
        }
        Ok(())
    }

    fn last_record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        if self.end.in_quotes() {
            let reason =
                "a field's opening quote is never closed, so the record takes in the rest of the file";
            rows.reject(offset, bytes, "csv-quote", reason);
            return Ok(());
        }
        self.record(offset, bytes, rows)
    }
}

/// The value of a field, borrowed where it has no doubled quotes.
type Value<'a> = Cow<'a, str>;

#[cfg(test)]
mod tests;
