//! Which columns CSV files have, and of which types.

use std::collections::BTreeMap;

use super::fields::{RecordEnd, each_field};
use super::{CsvOptions, Dialect, Header, boolean, float, integer};
use crate::error::Result;
use crate::formats::records::column::ColumnKind;
use crate::formats::records::rows::Rows;
use crate::formats::records::{RangeStart, RecordFormat, SampledColumn, lines, utf8};

/// What values were seen in one column; nulls say nothing.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a set of kinds")]
struct Seen {
    integer: bool,
    /// An integer that no float equals.
    wide: bool,
    float: bool,
    boolean: bool,
    text: bool,
}

impl Seen {
    fn add(&mut self, value: &str) {
        if integer(value).is_some() && !value.contains(['.', 'e', 'E']) {
            self.integer = true;
            self.wide |= float(value).is_none();
        } else if float(value).is_some() && value.contains(['.', 'e', 'E']) {
            self.float = true;
        } else if boolean(value).is_some() {
            self.boolean = true;
        } else {
            self.text = true;
        }
    }

    /// The narrowest type that loses nothing; a string holds any field.
    fn column(self) -> ColumnKind {
        match self {
            Self { text: true, .. } => ColumnKind::String,
            Self { boolean: true, integer: false, float: false, .. } => ColumnKind::Boolean,
            Self { boolean: false, integer: true, float: false, .. } => ColumnKind::Int64,
            Self { boolean: false, float: true, wide: false, .. } => ColumnKind::Float64,
            _ => ColumnKind::String,
        }
    }
}

/// Collects the columns of the records it is shown; keeps no rows.
pub struct CsvSampler {
    end: RecordEnd,
    header: Header,
    dialect: Dialect,
    columns: Vec<(String, Seen)>,
    index: BTreeMap<String, usize>,
    /// Column of each field of the current file.
    fields: Vec<usize>,
    records: u64,
}

impl CsvSampler {
    /// A sampler of files of this dialect.
    pub fn new(options: &CsvOptions) -> Self {
        let dialect = Dialect::new(options);
        Self {
            end: RecordEnd::new(dialect),
            header: Header::new(options),
            dialect,
            columns: Vec::new(),
            index: BTreeMap::new(),
            fields: Vec::new(),
            records: 0,
        }
    }

    fn column(&mut self, name: &str) -> usize {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        self.columns.push((name.to_owned(), Seen::default()));
        self.index.insert(name.to_owned(), self.columns.len() - 1);
        self.columns.len() - 1
    }
}

impl RecordFormat for CsvSampler {
    fn open(&mut self, range: &RangeStart) -> Result<()> {
        self.end.reset();
        self.header.open(range);
        self.fields.clear();
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
        if self.fields.is_empty() {
            let names = self.header.names().to_vec();
            self.fields = names.iter().map(|name| self.column(name)).collect();
        }
        if is_header {
            return Ok(());
        }
        let Some(record) = utf8(offset, bytes, rows) else { return Ok(()) };
        self.records += 1;
        let (fields, columns) = (&self.fields, &mut self.columns);
        each_field(record, self.dialect, |nth, field| {
            if !field.is_null()
                && let Some(&column) = fields.get(nth)
            {
                columns[column].1.add(&field.value);
            }
        });
        Ok(())
    }

    fn last_record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        if self.end.in_quotes() { Ok(()) } else { self.record(offset, bytes, rows) }
    }

    fn has_header(&self) -> bool {
        true
    }

    fn header(&self, record: &[u8]) -> Option<Vec<String>> {
        let record = lines::trim_end(record);
        (!record.is_empty()).then(|| self.header.names_from(&String::from_utf8_lossy(record)))
    }

    fn sampled(&self) -> (u64, Vec<SampledColumn>) {
        let columns = self.columns.iter().map(|(name, seen)| (name.clone(), seen.column()));
        (self.records, columns.collect())
    }
}
