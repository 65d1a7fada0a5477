//! `TFRecord` reading: framed records with their checksums, each a `tf.train.Example`.
//!
//! | bytes, little-endian | what |
//! |---|---|
//! | u64 | length |
//! | u32 | masked CRC-32C of the length |
//! | length | the record |
//! | u32 | masked CRC-32C of the record |
//!
//! The reference is TensorFlow's `tensorflow/core/lib/io/record_writer.h`. A record with a wrong checksum is
//! a reject; behind a wrong length nothing can be found any more.
//!
//! A feature is a list of one of three kinds, and says nothing about the column it makes: that is decided
//! from a sample. A feature that has at most one value in all of it is a scalar.

use std::collections::BTreeSet;

use arrow_schema::DataType;
use rustc_hash::FxHashMap;

use crate::formats::items::{Fault, Frame, ItemFormat, ItemRows, Place, list_of};
use crate::formats::parquet_read::FileColumn;
use crate::formats::tf_example::{Feature, Values, features};
use crate::hash::crc32c::masked_crc32c;

const HEAD_BYTES: usize = 12;
const TAIL_BYTES: u64 = 4;

/// What the sample showed of a feature.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    /// `None` while it had no value.
    kind: Option<Kind>,
    list: bool,
    utf8: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Floats,
    Integers,
}

/// Reads records of examples.
#[derive(Default)]
pub struct TfrecordFormat {
    /// Features that are lists, whatever the sample shows.
    lists: BTreeSet<String>,
    seen: Vec<Seen>,
    /// Where a feature is in `seen`.
    index: FxHashMap<String, usize>,
    records: u64,
}

impl TfrecordFormat {
    /// `lists` names features that are lists although the sample may show one value only.
    #[must_use]
    pub fn new(lists: Vec<String>) -> Self {
        Self { lists: lists.into_iter().collect(), ..Self::default() }
    }

    fn look(&mut self, example: &[u8]) -> Result<(), Fault> {
        for feature in features(example)? {
            let at = self.index.get(feature.name).copied().unwrap_or_else(|| {
                let (name, list) = (feature.name.to_owned(), self.lists.contains(feature.name));
                self.index.insert(name.clone(), self.seen.len());
                self.seen.push(Seen { name, kind: None, list, utf8: true });
                self.seen.len() - 1
            });
            let seen = &mut self.seen[at];
            let (kind, values) = match &feature.values {
                Values::None => continue,
                Values::Bytes(values) => {
                    seen.utf8 &= values.iter().all(|value| simdutf8::basic::from_utf8(value).is_ok());
                    (Kind::Bytes, values.len())
                }
                Values::Floats(values) => (Kind::Floats, values.len() / 4),
                Values::Integers(values) => (Kind::Integers, values.len() / 8),
            };
            seen.list |= values > 1;
            if values > 0 {
                seen.kind.get_or_insert(kind);
            }
        }
        Ok(())
    }

    fn read(example: &[u8], rows: &mut ItemRows) -> Result<(), Fault> {
        for feature in features(example)? {
            match rows.column(feature.name) {
                Some(column) => set(&feature, column, rows)?,
                None => rows.count_unknown(feature.name),
            }
        }
        Ok(())
    }
}

fn set(feature: &Feature<'_>, column: usize, rows: &mut ItemRows) -> Result<(), Fault> {
    if let Values::Integers(value) = &feature.values
        && rows.takes_digits(column)
        && value.len() == 8
    {
        return rows.set(column, i64::from_le_bytes(number(value, 0)).to_string().as_bytes());
    }
    let list = matches!(rows.data_type(column), DataType::List(_));
    let item = match rows.data_type(column) {
        DataType::List(item) => item.data_type().clone(),
        other => other.clone(),
    };
    let wrong = |what: &str| {
        let hint = if list { "" } else { "; name it in source.lists if it is one" };
        let reason = format!("feature '{}' is {what}, but in the sample it was {item}{hint}", feature.name);
        Fault::new("column-type", reason)
    };
    let (fits, width, bytes): (bool, usize, &[u8]) = match &feature.values {
        // A feature without values says nothing of its kind.
        Values::None => (true, 1, &[]),
        Values::Bytes(values) => {
            if !matches!(item, DataType::Utf8 | DataType::Binary) && !values.is_empty() {
                return Err(wrong("a list of bytes"));
            }
            match (list, values.as_slice()) {
                (_, []) => (true, 1, &[]),
                (true, values) => return rows.set_list(column, values.iter().copied()),
                (false, [value]) => return rows.set(column, value),
                (false, _) => return Err(wrong(&format!("a list of {} values", values.len()))),
            }
        }
        Values::Floats(values) => (item == DataType::Float32, 4, values),
        Values::Integers(values) => (item == DataType::Int64, 8, values),
    };
    if bytes.is_empty() {
        return match item {
            _ if !list => Ok(()),
            DataType::Utf8 | DataType::Binary => rows.set_list(column, std::iter::empty()),
            _ => rows.set(column, &[]),
        };
    }
    if !fits {
        return Err(wrong(if width == 4 { "a list of floats" } else { "a list of integers" }));
    }
    if !list && bytes.len() > width {
        return Err(wrong(&format!("a list of {} values", bytes.len() / width)));
    }
    rows.set(column, bytes)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|byte| bytes[at + byte])
}

impl ItemFormat for TfrecordFormat {
    fn start(&mut self) {}

    fn frame(&mut self, _at: u64, bytes: &[u8], _rows: &mut ItemRows) -> Frame {
        if bytes.len() < HEAD_BYTES {
            return Frame::Need(HEAD_BYTES);
        }
        let length = u64::from_le_bytes(number(bytes, 0));
        let (stored, found) = (u32::from_le_bytes(number(bytes, 8)), masked_crc32c(&bytes[..8]));
        let whole = length.checked_add(HEAD_BYTES as u64 + TAIL_BYTES);
        match whole {
            Some(whole) if stored == found => Frame::Item(whole),
            _ => Frame::Broken(Fault::new(
                "tfrecord-length",
                format!(
                    "the length of a record ({length}) has the checksum {found:08x}, not {stored:08x} as stored; \
                     this is no TFRecord file, or it is damaged from here on"
                ),
            )),
        }
    }

    fn take(&mut self, at: u64, bytes: &[u8], rows: &mut ItemRows) {
        let place = Place { position: at, length: bytes.len() as u64 };
        let end = bytes.len() - TAIL_BYTES as usize;
        let record = &bytes[HEAD_BYTES..end];
        let (stored, found) = (u32::from_le_bytes(number(bytes, end)), masked_crc32c(record));
        let taken = if stored != found {
            let reason = format!("the record has the checksum {found:08x}, not {stored:08x} as stored");
            Err(Fault::new("tfrecord-crc", reason))
        } else if rows.is_open() {
            Self::read(record, rows)
        } else {
            self.records += 1;
            self.look(record)
        };
        match taken {
            Ok(()) if rows.is_open() => rows.commit(place),
            Ok(()) => {}
            Err(fault) => rows.reject(place, fault, bytes),
        }
    }

    fn pass_over(&mut self, at: u64, length: u64, fault: Fault, rows: &mut ItemRows) {
        rows.reject(Place { position: at, length }, fault, &[]);
    }

    fn end(&mut self, partial: bool, _broken: bool, _rows: &mut ItemRows) -> Option<String> {
        partial.then(|| "the file ends inside a record".to_owned())
    }

    fn columns(&self) -> Option<Vec<FileColumn>> {
        if self.records == 0 {
            return None;
        }
        let columns = self.seen.iter().map(|seen| {
            let item = match seen.kind {
                None | Some(Kind::Bytes) if seen.utf8 => DataType::Utf8,
                None | Some(Kind::Bytes) => DataType::Binary,
                Some(Kind::Floats) => DataType::Float32,
                Some(Kind::Integers) => DataType::Int64,
            };
            FileColumn::new(&seen.name, if seen.list { list_of(item) } else { item })
        });
        Some(columns.collect())
    }
}
