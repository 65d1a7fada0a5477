//! What evaluation works on: one value a row, as lanes that are either a column or a constant.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float64Array, Int64Array, StringArray, new_null_array,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;

use crate::batch::{Batch, ID};
use crate::error::{KernelError, Result};

/// The values of an expression over the rows of a batch.
#[derive(Debug, Clone)]
pub enum Value {
    /// Null in every row, of no type.
    Null,
    /// A condition.
    Truth(Truth),
    /// Whole numbers.
    Ints(Lane<i64>),
    /// Numbers.
    Floats(Lane<f64>),
    /// Texts.
    Texts(Texts),
    /// A column that is not computed with, beyond asking whether it is null and its few own functions.
    Opaque(ArrayRef),
}

/// A condition in SQL's three-valued logic: a row that is in neither set is unknown.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Rows where it holds.
    pub yes: BooleanBuffer,
    /// Rows where it does not.
    pub no: BooleanBuffer,
}

impl Truth {
    /// The same answer in every row; `None` is unknown.
    pub fn constant(answer: Option<bool>, rows: usize) -> Self {
        let all = |set: bool| if set { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
        Self { yes: all(answer == Some(true)), no: all(answer == Some(false)) }
    }

    /// `holds`, unknown where `nulls` says null.
    pub fn new(holds: BooleanBuffer, nulls: Option<&NullBuffer>) -> Self {
        match nulls {
            None => Self { no: !&holds, yes: holds },
            Some(nulls) => Self { yes: &holds & nulls.inner(), no: &!&holds & nulls.inner() },
        }
    }

    pub fn not(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    pub fn and(&self, other: &Self) -> Self {
        Self { yes: &self.yes & &other.yes, no: &self.no | &other.no }
    }

    pub fn or(&self, other: &Self) -> Self {
        Self { yes: &self.yes | &other.yes, no: &self.no & &other.no }
    }

    /// The rows where the answer is known, `None` when that is all of them.
    pub fn nulls(&self) -> Option<NullBuffer> {
        let known = NullBuffer::new(&self.yes | &self.no);
        (known.null_count() > 0).then_some(known)
    }

    pub fn get(&self, row: usize) -> Option<bool> {
        match (self.yes.value(row), self.no.value(row)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// Numbers, one a row.
#[derive(Debug, Clone)]
pub struct Lane<T: ArrowNativeType> {
    pub values: Values<T>,
    pub nulls: Option<NullBuffer>,
}

/// The numbers of a lane.
#[derive(Debug, Clone)]
pub enum Values<T: ArrowNativeType> {
    /// Its own in each row; undefined where the row is null.
    Each(ScalarBuffer<T>),
    /// The same in all rows.
    All(T),
}

impl<T: ArrowNativeType> Lane<T> {
    pub fn constant(value: T) -> Self {
        Self { values: Values::All(value), nulls: None }
    }

    pub fn get(&self, row: usize) -> Option<T> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match &self.values {
            Values::Each(values) => values[row],
            Values::All(value) => *value,
        })
    }

    /// Another number for each, computed for null rows too.
    pub fn map<U: ArrowNativeType>(&self, f: impl Fn(T) -> U) -> Lane<U> {
        let values = match &self.values {
            Values::Each(values) => Values::Each(values.iter().map(|&value| f(value)).collect()),
            Values::All(value) => Values::All(f(*value)),
        };
        Lane { values, nulls: self.nulls.clone() }
    }
}

/// Texts, one a row.
#[derive(Debug, Clone)]
pub enum Texts {
    /// Its own in each row.
    Each(StringArray),
    /// The same in all rows.
    All(String),
}

impl Texts {
    pub fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Each(array) => array.is_valid(row).then(|| array.value(row)),
            Self::All(text) => Some(text),
        }
    }

    /// The text of a row, some text where the row is null.
    pub fn at(&self, row: usize) -> &str {
        match self {
            Self::Each(array) => array.value(row),
            Self::All(text) => text,
        }
    }

    pub fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Each(array) => array.nulls(),
            Self::All(_) => None,
        }
    }
}

impl Value {
    /// Name of the kind, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Truth(_) => "boolean",
            Self::Ints(_) => "int64",
            Self::Floats(_) => "float64",
            Self::Texts(_) => "string",
            Self::Opaque(_) => "another type",
        }
    }

    fn mismatch(&self, wanted: &str) -> KernelError {
        KernelError::Option {
            name: "expression".to_owned(),
            reason: format!("{wanted} is needed where a value is {}", self.kind()),
        }
    }

    /// As a condition.
    pub fn into_truth(self, rows: usize) -> Result<Truth> {
        match self {
            Self::Null => Ok(Truth::constant(None, rows)),
            Self::Truth(truth) => Ok(truth),
            other => Err(other.mismatch("a condition")),
        }
    }

    /// As texts; `None` when all rows are null.
    pub fn into_texts(self) -> Result<Option<Texts>> {
        match self {
            Self::Null => Ok(None),
            Self::Texts(texts) => Ok(Some(texts)),
            other => Err(other.mismatch("a text")),
        }
    }

    /// As numbers of whatever kind widened to `f64`; `None` when all rows are null.
    pub fn into_floats(self) -> Result<Option<Lane<f64>>> {
        match self {
            Self::Null => Ok(None),
            Self::Floats(lane) => Ok(Some(lane)),
            Self::Ints(lane) => Ok(Some(lane.map(|value| value as f64))),
            other => Err(other.mismatch("a number")),
        }
    }

    /// Rows that are not null; `None` when that is all of them.
    pub fn nulls(&self, rows: usize) -> Option<NullBuffer> {
        match self {
            Self::Null => Some(NullBuffer::new_null(rows)),
            Self::Truth(truth) => truth.nulls(),
            Self::Ints(lane) => lane.nulls.clone(),
            Self::Floats(lane) => lane.nulls.clone(),
            Self::Texts(texts) => texts.nulls().cloned(),
            Self::Opaque(array) => array.logical_nulls(),
        }
    }
}

/// The values of a column of the batch. `id` is filled: where the user gave none it is `file:position`.
///
/// # Errors
/// `ColumnMissing` when it is not there.
pub fn column(batch: &Batch, name: &str) -> Result<Value> {
    if name == ID && batch.id().null_count() > 0 {
        let ids = StringArray::from_iter_values((0..batch.rows()).map(|row| batch.id_of(row)));
        return Ok(Value::Texts(Texts::Each(ids)));
    }
    of_array(batch.column(name)?)
}

/// The values of an array, whatever column it is.
///
/// # Errors
/// `Internal` when a dictionary's keys do not fit it.
pub(crate) fn of_array(array: &ArrayRef) -> Result<Value> {
    Ok(match array.data_type() {
        DataType::Utf8 => Value::Texts(Texts::Each(array.as_string::<i32>().clone())),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter()),
        DataType::Utf8View => texts(array.as_string_view().iter()),
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => {
            let dictionary = array.as_any_dictionary();
            let plain = take(dictionary.values(), dictionary.keys(), None)?;
            Value::Texts(Texts::Each(plain.as_string::<i32>().clone()))
        }
        DataType::Int64 => Value::Ints(lane::<Int64Type>(array)),
        DataType::Int8 => Value::Ints(lane::<Int8Type>(array).map(i64::from)),
        DataType::Int16 => Value::Ints(lane::<Int16Type>(array).map(i64::from)),
        DataType::Int32 => Value::Ints(lane::<Int32Type>(array).map(i64::from)),
        DataType::UInt8 => Value::Ints(lane::<UInt8Type>(array).map(i64::from)),
        DataType::UInt16 => Value::Ints(lane::<UInt16Type>(array).map(i64::from)),
        DataType::UInt32 => Value::Ints(lane::<UInt32Type>(array).map(i64::from)),
        // Positions; a value past 2^63 would be no position of any file.
        DataType::UInt64 => Value::Ints(lane::<UInt64Type>(array).map(u64::cast_signed)),
        DataType::Float64 => Value::Floats(lane::<Float64Type>(array)),
        DataType::Float32 => Value::Floats(lane::<Float32Type>(array).map(f64::from)),
        DataType::Boolean => {
            let array = array.as_boolean();
            Value::Truth(Truth::new(array.values().clone(), array.nulls()))
        }
        DataType::Null => Value::Null,
        _ => Value::Opaque(Arc::clone(array)),
    })
}

fn lane<P: ArrowPrimitiveType>(array: &ArrayRef) -> Lane<P::Native> {
    let array = array.as_primitive::<P>();
    Lane { values: Values::Each(array.values().clone()), nulls: array.nulls().cloned() }
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Value {
    Value::Texts(Texts::Each(values.collect()))
}

/// The values as a column of `data_type`, which is the expression's static type.
pub fn into_array(value: Value, data_type: &DataType, rows: usize) -> Result<ArrayRef> {
    let array: ArrayRef = match (value, data_type) {
        (Value::Null, data_type) => new_null_array(data_type, rows),
        (Value::Texts(Texts::Each(array)), DataType::Utf8) => Arc::new(array),
        (Value::Texts(Texts::All(text)), DataType::Utf8) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        (Value::Truth(truth), DataType::Boolean) => {
            let nulls = truth.nulls();
            Arc::new(BooleanArray::new(truth.yes, nulls))
        }
        (Value::Ints(lane), DataType::Int64) => {
            let (values, nulls) = spread(lane, rows);
            Arc::new(Int64Array::new(values, nulls))
        }
        (value, DataType::Float64) => match value.into_floats()? {
            None => new_null_array(data_type, rows),
            Some(lane) => {
                let (values, nulls) = spread(lane, rows);
                Arc::new(Float64Array::new(values, nulls))
            }
        },
        (_, data_type) => return Err(KernelError::internal(format!("the expression gives no {data_type}"))),
    };
    Ok(array)
}

fn spread<T: ArrowNativeType>(lane: Lane<T>, rows: usize) -> (ScalarBuffer<T>, Option<NullBuffer>) {
    let values = match lane.values {
        Values::Each(values) => values,
        Values::All(value) => std::iter::repeat_n(value, rows).collect(),
    };
    (values, lane.nulls)
}
