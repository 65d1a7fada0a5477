//! Columns as steps on tables look at them: what is missing, numbers, keys that sort as the values do.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{KernelError, Result};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// Whole numbers.
    Int64,
    /// Numbers.
    Float64,
    /// True or false.
    Boolean,
    /// Anything else: it has a value or none.
    #[serde(other)]
    Other,
}

/// A value of a column in a configuration or a file of parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Scalar {
    /// The number, of either kind.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The bytes that stand for the value in a column of that kind: they sort as the values do.
    #[must_use]
    pub fn key(&self, kind: Kind) -> Option<Vec<u8>> {
        match (kind, self) {
            (Kind::String, Self::Text(text)) => Some(text.as_bytes().to_vec()),
            (Kind::Int64, Self::Int(value)) => Some(int_key(*value).to_be_bytes().to_vec()),
            (Kind::Float64, Self::Int(_) | Self::Float(_)) => {
                self.number().map(|value| float_key(value).to_be_bytes().to_vec())
            }
            (Kind::Boolean, Self::Bool(value)) => Some(u64::from(*value).to_be_bytes().to_vec()),
            _ => None,
        }
    }

    /// The value that a key stands for.
    ///
    /// # Errors
    /// `Format` when the bytes are no key of that kind.
    pub fn of_key(key: &[u8], kind: Kind) -> Result<Self> {
        let broken = || KernelError::format("key of a column", "it has another length or is no text");
        let number = || key.try_into().map(u64::from_be_bytes).map_err(|_| broken());
        Ok(match kind {
            Kind::String => Self::Text(String::from_utf8(key.to_vec()).map_err(|_| broken())?),
            Kind::Int64 => Self::Int(int_of_key(number()?)),
            Kind::Float64 => Self::Float(float_of_key(number()?)),
            Kind::Boolean => Self::Bool(number()? != 0),
            Kind::Other => return Err(broken()),
        })
    }
}

/// Keys of whole numbers sort as these do.
fn int_key(value: i64) -> u64 {
    value.cast_unsigned() ^ 1 << 63
}

fn int_of_key(key: u64) -> i64 {
    (key ^ 1 << 63).cast_signed()
}

/// Keys of numbers sort as these do; both zeros have the same key.
#[must_use]
pub fn float_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number with that key.
#[must_use]
pub fn float_of_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// A column of one of the kinds.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// UTF-8 text.
    Text(&'a StringArray),
    /// Whole numbers.
    Int(&'a Int64Array),
    /// Numbers.
    Float(&'a Float64Array),
    /// True or false.
    Bool(&'a BooleanArray),
}

impl<'a> Values<'a> {
    /// A column of a batch, which must be of `kind`.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch has no such column.
    pub fn of(batch: &'a Batch, name: &str, kind: Kind) -> Result<Self> {
        let column = batch.column(name)?;
        Ok(match (kind, column.data_type()) {
            (Kind::String, DataType::Utf8) => Self::Text(column.as_string()),
            (Kind::Int64, DataType::Int64) => Self::Int(column.as_primitive::<Int64Type>()),
            (Kind::Float64, DataType::Float64) => Self::Float(column.as_primitive::<Float64Type>()),
            (Kind::Boolean, DataType::Boolean) => Self::Bool(column.as_boolean()),
            (_, got) => return Err(wrong_type(name, &format!("{kind:?}").to_lowercase(), got)),
        })
    }

    /// A column of numbers of either kind: a step before may make floats of whole numbers that are looked at now.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch has no such column.
    pub fn numbers(batch: &'a Batch, name: &str) -> Result<Self> {
        let column = batch.column(name)?;
        match column.data_type() {
            DataType::Int64 => Ok(Self::Int(column.as_primitive::<Int64Type>())),
            DataType::Float64 => Ok(Self::Float(column.as_primitive::<Float64Type>())),
            got => Err(wrong_type(name, "int64 or float64", got)),
        }
    }

    fn array(&self) -> &'a dyn Array {
        match self {
            Self::Text(array) => *array,
            Self::Int(array) => *array,
            Self::Float(array) => *array,
            Self::Bool(array) => *array,
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.array().len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row has no value: null, or not a number.
    #[must_use]
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Float(array) => array.is_null(row) || array.value(row).is_nan(),
            _ => self.array().is_null(row),
        }
    }

    /// The number in a row that is not missing; `None` where the column holds none.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Int(array) => Some(array.value(row) as f64),
            Self::Float(array) => Some(array.value(row)),
            Self::Text(_) | Self::Bool(_) => None,
        }
    }

    /// The key of a row that is not missing, of a column that holds no text.
    #[must_use]
    pub fn small_key(&self, row: usize) -> u64 {
        match self {
            Self::Int(array) => int_key(array.value(row)),
            Self::Float(array) => float_key(array.value(row)),
            Self::Bool(array) => u64::from(array.value(row)),
            Self::Text(_) => 0,
        }
    }

    /// A value for people: text in quotes, numbers as they are.
    #[must_use]
    pub fn show(&self, row: usize) -> String {
        match self {
            Self::Text(array) => format!("{:?}", array.value(row)),
            Self::Int(array) => array.value(row).to_string(),
            Self::Float(array) => array.value(row).to_string(),
            Self::Bool(array) => array.value(row).to_string(),
        }
    }
}

fn wrong_type(name: &str, expected: &str, got: &DataType) -> KernelError {
    KernelError::ColumnType { name: name.to_owned(), expected: expected.to_owned(), got: got.to_string() }
}

/// The rows in which a column, of whatever kind, has a value.
///
/// # Errors
/// `ColumnMissing` when there is no such column.
pub fn rows_with(batch: &Batch, name: &str) -> Result<BooleanBuffer> {
    let column = batch.column(name)?;
    let nulls = column.logical_nulls();
    let floats = column.as_primitive_opt::<Float64Type>();
    Ok(BooleanBuffer::collect_bool(batch.rows(), |row| {
        nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
            && floats.is_none_or(|floats| !floats.value(row).is_nan())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_sort_as_numbers_do(a in any::<f64>(), b in any::<f64>(), m in any::<i64>(), n in any::<i64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(float_key(a).cmp(&float_key(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(float_of_key(float_key(a)).to_bits(), (a + 0.0).to_bits());
            prop_assert_eq!(int_key(m).cmp(&int_key(n)), m.cmp(&n));
            prop_assert_eq!(int_of_key(int_key(m)), m);
        }

        #[test]
        fn a_value_comes_back_from_its_key(text in ".*", number in any::<f64>(), whole in any::<i64>()) {
            prop_assume!(number.is_finite());
            for (value, kind) in [
                (Scalar::Text(text), Kind::String),
                (Scalar::Float(number), Kind::Float64),
                (Scalar::Int(whole), Kind::Int64),
                (Scalar::Bool(whole > 0), Kind::Boolean),
            ] {
                let key = value.key(kind).unwrap();
                prop_assert_eq!(Scalar::of_key(&key, kind).unwrap(), value);
            }
        }
    }

    #[test]
    fn both_zeros_are_one_value() {
        assert_eq!(float_key(-0.0), float_key(0.0));
    }
}
