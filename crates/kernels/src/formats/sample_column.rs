//! A column of samples, value by value, as the formats of `export` store it: numbers and lists of numbers
//! as little-endian bytes, texts as UTF-8, and everything that has no form of its own as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field};

use crate::error::{KernelError, Result};
use crate::formats::json_value::{is_writable, write_value};

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// A type of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Number {
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
}

impl Number {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float16 => Self::Float16,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            _ => return None,
        })
    }

    /// Bytes of a number.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 => 1,
            Self::Int16 | Self::UInt16 | Self::Float16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 => 8,
        }
    }

    /// The name that numpy has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// The integer that `bytes` are; `None` when it needs more than 63 bits and a sign, or is a float.
    #[must_use]
    pub fn to_i64(self, bytes: &[u8]) -> Option<i64> {
        match self {
            Self::Int8 => Some(i8::from_le_bytes(head(bytes)).into()),
            Self::Int16 => Some(i16::from_le_bytes(head(bytes)).into()),
            Self::Int32 => Some(i32::from_le_bytes(head(bytes)).into()),
            Self::Int64 => Some(i64::from_le_bytes(head(bytes))),
            Self::UInt8 => Some(u8::from_le_bytes(head(bytes)).into()),
            Self::UInt16 => Some(u16::from_le_bytes(head(bytes)).into()),
            Self::UInt32 => Some(u32::from_le_bytes(head(bytes)).into()),
            Self::UInt64 => i64::try_from(u64::from_le_bytes(head(bytes))).ok(),
            Self::Float16 | Self::Float32 | Self::Float64 => None,
        }
    }

    /// The float that `bytes` are; 0 for integers.
    #[must_use]
    pub fn to_f64(self, bytes: &[u8]) -> f64 {
        match self {
            Self::Float16 => Half::from_le_bytes(head(bytes)).into(),
            Self::Float32 => f32::from_le_bytes(head(bytes)).into(),
            Self::Float64 => f64::from_le_bytes(head(bytes)),
            _ => 0.0,
        }
    }

    /// Whether it has a fraction.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }
}

fn head<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number(Number),
    /// True or false.
    Boolean,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// Numbers; how many, where all lists have the same length.
    List(Number, Option<usize>),
    /// Anything else, as JSON.
    Json,
}

impl Kind {
    /// What values of a field are.
    ///
    /// # Errors
    /// `ColumnType` when there is not even a JSON form.
    pub fn of(field: &Field) -> Result<Self> {
        let numbers = |item: &Field| Number::of(item.data_type());
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 => Self::Text,
            DataType::Binary | DataType::LargeBinary => Self::Bytes,
            DataType::List(item) | DataType::LargeList(item) if numbers(item).is_some() => {
                numbers(item).map_or(Self::Json, |number| Self::List(number, None))
            }
            DataType::FixedSizeList(item, length) if numbers(item).is_some() => {
                let length = usize::try_from(*length).unwrap_or(0);
                numbers(item).map_or(Self::Json, |number| Self::List(number, Some(length)))
            }
            other => match Number::of(other) {
                Some(number) => Self::Number(number),
                None if is_writable(other) => Self::Json,
                None => {
                    return Err(KernelError::ColumnType {
                        name: field.name().clone(),
                        expected: "a type that can be exported".to_owned(),
                        got: other.to_string(),
                    });
                }
            },
        })
    }
}

/// Where values lie in a buffer.
enum Places {
    /// Each has so many bytes.
    Fixed(usize),
    /// Offsets in items of so many bytes.
    Short(OffsetBuffer<i32>, usize),
    Long(OffsetBuffer<i64>, usize),
}

/// A column of one record batch.
pub struct SampleColumn {
    kind: Kind,
    array: ArrayRef,
    /// Of the kinds that have [`SampleColumn::bytes`].
    values: Buffer,
    places: Places,
}

impl SampleColumn {
    /// All columns of a record.
    ///
    /// # Errors
    /// As [`SampleColumn::new`].
    pub fn of_record(record: &RecordBatch) -> Result<Vec<Self>> {
        let schema = record.schema();
        schema.fields().iter().zip(record.columns()).map(|(field, array)| Self::new(field, array)).collect()
    }

    /// The column of a field.
    ///
    /// # Errors
    /// As [`Kind::of`]; `Format` when a list of numbers has nulls in it.
    pub fn new(field: &Field, array: &ArrayRef) -> Result<Self> {
        let kind = Kind::of(field)?;
        let (values, places) = match kind {
            Kind::Number(number) => (raw(array, number.width()), Places::Fixed(number.width())),
            Kind::Text | Kind::Bytes => texts(array),
            Kind::List(number, length) => {
                let (items, places) = lists(array, number.width(), length);
                if items.null_count() > 0 {
                    let reason = format!("a list of column '{}' has a null in it", field.name());
                    return Err(KernelError::format("export", reason));
                }
                (raw(&items, number.width()), places)
            }
            Kind::Boolean | Kind::Json => (Buffer::default(), Places::Fixed(0)),
        };
        Ok(Self { kind, array: ArrayRef::clone(array), values, places })
    }

    /// What the values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether there is no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// The bytes of a number, a text, bytes or a list of numbers; nothing for the other kinds.
    pub fn bytes(&self, row: usize) -> &[u8] {
        let (from, to) = match &self.places {
            Places::Fixed(width) => (row * width, (row + 1) * width),
            Places::Short(offsets, width) => {
                (offsets[row].as_usize() * width, offsets[row + 1].as_usize() * width)
            }
            Places::Long(offsets, width) => {
                (offsets[row].as_usize() * width, offsets[row + 1].as_usize() * width)
            }
        };
        &self.values[from..to]
    }

    /// A truth value.
    pub fn truth(&self, row: usize) -> bool {
        self.array.as_boolean().value(row)
    }

    /// Appends the value as JSON, `null` where there is none.
    pub fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        write_value(out, &self.array, row);
    }
}

/// The numbers of an array, from its first on.
fn raw(array: &ArrayRef, width: usize) -> Buffer {
    let data = array.to_data();
    data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width)
}

fn texts(array: &ArrayRef) -> (Buffer, Places) {
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (texts.values().clone(), Places::Short(texts.offsets().clone(), 1))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            (texts.values().clone(), Places::Long(texts.offsets().clone(), 1))
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            (bytes.values().clone(), Places::Short(bytes.offsets().clone(), 1))
        }
        _ => {
            let bytes = array.as_binary::<i64>();
            (bytes.values().clone(), Places::Long(bytes.offsets().clone(), 1))
        }
    }
}

fn lists(array: &ArrayRef, width: usize, length: Option<usize>) -> (ArrayRef, Places) {
    if let Some(length) = length {
        return (ArrayRef::clone(array.as_fixed_size_list().values()), Places::Fixed(length * width));
    }
    if let DataType::List(_) = array.data_type() {
        let list = array.as_list::<i32>();
        return (ArrayRef::clone(list.values()), Places::Short(list.offsets().clone(), width));
    }
    let list = array.as_list::<i64>();
    (ArrayRef::clone(list.values()), Places::Long(list.offsets().clone(), width))
}
