//! MDS reading: the shards of `MosaicML` Streaming, version 2.
//!
//! | bytes, little-endian | what |
//! |---|---|
//! | u32 | samples n |
//! | u32 × (n + 1) | where each sample starts in the file, and where the last ends |
//! | to the first sample | JSON: names, encodings and sizes of the columns |
//! | each sample | u32 × columns without a fixed size: the size of each; then the values |
//!
//! The position of a row is its number in the shard. A value's encoding is the column's, see [`Encoding`];
//! pickled ones are refused, since reading them runs code. The reference is `streaming/base/format/mds` of
//! mosaicml-streaming.

use arrow_schema::DataType;
use rustc_hash::FxHashSet;
use serde::Deserialize;

use crate::formats::items::array::{set_array, shape_name};
use crate::formats::items::{Fault, Frame, ItemFormat, ItemRows, Place, list_of};
use crate::formats::npy::{NumberArray, bytes_of};
use crate::formats::parquet_read::FileColumn;

/// The longest table of offsets with its columns that is read.
const MAX_HEAD_BYTES: u32 = 256 << 20;

/// What the JSON of a shard says.
#[derive(Deserialize)]
struct Config {
    version: u32,
    format: String,
    column_names: Vec<String>,
    column_encodings: Vec<String>,
    column_sizes: Vec<Option<u32>>,
}

/// How values are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Encoding {
    /// `str`, and `str_decimal`, which has digits that no number type holds.
    Text,
    /// `bytes`, and images as they are.
    Bytes,
    Json,
    /// Numbers of fixed size.
    Number(DataType),
    /// `str_int` and `str_float`: numbers written out.
    Digits(DataType),
    /// `ndarray:TYPE`, `ndarray:TYPE:SHAPE`.
    Array {
        item: DataType,
        shape: Option<Vec<u64>>,
    },
    /// Why it cannot be read.
    Refused(String),
}

impl Encoding {
    fn parse(name: &str) -> Self {
        match name {
            "str" | "str_decimal" => Self::Text,
            "bytes" | "pil" | "jpeg" | "png" | "jpeg_array" | "list[pil]" | "list[jpeg]" | "list[png]" => {
                Self::Bytes
            }
            "json" => Self::Json,
            "int" => Self::Number(DataType::Int64),
            "str_int" => Self::Digits(DataType::Int64),
            "str_float" => Self::Digits(DataType::Float64),
            "pkl" => Self::Refused("pickled values run code when they are read".to_owned()),
            "ndarray" => Self::Refused(
                "each of its arrays may be of another type; write it as ndarray:TYPE".to_owned(),
            ),
            _ => match (number_type(name), name.strip_prefix("ndarray:")) {
                (Some(number), _) => Self::Number(number),
                (None, Some(array)) => Self::array(array),
                (None, None) => Self::Refused("the encoding is not known".to_owned()),
            },
        }
    }

    fn array(text: &str) -> Self {
        let (item, shape) = text.split_once(':').map_or((text, None), |(item, shape)| (item, Some(shape)));
        let shape = shape.map(|shape| shape.split(',').map(|length| length.parse().ok()).collect());
        match (number_type(item), shape) {
            (Some(item), None) => Self::Array { item, shape: None },
            (Some(item), Some(Some(shape))) => Self::Array { item, shape: Some(shape) },
            _ => Self::Refused("its type or shape is none".to_owned()),
        }
    }

    fn size(&self) -> Option<u64> {
        match self {
            Self::Number(item) => item.primitive_width().map(|width| width as u64),
            Self::Array { item, shape: Some(shape) } => bytes_of(shape, item.primitive_width()?),
            _ => None,
        }
    }
}

fn number_type(name: &str) -> Option<DataType> {
    Some(match name {
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float16" => DataType::Float16,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        _ => return None,
    })
}

struct Column {
    name: String,
    encoding: Encoding,
    /// Name of the encoding, for messages.
    encoded: String,
    /// Size of every value, where it is fixed.
    size: Option<u32>,
}

/// What a shard's head says.
struct Head {
    offsets: Vec<u32>,
    columns: Vec<Column>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let samples = u64::from(u32_at(bytes, 0));
        let table = (4 + 4 * (samples as usize + 1)).min(bytes.len());
        let offsets: Vec<u32> = bytes[4..table].chunks_exact(4).map(|four| u32_at(four, 0)).collect();
        if !offsets.is_sorted() {
            return Err("samples start before those in front of them end".to_owned());
        }
        let config: Config = serde_json::from_slice(&bytes[table..])
            .map_err(|error| format!("the description of its columns is damaged: {error}"))?;
        if config.version != 2 || config.format != "mds" {
            return Err(format!(
                "format '{}', version {}; version 2 of mds is read",
                config.format, config.version
            ));
        }
        let columns = config.column_names.len();
        if config.column_encodings.len() != columns || config.column_sizes.len() != columns {
            return Err("it has not one encoding and size for each column".to_owned());
        }
        let parts = config.column_names.into_iter().zip(config.column_encodings).zip(config.column_sizes);
        let columns: Vec<Column> = parts
            .map(|((name, encoded), size)| {
                let encoding = Encoding::parse(&encoded);
                // The reference takes a size of 0 as one that is stored.
                Column { name, encoding, encoded, size: size.filter(|&size| size > 0) }
            })
            .collect();
        let mut names = FxHashSet::default();
        for column in &columns {
            if !names.insert(&column.name) {
                return Err(format!("two columns are called '{}'", column.name));
            }
            if let (Some(known), Some(size)) = (column.encoding.size(), column.size)
                && known != u64::from(size)
            {
                return Err(format!("column '{}' has {size} bytes, but is {}", column.name, column.encoded));
            }
        }
        Ok(Self { offsets, columns })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

/// Samples of a shard and bytes of its head, from its first 8 bytes; `None` when they are no such head.
#[must_use]
pub fn head_of(start: &[u8]) -> Option<(u32, u32)> {
    let start: &[u8; 8] = start.first_chunk()?;
    let (samples, first) = (u32_at(start, 0), u32_at(start, 4));
    (u64::from(first) >= 8 + 4 * u64::from(samples) && first <= MAX_HEAD_BYTES).then_some((samples, first))
}

/// Reads shards.
#[derive(Default)]
pub struct MdsFormat {
    head: Option<Head>,
    /// The next sample, and the one to stop before.
    sample: u64,
    to: u64,
}

impl MdsFormat {
    /// A reader of shards.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read_head(&mut self, bytes: &[u8]) -> Frame {
        let broken =
            |reason: String| Frame::Broken(Fault::new("mds-head", format!("this is no MDS shard: {reason}")));
        if bytes.len() < 8 {
            return Frame::Need(8);
        }
        let Some((_, first)) = head_of(bytes) else {
            let (samples, first) = (u32_at(bytes, 0), u32_at(bytes, 4));
            return broken(format!("its {samples} samples cannot start at byte {first}"));
        };
        if bytes.len() < first as usize {
            return Frame::Need(first as usize);
        }
        match Head::parse(&bytes[..first as usize]) {
            Ok(head) => {
                (self.sample, self.to) = (0, head.offsets.len() as u64 - 1);
                self.head = Some(head);
                Frame::Skip(u64::from(first))
            }
            Err(reason) => broken(reason),
        }
    }
}

/// The values of a sample, one for each column.
fn values<'a>(columns: &[Column], sample: &'a [u8]) -> Result<Vec<&'a [u8]>, Fault> {
    let short =
        || Fault::new("mds-sample", format!("the sizes of its values do not fit its {} bytes", sample.len()));
    let stored = columns.iter().filter(|column| column.size.is_none()).count();
    let (mut sizes, mut rest) = sample.split_at_checked(4 * stored).ok_or_else(short)?;
    let mut values = Vec::with_capacity(columns.len());
    for column in columns {
        let size = column.size.unwrap_or_else(|| {
            let size = u32_at(sizes, 0);
            sizes = &sizes[4..];
            size
        });
        let (value, after) = rest.split_at_checked(size as usize).ok_or_else(short)?;
        values.push(value);
        rest = after;
    }
    if rest.is_empty() { Ok(values) } else { Err(short()) }
}

/// Stages a value.
fn decode(column: &Column, value: &[u8], rows: &mut ItemRows) -> Result<(), Fault> {
    let Column { name, encoding, .. } = column;
    if let Encoding::Array { item, shape } = encoding {
        let fault = |what: &str| Fault::new("mds-array", format!("column '{name}': {what}"));
        let (shape, data) = match shape {
            Some(shape) => (shape.clone(), value),
            None => stored_shape(value).ok_or_else(|| fault("the array's shape is damaged"))?,
        };
        let width = item.primitive_width().unwrap_or(1);
        if bytes_of(&shape, width) != Some(data.len() as u64) {
            return Err(fault(&format!("the array's shape {shape:?} does not fit its {} bytes", data.len())));
        }
        return set_array(name, &NumberArray { item: item.clone(), shape, data: data.into() }, rows);
    }
    let Some(at) = rows.column(name) else { return Ok(()) };
    let text = std::str::from_utf8(value).ok().map(str::trim);
    match encoding {
        Encoding::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(value)
                .map_err(|error| Fault::new("json-syntax", format!("column '{name}': {error}")))?;
        }
        Encoding::Digits(number) => {
            let parsed = match number {
                DataType::Int64 => text.and_then(|text| text.parse::<i64>().ok()).map(i64::to_le_bytes),
                _ => text.and_then(|text| text.parse::<f64>().ok()).map(f64::to_le_bytes),
            };
            let parsed = parsed.ok_or_else(|| {
                Fault::new("column-type", format!("column '{name}': the value is no {number}"))
            })?;
            return rows.set(at, &parsed);
        }
        _ => {}
    }
    rows.set(at, value)
}

/// The shape in front of an array, and what follows: dimensions × 4 + log₂ of the bytes of each, then these.
fn stored_shape(value: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let (&first, rest) = value.split_first()?;
    let width = 1_usize << (first & 3);
    let (shape, data) = rest.split_at_checked(usize::from(first >> 2) * width)?;
    let shape = shape.chunks_exact(width);
    Some((
        shape.map(|length| length.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))).collect(),
        data,
    ))
}

impl ItemFormat for MdsFormat {
    fn start(&mut self) {
        *self = Self::default();
    }

    fn frame(&mut self, _at: u64, bytes: &[u8], rows: &mut ItemRows) -> Frame {
        let Some(head) = &self.head else { return self.read_head(bytes) };
        if self.sample >= self.to {
            return Frame::End;
        }
        if !rows.is_open() {
            return Frame::Pause;
        }
        let at = self.sample as usize;
        Frame::Item(u64::from(head.offsets[at + 1] - head.offsets[at]))
    }

    fn take(&mut self, _at: u64, bytes: &[u8], rows: &mut ItemRows) {
        let Some(head) = &self.head else { return };
        let place = Place { position: self.sample, length: bytes.len() as u64 };
        self.sample += 1;
        let staged = values(&head.columns, bytes).and_then(|values| {
            head.columns.iter().zip(values).try_for_each(|(column, value)| decode(column, value, rows))
        });
        match staged {
            Ok(()) => rows.commit(place),
            Err(fault) => rows.reject(place, fault, bytes),
        }
    }

    fn pass_over(&mut self, _at: u64, length: u64, fault: Fault, rows: &mut ItemRows) {
        rows.reject(Place { position: self.sample, length }, fault, &[]);
        self.sample += 1;
    }

    fn end(&mut self, _partial: bool, _broken: bool, _rows: &mut ItemRows) -> Option<String> {
        match self.items() {
            None => Some("the file ends before its first sample".to_owned()),
            Some(samples) if self.sample < self.to => {
                Some(format!("the file ends in sample {} of {samples}", self.sample))
            }
            Some(_) => None,
        }
    }

    fn position(&self, _at: u64) -> u64 {
        self.sample
    }

    fn columns(&self) -> Option<Vec<FileColumn>> {
        let head = self.head.as_ref()?;
        let mut columns = Vec::new();
        for Column { name, encoding, .. } in &head.columns {
            match encoding {
                Encoding::Text => columns.push(FileColumn::new(name, DataType::Utf8)),
                Encoding::Json => {
                    columns.push(FileColumn { kind: "json", ..FileColumn::new(name, DataType::Utf8) });
                }
                Encoding::Bytes => columns.push(FileColumn::new(name, DataType::Binary)),
                Encoding::Number(number) | Encoding::Digits(number) => {
                    columns.push(FileColumn::new(name, number.clone()));
                }
                Encoding::Array { item, shape } => {
                    columns.push(FileColumn::new(name, list_of(item.clone())));
                    let shaped = shape.as_ref().is_none_or(|shape| shape.len() != 1);
                    let shape = shape_name(name);
                    if shaped && head.columns.iter().all(|column| column.name != shape) {
                        columns.push(FileColumn::new(&shape, list_of(DataType::UInt64)));
                    }
                }
                Encoding::Refused(_) => {}
            }
        }
        Some(columns)
    }

    fn items(&self) -> Option<u64> {
        self.head.as_ref().map(|head| head.offsets.len() as u64 - 1)
    }

    fn refused(&self) -> Vec<(String, String)> {
        let columns = self.head.iter().flat_map(|head| &head.columns);
        let refused = columns.filter_map(|column| match &column.encoding {
            Encoding::Refused(reason) => {
                Some((column.name.clone(), format!("encoded as {}: {reason}", column.encoded)))
            }
            _ => None,
        });
        refused.collect()
    }

    fn seek(&mut self, from: u64, to: u64) -> Option<(u64, u64)> {
        let head = self.head.as_ref()?;
        let offset = |sample: u64| head.offsets.get(usize::try_from(sample).ok()?).map(|&at| u64::from(at));
        let range = (offset(from)?, offset(to)?);
        (self.sample, self.to) = (from, to);
        Some(range)
    }
}
