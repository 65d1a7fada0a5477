//! Which columns JSON Lines have, from a sample of their records.

use std::collections::BTreeMap;

use super::scan::{Kind, Scan, Scanner};
use super::{float64, unescape};
use crate::error::Result;
use crate::formats::records::column::ColumnKind;
use crate::formats::records::rows::Rows;
use crate::formats::records::{RecordFormat, SampledColumn, lines, utf8};

/// Kinds of values seen in one column.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a set of kinds")]
struct Seen {
    text: bool,
    integer: bool,
    /// An integer that no float equals.
    wide: bool,
    /// An integer beyond 64 bits.
    huge: bool,
    float: bool,
    boolean: bool,
    nested: bool,
}

impl Seen {
    fn add(&mut self, kind: Kind, raw: &str) {
        match kind {
            Kind::Null => {}
            Kind::String => self.text = true,
            Kind::Boolean(_) => self.boolean = true,
            Kind::Object | Kind::Array => self.nested = true,
            Kind::Integer if raw.parse::<i64>().is_err() => self.huge = true,
            Kind::Integer => {
                self.integer = true;
                self.wide |= float64(raw).is_none();
            }
            Kind::Float => {
                self.float = true;
                self.huge |= float64(raw).is_none();
            }
        }
    }

    /// The narrowest type that holds all of it without loss; `json` holds anything.
    fn column(self) -> ColumnKind {
        let number = self.integer || self.float;
        match self {
            Self { huge: true, .. } | Self { nested: true, .. } => ColumnKind::Json,
            Self { text: true, boolean: false, .. } if !number => ColumnKind::String,
            Self { boolean: true, text: false, .. } if !number => ColumnKind::Boolean,
            Self { text: false, boolean: false, float: false, integer: true, .. } => ColumnKind::Int64,
            Self { text: false, boolean: false, float: true, wide: false, .. } => ColumnKind::Float64,
            _ => ColumnKind::Json,
        }
    }
}

/// Collects the columns of the records it is shown; keeps no rows.
#[derive(Default)]
pub struct JsonlSampler {
    columns: Vec<(String, Seen)>,
    index: BTreeMap<String, usize>,
    records: u64,
    stack: Vec<u8>,
}

impl JsonlSampler {
    fn add(&mut self, record: &str) -> Scan<()> {
        let mut stack = std::mem::take(&mut self.stack);
        let mut scanner = Scanner::new(record, &mut stack);
        let mut found = Vec::new();
        let result = walk(&mut scanner, &mut found);
        self.stack = stack;
        // A record that breaks off teaches nothing: it will be rejected.
        result?;
        self.records += 1;
        for (key, kind, raw) in found {
            let next = self.columns.len();
            let index = *self.index.entry(key).or_insert_with_key(|key| {
                self.columns.push((key.clone(), Seen::default()));
                next
            });
            self.columns[index].1.add(kind, raw);
        }
        Ok(())
    }
}

fn walk<'a>(scanner: &mut Scanner<'a, '_>, found: &mut Vec<(String, Kind, &'a str)>) -> Scan<()> {
    scanner.whitespace();
    if !scanner.eat(b'{') {
        return Err(scanner.expected("'{'"));
    }
    scanner.whitespace();
    if !scanner.eat(b'}') {
        loop {
            let (key, escaped) = scanner.key()?;
            scanner.whitespace();
            let from = scanner.at();
            let kind = scanner.skip_value()?;
            let key = if escaped { unescape(key) } else { key.to_owned() };
            found.push((key, kind, scanner.slice(from, scanner.at())));
            scanner.whitespace();
            if scanner.eat(b'}') {
                break;
            }
            if !scanner.eat(b',') {
                return Err(scanner.expected("',' or '}'"));
            }
        }
    }
    super::end_of_record(scanner)
}

impl RecordFormat for JsonlSampler {
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        lines::end(bytes)
    }

    fn record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        if !lines::is_blank(bytes)
            && let Some(record) = utf8(offset, bytes, rows)
            && let Err(_fault) = self.add(record)
        {
            // The reader will reject it, with the reason.
        }
        Ok(())
    }

    fn sampled(&self) -> (u64, Vec<SampledColumn>) {
        let columns = self.columns.iter().map(|(name, seen)| (name.clone(), seen.column()));
        (self.records, columns.collect())
    }
}
