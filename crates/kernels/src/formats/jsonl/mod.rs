//! JSON Lines: one JSON object a line.
//!
//! A line ends with `\n`; a `\r` before it is whitespace. Lines of nothing but whitespace are passed
//! over. Of a key given twice the last value counts. The grammar is RFC 8259 to the letter: `NaN`,
//! single quotes, comments and trailing commas are rejected.

mod sample;
mod scan;

use std::borrow::Cow;

use rustc_hash::FxHashMap;

pub use sample::JsonlSampler;
pub use scan::{Fault, Kind, Scanner};

use self::scan::Scan;
use super::records::column::{ColumnBuilder, ColumnKind, TextColumn};
use super::records::rows::{Document, RowOptions, Rows};
use super::records::{RecordFormat, lines, utf8};
use crate::batch;
use crate::error::Result;

/// Where the value of a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The document.
    Text,
    Id,
    Column(usize),
    Unknown,
}

/// Reads JSON Lines into rows.
pub struct JsonlFormat {
    count_unknown: bool,
    targets: FxHashMap<Box<str>, Target>,
    names: Vec<(String, ColumnKind)>,
    /// Raw keys of the record before with their targets: records of a file mostly agree.
    expected: Vec<(Box<str>, Target)>,
    stack: Vec<u8>,
    /// Values of this record that do not fit their column; a later value of the same key mends it.
    faults: Vec<(Target, Fault)>,
}

impl JsonlFormat {
    /// A reader of the given columns.
    pub fn new(options: &RowOptions) -> Self {
        let mut targets = FxHashMap::default();
        for (index, column) in options.columns.iter().enumerate() {
            if column.name != batch::TEXT {
                targets.insert(column.name.as_str().into(), Target::Column(index));
            }
        }
        targets.insert(options.id.as_str().into(), Target::Id);
        targets.insert(options.text.as_str().into(), Target::Text);
        Self {
            count_unknown: options.count_unknown,
            targets,
            names: options.columns.iter().map(|column| (column.name.clone(), column.kind)).collect(),
            expected: Vec::new(),
            stack: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Walks the record and stages its values.
    fn stage(&mut self, record: &str, rows: &mut Rows) -> Scan<Document> {
        let mut stack = std::mem::take(&mut self.stack);
        let mut scanner = Scanner::new(record, &mut stack);
        let result = self.stage_object(&mut scanner, rows);
        self.stack = stack;
        result
    }

    fn stage_object(&mut self, scanner: &mut Scanner<'_, '_>, rows: &mut Rows) -> Scan<Document> {
        scanner.whitespace();
        if scanner.peek() != Some(b'{') {
            let kind = scanner.skip_value()?;
            end_of_record(scanner)?;
            let reason = format!("a record must be an object, this is {}", kind.name());
            return Err(Fault { code: "json-not-object", reason });
        }
        scanner.eat(b'{');
        scanner.whitespace();
        let mut text = Document::Missing;
        if !scanner.eat(b'}') {
            for nth in 0.. {
                let (key, escaped) = scanner.key()?;
                let target = self.target(nth, key, escaped, rows);
                scanner.whitespace();
                self.stage_value(target, scanner, rows, &mut text)?;
                scanner.whitespace();
                if scanner.eat(b'}') {
                    break;
                }
                if !scanner.eat(b',') {
                    return Err(scanner.expected("',' or '}'"));
                }
            }
        }
        end_of_record(scanner)?;
        Ok(text)
    }

    /// The target of the record's nth key.
    fn target(&mut self, nth: usize, raw: &str, escaped: bool, rows: &mut Rows) -> Target {
        let name = if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
        let target = match self.expected.get(nth) {
            Some((expected, target)) if **expected == *raw => *target,
            _ => {
                let target = self.targets.get(&*name).copied().unwrap_or(Target::Unknown);
                self.remember(nth, raw, target);
                target
            }
        };
        if target == Target::Unknown && self.count_unknown {
            rows.count_unknown(&name);
        }
        target
    }

    fn remember(&mut self, nth: usize, raw: &str, target: Target) {
        const MOST: usize = 64;
        const LONGEST: usize = 256;
        if raw.len() > LONGEST {
            return;
        }
        if nth < self.expected.len() {
            self.expected[nth] = (raw.into(), target);
        } else if nth == self.expected.len() && nth < MOST {
            self.expected.push((raw.into(), target));
        }
    }

    fn stage_value(
        &mut self,
        target: Target,
        scanner: &mut Scanner<'_, '_>,
        rows: &mut Rows,
        text: &mut Document,
    ) -> Scan<()> {
        if !self.faults.is_empty() {
            self.faults.retain(|(of, _)| *of != target);
        }
        match target {
            Target::Unknown => scanner.skip_value().map(|_| ()),
            Target::Text => {
                *text = self.stage_text(scanner, rows)?;
                Ok(())
            }
            Target::Id => self.stage_id(scanner, rows),
            Target::Column(index) => {
                let fault = stage_column(&mut rows.columns[index], &self.names[index], scanner)?;
                self.faults.extend(fault.map(|fault| (target, fault)));
                Ok(())
            }
        }
    }

    /// Whether a row is taken may not depend on the columns asked for, so the document is checked even when
    /// it is not one of them.
    fn stage_text(&mut self, scanner: &mut Scanner<'_, '_>, rows: &mut Rows) -> Scan<Document> {
        let mut scratch = TextColumn::default();
        let out = rows.text().unwrap_or(&mut scratch);
        if scanner.peek() == Some(b'"') {
            out.begin();
            if let Err(fault) = scanner.string_into(out)? {
                self.faults.push((Target::Text, fault));
            }
            return Ok(Document::Good);
        }
        out.rollback();
        Ok(match scanner.skip_value()? {
            Kind::Null => Document::Null,
            kind => Document::Wrong(kind.name()),
        })
    }

    /// Any value makes an id: a string as it is, everything else as its JSON text.
    fn stage_id(&mut self, scanner: &mut Scanner<'_, '_>, rows: &mut Rows) -> Scan<()> {
        rows.id.rollback();
        if scanner.peek() == Some(b'"') {
            rows.id.begin();
            if let Err(fault) = scanner.string_into(&mut rows.id)? {
                self.faults.push((Target::Id, fault));
            }
            return Ok(());
        }
        let from = scanner.at();
        if scanner.skip_value()? != Kind::Null {
            rows.id.begin();
            rows.id.push_str(scanner.slice(from, scanner.at()));
        }
        Ok(())
    }
}

/// Stages one value; a value of another type comes back as a fault, having been stepped over.
fn stage_column(
    column: &mut ColumnBuilder,
    (name, kind): &(String, ColumnKind),
    scanner: &mut Scanner<'_, '_>,
) -> Scan<Option<Fault>> {
    column.rollback();
    if let (ColumnBuilder::String(out), Some(b'"')) = (&mut *column, scanner.peek()) {
        out.begin();
        return Ok(scanner.string_into(out)?.err());
    }
    let from = scanner.at();
    let got = scanner.skip_value()?;
    let raw = scanner.slice(from, scanner.at());
    let fits = match (column, got) {
        (_, Kind::Null) => true,
        (ColumnBuilder::Json(out), _) => {
            out.begin();
            out.push_str(raw);
            true
        }
        (ColumnBuilder::Boolean(out), Kind::Boolean(value)) => {
            out.set(value);
            true
        }
        (ColumnBuilder::Int64(out), Kind::Integer | Kind::Float) => {
            int64(raw).inspect(|&value| out.set(value)).is_some()
        }
        (ColumnBuilder::Float64(out), Kind::Integer | Kind::Float) => {
            float64(raw).inspect(|&value| out.set(value)).is_some()
        }
        _ => false,
    };
    Ok((!fits).then(|| {
        let shown: String = raw.chars().take(40).collect();
        Fault {
            code: "column-type",
            reason: format!(
                "column '{name}' has type {}, the record has {} there: {shown}; state source.types: {{ {name}: json }} to keep any value",
                kind.name(),
                got.name(),
            ),
        }
    }))
}

/// A JSON number as an integer, when it is one exactly: `7`, also `7.0` and `7e0`.
pub(super) fn int64(raw: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    raw.parse::<i64>().ok().or_else(|| {
        let value: f64 = raw.parse().ok()?;
        (value.fract() == 0.0 && value.abs() < EXACT && raw.contains(['.', 'e', 'E'])).then_some(value as i64)
    })
}

/// A JSON number as the nearest float; none when it is an integer that floats skip, or overflows.
pub(super) fn float64(raw: &str) -> Option<f64> {
    let value: f64 = raw.parse().ok()?;
    let lossy = raw.parse::<i64>().is_ok_and(|integer| value as i128 != i128::from(integer));
    (value.is_finite() && !lossy).then_some(value)
}

fn end_of_record(scanner: &mut Scanner<'_, '_>) -> Scan<()> {
    scanner.whitespace();
    if scanner.peek().is_some() { Err(scanner.expected("the end of the record")) } else { Ok(()) }
}

/// A key with its escapes decoded; lone surrogates become U+FFFD, which no column name asks for.
fn unescape(raw: &str) -> String {
    let mut out = TextColumn::default();
    out.begin();
    let quoted = format!("\"{raw}\"");
    match Scanner::new(&quoted, &mut Vec::new()).string_into(&mut out) {
        Ok(Ok(())) => {
            out.commit();
            out.take().value(0).to_owned()
        }
        _ => format!("{raw}\u{FFFD}"),
    }
}

impl RecordFormat for JsonlFormat {
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        lines::end(bytes)
    }

    fn record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        if lines::is_blank(bytes) {
            return Ok(());
        }
        let Some(record) = utf8(offset, bytes, rows) else { return Ok(()) };
        self.faults.clear();
        let text = match self.stage(record, rows) {
            Ok(text) => text,
            Err(fault) => {
                rows.reject(offset, bytes, fault.code, fault.reason);
                return Ok(());
            }
        };
        if !rows.take_document(text, offset, bytes) {
            return Ok(());
        }
        if !self.faults.is_empty() {
            let (_, fault) = self.faults.swap_remove(0);
            rows.reject(offset, bytes, fault.code, fault.reason);
            return Ok(());
        }
        rows.commit(offset);
        Ok(())
    }
}
